//! Bytes we hold a checked copy of, as answers: sound and images, whole or in part.

use std::io::SeekFrom;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HOST, LOCATION,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use crate::App;
use crate::error::{Error, stored};
use crate::range::{self, Answer};
use crate::store::StorageKey;

/// The bytes behind a content address never change, but whose they are may stop being visible: caches ask
/// again after a day.
const CACHE: HeaderValue = HeaderValue::from_static("public, max-age=86400, immutable");

/// What a listener holds in memory of a file of any size.
const CHUNK_BYTES: usize = 64 * 1024;

/// What a blob is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A sound, or a film whose sound can be played.
    Audio,
    /// A still picture.
    Image,
}

/// Judges by the type that was found in the bytes. All else is not served at all.
pub(crate) fn kind(mime: &str) -> Option<Kind> {
    match mime.split('/').next() {
        Some("audio" | "video") => Some(Kind::Audio),
        Some("image") => Some(Kind::Image),
        _ => (mime == "application/ogg").then_some(Kind::Audio),
    }
}

/// A row of `blob` that somebody visible names.
pub(crate) struct Held {
    pub cid: String,
    pub size_bytes: i64,
    pub mime: String,
    pub storage_key: String,
}

/// `/media/{cid}`: a cover or an avatar.
pub(crate) async fn image(
    State(app): State<App>,
    cid: Result<Path<String>, PathRejection>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let missing = || Error::not_found("no such image");
    let Path(cid) = cid.map_err(|_| missing())?;
    let cid = cid::Cid::try_from(cid).map_err(|_| missing())?.to_string();
    let held = sqlx::query_as!(
        Held,
        "select cid, size_bytes, mime, storage_key
           from blob
          where cid = $1
            and exists (select
                          from blob_ref
                          join actor on actor.did = blob_ref.did and actor.active
                         where blob_ref.cid in (select blob.cid
                                                union all
                                                select cover_cid from cover_size where cover_size.cid = blob.cid)
                           and role in ('cover', 'avatar'))",
        cid
    )
    .fetch_optional(&mut *app.pool.acquire().await?)
    .await?;
    let held = held.filter(|held| kind(&held.mime) == Some(Kind::Image)).ok_or_else(missing)?;
    if let Some(elsewhere) = elsewhere(&app, &headers, &format!("media/{}", held.cid)) {
        return Ok(elsewhere);
    }
    deliver(&app, &method, &headers, &held).await
}

/// `GET /moderation/sensitive-images`: the pictures that are shown to nobody who did not ask for such. None is known to be one, as
/// nobody judges pictures here yet; web apps ask on every page all the same, so caches may keep the answer.
pub(crate) async fn sensitive() -> Response {
    let none = Json(json!({"image_ids": [], "urls": []}));
    ([(CACHE_CONTROL, HeaderValue::from_static("public, s-maxage=300, max-age=60"))], none).into_response()
}

/// A redirect when the operator named a host for media and this request did not come in under its name.
pub(crate) fn elsewhere(app: &App, headers: &HeaderMap, path: &str) -> Option<Response> {
    let base = app.options.media_url.as_ref()?;
    let asked = headers.get(HOST).and_then(|host| host.to_str().ok())?;
    let name = base.host_str()?;
    let here = match base.port() {
        Some(port) => asked.eq_ignore_ascii_case(&format!("{name}:{port}")),
        None => asked.eq_ignore_ascii_case(name),
    };
    let location = HeaderValue::from_str(&app.options.media_address(path)).ok()?;
    let cache = HeaderValue::from_static("public, max-age=300");
    (!here).then(|| {
        (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location), (CACHE_CONTROL, cache)]).into_response()
    })
}

/// Answers with the bytes that the request's conditions and range ask for.
pub(crate) async fn deliver(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    held: &Held,
) -> Result<Response, Error> {
    let key: StorageKey = stored(&held.storage_key)?;
    let (file, size_bytes) = app.store.open(&key).await.map_err(|error| {
        metrics::counter!("plyr_blob_unreadable_total").increment(1);
        Error::internal(anyhow::Error::new(error).context(format!("blob {} at {}", held.cid, key.as_str())))
    })?;
    if held.size_bytes != size_bytes as i64 {
        metrics::counter!("plyr_blob_unreadable_total").increment(1);
        let problem = format!("blob {} has {size_bytes} bytes on disk, not {}", held.cid, held.size_bytes);
        return Err(Error::internal(anyhow::Error::msg(problem)));
    }
    let etag = format!("\"{}\"", held.cid);
    let answer = range::answer(method, headers, &etag, size_bytes);
    let cached = !matches!(answer, Answer::Unsatisfiable);
    let mut response = match answer {
        Answer::NotModified => StatusCode::NOT_MODIFIED.into_response(),
        Answer::Unsatisfiable => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            response.headers_mut().insert(CONTENT_RANGE, text(format!("bytes */{size_bytes}"))?);
            response
        }
        Answer::Whole => body(file, 0, size_bytes).await?,
        Answer::Part(part) => {
            let mut response = body(file, part.start, part.end - part.start).await?;
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let value = format!("bytes {}-{}/{size_bytes}", part.start, part.end - 1);
            response.headers_mut().insert(CONTENT_RANGE, text(value)?);
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, if cached { CACHE } else { HeaderValue::from_static("no-store") });
    headers.insert(ETAG, text(etag)?);
    // Someone else's bytes under our name: should a browser ever take them for a page, it may do nothing.
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    if headers.contains_key(CONTENT_LENGTH) {
        headers.insert(CONTENT_TYPE, text(held.mime.clone())?);
    }
    Ok(response)
}

async fn body(mut file: File, start: u64, length: u64) -> Result<Response, Error> {
    file.seek(SeekFrom::Start(start)).await.map_err(Error::internal)?;
    let stream = ReaderStream::with_capacity(file.take(length), CHUNK_BYTES);
    let mut response = Body::from_stream(stream).into_response();
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(response)
}

fn text(value: String) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(value).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sound_and_pictures_are_served() {
        assert_eq!(kind("audio/mpeg"), Some(Kind::Audio));
        assert_eq!(kind("video/mp4"), Some(Kind::Audio));
        assert_eq!(kind("application/ogg"), Some(Kind::Audio));
        assert_eq!(kind("image/webp"), Some(Kind::Image));
        for mime in ["text/html", "application/octet-stream", "", "audiox/y"] {
            assert_eq!(kind(mime), None, "{mime}");
        }
    }
}
