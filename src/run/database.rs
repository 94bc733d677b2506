//! The database of a command: the operator's, or our own Postgres.

use std::time::Duration;

use anyhow::Context;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;

use crate::config::Config;
use crate::postgres;

/// Writers: the indexer's transactions, the jobs, the listeners.
const CONNECTIONS_MAX: u32 = 24;

/// An open database.
pub(super) struct Database {
    pub pool: PgPool,
    pub connect: PgConnectOptions,
    server: Option<postgres::Server>,
}

/// The newest migration that this binary holds.
pub(super) fn schema_version() -> i64 {
    indexer::MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

/// The connections that everything shares.
async fn pool(connect: &PgConnectOptions) -> sqlx::Result<PgPool> {
    indexer::pool::options()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(Duration::from_secs(10))
        .connect_with(connect.clone().application_name("plyr").options([
            // A lock is held for a transaction; whoever waits longer tries again, whoever dawdles is cut off.
            ("lock_timeout", "30s"),
            ("idle_in_transaction_session_timeout", "60s"),
        ]))
        .await
}

impl Database {
    /// Opens it. With a Postgres of our own, the data directory becomes the one it can use.
    pub async fn open(mut config: Config) -> anyhow::Result<(Config, Self)> {
        let (connect, server) = match &config.database_url {
            Some(url) => (url.connect_options(), None),
            None => {
                let server = postgres::start(&config.postgres_options()).await?;
                config.data_dir = server.data_dir().to_owned();
                (server.connect_options(), Some(server))
            }
        };
        let pool = pool(&connect).await.context(if server.is_some() {
            "the embedded Postgres"
        } else {
            "DATABASE_URL"
        })?;
        Ok((config, Database { pool, connect, server }))
    }

    /// Runs the migrations that the database lacks. Returns how many.
    pub async fn migrate(&self) -> anyhow::Result<usize> {
        let before = self.version().await.unwrap_or(0);
        indexer::MIGRATIONS.run(&self.pool).await.context("migrating the database")?;
        Ok(indexer::MIGRATIONS.iter().filter(|migration| migration.version > before).count())
    }

    /// Fails where a migration is missing.
    pub async fn expect_migrated(&self) -> anyhow::Result<()> {
        let (found, wanted) = (self.version().await.unwrap_or(0), schema_version());
        anyhow::ensure!(
            found >= wanted,
            "the database's schema is at version {found} and this plyr needs {wanted}: run `plyr migrate` first"
        );
        Ok(())
    }

    async fn version(&self) -> sqlx::Result<i64> {
        // The table is sqlx's own and not there before the first migration, so this query cannot be checked ahead.
        sqlx::query_scalar::<_, Option<i64>>("select max(version) from _sqlx_migrations where success")
            .fetch_one(&self.pool)
            .await
            .map(Option::unwrap_or_default)
    }

    /// Closes the connections; the last process to leave a Postgres of our own stops it.
    pub async fn close(self) {
        self.pool.close().await;
        if let Some(server) = self.server {
            server.stop().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Executor;

    use super::*;

    #[tokio::test]
    async fn nobody_gets_a_connection_within_somebody_else_s_transaction() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))
            .expect("mode");
        let options = postgres::Options { durable: false, ..postgres::Options::new(dir.path()) };
        let server = postgres::start(&options).await.expect("started");
        let pool = pool(&server.connect_options()).await.expect("a pool");
        // As a `begin` whose caller went away before it was answered.
        let mut abandoned = pool.acquire().await.expect("a connection");
        abandoned.execute("begin; create table lost (id integer)").await.expect("begun");
        drop(abandoned);
        pool.execute("create table kept (id integer)").await.expect("created");
        pool.close().await;
        let pool = self::pool(&server.connect_options()).await.expect("a pool");
        let tables: Vec<String> =
            sqlx::query_scalar("select relname::text from pg_class where relname in ('lost', 'kept')")
                .fetch_all(&pool)
                .await
                .expect("an answer");
        assert_eq!(tables, ["kept"]);
        pool.close().await;
        server.stop().await;
    }
}
