//! A Jetstream: the same events as JSON, a record each, signed by nobody.
//!
//! What it says is believed at once and proven later ([`Report`](crate::change::Report)). A record's CID is checked by
//! encoding it anew, so that what we hold is what the account's PDS would give, byte for byte; that the account wrote it is
//! for the proof to show. There are no trees and no chain: what is missing shows by the numbers of the stream alone, and
//! then the revs of all repos are compared with the network's.
//!
//! Both cursors are inclusive, and an event that we saw is there when we come back with its number, unless the host has
//! lost it or is another one.

mod connect;
mod dictionary;
mod event;
mod fold;
mod skim;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use tracing::{info, warn};

use super::Reader;
use super::repos::alone;
use super::socket;
use super::told::Told;
use crate::apply::Door;
use crate::change::Problem;
use crate::link::POST;
use crate::link::concern::{Concern, quotes};
use crate::record::Kind;
use crate::syntax::{AtUri, Did};
pub(super) use connect::Session;
use connect::{Connection, connect_v1};
pub use event::{Head, Message, Unreadable, What, inputs, message};
pub(super) use fold::{DELETION_WAITS, Touched};

/// Longer messages end the connection, and are not unfolded either.
const MESSAGE_BYTES_MAX: usize = 32 << 20;
/// Before the name of a kind in the newer dialect.
const PAYLOAD_PREFIX: &str = "network.bsky.jetstream.subscribeEvents#";
/// A time so old that every host begins with the oldest it has: in both dialects, no number of an event is as large.
const OLDEST_US: i64 = 1_000_000_000_000_000;
/// How much earlier than the newest event the one at the cursor may be: what was in flight when we stopped.
const IN_FLIGHT_MAX: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

/// The two dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `/subscribe`: the cursor is a time of the host's clock in microseconds.
    V1,
    /// `network.bsky.jetstream.subscribeEvents`: the cursor is a number, an instance's own.
    V2,
}

/// What an event may change here, told without reading the record.
pub fn concern(door: &Door, head: &Head<'_>, bytes: &[u8]) -> Concern {
    let ours = |is_ours: bool| if is_ours { Concern::Ours } else { Concern::None };
    match head.what {
        What::Commit => match head.collection.as_deref().and_then(|nsid| door.registry.get(nsid)) {
            None => Concern::None,
            Some(collection) if collection.tracks => Concern::Ours,
            Some(collection) => {
                let is_known = door.concerns.knows(&head.did);
                let is_tracked = is_known && head.did.parse().is_ok_and(|did| door.is_tracked(&did));
                // What somebody takes back or changes does not say what it was.
                if is_tracked || is_known && !(collection.refers && is_creation(bytes)) {
                    return Concern::Ours;
                }
                if !collection.refers {
                    return Concern::None;
                }
                let now_us = || head.time().unwrap_or_else(chrono::Utc::now).timestamp_micros();
                door.concerns.look(bytes, true, now_us)
            }
        },
        What::Sync => ours(door.concerns.knows(&head.did)),
        // They are few, and another process may know somebody whom we do not know yet: the door ignores strangers.
        What::Identity | What::Account => Concern::Ours,
    }
}

/// Whether an event plainly creates its record. Inside a record's text the same words have backslashes.
fn is_creation(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, br#""operation":"create""#).is_some()
}

impl Session {
    /// One connection, until it ends.
    pub async fn consume(&mut self, reader: &Reader, dialect: Dialect) -> anyhow::Result<()> {
        let stored = reader.open().await?;
        let cursor = stored.cursor.unwrap_or(OLDEST_US);
        let Connection { mut socket, mut inflater } = match dialect {
            Dialect::V1 => connect_v1(reader, cursor).await?,
            Dialect::V2 => self.connect_v2(reader, cursor).await?,
        };
        info!(source = &*reader.upstream.key, cursor, compressed = inflater.is_some(), "connected");
        reader.health.connected(false);
        let mut place = Place { dialect, saved: stored.cursor, event_at: stored.event_at, is_first: true };
        while let Some(message) = socket.next().await? {
            let (socket::Message::Text(bytes) | socket::Message::Binary(bytes)) = &message;
            match (&message, &mut inflater) {
                (socket::Message::Binary(_), Some(inflater)) => match inflater.inflate(bytes) {
                    Ok(plain) => take(reader, &mut place, plain).await?,
                    Err(error) => {
                        unreadable(reader, "BadCompression", None, error.to_string(), alone(bytes)).await?;
                    }
                },
                _ => take(reader, &mut place, bytes).await?,
            }
        }
        Ok(())
    }
}

/// Takes messages that were recorded, as if they came just now.
pub(super) async fn replay(
    reader: &Reader,
    dialect: Dialect,
    messages: impl IntoIterator<Item = Bytes>,
) -> anyhow::Result<()> {
    let mut place = Place { dialect, saved: None, event_at: None, is_first: true };
    for bytes in messages {
        take(reader, &mut place, &bytes).await?;
    }
    Ok(())
}

/// How far the stream has come, as this connection began.
struct Place {
    dialect: Dialect,
    saved: Option<i64>,
    event_at: Option<chrono::DateTime<chrono::Utc>>,
    is_first: bool,
}

