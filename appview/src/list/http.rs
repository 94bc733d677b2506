//! Playlists by the HTTP API: `/lists/playlists`, `/lists/by-uri`. All of them are public: a private one is in nobody's repo.

use axum::Json;
use axum::extract::{RawQuery, State};
use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did};
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use super::COVER_AMONG;
use crate::actor::{self, AtIdentifier};
use crate::detail::{Detail, Named, query};
use crate::error::{Error, stored};
use crate::session::Viewer;
use crate::track::response::{self, WithTracks};
use crate::{App, card, foreign, list};

/// Playlists of one person that are listed, the newest; `fm.plyr.list.getLists` has pages.
const LISTED_MAX: i64 = 200;
/// Tracks of a playlist that are listed; `fm.plyr.list.getList` has pages.
const TRACKS_MAX: i64 = 500;

/// A playlist of somebody's who can be seen.
#[derive(Debug)]
pub(crate) struct Row {
    pub uri: String,
    /// What addresses and the API call it: made of its URI.
    pub id: Uuid,
    pub did: String,
    handle: Option<String>,
    name: Option<String>,
    pub created_at: DateTime<Utc>,
    /// Items of the record, shown or not.
    pub items: i64,
    /// The covers of its first tracks, each once, at most four; and the small form of each, or itself where it has none.
    pub pictures: Vec<String>,
    previews: Vec<String>,
}

impl Row {
    /// What it is called.
    pub(crate) fn title(&self) -> &str {
        list::title(self.name.as_deref())
    }
}

/// Those of these lists that are playlists of people who can be seen, in their order.
pub(crate) async fn rows(db: &mut PgConnection, uris: &[String]) -> Result<Vec<Row>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select l.uri as "uri!", list_id(l.uri) as "id!", l.did as "did!", actor.handle, l.name, l.created_at as "created_at!",
                  (select count(*) from list_item where list_uri = l.uri) as "items!",
                  coalesce(covers.pictures, '{}') as "pictures!", coalesce(covers.small, '{}') as "previews!"
             from unnest($1::text[]) with ordinality as wanted (uri, place)
             join list l on l.uri = wanted.uri collate "C" and l.list_type = 'playlist'
             join actor on actor.did = l.did and actor.active
            cross join lateral (
                  select array_agg(first.picture order by first.position) as pictures,
                         array_agg(coalesce(small.cid, first.picture) order by first.position) as small
                    from (select picture, position
                            from (select distinct on (shown.picture) shown.picture, position
                                    from list_item
                                    join track on track.uri = subject_uri
                                    join actor on actor.did = track.did and actor.active
                                    left join blob on blob.cid = track.image_cid and blob.mime like 'image/%'
                                   cross join lateral (select picture(blob.cid, track.image_url)) as shown (picture)
                                   where list_uri = l.uri and position < $2 and shown.picture is not null
                                   order by shown.picture, position) as each
                           order by position
                           limit 4) as first
                    left join cover_size s on s.cover_cid = first.picture and s.width_px = $3
                    left join blob small on small.cid = s.cid) as covers
            order by wanted.place"#,
        uris,
        COVER_AMONG,
        crate::cover::THUMBNAIL_PX as i32
    );
    Ok(rows.fetch_all(db).await?)
}

/// The tracks of a list in order, each once; some may not be there to be seen.
pub(crate) async fn tracks(db: &mut PgConnection, list: &str, limit: i64) -> Result<Vec<AtUri>, Error> {
    let uris = sqlx::query_scalar!(
        "select subject_uri from list_item where list_uri = $1 group by subject_uri order by min(position) limit $2",
        list,
        limit
    )
    .fetch_all(db)
    .await?;
    uris.iter().map(|uri| stored(uri)).collect()
}

/// `GET /lists/playlists`: the viewer's own, newest first, a bare array.
pub(crate) async fn own(State(app): State<App>, viewer: Viewer) -> Result<Json<Value>, Detail> {
    of_person(&app, &viewer.did).await
}

/// `GET /lists/playlists/by-artist/{did}`: newest first, a bare array; an empty one for who is unknown.
pub(crate) async fn by_artist(
    State(app): State<App>,
    Named(did): Named<String>,
) -> Result<Json<Value>, Detail> {
    let found = match AtIdentifier::try_from(did) {
        Ok(AtIdentifier::Did(did)) => Some(did),
        Ok(handle) => actor::find(&mut *app.pool.acquire().await?, handle).await?,
        Err(_) => None,
    };
    match found {
        Some(did) => of_person(&app, &did).await,
        None => Ok(Json(json!([]))),
    }
}

