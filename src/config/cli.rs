//! The command line: commands, flags, and the environment variables behind them.
//!
//! Flags and variables are taken as text here and read in one place ([`super::Config`]), so that an error names the
//! variable wherever its value came from. This is the only code that looks at the environment.

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use super::lexicons::LexiconsText;
use super::problems::{ListText, ProblemsText};
use super::simulation::{self, SimArguments};

/// The whole back end of an ATProto music network in one binary.
///
/// plyr reads the network's records from a relay or PDS, keeps them in Postgres, and serves them: XRPC for any client,
/// and a web player at /. `plyr up` is all of it in one process; the other commands are its parts, for running them
/// apart.
#[derive(Debug, Parser)]
#[command(name = "plyr", version, max_term_width = 110, after_help = EXAMPLES, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: CliCommand,
}

const EXAMPLES: &str = "\
Examples:
  Everything, with a Postgres of its own under ./data:
    plyr up --upstreams repos+wss://bsky.network
  Only the API and the player, on a database of yours:
    DATABASE_URL=postgres://… plyr serve
  Read one account's repo again:
    plyr backfill did:plc:ewvi7nxzyoun6zhxrhs64oiz

Every setting is a flag and an environment variable; the flag wins, and an empty variable
counts as unset. `plyr <COMMAND> --help` lists the settings that matter to a command.";

