//! Albums by the HTTP API: `/albums/`, `/albums/{handle}`, `/albums/{handle}/{slug}`.

use axum::Json;
use axum::extract::State;
use indexer::syntax::{AtUri, Did};
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::{Owned, Row};
use crate::actor::{self, AtIdentifier, ProfileViewBasic};
use crate::detail::{Detail, Named};
use crate::error::Error;
use crate::session::Viewer;
use crate::track::response::{self, WithTracks};
use crate::{App, Options, card};

/// Albums of one artist that are listed.
const ALBUMS_MAX: i64 = 200;
/// Albums of all artists that are listed: those that were named last.
const ALL_MAX: i64 = 500;
/// Tracks of an album that are listed; `fm.plyr.list.getAlbum` has pages.
const TRACKS_MAX: i64 = 500;

/// `GET /albums/`: those that have a track to show, by title. There are no pages: of more than are listed, each artist's own list
/// knows, and the sitemap names all.
pub(crate) async fn all(State(app): State<App>) -> Result<Json<Value>, Detail> {
    let mut db = app.pool.acquire().await?;
    let ids = sqlx::query_scalar!(
        "select album.id from album join actor on actor.did = album.did and actor.active
          where (exists (select from list_item i join track t on t.uri = i.subject_uri where i.list_uri = album.list_uri)
               or exists (select from album_slug b join track t on t.did = b.did and t.album_base = b.base where b.album = album.id))
          order by given_at desc, album.id limit $1",
        ALL_MAX
    )
    .fetch_all(&mut *db)
    .await?;
    let mut rows = super::rows(&mut db, &ids, true).await?;
    rows.retain(|row| row.tracks > 0);
    rows.sort_by_cached_key(|row| row.title.as_ref().unwrap_or(&row.slug).to_lowercase());
    let albums = rows.iter().map(|row| {
        let artist = row.author(&app.options)?;
        let mut album = summary(&app.options, row, &artist);
        album["artist"] = artist.name().into();
        album["artist_handle"] = card::called(&artist).into();
        Ok(album)
    });
    Ok(Json(json!({"albums": albums.collect::<Result<Vec<Value>, Error>>()?})))
}

/// `GET /albums/{handle}`: those that have a track to show. A DID is taken as well.
pub(crate) async fn of_artist(
    State(app): State<App>,
    Named(handle): Named<String>,
) -> Result<Json<Value>, Detail> {
    let mut db = app.pool.acquire().await?;
    let did = artist(&mut db, handle, "artist not found").await?;
    let ids = sqlx::query_scalar!(
        "select id from album where did = $1
            and (exists (select from list_item i join track t on t.uri = i.subject_uri where i.list_uri = album.list_uri)
               or exists (select from album_slug b join track t on t.did = b.did and t.album_base = b.base where b.album = album.id))
          order by given_at desc, id limit $2",
        did.as_str(),
        ALBUMS_MAX
    )
    .fetch_all(&mut *db)
    .await?;
    let rows = super::rows(&mut db, &ids, true).await?;
    let shown = rows.iter().filter(|row| row.tracks > 0);
    let albums = shown.map(|row| Ok(summary(&app.options, row, &row.author(&app.options)?)));
    Ok(Json(json!({"albums": albums.collect::<Result<Vec<Value>, Error>>()?})))
}

/// `GET /albums/{handle}/{slug}`.
pub(crate) async fn one(
    State(app): State<App>,
    viewer: Option<Viewer>,
    Named((handle, slug)): Named<(String, String)>,
) -> Result<Json<WithTracks>, Detail> {
    let missing = || Detail::not_found("album not found");
    let mut db = app.pool.acquire().await?;
    let name = AtIdentifier::try_from(handle).map_err(|_| missing())?;
    let Owned { did, album } = super::find(&mut db, &name, &slug).await?.ok_or_else(missing)?;
    let (view, row) = super::one(&app, &mut db, album.ok_or_else(missing)?).await?.ok_or_else(missing)?;
    let uris: Vec<AtUri> =
        super::tracks(&mut db, &did, &row, None, TRACKS_MAX).await?.into_iter().map(|(_, uri)| uri).collect();
    let tracks = response::all(&app.options, &mut db, viewer.as_ref(), &uris).await?;
    let mut metadata = summary(&app.options, &row, &view.author);
    metadata["artist"] = view.author.name().into();
    metadata["artist_handle"] = card::called(&view.author).into();
    metadata["artist_did"] = did.as_str().into();
    metadata["description"] = Value::Null;
    metadata["list_uri"] = json!(row.list_uri);
    Ok(Json(WithTracks { tracks, beside: json!({"metadata": metadata}) }))
}

/// Without a cover of its own it has its artist's face.
fn summary(options: &Options, row: &Row, artist: &ProfileViewBasic) -> Value {
    json!({
        "id": row.id,
        "title": row.title.as_ref().unwrap_or(&row.slug),
        "slug": row.slug,
        "track_count": row.tracks,
        "total_plays": row.plays,
        "image_url": row.cover(options).or_else(|| artist.avatar.clone()),
    })
}

async fn artist(db: &mut PgConnection, name: String, missing: &'static str) -> Result<Did, Detail> {
    let missing = || Detail::not_found(missing);
    let name = AtIdentifier::try_from(name).map_err(|_| missing())?;
    actor::find(db, name).await?.ok_or_else(missing)
}
