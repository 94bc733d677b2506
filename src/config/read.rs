//! From text to settings. Every reader notes what is wrong by the variable's name and goes on with the default, so that
//! all mistakes are found at once.

use std::collections::HashSet;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use appview::limit::Rates;
use appview::session::SecretKey;
use indexer::firehose::Kind;
use indexer::net::{Authority, Crowd};
use indexer::syntax::{Did, Handle, Nsid};
use tracing_subscriber::EnvFilter;
use url::Url;

use super::cli::Settings;
use super::{Command, Config, DatabaseUrl, LogFormat, Upstream};

type Errors = Vec<String>;

pub(super) fn config(settings: &Settings, search_path: Option<OsString>, errors: &mut Errors) -> Config {
    let listen = or_default(errors, "PLYR_LISTEN", &settings.listen, "127.0.0.1:3000", address);
    let metrics =
        or_default(errors, "PLYR_METRICS_LISTEN", &settings.metrics_listen, "127.0.0.1:9464", |text| {
            if text == "off" { Ok(None) } else { address(text).map(Some) }
        });
    if metrics == Some(listen) && listen.port() != 0 {
        errors.push(format!("PLYR_METRICS_LISTEN: `{listen}`: the same as PLYR_LISTEN; choose another port"));
    }
    let public_url = optional(errors, "PLYR_PUBLIC_URL", &settings.public_url, origin);
    let path = |text: &Option<String>| given(text).map(PathBuf::from);
    Config {
        database_url: optional(errors, "DATABASE_URL", &settings.database_url, database_url),
        data_dir: path(&settings.data_dir).unwrap_or_else(|| "./data".into()),
        pg_bin_dir: path(&settings.pg_bin_dir),
        search_path,
        upstreams: upstreams(errors, &settings.upstreams),
        blind_after: or_default(errors, "PLYR_BLIND_AFTER", &settings.blind_after, "15m", duration),
        plc_url: or_default(errors, "PLYR_PLC_URL", &settings.plc_url, "https://plc.directory", base_url),
        handle_resolver_url: optional(
            errors,
            "PLYR_HANDLE_RESOLVER_URL",
            &settings.handle_resolver_url,
            base_url,
        ),
        private_hosts: list(errors, "PLYR_PRIVATE_HOSTS", &settings.private_hosts, private_host)
            .into_iter()
            .collect::<HashSet<_>>(),
        namespace: or_default(errors, "PLYR_NAMESPACE", &settings.namespace, "fm.plyr", namespace),
        backlinks_url: optional(errors, "PLYR_BACKLINKS_URL", &settings.backlinks_url, base_url),
        open_hosts: match &settings.open_hosts {
            None => vec!["bsky.network".to_owned()],
            given => list(errors, "PLYR_OPEN_HOSTS", given, domain),
        },
        page_origins: list(errors, "PLYR_PAGE_ORIGINS", &settings.page_origins, origin),
        compare_every: or_default(errors, "PLYR_COMPARE_EVERY", &settings.compare_every, "6h", |text| {
            if text == "off" { Ok(None) } else { duration(text).map(Some) }
        }),
        crowd: Crowd {
            at_once: or_default(errors, "PLYR_BACKFILL_AT_ONCE", &settings.backfill_at_once, "16", number),
            per_host: or_default(errors, "PLYR_BACKFILL_PER_HOST", &settings.backfill_per_host, "4", number),
        },
        public_url: public_url.unwrap_or_else(|| public_url_of(listen)),
        listen,
        web_origins: list(errors, "PLYR_WEB_ORIGINS", &settings.web_origins, origin),
        media_url: optional(errors, "PLYR_MEDIA_URL", &settings.media_url, base_url),
        max_upload_mb: or_default(errors, "PLYR_MAX_UPLOAD_MB", &settings.max_upload_mb, "1536", megabytes),
        upload_day_mb: or_default(
            errors,
            "PLYR_UPLOAD_DAY_MB",
            &settings.upload_day_mb,
            "10240",
            disk_megabytes,
        ),
        free_min_mb: or_default(errors, "PLYR_FREE_MIN_MB", &settings.free_min_mb, "2048", disk_megabytes),
        rates: rates(settings, errors),
        client_address_header: optional(
            errors,
            "PLYR_CLIENT_ADDRESS_HEADER",
            &settings.client_address_header,
            |text| text.parse().map_err(|_| "not the name of a header".into()),
        ),
        secret_key: optional(errors, "PLYR_SECRET_KEY", &settings.secret_key, secret_key),
        metrics_listen: metrics,
        log: or_default(errors, "PLYR_LOG", &settings.log, "info", log),
        log_format: or_default(errors, "PLYR_LOG_FORMAT", &settings.log_format, "text", log_format),
    }
}

