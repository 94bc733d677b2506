//! A Postgres, and a directory of identities.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sim::recording::Recorded;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use url::Url;

use crate::directory;

/// What everything runs on.
pub struct Server {
    options: PgConnectOptions,
    postmaster: i32,
    /// Where the directory is.
    pub plc_url: Url,
    /// Whom it knows.
    pub dids: Vec<String>,
    own: Option<Own>,
}

/// A Postgres that was started here.
struct Own {
    #[cfg(feature = "embedded")]
    postgres: plyr::postgres::Server,
    dir: tempfile::TempDir,
}

impl Server {
    /// Takes the Postgres that `DATABASE_URL` names, where new databases are made, or starts one; and starts a directory that
    /// knows these accounts.
    pub async fn start(accounts: &[Recorded]) -> anyhow::Result<Self> {
        match std::env::var("DATABASE_URL") {
            Ok(url) => Server::over(url.parse()?, None, accounts).await,
            Err(_) => Server::start_own(accounts).await,
        }
    }

    /// The same, with a Postgres of its own in any case.
    #[cfg(feature = "embedded")]
    pub async fn start_own(accounts: &[Recorded]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711))?;
        let postgres = plyr::postgres::start(&plyr::postgres::Options::new(dir.path())).await?;
        let options = postgres.connect_options();
        Server::over(options, Some(Own { postgres, dir }), accounts).await
    }

    /// The same, with a Postgres of its own in any case.
    #[cfg(not(feature = "embedded"))]
    pub async fn start_own(_: &[Recorded]) -> anyhow::Result<Self> {
        anyhow::bail!("this build starts no Postgres: it takes the one that DATABASE_URL names")
    }

    async fn over(
        options: PgConnectOptions,
        own: Option<Own>,
        accounts: &[Recorded],
    ) -> anyhow::Result<Self> {
        let mut connection = options.connect().await?;
        let data: String = sqlx::query_scalar("show data_directory").fetch_one(&mut connection).await?;
        let pid = std::fs::read_to_string(PathBuf::from(data).join("postmaster.pid"))?;
        let postmaster = pid.lines().next().unwrap_or_default().trim().parse()?;
        let documents: HashMap<String, String> =
            accounts.iter().map(|account| (account.did.clone(), account.document.to_string())).collect();
        let dids = documents.keys().cloned().collect();
        let plc_url = directory::start(Arc::new(documents)).await?;
        Ok(Server { options, postmaster, plc_url, dids, own })
    }

    /// Makes an empty database, anew if there is one of that name, and says how to connect to it.
    pub async fn database(&self, name: &str) -> anyhow::Result<PgConnectOptions> {
        let mut admin = self.options.connect().await?;
        admin.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await?;
        admin.execute(AssertSqlSafe(format!("create database {name}"))).await?;
        Ok(self.options(name))
    }

    /// How to connect to a database.
    pub fn options(&self, name: &str) -> PgConnectOptions {
        self.options.clone().database(name)
    }

    /// The log of a Postgres of our own.
    pub fn log(&self) -> Option<PathBuf> {
        crate::charts::plans::log_below(self.own.as_ref()?.dir.path())
    }

    /// Processor time that Postgres has used so far, all its processes, living and dead.
    pub fn processor_time(&self) -> Duration {
        let ticks: i64 = self.processes().iter().map(|process| process.ticks).sum();
        Duration::from_millis(ticks as u64 * 10)
    }

    /// Stops all processes of a Postgres of our own where they stand, as a dying disk does: connections stay open, and
    /// nothing is answered.
    pub fn stall(&self) -> anyhow::Result<Stalled> {
        anyhow::ensure!(self.own.is_some(), "this Postgres is not ours to stall");
        // The postmaster first, so that no others come.
        signal("STOP", &[self.postmaster])?;
        let stalled = Stalled { pids: self.processes().iter().map(|process| process.pid).collect() };
        signal("STOP", &stalled.pids)?;
        Ok(stalled)
    }

    fn processes(&self) -> Vec<Process> {
        let mut found = Vec::new();
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(stat) = std::fs::read_to_string(process.path().join("stat")) else { continue };
            let Some((pid, rest)) = stat.split_once(' ') else { continue };
            let Ok(pid) = pid.parse() else { continue };
            let fields: Vec<i64> = rest
                .rsplit(')')
                .next()
                .unwrap_or("")
                .split_whitespace()
                .skip(1)
                .filter_map(|field| field.parse().ok())
                .collect();
            // From the parent's id on: own user and system time are 10 and 11, those of dead children 12 and 13.
            let (own, dead): (i64, i64) =
                (fields.iter().skip(10).take(2).sum(), fields.iter().skip(12).take(2).sum());
            if pid == self.postmaster {
                found.push(Process { pid, ticks: own + dead });
            } else if fields.first() == Some(&i64::from(self.postmaster)) {
                found.push(Process { pid, ticks: own });
            }
        }
        found
    }

    /// Ends it.
    pub async fn stop(self) {
        #[cfg(feature = "embedded")]
        if let Some(own) = self.own {
            own.postgres.stop().await;
        }
    }
}

struct Process {
    pid: i32,
    ticks: i64,
}

/// A Postgres that stands still, until this is dropped.
pub struct Stalled {
    pids: Vec<i32>,
}

impl Drop for Stalled {
    fn drop(&mut self) {
        if let Err(error) = signal("CONT", &self.pids) {
            eprintln!("Postgres stands still for ever: {error}");
        }
    }
}

/// By a shell: a small system has no other `kill`.
fn signal(name: &str, pids: &[i32]) -> anyhow::Result<()> {
    let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
    let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", pids.join(" "))).status()?;
    anyhow::ensure!(sent.success(), "kill -{name}: {sent}");
    Ok(())
}
