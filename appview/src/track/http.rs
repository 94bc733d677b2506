//! Tracks by the HTTP API: `/tracks`, `/tracks/{id}`, `/tracks/by-uri`, `/tracks/top`, `/tracks/tags`, `/tracks/liked`,
//! `/users/{handle}/likes`.

use axum::Json;
use axum::extract::{RawQuery, State};
use chrono::{DateTime, Datelike, Utc};
use indexer::chart::{Kind, Period};
use indexer::record::normalize_tags;
use indexer::syntax::AtUri;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::response::{self, Track, WithTracks};
use crate::actor::http::short_person;
use crate::actor::{self, AtIdentifier};
use crate::chart::place::Place as ChartPlace;
use crate::chart::{By, everybodys};
use crate::cursor::Cursor;
use crate::detail::{Detail, Named, clamped, number, query};
use crate::feed::{self, Likes, Place, Position, Wanted};
use crate::public_id::{self, Id};
use crate::session::Viewer;
use crate::{App, hydrate, tag};

/// Tracks of a page, unless asked for fewer or more, and at most.
pub(crate) const PAGE: i64 = 50;
const PAGE_MAX: i64 = 100;
/// Tracks where the API knows no pages; the XRPC methods do.
pub(crate) const LISTED_MAX: i64 = 500;
/// Tracks of a chart.
pub(crate) const TOP: i64 = 10;
pub(crate) const TOP_MAX: i64 = 50;
/// Tags, unless asked for fewer or more, and at most.
pub(crate) const TAGS: i64 = 20;
pub(crate) const TAGS_MAX: i64 = 100;
/// Tags of which a track may be, or not be.
pub(crate) const WANTED_MAX: usize = 20;
/// What whoever has not said otherwise does not find in feeds.
const HIDDEN_TAGS: [&str; 1] = ["ai"];

#[derive(Debug, Deserialize)]
struct Listed {
    cursor: Option<String>,
    limit: Option<String>,
    artist_did: Option<String>,
    filter_hidden_tags: Option<bool>,
    #[serde(default)]
    tags: Vec<String>,
}

/// `GET /tracks/`: newest first. Hidden tags are left out, but of an artist's own.
pub(crate) async fn list(
    State(app): State<App>,
    viewer: Option<Viewer>,
    RawQuery(asked): RawQuery,
) -> Result<Json<WithTracks>, Detail> {
    let asked: Listed = query(asked)?;
    let limit = clamped("limit", asked.limit.as_deref(), PAGE, 1..=PAGE_MAX)?;
    if asked.tags.len() > WANTED_MAX {
        return Err(Detail::invalid("query", "tags", format!("at most {WANTED_MAX}")));
    }
    let from = position::<b't'>(asked.cursor.as_deref())?;
    let hides = asked.filter_hidden_tags.unwrap_or(asked.artist_did.is_none());
    let hidden = HIDDEN_TAGS.iter().filter(|_| hides).map(|tag| (*tag).to_owned()).collect();
    let named = !asked.tags.is_empty();
    let wanted = Wanted { tags: normalize_tags(asked.tags), hidden };
    let mut db = app.pool.acquire().await?;
    let skeleton = match asked.artist_did.map(|did| did.parse()) {
        // What is no tag and what is nobody has no tracks.
        _ if named && wanted.tags.is_empty() => Vec::new(),
        Some(Err(_)) => Vec::new(),
        None => feed::latest(&mut db, &from, &wanted, limit + 1).await?,
        Some(Ok(did)) => match actor::find(&mut db, AtIdentifier::Did(did)).await? {
            Some(did) => feed::of_actor(&mut db, &did, &from, &wanted, limit + 1).await?,
            None => Vec::new(),
        },
    };
    page(&app, &mut db, viewer.as_ref(), skeleton, limit).await.map(Json)
}

