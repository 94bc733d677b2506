//! Albums: `fm.plyr.list.getAlbum`.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::actor::{self, AtIdentifier, ProfileViewBasic};
use crate::cursor::Cursor;
use crate::error::{Error, stored};
use crate::session::Viewer;
use crate::track::{self, TrackView};
use crate::xrpc::Params;
use crate::{App, hydrate};

/// `fm.plyr.list.defs#albumView`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlbumView {
    /// This server's name for it.
    pub id: Uuid,
    /// What addresses call it.
    pub slug: String,
    /// As its list is called, or else as the first of its tracks calls it.
    pub title: String,
    /// Whose it is.
    pub author: ProfileViewBasic,
    /// Its list, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<AtUri>,
    /// The version of the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cid: Option<String>,
    /// The picture of the first of its tracks that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover: Option<String>,
    /// Tracks of it that can be seen.
    pub track_count: i64,
    /// When its list was made, or else the first of its tracks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<DateTime<Utc>>,
}

type AlbumCursor = Cursor<b'a'>;

#[derive(Debug, Deserialize)]
pub(crate) struct GetAlbum {
    actor: AtIdentifier,
    slug: String,
    limit: u8,
    cursor: Option<AlbumCursor>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Album {
    album: AlbumView,
    tracks: Vec<TrackView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<AlbumCursor>,
}

/// `fm.plyr.list.getAlbum`: the tracks of its list in order, then those that only say that they belong to it.
pub(crate) async fn get_album(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: Params<GetAlbum>,
) -> Result<Json<Album>, Error> {
    let GetAlbum { actor, slug, limit, cursor } = params.0;
    let limit = usize::from(limit);
    let mut db = app.pool.acquire().await?;
    let did = actor::visible(&mut db, actor).await?;
    let missing = || Error::declared("NotFound", "no such album");
    let row = find(&mut db, &did, &slug).await?.ok_or_else(missing)?;
    let tracks = tracks(&mut db, &did, &row, cursor.as_ref(), limit as i64 + 1).await?;
    let album = view(&app, &mut db, &did, row).await?.ok_or_else(missing)?;
    let more = tracks.len() > limit;
    let uris: Vec<AtUri> = tracks.iter().take(limit).map(|(_, uri)| uri.clone()).collect();
    let (views, covered) = track::views(&app.options, &mut db, viewer.as_ref(), &uris).await?;
    let last = tracks.into_iter().take(covered).next_back().filter(|_| more || covered < uris.len());
    Ok(Json(Album { album, tracks: views, cursor: last.map(|(key, uri)| Cursor::at(key, uri)) }))
}

/// An album, as far as it is known without its tracks.
struct Row {
    id: Uuid,
    slug: String,
    list_uri: Option<String>,
    /// What the names make by which tracks may call it. Where several albums share one, the first of them has those tracks.
    bases: Vec<String>,
}

/// The album that an address calls so: by its present slug, an older one, or what servers make of its name that know no letters
/// but a to z.
async fn find(db: &mut PgConnection, did: &Did, slug: &str) -> Result<Option<Row>, Error> {
    let slug = indexer::album::slug(slug);
    let found = sqlx::query_as!(
        Row,
        r#"select a.id, a.slug, l.uri as "list_uri?",
                  array(select b.base from album_slug b
                         where b.album = a.id
                           and b.n = (select min(n) from album_slug c where c.did = b.did and c.base = b.base)) as "bases!"
             from album_slug s
             join album a on a.id = s.album
             left join list l on l.uri = a.list_uri
            where s.did = $1 and (s.slug = $2 or s.ascii = $2)
            order by s.slug = $2 desc, s.n
            limit 1"#,
        did.as_str(),
        slug
    )
    .fetch_optional(db)
    .await?;
    Ok(found)
}

/// Tracks of an album that can be seen, from where the last page ended, with their keys: positions in the list, and moments
/// for those that are not in it, which are all larger.
async fn tracks(
    db: &mut PgConnection,
    did: &Did,
    album: &Row,
    cursor: Option<&AlbumCursor>,
    limit: i64,
) -> Result<Vec<(i64, AtUri)>, Error> {
    let rows = sqlx::query!(
        r#"select key as "key!", uri as "uri!"
             from (select min(position)::bigint as key, subject_uri as uri from list_item where list_uri = $1 group by subject_uri
                   union all
                   select greatest(extract(epoch from sort_at) * 1000000, 1000000)::bigint, uri
                     from track
                    where did = $2 and album_base = any($3)
                      and not exists (select from list_item where list_uri = $1 and subject_uri = track.uri)) as part
            where (key, uri) > ($4, $5)
              and (select actor.active from track t join actor on actor.did = t.did where t.uri = part.uri)
            order by key, uri
            limit $6"#,
        album.list_uri,
        did.as_str(),
        &album.bases,
        cursor.map_or(-1, Cursor::key),
        cursor.map_or("", |cursor| cursor.uri().as_str()),
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok((row.key, stored(&row.uri)?))).collect()
}

/// How an album is shown; nothing where nobody would see anything of it.
async fn view(app: &App, db: &mut PgConnection, did: &Did, row: Row) -> Result<Option<AlbumView>, Error> {
    let mut people = hydrate::people(&app.options, db, std::slice::from_ref(did)).await?;
    let Some(author) = people.remove(did) else { return Ok(None) };
    let told = sqlx::query!(
        r#"with member as materialized (
             select t.uri, t.album, t.image_cid, t.created_at, t.sort_at, i.position
               from list_item i join track t on t.uri = i.subject_uri where i.list_uri = $1
             union all
             select uri, album, image_cid, created_at, sort_at, null from track
              where did = $2 and album_base = any($3))
           select (select count(distinct m.uri) from member m
                     join actor on actor.did = split_part(m.uri, '/', 3) and actor.active) as "tracks!",
                  (select album from member where album is not null order by position is not null, sort_at, uri limit 1) as title,
                  (select min(created_at) from member) as created_at,
                  (select blob.cid from member m
                     join actor on actor.did = split_part(m.uri, '/', 3) and actor.active
                     join blob on blob.cid = m.image_cid and blob.mime like 'image/%'
                    order by position, sort_at, uri limit 1) as cover"#,
        row.list_uri,
        did.as_str(),
        &row.bases
    )
    .fetch_one(&mut *db)
    .await?;
    let list = sqlx::query!(
        r#"select list.name, list.created_at, record.cid as "cid!"
             from list join record on record.uri = list.uri and record.cid is not null where list.uri = $1"#,
        row.list_uri
    )
    .fetch_optional(db)
    .await?;
    if list.is_none() && told.tracks == 0 {
        return Ok(None);
    }
    let (name, made, cid) = match list {
        Some(list) => (list.name, Some(list.created_at), Some(list.cid)),
        None => (None, None, None),
    };
    Ok(Some(AlbumView {
        id: row.id,
        title: name.or(told.title).unwrap_or_else(|| row.slug.clone()),
        slug: row.slug,
        author,
        uri: row.list_uri.as_deref().map(stored).transpose()?,
        cid,
        cover: told.cover.map(|cid| app.options.image_url(&cid)),
        track_count: told.tracks,
        created_at: made.or(told.created_at),
    }))
}
