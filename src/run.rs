//! The commands: which parts of plyr run in this process, and how they end.

mod audit;
mod backfill;
mod database;
mod house;
mod lexicons;
mod pages;
mod problems;
mod progress;
mod secret;
pub mod sim;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use appview::publish::Publisher;
use appview::session::Sessions;
use appview::store::BlobStore;
use appview::upload::{self, Workshop};
use appview::{App, mirror};
use indexer::apply::Door;
use indexer::apply::rebuild as rebuilding;
use indexer::firehose::{self, Upstream};
use indexer::identity::Identity;
use indexer::net::Net;
use indexer::record::Registry;
use indexer::{Indexer, chart, compare, due, job, jobs, search};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::telemetry;
pub use audit::{audit, audit_counts};
pub use backfill::backfill;
use database::Database;
pub use lexicons::lexicons;
pub use pages::import_pages;
pub use problems::problems;
use progress::Progress;

/// At the end, for what was asked of other servers and cannot be asked twice.
const SETTLING: Duration = Duration::from_secs(10);

/// Runs a command on the runtime that all of plyr shares.
pub fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    // Two TLS libraries could be linked in one day; saying which is used keeps rustls from having to guess.
    rustls::crypto::ring::default_provider().install_default().ok();
    raise_file_limit();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}

/// Connections and files are counted against a soft limit that is often 1,024; the hard limit is what was meant for us.
fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read and write only the struct they are given.
    let raised = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 && {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit) == 0
        }
    };
    if !raised {
        tracing::warn!("cannot raise the limit of open files");
    }
}

/// Everything in one process.
pub async fn up(config: Config) -> anyhow::Result<()> {
    let (config, database) = Database::open(config).await?;
    database.migrate().await?;
    let mut parts = Parts::begin(&config, &database).await?;
    parts.index()?;
    parts.work()?;
    parts.serve().await?;
    parts.until_stopped(database).await
}

/// The upstreams into the database.
pub async fn index(config: Config) -> anyhow::Result<()> {
    let (config, database) = Database::open(config).await?;
    database.expect_migrated().await?;
    let mut parts = Parts::begin(&config, &database).await?;
    parts.index()?;
    parts.until_stopped(database).await
}

/// The database to clients and the page; with `work`, the queue of jobs too.
pub async fn serve(config: Config, work: bool) -> anyhow::Result<()> {
    let (config, database) = Database::open(config).await?;
    database.expect_migrated().await?;
    let mut parts = Parts::begin(&config, &database).await?;
    if work {
        parts.work()?;
    }
    parts.serve().await?;
    parts.until_stopped(database).await
}

/// The queue of jobs.
pub async fn work(config: Config) -> anyhow::Result<()> {
    let (config, database) = Database::open(config).await?;
    database.expect_migrated().await?;
    let mut parts = Parts::begin(&config, &database).await?;
    parts.work()?;
    parts.until_stopped(database).await
}

/// Brings the schema up to date.
pub async fn migrate(config: Config) -> anyhow::Result<()> {
    let (_, database) = Database::open(config).await?;
    let ran = database.migrate().await?;
    println!("the schema is up to date ({ran} migrations ran)");
    database.close().await;
    Ok(())
}

/// Re-projects every record.
pub async fn rebuild(config: Config) -> anyhow::Result<()> {
    let (config, database) = Database::open(config).await?;
    database.expect_migrated().await?;
    let door = Door::open(database.pool.clone(), registry(&config)).await?;
    let progress = Progress::new("repos");
    let summary = rebuilding::rebuild(&door, |done, all| progress.at(done, Some(all), "")).await?;
    progress.end();
    println!(
        "{} repos and {} records re-projected; {} records have a problem and no projection; {} counts mended",
        summary.repos, summary.records, summary.problems, summary.counts_mended
    );
    database.close().await;
    Ok(())
}

fn registry(config: &Config) -> Registry {
    Registry::new(&config.namespace, config.public_url.clone()).with_page_hosts(&config.page_origins)
}

async fn indexer(config: &Config, database: &Database) -> anyhow::Result<Indexer> {
    let options = config.net_options();
    if let Some(dir) = &options.spool_dir {
        std::fs::create_dir_all(dir).with_context(|| format!("PLYR_DATA_DIR: {}", dir.display()))?;
    }
    let net = Net::new(options)?;
    let identity = Identity::new(net.clone(), config.identity_options());
    let door = Door::open(database.pool.clone(), registry(config)).await?;
    Ok(Indexer::new(Arc::new(door), identity, net).with_backlinks(config.backlinks_url.clone()))
}

fn options(config: &Config) -> appview::Options {
    appview::Options {
        media_url: config.media_url.clone(),
        web_origins: config.web_origins.clone(),
        namespace: config.namespace.clone(),
        schema_version: database::schema_version(),
        upload_max_mb: config.max_upload_mb,
        upload_day_mb: config.upload_day_mb,
        free_min_mb: config.free_min_mb,
        rates: config.rates,
        client_address_header: config.client_address_header.clone(),
        ..appview::Options::new(config.public_url.clone())
    }
}

