//! subscribeRepos of a relay or a PDS.

use bytes::Bytes;
use tracing::{info, warn};

use super::Reader;
use super::jetstream::expect;
use super::socket::{self, Message};
use super::told::Told;
use crate::apply::Door;
use crate::change::{Input, Problem, Status};
use crate::link::concern::{self, Concern};
use crate::proto::frame::{Action, CommitFrame, FRAME_BYTES_MAX, Frame};
use crate::record::Kind;
use crate::source;
use crate::syntax::AtUri;

/// One connection.
pub(super) async fn consume(reader: &Reader) -> anyhow::Result<()> {
    let stored = reader.open().await?;
    // Without a cursor the stream begins with its oldest event: what is older, the backfill reads.
    let cursor = stored.cursor.unwrap_or(0);
    let mut url = reader.upstream.ws_url.join("/xrpc/com.atproto.sync.subscribeRepos")?;
    url.query_pairs_mut().append_pair("cursor", &cursor.to_string());
    // A frame above its limit must arrive to be kept aside with its problem, so the socket's limit is wider.
    let mut socket = socket::connect(&reader.indexer.net, &url, None, 2 * FRAME_BYTES_MAX).await?;
    info!(source = &*reader.upstream.key, cursor, "connected");
    reader.health.connected(is_pds(reader).await);
    let mut place = Place { last: stored.cursor, is_first: true };
    while let Some(message) = socket.next().await? {
        let Message::Binary(message) = message else { continue };
        receive(reader, &mut place, message).await?;
    }
    Ok(())
}

/// How far the stream has come.
pub(super) struct Place {
    pub last: Option<i64>,
    /// Nothing has come on this connection.
    pub is_first: bool,
}

/// Takes one message, or waits until there is room for it.
pub(super) async fn receive(reader: &Reader, place: &mut Place, message: Bytes) -> anyhow::Result<()> {
    let frame = Frame::decode(&message);
    let seq = match &frame {
        Ok(frame) => frame.seq(),
        Err(error) => error.seq,
    };
    if let Some(seq) = seq {
        follow(reader, place.last, place.is_first, seq).await?;
        (place.last, place.is_first) = (Some(seq), false);
    }
    match frame {
        Ok(frame) => take(reader, frame, message).await?,
        Err(error) => {
            reader.health.count("unreadable");
            let detail = error.problem.to_string();
            let (kind, seq, did) = (error.problem.name(), error.seq, error.did);
            let bytes = alone(&message);
            reader.lanes.unreadable(Problem { kind, seq, did, uri: None, detail, bytes }).await;
        }
    }
    Ok(())
}

/// Whether the host is a PDS and not a relay: only a PDS says how accounts are made there.
async fn is_pds(reader: &Reader) -> bool {
    let Ok(url) = reader.upstream.http_url.join("/xrpc/com.atproto.server.describeServer") else {
        return false;
    };
    let described: Result<serde_json::Value, _> =
        reader.indexer.net.get_json(&url, DESCRIPTION_BYTES_MAX).await;
    described.is_ok_and(|described| described["availableUserDomains"].is_array())
}

const DESCRIPTION_BYTES_MAX: u64 = 64 * 1024;

/// Seqs that may be missing between the cursor and the first event: those of deleted accounts are, and no more is lost.
const GAP_MIN: i64 = 10_000;

/// Notices missing numbers. Relays do not say when a cursor is too old or of another life of theirs; only what they send
/// first shows it. A PDS leaves out what deleted accounts once sent, so that a hole need not mean a loss.
async fn follow(reader: &Reader, last: Option<i64>, is_first: bool, seq: i64) -> anyhow::Result<()> {
    let Some(last) = last else { return Ok(()) };
    let pool = &reader.indexer.door.pool;
    if seq > last.saturating_add(1) {
        reader.gap(&format!("{last} is followed by {seq}")).await?;
    }
    if is_first && seq > last.saturating_add(GAP_MIN) {
        source::owe_backfill(pool, &reader.upstream.key).await?;
    } else if is_first && seq < last {
        reader.gap("it begins anew").await?;
        reader.lanes.forget().await;
        source::reset(pool, &reader.upstream.key).await?;
        anyhow::bail!("the stream begins at {seq}, before our cursor {last}: it is another one");
    }
    Ok(())
}

