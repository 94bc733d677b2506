//! What happens, one by one: `/live?kinds=like,play&actor=did:…&track=at://…`.
//!
//! Each event has its kind as name, a number as `id`, and JSON as data: `uri` of the record, `did` of who did it, `subject` (the
//! track), `createdAt`. A `status` says that what somebody hears changed, and has `nowPlaying`: what it is, as `getNowPlaying` says
//! it but for the track, which `subject` names; null where nothing plays. What plays holds until its `expiresAt`, unless another event comes
//! before: nothing is told when it ends by itself, and what plays on is told again in time. Only of what is public and not hidden, and of plays that players told of not who heard them. Whoever
//! comes back with `Last-Event-ID` is told what they missed in the last hour; some of it perhaps twice. `reset` means that
//! something may be missing.

use std::convert::Infallible;

use axum::http::HeaderMap;
use axum::response::sse::Event;
use futures_util::Stream;
use indexer::syntax::{AtUri, Did};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;

use super::happened::{Happened, since};
use super::{Moved, Open, reset};
use crate::App;
use crate::error::Error;

/// The kinds that there are.
const KINDS: [&str; 5] = ["like", "comment", "play", "status", "track"];

/// The parameters of `/live`.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    kinds: Option<String>,
    actor: Option<String>,
    track: Option<String>,
}

/// What somebody wants to be told.
#[derive(Debug)]
pub(super) struct Wish {
    kinds: Vec<String>,
    actor: Option<Did>,
    track: Option<AtUri>,
}

impl Asked {
    /// None for who asks for nothing in particular: a page.
    pub(super) fn wish(self) -> Result<Option<Wish>, Error> {
        if self.kinds.is_none() && self.actor.is_none() && self.track.is_none() {
            return Ok(None);
        }
        let kinds: Vec<String> = match self.kinds.as_deref() {
            None => KINDS.map(str::to_owned).to_vec(),
            Some(kinds) => kinds.split(',').map(|kind| kind.trim().to_owned()).collect(),
        };
        if let Some(unknown) = kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
            let known = KINDS.join(", ");
            return Err(Error::invalid_request(format!("kinds: {unknown:?} is none of {known}")));
        }
        let wrong =
            |name: &str, error: &dyn std::fmt::Display| Error::invalid_request(format!("{name}: {error}"));
        let actor =
            self.actor.map(|text| text.parse().map_err(|error| wrong("actor", &error))).transpose()?;
        let track =
            self.track.map(|text| text.parse().map_err(|error| wrong("track", &error))).transpose()?;
        Ok(Some(Wish { kinds, actor, track }))
    }
}

impl Wish {
    fn wants(&self, happened: &Happened) -> bool {
        self.kinds.contains(&happened.kind)
            && self.actor.as_ref().is_none_or(|actor| happened.did.as_deref() == Some(actor.as_str()))
            && self.track.as_ref().is_none_or(|track| happened.subject.as_deref() == Some(track.as_str()))
    }
}

/// The number after which somebody wants to go on.
pub(super) fn last_id(headers: &HeaderMap) -> Option<i64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

fn told(happened: &Happened) -> Event {
    let event = Event::default().event(&happened.kind).id(happened.id.to_string());
    event.json_data(happened).unwrap_or_else(|error| {
        tracing::error!(%error, id = happened.id, "what happened cannot be told");
        reset()
    })
}

/// Tells what happens from now on, or from after `last`.
pub(super) fn follow(
    app: App,
    place: OwnedSemaphorePermit,
    wish: Wish,
    last: Option<i64>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    // Subscribed before what was missed is read: what comes in between is told twice rather than never.
    let mut moved = app.live.moved.subscribe();
    let open = Open::new();
    async_stream::stream! {
        let _held_until_they_go = (place, open);
        if let Some(last) = last {
            match since(&app.pool, last).await {
                Ok(Some(missed)) => {
                    for happened in missed.iter().filter(|happened| wish.wants(happened)) {
                        yield Ok(told(happened));
                    }
                }
                Ok(None) => yield Ok(reset()),
                Err(error) => {
                    tracing::warn!(?error, "what was missed cannot be read");
                    yield Ok(reset());
                }
            }
        } else {
            // So that whoever waits for the stream to begin need not wait for something to happen.
            yield Ok(Event::default().comment("following"));
        }
        loop {
            let next = tokio::select! {
                () = app.stop.cancelled() => break,
                next = moved.recv() => next,
            };
            match next {
                Ok(Moved::Events(events)) => {
                    for happened in events.iter().filter(|happened| wish.wants(happened)) {
                        yield Ok(told(happened));
                    }
                }
                Ok(Moved::Tracks(_) | Moved::Nothing) => {}
                Ok(Moved::Reset) => yield Ok(reset()),
                Err(RecvError::Lagged(_)) => {
                    moved = moved.resubscribe();
                    yield Ok(reset());
                }
                Err(RecvError::Closed) => break,
            }
        }
    }
}
