//! What happens here by the HTTP API: `/activity/`, `/activity/histogram`.

use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{DAYS, Event, What};
use crate::actor::http::short_person;
use crate::detail::{Detail, clamped, number, query};
use crate::list::ListView;
use crate::session::Viewer;
use crate::track::response::time;
use crate::track::{self, TrackView};
use crate::{App, card};

/// Events of a page, unless asked for fewer or more, and at most.
pub(crate) const PAGE: i64 = 20;
const PAGE_MAX: i64 = 100;
/// Days, unless asked for fewer or more.
pub(crate) const WEEK: i64 = 7;

#[derive(Debug, Deserialize)]
struct Asked {
    cursor: Option<String>,
    limit: Option<String>,
}

/// `GET /activity/`. The cursor may be a moment, as older clients keep it.
pub(crate) async fn list(
    State(app): State<App>,
    viewer: Option<Viewer>,
    RawQuery(asked): RawQuery,
) -> Result<Json<Value>, Detail> {
    let asked: Asked = query(asked)?;
    let limit = clamped("limit", asked.limit.as_deref(), PAGE, 1..=PAGE_MAX)?;
    let from = track::http::position::<b'e'>(asked.cursor.as_deref())?;
    let mut db = app.pool.acquire().await?;
    let page = super::page(&app, &mut db, viewer.as_ref(), from, limit as usize).await?;
    let events: Vec<Value> = page.events.iter().map(response).collect();
    let cursor = page.cursor.map(|cursor| cursor.to_string());
    Ok(Json(json!({"events": events, "has_more": cursor.is_some(), "next_cursor": cursor})))
}

#[derive(Debug, Deserialize)]
struct Histogram {
    days: Option<String>,
}

/// `GET /activity/histogram`: how much happened on each of the last days by UTC, today last. A minute old at most.
pub(crate) async fn histogram(
    State(app): State<App>,
    RawQuery(asked): RawQuery,
) -> Result<Json<Value>, Detail> {
    let asked: Histogram = query(asked)?;
    let wanted = number("days", asked.days.as_deref(), WEEK, 1..=DAYS)?;
    let days = super::days(&app).await?;
    let begin = days.len().saturating_sub(wanted as usize);
    Ok(Json(json!({"buckets": days[begin..]})))
}

fn response(event: &Event) -> Value {
    let (mut track, mut text, mut collection) = (Value::Null, Value::Null, Value::Null);
    let kind = match &event.what {
        What::Liked { track: view } => {
            track = short(view);
            "like"
        }
        What::Published { track: view } => {
            track = short(view);
            "track"
        }
        What::Commented { track: view, text: said, .. } => {
            (track, text) = (short(view), said.as_str().into());
            "comment"
        }
        What::Joined {} => "join",
        What::Playlist { list } => {
            collection = short_list("playlist", list);
            "playlist_create"
        }
        What::Album { list } => {
            collection = short_list("album", list);
            "album_release"
        }
    };
    json!({"type": kind, "actor": short_person(&event.actor), "track": track, "comment_text": text,
           "collection": collection, "created_at": time(&event.created_at)})
}

fn short(view: &TrackView) -> Value {
    json!({"id": view.id, "title": said(view.record.get(), "title"), "artist_handle": card::called(&view.author),
           "image_url": view.cover, "thumbnail_url": view.thumbnail, "artist_avatar_url": view.author.avatar})
}

fn short_list(kind: &str, list: &ListView) -> Value {
    json!({"type": kind, "id": list.id, "name": said(list.record.get(), "name"),
           "image_url": list.cover, "owner_handle": card::called(&list.author), "slug": list.slug})
}

/// A text of a record.
fn said(record: &str, field: &str) -> String {
    let record: Value = serde_json::from_str(record).unwrap_or_default();
    record[field].as_str().unwrap_or_default().to_owned()
}
