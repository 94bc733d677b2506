//! `/now-playing`: what a player says, and what others are told.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use indexer::apply::player;
use indexer::syntax::{AtUri, Did, Handle};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::App;
use crate::actor::AtIdentifier;
use crate::detail::{Detail, Named};
use crate::session::Viewer;

/// Characters of a name that a player gives.
pub(crate) const NAME_MAX_CHARS: usize = 512;
pub(crate) const URL_MAX_BYTES: usize = 2048;
/// A day, in milliseconds.
pub(crate) const TIME_MAX_MS: i64 = 24 * 3600 * 1000;

/// What a player says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct Told {
    track_id: Option<i64>,
    file_id: Option<String>,
    track_name: String,
    artist_name: String,
    album_name: Option<String>,
    duration_ms: i64,
    progress_ms: i64,
    is_playing: bool,
    image_url: Option<String>,
}

/// `POST /now-playing/`.
pub(crate) async fn tell(
    State(app): State<App>,
    viewer: Viewer,
    told: Result<Json<Told>, JsonRejection>,
) -> Result<Json<Value>, Detail> {
    app.limits.now_playing.check(viewer.did.as_str())?;
    let Json(told) = told.map_err(|error| Detail::invalid("body", "body", error.body_text()))?;
    lawful(&told)?;
    let clean = |name: String| name.replace('\0', "");
    let state = player::State {
        did: viewer.did,
        track_id: told.track_id,
        file_id: told.file_id,
        track_name: clean(told.track_name),
        artist_name: clean(told.artist_name),
        album_name: told.album_name.map(clean),
        duration_ms: told.duration_ms,
        progress_ms: told.progress_ms,
        is_playing: told.is_playing,
        image_url: told.image_url,
    };
    player::tell(&app.sessions.indexer().door, &state).await?;
    Ok(Json(json!({"status": "ok"})))
}

/// What a player may say.
fn lawful(told: &Told) -> Result<(), Detail> {
    let texts = [
        ("track_name", Some(&told.track_name)),
        ("artist_name", Some(&told.artist_name)),
        ("album_name", told.album_name.as_ref()),
    ];
    for (field, text) in texts {
        if text.is_some_and(|text| text.chars().count() > NAME_MAX_CHARS) {
            let text = format!("String should have at most {NAME_MAX_CHARS} characters");
            return Err(Detail::invalid("body", field, text));
        }
    }
    let is_hex = |id: &String| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if told.file_id.as_ref().is_some_and(|id| !is_hex(id)) {
        return Err(Detail::invalid("body", "file_id", "String should be a file id"));
    }
    let is_web = |url: &String| {
        let parsed = url::Url::parse(url).ok();
        let is_text = url.len() <= URL_MAX_BYTES && !url.contains('\0');
        is_text && parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https"))
    };
    if told.image_url.as_ref().is_some_and(|url| !is_web(url)) {
        return Err(Detail::invalid("body", "image_url", "URL scheme should be 'http' or 'https'"));
    }
    for (field, time_ms) in [("duration_ms", told.duration_ms), ("progress_ms", told.progress_ms)] {
        if !(0..=TIME_MAX_MS).contains(&time_ms) {
            return Err(Detail::invalid("body", field, format!("Input should be from 0 to {TIME_MAX_MS}")));
        }
    }
    Ok(())
}

/// `DELETE /now-playing/`.
pub(crate) async fn clear(State(app): State<App>, viewer: Viewer) -> Result<Json<Value>, Detail> {
    // Not by the limit of those who say what plays: whoever said that too often can still say that nothing does.
    app.limits.write.check(viewer.did.as_str())?;
    player::clear(&app.sessions.indexer().door, &viewer.did).await?;
    Ok(Json(json!({"status": "ok"})))
}

/// What others are told; the names are the contract's.
#[derive(Debug, Serialize)]
struct Shown {
    track_name: String,
    artist_name: String,
    album_name: Option<String>,
    duration_ms: i64,
    progress_ms: i64,
    is_playing: bool,
    track_id: Option<i64>,
    file_id: Option<String>,
    track_url: Option<String>,
    image_url: Option<String>,
    service_base_url: String,
}

/// `GET /now-playing/{did}`, `GET /now-playing/by-did/{did}`: 204 when nothing plays.
pub(crate) async fn by_did(State(app): State<App>, Named(did): Named<String>) -> Result<Response, Detail> {
    let did: Did = did.parse().map_err(|_| Detail::invalid("path", "did", "Input should be a DID"))?;
    shown(&app, did).await
}

/// `GET /now-playing/by-handle/{handle}`: 404 when nobody has it.
pub(crate) async fn by_handle(
    State(app): State<App>,
    Named(handle): Named<String>,
) -> Result<Response, Detail> {
    let unknown = || Detail::not_found("user not found");
    let handle = Handle::normalized(&handle).map_err(|_| unknown())?;
    let mut db = app.pool.acquire().await?;
    let did = AtIdentifier::Handle(handle).did(&mut db).await?.ok_or_else(unknown)?;
    drop(db);
    shown(&app, did).await
}

async fn shown(app: &App, did: Did) -> Result<Response, Detail> {
    let mut db = app.pool.acquire().await?;
    let Ok(did) = crate::actor::visible(&mut db, AtIdentifier::Did(did)).await else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let Some(playing) = super::playing(&mut db, &did).await? else {
        return Ok(StatusCode::NO_CONTENT.into_response());
    };
    let subject = playing.subject.as_ref();
    let named = match subject {
        Some(uri) => super::named(&app.options, &mut db, uri).await?,
        None => None,
    };
    // Of a track that cannot be seen, only the words of who hears it are told.
    let is_hidden = subject.is_some() && named.is_none();
    let super::Named { track_id, file_id } = named.unwrap_or_default();
    let page = |uri: &AtUri| app.options.address(&format!("track/{}/{}", uri.authority(), uri.rkey()));
    let shown = Shown {
        artist_name: playing.artist_names.join(", "),
        track_name: playing.track_name,
        album_name: playing.album_name,
        duration_ms: playing.duration_ms.unwrap_or_default(),
        progress_ms: playing.progress_ms.unwrap_or_default(),
        is_playing: true,
        track_url: subject.map(page).or(playing.origin_uri).filter(|_| !is_hidden),
        track_id,
        file_id: playing.file_id.or(file_id).filter(|_| !is_hidden),
        image_url: playing.image_url.filter(|_| !is_hidden),
        service_base_url: app.options.public_url.authority().to_owned(),
    };
    Ok(Json(shown).into_response())
}