/// A cursor of ours, or a moment as older clients keep it.
pub(crate) fn position<const TAG: u8>(cursor: Option<&str>) -> Result<Position, Detail> {
    let Some(cursor) = cursor else { return Ok(Position::default()) };
    if let Ok(cursor) = cursor.parse::<Cursor<TAG>>() {
        return Ok(Position::after(Some(cursor))?);
    }
    // A plus that was not encoded comes as a space.
    let time = cursor.replace(' ', "+").parse::<DateTime<Utc>>();
    // What the database knows as a moment.
    let time = time.ok().filter(|time| (0..=9999).contains(&time.year()));
    let time = time.ok_or_else(|| Detail::bad_request("invalid cursor format"))?;
    Ok(Position { time: Some(time), uri: None })
}

async fn page(
    app: &App,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    mut skeleton: Vec<Place>,
    limit: i64,
) -> Result<WithTracks, Detail> {
    let more = skeleton.len() as i64 > limit;
    skeleton.truncate(limit as usize);
    let uris: Vec<AtUri> = skeleton.iter().map(|place| place.track.clone()).collect();
    let (tracks, covered) = response::of(&app.options, db, viewer, &uris).await?;
    let has_more = more || covered < uris.len();
    let last = skeleton.into_iter().take(covered).next_back().filter(|_| has_more);
    let cursor = last.map(|Place { track, time }| Cursor::<b't'>::at_time(time, track).to_string());
    Ok(WithTracks { tracks, beside: json!({"next_cursor": cursor, "has_more": has_more}) })
}

/// `GET /tracks/{id}`.
pub(crate) async fn one(
    State(app): State<App>,
    viewer: Option<Viewer>,
    id: Id,
) -> Result<Json<Track>, Detail> {
    let mut db = app.pool.acquire().await?;
    let uri = public_id::find(&mut db, "track", id).await?;
    single(&app, &mut db, viewer.as_ref(), uri).await
}

#[derive(Debug, Deserialize)]
struct ByUri {
    uri: Option<String>,
}

/// `GET /tracks/by-uri`.
pub(crate) async fn by_uri(
    State(app): State<App>,
    viewer: Option<Viewer>,
    RawQuery(asked): RawQuery,
) -> Result<Json<Track>, Detail> {
    let uri = query::<ByUri>(asked)?.uri.ok_or_else(|| Detail::invalid("query", "uri", "Field required"))?;
    let mut db = app.pool.acquire().await?;
    let uri = indexer::link::names::target(&mut db, app.registry(), &uri).await?;
    single(&app, &mut db, viewer.as_ref(), uri).await
}

async fn single(
    app: &App,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    uri: Option<AtUri>,
) -> Result<Json<Track>, Detail> {
    let missing = || Detail::not_found("track not found");
    let uri = uri.ok_or_else(missing)?;
    let (tracks, _) = response::of(&app.options, db, viewer, &[uri]).await?;
    tracks.into_iter().next().map(Json).ok_or_else(missing)
}

#[derive(Debug, Deserialize)]
struct Top {
    period: Option<String>,
    limit: Option<String>,
}

/// `GET /tracks/top`: by how many people began to like them, a bare array.
pub(crate) async fn top(
    State(app): State<App>,
    viewer: Option<Viewer>,
    RawQuery(asked): RawQuery,
) -> Result<Json<Vec<Track>>, Detail> {
    let asked: Top = query(asked)?;
    let limit = number("limit", asked.limit.as_deref(), TOP, 1..=TOP_MAX)?;
    let period = match asked.period.as_deref().unwrap_or("all_time") {
        "all_time" | "all" => Period::All,
        "month" => Period::Month,
        "week" => Period::Week,
        "day" => Period::Day,
        _ => return Err(Detail::invalid("query", "period", "one of all_time, month, week, day")),
    };
    let mut db = app.pool.acquire().await?;
    let rows = everybodys(&mut db, Kind::Track, period, By::Likes, ChartPlace::TOP, limit).await?;
    let uris = rows.iter().map(|row| crate::error::stored(&row.key)).collect::<Result<Vec<AtUri>, _>>()?;
    let tracks = response::all(&app.options, &mut db, viewer.as_ref(), &uris).await?;
    Ok(Json(tracks))
}

