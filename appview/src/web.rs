//! The player: a single-page app built into the binary, and the pages around it.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, RETRY_AFTER,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use indexer::link::names;
use indexer::syntax::{AtUri, Handle};
use rust_embed::{Embed, EmbeddedFile};
use sha2::{Digest, Sha256};

use crate::actor::AtIdentifier;
use crate::card::{self, Card};
use crate::error::Error;
use crate::options::path;
use crate::{App, embed, headers, range};

#[derive(Embed)]
#[folder = "web/dist"]
struct Bundle;

const INDEX: &str = "index.html";

const UNBUILT: &str = include_str!("web/unbuilt.html");
const NOTICE: &str = include_str!("web/notice.html");

/// `/`, and the pages of somebody signed in: `/upload`, `/portal`.
pub(crate) async fn index(State(app): State<App>, headers: HeaderMap) -> Response {
    page(&app, &headers, StatusCode::OK, None)
}

/// `/track/{number}`, `/playlist/{id}`: the way to the page of what is called so here.
pub(crate) async fn called(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    lead(&app, &uri, &headers).await
}

/// Where the address of a page leads that names its record by a number or a handle. Not for ever: a handle changes hands.
async fn lead(app: &App, uri: &Uri, headers: &HeaderMap) -> Response {
    let address = app.options.address(uri.path().trim_start_matches('/'));
    let found = match app.pool.acquire().await {
        Ok(mut db) => names::target(&mut db, app.registry(), &address).await,
        Err(error) => Err(error),
    };
    let to = |page: &str, record: &AtUri| {
        let path = path(&[page, record.authority(), record.rkey()]);
        Redirect::temporary(&format!("/{path}")).into_response()
    };
    match found {
        Ok(Some(record)) if record.collection() == app.registry().track_collection() => to("track", &record),
        Ok(Some(record)) if record.collection() == app.registry().list_collection() => {
            to("playlist", &record)
        }
        Ok(_) => missing(app, headers),
        Err(error) => Error::from(error).into_response(),
    }
}

/// `/track/{did}/{rkey}`: the same page, which opens that track; with its title and cover for those who only
/// unfold links. With a handle in place of the DID it leads there.
pub(crate) async fn track(
    State(app): State<App>,
    names: Result<Path<(String, String)>, PathRejection>,
    address: Uri,
    headers: HeaderMap,
) -> Response {
    let uri = match named(names, app.registry().track_collection()) {
        Named::ByHandle => return lead(&app, &address, &headers).await,
        Named::Record(uri) => uri,
        Named::Nothing => return missing(&app, &headers),
    };
    let card = async { card::track(&app, &mut *app.pool.acquire().await?, &uri).await };
    match card.await {
        Ok(Some(card)) => of(&app, &headers, &card),
        // The page says that it is gone.
        Ok(None) => page(&app, &headers, StatusCode::NOT_FOUND, None),
        Err(error) => untold(&app, &headers, error),
    }
}

/// `/playlist/{did}/{rkey}`. With a handle in place of the DID it leads there.
pub(crate) async fn playlist(
    State(app): State<App>,
    names: Result<Path<(String, String)>, PathRejection>,
    address: Uri,
    headers: HeaderMap,
) -> Response {
    let uri = match named(names, app.registry().list_collection()) {
        Named::ByHandle => return lead(&app, &address, &headers).await,
        Named::Record(uri) => uri,
        Named::Nothing => return missing(&app, &headers),
    };
    let card = async { card::playlist(&app, &mut *app.pool.acquire().await?, &uri).await };
    shown(&app, &headers, card.await)
}

/// `/u/{did or handle}`.
pub(crate) async fn artist(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let name = name.ok().and_then(|Path(name)| AtIdentifier::try_from(name).ok());
    let Some(name) = name else { return missing(&app, &headers) };
    let card = async { card::artist(&app, &mut *app.pool.acquire().await?, name).await };
    shown(&app, &headers, card.await)
}

/// `/u/{did or handle}/album/{slug}`.
pub(crate) async fn album(
    State(app): State<App>,
    names: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let names = names.ok().and_then(|Path((name, slug))| Some((AtIdentifier::try_from(name).ok()?, slug)));
    let Some((name, slug)) = names else { return missing(&app, &headers) };
    let card = async { card::album(&app, &mut *app.pool.acquire().await?, name, &slug).await };
    shown(&app, &headers, card.await)
}

