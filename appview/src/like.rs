//! Likes: who likes a track.

pub(crate) mod http;

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::actor::ProfileViewBasic;
use crate::cursor::Cursor;
use crate::error::{Error, stored};
use crate::feed::Position;
use crate::{App, track};

/// `fm.plyr.feed.defs#likeView`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LikeView {
    /// The record's name.
    pub uri: AtUri,
    /// Its version.
    pub cid: String,
    /// The commit that brought this version.
    pub rev: String,
    /// Who likes.
    pub author: ProfileViewBasic,
    /// What kind of like it is: `plyr`, `bluesky` or `share`.
    pub source: String,
    /// The post that shares the track, where that is what was liked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<AtUri>,
    /// When, as the record says.
    pub created_at: DateTime<Utc>,
    /// When this version was indexed.
    pub indexed_at: DateTime<Utc>,
}

type LikeCursor = Cursor<b'l'>;

#[derive(Debug, Deserialize)]
pub(crate) struct GetLikes {
    uri: AtUri,
    limit: u8,
    cursor: Option<LikeCursor>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Likes {
    uri: AtUri,
    likes: Vec<LikeView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<LikeCursor>,
}

struct Row {
    uri: AtUri,
    did: Did,
    source: String,
    via: Option<AtUri>,
    created_at: DateTime<Utc>,
    sort_at: DateTime<Utc>,
}

/// `fm.plyr.feed.getLikes`: the people who like a track, each once, newest first. As many as its `likeCount`
/// says.
pub(crate) async fn get_likes(
    State(app): State<App>,
    params: crate::xrpc::Params<GetLikes>,
) -> Result<Json<Likes>, Error> {
    let GetLikes { uri, limit, cursor } = params.0;
    let limit = usize::from(limit);
    let mut db = app.pool.acquire().await?;
    track::require_visible(&mut db, &uri).await?;
    let position = Position::after(cursor)?;
    let mut rows = skeleton(&mut db, &uri, &position, limit as i64 + 1).await?;
    let cursor = if rows.len() > limit {
        rows.truncate(limit);
        rows.last().map(|row| Cursor::at_time(row.sort_at, row.uri.clone()))
    } else {
        end_of_window(&mut db, &uri, &position).await?
    };
    let likes = views(&app, &mut db, rows).await?;
    Ok(Json(Likes { uri, likes, cursor }))
}

async fn skeleton(
    db: &mut PgConnection,
    subject: &AtUri,
    position: &Position,
    limit: i64,
) -> Result<Vec<Row>, Error> {
    // One person may have several likes of one thing; the oldest stands for them. Both conditions are looks
    // into an index for each row, and written so that they stay it: the planner of a prepared statement does
    // not know how many likes this track has, and from "not exists" makes a join of all of them with all of
    // them. Nor may a page cost more the more often somebody likes: it ends where the window of 500 does.
    let rows = sqlx::query!(
        r#"select uri, did, source, via, created_at, sort_at
             from (select *
                     from reaction
                    where subject_uri = $1 and verb = 'like'
                      and (sort_at, uri) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
                    order by sort_at desc, uri desc
                    limit 500) as newest
            where (select active from actor where actor.did = newest.did)
              and uri = (select first.uri
                           from reaction as first
                          where first.subject_uri = $1 and first.verb = 'like' and first.did = newest.did
                          order by first.sort_at, first.uri
                          limit 1)
            order by sort_at desc, uri desc
            limit $4"#,
        subject.as_str(),
        position.time,
        position.uri.as_deref(),
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Row {
                uri: stored(&row.uri)?,
                did: stored(&row.did)?,
                source: row.source,
                via: row.via.as_deref().map(stored).transpose()?,
                created_at: row.created_at,
                sort_at: row.sort_at,
            })
        })
        .collect()
}

/// The last row that a page from here looked at, if more follow: where to go on from a page that is not full.
async fn end_of_window(
    db: &mut PgConnection,
    subject: &AtUri,
    position: &Position,
) -> Result<Option<LikeCursor>, Error> {
    let last = sqlx::query!(
        "select uri, sort_at
           from reaction
          where subject_uri = $1 and verb = 'like'
            and (sort_at, uri) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
          order by sort_at desc, uri desc
         offset 499
          limit 1",
        subject.as_str(),
        position.time,
        position.uri.as_deref()
    )
    .fetch_optional(db)
    .await?;
    last.map(|row| Ok(Cursor::at_time(row.sort_at, stored(&row.uri)?))).transpose()
}

async fn views(app: &App, db: &mut PgConnection, rows: Vec<Row>) -> Result<Vec<LikeView>, Error> {
    let uris: Vec<&str> = rows.iter().map(|row| row.uri.as_str()).collect();
    let found = sqlx::query!(
        r#"select r.uri as "uri!", r.cid as "cid!", r.rev as "rev!", r.indexed_at as "indexed_at!", a.handle,
                  p.display_name as "display_name?", avatar.cid as "avatar_cid?"
             from record r
             join actor a on a.did = r.did and a.active
             left join bsky_profile p on p.did = r.did
             left join blob avatar on avatar.cid = p.avatar_cid and avatar.mime like 'image/%'
            where r.uri = any($1) and r.cid is not null"#,
        &uris as &[&str]
    )
    .fetch_all(db)
    .await?;
    let mut found: HashMap<String, _> = found.into_iter().map(|row| (row.uri.clone(), row)).collect();
    let views = rows.into_iter().filter_map(|Row { uri, did, source, via, created_at, .. }| {
        let row = found.remove(uri.as_str())?;
        let options = &app.options;
        Some(LikeView {
            author: ProfileViewBasic::of(options, did, row.handle, row.display_name, row.avatar_cid),
            uri,
            source,
            via,
            cid: row.cid,
            rev: row.rev,
            created_at,
            indexed_at: row.indexed_at,
        })
    });
    Ok(views.collect())
}
