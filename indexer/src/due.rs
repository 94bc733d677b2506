//! Workers that settle what others note as due: charts, search.

use std::fmt::Debug;
use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// Between two looks at whether anything is due.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Taken at once: what many do together costs one change.
pub(crate) const BATCH: i64 = 1000;

/// Notes of one kind, and how they are settled. Of all processes one settles at a time.
pub trait Dues: Debug + Send + Sync {
    /// What it is for, in the log and in metrics: `chart`.
    const NAME: &'static str;

    /// What has to be done once, before anything is settled.
    fn begin(&self, pool: &PgPool) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Settles up to `limit` of what is due, in one transaction. Returns whether there may be more.
    fn settle(&self, pool: &PgPool, limit: i64) -> impl Future<Output = sqlx::Result<bool>> + Send;

    /// Takes one that the database refuses out of everybody's way.
    fn put_aside(&self, pool: &PgPool, error: &sqlx::Error) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Settles what is due, until told to stop.
pub async fn run(dues: impl Dues, pool: PgPool, stop: CancellationToken) -> anyhow::Result<()> {
    let (mut has_begun, mut limit) = (false, BATCH);
    loop {
        let settled = async {
            if !has_begun {
                dues.begin(&pool).await?;
                has_begun = true;
            }
            dues.settle(&pool, limit).await
        };
        let more = match settled.await {
            Ok(more) => {
                limit = BATCH.min(limit * 2);
                more
            }
            Err(error) => {
                failed(&dues, &pool, limit, &error).await;
                // What is poisonous stands alone in the end.
                limit = 1.max(limit / 2);
                false
            }
        };
        let pause = if more { Duration::ZERO } else { LOOK_EVERY };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}

async fn failed<D: Dues>(dues: &D, pool: &PgPool, limit: i64, error: &sqlx::Error) {
    tracing::warn!(%error, limit, worker = D::NAME, "cannot settle what is due; trying again with less");
    metrics::counter!("plyr_due_failures_total", "worker" => D::NAME).increment(1);
    if limit == 1
        && is_refusal(error)
        && let Err(error) = dues.put_aside(pool, error).await
    {
        tracing::warn!(%error, worker = D::NAME, "cannot put aside what cannot be settled");
    }
}

/// Whether the database has something against the rows, and not only against the moment.
fn is_refusal(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let of_the_moment = ["40", "53", "55", "57", "58", "08"];
    error.code().is_some_and(|code| !of_the_moment.iter().any(|class| code.starts_with(class)))
}
