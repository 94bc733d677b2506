//! A Postgres, a directory of identities, and databases with a door each.

use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indexer::Indexer;
use indexer::apply::Door;
use indexer::identity::{Identity, IdentityOptions};
use indexer::net::{Net, NetOptions};
use indexer::record::Registry;
use sim::recording::Recorded;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, PgPool};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

/// What everything runs on.
pub struct Server {
    options: PgConnectOptions,
    #[cfg(feature = "embedded")]
    postgres: Option<plyr::postgres::Server>,
    postmaster: i32,
    plc_url: Url,
    dids: Vec<String>,
    _dir: tempfile::TempDir,
}

/// A database and a door.
pub struct Ground {
    pub pool: PgPool,
    pub indexer: Indexer,
}

type Documents = Arc<HashMap<String, String>>;

impl Server {
    /// Takes the Postgres that `DATABASE_URL` names, where new databases are made, or starts one; and starts a directory that
    /// knows these accounts.
    pub async fn start(accounts: &[Recorded]) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711))?;
        let url = std::env::var("DATABASE_URL").ok();
        #[cfg(feature = "embedded")]
        let postgres = match url {
            None => Some(plyr::postgres::start(&plyr::postgres::Options::new(dir.path())).await?),
            Some(_) => None,
        };
        #[cfg(feature = "embedded")]
        let own = postgres.as_ref().map(plyr::postgres::Server::connect_options);
        #[cfg(not(feature = "embedded"))]
        let own = None;
        let options: PgConnectOptions = match (own, url) {
            (Some(options), _) => options,
            (None, Some(url)) => url.parse()?,
            (None, None) => anyhow::bail!("DATABASE_URL is not set"),
        };
        let mut connection = options.connect().await?;
        let data: String = sqlx::query_scalar("show data_directory").fetch_one(&mut connection).await?;
        let pid = std::fs::read_to_string(PathBuf::from(data).join("postmaster.pid"))?;
        let postmaster = pid.lines().next().unwrap_or_default().trim().parse()?;
        let documents: HashMap<String, String> =
            accounts.iter().map(|account| (account.did.clone(), account.document.to_string())).collect();
        let dids = documents.keys().cloned().collect();
        let plc_url = directory(Arc::new(documents)).await?;
        Ok(Server {
            options,
            #[cfg(feature = "embedded")]
            postgres,
            postmaster,
            plc_url,
            dids,
            _dir: dir,
        })
    }

    /// A new database, migrated, and a door that knows everybody's key.
    pub async fn ground(&self, name: &str) -> anyhow::Result<Ground> {
        let mut admin = self.options.connect().await?;
        admin.execute(AssertSqlSafe(format!("drop database if exists {name} with (force)"))).await?;
        admin.execute(AssertSqlSafe(format!("create database {name}"))).await?;
        let pool = PgPoolOptions::new()
            .max_connections(24)
            .connect_with(self.options.clone().database(name))
            .await?;
        indexer::MIGRATIONS.run(&pool).await?;
        let operator_urls = vec![self.plc_url.clone()];
        let net = Net::new(NetOptions { operator_urls, ..NetOptions::default() })?;
        let options =
            IdentityOptions { ttl: Duration::from_secs(3600), ..IdentityOptions::new(self.plc_url.clone()) };
        let identity = Identity::new(net.clone(), options);
        let mut lookups = JoinSet::new();
        for did in &self.dids {
            let (identity, did) = (identity.clone(), did.parse()?);
            lookups.spawn(async move { identity.document(&did).await.map(|_| ()) });
            if lookups.len() >= 32
                && let Some(done) = lookups.join_next().await
            {
                done??;
            }
        }
        while let Some(done) = lookups.join_next().await {
            done??;
        }
        let registry = Registry::new("fm.plyr", "https://plyr.example".parse()?);
        let door = Arc::new(Door::open(pool.clone(), registry).await?);
        Ok(Ground { pool, indexer: Indexer::new(door, identity, net) })
    }

    /// Processor time that Postgres has used so far, all its processes, living and dead.
    pub fn processor_time(&self) -> Duration {
        let mut ticks = 0;
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Ok(stat) = std::fs::read_to_string(process.path().join("stat")) else { continue };
            let Some((pid, rest)) = stat.split_once(' ') else { continue };
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
            if pid.parse() == Ok(self.postmaster) {
                ticks += own + dead;
            } else if fields.first() == Some(&i64::from(self.postmaster)) {
                ticks += own;
            }
        }
        Duration::from_millis(ticks as u64 * 10)
    }

    /// Ends it.
    pub async fn stop(self) {
        #[cfg(feature = "embedded")]
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
    }
}

impl Ground {
    /// Runs a statement.
    pub async fn run(&self, sql: &'static str) -> anyhow::Result<()> {
        self.pool.execute(sql).await?;
        Ok(())
    }

    /// One number.
    pub async fn number(&self, sql: &'static str) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }

    /// Empties a table.
    pub async fn truncate(&self, table: &str) -> anyhow::Result<()> {
        self.pool.execute(AssertSqlSafe(format!("truncate {table} cascade"))).await?;
        Ok(())
    }

    /// The tables that hold something, each with its columns that are not computed.
    pub async fn tables(&self) -> anyhow::Result<Vec<(String, String)>> {
        let tables: Vec<(String, String)> = sqlx::query_as(
            "select table_name::text, string_agg(quote_ident(column_name), ', ' order by ordinal_position)
             from information_schema.columns join information_schema.tables using (table_schema, table_name)
             where table_schema = 'public' and table_type = 'BASE TABLE' and is_generated = 'NEVER'
               and table_name <> '_sqlx_migrations'
             group by table_name order by table_name",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut held = Vec::new();
        for (table, columns) in tables {
            let sql = AssertSqlSafe(format!("select exists (select from {table})"));
            if sqlx::query_scalar(sql).fetch_one(&self.pool).await? {
                held.push((table, columns));
            }
        }
        Ok(held)
    }

    /// How many rows each of them has.
    pub async fn sizes(&self) -> anyhow::Result<Vec<(String, i64)>> {
        let mut sizes = Vec::new();
        for (table, _) in self.tables().await? {
            let sql = AssertSqlSafe(format!("select count(*) from {table}"));
            sizes.push((table, sqlx::query_scalar(sql).fetch_one(&self.pool).await?));
        }
        Ok(sizes)
    }

    /// Nothing was lost on the way.
    pub async fn check(&self) -> anyhow::Result<()> {
        let problems = self.number("select count(*) from problem").await?;
        let behind = self.number("select count(*) from repo where state <> 'synchronized'").await?;
        anyhow::ensure!(problems == 0 && behind == 0, "{problems} problems, {behind} repos behind");
        Ok(())
    }
}

/// A PLC directory with these documents.
async fn directory(documents: Documents) -> anyhow::Result<Url> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, documents.clone()));
        }
    });
    Ok(url)
}

async fn answer(mut stream: TcpStream, documents: Documents) -> std::io::Result<()> {
    let mut request = Vec::new();
    loop {
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let text = String::from_utf8_lossy(&request);
        let path = text.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').replace("%3A", ":");
        let (status, body) =
            documents.get(&path).map_or(("404 Not Found", "{}"), |body| ("200 OK", body.as_str()));
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
        request.clear();
    }
}
