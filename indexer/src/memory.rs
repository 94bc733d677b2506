//! Whether the database still knows what it was told last.
//!
//! For an event of a stream, waiting for the disk can take longer than all the rest of its way, and nobody need wait: what
//! Postgres loses in a crash is the end of what was committed, the cursor with it, and the stream brings that again. But
//! somebody must notice, for a pool replaces broken connections without a word. A crash empties unlogged tables. So whoever
//! commits without waiting has a row in one, looks in every transaction whether it is there, and begins anew from the saved
//! cursor when it is not: <https://www.postgresql.org/docs/current/wal-async-commit.html>.

use std::sync::Arc;

use sqlx::PgPool;

/// Rows of processes that had no time to take theirs away. Whoever lives that long begins anew once, which does no harm.
const STALE_DAYS: i32 = 30;

/// What one reader of a stream has left in the database to be remembered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory(Arc<str>);

/// The database crashed since, and lost the end of what was committed.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the database has crashed and forgotten what it was told last")]
pub struct Forgotten;

impl Memory {
    /// Begins: from now on a crash is noticed.
    pub async fn begin(pool: &PgPool) -> sqlx::Result<Self> {
        let id = format!("{:032x}", rand::random::<u128>());
        sqlx::query!(
            "with stale as (delete from memory where began_at < now() - make_interval(days => $2))
             insert into memory (id) values ($1)",
            id,
            STALE_DAYS
        )
        .execute(pool)
        .await?;
        Ok(Memory(id.into()))
    }

    /// Ends it.
    pub async fn end(self, pool: &PgPool) -> sqlx::Result<()> {
        sqlx::query!("delete from memory where id = $1", &*self.0).execute(pool).await?;
        Ok(())
    }

    /// The key of its row.
    pub(crate) fn id(&self) -> &str {
        &self.0
    }
}

impl Forgotten {
    /// Whether an error is this.
    pub fn is(error: &sqlx::Error) -> bool {
        matches!(error, sqlx::Error::AnyDriverError(error) if error.is::<Forgotten>())
    }
}

impl From<Forgotten> for sqlx::Error {
    fn from(forgotten: Forgotten) -> Self {
        sqlx::Error::AnyDriverError(Box::new(forgotten))
    }
}
