//! Albums: `fm.plyr.list.getAlbum`.

pub(crate) mod http;

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::actor::{AtIdentifier, ProfileViewBasic};
use crate::cursor::Cursor;
use crate::error::{Error, stored};
use crate::session::Viewer;
use crate::track::{self, TrackView};
use crate::xrpc::Params;
use crate::{App, Options, foreign};

/// Tracks of an album that only say that they belong to it, the first of them: a list has room for as many.
const TEXTS_MAX: i64 = 500;

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
    let nobody = || Error::declared("NotFound", "no such person");
    let missing = || Error::declared("NotFound", "no such album");
    let Owned { did, album } = find(&mut db, &actor, &slug).await?.ok_or_else(nobody)?;
    let (album, row) = one(&app, &mut db, album.ok_or_else(missing)?).await?.ok_or_else(missing)?;
    let tracks = tracks(&mut db, &did, &row, cursor.as_ref(), limit as i64 + 1).await?;
    let more = tracks.len() > limit;
    let uris: Vec<AtUri> = tracks.iter().take(limit).map(|(_, uri)| uri.clone()).collect();
    let (views, covered) = track::views(&app.options, &mut db, viewer.as_ref(), &uris).await?;
    let last = tracks.into_iter().take(covered).next_back().filter(|_| more || covered < uris.len());
    Ok(Json(Album { album, tracks: views, cursor: last.map(|(key, uri)| Cursor::at(key, uri)) }))
}

/// An album, and the numbers beside it.
pub(crate) struct Row {
    id: Uuid,
    did: String,
    handle: Option<String>,
    display_name: Option<String>,
    avatar_cid: Option<String>,
    slug: String,
    list_uri: Option<String>,
    list_cid: Option<String>,
    title: Option<String>,
    created_at: Option<DateTime<Utc>>,
    /// What the names make by which tracks may call it. Where several albums share one, that has those tracks which is called so
    /// now, and the first of them.
    bases: Vec<String>,
    tracks: i64,
    plays: i64,
    cover: Option<String>,
}

impl Row {
    /// Whose it is.
    fn author(&self, options: &Options) -> Result<ProfileViewBasic, Error> {
        let Row { did, handle, display_name, avatar_cid, .. } = self;
        let (handle, name, avatar) = (handle.clone(), display_name.clone(), avatar_cid.clone());
        Ok(ProfileViewBasic::of(options, stored(did)?, handle, name, avatar))
    }

    /// The picture of the first of its tracks that has one.
    fn cover(&self, options: &Options) -> Option<String> {
        foreign::picture(options, self.cover.as_deref()?)
    }
}

/// Somebody who may be seen, and the album of theirs that was asked for.
pub(crate) struct Owned {
    pub did: Did,
    pub album: Option<Uuid>,
}

/// The album that an address calls so: by its present slug, an older one, or what servers make of its name that know no letters
/// but a to z. Nothing where nobody is called so who may be seen.
pub(crate) async fn find(
    db: &mut PgConnection,
    actor: &AtIdentifier,
    slug: &str,
) -> Result<Option<Owned>, Error> {
    let (did, handle) = actor.either();
    // Two may claim a handle for a moment after it moved: who was looked at last is right.
    let found = sqlx::query!(
        r#"select actor.did,
                  (select album from album_slug s where s.did = actor.did and (slug = $3 or ascii = $3)
                    order by slug = $3 desc, n limit 1) as album
             from actor
            where (actor.did = $1 or handle = $2) and active
            order by resolved_at desc nulls last, actor.did
            limit 1"#,
        did,
        handle,
        indexer::album::in_address(slug)
    )
    .fetch_optional(db)
    .await?;
    found.map(|row| Ok(Owned { did: stored(&row.did)?, album: row.album })).transpose()
}

