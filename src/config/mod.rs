//! The one place where settings come from: flags and environment in, checked values out.
//!
//! [`Invocation::from_process`] reads everything once at boot. All mistakes are told at once, each by the name of its
//! variable; nothing else in the program reads the environment.

mod cli;
mod lexicons;
mod problems;
mod read;
mod simulation;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use appview::limit::Rates;
use appview::session::SecretKey;
use axum::http::HeaderName;
use indexer::firehose::Kind;
use indexer::identity::IdentityOptions;
use indexer::net::{Authority, Crowd, NetOptions};
use indexer::syntax::Did;
use sqlx::postgres::PgConnectOptions;
use url::Url;

use crate::postgres;
pub(crate) use lexicons::APP_PASSWORD;
pub use lexicons::{Account, Lexicons, Password, Publish};
pub use problems::Problems;
use problems::ProblemsText;
pub use simulation::Simulation;

/// What this process is to do, and with which settings.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// The command.
    pub command: Command,
    /// The settings.
    pub config: Config,
}

/// The commands; `plyr --help` says what each does.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Migrate, then index, work and serve.
    Up,
    /// Read the upstreams.
    Index,
    /// Answer requests.
    Serve {
        /// And do queued jobs.
        work: bool,
    },
    /// Do queued jobs.
    Work,
    /// Bring the schema up to date.
    Migrate,
    /// Build anew what is derived from records.
    Rebuild,
    /// Write down what pages of other servers show.
    ImportPages {
        /// One JSON object a line; `-` for the standard input.
        file: PathBuf,
        /// Whose tracks are told by number, a bare origin.
        origin: Option<Url>,
    },
    /// Read whole repos.
    Backfill {
        /// The host to read from, a bare origin.
        from: Option<Url>,
        /// The accounts to read; none means all that the host lists.
        dids: Vec<Did>,
        /// Whether an interrupted one is not continued.
        anew: bool,
        /// Where the failures are written down.
        failures: Option<PathBuf>,
    },
    /// Compare repos with their PDSes.
    Audit {
        /// How many, at random; none means all.
        sample: Option<u32>,
        /// Whether those that drifted are to be read anew.
        repair: bool,
    },
    /// Compare numbers with records.
    AuditCounts,
    /// Serve a simulated network.
    Sim(Box<Simulation>),
    /// Look at what was kept aside, or try it again.
    Problems(Problems),
    /// Tell or publish what records and methods may say.
    Lexicons(Lexicons),
}

/// All settings, checked. `plyr up --help` explains each.
#[derive(Debug, Clone)]
pub struct Config {
    /// `DATABASE_URL`; none for the embedded Postgres.
    pub database_url: Option<DatabaseUrl>,
    /// `PLYR_DATA_DIR`. Where the embedded Postgres is used, [`postgres::Server::data_dir`] is the one to keep to.
    pub data_dir: PathBuf,
    /// `PG_BIN_DIR`.
    pub pg_bin_dir: Option<PathBuf>,
    /// `PATH`, as the embedded Postgres is looked for there too.
    pub search_path: Option<OsString>,
    /// `PLYR_UPSTREAMS`, in the order given.
    pub upstreams: Vec<Upstream>,
    /// `PLYR_BLIND_AFTER`.
    pub blind_after: Duration,
    /// `PLYR_PLC_URL`.
    pub plc_url: Url,
    /// `PLYR_HANDLE_RESOLVER_URL`.
    pub handle_resolver_url: Option<Url>,
    /// `PLYR_PRIVATE_HOSTS`.
    pub private_hosts: HashSet<Authority>,
    /// `PLYR_NAMESPACE`, without a final dot: `fm.plyr`.
    pub namespace: String,
    /// `PLYR_BACKLINKS_URL`.
    pub backlinks_url: Option<Url>,
    /// `PLYR_OPEN_HOSTS`, domains.
    pub open_hosts: Vec<String>,
    /// `PLYR_PAGE_ORIGINS`, each a bare origin.
    pub page_origins: Vec<Url>,
    /// `PLYR_COMPARE_EVERY`; none when `off`.
    pub compare_every: Option<Duration>,
    /// `PLYR_BACKFILL_AT_ONCE` and `PLYR_BACKFILL_PER_HOST`.
    pub crowd: Crowd,
    /// `PLYR_LISTEN`.
    pub listen: SocketAddr,
    /// `PLYR_PUBLIC_URL`, a bare origin.
    pub public_url: Url,
    /// `PLYR_WEB_ORIGINS`, each a bare origin.
    pub web_origins: Vec<Url>,
    /// `PLYR_MEDIA_URL`; its path, if any, is the prefix of all media.
    pub media_url: Option<Url>,
    /// `PLYR_MAX_UPLOAD_MB`.
    pub max_upload_mb: u64,
    /// `PLYR_UPLOAD_DAY_MB`.
    pub upload_day_mb: u64,
    /// `PLYR_FREE_MIN_MB`.
    pub free_min_mb: u64,
    /// `PLYR_RATE_AUTH`, `PLYR_RATE_WRITE`, `PLYR_RATE_UPLOAD`, `PLYR_RATE_READ`.
    pub rates: Rates,
    /// `PLYR_CLIENT_ADDRESS_HEADER`.
    pub client_address_header: Option<HeaderName>,
    /// `PLYR_SECRET_KEY`; none where one is to be made and kept.
    pub secret_key: Option<SecretKey>,
    /// `PLYR_METRICS_LISTEN`; none when `off`.
    pub metrics_listen: Option<SocketAddr>,
    /// `PLYR_LOG`, a filter in the syntax of tracing's `EnvFilter`.
    pub log: String,
    /// `PLYR_LOG_FORMAT`.
    pub log_format: LogFormat,
}

