//! The player: a single-page app built into the binary, and the pages around it.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use indexer::link::names;
use indexer::syntax::{AtUri, Did, Handle, Nsid, Rkey};
use rust_embed::{Embed, EmbeddedFile};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::{App, headers, range};

#[derive(Embed)]
#[folder = "web/dist"]
struct Bundle;

const INDEX: &str = "index.html";

const UNBUILT: &str = include_str!("web/unbuilt.html");
const MISSING: &str = include_str!("web/missing.html");

/// `/`, and the pages of somebody signed in: `/upload`, `/portal`.
pub(crate) async fn index(State(app): State<App>, headers: HeaderMap) -> Response {
    page(&app, &headers, StatusCode::OK, None)
}

/// `/track/{number}`: the way to the page of the track that has this number here.
pub(crate) async fn numbered(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    lead(&app, &uri, &headers).await
}

/// Where the address of a page leads that names its track by a number or a handle. Not for ever: a handle changes hands.
async fn lead(app: &App, uri: &Uri, headers: &HeaderMap) -> Response {
    let address = app.options.address(uri.path().trim_start_matches('/'));
    let found = match app.pool.acquire().await {
        Ok(mut db) => names::target(&mut db, app.registry(), &address).await,
        Err(error) => Err(error),
    };
    match found {
        Ok(Some(track)) if track.collection() == app.registry().track_collection() => {
            Redirect::temporary(&format!("/track/{}/{}", track.authority(), track.rkey())).into_response()
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
    if names.as_ref().is_ok_and(|Path((artist, _))| artist.parse::<Handle>().is_ok()) {
        return lead(&app, &address, &headers).await;
    }
    let uri = names.ok().and_then(|Path((did, rkey))| track_uri(&app, &did, &rkey));
    let Some(uri) = uri else { return missing(&app, &headers) };
    match card(&app, &uri).await {
        Ok(Some(tags)) => page(&app, &headers, StatusCode::OK, Some(&tags)),
        Ok(None) => page(&app, &headers, StatusCode::NOT_FOUND, None),
        // The page itself needs no database, and will say what is wrong.
        Err(error) => {
            tracing::warn!(%error, "no link preview");
            page(&app, &headers, StatusCode::OK, None)
        }
    }
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

fn track_uri(app: &App, did: &str, rkey: &str) -> Option<AtUri> {
    let did: Did = did.parse().ok()?;
    let rkey: Rkey = rkey.parse().ok()?;
    let collection: Nsid = format!("{}.track", app.options.namespace).parse().ok()?;
    Some(AtUri::new(&did, &collection, &rkey))
}

/// The Open Graph tags of a visible track.
async fn card(app: &App, uri: &AtUri) -> Result<Option<String>, sqlx::Error> {
    let track = sqlx::query!(
        r#"select title as "title!", artist as "artist!", blob.cid as "cover_cid?"
             from track
             join actor on actor.did = track.did and actor.active
             left join blob on blob.cid = image_cid and mime like 'image/%'
            where uri = $1"#,
        uri.as_str()
    )
    .fetch_optional(&app.pool)
    .await?;
    Ok(track.map(|track| {
        let address = app.options.address(&format!("track/{}/{}", uri.did(), uri.rkey()));
        let cover = track.cover_cid.map(|cid| app.options.image_url(&cid));
        let mut tags = format!("<title>{} · {}</title>\n", escape(&track.title), escape(&track.artist));
        let mut tag = |property: &str, content: &str| {
            tags.push_str(&format!("<meta property=\"{property}\" content=\"{}\" />\n", escape(content)));
        };
        tag("og:site_name", "plyr");
        tag("og:type", "music.song");
        tag("og:title", &track.title);
        tag("og:description", &format!("by {}", track.artist));
        tag("og:url", &address);
        if let Some(cover) = cover {
            tag("og:image", &cover);
        }
        tags
    }))
}

/// For text and for quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The app's page, with `tags` in its head in place of its title.
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
    Some(format!("{before}{tags}{after}"))
}

fn missing(app: &App, headers: &HeaderMap) -> Response {
    let accepts = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    if accepts.is_some_and(|accept| accept.contains("text/html")) {
        return html(app, headers, StatusCode::NOT_FOUND, MISSING.to_owned());
    }
    Error::not_found("nothing here").into_response()
}

fn html(app: &App, headers: &HeaderMap, status: StatusCode, page: String) -> Response {
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

fn is_held(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|value| value.to_str().is_ok_and(|list| range::names(list, etag)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_cannot_become_markup() {
        assert_eq!(
            escape(r#"</title><script a="'">&"#),
            "&lt;/title&gt;&lt;script a=&quot;&#39;&quot;&gt;&amp;"
        );
    }

    #[test]
    fn tags_replace_the_title() {
        let page = "<head><title>plyr</title><link></head>";
        assert_eq!(
            with_tags(page, "<title>x</title>").as_deref(),
            Some("<head><title>x</title><link></head>")
        );
        assert_eq!(with_tags("<head></head>", "x"), None);
    }
}
