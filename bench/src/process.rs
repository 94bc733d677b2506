//! The binary, running as an operator runs it: `plyr up`, over a database of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use sqlx::postgres::PgPoolOptions;
use sqlx::{ConnectOptions, PgPool};

use crate::caller::Caller;
use crate::host::Host;
use crate::report::processor_time_of;
use crate::server::Server;

/// How long it may take to be ready.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running plyr. It is killed when this is dropped.
pub struct Process {
    /// Where it answers.
    pub address: SocketAddr,
    /// Its database.
    pub pool: PgPool,
    child: Child,
    dir: tempfile::TempDir,
}

/// What a process occupies, in KiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Memory {
    /// Now.
    pub now: u64,
    /// At most, so far.
    pub peak: u64,
}

impl Process {
    /// Starts it and waits until it is ready.
    pub async fn up(server: &Server, database: &str, host: &Host) -> anyhow::Result<Self> {
        server.database(database).await?;
        Process::over(server, database, host).await
    }

    /// The same over a database that is there.
    pub async fn over(server: &Server, database: &str, host: &Host) -> anyhow::Result<Self> {
        let options = server.options(database);
        let pool = PgPoolOptions::new().max_connections(4).connect_with(options.clone()).await?;
        let (dir, address) = (tempfile::tempdir()?, free_address()?);
        let log = File::create(dir.path().join("log"))?;
        let child = Command::new(binary()?)
            .arg("up")
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("DATABASE_URL", options.to_url_lossy().as_str())
            .env("PLYR_DATA_DIR", dir.path())
            .env("PLYR_LISTEN", address.to_string())
            .env("PLYR_METRICS_LISTEN", free_address()?.to_string())
            .env("PLYR_UPSTREAMS", format!("repos+ws://{}", host.authority()))
            .env("PLYR_PRIVATE_HOSTS", host.authority())
            .env("PLYR_PLC_URL", server.plc_url.as_str())
            .env("PLYR_HANDLE_RESOLVER_URL", format!("http://{}", host.authority()))
            // The host lists no repos, so there is nothing to compare with.
            .env("PLYR_COMPARE_EVERY", "off")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut process = Process { address, pool, child, dir };
        process.await_ready().await?;
        Ok(process)
    }

    async fn await_ready(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let ready = async { Caller::connect(self.address).await?.get("/health/ready").await };
            if ready.await.is_ok() {
                return Ok(());
            }
            anyhow::ensure!(self.child.try_wait()?.is_none(), "plyr ended:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("plyr does not get ready:\n{}", self.log())
    }

    /// What it occupies.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let number = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            number.with_context(|| format!("plyr has no {name}:\n{}", self.log()))
        };
        Ok(Memory { now: field("VmRSS")?, peak: field("VmHWM")? })
    }

    /// Processor time that it has used so far.
    pub fn processor_time(&self) -> Duration {
        processor_time_of(&self.child.id().to_string())
    }

    /// Waits until everything up to this event of the stream is applied.
    pub async fn applied(&mut self, seq: i64, patience: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let cursor: Option<i64> =
                sqlx::query_scalar("select max(cursor) from source").fetch_one(&self.pool).await?;
            if cursor.is_some_and(|cursor| cursor >= seq) {
                return Ok(());
            }
            anyhow::ensure!(self.child.try_wait()?.is_none(), "plyr ended:\n{}", self.log());
            anyhow::ensure!(
                began.elapsed() < patience,
                "plyr is at {cursor:?} and not at {seq}:\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Every commit of the stream left its record, and nothing is wrong with any.
    pub async fn check(&self, commits: usize) -> anyhow::Result<()> {
        let number = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.pool).await;
        let records = number("select count(*) from record where cid is not null and proven").await?;
        let problems = number("select count(*) from problem").await?;
        let behind = number("select count(*) from repo where state <> 'synchronized'").await?;
        anyhow::ensure!(
            records as usize == commits && problems == 0 && behind == 0,
            "{records} records of {commits}, {problems} problems, {behind} repos behind:\n{}",
            self.log()
        );
        Ok(())
    }

    /// The last of its log.
    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either fails only where it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// `PLYR_BIN`, or the binary that was built beside this one.
fn binary() -> anyhow::Result<PathBuf> {
    let path = match std::env::var_os("PLYR_BIN") {
        Some(path) => path.into(),
        None => std::env::current_exe()?.with_file_name("plyr"),
    };
    anyhow::ensure!(path.is_file(), "{} is missing: `make bench` builds it", path.display());
    Ok(path)
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
