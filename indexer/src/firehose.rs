//! subscribeRepos of a relay or a PDS: events in, verified [`Input`]s through the door, cursor saved with the data.
//!
//! ```text
//! socket ─► filter ─► lane of its DID (verify, in order) ─► shard of its DID (batch, apply) ─► cursor
//! ```
//!
//! A lane waits for nobody else's DID document; a shard applies whatever its lanes have verified. How much may be in flight
//! is bounded in bytes: a slow database slows the socket. The saved cursor is the highest finished event with nothing
//! unfinished before it in the order received.

mod again;
mod lanes;
mod socket;
mod verify;
mod watermark;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use rand::Rng;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use crate::change::{Input, Problem, Status};
use crate::proto::frame::{CommitFrame, Frame};
use crate::syntax::Did;
use crate::{Indexer, backfill, job, source};
pub(crate) use again::read as again;
use lanes::Lanes;

/// A stream of repo events.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// What its cursor is stored under: the scheme and host as configured.
    pub key: Arc<str>,
    /// `wss://host`, where subscribeRepos is.
    pub ws_url: Url,
    /// The same host for questions.
    pub http_url: Url,
}

/// Consumes an upstream until told to stop: reconnects for ever, with jittered pauses, from the saved cursor.
pub async fn run(indexer: Indexer, upstream: Upstream, stop: CancellationToken) -> anyhow::Result<()> {
    let backfill = tokio::spawn(keep_backfilled(indexer.clone(), upstream.clone(), stop.clone()));
    let lanes = Lanes::start(indexer.clone(), upstream.key.clone());
    let mut pause = PAUSE_MIN;
    while !stop.is_cancelled() {
        let connected = metrics::gauge!("plyr_firehose_connected", "source" => upstream.key.to_string());
        let started = tokio::time::Instant::now();
        let ended = tokio::select! {
            ended = consume(&indexer, &upstream, &lanes) => ended,
            _ = lanes.broken.cancelled() => anyhow::bail!("a part of the indexer panicked; see the log"),
            _ = stop.cancelled() => break,
        };
        connected.set(0.0);
        if started.elapsed() > PAUSE_MAX {
            pause = PAUSE_MIN;
        }
        let wait = pause.mul_f64(rand::rng().random_range(0.5..1.0));
        let why = ended.err().map_or("the host closed it".to_owned(), |error| format!("{error:#}"));
        warn!(
            source = &*upstream.key,
            why,
            wait_ms = wait.as_millis() as u64,
            "the stream ended; reconnecting"
        );
        metrics::counter!("plyr_firehose_reconnects_total", "source" => upstream.key.to_string())
            .increment(1);
        pause = (pause * 2).min(PAUSE_MAX);
        tokio::select! {
            _ = tokio::time::sleep(wait) => {}
            _ = stop.cancelled() => break,
        }
    }
    lanes.finish().await;
    backfill.await.context("backfill")
}

const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// One connection.
async fn consume(indexer: &Indexer, upstream: &Upstream, lanes: &Lanes) -> anyhow::Result<()> {
    let stored = source::open(&indexer.door.pool, &upstream.key).await?;
    // Without a cursor the stream begins with its oldest event: what is older, the backfill reads.
    let cursor = stored.cursor.unwrap_or(0);
    let mut socket = socket::connect(&indexer.net, &upstream.ws_url, cursor).await?;
    info!(source = &*upstream.key, cursor, "connected");
    metrics::gauge!("plyr_firehose_connected", "source" => upstream.key.to_string()).set(1.0);
    let mut first = true;
    while let Some(message) = socket.next().await? {
        let seq = take(indexer, upstream, lanes, message).await?;
        if let (true, Some(seq), Some(cursor)) = (first, seq, stored.cursor) {
            first = false;
            look_for_gap(indexer, upstream, lanes, cursor, seq).await?;
        }
    }
    Ok(())
}

/// Seqs that may be missing between the cursor and the first event: those of deleted accounts are, and no more is lost.
const GAP_MIN: i64 = 10_000;

/// Relays do not say when a cursor is too old or of another life of theirs; only the first event shows it.
async fn look_for_gap(
    indexer: &Indexer,
    upstream: &Upstream,
    lanes: &Lanes,
    cursor: i64,
    seq: i64,
) -> anyhow::Result<()> {
    if seq > cursor.saturating_add(GAP_MIN) {
        warn!(source = &*upstream.key, cursor, seq, "the stream does not reach back to the cursor");
        source::owe_backfill(&indexer.door.pool, &upstream.key).await?;
    } else if seq < cursor {
        lanes.forget().await;
        source::reset(&indexer.door.pool, &upstream.key).await?;
        anyhow::bail!("the stream begins at {seq}, before our cursor {cursor}: it is another one");
    }
    Ok(())
}

