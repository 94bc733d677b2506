//! A Postgres of our own, for everyone who has not set `DATABASE_URL`.
//!
//! [`start`] finds an installed Postgres and runs a cluster under the data directory: reached by a unix socket in a
//! private directory and by nothing else, hence without passwords. Several plyr processes may share it: the first starts
//! it, the last one to leave stops it.
//!
//! What keeps this right when processes die at any moment is three locks (`flock`), which the kernel releases with their
//! holders:
//!
//! | file | held by | means |
//! |---|---|---|
//! | `start.lock` | whoever starts or stops the cluster, for that long | one decision at a time |
//! | `users.lock`, shared | every plyr that uses the cluster | still needed |
//! | `running.lock` | the postmaster and its children, inherited at birth | our Postgres lives |
//!
//! So an orphan left by a `kill -9` is told from a stale `postmaster.pid` without trusting process ids, and only a
//! process proven to be the postmaster of this very directory is ever signalled.

mod account;
mod cluster;
mod install;
mod layout;
mod lock;
mod postmaster;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio_util::task::AbortOnDropHandle;

pub use self::account::usable_data_dir;
use self::layout::Layout;

/// The oldest Postgres that will do.
const OLDEST_MAJOR: u32 = 15;
/// The role and the database we use.
const NAME: &str = "plyr";
/// Names the socket file; no TCP port is opened.
const PORT: u16 = 5432;
/// How often a running cluster is looked after.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How long another process's start or stop is waited for.
const LOCK_LIMIT: Duration = Duration::from_secs(11 * 60);

/// Where the cluster lives and how it is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// plyr's data directory; the cluster lives in `postgres` below it.
    pub data_dir: PathBuf,
    /// A directory with `postgres` and `initdb`, instead of searching for one.
    pub bin_dir: Option<PathBuf>,
    /// Searched after `/usr/lib/postgresql/*/bin`, as `PATH` is.
    pub search_path: Option<OsString>,
    /// Whether committed data survives a power failure. Off only for tests, which it makes faster.
    pub durable: bool,
    /// Connections at once. A plyr takes up to some forty.
    pub connections_max: u16,
    /// How long a starting or adopted postmaster may stay silent before it counts as broken. Crash recovery is not
    /// silence.
    pub patience: Duration,
}

impl Options {
    /// The defaults for a data directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Options {
            data_dir: data_dir.into(),
            bin_dir: None,
            search_path: None,
            durable: true,
            connections_max: 100,
            patience: Duration::from_secs(30),
        }
    }
}

/// Why there is no embedded Postgres. Each message is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No installation was found.
    #[error(
        "no Postgres {OLDEST_MAJOR} or newer is installed: run `apt-get install -y postgresql`, or set DATABASE_URL to \
         use a server of your own{0}"
    )]
    NotInstalled(String),
    /// `PG_BIN_DIR` holds no usable installation.
    #[error("PG_BIN_DIR: `{0}`: {1}")]
    BinDir(PathBuf, String),
    /// The cluster was made by another major version.
    #[error(
        "the database in {dir} was made by Postgres {cluster}, and only {found} is installed: install Postgres {cluster} \
         (`apt-get install -y postgresql-{cluster}`), or bring the data over with pg_upgrade"
    )]
    Version {
        /// The cluster's directory.
        dir: PathBuf,
        /// What made it.
        cluster: String,
        /// What there is, e.g. `16, 17`.
        found: String,
    },
    /// The cluster's directory is not what it should be.
    #[error("{0}: {1}")]
    Directory(PathBuf, String),
    /// Somebody else runs a postmaster on our cluster.
    #[error(
        "process {pid}, which plyr did not start, runs Postgres on {dir}: stop it, then start plyr again"
    )]
    Foreign {
        /// Its process id.
        pid: i32,
        /// The cluster's directory.
        dir: PathBuf,
    },
    /// A program of the installation failed.
    #[error("{program} failed:\n{output}")]
    Program {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// The last lines it wrote.
        output: String,
    },
    /// The server answers nothing, and could not be replaced.
    #[error("Postgres gives no answer; the last lines of {log}:\n{tail}")]
    Silent {
        /// The log file.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// Another plyr process holds a lock for too long.
    #[error("{0}: still locked by another process")]
    Locked(PathBuf),
    /// A file, directory or process operation failed.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
    /// The server answers, and not as it should.
    #[error("preparing the database: {0}")]
    Sql(#[from] sqlx::Error),
}

/// Adds what was being done to an I/O error.
fn doing<T>(what: impl std::fmt::Display, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|error| Error::Io(what.to_string(), error))
}