#[derive(Debug, Subcommand)]
pub(super) enum CliCommand {
    /// Everything in one process: migrate, then index, work and serve until told to stop.
    ///
    /// Without DATABASE_URL it runs an installed Postgres by itself, on a cluster under the data directory. Ctrl-C or
    /// SIGTERM finishes what is begun, then stops.
    #[command(after_help = "\
Examples:
  A relay of the public network:
    plyr up --upstreams repos+wss://bsky.network
  A relay, and a Jetstream beside it:
    plyr up --upstreams repos+wss://bsky.network,jetstream2+wss://jetstream.us-east.bsky.network
  A PDS on this machine:
    plyr up --upstreams repos+ws://127.0.0.1:2583 --private-hosts localhost:2583")]
    Up(Settings),
    /// Read the upstreams' events and write rows, from the last saved position on.
    ///
    /// Each event's signature and place in its repo are checked before it counts. The position is saved together with
    /// what it led to, so this can be killed and started at any time. Runs beside any number of `serve` processes; one
    /// `index` per upstream is enough.
    #[command(after_help = "Example:\n  plyr index --upstreams repos+wss://bsky.network")]
    Index(Settings),
    /// Answer XRPC and HTTP requests and serve the web player.
    ///
    /// Only reads the database, so several may run side by side. It does not migrate: run `plyr migrate` or `plyr up`
    /// first.
    #[command(after_help = "Example:\n  plyr serve --listen 0.0.0.0:3000 --public-url https://music.example")]
    Serve {
        /// Do queued jobs in this process too, as `plyr work` does: where the mirrored media are files on this machine.
        #[arg(long)]
        work: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Do queued jobs: fetch and check audio and images, confirm account states, resolve handles; and keep the charts.
    ///
    /// Jobs are rows in the database: several workers may run side by side, and a job whose worker dies is done again.
    Work(Settings),
    /// Bring the database's schema up to date, then exit.
    ///
    /// Changes nothing when it already is. Run it before the other commands when they run apart; `plyr up` does it by
    /// itself.
    Migrate(Settings),
    /// Build everything derived from the stored records anew, without the network, then exit.
    ///
    /// The records themselves stay untouched, and the same rows come out. For after an upgrade that reads records
    /// differently.
    Rebuild(Settings),
    /// Tell which records the pages of another server show, then exit.
    ///
    /// Somebody who links to a track by its number on another server, `https://plyr.fm/track/123`, names nothing that this
    /// one knows. With what its operator tells, such links count: also those that are here already, which are read again.
    /// Likes of posts that turn out to be shares by that are asked for where PLYR_BACKLINKS_URL is set.
    /// The other server has to be one of PLYR_PAGE_ORIGINS. FILE has one JSON object a line: the address and the record it
    /// shows; or, with --origin, what that server's HTTP API answers of a track (`id`, `atproto_record_uri`).
    #[command(after_help = "\
Examples:
  Lines as {\"page\": \"https://plyr.fm/track/123\", \"uri\": \"at://did:plc:…/fm.plyr.track/3k…\"}:
    plyr import-pages pages.jsonl --page-origins https://plyr.fm
  Tracks as an HTTP API lists them:
    jq -c '.tracks[]' tracks.json | plyr import-pages - --origin https://plyr.fm --page-origins https://plyr.fm")]
    ImportPages {
        /// The file; - is the standard input.
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
        /// The server whose tracks are told by number, e.g. `https://plyr.fm`.
        #[arg(long, value_name = "URL")]
        origin: Option<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Read whole repos, then exit.
    ///
    /// With DIDs, the repos of these accounts; without, every repo that a host lists and that has records of ours. A repo
    /// that was read stands in the database as it stood in that moment, deletions included. How far it is stands in the
    /// database too: one that was interrupted goes on where it was. Ends with 1 when a repo could not be had through
    /// anybody's fault; that its PDS says the account is gone or switched off is none. A Jetstream lists no repos.
    #[command(after_help = "\
Examples:
  One account, from its own PDS:
    plyr backfill did:plc:ewvi7nxzyoun6zhxrhs64oiz
  Every repo of one host:
    plyr backfill --from https://pds.example
  Every repo of all upstreams, from the beginning:
    plyr backfill --anew")]
    Backfill {
        /// The host whose repos are read, e.g. `https://pds.example`; it lists them, and each is read from its account's own
        /// PDS. [default: every upstream that is a relay or PDS]
        #[arg(long, value_name = "URL", conflicts_with = "dids")]
        from: Option<String>,
        /// Begin anew, even if an earlier backfill of the same was interrupted.
        #[arg(long)]
        anew: bool,
        /// Write every repo that could not be had, and why, into this file; else the first thousand are printed.
        #[arg(long, value_name = "FILE")]
        failures: Option<std::path::PathBuf>,
        /// Accounts to read. [default: all that the host lists]
        #[arg(value_name = "DID")]
        dids: Vec<String>,
        #[command(flatten)]
        settings: Settings,
    },
    /// Compare what we hold with what the accounts' PDSes hold, or what we count with what we hold, then exit.
    ///
    /// Of repos, record by record: each is read and verified. What differs is asked for again after a few seconds, so that
    /// what is on its way is not taken for drift. Of counts, every number is counted anew from the bytes of the records, in
    /// one snapshot and without the network. Ends with 1 when there is drift.
    #[command(after_help = "\
Examples:
  A hundred repos at random:
    plyr audit
  Every number of likes, comments, plays and links:
    plyr audit counts
  All repos, and have those that drifted read anew by whoever does the jobs:
    plyr audit --all --repair")]
    Audit {
        /// What to compare.
        #[arg(value_enum, default_value_t = Audited::Repos)]
        what: Audited,
        /// How many repos, at random.
        #[arg(long, value_name = "NUMBER", default_value_t = 100, conflicts_with = "all")]
        sample: u32,
        /// Every repo.
        #[arg(long)]
        all: bool,
        /// Ask for each repo that drifted to be read anew: a job, done by `plyr up` or `plyr work`.
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Simulate a network to try plyr on: accounts, PDSes, a relay and more, all in this process and on loopback.
    ///
    /// Everything it says is real: signed commits, CAR files, DID documents. Things happen by themselves, as the seed
    /// decides, and go wrong as you choose. The first line on the standard output is JSON and says where everything is;
    /// its `env` holds the settings with which plyr reads this network. It keeps nothing and needs no database.
    #[command(after_help = simulation::after_help())]
    Sim(SimArguments),
    /// List what was kept aside: events that could not be read, verified or applied, and records that are not shown.
    ///
    /// The newest come first, each with its name and what is wrong with it.
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "\
Examples:
  How many of each kind:
    plyr problems --summary
  What came of one account since yesterday:
    plyr problems --did did:plc:ewvi7nxzyoun6zhxrhs64oiz --since 24h
  The bytes of one, for a closer look:
    plyr problems --show 17 --save frame.bin"
    )]
    Problems(Box<ProblemsCli>),
    /// Tell what records and methods may say, or publish it.
    ///
    /// Lexicons are the language of the network: JSON documents that say what a record holds, what a method takes and
    /// answers, and what a client may ask a person for. Whoever owns the domain in their name publishes them in a repo.
    #[command(after_help = "\
Examples:
  What there is:
    plyr lexicons list
  What publishing would change:
    plyr lexicons publish --handle plyr.fm --dry-run")]
    Lexicons {
        #[command(subcommand)]
        command: Box<LexiconsText>,
    },
}

/// What `plyr audit` compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Audited {
    /// Repos with their PDSes.
    Repos,
    /// Numbers with the records.
    Counts,
}

/// A command with a command inside: both take settings.
#[derive(Debug, Args)]
pub(super) struct ProblemsCli {
    #[command(subcommand)]
    pub(super) command: Option<ProblemsText>,
    #[command(flatten)]
    pub(super) list: ListText,
    #[command(flatten)]
    pub(super) settings: Settings,
}

/// All settings as text; which of them a command's help lists is decided by [`command_line`].
#[derive(Debug, Default, Args)]
pub(super) struct Settings {
    /// A Postgres 15 or newer to use, with the extension pg_trgm available.
    /// [default: none; plyr runs an installed Postgres by itself, under the data directory]
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true, help_heading = "Storage")]
    pub(super) database_url: Option<String>,
    /// Where files are kept: the embedded Postgres and mirrored media. As root, in a place that Postgres' unprivileged
    /// account cannot enter, /var/lib/plyr is used instead. [default: ./data]
    #[arg(long, env = "PLYR_DATA_DIR", value_name = "DIR", help_heading = "Storage")]
    pub(super) data_dir: Option<String>,
    /// Where the programs `postgres` and `initdb` are, for the embedded Postgres.
    /// [default: the newest of /usr/lib/postgresql/*/bin, then PATH]
    #[arg(long, env = "PG_BIN_DIR", value_name = "DIR", help_heading = "Storage")]
    pub(super) pg_bin_dir: Option<String>,

    /// Sources of events, separated by commas; several are read at once, and what one brings twice counts once.
    /// `repos+wss://HOST` is the subscribeRepos stream of a relay or PDS: every commit is verified. `jetstream2+wss://HOST`
    /// and `jetstream1+wss://HOST` are a Jetstream in its newer and older dialect: less to read, believed at once and
    /// verified at the accounts' PDSes after; a repo is known from its first event on. With `ws` for `wss`, the same
    /// without TLS. [default: none]
    #[arg(long, env = "PLYR_UPSTREAMS", value_name = "LIST", help_heading = "Network")]
    pub(super) upstreams: Option<String>,
    /// A source that lives but does not bring, for so long, what another source brings of our collections, or our own
    /// writes, is called blind: logged, counted in the metrics, and made up for. A number and `s`, `m` or `h`.
    /// [default: 15m]
    #[arg(long, env = "PLYR_BLIND_AFTER", value_name = "TIME", help_heading = "Network")]
    pub(super) blind_after: Option<String>,
    /// The directory of did:plc identities. [default: https://plc.directory]
    #[arg(long, env = "PLYR_PLC_URL", value_name = "URL", help_heading = "Network")]
    pub(super) plc_url: Option<String>,
    /// A service to resolve handles at (com.atproto.identity.resolveHandle). [default: none; DNS and
    /// https://HANDLE/.well-known/atproto-did are asked]
    #[arg(long, env = "PLYR_HANDLE_RESOLVER_URL", value_name = "URL", help_heading = "Network")]
    pub(super) handle_resolver_url: Option<String>,
    /// `HOST:PORT` pairs, separated by commas, that may be reached although private, and over plain http. They are
    /// compared with the text of a URL: a DID document that says `http://localhost:2583` needs `localhost:2583`. All other
    /// private addresses that the network names are refused; what you configure yourself needs no entry. [default: none]
    #[arg(long, env = "PLYR_PRIVATE_HOSTS", value_name = "LIST", help_heading = "Network")]
    pub(super) private_hosts: Option<String>,
    /// The first part of the names of the network's records: `fm.plyr` means fm.plyr.track and so on. XRPC methods keep
    /// their names. [default: fm.plyr]
    #[arg(long, env = "PLYR_NAMESPACE", value_name = "NSID", help_heading = "Network")]
    pub(super) namespace: Option<String>,
    /// A service that knows who links to what (`blue.microcosm.links.getBacklinks`, as Constellation has it). When a post is
    /// found to share a track, it is asked who liked the post before; each is verified at their PDS. [default: none]
    #[arg(long, env = "PLYR_BACKLINKS_URL", value_name = "URL", help_heading = "Network")]
    pub(super) backlinks_url: Option<String>,
    /// Domains of PDSes, separated by commas, that anybody may join and that see to their gate: what their people hear and like
    /// counts in charts in full. Of any other domain's at most ten plays, listeners or likes of a thing count beyond what all
    /// others give it; the same holds of all people together who are new here or anonymous. [default: bsky.network]
    #[arg(long, env = "PLYR_OPEN_HOSTS", value_name = "LIST", help_heading = "Network")]
    pub(super) open_hosts: Option<String>,
    /// How often the revs of all repos are compared with those that their PDSes state: for example `6h`, or `off`. After a
    /// gap in a source's events it is done at once, whatever this says. [default: 6h]
    #[arg(long, env = "PLYR_COMPARE_EVERY", value_name = "TIME", help_heading = "Network")]
    pub(super) compare_every: Option<String>,
    /// Requests for whole repos and the like under way at once. [default: 16]
    #[arg(long, env = "PLYR_BACKFILL_AT_ONCE", value_name = "NUMBER", help_heading = "Network")]
    pub(super) backfill_at_once: Option<String>,
    /// Of these, to one host. [default: 4]
    #[arg(long, env = "PLYR_BACKFILL_PER_HOST", value_name = "NUMBER", help_heading = "Network")]
    pub(super) backfill_per_host: Option<String>,

    /// The address and port to serve on. [default: 127.0.0.1:3000]
    #[arg(long, env = "PLYR_LISTEN", value_name = "ADDR:PORT", help_heading = "Serving")]
    pub(super) listen: Option<String>,
    /// The origin at which people reach this server: URLs in answers begin with it, and a play that names a track page
    /// there counts for that track, so all processes must be told the same. [default: http:// and the listening address]
    #[arg(long, env = "PLYR_PUBLIC_URL", value_name = "URL", help_heading = "Serving")]
    pub(super) public_url: Option<String>,
    /// Further origins, separated by commas, whose track and artist pages show the same records: who shares one of them on
    /// Bluesky shares the track. All processes must be told the same. [default: none]
    #[arg(long, env = "PLYR_PAGE_ORIGINS", value_name = "LIST", help_heading = "Serving")]
    pub(super) page_origins: Option<String>,
    /// Further origins of web apps, separated by commas, that may sign people in here and act for them. [default: none]
    #[arg(long, env = "PLYR_WEB_ORIGINS", value_name = "LIST", help_heading = "Serving")]
    pub(super) web_origins: Option<String>,
    /// The permanent address of media, where audio and images are served by another host. [default: none; this server
    /// serves them]
    #[arg(long, env = "PLYR_MEDIA_URL", value_name = "URL", help_heading = "Serving")]
    pub(super) media_url: Option<String>,

    /// The largest audio file that may be uploaded, in MiB. [default: 1536]
    #[arg(long, env = "PLYR_MAX_UPLOAD_MB", value_name = "NUMBER", help_heading = "Serving")]
    pub(super) max_upload_mb: Option<String>,
    /// What one person may upload within 24 hours, in MiB. [default: 10240]
    #[arg(long, env = "PLYR_UPLOAD_DAY_MB", value_name = "NUMBER", help_heading = "Serving")]
    pub(super) upload_day_mb: Option<String>,
    /// What uploads leave free on the disk of the data directory, in MiB: below it they are refused. [default: 2048]
    #[arg(long, env = "PLYR_FREE_MIN_MB", value_name = "NUMBER", help_heading = "Serving")]
    pub(super) free_min_mb: Option<String>,
    /// How often one address may begin to sign in: a number, `/` and `second`, `minute`, `hour` or `day`.
    /// [default: 10/minute]
    #[arg(long, env = "PLYR_RATE_AUTH", value_name = "RATE", help_heading = "Serving")]
    pub(super) rate_auth: Option<String>,
    /// How often one person may like, comment, edit or delete. [default: 100/minute]
    #[arg(long, env = "PLYR_RATE_WRITE", value_name = "RATE", help_heading = "Serving")]
    pub(super) rate_write: Option<String>,
    /// How often one person may upload. [default: 20/minute]
    #[arg(long, env = "PLYR_RATE_UPLOAD", value_name = "RATE", help_heading = "Serving")]
    pub(super) rate_upload: Option<String>,
    /// How often one person may ask for what is read, and call XRPC methods. Who is not known is counted by their address;
    /// nobody is where only a private address shows, as behind a proxy without PLYR_CLIENT_ADDRESS_HEADER.
    /// [default: 3000/5 minutes]
    #[arg(long, env = "PLYR_RATE_READ", value_name = "RATE", help_heading = "Serving")]
    pub(super) rate_read: Option<String>,
    /// The header in which your proxy says who calls, e.g. `fly-client-ip` or `x-forwarded-for`. Set it only behind a proxy
    /// that writes it: otherwise callers could choose their address. [default: none; the connection's address counts]
    #[arg(long, env = "PLYR_CLIENT_ADDRESS_HEADER", value_name = "NAME", help_heading = "Serving")]
    pub(super) client_address_header: Option<String>,

    /// The key that seals people's sessions in the database: 32 bytes in base64 or hex, made for example by
    /// `openssl rand -base64 32`. All processes need the same; with another one everybody is signed out.
    /// [default: none; with a public URL on https it must be set, else one is made and kept in DATA_DIR/secret.key]
    #[arg(
        long,
        env = "PLYR_SECRET_KEY",
        value_name = "KEY",
        hide_env_values = true,
        help_heading = "Sessions"
    )]
    pub(super) secret_key: Option<String>,

    /// Where Prometheus may read metrics, or `off`. Keep it private. Each process on a machine needs a port of its own.
    /// [default: 127.0.0.1:9464]
    #[arg(long, env = "PLYR_METRICS_LISTEN", value_name = "ADDR:PORT", help_heading = "Operation")]
    pub(super) metrics_listen: Option<String>,
    /// What to log: a level (error, warn, info, debug, trace) or a list such as `info,indexer=debug`. [default: info]
    #[arg(long, env = "PLYR_LOG", value_name = "FILTER", help_heading = "Operation")]
    pub(super) log: Option<String>,
    /// How to log: `text` for people, `json` for machines, a line each. [default: text]
    #[arg(long, env = "PLYR_LOG_FORMAT", value_name = "FORMAT", help_heading = "Operation")]
    pub(super) log_format: Option<String>,
}