/// Those of these albums that there is something of, by when they were made. One query, and for each album one walk over its tracks.
async fn rows(db: &mut PgConnection, ids: &[Uuid], counts_plays: bool) -> Result<Vec<Row>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select a.id as "id!", a.did as "did!", who.handle, them.display_name as "display_name?", face.cid as "avatar_cid?",
                  a.slug as "slug!", l.uri as "list_uri?", r.cid as "list_cid?",
                  coalesce(l.name, told.title) as title, coalesce(l.created_at, told.created_at) as created_at,
                  called.bases as "bases!", told.tracks as "tracks!", told.plays as "plays!", told.cover
             from album a
             join actor who on who.did = a.did and who.active
             left join bsky_profile them on them.did = a.did
             left join blob face on face.cid = them.avatar_cid and face.mime like 'image/%'
             left join list l on l.uri = a.list_uri and l.list_type = 'album'
             left join record r on r.uri = l.uri
            cross join lateral (
                  select array(select distinct b.base from album_slug b
                                where b.album = a.id
                                  and b.album = (select c.album from album_slug c join album o on o.id = c.album
                                                  where c.did = b.did and c.base = b.base
                                                  order by o.slug = c.slug desc, c.n limit 1)) as bases) as called
            cross join lateral (
                  with member as materialized (
                    select distinct on (t.uri) t.uri, t.album, t.image_cid, t.image_url, t.created_at, t.sort_at, m.position
                      from (select subject_uri as uri, position from list_item where list_uri = l.uri
                            union all
                            select text.uri, null from unnest(called.bases) as b (base),
                                   lateral (select uri from track where did = a.did and album_base = b.base collate "C"
                                             order by sort_at, uri limit $2) as text) as m
                      join track t on t.uri = m.uri
                      join actor on actor.did = t.did and actor.active
                     order by t.uri, m.position)
                  select count(*) as tracks, min(m.created_at) as created_at,
                         case when $3 then (select coalesce(sum(c.play_count), 0)::bigint
                                              from member i join subject_count c on c.uri = i.uri) else 0 end as plays,
                         (select album from member where album is not null order by position desc nulls first, sort_at, uri limit 1)
                           as title,
                         (select picture(blob.cid, i.image_url) from member i
                            left join blob on blob.cid = i.image_cid and blob.mime like 'image/%'
                           where picture(blob.cid, i.image_url) is not null
                           order by i.position, i.sort_at, i.uri limit 1) as cover
                    from member m) as told
            where a.id = any($1) and (l.uri is not null or told.tracks > 0)
            order by created_at desc nulls last, a.id"#,
        ids,
        TEXTS_MAX,
        counts_plays
    );
    Ok(rows.fetch_all(db).await?)
}

/// How an album is shown; nothing where nobody would see anything of it.
pub(crate) async fn one(
    app: &App,
    db: &mut PgConnection,
    id: Uuid,
) -> Result<Option<(AlbumView, Row)>, Error> {
    let Some(row) = rows(db, &[id], true).await?.pop() else { return Ok(None) };
    Ok(Some((view(app, &row)?, row)))
}

/// Those of these that somebody would see something of.
pub(crate) async fn several(
    app: &App,
    db: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, AlbumView>, Error> {
    let rows = rows(db, ids, false).await?;
    rows.iter().filter(|row| row.tracks > 0).map(|row| Ok((row.id, view(app, row)?))).collect()
}

fn view(app: &App, row: &Row) -> Result<AlbumView, Error> {
    Ok(AlbumView {
        id: row.id,
        title: row.title.clone().unwrap_or_else(|| row.slug.clone()),
        slug: row.slug.clone(),
        author: row.author(&app.options)?,
        uri: row.list_uri.as_deref().map(stored).transpose()?,
        cid: row.list_cid.clone(),
        cover: row.cover(&app.options),
        track_count: row.tracks,
        created_at: row.created_at,
    })
}

/// Tracks of an album that can be seen, from where the last page ended, with their keys: positions in the list, and moments
/// for those that are not in it, which are all larger.
pub(crate) async fn tracks(
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
                     from unnest($3::text[]) as b (base),
                          lateral (select uri, sort_at from track where did = $2 and album_base = b.base collate "C"
                                    order by sort_at, uri limit $7) as track
                    where not exists (select from list_item where list_uri = $1 and subject_uri = track.uri)) as part
            where (key, uri) > ($4, $5)
              and (select actor.active from track t join actor on actor.did = t.did where t.uri = part.uri)
            order by key, uri
            limit $6"#,
        album.list_uri,
        did.as_str(),
        &album.bases,
        cursor.map_or(-1, Cursor::key),
        cursor.map_or("", |cursor| cursor.uri().as_str()),
        limit,
        TEXTS_MAX
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok((row.key, stored(&row.uri)?))).collect()
}