/// Dispatches one frame, or waits until there is room for it.
async fn take(reader: &Reader, frame: Frame, message: Bytes) -> anyhow::Result<()> {
    let indexer = &reader.indexer;
    let (kind, time) = match &frame {
        Frame::Commit(event) => ("commit", event.time),
        Frame::Sync(event) => ("sync", event.time),
        Frame::Identity(event) => ("identity", event.time),
        Frame::Account(event) => ("account", event.time),
        Frame::Info(_) => ("info", None),
        Frame::Error(_) => ("error", None),
        Frame::Unknown(_) => ("unknown", None),
    };
    reader.health.count(kind);
    reader.health.heard(|| time);
    match &frame {
        Frame::Info(info) => {
            warn!(source = &*reader.upstream.key, info.name, info.message, "the host says");
            if info.name == "OutdatedCursor" {
                reader.gap("the host no longer has what follows our cursor").await?;
                source::owe_backfill(&indexer.door.pool, &reader.upstream.key).await?;
            }
            Ok(())
        }
        Frame::Error(error) => {
            if error.error == "FutureCursor" {
                reader.lanes.forget().await;
                source::reset(&indexer.door.pool, &reader.upstream.key).await?;
            }
            anyhow::bail!("{}: {}", error.error, error.message.as_deref().unwrap_or("no message"))
        }
        told => {
            let (Some(seq), Some(did)) = (told.seq(), told.did().cloned()) else { return Ok(()) };
            let touched = if let Frame::Commit(event) = told { ours(reader, event) } else { None };
            if let Some(collection) = touched {
                reader.health.heard_ours(collection, time);
            }
            let concern = match told {
                Frame::Commit(_) if touched.is_some() => {
                    // From now on, and not only once it is applied: the next commit may be here before that.
                    indexer.door.expect(&did);
                    Concern::Ours
                }
                Frame::Commit(event) => concern(&indexer.door, event, &message),
                Frame::Sync(_) if !indexer.door.concerns.knows(did.as_str()) => Concern::None,
                // They are few, and another process may know somebody whom we do not know yet: the door ignores strangers.
                _ => Concern::Ours,
            };
            match concern {
                Concern::None => {
                    reader.lanes.pass(seq);
                    return Ok(());
                }
                Concern::Early(posts) => {
                    let Frame::Commit(event) = told else { return Ok(()) };
                    let mut likes = written(&indexer.door, event, Kind::Like);
                    if concern::quotes(&message) {
                        likes.extend(written(&indexer.door, event, Kind::Post));
                    }
                    if likes.is_empty() {
                        reader.lanes.pass(seq);
                        return Ok(());
                    }
                    reader.lanes.dispatch(seq, did, Told::Awaited { likes, posts }, Bytes::new()).await;
                    return Ok(());
                }
                Concern::Ours => {}
            }
            if let Frame::Commit(event) = told
                && !indexer.door.is_tracked(&did)
            {
                expect(&indexer.door, &did, written(&indexer.door, event, Kind::Post).into_iter());
            }
            let (frame, message) = frame.alone(&message);
            reader.lanes.dispatch(seq, did, Told::Frame(frame), message).await;
            Ok(())
        }
    }
}

/// The same bytes in memory of their own. What waits must not keep all that came beside it: a message is a slice of the
/// socket's buffer, where a hundred of others lie around each of ours.
pub(super) fn alone(message: &[u8]) -> Bytes {
    Bytes::copy_from_slice(message)
}

/// The first collection that a commit touches and that makes a repo tracked.
fn ours<'a>(reader: &Reader, event: &'a CommitFrame) -> Option<&'a str> {
    event.ops.iter().find_map(|op| {
        let (collection, _) = op.path.split_once('/')?;
        reader.indexer.door.registry.get(collection).filter(|known| known.tracks).map(|_| collection)
    })
}

/// What a commit may change here that touches nothing of ours.
fn concern(door: &Door, event: &CommitFrame, message: &[u8]) -> Concern {
    if door.is_tracked(&event.repo) {
        return Concern::Ours;
    }
    let is_known = door.concerns.knows(event.repo.as_str());
    let mut refers = false;
    for op in &event.ops {
        let known = op.path.split_once('/').and_then(|(collection, _)| door.registry.get(collection));
        let Some(known) = known else { continue };
        let is_creation = known.refers && op.action == Action::Create;
        // What somebody takes back or changes does not say what it was.
        if is_known && !is_creation {
            return Concern::Ours;
        }
        refers |= known.refers && op.action != Action::Delete;
    }
    if !refers {
        return Concern::None;
    }
    let now_us = || event.time.unwrap_or_else(chrono::Utc::now).timestamp_micros();
    door.concerns.look(message, false, now_us)
}

/// The records of some collections that a commit writes.
fn written(door: &Door, event: &CommitFrame, kind: Kind) -> Vec<AtUri> {
    let ops = event.ops.iter().filter(|op| op.action != Action::Delete);
    let paths = ops.filter(|op| {
        let known = op.path.split_once('/').and_then(|(collection, _)| door.registry.get(collection));
        known.is_some_and(|known| known.refers && known.kind == kind)
    });
    paths.filter_map(|op| format!("at://{}/{}", event.repo, op.path).parse().ok()).collect()
}

/// What an event says that needs no proof.
pub(super) fn unproven(frame: &Frame) -> Option<Input> {
    match frame {
        Frame::Identity(event) => Some(Input::Identity { did: event.did.clone() }),
        Frame::Account(event) => {
            let status = Status::read(event.active, event.status.as_ref().map(|status| status.as_str()))?;
            Some(Input::Account { did: event.did.clone(), status })
        }
        _ => None,
    }
}