/// The parts that run in this process. They stop together: told to, or because one failed.
struct Parts<'a> {
    config: &'a Config,
    indexer: Indexer,
    store: BlobStore,
    /// Made when the first part needs them: reading the network needs no key.
    sessions: Option<Sessions>,
    connect: sqlx::postgres::PgConnectOptions,
    /// Whether it hears what other processes meet.
    follows: bool,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl<'a> Parts<'a> {
    async fn begin(config: &'a Config, database: &Database) -> anyhow::Result<Self> {
        let indexer = indexer(config, database).await?;
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        if let Some(listen) = config.metrics_listen {
            let pools = vec![("write", database.pool.clone())];
            tasks.spawn(telemetry::serve(listen, telemetry::metrics()?, pools, stop.clone()));
        }
        let store = BlobStore::new(config.data_dir.join("media"));
        let connect = database.connect.clone();
        Ok(Parts { config, indexer, store, sessions: None, connect, follows: false, stop, tasks })
    }

    fn index(&mut self) -> anyhow::Result<()> {
        for upstream in &self.config.upstreams {
            let upstream = Upstream {
                key: upstream.key.as_str().into(),
                kind: upstream.kind,
                ws_url: upstream.ws_url.clone(),
                http_url: upstream.http_url.clone(),
            };
            self.tasks.spawn(firehose::run(self.indexer.clone(), upstream, self.stop.clone()));
        }
        self.tasks.spawn(compare::run(self.indexer.clone(), self.config.compare_every, self.stop.clone()));
        self.indexer.door.hear_all();
        self.follow_others();
        let pool = self.indexer.door.pool.clone();
        self.tasks.spawn(firehose::blind::watch(pool, self.config.blind_after, self.stop.clone()));
        Ok(())
    }

    /// Once in a process, whether it reads the stream, works, or both.
    fn follow_others(&mut self) {
        if !std::mem::replace(&mut self.follows, true) {
            let (door, stop) = (self.indexer.door.clone(), self.stop.clone());
            self.tasks.spawn(async move { door.follow_others(stop).await });
        }
    }

    fn work(&mut self) -> anyhow::Result<()> {
        self.follow_others();
        let sessions = self.sessions()?;
        let publisher = Publisher::new(sessions.clone());
        let workshop = Workshop::new(self.store.clone(), sessions.clone(), options(self.config));
        let mut handlers = jobs::handlers(&self.indexer);
        handlers.insert(job::INTENT, publisher.handler());
        handlers.insert(job::BLOB, mirror::handler(self.indexer.clone(), self.store.clone()));
        handlers.insert(job::UPLOAD, upload::handler(workshop));
        let pool = self.indexer.door.pool.clone();
        self.tasks.spawn(job::run(pool.clone(), handlers, self.stop.clone()));
        let origins = chart::Origins::new(self.config.open_hosts.iter().cloned());
        self.tasks.spawn(due::run(chart::Charts::new(origins), pool.clone(), self.stop.clone()));
        self.tasks.spawn(due::run(search::Search, pool.clone(), self.stop.clone()));
        self.tasks.spawn(house::keep(pool, self.store.clone(), sessions, self.stop.clone()));
        Ok(())
    }

    fn sessions(&mut self) -> anyhow::Result<Sessions> {
        if let Some(sessions) = &self.sessions {
            return Ok(sessions.clone());
        }
        let config = self.config;
        let key = secret::key(config)?;
        let sessions = Sessions::new(self.indexer.clone(), &config.public_url, &config.namespace, &key);
        self.sessions = Some(sessions.clone());
        Ok(sessions)
    }

    async fn serve(&mut self) -> anyhow::Result<()> {
        let config = self.config;
        let sessions = self.sessions()?;
        if !sessions.are_possible() {
            tracing::warn!(
                url = %config.public_url,
                "nobody can sign in: PLYR_PUBLIC_URL is neither https nor http on a loopback address such as 127.0.0.1"
            );
        }
        if config.public_url.scheme() == "https" && config.client_address_header.is_none() {
            tracing::warn!(
                "who is not signed in is not limited where only the proxy's private address shows: \
                 PLYR_CLIENT_ADDRESS_HEADER names the header in which it says who calls"
            );
        }
        let listener = TcpListener::bind(config.listen).await.with_context(|| {
            format!("PLYR_LISTEN: cannot listen on {}; choose another address", config.listen)
        })?;
        let (connect, store) = (self.connect.clone(), self.store.clone());
        let app = App::new(options(config), connect, store, sessions, self.stop.clone());
        tracing::info!(listen = %config.listen, url = %config.public_url, "serving");
        self.tasks.spawn(appview::serve(listener, app));
        Ok(())
    }

    /// Runs until a signal or a failure, then lets every part finish what it has begun.
    async fn until_stopped(mut self, database: Database) -> anyhow::Result<()> {
        let mut failure = None;
        tokio::select! {
            signal = signalled() => tracing::info!(signal = signal?, "stopping"),
            Some(ended) = self.tasks.join_next() => {
                // No part ends by itself unless something is wrong with it.
                failure = ended.map_err(anyhow::Error::from).and_then(|ended| ended).err();
            }
        }
        self.stop.cancel();
        // Whoever asks twice does not want to wait.
        tokio::spawn(async {
            if signalled().await.is_ok() {
                tracing::warn!("ended at once; what was unfinished will be done again");
                std::process::exit(130);
            }
        });
        while let Some(ended) = self.tasks.join_next().await {
            failure = failure.or(ended.map_err(anyhow::Error::from).and_then(|ended| ended).err());
        }
        if let Some(sessions) = &self.sessions {
            sessions.settle(SETTLING).await;
        }
        database.close().await;
        tracing::info!("stopped");
        failure.map_or(Ok(()), Err)
    }
}

async fn signalled() -> anyhow::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    })
}
