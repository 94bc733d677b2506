use std::collections::BTreeSet;

use indexer::problem::list::{Filter, Id};
use indexer::problem::retry::Wanted;

use super::*;

/// Whatever the environment of the tests holds.
fn read(arguments: &[&str]) -> Result<Invocation, ConfigError> {
    let without_env = |command: clap::Command| command.mut_args(|argument| argument.env(None));
    let nested = |command: clap::Command| without_env(command).mut_subcommands(without_env);
    invoke(cli::command_line().mut_subcommands(nested), arguments)
}

fn invoke(command_line: clap::Command, arguments: &[&str]) -> Result<Invocation, ConfigError> {
    let cli = cli::parse(command_line, ["plyr"].iter().chain(arguments)).expect("clap agrees");
    Invocation::from_cli(cli, Environment::default())
}

fn error(arguments: &[&str]) -> String {
    read(arguments).expect_err("an error").to_string()
}

#[test]
fn the_defaults_are_those_of_the_help() {
    let Invocation { command, config } = read(&["serve"]).expect("nothing is needed");
    assert_eq!(command, Command::Serve { work: false });
    assert!(
        config.database_url.is_none() && config.media_url.is_none() && config.handle_resolver_url.is_none()
    );
    assert_eq!(config.data_dir, PathBuf::from("./data"));
    assert_eq!(config.plc_url.as_str(), "https://plc.directory/");
    assert_eq!(config.namespace, "fm.plyr");
    assert_eq!(config.blind_after, Duration::from_secs(900));
    assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1:3000/");
    assert_eq!(config.metrics_listen.map(|address| address.to_string()).as_deref(), Some("127.0.0.1:9464"));
    assert_eq!((config.max_upload_mb, config.upload_day_mb, config.free_min_mb), (1536, 10_240, 2048));
    assert_eq!((config.log.as_str(), config.log_format), ("info", LogFormat::Text));
    assert!(config.upstreams.is_empty() && config.private_hosts.is_empty() && config.web_origins.is_empty());
}

#[test]
fn values_become_types() {
    let arguments = [
        "up",
        "--upstreams",
        "repos+wss://Relay.Example:443/, repos+ws://127.0.0.1:2583,jetstream2+wss://relay.example,jetstream1+ws://h:1",
        "--private-hosts",
        "localhost:2583,127.0.0.1:2583,",
        "--listen",
        "[::]:80",
        "--web-origins",
        "https://plyr.fm,http://localhost:5173",
        "--metrics-listen",
        "off",
        "--log",
        "info,indexer=debug",
        "--log-format",
        "json",
        "--database-url",
        "postgres://u:swordfish@h/d",
        "--media-url",
        "https://m.example/a",
        "--handle-resolver-url",
        "http://127.0.0.1:2583",
        "--namespace",
        "fm.plyr.dev",
        "--secret-key",
        "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=",
    ];
    let config = read(&arguments).expect("all valid").config;
    let keys: Vec<&str> = config.upstreams.iter().map(|upstream| upstream.key.as_str()).collect();
    let wanted = [
        "repos+wss://relay.example",
        "repos+ws://127.0.0.1:2583",
        "jetstream2+wss://relay.example",
        "jetstream1+ws://h:1",
    ];
    assert_eq!(keys, wanted);
    assert_eq!(config.upstreams[0].ws_url.as_str(), "wss://relay.example/");
    assert_eq!(config.upstreams[0].http_url.as_str(), "https://relay.example/");
    assert_eq!(config.upstreams[1].http_url.as_str(), "http://127.0.0.1:2583/");
    assert_eq!(config.upstreams[2].ws_url.as_str(), "wss://relay.example/");
    let kinds: Vec<Kind> = config.upstreams.iter().map(|upstream| upstream.kind).collect();
    assert_eq!(kinds, [Kind::Repos, Kind::Repos, Kind::Jetstream2, Kind::Jetstream1]);
    let hosts: BTreeSet<&str> = config.private_hosts.iter().map(Authority::as_str).collect();
    assert_eq!(hosts, ["127.0.0.1:2583", "localhost:2583"].into());
    assert_eq!(config.public_url.as_str(), "http://127.0.0.1/");
    assert_eq!(config.web_origins.len(), 2);
    assert_eq!(config.metrics_listen, None);
    assert_eq!(config.log_format, LogFormat::Json);
    let key = config.secret_key.as_ref().expect("set").to_hex();
    assert!(key.starts_with("736563726574") && !format!("{config:?}").contains(&key));
    assert!(!format!("{config:?}").contains("swordfish"), "a password in the debug output");
    assert_eq!(config.database_url.expect("set").connect_options().get_host(), "h");
}