async fn of_person(app: &App, did: &Did) -> Result<Json<Value>, Detail> {
    let mut db = app.pool.acquire().await?;
    let uris = sqlx::query_scalar!(
        "select uri from list where did = $1 and list_type = 'playlist' order by sort_at desc, uri desc limit $2",
        did.as_str(),
        LISTED_MAX
    )
    .fetch_all(&mut *db)
    .await?;
    let rows = rows(&mut db, &uris).await?;
    Ok(Json(rows.iter().map(|row| response(app, row)).collect()))
}

/// `GET /lists/playlists/{id}`: with its tracks. What another server called it is taken as well, where an operator told of it.
pub(crate) async fn one(
    State(app): State<App>,
    viewer: Option<Viewer>,
    Named(id): Named<String>,
) -> Result<Json<WithTracks>, Detail> {
    let mut db = app.pool.acquire().await?;
    let uri = card::target(&app, &mut db, &["playlist", &id]).await?;
    whole(&app, &mut db, viewer.as_ref(), uri).await
}

/// `GET /lists/playlists/{id}/meta`.
pub(crate) async fn meta(State(app): State<App>, Named(id): Named<String>) -> Result<Json<Value>, Detail> {
    let mut db = app.pool.acquire().await?;
    let uri = card::target(&app, &mut db, &["playlist", &id]).await?.ok_or_else(missing)?;
    let rows = rows(&mut db, &[uri.as_str().to_owned()]).await?;
    rows.first().map(|row| Json(response(&app, row))).ok_or_else(missing)
}

#[derive(Debug, Deserialize)]
struct ByUri {
    uri: Option<String>,
}

/// The list that a query names.
async fn asked(app: &App, db: &mut PgConnection, text: Option<String>) -> Result<Option<AtUri>, Detail> {
    let uri = query::<ByUri>(text)?.uri.ok_or_else(|| Detail::invalid("query", "uri", "Field required"))?;
    let found = indexer::link::names::target(db, app.registry(), &uri).await?;
    Ok(found.filter(|uri| uri.collection() == app.registry().list_collection()))
}

/// `GET /lists/playlists/by-uri`.
pub(crate) async fn by_uri(
    State(app): State<App>,
    viewer: Option<Viewer>,
    RawQuery(text): RawQuery,
) -> Result<Json<WithTracks>, Detail> {
    let mut db = app.pool.acquire().await?;
    let uri = asked(&app, &mut db, text).await?;
    whole(&app, &mut db, viewer.as_ref(), uri).await
}

/// `GET /lists/by-uri`: whether it is an album or a playlist, and what its page is called.
pub(crate) async fn resolve(State(app): State<App>, RawQuery(text): RawQuery) -> Result<Json<Value>, Detail> {
    let mut db = app.pool.acquire().await?;
    let missing = || Detail::not_found("list not found");
    let uri = asked(&app, &mut db, text).await?.ok_or_else(missing)?;
    let row = sqlx::query!(
        r#"select l.list_type as "list_type!", list_id(l.uri) as "id!", album.id as "album?", album.slug as "slug?",
                  coalesce(actor.handle, actor.did) as "handle!"
             from list l
             join actor on actor.did = l.did and actor.active
             left join album on album.list_uri = l.uri and l.list_type = 'album'
            where l.uri = $1 and l.list_type in ('album', 'playlist')"#,
        uri.as_str()
    )
    .fetch_optional(&mut *db)
    .await?
    .ok_or_else(missing)?;
    match (row.list_type.as_str(), row.album) {
        ("playlist", _) => Ok(Json(json!({"type": "playlist", "id": row.id, "handle": null, "slug": null}))),
        (_, Some(album)) => {
            Ok(Json(json!({"type": "album", "id": album, "handle": row.handle, "slug": row.slug})))
        }
        _ => Err(missing()),
    }
}

async fn whole(
    app: &App,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    uri: Option<AtUri>,
) -> Result<Json<WithTracks>, Detail> {
    let uri = uri.ok_or_else(missing)?;
    let rows = rows(db, &[uri.as_str().to_owned()]).await?;
    let beside = rows.first().map(|row| response(app, row)).ok_or_else(missing)?;
    let uris = tracks(db, uri.as_str(), TRACKS_MAX).await?;
    let tracks = response::all(&app.options, db, viewer, &uris).await?;
    Ok(Json(WithTracks { tracks, beside }))
}

fn missing() -> Detail {
    Detail::not_found("playlist not found")
}

fn response(app: &App, row: &Row) -> Value {
    let picture = |picture: &String| foreign::picture(&app.options, picture);
    json!({
        "id": row.id,
        "name": row.title(),
        "owner_did": row.did,
        "owner_handle": row.handle.as_ref().unwrap_or(&row.did),
        "track_count": row.items,
        "image_url": row.pictures.iter().find_map(picture),
        "show_on_profile": true,
        "atproto_record_uri": row.uri,
        "is_private": false,
        "created_at": response::time(&row.created_at),
        "preview_thumbnails": row.previews.iter().filter_map(picture).collect::<Vec<String>>(),
    })
}
