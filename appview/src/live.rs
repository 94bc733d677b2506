//! `/live`: open pages learn what moved, as server-sent events.
//!
//! A transaction that changes what pages show writes the tracks concerned to `live_change` under a generation
//! and notifies that number. One connection per process listens; what arrives within a moment of each other
//! goes out as one event. Nothing here is kept: whoever may have missed something is told to ask for
//! everything anew (`reset`). Clients that follow what happens one by one are told so, too: see [`event`].

mod event;
mod happened;

use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use serde_json::json;
use sqlx::postgres::{PgListener, PgNotification, PgPoolOptions};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::{Instant, timeout, timeout_at};

use crate::cache::Answers;
use crate::error::Error;
use crate::pool::Pool;
use crate::server::Reader;
use crate::{App, Shared};
use event::Asked;
use happened::Happened;

/// Changes this close to each other become one event.
const WINDOW: Duration = Duration::from_millis(50);
/// While more moves than can be told one by one, pages are told to ask anew this often.
const RESET_PAUSE: Duration = Duration::from_secs(1);
/// An event that would name this many tracks is a reset instead.
const CHANGED_MAX: usize = 200;
/// So is one this long; an AT URI may have 3 kB.
const CHANGED_MAX_BYTES: usize = 64 * 1024;
/// Events a page may be behind before it is told to ask anew.
const BACKLOG: usize = 64;
/// A listener that heard nothing for so long makes sure that it would.
const QUIET: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Moved {
    /// The JSON of a `changed` event.
    Tracks(Arc<str>),
    /// What happened, in the order of their numbers.
    Events(Arc<[Happened]>),
    Reset,
    /// Nothing that a page shows.
    Nothing,
}

/// The pages that listen to this process.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    moved: broadcast::Sender<Moved>,
    places: Arc<Semaphore>,
}

impl Live {
    pub(crate) fn new(streams_max: usize) -> Self {
        Live { moved: broadcast::channel(BACKLOG).0, places: Arc::new(Semaphore::new(streams_max)) }
    }

    fn tell(&self, moved: Moved) {
        // Fails when no page listens.
        let _ = self.moved.send(moved);
    }
}

/// `GET /live`: without parameters what pages need; with any, what happens.
pub(crate) async fn stream(
    State(app): State<App>,
    asked: Result<Query<Asked>, QueryRejection>,
    connection: Option<Extension<Reader>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let Query(asked) = asked.map_err(|error| Error::invalid_request(error.body_text()))?;
    let wish = asked.wish()?;
    let place = Arc::clone(&app.live.places)
        .try_acquire_owned()
        .map_err(|_| Error::overloaded("too many pages are open"))?;
    if let Some(Extension(reader)) = connection {
        reader.must_read();
    }
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15)).text("");
    let events: BoxStream<'static, Result<Event, Infallible>> = match wish {
        None => events(app, place).boxed(),
        Some(wish) => event::follow(app, place, wish, event::last_id(&headers)).boxed(),
    };
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