fn rates(settings: &Settings, errors: &mut Errors) -> Rates {
    let defaults = Rates::default();
    Rates {
        auth: optional(errors, "PLYR_RATE_AUTH", &settings.rate_auth, str::parse).unwrap_or(defaults.auth),
        write: optional(errors, "PLYR_RATE_WRITE", &settings.rate_write, str::parse)
            .unwrap_or(defaults.write),
        upload: optional(errors, "PLYR_RATE_UPLOAD", &settings.rate_upload, str::parse)
            .unwrap_or(defaults.upload),
        read: optional(errors, "PLYR_RATE_READ", &settings.rate_read, str::parse).unwrap_or(defaults.read),
    }
}

pub(super) fn backfill(
    from: Option<&str>,
    dids: &[String],
    (anew, failures): (bool, Option<PathBuf>),
    errors: &mut Errors,
) -> Command {
    let from = optional(errors, "--from", &from.map(str::to_owned), origin);
    let did = |text: &String| noted(errors, "DID", text, text.parse::<Did>().map_err(|_| "not a DID".into()));
    let dids = dids.iter().filter_map(did).collect();
    Command::Backfill { from, dids, anew, failures }
}

pub(super) fn import_pages(file: PathBuf, from: Option<String>, errors: &mut Errors) -> Command {
    Command::ImportPages { file, origin: optional(errors, "--origin", &from, origin) }
}

pub(super) fn did(text: Option<&String>, errors: &mut Errors) -> Option<Did> {
    let text = text?;
    noted(errors, "--did", text, text.parse().map_err(|_| "not a DID".into()))
}

pub(super) fn handle(text: Option<&String>, errors: &mut Errors) -> Option<Handle> {
    let text = text?;
    let without_at = text.strip_prefix('@').unwrap_or(text);
    noted(errors, "--handle", text, Handle::normalized(without_at).map_err(|_| "not a handle".into()))
}

pub(super) fn pds(text: Option<String>, errors: &mut Errors) -> Option<Url> {
    optional(errors, "--pds", &text, origin)
}

/// What was given; empty text is as good as none.
fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

/// The value, or None with a note of what is wrong with it.
fn noted<T>(errors: &mut Errors, name: &str, text: &str, result: Result<T, String>) -> Option<T> {
    result.map_err(|why| errors.push(format!("{name}: `{}`: {why}", shown(name, text)))).ok()
}

/// The text for an error message; never a password.
fn shown(name: &str, text: &str) -> String {
    let has_secret = matches!(name, "DATABASE_URL" | "PLYR_SECRET_KEY")
        || Url::parse(text).is_ok_and(|url| url.password().is_some());
    match text.chars().count() {
        _ if has_secret => "…".into(),
        0..=120 => text.into(),
        _ => text.chars().take(120).chain(['…']).collect(),
    }
}

fn optional<T>(
    errors: &mut Errors,
    name: &str,
    text: &Option<String>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Option<T> {
    let text = given(text)?;
    noted(errors, name, text, read(text))
}

fn or_default<T>(
    errors: &mut Errors,
    name: &str,
    text: &Option<String>,
    default: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> T {
    optional(errors, name, text, &read)
        .unwrap_or_else(|| read(default).unwrap_or_else(|why| unreachable!("the default of {name}: {why}")))
}

fn list<T>(
    errors: &mut Errors,
    name: &str,
    text: &Option<String>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let items = given(text).unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty());
    items.filter_map(|item| noted(errors, name, item, read(item))).collect()
}

/// A domain, or an address, without a port.
fn domain(text: &str) -> Result<String, String> {
    let host = url::Host::parse(text).map_err(|_| "must be a domain, such as `bsky.network`")?;
    Ok(host.to_string())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "not an address and port; write for example 127.0.0.1:3000 or [::]:3000".into())
}

fn megabytes(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (1..=65_536).contains(number));
    number.ok_or_else(|| "not a number of MiB from 1 to 65536".into())
}

fn disk_megabytes(text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|number| (0..=1 << 30).contains(number));
    number.ok_or_else(|| "not a number of MiB from 0 to 1073741824".into())
}

/// An address to listen on is not always one to go to: every interface has another name.
fn public_url_of(listen: SocketAddr) -> Url {
    let host = match listen {
        _ if listen.ip().is_unspecified() => format!("127.0.0.1:{}", listen.port()),
        _ => listen.to_string(),
    };
    Url::parse(&format!("http://{host}")).unwrap_or_else(|error| unreachable!("http://{host}: {error}"))
}

