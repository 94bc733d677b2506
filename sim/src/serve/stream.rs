//! `com.atproto.sync.subscribeRepos`.

use axum::extract::ws::{Message, WebSocket};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::Source;
use crate::network::Shared;
use crate::wire;
use crate::world::{Log, World};

/// Frames taken from a log at once.
const AT_ONCE: usize = 64;

/// Tells all that is in a log after the cursor, and what comes; without a cursor what comes alone.
pub(super) async fn tell(mut socket: WebSocket, shared: &Shared, source: Source, cursor: Option<i64>) {
    let mut told = shared.told.subscribe();
    let mishap = shared.mishaps.of_stream(&source.name());
    let mut sent = 0;
    let (mut last, greeting) = begin(&shared.world(), source, cursor);
    if let Some((greeting, is_end)) = greeting {
        let is_sent = socket.send(Message::Binary(greeting)).await.is_ok();
        if is_end || !is_sent {
            return;
        }
    }
    loop {
        told.mark_unchanged();
        let frames = {
            let world = shared.world();
            log(&world, source).map(|log| log.after(last, AT_ONCE)).unwrap_or_default()
        };
        for (seq, frame) in &frames {
            if mishap.garbage_after == Some(sent) {
                let garbage = Bytes::from_static(&[0xbf, 0xff, 0x00, 0x13]);
                socket.send(Message::Binary(garbage)).await.ok();
            }
            if mishap.silent_after == Some(sent) {
                shared.mishaps.keep_silent(&CancellationToken::new()).await;
            }
            if mishap.reset_after == Some(sent) || socket.send(Message::Binary(frame.clone())).await.is_err()
            {
                return;
            }
            if !mishap.pause.is_zero() && !shared.mishaps.is_calm() {
                tokio::time::sleep(mishap.pause).await;
            }
            sent += 1;
            last = *seq;
        }
        if !frames.is_empty() {
            continue;
        }
        tokio::select! {
            changed = told.changed() => if changed.is_err() { return },
            received = socket.recv() => match received {
                // Pings are answered by the library; whoever says anything else is not following the protocol.
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                _ => return,
            },
        }
    }
}

fn log(world: &World, source: Source) -> Option<&Log> {
    match source {
        Source::Host(host) => world.hosts().get(host).map(|host| &host.log),
        Source::Relay(relay) => world.relays().get(relay).map(|relay| &relay.log),
    }
}

/// After which number to begin, and what to say before; the flag is set if that is all.
fn begin(world: &World, source: Source, cursor: Option<i64>) -> (i64, Option<(Bytes, bool)>) {
    let Some(log) = log(world, source) else { return (0, None) };
    let Some(cursor) = cursor else { return (log.last(), None) };
    match source {
        // It sends what comes after the cursor, and says nothing of what it no longer has or has not yet.
        Source::Relay(_) => (cursor, None),
        Source::Host(_) if cursor > log.last() => {
            (0, Some((wire::error("FutureCursor", "Cursor in the future."), true)))
        }
        Source::Host(_) if cursor + 1 < log.first() => {
            let info =
                wire::info("OutdatedCursor", "Requested cursor exceeded limit. Possibly missing events");
            (log.first() - 1, Some((info, false)))
        }
        Source::Host(_) => (cursor, None),
    }
}
