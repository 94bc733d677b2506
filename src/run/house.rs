//! What has to be done now and then, and nobody asks for.

use std::time::{Duration, Instant};

use appview::session::Sessions;
use appview::store::BlobStore;
use appview::{collector, mirror, service, upload};
use indexer::apply::hear;
use indexer::job;
use indexer::link::names;
use sqlx::postgres::PgAdvisoryLock;
use sqlx::{Either, PgPool};
use tokio_util::sync::CancellationToken;

/// How often the house is kept.
const HOUSE_EVERY: Duration = Duration::from_secs(600);
/// How often every file of the store is looked at.
const WALK_EVERY: Duration = Duration::from_secs(24 * 3600);

/// Asks again for what is owed and forgotten, and sweeps what nobody needs any more: staging files of crashes,
/// announcements of changes long seen, sessions that are over, the bytes of old problems, blobs that nothing names.
///
/// Of all processes, one does it at a time; the others look again later.
pub(super) async fn keep(
    pool: PgPool,
    store: BlobStore,
    sessions: Sessions,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let lock = PgAdvisoryLock::new("plyr house");
    let mut walked_at: Option<Instant> = None;
    loop {
        tokio::select! {
            kept = keep_once(&pool, &store, &sessions, &lock, &mut walked_at) => {
                if let Err(error) = kept {
                    tracing::warn!(%error, "cannot tell whether somebody else keeps the house");
                }
            }
            _ = stop.cancelled() => return Ok(()),
        }
        // The staging area is this machine's own.
        if let Err(error) = store.sweep_staging(mirror::STAGING_AGE).await {
            tracing::warn!(%error, "cannot sweep the staging area");
        }
        tokio::select! {
            _ = tokio::time::sleep(HOUSE_EVERY) => {}
            _ = stop.cancelled() => return Ok(()),
        }
    }
}

async fn keep_once(
    pool: &PgPool,
    store: &BlobStore,
    sessions: &Sessions,
    lock: &PgAdvisoryLock,
    walked_at: &mut Option<Instant>,
) -> sqlx::Result<()> {
    // Whoever dies meanwhile loses the connection, and the lock with it.
    let Either::Left(turn) = lock.try_acquire(pool.acquire().await?).await? else { return Ok(()) };
    see_to_bytes(pool, store, walked_at).await;
    forget(pool, sessions).await;
    turn.release_now().await?;
    Ok(())
}

async fn see_to_bytes(pool: &PgPool, store: &BlobStore, walked_at: &mut Option<Instant>) {
    match job::sweep(pool).await {
        Ok(0) => {}
        Ok(jobs) => tracing::info!(jobs, "asked again for what was still missing"),
        Err(error) => tracing::warn!(%error, "cannot ask again for what is missing"),
    }
    match names::ask_again(pool).await {
        Ok(0) => {}
        Ok(names) => tracing::info!(names, "names that meant nothing are known by now"),
        Err(error) => tracing::warn!(%error, "cannot look for what names mean by now"),
    }
    if let Err(error) = upload::sweep(pool).await {
        tracing::warn!(%error, "cannot look after uploads");
    }
    match collector::collect(pool, store, collector::GRACE).await {
        Ok(0) => {}
        Ok(blobs) => tracing::info!(blobs, "removed what nothing names any more"),
        Err(error) => {
            tracing::warn!(error = format!("{error:#}"), "cannot remove what nothing names any more")
        }
    }
    if walked_at.is_none_or(|at| at.elapsed() > WALK_EVERY) {
        *walked_at = Some(Instant::now());
        if let Err(error) = collector::collect_leftovers(pool, store, collector::GRACE).await {
            tracing::warn!(error = format!("{error:#}"), "cannot remove the leftovers of crashes");
        }
    }
}

async fn forget(pool: &PgPool, sessions: &Sessions) {
    if let Err(error) = sessions.sweep().await {
        tracing::warn!(%error, "cannot sweep what is over of sessions");
    }
    if let Err(error) = service::sweep(pool).await {
        tracing::warn!(%error, "cannot forget service tokens that have expired");
    }
    let swept = sqlx::query!("delete from live_change where created_at < now() - interval '1 hour'")
        .execute(pool)
        .await;
    if let Err(error) = swept {
        tracing::warn!(%error, "cannot sweep old announcements");
    }
    let swept = sqlx::query!("delete from live_event where created_at < now() - interval '1 hour'")
        .execute(pool)
        .await;
    if let Err(error) = swept {
        tracing::warn!(%error, "cannot sweep old happenings");
    }
    if let Err(error) = hear::forget_networks(pool).await {
        tracing::warn!(%error, "cannot forget from where plays came");
    }
    let unheard = sqlx::query!("delete from player_state where updated_at < now() - interval '1 hour'")
        .execute(pool)
        .await;
    if let Err(error) = unheard {
        tracing::warn!(%error, "cannot sweep what players said long ago");
    }
    if let Err(error) = indexer::link::sweep(pool).await {
        tracing::warn!(%error, "cannot sweep likes of posts that share nothing");
    }
    if let Err(error) = indexer::record::forget_tags(pool).await {
        tracing::warn!(%error, "cannot sweep tags that no track has");
    }
    if let Err(error) = indexer::search::rerank(pool).await {
        tracing::warn!(%error, "cannot renew in which order things are found");
    }
    if let Err(error) = names::sweep(pool).await {
        tracing::warn!(%error, "cannot sweep notes of names that mean nothing");
    }
    // A wish that was settled long ago has nothing to say to the next one.
    let settled = sqlx::query!(
        "delete from intent where settled = generation and wished_at < now() - interval '7 days'"
    )
    .execute(pool)
    .await;
    if let Err(error) = settled {
        tracing::warn!(%error, "cannot sweep settled wishes");
    }
    let aged = sqlx::query!(
        "update problem set bytes = null where bytes is not null and created_at < now() - interval '30 days'"
    )
    .execute(pool)
    .await;
    if let Err(error) = aged {
        tracing::warn!(%error, "cannot let go of the bytes of old problems");
    }
}
