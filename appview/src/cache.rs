//! Answers that are everybody's, kept as the bytes that they are, until something changes or a second is over.
//!
//! Whoever shows a credential is answered anew: nothing that is somebody's own goes in here, and nobody who is somebody is answered
//! from here. Each notification of the door begins a new epoch, in which no answer of before is found; where none is heard of, an
//! answer is a second old at most. Whoever asks for what is being made waits for it instead of having it made again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, ETAG, IF_NONE_MATCH, SET_COOKIE, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use moka::future::Cache;
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::session::{COOKIE_NAME, cookie};
use crate::web::weak_etag;
use crate::{App, limit, reception};

/// How old an answer may become.
const LIFE: Duration = Duration::from_secs(1);
/// Bytes of all answers, and of one.
const SIZE_MAX: u64 = 32 * 1024 * 1024;
const ANSWER_MAX: usize = 4 * 1024 * 1024;
/// Bytes of a question.
const URI_MAX: usize = 2048;

/// Where paths begin that say the same to all who are nobody; whoever signs in, uploads or plays begins something of their own.
const PUBLIC: [&str; 11] = [
    "/xrpc/",
    "/tracks",
    "/albums",
    "/artists/",
    "/lists/",
    "/users/",
    "/search",
    "/stats",
    "/activity",
    "/config",
    "/oembed",
];
/// What is asked to learn how things are just now.
const UNSHARED: [&str; 4] = [
    "/xrpc/_health",
    "/xrpc/fm.plyr.sync.getStatus",
    "/xrpc/fm.plyr.sync.getRepoStatus",
    "/xrpc/fm.plyr.actor.getNowPlaying",
];

/// Caches may keep it and must ask whether it is still so.
const SHARED: HeaderValue = HeaderValue::from_static("public, no-cache");
const VARIES: HeaderValue = HeaderValue::from_static("accept-encoding, authorization, cookie");

/// What is kept. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    kept: Cache<Question, Arc<Answer>>,
    epoch: Arc<AtomicU64>,
}

/// What was asked, and when in the order of changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    epoch: u64,
    uri: String,
    /// Whether it may come compressed.
    is_gzip: bool,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answers {
    pub(crate) fn new() -> Self {
        let weight = |question: &Question, answer: &Arc<Answer>| {
            u32::try_from(answer.body.len() + question.uri.len() + 512).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder().max_capacity(SIZE_MAX).weigher(weight).time_to_live(LIFE).build();
        Answers { kept, epoch: Arc::default() }
    }

    /// Something changed: what was answered until now may not be so any more.
    pub(crate) fn outdate(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }
}

/// The outer layer: what is kept is answered at once, and counted against the caller like anything else.
pub(crate) async fn kept(State(app): State<App>, request: Request, next: Next) -> Response {
    let Some(question) = question(&app.answers, &request) else { return next.run(request).await };
    let Some(answer) = app.answers.kept.get(&question).await else { return next.run(request).await };
    let (parts, body) = request.into_parts();
    limit::telling(async {
        match reception::count(&app, &parts, None) {
            Ok(()) => {
                metrics::counter!("plyr_http_kept_answers_total").increment(1);
                answer.response(parts.headers.get(IF_NONE_MATCH))
            }
            // Refused there in the words of the method.
            Err(_) => next.run(Request::from_parts(parts, body)).await,
        }
    })
    .await
}

/// The layer that keeps. Stands outside of compression, so that what it keeps is compressed.
pub(crate) async fn layer(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let Some(question) = question(&app.answers, &request) else {
        let mut response = next.run(request).await;
        response.headers_mut().append(VARY, VARIES);
        return response;
    };
    let held = request.headers().get(IF_NONE_MATCH).cloned();
    // What the question says, and nothing else, decides how the answer is packed.
    match question.is_gzip {
        true => request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
        false => request.headers_mut().remove(ACCEPT_ENCODING),
    };
    // Errors are told to all who wait for the same, and kept for nobody.
    let made = app.answers.kept.try_get_with(question, async { make(request, next).await.map_err(Arc::new) });
    match made.await {
        Ok(answer) => answer.response(held.as_ref()),
        Err(refused) => refused.response(None),
    }
}

/// What may be answered to anybody alike.
fn question(answers: &Answers, request: &Request) -> Option<Question> {
    let headers = request.headers();
    let uri = request.uri().path_and_query()?.as_str();
    let is_anybodys = request.method() == Method::GET
        && uri.len() <= URI_MAX
        && !headers.contains_key(AUTHORIZATION)
        && cookie(headers, COOKIE_NAME).is_none()
        && PUBLIC.iter().any(|public| uri.starts_with(public))
        && !UNSHARED.contains(&request.uri().path());
    is_anybodys.then(|| Question {
        epoch: answers.epoch.load(Ordering::Acquire),
        uri: uri.to_owned(),
        is_gzip: takes_gzip(headers),
    })
}

/// Whether gzip is among what may be answered with. <https://www.rfc-editor.org/rfc/rfc9110#name-accept-encoding>
fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|list| list.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let refuses = weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok()) == Some(0.0);
        name.trim().eq_ignore_ascii_case("gzip") && !refuses
    })
}

/// Has the answer made. An error is one that is not kept.
async fn make(request: Request, next: Next) -> Result<Arc<Answer>, Answer> {
    let (parts, body) = next.run(request).await.into_parts();
    let mut headers = parts.headers;
    let Ok(body) = to_bytes(body, ANSWER_MAX).await else {
        let error = Error::internal(anyhow::anyhow!("an answer larger than {ANSWER_MAX} bytes"));
        let (parts, body) = axum::response::IntoResponse::into_response(error).into_parts();
        let body = to_bytes(body, ANSWER_MAX).await.unwrap_or_default();
        return Err(Answer { status: parts.status, headers: parts.headers, body });
    };
    headers.remove(CONTENT_LENGTH);
    headers.append(VARY, VARIES);
    let is_shared = !headers.contains_key(SET_COOKIE) && !headers.contains_key(CACHE_CONTROL);
    let is_kept = parts.status == StatusCode::OK && is_shared;
    if is_kept {
        headers.insert(CACHE_CONTROL, SHARED);
        let etag = HeaderValue::try_from(weak_etag(&Sha256::digest(&body)));
        headers.extend(etag.ok().map(|etag| (ETAG, etag)));
    }
    let answer = Answer { status: parts.status, headers, body };
    if is_kept { Ok(Arc::new(answer)) } else { Err(answer) }
}

impl Answer {
    fn response(&self, held: Option<&HeaderValue>) -> Response {
        let etag = self.headers.get(ETAG).and_then(|etag| etag.to_str().ok());
        let is_held = etag.is_some_and(|etag| is_held_by(held, etag));
        let mut response = Response::new(if is_held { Body::empty() } else { Body::from(self.body.clone()) });
        *response.status_mut() = if is_held { StatusCode::NOT_MODIFIED } else { self.status };
        response.headers_mut().clone_from(&self.headers);
        response
    }
}

fn is_held_by(held: Option<&HeaderValue>, etag: &str) -> bool {
    held.and_then(|value| value.to_str().ok()).is_some_and(|list| crate::range::names(list, etag))
}
