//! Databases, with a door each.

use std::sync::Arc;
use std::time::Duration;

use indexer::Indexer;
use indexer::apply::Door;
use indexer::identity::{Identity, IdentityOptions};
use indexer::net::{Net, NetOptions};
use indexer::record::Registry;
use sqlx::{AssertSqlSafe, Executor, PgPool};
use tokio::task::JoinSet;

use crate::server::Server;

/// A database and a door.
pub struct Ground {
    pub pool: PgPool,
    pub indexer: Indexer,
}

impl Server {
    /// A new database, migrated, and a door that knows everybody's key.
    pub async fn ground(&self, name: &str) -> anyhow::Result<Ground> {
        let options = self.database(name).await?;
        let pool = indexer::pool::options().max_connections(24).connect_with(options).await?;
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

    /// Nothing was lost on the way, and every chain that was followed holds.
    pub async fn check(&self, chains: bool) -> anyhow::Result<()> {
        let problems = self.number("select count(*) from problem").await?;
        let behind = self.number("select count(*) from repo where state <> 'synchronized'").await?;
        anyhow::ensure!(
            problems == 0 && (behind == 0 || !chains),
            "{problems} problems, {behind} repos behind"
        );
        Ok(())
    }
}
