//! One Postgres for all tests, run by the code under test; a database for each.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Executor, PgPool};
use tokio::sync::OnceCell;

use super::eventually;

struct Cluster {
    options: PgConnectOptions,
    _server: plyr::postgres::Server,
    _undertaker: Child,
}

/// A database of one test.
pub struct Database {
    pub url: String,
    pub pool: PgPool,
}

/// A folder that an unprivileged Postgres may enter.
pub fn data_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).expect("it is ours");
    dir
}

impl Database {
    /// An empty database.
    pub async fn create() -> Database {
        static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let cluster = CLUSTER.get_or_init(start).await;
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut admin = cluster.options.connect().await.expect("the cluster answers");
        admin.execute(sqlx::AssertSqlSafe(format!("create database {name}"))).await.expect("a database");
        let options = cluster.options.clone().database(&name);
        // Lazy: a pool belongs to the runtime of the test that uses it.
        let pool = indexer::pool::options().max_connections(4).connect_lazy_with(options.clone());
        Database { url: options.to_url_lossy().to_string(), pool }
    }

    /// The database of a cluster that one test has to itself and may stop, start and crash. What was committed and waited
    /// for is there after a crash, and of the rest as little as possible.
    pub async fn alone() -> (Database, Postgres) {
        let dir = data_dir().keep();
        let options = plyr::postgres::Options { durable: false, ..plyr::postgres::Options::new(&dir) };
        let server = plyr::postgres::start(&options).await.expect("Postgres starts");
        let pool = indexer::pool::options().max_connections(4).connect_lazy_with(server.connect_options());
        let database = Database { url: server.url(), pool };
        for sql in [
            "alter database plyr set synchronous_commit = on",
            "alter system set wal_writer_delay = '10s'",
            "select pg_reload_conf()",
        ] {
            let mut admin = server.connect_options().connect().await.expect("the cluster answers");
            admin.execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
        (database, Postgres { server: Some(server), options, _undertaker: bury_with_us(&dir) })
    }

    /// One column of text, in order.
    pub async fn texts(&self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql).fetch_all(&self.pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Changes rows behind plyr's back; how many.
    pub async fn run(&self, sql: &'static str) -> u64 {
        let done =
            sqlx::query(sql).execute(&self.pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        done.rows_affected()
    }

    /// One number.
    pub async fn number(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// A cluster of one test.
pub struct Postgres {
    server: Option<plyr::postgres::Server>,
    options: plyr::postgres::Options,
    _undertaker: Child,
}

impl Postgres {
    /// Stops it as an operator does: every connection is ended.
    pub async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// A process of it dies, and it recovers as from a crash.
    pub async fn crash(&self) {
        let options = self.server.as_ref().expect("it runs").connect_options();
        let mut victim = options.connect().await.expect("the cluster answers");
        let mut witness = options.connect().await.expect("the cluster answers");
        let pid: i32 =
            sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut victim).await.expect("its number");
        // SAFETY: kill has no memory preconditions; the process serves the connection that was just opened.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGKILL) }, 0);
        // Until the postmaster hears of it, it takes new connections as if nothing had happened; then it ends all there are.
        witness.execute("select pg_sleep(60)").await.expect_err("it is ended with the others");
        eventually("Postgres to be there again", || async {
            options.connect().await.map(drop).map_err(|error| error.to_string())
        })
        .await;
    }

    pub async fn start(&mut self) {
        self.server = Some(plyr::postgres::start(&self.options).await.expect("Postgres starts again"));
    }
}

async fn start() -> Cluster {
    let dir = data_dir().keep();
    let options = plyr::postgres::Options::new(&dir);
    // Many plyrs at once.
    let options = plyr::postgres::Options { durable: false, connections_max: 1000, ..options };
    let server = plyr::postgres::start(&options).await.expect("Postgres starts");
    let undertaker = bury_with_us(&dir);
    Cluster { options: server.connect_options(), _server: server, _undertaker: undertaker }
}

/// A process that outlives this one by a moment, however this one ends: it stops the postmaster and removes its files.
fn bury_with_us(dir: &Path) -> Child {
    let script = r#"cat > /dev/null; kill -INT "$(head -n 1 "$0"/postgres/*/postmaster.pid "$0"/postgres/postmaster.pid 2>/dev/null | grep -E '^[0-9]+$' | head -n 1)"; sleep 2; rm -rf "$0""#;
    Command::new("sh").arg("-c").arg(script).arg(dir).stdin(Stdio::piped()).spawn().expect("a shell")
}