/// Takes one message, or waits until there is room for it.
async fn take(reader: &Reader, place: &mut Place, bytes: &[u8]) -> anyhow::Result<()> {
    let whole = || alone(bytes);
    let head = match message(place.dialect, bytes) {
        Ok(Message::Event(head)) => head,
        Ok(Message::Unknown(seq)) => {
            reader.health.count("unknown");
            if let Some(seq) = seq {
                place.is_first &= place.saved.is_none_or(|saved| seq > saved);
                reader.lanes.pass(seq);
            }
            return Ok(());
        }
        Ok(Message::Info { name, message }) => return notice(reader, place, &name, &message).await,
        Ok(Message::Error { name, message }) => {
            reader.health.count("error");
            anyhow::bail!("{name}: {message}");
        }
        Err(error) => {
            return unreadable(reader, "EventMalformed", None, error.to_string(), whole()).await;
        }
    };
    reader.health.count(head.what.as_str());
    if std::mem::take(&mut place.is_first) {
        begin(reader, place, &head).await?;
    }
    if place.dialect == Dialect::V2 && place.saved.is_some_and(|saved| head.seq <= saved) {
        return Ok(());
    }
    reader.health.heard(|| head.time());
    let door = &reader.indexer.door;
    let concern = concern(door, &head, bytes);
    if concern == Concern::None {
        reader.lanes.pass(head.seq);
        return Ok(());
    }
    let Ok(did) = head.did.parse::<Did>() else {
        let detail = format!("not a DID: {}", head.did);
        return unreadable(reader, "BadDid", Some(head.seq), detail, whole()).await;
    };
    let mut is_first = false;
    let tracking = |nsid: &&str| door.registry.get(nsid).is_some_and(|known| known.tracks);
    if let Some(collection) = head.collection.as_deref().filter(tracking) {
        reader.health.heard_ours(collection, head.time());
        is_first = !door.is_tracked(&did);
        door.expect(&did);
    }
    let touched = || Touched::uri(&did, place.dialect, bytes);
    let told = match concern {
        Concern::Early(posts) => match touched().filter(|uri| may_be_of_post(door, uri, bytes)) {
            Some(like) => Told::Awaited { likes: vec![like], posts },
            None => {
                reader.lanes.pass(head.seq);
                return Ok(());
            }
        },
        _ => {
            if head
                .collection
                .as_deref()
                .and_then(|nsid| door.registry.get(nsid))
                .is_some_and(|known| known.refers)
            {
                expect(door, &did, touched().into_iter());
            }
            Told::Json { dialect: place.dialect, what: head.what, is_first }
        }
    };
    reader.lanes.dispatch(head.seq, did, told, whole()).await;
    Ok(())
}

/// Whether a record likes, reposts or quotes the post that it names, and does not only answer it.
fn may_be_of_post(door: &Door, uri: &AtUri, bytes: &[u8]) -> bool {
    match door.registry.get(uri.collection()).map(|known| known.kind) {
        Some(Kind::Like) => true,
        Some(Kind::Post) => quotes(bytes),
        _ => false,
    }
}

/// Hears from now on of what this person takes back, and of likes of these records, should they be shares: the next event may
/// be here before this one is applied.
pub(super) fn expect(door: &Door, did: &Did, uris: impl Iterator<Item = AtUri>) {
    if !door.concerns.knows(did.as_str()) {
        door.concerns.add_people(std::iter::once(did));
    }
    for post in uris.filter(|uri| uri.collection() == POST) {
        door.concerns.add_posts(std::iter::once(post.as_str()));
    }
}

/// Looks at the first event: it is the one at the cursor, or something is missing, or the host is another one.
async fn begin(reader: &Reader, place: &mut Place, head: &Head<'_>) -> anyhow::Result<()> {
    let Some(saved) = place.saved else { return Ok(()) };
    match place.dialect {
        Dialect::V1 if head.seq > saved => {
            reader.gap(&format!("the stream begins at {}, after our cursor {saved}", head.seq)).await?;
        }
        Dialect::V2 if head.seq > saved => {
            reader.gap(&format!("the stream begins at {}, after our cursor {saved}", head.seq)).await?;
        }
        Dialect::V2 if head.seq < saved => {
            reader.gap(&format!("the stream begins at {}, before our cursor {saved}", head.seq)).await?;
            reader.forget().await?;
            place.saved = None;
        }
        Dialect::V2 if is_another(place, head) => {
            reader.gap("another event stands at our cursor: it is another host").await?;
        }
        _ => {}
    }
    Ok(())
}

/// Numbers are one instance's own, and those of another may run through the same range: then the time does not fit.
fn is_another(place: &Place, head: &Head<'_>) -> bool {
    match (place.event_at, head.time()) {
        (Some(newest), Some(at)) => {
            at > newest + chrono::TimeDelta::seconds(1) || at < newest - IN_FLIGHT_MAX
        }
        _ => false,
    }
}

async fn notice(reader: &Reader, place: &mut Place, name: &str, message: &str) -> anyhow::Result<()> {
    reader.health.count("info");
    info!(source = &*reader.upstream.key, name, message, "the host says");
    match (name, place.saved) {
        // Asked for the oldest, it says that this is not as old as asked.
        ("OutdatedCursor", None) => {}
        ("OutdatedCursor", Some(_)) => {
            reader.gap("the host no longer has what follows our cursor").await?;
        }
        ("FutureCursor", Some(saved)) => {
            reader.gap(&format!("the host never came to our cursor {saved}")).await?;
            reader.forget().await?;
            place.saved = None;
        }
        _ => {}
    }
    Ok(())
}

/// Keeps a message aside. Which event it was, nobody knows: it counts as a gap.
async fn unreadable(
    reader: &Reader,
    kind: &'static str,
    seq: Option<i64>,
    detail: String,
    bytes: Bytes,
) -> anyhow::Result<()> {
    warn!(source = &*reader.upstream.key, kind, detail, "an event could not be read");
    reader.health.count("unreadable");
    reader.gap("an event could not be read").await?;
    reader.lanes.unreadable(Problem { kind, seq, did: None, uri: None, detail, bytes }).await;
    Ok(())
}
