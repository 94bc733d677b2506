//! What is older than a stream: all repos of the host that it comes from.

use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Upstream;
use crate::syntax::Did;
use crate::{Indexer, backfill, job, source};

/// Reads the host's repos whenever that is owed: at first contact and after a hole in its stream.
pub(super) async fn keep_backfilled(indexer: Indexer, upstream: Upstream, stop: CancellationToken) {
    let mut pause = Duration::from_secs(1);
    loop {
        let owed =
            source::open(&indexer.door.pool, &upstream.key).await.ok().and_then(|source| source.owed_at);
        if let Some(owed_at) = owed {
            let ended = tokio::select! {
                ended = backfill_once(&indexer, &upstream, owed_at) => ended,
                _ = stop.cancelled() => return,
            };
            if let Err(error) = ended {
                warn!(source = &*upstream.key, error = %format!("{error:#}"), "backfill failed");
                pause = (pause * 2).min(Duration::from_secs(600));
            }
        } else {
            pause = Duration::from_secs(1);
        }
        tokio::select! {
            _ = tokio::time::sleep(if owed.is_some() { pause } else { Duration::from_secs(2) }) => {}
            _ = stop.cancelled() => return,
        }
    }
}

/// Reads the host's repos. Those that cannot be had now are left to jobs, which try for longer.
async fn backfill_once(indexer: &Indexer, upstream: &Upstream, owed_at: DateTime<Utc>) -> anyhow::Result<()> {
    let progress = backfill::host(indexer, &upstream.http_url, |progress| {
        if progress.read > 0 && progress.read.is_multiple_of(100) {
            info!(
                source = &*upstream.key,
                progress.listed, progress.read, progress.skipped, progress.is_cut, "backfill"
            );
        }
    })
    .await?;
    let backfill::Progress { listed, read, skipped, failed, .. } = progress;
    info!(source = &*upstream.key, listed, read, skipped, failed, "backfill done");
    for (did, why) in &progress.failures {
        warn!(%did, %why, "a repo could not be had; a job will try again");
    }
    let dids: Vec<Did> = progress.failures.into_iter().map(|(did, _)| did).collect();
    job::enqueue_resyncs(&indexer.door.pool, &dids).await?;
    anyhow::ensure!(failed as usize == dids.len(), "{failed} repos could not be had");
    Ok(source::backfilled(&indexer.door.pool, &upstream.key, owed_at).await?)
}