#[test]
fn empty_values_count_as_unset() {
    let arguments = ["serve", "--listen", "", "--plc-url", " ", "--database-url", "", "--private-hosts", ","];
    let config = read(&arguments).expect("as if unset").config;
    assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
    assert!(config.database_url.is_none() && config.private_hosts.is_empty());
}

#[test]
fn errors_name_the_variable_and_say_what_to_write() {
    for (flag, value, expected) in [
        (
            "--upstreams",
            "jetstream3+wss://j.example",
            "PLYR_UPSTREAMS: `jetstream3+wss://j.example`: this scheme is not known; use repos+wss://, jetstream1+wss:// or",
        ),
        (
            "--upstreams",
            "jetstream2+http://h",
            "PLYR_UPSTREAMS: `jetstream2+http://h`: this scheme is not known",
        ),
        ("--upstreams", "bsky.network", "PLYR_UPSTREAMS: `bsky.network`: not an upstream"),
        ("--upstreams", "repos+wss://", "PLYR_UPSTREAMS: `repos+wss://`: not a host"),
        ("--upstreams", "repos+wss://h/xrpc", "PLYR_UPSTREAMS: `repos+wss://h/xrpc`: a host and port only"),
        ("--upstreams", "repos+ws://h:1,repos+ws://H:1/", "PLYR_UPSTREAMS: `repos+ws://h:1`: named twice"),
        ("--blind-after", "15", "PLYR_BLIND_AFTER: `15`: not a time of at most 30d; write for example 90s"),
        ("--blind-after", "0s", "PLYR_BLIND_AFTER: `0s`: not a time"),
        ("--listen", "3000", "PLYR_LISTEN: `3000`: not an address and port"),
        (
            "--rate-write",
            "100",
            "PLYR_RATE_WRITE: `100`: not a rate; write for example 100/minute or 3000/5 minutes",
        ),
        ("--client-address-header", "a b", "PLYR_CLIENT_ADDRESS_HEADER: `a b`: not the name of a header"),
        ("--metrics-listen", "on", "PLYR_METRICS_LISTEN: `on`: not an address"),
        (
            "--metrics-listen",
            "127.0.0.1:3000",
            "PLYR_METRICS_LISTEN: `127.0.0.1:3000`: the same as PLYR_LISTEN",
        ),
        ("--public-url", "plyr.example", "PLYR_PUBLIC_URL: `plyr.example`: not a URL"),
        (
            "--public-url",
            "https://plyr.example/app",
            "PLYR_PUBLIC_URL: `https://plyr.example/app`: scheme, host",
        ),
        ("--web-origins", "https://a.example,*", "PLYR_WEB_ORIGINS: `*`: not a URL"),
        ("--plc-url", "ftp://plc", "PLYR_PLC_URL: `ftp://plc`: `ftp` is not a scheme"),
        ("--plc-url", "https://u:hunter2@plc", "PLYR_PLC_URL: `…`: credentials"),
        ("--handle-resolver-url", "https://h/?a", "PLYR_HANDLE_RESOLVER_URL: `https://h/?a`: no query"),
        ("--media-url", "/media", "PLYR_MEDIA_URL: `/media`: not a URL"),
        ("--max-upload-mb", "0", "PLYR_MAX_UPLOAD_MB: `0`: not a number of MiB from 1 to 65536"),
        ("--max-upload-mb", "1 GB", "PLYR_MAX_UPLOAD_MB: `1 GB`: not a number"),
        ("--upload-day-mb", "much", "PLYR_UPLOAD_DAY_MB: `much`: not a number of MiB"),
        ("--private-hosts", "localhost", "PLYR_PRIVATE_HOSTS: `localhost`: not HOST:PORT"),
        ("--namespace", "plyr", "PLYR_NAMESPACE: `plyr`: not the beginning of an NSID"),
        ("--namespace", "fm.plyr.", "PLYR_NAMESPACE: `fm.plyr.`: not the beginning"),
        ("--database-url", "mysql://u:hunter2@h/d", "DATABASE_URL: `…`: not a Postgres URL"),
        ("--database-url", "postgres://u:hunter2@h:port/d", "DATABASE_URL: `…`: not a Postgres URL"),
        ("--secret-key", "hunter2", "PLYR_SECRET_KEY: `…`: not 32 bytes in base64 or hex; `openssl rand"),
        ("--log", "indexer=loud", "PLYR_LOG: `indexer=loud`: "),
        ("--log-format", "xml", "PLYR_LOG_FORMAT: `xml`: `text` or `json`"),
    ] {
        let error = error(&["serve", flag, value]);
        assert!(error.starts_with(expected), "{flag} {value}: {error}");
        assert!(!error.contains("hunter2") && !error.contains('\n'), "{error}");
    }
    let both = error(&["serve", "--listen", "x", "--log-format", "y"]);
    assert_eq!(both.lines().count(), 2, "all mistakes at once: {both}");
}