/// One process's use of the running cluster. Call [`Server::stop`] when done. Dropped instead, as by a crash, it leaves
/// Postgres running for the next start to adopt.
#[derive(Debug)]
pub struct Server {
    layout: Layout,
    options: Options,
    users: File,
    watch: AbortOnDropHandle<()>,
}

/// Starts the cluster, or joins the one that runs, and returns when the database `plyr` can be used.
pub async fn start(options: &Options) -> Result<Server, Error> {
    let data_dir = usable_data_dir(&options.data_dir)?;
    let layout = Layout::create(&data_dir)?;
    let starting = lock::exclusive(&layout.start_lock(), LOCK_LIMIT).await?;
    // From here on we count as a user, so that whoever leaves does not stop what we are about to use.
    let users = lock::shared(&layout.users_lock())?;
    cluster::ensure_running(&layout, options).await?;
    prepare_database(&layout).await?;
    drop(starting);
    let watch = AbortOnDropHandle::new(tokio::spawn(watch(layout.clone(), options.clone())));
    Ok(Server { layout, options: options.clone(), users, watch })
}

impl Server {
    /// How to connect to the database.
    pub fn connect_options(&self) -> PgConnectOptions {
        connect_options(&self.layout, NAME)
    }

    /// The same as a URL, for other programs (psql, sqlx-cli).
    pub fn url(&self) -> String {
        // The directory goes through a query parameter, in which any path can be written.
        let socket = self.layout.socket_dir.to_string_lossy();
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("host", &socket).finish();
        format!("postgres://{NAME}@localhost:{PORT}/{NAME}?{}", query.replace('+', "%20"))
    }

    /// The data directory in use, which is not the wanted one where [`usable_data_dir`] moved it.
    pub fn data_dir(&self) -> &Path {
        &self.layout.data_dir
    }

    /// Leaves the cluster, and stops it if no other process uses it. Connections still open are ended.
    pub async fn stop(self) {
        let Server { layout, options, users, watch } = self;
        drop(watch);
        // A process that is starting needs the cluster anyway: no need to wait for it longer than this.
        let stopping = lock::exclusive(&layout.start_lock(), Duration::from_secs(60)).await;
        drop(users);
        match stopping {
            Ok(_) if lock::is_held(&layout.users_lock()) => {
                tracing::info!("Postgres stays: another process uses it");
            }
            Ok(_guard) => match postmaster::stop(&layout, options.patience).await {
                Ok(()) => tracing::info!("Postgres stopped"),
                Err(error) => tracing::warn!(%error, "Postgres may still run"),
            },
            Err(error) => tracing::warn!(%error, "Postgres stays"),
        }
    }
}

fn connect_options(layout: &Layout, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(&layout.socket_dir)
        .port(PORT)
        .username(NAME)
        .database(database)
        .ssl_mode(PgSslMode::Disable)
        .application_name("plyr")
}

/// The database and its extension, created once.
async fn prepare_database(layout: &Layout) -> Result<(), Error> {
    let mut connection = connect_alone(layout, "postgres").await?;
    let exists: Option<i32> = sqlx::query_scalar("select 1 from pg_database where datname = $1")
        .bind(NAME)
        .fetch_optional(&mut connection)
        .await?;
    if exists.is_none() {
        sqlx::query("create database plyr").execute(&mut connection).await?;
    }
    connection.close().await?;
    let mut connection = connect_alone(layout, NAME).await?;
    sqlx::query("create extension if not exists pg_trgm").execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// A connection that waits for the one before it to end: what a killed process had asked for goes on in the server, and
/// neither statement below bears company.
async fn connect_alone(layout: &Layout, database: &str) -> Result<PgConnection, Error> {
    let mut connection = connect_options(layout, database).connect().await?;
    sqlx::query("select pg_advisory_lock(hashtext('plyr: prepare'))").execute(&mut connection).await?;
    Ok(connection)
}

/// Starts the cluster again if it dies while we use it (the kernel's out-of-memory killer, an operator's mistake). Pools
/// find it again at the same socket.
async fn watch(layout: Layout, options: Options) {
    loop {
        tokio::time::sleep(WATCH_INTERVAL).await;
        if postmaster::is_running(&layout) {
            continue;
        }
        tracing::error!("Postgres is gone; starting it again");
        let starting = lock::exclusive(&layout.start_lock(), LOCK_LIMIT).await;
        let started = match &starting {
            Ok(_) => cluster::ensure_running(&layout, &options).await,
            Err(_) => continue,
        };
        match started {
            Ok(()) => tracing::info!("Postgres runs again"),
            Err(error) => {
                tracing::error!(%error, "Postgres does not start");
                drop(starting);
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        }
    }
}
