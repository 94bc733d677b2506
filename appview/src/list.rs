//! Lists of tracks: albums, playlists, the order of somebody's likes. Read from our rows, never from their owner's PDS.

pub(crate) mod http;

use std::collections::{HashMap, HashSet};

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::actor::{self, AtIdentifier, ProfileViewBasic};
use crate::cursor::Cursor;
use crate::error::{Error, stored};
use crate::hydrate::PAGE_MAX_BYTES;
use crate::session::Viewer;
use crate::track::{self, TrackView};
use crate::xrpc::Params;
use crate::{App, foreign, hydrate};

/// Items of a list among which its cover is looked for.
const COVER_AMONG: i32 = 20;

/// `fm.plyr.list.defs#listView`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListView {
    /// What the HTTP API calls it.
    #[serde(skip)]
    pub id: Uuid,
    /// The record's name.
    pub uri: AtUri,
    /// Its version.
    pub cid: String,
    /// The commit that brought this version.
    pub rev: String,
    /// Whose it is.
    pub author: ProfileViewBasic,
    /// The record without its items, unknown fields included.
    pub record: Box<RawValue>,
    /// What addresses call it, where it is an album.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// The picture of the first of its tracks that has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover: Option<String>,
    /// Items of the record, shown or not.
    pub item_count: usize,
    /// When it was made, or first seen if that is earlier.
    pub sort_at: DateTime<Utc>,
    /// When this version was indexed.
    pub indexed_at: DateTime<Utc>,
}

/// `fm.plyr.list.defs#itemView`.
#[derive(Debug, Serialize)]
pub struct ItemView {
    /// What the list names.
    pub uri: AtUri,
    /// The version that it names.
    pub cid: String,
    /// The track, where it is one that can be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<TrackView>,
}