#[test]
fn commands_that_need_a_source_say_so() {
    for command in ["up", "index", "backfill"] {
        let error = error(&[command]);
        assert!(
            error.starts_with("PLYR_UPSTREAMS: not set") && error.contains("repos+wss://"),
            "{command}: {error}"
        );
    }
    for command in ["serve", "work", "migrate", "rebuild"] {
        assert!(read(&[command]).is_ok(), "{command}");
    }
    let invalid = error(&["up", "--upstreams", "x"]);
    assert!(!invalid.contains("not set"), "{invalid}");
}

#[test]
fn backfill_takes_a_host_or_accounts() {
    let did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
    let command = read(&["backfill", "--from", "https://pds.example"]).expect("valid").command;
    assert_eq!(
        command,
        Command::Backfill {
            from: "https://pds.example".parse().ok(),
            dids: vec![],
            anew: false,
            failures: None
        }
    );
    let command = read(&["backfill", did]).expect("valid").command;
    assert_eq!(
        command,
        Command::Backfill {
            from: None,
            dids: vec![did.parse().expect("a DID")],
            anew: false,
            failures: None
        }
    );
    let both = ["plyr", "backfill", "--from", "https://pds.example", did];
    let error = cli::parse(cli::command_line(), both).expect_err("one or the other");
    assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict);
    assert!(self::error(&["backfill", "alice.test"]).starts_with("DID: `alice.test`: not a DID"));
    let error = self::error(&["backfill", "--from", "pds.example"]);
    assert!(error.starts_with("--from: `pds.example`: not a URL"), "{error}");
}

#[test]
fn each_help_lists_what_matters_to_it() {
    cli::command_line().debug_assert();
    let help = |command: &str| {
        let error = cli::parse(cli::command_line(), ["plyr", command, "--help"]).expect_err("help");
        assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelp);
        error.to_string()
    };
    assert!(help("up").contains("PLYR_UPSTREAMS") && help("up").contains("PLYR_LISTEN"));
    assert!(!help("migrate").contains("PLYR_LISTEN") && help("migrate").contains("DATABASE_URL"));
    assert!(!help("serve").contains("PLYR_UPSTREAMS") && help("backfill").contains("--from <URL>"));
    let all = help("up");
    for name in [
        "DATABASE_URL",
        "PLYR_DATA_DIR",
        "PG_BIN_DIR",
        "PLYR_UPSTREAMS",
        "PLYR_BLIND_AFTER",
        "PLYR_PLC_URL",
        "PLYR_HANDLE_RESOLVER_URL",
        "PLYR_PRIVATE_HOSTS",
        "PLYR_NAMESPACE",
        "PLYR_LISTEN",
        "PLYR_PUBLIC_URL",
        "PLYR_WEB_ORIGINS",
        "PLYR_MEDIA_URL",
        "PLYR_MAX_UPLOAD_MB",
        "PLYR_UPLOAD_DAY_MB",
        "PLYR_FREE_MIN_MB",
        "PLYR_SECRET_KEY",
        "PLYR_METRICS_LISTEN",
        "PLYR_LOG",
        "PLYR_LOG_FORMAT",
    ] {
        assert!(all.contains(&format!("[env: {name}")), "{name}");
    }
}

