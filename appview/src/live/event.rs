//! What happens, one by one: `/live?kinds=like,play&actor=did:…&track=at://…`.
//!
//! Each event has its kind as name, a number as `id`, and JSON as data: `uri` of the record, `did` of who did it, `subject` (the
//! track), `createdAt`. Only of what is public and not hidden, and of plays that players told of not who heard them. Whoever
//! comes back with `Last-Event-ID` is told what they missed in the last hour; some of it perhaps twice. `reset` means that
//! something may be missing.

use std::convert::Infallible;

use axum::http::HeaderMap;
use axum::response::sse::Event;
use chrono::{DateTime, Utc};
use futures_util::Stream;
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::error::RecvError;

use super::{Moved, Open, reset};
use crate::App;
use crate::error::Error;
use crate::pool::Pool;

/// The kinds that there are.
const KINDS: [&str; 5] = ["like", "comment", "play", "status", "track"];
/// Events of one moment, and events that somebody missed, that are told one by one; where there are more, it is a reset.
const EVENTS_MAX: i64 = 1000;
/// Numbers are given before they are told: so far back somebody who comes back looks once more.
const OVERLAP_S: f64 = 30.0;

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

/// A row of `live_event` that may be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Happened {
    #[serde(skip)]
    id: i64,
    #[serde(skip)]
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    did: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    created_at: DateTime<Utc>,
}

/// The number after which somebody wants to go on.
pub(super) fn last_id(headers: &HeaderMap) -> Option<i64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// What these generations told; none where it is too much to be told one by one.
pub(super) async fn read(pool: &Pool, generations: &[i64]) -> sqlx::Result<Option<Vec<Happened>>> {
    // Whose track it is may be hidden, whoever likes it.
    let events = sqlx::query_as!(
        Happened,
        "select id, kind, uri, did, subject_uri as subject, created_at from live_event e
          where generation = any($1)
            and (select active from actor where actor.did = split_part(e.subject_uri, '/', 3)) is not false
          order by id limit $2",
        generations,
        EVENTS_MAX + 1
    )
    .fetch_all(&mut *pool.acquire().await?)
    .await?;
    Ok((events.len() as i64 <= EVENTS_MAX).then_some(events))
}

/// What happened after that one, or none where that cannot be told. What counts is how much there was, whoever may see it: of
/// hidden people and of the event itself there is nothing to tell, and where more was than is looked at, the rest is not known.
async fn since(pool: &Pool, id: i64) -> sqlx::Result<Option<Vec<Happened>>> {
    let mut db = pool.acquire().await?;
    let at = sqlx::query_scalar!("select created_at from live_event where id = $1", id)
        .fetch_optional(&mut *db)
        .await?;
    let Some(at) = at else { return Ok(None) };
    let rows = sqlx::query!(
        r#"select id, kind, uri, did, subject_uri, created_at,
                  (did is null or (select active from actor where actor.did = e.did) is true)
                  and (select active from actor where actor.did = split_part(e.subject_uri, '/', 3)) is not false
                    as "is_shown!"
             from (select * from live_event where created_at > $1::timestamptz - make_interval(secs => $2)
                    order by created_at limit $3) as e
            order by id"#,
        at,
        OVERLAP_S,
        EVENTS_MAX + 1
    )
    .fetch_all(&mut *db)
    .await?;
    if rows.len() as i64 > EVENTS_MAX {
        return Ok(None);
    }
    let shown = rows.into_iter().filter(|row| row.is_shown && row.id != id).map(|row| Happened {
        id: row.id,
        kind: row.kind,
        uri: row.uri,
        did: row.did,
        subject: row.subject_uri,
        created_at: row.created_at,
    });
    Ok(Some(shown.collect()))
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
                Ok(None) | Err(_) => yield Ok(reset()),
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
