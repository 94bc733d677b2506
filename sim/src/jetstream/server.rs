//! The endpoints, and one task per subscriber.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use zstd::bulk::Compressor;

use super::filter::{Filter, Query, one};
use super::{Entry, Shared, dictionary, wire};

/// Cursors below this are numbers, others times in microseconds.
const TIMES_FROM: u64 = 1_000_000_000_000_000;
const SUBPROTOCOL: &str = "xrpc.v1.json";
/// Entries looked at under one lock.
const PAGE: usize = 256;

type Upgrade = Result<WebSocketUpgrade, WebSocketUpgradeRejection>;

pub(super) async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let ended = stop.clone();
    let app = Router::new()
        .route("/xrpc/network.bsky.jetstream.subscribeEvents", get(subscribe_events))
        .route("/xrpc/network.bsky.jetstream.getZstdDictionary", get(dictionary))
        .route("/subscribe", get(subscribe))
        .with_state((shared, stop));
    let served = axum::serve(listener, app).with_graceful_shutdown(ended.cancelled_owned()).await;
    if let Err(error) = served {
        tracing::error!(%error, "the Jetstream ended");
    }
}

type Shares = State<(Arc<Shared>, CancellationToken)>;

fn parsed(query: Option<String>) -> Query {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

fn refusal(status: StatusCode, error: &str, message: &str) -> Response {
    let body = serde_json::json!({"error": error, "message": message}).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn dictionary(State((shared, _)): Shares, RawQuery(query): RawQuery) -> Response {
    let (id, bytes) = dictionary::trained(shared.dictionary.load(Ordering::Relaxed));
    match one(&parsed(query), "id") {
        Some(asked) if asked != id.to_string() => {
            refusal(StatusCode::NOT_FOUND, "DictionaryNotFound", &format!("no dictionary {asked}"))
        }
        _ => ([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response(),
    }
}

/// Where a subscriber begins, and what it is told first.
struct Start {
    seq: u64,
    notice: Option<String>,
}

/// The dialect that counts.
async fn subscribe_events(
    State((shared, stop)): Shares,
    RawQuery(query): RawQuery,
    upgrade: Upgrade,
) -> Response {
    let query = parsed(query);
    let invalid = |message: &str| refusal(StatusCode::BAD_REQUEST, "InvalidRequest", message);
    if one(&query, "compress") == Some("true") {
        return invalid(
            "compress=true is for /subscribe: use zstdDictionary=<id> with what getZstdDictionary gives",
        );
    }
    let compressor = match one(&query, "zstdDictionary").map(str::parse::<u32>) {
        None => None,
        Some(Err(_) | Ok(0)) => {
            return invalid("zstdDictionary must be a positive integer zstd dictionary ID");
        }
        Some(Ok(asked)) => {
            let (id, bytes) = dictionary::trained(shared.dictionary.load(Ordering::Relaxed));
            if asked != id {
                let message = format!("unknown zstd dictionary id {asked}; current dictionary id is {id}");
                return refusal(StatusCode::BAD_REQUEST, "UnknownZstdDictionary", &message);
            }
            Compressor::with_dictionary(3, bytes).ok()
        }
    };
    let filter = match Filter::v2(&query) {
        Ok(filter) => filter,
        Err(message) => return invalid(&message),
    };
    let start = match begin_v2(&shared, &query) {
        Ok(start) => start,
        Err((error, message)) => return refusal(StatusCode::BAD_REQUEST, error, &message),
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade.protocols([SUBPROTOCOL]),
        Err(rejection) => return rejection.into_response(),
    };
    let subscriber = Subscriber { shared, stop, filter, compressor, is_v2: true, waits_for_hello: false };
    upgrade.on_upgrade(move |socket| subscriber.run(socket, start))
}

/// Where it begins, or the error name and message of the refusal.
fn begin_v2(shared: &Shared, query: &Query) -> Result<Start, (&'static str, String)> {
    let log = shared.log();
    let next = *shared.next.borrow();
    let live = Start { seq: next, notice: None };
    let Some(text) = one(query, "cursor") else { return Ok(live) };
    let Ok(cursor) = text.parse::<u64>() else {
        return Err(("InvalidRequest", format!("subscribe: invalid cursor: {text:?}")));
    };
    if cursor >= TIMES_FROM {
        let first = log.entries.iter().find(|entry| entry.event.time_us as u64 >= cursor);
        let seq = first.map_or(next, |entry| entry.seq);
        let is_clamped =
            first.is_some_and(|first| first.seq == log.floor && first.event.time_us as u64 > cursor);
        let message = format!("cursor {cursor} is below the retention floor; resuming from {seq}");
        return Ok(Start { seq, notice: is_clamped.then(|| wire::info("OutdatedCursor", &message)) });
    }
    if cursor > next {
        let message = format!("cursor {cursor} is beyond the tip; starting at {next}");
        let notice = shared.options.tells_of_future_cursors.then(|| wire::info("FutureCursor", &message));
        return Ok(Start { notice, ..live });
    }
    if cursor < log.floor {
        return Err(("CursorTooOld", format!("cursor {cursor} is below the lookback floor {}", log.floor)));
    }
    Ok(Start { seq: cursor, notice: None })
}

/// The dialect of times.
async fn subscribe(
    State((shared, stop)): Shares,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: Upgrade,
) -> Response {
    let query = parsed(query);
    let filter = match Filter::v1(&query) {
        Ok(filter) => filter,
        Err(message) => return (StatusCode::BAD_REQUEST, message).into_response(),
    };
    let seq = match begin_v1(&shared, &query) {
        Ok(seq) => seq,
        Err(message) => return (StatusCode::BAD_REQUEST, message).into_response(),
    };
    let has_header = headers
        .get("socket-encoding")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.contains("zstd"));
    let wants_zstd = has_header || one(&query, "compress") == Some("true");
    let compressor = if wants_zstd { Compressor::with_dictionary(3, dictionary::FIXED).ok() } else { None };
    let waits_for_hello = one(&query, "requireHello") == Some("true");
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let subscriber = Subscriber { shared, stop, filter, compressor, is_v2: false, waits_for_hello };
    upgrade.on_upgrade(move |socket| subscriber.run(socket, Start { seq, notice: None }))
}

/// A cursor too old is clamped without a word.
fn begin_v1(shared: &Shared, query: &Query) -> Result<u64, String> {
    let log = shared.log();
    let next = *shared.next.borrow();
    let Some(text) = one(query, "cursor") else { return Ok(next) };
    let cursor: u64 = text.parse().map_err(|_| format!("invalid cursor: {text:?}"))?;
    if cursor < TIMES_FROM {
        return Ok(if cursor > next { next } else { cursor.max(log.floor) });
    }
    let first = log.entries.iter().find(|entry| entry.event.time_us as u64 >= cursor);
    Ok(first.map_or(next, |entry| entry.seq))
}

/// One connection.
struct Subscriber {
    shared: Arc<Shared>,
    stop: CancellationToken,
    filter: Filter,
    compressor: Option<Compressor<'static>>,
    is_v2: bool,
    waits_for_hello: bool,
}

impl Subscriber {
    async fn run(mut self, mut socket: WebSocket, start: Start) {
        self.shared.subscribers.fetch_add(1, Ordering::Relaxed);
        // However it ends, it is over: the other side sees it.
        self.talk(&mut socket, start).await.ok();
        self.shared.subscribers.fetch_sub(1, Ordering::Relaxed);
    }

    async fn talk(&mut self, socket: &mut WebSocket, start: Start) -> Result<(), axum::Error> {
        let (mut next, mut generation) = (self.shared.next.subscribe(), self.shared.generation.subscribe());
        let mut pings = tokio::time::interval(self.shared.options.ping_every);
        pings.tick().await;
        let stop = self.stop.clone();
        if let Some(notice) = start.notice {
            self.send(socket, &notice).await?;
        }
        let mut at = start.seq;
        loop {
            next.borrow_and_update();
            if !self.waits_for_hello {
                at = self.deliver(socket, at).await?;
            }
            tokio::select! {
                _ = next.changed() => {}
                _ = generation.changed() => {
                    let last_words = self.shared.log().last_words.clone().filter(|_| self.is_v2);
                    return match last_words {
                        Some(last_words) => self.send(socket, &last_words).await,
                        None => Ok(()),
                    };
                }
                _ = stop.cancelled() => return Ok(()),
                _ = pings.tick() => socket.send(Message::Ping(Bytes::new())).await?,
                message = socket.recv() => match message {
                    None => return Ok(()),
                    Some(message) => self.hear(socket, message?).await?,
                },
            }
        }
    }

    /// Sends what there is from a place on. Returns where to go on.
    async fn deliver(&mut self, socket: &mut WebSocket, mut at: u64) -> Result<u64, axum::Error> {
        loop {
            let page: Vec<Arc<Entry>> = {
                let log = self.shared.log();
                let from = log.entries.partition_point(|entry| entry.seq < at);
                let is_hidden = |entry: &Entry| {
                    log.hidden.iter().any(|prefix| entry.collection().starts_with(prefix.as_str()))
                };
                let page = &log.entries[from..log.entries.len().min(from + PAGE)];
                let Some(last) = page.last() else { return Ok(at) };
                at = last.seq + 1;
                page.iter().filter(|entry| !is_hidden(entry)).cloned().collect()
            };
            for entry in page {
                let message = if self.is_v2 { Some(&entry.v2) } else { entry.v1.as_ref() };
                if let Some(message) =
                    message.filter(|text| self.filter.wants(&entry.event) && self.filter.fits(text))
                {
                    self.send(socket, message).await?;
                }
            }
        }
    }

    async fn send(&mut self, socket: &mut WebSocket, text: &str) -> Result<(), axum::Error> {
        let message = match &mut self.compressor {
            Some(compressor) => {
                Message::Binary(compressor.compress(text.as_bytes()).map_err(axum::Error::new)?.into())
            }
            None => Message::Text(text.into()),
        };
        socket.send(message).await
    }

    /// Only the dialect of times listens.
    async fn hear(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), axum::Error> {
        let text = match &message {
            Message::Text(text) => text.as_str(),
            Message::Binary(_) => "",
            _ => return Ok(()),
        };
        let refused = match Filter::update(text) {
            _ if self.is_v2 => "this endpoint only sends".to_owned(),
            Ok(filter) => {
                (self.filter, self.waits_for_hello) = (filter, false);
                return Ok(());
            }
            Err(why) => why,
        };
        socket.send(Message::Close(Some(CloseFrame { code: 1008, reason: refused.clone().into() }))).await?;
        Err(axum::Error::new(std::io::Error::other(refused)))
    }
}

impl Entry {
    fn collection(&self) -> &str {
        if let super::Body::Commit(commit) = &self.event.body { &commit.collection } else { "" }
    }
}