type ListCursor = Cursor<b'i'>;
type ItemCursor = Cursor<b'p'>;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetLists {
    actor: AtIdentifier,
    list_type: Option<String>,
    limit: u8,
    cursor: Option<ListCursor>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Lists {
    lists: Vec<ListView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<ListCursor>,
}

/// `fm.plyr.list.getLists`: somebody's lists, newest first.
pub(crate) async fn get_lists(
    State(app): State<App>,
    params: Params<GetLists>,
) -> Result<Json<Lists>, Error> {
    let GetLists { actor, list_type, limit, cursor } = params.0;
    if list_type.as_ref().is_some_and(|kind| kind.contains('\0')) {
        return Err(Error::invalid_request("listType: holds a character that none has"));
    }
    let limit = usize::from(limit);
    let mut db = app.pool.acquire().await?;
    let did = actor::visible(&mut db, actor).await?;
    let time = cursor.as_ref().map(Cursor::time).transpose()?;
    let mut rows = sqlx::query!(
        "select uri, sort_at
           from list
          where did = $1 and ($2::text is null or list_type = $2)
            and (sort_at, uri) < (coalesce($3, 'infinity'::timestamptz), coalesce($4, ''))
          order by sort_at desc, uri desc
          limit $5",
        did.as_str(),
        list_type,
        time,
        cursor.as_ref().map(|cursor| cursor.uri().as_str()),
        limit as i64 + 1
    )
    .fetch_all(&mut *db)
    .await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let uris = rows.iter().map(|row| stored(&row.uri)).collect::<Result<Vec<AtUri>, Error>>()?;
    let (lists, covered) = views(&app, &mut db, &uris).await?;
    let last = rows.into_iter().zip(uris.clone()).take(covered).next_back();
    let cursor = last.filter(|_| more || covered < uris.len());
    Ok(Json(Lists { lists, cursor: cursor.map(|(row, uri)| Cursor::at_time(row.sort_at, uri)) }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetList {
    uri: AtUri,
    limit: u8,
    cursor: Option<ItemCursor>,
}

#[derive(Debug, Serialize)]
pub(crate) struct List {
    list: ListView,
    items: Vec<ItemView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<ItemCursor>,
}

/// `fm.plyr.list.getList`: a list and its items, in order.
pub(crate) async fn get_list(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: Params<GetList>,
) -> Result<Json<List>, Error> {
    let GetList { uri, limit, cursor } = params.0;
    let limit = usize::from(limit);
    let mut db = app.pool.acquire().await?;
    let (mut lists, _) = views(&app, &mut db, std::slice::from_ref(&uri)).await?;
    let list = lists.pop().ok_or_else(|| Error::declared("NotFound", "no such list"))?;
    let mut rows = sqlx::query!(
        r#"select position, subject_uri, subject_cid
             from list_item
            where list_uri = $1 and position > $2
            order by position
            limit $3"#,
        uri.as_str(),
        cursor.map_or(-1, |cursor| i32::try_from(cursor.key()).unwrap_or(i32::MAX)),
        limit as i64 + 1
    )
    .fetch_all(&mut *db)
    .await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let mut named = HashSet::new();
    let mut uris = Vec::with_capacity(rows.len());
    for row in &rows {
        let subject: AtUri = stored(&row.subject_uri)?;
        if named.insert(subject.clone()) {
            uris.push(subject);
        }
    }
    let (views, covered) = track::views(&app.options, &mut db, viewer.as_ref(), &uris).await?;
    // The first that a full page had no room for.
    let beyond = uris.get(covered);
    let shown: HashMap<&AtUri, &TrackView> = views.iter().map(|view| (&view.uri, view)).collect();
    let (mut items, mut last, mut size_bytes) = (Vec::with_capacity(rows.len()), None, 0);
    for row in &rows {
        let subject: AtUri = stored(&row.subject_uri)?;
        if Some(&subject) == beyond {
            break;
        }
        let track = shown.get(&subject).map(|view| (*view).clone());
        // What stands there twice is shown twice.
        size_bytes += track.as_ref().map_or(0, |track| track.record.get().len());
        if size_bytes > PAGE_MAX_BYTES && !items.is_empty() {
            break;
        }
        items.push(ItemView { uri: subject, cid: row.subject_cid.clone(), track });
        last = Some(row.position);
    }
    let cursor = last.filter(|_| more || items.len() < rows.len());
    Ok(Json(List { list, items, cursor: cursor.map(|position| Cursor::at(position.into(), uri)) }))
}

/// What a playlist is called, where it has to be called something.
pub(crate) fn title(name: Option<&str>) -> &str {
    name.filter(|name| !name.trim().is_empty()).unwrap_or("a playlist without a name")
}

/// The lists of active people among these, in their order, until they fill a page; and how many of `uris` that covers.
pub(crate) async fn views(
    app: &App,
    db: &mut PgConnection,
    uris: &[AtUri],
) -> Result<(Vec<ListView>, usize), Error> {
    let wanted: Vec<&str> = uris.iter().map(AtUri::as_str).collect();
    let rows = sqlx::query!(
        r#"select page.uri as "uri!", page.did as "did!", page.cid as "cid!", page.rev as "rev!", page.value as "value!",
                  page.indexed_at as "indexed_at!", page.sort_at as "sort_at!", page.position as "position!", page.total as "total!",
                  page.handle, p.display_name as "display_name?", avatar.cid as "avatar_cid?", album.slug as "slug?",
                  first.picture as "cover?",
                  coalesce(album.id, list_id(page.uri)) as "id!"
             from (select r.uri, r.cid, r.rev, r.value, r.indexed_at, l.did, l.list_type, l.sort_at, a.handle, w.position,
                          sum(octet_length(r.value)) over (order by w.position)::bigint as total
                     from unnest($1::text[]) with ordinality as w (uri, position)
                     join record r on r.uri = w.uri and r.value is not null
                     join list l on l.uri = r.uri
                     join actor a on a.did = l.did and a.active) as page
             left join bsky_profile p on p.did = page.did
             left join blob avatar on avatar.cid = p.avatar_cid and avatar.mime like 'image/%'
             left join album on album.list_uri = page.uri and page.list_type = 'album'
             -- The picture of the first of its tracks that has one and can be seen.
             left join lateral (
                  select picture(blob.cid, t.image_url) as picture
                    from list_item i
                    join track t on t.uri = i.subject_uri
                    join actor who on who.did = t.did and who.active
                    left join blob on blob.cid = t.image_cid and blob.mime like 'image/%'
                   where i.list_uri = page.uri and i.position < $3 and picture(blob.cid, t.image_url) is not null
                   order by i.position
                   limit 1) as first on true
            where page.total - octet_length(page.value) < $2
            order by page.position"#,
        &wanted as &[&str],
        PAGE_MAX_BYTES as i64,
        COVER_AMONG
    )
    .fetch_all(db)
    .await?;
    // Only the last row may reach over the edge; if none did, nothing was cut.
    let cut = rows.last().filter(|last| last.total >= PAGE_MAX_BYTES as i64);
    let covered = cut.map_or(uris.len(), |last| last.position as usize);
    let (mut views, mut size_bytes) = (Vec::with_capacity(rows.len()), 0);
    for row in rows {
        let Some(json) = hydrate::record_json(&row.uri, &row.value) else { continue };
        let mut fields: Map<String, Value> = serde_json::from_str(json.get()).map_err(Error::internal)?;
        let items = fields.remove("items");
        let value = serde_json::value::to_raw_value(&fields).map_err(Error::internal)?;
        // Its JSON may be longer than the bytes that the query limited.
        size_bytes += value.get().len();
        if size_bytes > PAGE_MAX_BYTES && !views.is_empty() {
            return Ok((views, row.position as usize - 1));
        }
        let options = &app.options;
        let did: Did = stored(&row.did)?;
        views.push(ListView {
            id: row.id,
            uri: stored(&row.uri)?,
            cid: row.cid,
            rev: row.rev,
            author: ProfileViewBasic::of(options, did, row.handle, row.display_name, row.avatar_cid),
            record: value,
            slug: row.slug,
            cover: row.cover.and_then(|picture| foreign::picture(options, &picture)),
            item_count: items.as_ref().and_then(Value::as_array).map_or(0, Vec::len),
            sort_at: row.sort_at,
            indexed_at: row.indexed_at,
        });
    }
    Ok((views, covered))
}