#[derive(Debug, Deserialize)]
struct Tags {
    #[serde(default)]
    q: String,
    limit: Option<String>,
}

/// `GET /tracks/tags`: the most used first, a bare array.
pub(crate) async fn tags(State(app): State<App>, RawQuery(asked): RawQuery) -> Result<Json<Value>, Detail> {
    let asked: Tags = query(asked)?;
    let limit = number("limit", asked.limit.as_deref(), TAGS, 1..=TAGS_MAX)?;
    let mut db = app.pool.acquire().await?;
    let tags = tag::list(&mut db, &asked.q, None, limit).await?;
    let plays = tag::plays(&mut db, &tags).await?;
    let shown = tags.iter().map(|tag| {
        json!({"name": tag.tag, "track_count": tag.track_count, "total_plays": plays.get(&tag.tag).copied().unwrap_or(0)})
    });
    Ok(Json(shown.collect()))
}

/// `GET /tracks/tags/{tag}`.
pub(crate) async fn tagged(
    State(app): State<App>,
    viewer: Option<Viewer>,
    Named(name): Named<String>,
) -> Result<Json<WithTracks>, Detail> {
    let missing = || Detail::not_found(format!("tag '{name}' not found"));
    let wanted = Wanted { tags: normalize_tags(vec![name.replace('\0', "")]), hidden: Vec::new() };
    let tag = wanted.tags.first().ok_or_else(missing)?;
    let mut db = app.pool.acquire().await?;
    let count = sqlx::query_scalar!("select tracks from tag_count where tag = $1 and tracks > 0", tag)
        .fetch_optional(&mut *db)
        .await?
        .ok_or_else(missing)?;
    let skeleton = feed::latest(&mut db, &Position::default(), &wanted, LISTED_MAX).await?;
    let uris: Vec<AtUri> = skeleton.into_iter().map(|place| place.track).collect();
    let tracks = response::all(&app.options, &mut db, viewer.as_ref(), &uris).await?;
    let tag = json!({"name": tag, "track_count": count, "created_by_handle": null});
    Ok(Json(WithTracks { tracks, beside: json!({"tag": tag}) }))
}

/// `GET /tracks/liked`: what the viewer likes here.
pub(crate) async fn liked(State(app): State<App>, viewer: Viewer) -> Result<Json<WithTracks>, Detail> {
    let mut db = app.pool.acquire().await?;
    let from = Position::default();
    let skeleton = feed::liked(&mut db, &viewer.did, &from, Likes::Plyr, LISTED_MAX).await?;
    let uris: Vec<AtUri> = skeleton.into_iter().map(|place| place.track).collect();
    let tracks = response::all(&app.options, &mut db, Some(&viewer), &uris).await?;
    Ok(Json(WithTracks { tracks, beside: json!({}) }))
}

/// `GET /users/{handle}/likes`: what somebody likes, wherever they say so.
pub(crate) async fn liked_by(
    State(app): State<App>,
    viewer: Option<Viewer>,
    Named(handle): Named<String>,
) -> Result<Json<WithTracks>, Detail> {
    let missing = || Detail::not_found("user not found");
    let actor = AtIdentifier::try_from(handle).map_err(|_| missing())?;
    let mut db = app.pool.acquire().await?;
    let person = hydrate::person(&app.options, &mut db, &actor).await?.ok_or_else(missing)?;
    let skeleton = feed::liked(&mut db, &person.did, &Position::default(), Likes::All, LISTED_MAX).await?;
    let uris: Vec<AtUri> = skeleton.into_iter().map(|place| place.track).collect();
    let tracks = response::all(&app.options, &mut db, viewer.as_ref(), &uris).await?;
    let beside = json!({"user": short_person(&person), "count": tracks.len()});
    Ok(Json(WithTracks { tracks, beside }))
}
