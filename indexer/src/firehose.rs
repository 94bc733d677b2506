//! subscribeRepos of a relay or a PDS: events in, verified [`Input`]s through the door, cursor saved with the data.
//!
//! ```text
//! socket ─► filter ─► lane of its DID (verify, in order) ─► shard of its DID (batch, apply) ─► cursor
//! ```
//!
//! A lane waits for nobody else's DID document; a shard applies whatever its lanes have verified. How much may be in flight
//! is bounded in bytes: a slow database slows the socket. The saved cursor is the highest finished event with nothing
//! unfinished before it in the order received.

mod lanes;
mod socket;
mod verify;
mod watermark;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use rand::Rng;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use crate::change::{Input, Problem, Status};
use crate::proto::frame::{CommitFrame, Frame};
use crate::{Indexer, backfill, source};
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
    while let Some(message) = socket.next().await? {
        take(indexer, upstream, lanes, message).await?;
    }
    Ok(())
}

/// Dispatches one message, or waits until there is room for it.
async fn take(indexer: &Indexer, upstream: &Upstream, lanes: &Lanes, message: Bytes) -> anyhow::Result<()> {
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
            lanes.unreadable(problem).await;
            return Ok(());
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
        let lag_ms = (chrono::Utc::now() - time).num_milliseconds();
        metrics::gauge!("plyr_firehose_lag_seconds", "source" => upstream.key.to_string())
            .set(lag_ms as f64 / 1000.0);
    }
    match &frame {
        Frame::Info(info) => {
            warn!(source = &*upstream.key, info.name, info.message, "the host says");
            if info.name == "OutdatedCursor" {
                source::owe_backfill(&indexer.door.pool, &upstream.key).await?;
            }
            Ok(())
        }
        Frame::Error(error) => {
            if error.error == "FutureCursor" {
                lanes.forget().await;
                source::reset(&indexer.door.pool, &upstream.key).await?;
            }
            anyhow::bail!("{}: {}", error.error, error.message.as_deref().unwrap_or("no message"))
        }
        frame => {
            let (Some(seq), Some(did)) = (frame.seq(), frame.did().cloned()) else { return Ok(()) };
            if concerns_us(indexer, frame) {
                // From now on, and not only once it is applied: the next commit may be here before that.
                indexer.door.expect(&did);
                lanes.dispatch(seq, did, frame.clone(), message).await;
            } else {
                lanes.pass(seq);
            }
            Ok(())
        }
    }
}

/// Whether an event can change anything here: it touches a collection that makes a repo tracked, or it is about somebody
/// we know.
fn concerns_us(indexer: &Indexer, frame: &Frame) -> bool {
    match frame {
        Frame::Commit(event) => indexer.door.is_tracked(&event.repo) || touches_ours(indexer, event),
        Frame::Sync(_) | Frame::Identity(_) | Frame::Account(_) => {
            frame.did().is_some_and(|did| indexer.door.is_tracked(did))
        }
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
            source::open(&indexer.door.pool, &upstream.key).await.is_ok_and(|source| !source.backfilled);
        if owed {
            let run = backfill::host(&indexer, &upstream.http_url, |progress| {
                if progress.read.is_multiple_of(100) {
                    info!(
                        source = &*upstream.key,
                        progress.listed, progress.read, progress.skipped, "backfill"
                    );
                }
            });
            let ended = tokio::select! {
                ended = run => ended,
                _ = stop.cancelled() => return,
            };
            match ended {
                Ok(progress) => {
                    let backfill::Progress { listed, read, skipped, failed, .. } = progress;
                    info!(source = &*upstream.key, listed, read, skipped, failed, "backfill done");
                    for (did, why) in &progress.failures {
                        warn!(%did, why, "a repo could not be had");
                    }
                    if failed == 0 {
                        if let Err(error) = source::backfilled(&indexer.door.pool, &upstream.key).await {
                            warn!(%error, "cannot note the backfill as done");
                        }
                        pause = Duration::from_secs(1);
                    }
                }
                Err(error) => {
                    warn!(source = &*upstream.key, error = %format!("{error:#}"), "backfill failed")
                }
            }
            pause = (pause * 2).min(Duration::from_secs(600));
        }
        tokio::select! {
            _ = tokio::time::sleep(if owed { pause } else { Duration::from_secs(2) }) => {}
            _ = stop.cancelled() => return,
        }
    }
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