/// `/tag/{tag}`.
pub(crate) async fn tag(
    State(app): State<App>,
    tag: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response {
    let Ok(Path(tag)) = tag else { return missing(&app, &headers) };
    let card = async { card::tag(&app, &mut *app.pool.acquire().await?, &tag).await };
    shown(&app, &headers, card.await)
}

/// The record that two parts of a path name.
enum Named {
    Record(AtUri),
    /// Of whoever has that handle.
    ByHandle,
    Nothing,
}

fn named(names: Result<Path<(String, String)>, PathRejection>, collection: &str) -> Named {
    let Ok(Path((who, rkey))) = names else { return Named::Nothing };
    if who.parse::<Handle>().is_ok() {
        return Named::ByHandle;
    }
    format!("at://{who}/{collection}/{rkey}").parse().map_or(Named::Nothing, Named::Record)
}

/// A page of something that is there, or is not.
fn shown(app: &App, headers: &HeaderMap, card: Result<Option<Card>, Error>) -> Response {
    match card {
        Ok(Some(card)) => of(app, headers, &card),
        Ok(None) => missing(app, headers),
        Err(error) => untold(app, headers, error),
    }
}

fn of(app: &App, headers: &HeaderMap, card: &Card) -> Response {
    page(app, headers, StatusCode::OK, Some(&card::head::tags(&app.options, card)))
}

/// The page itself needs no database, and will say what is wrong.
fn untold(app: &App, headers: &HeaderMap, error: Error) -> Response {
    tracing::warn!(?error, "no link preview");
    page(app, headers, StatusCode::OK, None)
}

/// `/assets/*`: files whose names hold a hash of their content.
pub(crate) async fn asset(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    match Bundle::get(path) {
        Some(file) => static_file(path, file, &headers, "public, max-age=31536000, immutable"),
        None => missing(&app, &headers),
    }
}

/// Any other path: a file at the bundle's root, such as an icon; else nothing.
pub(crate) async fn other(State(app): State<App>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if method != Method::GET && method != Method::HEAD {
        return Error::method_not_allowed().into_response();
    }
    match Bundle::get(path).filter(|_| path != INDEX) {
        Some(file) => static_file(path, file, &headers, "public, max-age=3600"),
        None => missing(&app, &headers),
    }
}

/// The app's page, with `tags` in its head in place of its title and of what is said of every page.
fn page(app: &App, headers: &HeaderMap, status: StatusCode, tags: Option<&str>) -> Response {
    let Some(file) = Bundle::get(INDEX) else {
        return html(app, headers, StatusCode::OK, UNBUILT.to_owned());
    };
    let page = String::from_utf8_lossy(&file.data);
    let page = tags.and_then(|tags| with_tags(&page, tags)).unwrap_or_else(|| page.into_owned());
    html(app, headers, status, page)
}

fn with_tags(page: &str, tags: &str) -> Option<String> {
    let (before, rest) = page.split_once("<title>")?;
    let (_, after) = rest.split_once("</title>")?;
    let said = before.split_once("<meta name=\"description\"").and_then(|(before, rest)| {
        let (_, after) = rest.split_once('>')?;
        Some(format!("{before}{after}"))
    });
    Some(format!("{}{tags}{after}", said.as_deref().unwrap_or(before)))
}

/// The page that says so, for people; else an error.
pub(crate) fn missing(app: &App, headers: &HeaderMap) -> Response {
    if is_for_people(headers) {
        let page = notice("nothing here", "this page does not exist, or no longer does.");
        return html(app, headers, StatusCode::NOT_FOUND, page);
    }
    Error::not_found("nothing here").into_response()
}

/// Too much was asked: a page that says so, for people; else the error.
pub(crate) fn refused(app: &App, asked: &Parts, error: Error) -> Response {
    let refusal = error.into_response();
    if !is_for_people(&asked.headers) {
        return refusal;
    }
    let wait = refusal.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()).unwrap_or("60");
    let text = format!("so much was asked from where you are that this has to wait. again in {wait} s.");
    let mut page = match asked.uri.path().starts_with("/embed/") {
        true => embed::notice(app, refusal.status(), "one moment", &text),
        false => html(app, &HeaderMap::new(), refusal.status(), notice("one moment", &text)),
    };
    page.headers_mut().extend(refusal.headers().get(RETRY_AFTER).map(|wait| (RETRY_AFTER, wait.clone())));
    page
}

fn is_for_people(headers: &HeaderMap) -> bool {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accepts.is_some_and(|accept| accept.contains("text/html"))
}

/// A page of a few words of ours.
fn notice(title: &str, text: &str) -> String {
    NOTICE.replace("{title}", title).replace("{text}", text)
}

/// A page, by the policy of pages.
pub(crate) fn html(app: &App, headers: &HeaderMap, status: StatusCode, page: String) -> Response {
    let etag = weak_etag(&Sha256::digest(page.as_bytes()));
    let policy = HeaderValue::try_from(headers::page_policy(&app.options)).map_err(Error::internal);
    let policy = match policy {
        Ok(policy) => policy,
        Err(error) => return error.into_response(),
    };
    let common: [(HeaderName, HeaderValue); 2] =
        [(CACHE_CONTROL, HeaderValue::from_static("no-cache")), (CONTENT_SECURITY_POLICY, policy)];
    if status == StatusCode::OK && is_held(headers, &etag) {
        return (StatusCode::NOT_MODIFIED, common, [(ETAG, etag)]).into_response();
    }
    (status, common, [(CONTENT_TYPE, "text/html; charset=utf-8")], [(ETAG, etag)], page).into_response()
}

fn static_file(path: &str, file: EmbeddedFile, headers: &HeaderMap, cache: &'static str) -> Response {
    let etag = weak_etag(&file.metadata.sha256_hash());
    let common = [(CACHE_CONTROL, cache)];
    if is_held(headers, &etag) {
        return (StatusCode::NOT_MODIFIED, common, [(ETAG, etag)]).into_response();
    }
    let mime = mime_guess::from_path(path).first_or_octet_stream();
    let mime = match mime.type_() {
        mime_guess::mime::TEXT => format!("{mime}; charset=utf-8"),
        _ => mime.to_string(),
    };
    (common, [(CONTENT_TYPE, mime)], [(ETAG, etag)], file.data).into_response()
}

/// Weak, as the same content goes out compressed and not.
pub(crate) fn weak_etag(sha256: &[u8]) -> String {
    format!("W/\"{}\"", hex::encode(&sha256[..sha256.len().min(16)]))
}

/// Whether the caller has it already.
pub(crate) fn is_held(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|value| value.to_str().is_ok_and(|list| range::names(list, etag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_replace_the_title() {
        let page = "<head><title>plyr</title><link></head>";
        assert_eq!(
            with_tags(page, "<title>x</title>").as_deref(),
            Some("<head><title>x</title><link></head>")
        );
        let page = "<head><meta name=\"description\" content=\"all\" /><title>plyr</title></head>";
        assert_eq!(with_tags(page, "<b>").as_deref(), Some("<head><b></head>"));
        assert_eq!(with_tags("<head></head>", "x"), None);
    }
}
