//! What has to be done now and then, and nobody asks for.

use std::time::Duration;

use appview::mirror;
use appview::store::BlobStore;
use indexer::job;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// How often the house is kept.
const HOUSE_EVERY: Duration = Duration::from_secs(600);

/// Asks again for what is owed and forgotten, and sweeps what nobody needs any more: staging files of crashes,
/// announcements of changes long seen, the bytes of old problems.
pub(super) async fn keep(pool: PgPool, store: BlobStore, stop: CancellationToken) -> anyhow::Result<()> {
    loop {
        match job::sweep(&pool).await {
            Ok(0) => {}
            Ok(jobs) => tracing::info!(jobs, "asked again for what was still missing"),
            Err(error) => tracing::warn!(%error, "cannot ask again for what is missing"),
        }
        if let Err(error) = store.sweep_staging(mirror::STAGING_AGE).await {
            tracing::warn!(%error, "cannot sweep the staging area");
        }
        let swept = sqlx::query!("delete from live_change where created_at < now() - interval '1 hour'")
            .execute(&pool)
            .await;
        if let Err(error) = swept {
            tracing::warn!(%error, "cannot sweep old announcements");
        }
        let aged = sqlx::query!(
            "update problem set bytes = null where bytes is not null and created_at < now() - interval '30 days'"
        )
        .execute(&pool)
        .await;
        if let Err(error) = aged {
            tracing::warn!(%error, "cannot let go of the bytes of old problems");
        }
        tokio::select! {
            _ = tokio::time::sleep(HOUSE_EVERY) => {}
            _ = stop.cancelled() => return Ok(()),
        }
    }
}