#[test]
fn what_is_configured_is_exempt_from_the_guard() {
    let arguments =
        ["index", "--upstreams", "repos+ws://127.0.0.1:2583", "--plc-url", "http://127.0.0.1:2582"];
    let options = read(&arguments).expect("valid").config.net_options();
    let exempt: Vec<&str> = options.operator_urls.iter().map(Url::as_str).collect();
    assert_eq!(exempt, ["http://127.0.0.1:2582/", "http://127.0.0.1:2583/"]);
}

/// Variables are read from a process's environment, so this one asks another: itself.
#[test]
fn variables_are_read_and_flags_win() {
    const CHILD: &str = "PLYR_TEST_IS_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let config = invoke(cli::command_line(), &["serve", "--log-format", "json"]).expect("valid").config;
        assert_eq!(config.listen.to_string(), "127.0.0.1:4000");
        assert_eq!((config.log.as_str(), config.log_format), ("info", LogFormat::Json));
        return;
    }
    let status = std::process::Command::new(std::env::current_exe().expect("this binary"))
        .args(["--exact", "config::tests::variables_are_read_and_flags_win"])
        .env_clear()
        .envs([
            (CHILD, "1"),
            ("PLYR_LISTEN", "127.0.0.1:4000"),
            ("PLYR_LOG", ""),
            ("PLYR_LOG_FORMAT", "text"),
        ])
        .status();
    assert!(status.expect("run").success());
}

#[test]
fn problems_are_chosen_and_tried_again() {
    let asked = |arguments: &[&str]| match read(&[&["problems"], arguments].concat()) {
        Ok(Invocation { command: Command::Problems(asked), .. }) => asked,
        other => panic!("{arguments:?}: {other:?}"),
    };
    let filter = Filter::default();
    assert_eq!(asked(&[]), Problems::List { filter: filter.clone(), limit: 50, json: false });
    assert_eq!(asked(&["--summary", "--json"]), Problems::Summary { json: true });
    let uri = "at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/fm.plyr.track/3jzfcijpj2z2a";
    assert_eq!(
        asked(&["--show", uri, "--save", "x"]),
        Problems::Show { id: uri.parse().expect("a URI"), save: Some("x".into()), json: false }
    );
    assert_eq!(asked(&["retry"]), Problems::Retry(Wanted::Filter(filter.clone())));
    let ids = Wanted::Ids(vec![Id::Event(17), uri.parse().expect("a URI")]);
    assert_eq!(asked(&["retry", "17", uri]), Problems::Retry(ids));
    let of_kind = Filter { kind: Some("BadSignature".into()), ..filter };
    assert_eq!(asked(&["retry", "--kind", "BadSignature"]), Problems::Retry(Wanted::Filter(of_kind)));
    for (arguments, named) in [
        (&["problems", "--since", "yesterday"][..], "--since"),
        (&["problems", "--did", "alice.test"], "--did"),
        (&["problems", "--show", "x"], "--show"),
        (&["problems", "retry", "x"], "ID"),
    ] {
        assert!(error(arguments).contains(named), "{arguments:?}");
    }
    let settings = ["problems", "retry", "--plc-url", "http://127.0.0.1:2582"];
    assert_eq!(read(&settings).expect("it takes settings").config.plc_url.port(), Some(2582));
}

#[test]
fn a_simulation_is_described_by_its_arguments() {
    let simulated = |arguments: &[&str]| match read(&[&["sim"], arguments].concat()).expect("valid").command {
        Command::Sim(simulation) => *simulation,
        other => panic!("{other:?}"),
    };
    let usual = simulated(&[]);
    assert_eq!((usual.options.accounts, usual.options.port, usual.rate), (2000, Some(4000), 20.0));
    assert_eq!(usual.options.faults, sim::Faults::none());
    let other = simulated(&["--seed", "7", "--faults", "drops=0.5,high-s", "--port", "0", "--rate", "200"]);
    assert_eq!((other.options.seed, other.options.port, other.rate), (7, None, 200.0));
    assert_eq!(other.options.faults.drops, 0.5);
    assert!(error(&["sim", "--faults", "hail"]).starts_with("--faults: hail: no such fault"));
    assert!(error(&["sim", "--rate=-1"]).starts_with("--rate"));
    let mut help = cli::command_line();
    let help = help.find_subcommand_mut("sim").expect("the command").render_long_help().to_string();
    assert!(help.contains("plyr up --data-dir") && help.contains("forged-signatures"), "{help}");
}