/// One source of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// How the database knows it: scheme and host as configured, normalised, e.g. `repos+wss://bsky.network`.
    pub key: String,
    /// What it speaks.
    pub kind: Kind,
    /// Its origin for websockets, e.g. `wss://bsky.network/`.
    pub ws_url: Url,
    /// Its origin for requests, e.g. `https://bsky.network/`.
    pub http_url: Url,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// A checked `DATABASE_URL`. Its password shows neither in logs nor in errors.
#[derive(Clone)]
pub struct DatabaseUrl {
    text: String,
    options: PgConnectOptions,
}

impl DatabaseUrl {
    /// How to connect.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// The URL itself, password included.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

/// Everything that is wrong with the settings, a line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigError(pub Vec<String>);

/// What is read of the environment and has no flag.
#[derive(Default)]
struct Environment {
    search_path: Option<OsString>,
    app_password: Option<String>,
}

impl Invocation {
    /// Reads this process's command line and environment. Prints what is wrong, or the help asked for, and exits.
    pub fn from_process() -> Self {
        let cli = cli::parse(cli::command_line(), std::env::args_os()).unwrap_or_else(|error| error.exit());
        let environment = Environment {
            search_path: std::env::var_os("PATH"),
            app_password: std::env::var(APP_PASSWORD).ok(),
        };
        Self::from_cli(cli, environment).unwrap_or_else(|error| {
            eprintln!("{error}");
            // The code that wrong arguments have everywhere.
            std::process::exit(2)
        })
    }

    fn from_cli(cli: cli::Cli, environment: Environment) -> Result<Self, ConfigError> {
        let mut errors = Vec::new();
        let (command, settings) = match cli.command {
            cli::CliCommand::Up(settings) => (Command::Up, settings),
            cli::CliCommand::Index(settings) => (Command::Index, settings),
            cli::CliCommand::Serve { work, settings } => (Command::Serve { work }, settings),
            cli::CliCommand::Work(settings) => (Command::Work, settings),
            cli::CliCommand::Migrate(settings) => (Command::Migrate, settings),
            cli::CliCommand::Rebuild(settings) => (Command::Rebuild, settings),
            cli::CliCommand::ImportPages { file, origin, settings } => {
                (read::import_pages(file, origin, &mut errors), settings)
            }
            cli::CliCommand::Backfill { from, anew, failures, dids, settings } => {
                (read::backfill(from.as_deref(), &dids, (anew, failures), &mut errors), settings)
            }
            cli::CliCommand::Audit { what: cli::Audited::Counts, settings, .. } => {
                (Command::AuditCounts, settings)
            }
            cli::CliCommand::Audit { sample, all, repair, settings, .. } => {
                (Command::Audit { sample: (!all).then_some(sample), repair }, settings)
            }
            cli::CliCommand::Sim(arguments) => {
                (simulation::read(&arguments, &mut errors), arguments.settings)
            }
            cli::CliCommand::Problems(cli) => match *cli {
                cli::ProblemsCli { command: Some(ProblemsText::Retry { filter, ids, settings }), .. } => {
                    (problems::retry(&filter, &ids, &mut errors), settings)
                }
                cli::ProblemsCli { command: None, list, settings } => {
                    (problems::list(list, &mut errors), settings)
                }
            },
            cli::CliCommand::Lexicons { command } => {
                lexicons::read(*command, environment.app_password, &mut errors)
            }
        };
        let config = read::config(&settings, environment.search_path, &mut errors);
        let needs_upstream = match &command {
            Command::Up | Command::Index => true,
            Command::Backfill { from, dids, .. } => from.is_none() && dids.is_empty(),
            Command::Serve { .. }
            | Command::Work
            | Command::Migrate
            | Command::Rebuild
            | Command::ImportPages { .. }
            | Command::Audit { .. }
            | Command::AuditCounts
            | Command::Sim(_)
            | Command::Problems(_)
            | Command::Lexicons(_) => false,
        };
        if needs_upstream && config.upstreams.is_empty() && errors.is_empty() {
            errors.push(
                "PLYR_UPSTREAMS: not set, and this command needs a source of events; for example \
                 PLYR_UPSTREAMS=repos+wss://bsky.network"
                    .into(),
            );
        }
        if errors.is_empty() { Ok(Invocation { command, config }) } else { Err(ConfigError(errors)) }
    }
}

impl Config {
    /// For the guarded client: what the operator listed or configured is exempt.
    pub fn net_options(&self) -> NetOptions {
        let configured =
            [Some(&self.plc_url), self.handle_resolver_url.as_ref(), self.backlinks_url.as_ref()];
        let upstreams = self.upstreams.iter().map(|upstream| &upstream.http_url);
        NetOptions {
            private_hosts: self.private_hosts.clone(),
            operator_urls: configured.into_iter().flatten().chain(upstreams).cloned().collect(),
            crowd: self.crowd,
            spool_dir: Some(self.data_dir.join("tmp")),
            ..NetOptions::default()
        }
    }

    /// For the resolver of DIDs and handles.
    pub fn identity_options(&self) -> IdentityOptions {
        IdentityOptions {
            handle_resolver_url: self.handle_resolver_url.clone(),
            ..IdentityOptions::new(self.plc_url.clone())
        }
    }

    /// For the embedded Postgres.
    pub fn postgres_options(&self) -> postgres::Options {
        postgres::Options {
            bin_dir: self.pg_bin_dir.clone(),
            search_path: self.search_path.clone(),
            ..postgres::Options::new(&self.data_dir)
        }
    }
}