/// A time as people write it: `90s`, `15m`, `6h`, `1d`.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 24 * 3600)];
    let read = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(*unit)?.parse().ok()?;
        Some(Duration::from_secs(number.checked_mul(*seconds)?)).filter(|time| !time.is_zero())
    });
    read.filter(|time| *time <= Duration::from_secs(30 * 24 * 3600))
        .ok_or_else(|| "not a time of at most 30d; write for example 90s, 15m, 6h or 1d".into())
}

fn number(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=1000).contains(number))
        .ok_or_else(|| "not a number from 1 to 1000".into())
}

/// An http or https URL without credentials, query and fragment; a path may stand in it.
fn base_url(text: &str) -> Result<Url, String> {
    let example = "write for example https://host or http://127.0.0.1:2582";
    let url = Url::parse(text).map_err(|error| format!("not a URL ({error}); {example}"))?;
    match url {
        _ if !matches!(url.scheme(), "http" | "https") => {
            Err(format!("`{}` is not a scheme for this; {example}", url.scheme()))
        }
        _ if !url.username().is_empty() || url.password().is_some() => {
            Err("credentials have no place here".into())
        }
        _ if url.query().is_some() || url.fragment().is_some() => Err("no query or fragment, please".into()),
        url => Ok(url),
    }
}

fn origin(text: &str) -> Result<Url, String> {
    let url = base_url(text)?;
    if url.path() == "/" { Ok(url) } else { Err("scheme, host and port only, without a path".into()) }
}

fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    let example = "write for example postgres://user:password@host:5432/plyr";
    if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
        return Err(format!("not a Postgres URL; {example}"));
    }
    let options = text.parse().map_err(|error| format!("not a Postgres URL ({error}); {example}"))?;
    Ok(DatabaseUrl { text: text.to_owned(), options })
}

fn secret_key(text: &str) -> Result<SecretKey, String> {
    text.parse().map_err(|error: appview::session::SecretKeyError| error.to_string())
}

fn private_host(text: &str) -> Result<Authority, String> {
    text.parse().map_err(|_| "not HOST:PORT; write for example localhost:2583".into())
}

fn namespace(text: &str) -> Result<String, String> {
    // With the longest of the names that will follow it.
    let is_prefix = text.parse::<Nsid>().is_ok() || format!("{text}.track").parse::<Nsid>().is_ok();
    let is_whole =
        format!("{text}.actor.profile").parse::<Nsid>().is_ok() && text == text.to_ascii_lowercase();
    match is_prefix && is_whole {
        true => Ok(text.to_owned()),
        false => Err("not the beginning of an NSID; a domain reversed in lower case, such as fm.plyr".into()),
    }
}

fn log(text: &str) -> Result<String, String> {
    let filter = EnvFilter::builder().parse(text);
    filter.map(|_| text.to_owned()).map_err(|error| format!("{error}; write for example info,indexer=debug"))
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("`text` or `json`".into()),
    }
}

fn upstreams(errors: &mut Errors, text: &Option<String>) -> Vec<Upstream> {
    const NAME: &str = "PLYR_UPSTREAMS";
    let mut upstreams: Vec<Upstream> = Vec::new();
    for upstream in list(errors, NAME, text, upstream) {
        if upstreams.contains(&upstream) {
            errors.push(format!("{NAME}: `{}`: named twice", upstream.key));
        } else {
            upstreams.push(upstream);
        }
    }
    upstreams
}

fn upstream(text: &str) -> Result<Upstream, String> {
    let example = "write for example repos+wss://bsky.network";
    let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("not an upstream; {example}"))?;
    let kind = scheme.split_once('+').and_then(|(kind, _)| Kind::from_word(kind));
    let (kind, ws, http) = match (kind, scheme.split_once('+')) {
        (Some(kind), Some((_, "wss"))) => (kind, "wss", "https"),
        (Some(kind), Some((_, "ws"))) => (kind, "ws", "http"),
        _ => {
            return Err(
                "this scheme is not known; use repos+wss://, jetstream1+wss:// or jetstream2+wss://, or ws for wss \
                 without TLS"
                    .into(),
            );
        }
    };
    let parse = |scheme: &str| Url::parse(&format!("{scheme}://{rest}"));
    let (Ok(ws_url), Ok(http_url)) = (parse(ws), parse(http)) else {
        return Err(format!("not a host after the scheme; {example}"));
    };
    let is_bare = ws_url.path() == "/"
        && ws_url.username().is_empty()
        && ws_url.password().is_none()
        && ws_url.query().is_none()
        && ws_url.fragment().is_none();
    if !is_bare {
        return Err(format!("a host and port only, without path, query or credentials; {example}"));
    }
    let key = format!("{}+{}", kind.as_str(), ws_url.as_str().trim_end_matches('/'));
    Ok(Upstream { key, kind, ws_url, http_url })
}
