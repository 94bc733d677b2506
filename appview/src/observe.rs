//! What every request passes through: an id, a span, a deadline, its latency; and a panic that stays its own.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::Instrument;

use crate::detail::Detail;
use crate::error::Error;

/// How long an answer may take to begin. What follows the headers (sound, events) may last.
const DEADLINE: Duration = Duration::from_secs(10);
/// The same for what waits for somebody's PDS: longer than one that we wait for at most, with what went before it.
const ACTION_DEADLINE: Duration = Duration::from_secs(75);

/// A body of so much comes with its head.
const READ_AT_ONCE_BYTES: u64 = 4096;

/// Why a handler gave no answer.
enum Silence {
    Panicked(String),
    Late,
}

/// Names the metrics of this crate for an exporter's help lines. Call once, after the recorder is installed.
pub fn describe_metrics() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_histogram!(
        "plyr_http_request_duration_seconds",
        Unit::Seconds,
        "Time until an answer began that was made, by route template and status class"
    );
    describe_counter!("plyr_http_kept_answers_total", "Answers that were not made but kept");
    describe_gauge!("plyr_http_requests_in_flight", "Requests whose answer has not begun");
    describe_gauge!("plyr_http_connections", "Open connections");
    describe_gauge!("plyr_read_pool_connections", "Connections of the readers' pool, by state");
    describe_gauge!("plyr_live_streams", "Open pages that listen to changes");
    describe_counter!("plyr_token_refreshes_total", "Refresh tokens used, by outcome");
    describe_counter!("plyr_service_tokens_total", "Tokens that PDSes signed for their people, by outcome");
    describe_counter!(
        "plyr_live_stuck_total",
        "Listeners cut off because they read nothing of what they were sent"
    );
    describe_counter!("plyr_live_listener_failures_total", "Times that listening to changes failed");
    describe_counter!("plyr_blob_unreadable_total", "Blobs that a row promises and the store does not have");
}

/// The layer. Stands inside CORS, so that its own refusals can be read by any page too.
pub(crate) async fn request(request: Request, next: Next) -> Response {
    let refuse = |silence| match silence {
        Silence::Panicked(text) => Error::internal(anyhow::Error::msg(text)).into_response(),
        Silence::Late => Error::overloaded("no answer within ten seconds").into_response(),
    };
    observe(request, next, Some(DEADLINE), refuse).await
}

/// The layer of the HTTP API, whose errors are `{"detail": …}`. What changes something or signs somebody in may take as
/// long as the server of theirs that it asks; and a form as long as its sender, for its reader has limits of its own.
pub(crate) async fn action(request: Request, next: Next) -> Response {
    let is_form =
        request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
    let waits = !request.method().is_safe() || request.uri().path().starts_with("/auth/");
    let deadline = if waits { ACTION_DEADLINE } else { DEADLINE };
    let refuse = |silence| match silence {
        Silence::Panicked(text) => Detail::internal(anyhow::Error::msg(text)).into_response(),
        Silence::Late => Detail::unavailable("no answer in time").into_response(),
    };
    observe(request, next, (!is_form).then_some(deadline), refuse).await
}

async fn observe(
    request: Request,
    next: Next,
    deadline: Option<Duration>,
    refuse: impl FnOnce(Silence) -> Response,
) -> Response {
    let id = format!("{:016x}", rand::random::<u64>());
    let matched = request.extensions().get::<MatchedPath>();
    // Never the path itself: a metric per guess would be a gift to whoever guesses.
    let route = matched.map_or("unmatched", MatchedPath::as_str).to_owned();
    let path: String = request.uri().path().chars().take(256).collect();
    let span = tracing::info_span!("request", id, method = %request.method(), path);
    let leaves_body = is_long(request.headers());
    async move {
        let started = Instant::now();
        let mut response = {
            let _in_flight = InFlight::new();
            answer(request, next, deadline).await.unwrap_or_else(refuse)
        };
        let latency = started.elapsed();
        let status = response.status().as_u16();
        let class = ["1xx", "2xx", "3xx", "4xx", "5xx"]
            .get(usize::from(status / 100) - 1)
            .copied()
            .unwrap_or("other");
        metrics::histogram!("plyr_http_request_duration_seconds", "route" => route, "status" => class)
            .record(latency.as_secs_f64());
        tracing::debug!(status, latency_ms = latency.as_millis() as u64, "answered");
        // What was not read of a body is not waited for: the caller shall know that the connection ends with it.
        if leaves_body && response.status().is_client_error() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert("x-request-id", value);
        }
        response
    }
    .instrument(span)
    .await
}

/// Whether a refusal may leave some of a body unread. Forms are drained by who reads them.
fn is_long(headers: &HeaderMap) -> bool {
    let is_form = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let is_long = length.is_some_and(|bytes| bytes > READ_AT_ONCE_BYTES);
    !is_form && (is_long || headers.contains_key(TRANSFER_ENCODING))
}

async fn answer(request: Request, next: Next, deadline: Option<Duration>) -> Result<Response, Silence> {
    // Handlers share nothing that a panic could leave half-changed.
    let caught = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answered = match deadline {
        Some(deadline) => tokio::time::timeout(deadline, caught).await.map_err(|_| Silence::Late)?,
        None => caught.await,
    };
    answered.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Silence::Panicked(text.to_owned())
    })
}

/// Counts, also when the caller goes away half-way.
struct InFlight;

impl InFlight {
    fn new() -> Self {
        metrics::gauge!("plyr_http_requests_in_flight").increment(1);
        InFlight
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("plyr_http_requests_in_flight").decrement(1);
    }
}