const STORAGE: &[&str] = &["database_url", "data_dir", "pg_bin_dir"];
const NETWORK: &[&str] = &[
    "upstreams",
    "blind_after",
    "plc_url",
    "handle_resolver_url",
    "private_hosts",
    "namespace",
    "public_url",
    "page_origins",
];
const IDENTITY: &[&str] =
    &["plc_url", "handle_resolver_url", "private_hosts", "namespace", "public_url", "page_origins"];
const LOOKING_BACK: &[&str] = &["backlinks_url", "open_hosts"];
const READING: &[&str] = &["backfill_at_once", "backfill_per_host"];
const COMPARING: &[&str] = &["compare_every"];
const SERVING: &[&str] = &[
    "listen",
    "public_url",
    "web_origins",
    "media_url",
    "max_upload_mb",
    "upload_day_mb",
    "free_min_mb",
    "rate_auth",
    "rate_write",
    "rate_upload",
    "rate_read",
    "client_address_header",
];
const SESSIONS: &[&str] = &["secret_key"];
const METRICS: &[&str] = &["metrics_listen"];
const LOG: &[&str] = &["log", "log_format"];

/// The settings that a command's help lists. All are accepted and checked everywhere, so that processes can share one
/// environment.
fn listed(command: &str) -> Vec<&'static str> {
    let groups: &[&[&str]] = match command {
        "up" => &[STORAGE, NETWORK, LOOKING_BACK, COMPARING, READING, SERVING, SESSIONS, METRICS, LOG],
        "index" => &[STORAGE, NETWORK, COMPARING, READING, METRICS, LOG],
        "serve" => &[STORAGE, IDENTITY, SERVING, SESSIONS, METRICS, LOG],
        "work" => &[STORAGE, IDENTITY, LOOKING_BACK, READING, &["media_url"], SESSIONS, METRICS, LOG],
        "rebuild" | "import-pages" => &[STORAGE, &["namespace", "public_url", "page_origins"], LOG],
        "backfill" => &[STORAGE, NETWORK, READING, LOG],
        "audit" => &[STORAGE, IDENTITY, READING, LOG],
        "sim" | "lexicons" | "list" | "show" => &[LOG],
        "publish" => &[&["plc_url", "handle_resolver_url", "private_hosts"], LOG],
        "retry" => &[STORAGE, IDENTITY, LOG],
        _ => &[STORAGE, LOG],
    };
    groups.concat()
}

/// The command line with each command's help cut to what matters to it.
pub(super) fn command_line() -> clap::Command {
    let settings: Vec<String> = <Settings as clap::Args>::augment_args(clap::Command::new(""))
        .get_arguments()
        .map(|argument| argument.get_id().to_string())
        .collect();
    let cut = |command: clap::Command| {
        let listed = listed(command.get_name());
        command.mut_args(|argument| {
            let id = argument.get_id().as_str();
            let is_foreign = settings.iter().any(|setting| setting == id) && !listed.contains(&id);
            argument.hide(is_foreign)
        })
    };
    Cli::command().mut_subcommands(|command| cut(command).mut_subcommands(cut))
}

/// Reads a command line, with the program's name first.
pub(super) fn parse(
    command_line: clap::Command,
    arguments: impl IntoIterator<Item = impl Into<std::ffi::OsString> + Clone>,
) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&command_line.try_get_matches_from(arguments)?)
}