fn events(app: App, place: OwnedSemaphorePermit) -> impl Stream<Item = Result<Event, Infallible>> {
    // Subscribed before the first reset leaves, so that nothing falls between what the page then reads and
    // the first event.
    let mut moved = app.live.moved.subscribe();
    let open = Open::new();
    async_stream::stream! {
        let _held_until_the_page_goes = (place, open);
        // After a restart all pages come back; not all at once.
        let retry = Duration::from_millis(rand::random_range(500..3000));
        yield Ok(reset().retry(retry));
        loop {
            let next = tokio::select! {
                () = app.stop.cancelled() => break,
                next = moved.recv() => next,
            };
            match next {
                Ok(Moved::Tracks(json)) => yield Ok(Event::default().event("changed").data(&*json)),
                Ok(Moved::Events(_) | Moved::Nothing) => {}
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

fn reset() -> Event {
    Event::default().event("reset").data("{}")
}

/// Counts open streams.
struct Open;

impl Open {
    fn new() -> Self {
        metrics::gauge!("plyr_live_streams").increment(1);
        Open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("plyr_live_streams").decrement(1);
    }
}

/// Listens to the database and tells the pages, until the server stops. Outlives any failure of the database.
pub(crate) async fn relay(app: App) {
    loop {
        let failure = tokio::select! {
            () = app.stop.cancelled() => return,
            failure = listen(&app) => failure,
        };
        metrics::counter!("plyr_live_listener_failures_total").increment(1);
        tracing::warn!(error = %failure, "not listening to changes; trying again");
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_millis(rand::random_range(500..1500))) => {}
        }
    }
}

/// Returns only when listening failed.
async fn listen(app: &App) -> sqlx::Error {
    match try_listen(app).await {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn try_listen(app: &App) -> Result<Infallible, sqlx::Error> {
    let Shared { live, database, pool, answers, .. } = &**app;
    let own = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(5))
        .connect_lazy_with(database.clone().application_name("plyr live"));
    let mut listener = PgListener::connect_with(&own).await?;
    // A lost connection is our caller's to replace, as any other failure.
    listener.eager_reconnect(false);
    listener.listen("plyr").await?;
    tracing::info!("listening to changes");
    // What moved while nobody listened is unknown.
    answers.outdate();
    live.tell(Moved::Reset);
    let mut quiet_until = Instant::now();
    loop {
        let first = next(&mut listener, answers).await?;
        let until = quiet_until.max(Instant::now() + WINDOW);
        let generations = collect(&mut listener, answers, first, until).await?;
        let moved = match generations {
            Some(generations) => {
                match happened::read(pool, &generations).await {
                    Ok(Some(events)) if events.is_empty() => {}
                    Ok(Some(events)) => live.tell(Moved::Events(events.into())),
                    Ok(None) => live.tell(Moved::Reset),
                    Err(error) => {
                        tracing::warn!(?error, "what happened cannot be read");
                        live.tell(Moved::Reset);
                    }
                }
                read(pool, &generations).await
            }
            None => Moved::Reset,
        };
        if moved == Moved::Reset {
            quiet_until = Instant::now() + RESET_PAUSE;
        }
        if moved != Moved::Nothing {
            live.tell(moved);
        }
    }
}

/// The next notification, however long it takes. A connection that a firewall has forgotten looks like a
/// quiet one, so a quiet one is tried.
async fn next(listener: &mut PgListener, answers: &Answers) -> Result<PgNotification, sqlx::Error> {
    loop {
        match timeout(QUIET, listener.try_recv()).await {
            Ok(received) => {
                let notification = received?.ok_or_else(lost)?;
                answers.outdate();
                // Without a generation nothing moved that open pages follow.
                if !notification.payload().is_empty() {
                    return Ok(notification);
                }
            }
            Err(_) => {
                let ping = sqlx::query("select 1").execute(&mut *listener);
                timeout(Duration::from_secs(5), ping).await.map_err(|_| lost())??;
            }
        }
    }
}

/// The generations notified from `first` on until a moment; `None` when they are too many or not to be
/// read.
async fn collect(
    listener: &mut PgListener,
    answers: &Answers,
    first: PgNotification,
    until: Instant,
) -> Result<Option<Vec<i64>>, sqlx::Error> {
    let mut generations = vec![first.payload().parse::<i64>().ok()];
    while let Ok(received) = timeout_at(until, listener.try_recv()).await {
        let notification = received?.ok_or_else(lost)?;
        answers.outdate();
        if !notification.payload().is_empty() && generations.len() <= CHANGED_MAX {
            generations.push(notification.payload().parse().ok());
        }
    }
    let known: Option<Vec<i64>> = generations.into_iter().collect();
    Ok(known.filter(|known| known.len() <= CHANGED_MAX))
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, "the connection was lost"))
}

/// What these generations moved. Anything unclear is a reset: a page that asks too often beats one that shows
/// the past.
async fn read(pool: &Pool, generations: &[i64]) -> Moved {
    match changes(pool, generations).await {
        // Perhaps not all of them.
        Ok(rows) if rows.len() == 2000 => Moved::Reset,
        Ok(rows) => event(generations, &rows),
        Err(error) => {
            tracing::warn!(%error, "what moved cannot be read");
            Moved::Reset
        }
    }
}

/// A row of `live_change`: generation, URI, whether the feed itself changed.
type Change = (i64, String, bool);

async fn changes(pool: &Pool, generations: &[i64]) -> sqlx::Result<Vec<Change>> {
    let rows = sqlx::query!(
        r#"select generation as "generation!", uri as "uri!", reorders as "reorders!" from (
             select generation, uri, reorders from live_change where generation = any($1)
             union all
             -- One that tells only of what happened moves no track.
             select distinct generation, '', false from live_event where generation = any($1)) as moved limit 2000"#,
        generations
    )
    .fetch_all(&mut *pool.acquire().await?)
    .await?;
    Ok(rows.into_iter().map(|row| (row.generation, row.uri, row.reorders)).collect())
}

fn event(generations: &[i64], rows: &[Change]) -> Moved {
    let wanted: HashSet<i64> = generations.iter().copied().collect();
    let found: HashSet<i64> = rows.iter().map(|(generation, ..)| *generation).collect();
    let uris = rows.iter().map(|(_, uri, _)| uri.as_str()).filter(|uri| !uri.is_empty());
    let uris: BTreeSet<&str> = uris.collect();
    // A generation without rows was swept, or lost with the unlogged table.
    if wanted != found || uris.len() >= CHANGED_MAX {
        return Moved::Reset;
    }
    if uris.is_empty() {
        return Moved::Nothing;
    }
    let latest = rows.iter().any(|(.., reorders)| *reorders);
    let json = json!({"uris": uris, "latest": latest}).to_string();
    if json.len() > CHANGED_MAX_BYTES { Moved::Reset } else { Moved::Tracks(json.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(generation: i64, uri: &str, reorders: bool) -> Change {
        (generation, uri.to_owned(), reorders)
    }

    #[test]
    fn one_event_for_what_came_together() {
        let rows = [row(1, "at://b", false), row(2, "at://a", true), row(2, "at://b", false)];
        let expected = r#"{"latest":true,"uris":["at://a","at://b"]}"#;
        assert_eq!(event(&[1, 2], &rows), Moved::Tracks(expected.into()));
        assert_eq!(event(&[1], &[row(1, "", false)]), Moved::Nothing);
        assert_eq!(event(&[1], &rows[..1]), Moved::Tracks(r#"{"latest":false,"uris":["at://b"]}"#.into()));
    }

    #[test]
    fn what_cannot_be_told_is_a_reset() {
        assert_eq!(event(&[1, 2], &[row(1, "at://a", false)]), Moved::Reset);
        let many: Vec<Change> = (0..CHANGED_MAX).map(|n| row(1, &format!("at://{n}"), false)).collect();
        assert_eq!(event(&[1], &many), Moved::Reset);
        assert!(matches!(event(&[1], &many[1..]), Moved::Tracks(_)));
        let long: Vec<Change> =
            (0..30).map(|n| row(1, &format!("at://{n}{}", "x".repeat(2900)), false)).collect();
        assert_eq!(event(&[1], &long), Moved::Reset);
    }
}