/// Dispatches one message, or waits until there is room for it. Returns its seq.
async fn take(
    indexer: &Indexer,
    upstream: &Upstream,
    lanes: &Lanes,
    message: Bytes,
) -> anyhow::Result<Option<i64>> {
    let count = |kind: &'static str| {
        metrics::counter!("plyr_events_total", "source" => upstream.key.to_string(), "kind" => kind)
            .increment(1);
    };
    let frame = match Frame::decode(&message) {
        Ok(frame) => frame,
        Err(error) => {
            count("unreadable");
            let detail = error.problem.to_string();
            let problem = Problem {
                kind: error.problem.name(),
                seq: error.seq,
                did: error.did,
                uri: None,
                detail,
                bytes: message,
            };
            let seq = problem.seq;
            lanes.unreadable(problem).await;
            return Ok(seq);
        }
    };
    let (kind, time) = match &frame {
        Frame::Commit(event) => ("commit", event.time),
        Frame::Sync(event) => ("sync", event.time),
        Frame::Identity(event) => ("identity", event.time),
        Frame::Account(event) => ("account", event.time),
        Frame::Info(_) => ("info", None),
        Frame::Error(_) => ("error", None),
        Frame::Unknown(_) => ("unknown", None),
    };
    count(kind);
    if let Some(time) = time {
        let lag_ms = (Utc::now() - time).num_milliseconds();
        metrics::gauge!("plyr_firehose_lag_seconds", "source" => upstream.key.to_string())
            .set(lag_ms as f64 / 1000.0);
    }
    match &frame {
        Frame::Info(info) => {
            warn!(source = &*upstream.key, info.name, info.message, "the host says");
            if info.name == "OutdatedCursor" {
                source::owe_backfill(&indexer.door.pool, &upstream.key).await?;
            }
            Ok(None)
        }
        Frame::Error(error) => {
            if error.error == "FutureCursor" {
                lanes.forget().await;
                source::reset(&indexer.door.pool, &upstream.key).await?;
            }
            anyhow::bail!("{}: {}", error.error, error.message.as_deref().unwrap_or("no message"))
        }
        frame => {
            let (Some(seq), Some(did)) = (frame.seq(), frame.did().cloned()) else { return Ok(None) };
            if concerns_us(indexer, frame) {
                if matches!(frame, Frame::Commit(_)) {
                    // From now on, and not only once it is applied: the next commit may be here before that.
                    indexer.door.expect(&did);
                }
                lanes.dispatch(seq, did, frame.clone(), message).await;
            } else {
                lanes.pass(seq);
            }
            Ok(Some(seq))
        }
    }
}

/// Whether an event can change anything here: it touches a collection that makes a repo tracked, or it is about somebody
/// we know.
fn concerns_us(indexer: &Indexer, frame: &Frame) -> bool {
    match frame {
        Frame::Commit(event) => indexer.door.is_tracked(&event.repo) || touches_ours(indexer, event),
        Frame::Sync(event) => indexer.door.is_tracked(&event.did),
        // They are few, and another process may know somebody whom we do not know yet: the door ignores strangers.
        Frame::Identity(_) | Frame::Account(_) => true,
        Frame::Info(_) | Frame::Error(_) | Frame::Unknown(_) => false,
    }
}

fn touches_ours(indexer: &Indexer, event: &CommitFrame) -> bool {
    event.ops.iter().any(|op| {
        let collection = op.path.split_once('/').map_or("", |(collection, _)| collection);
        indexer.door.registry.get(collection).is_some_and(|known| known.tracks)
    })
}

/// Reads the host's repos whenever that is owed: at first contact and after a hole in its stream.
async fn keep_backfilled(indexer: Indexer, upstream: Upstream, stop: CancellationToken) {
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
            info!(source = &*upstream.key, progress.listed, progress.read, progress.skipped, "backfill");
        }
    })
    .await?;
    let backfill::Progress { listed, read, skipped, failed, .. } = progress;
    info!(source = &*upstream.key, listed, read, skipped, failed, "backfill done");
    for (did, why) in &progress.failures {
        warn!(%did, why, "a repo could not be had; a job will try again");
    }
    let dids: Vec<Did> = progress.failures.into_iter().map(|(did, _)| did).collect();
    job::enqueue_resyncs(&indexer.door.pool, &dids).await?;
    anyhow::ensure!(failed as usize == dids.len(), "{failed} repos could not be had");
    Ok(source::backfilled(&indexer.door.pool, &upstream.key, owed_at).await?)
}

/// What an event says that needs no proof.
fn unproven(frame: &Frame) -> Option<Input> {
    match frame {
        Frame::Identity(event) => Some(Input::Identity { did: event.did.clone() }),
        Frame::Account(event) => {
            let status = Status::read(event.active, event.status.as_ref().map(|status| status.as_str()))?;
            Some(Input::Account { did: event.did.clone(), status })
        }
        _ => None,
    }
}
