//! Comments: what people say at a moment of a track.

pub(crate) mod http;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::actor::ProfileViewBasic;
use crate::cursor::Cursor;
use crate::error::{Error, stored};
use crate::{App, hydrate, public_id, track};

/// `fm.plyr.feed.defs#commentView`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommentView {
    /// The record's name.
    pub uri: AtUri,
    /// This server's number for it, by which its HTTP API knows it.
    pub id: i64,
    /// Its version.
    pub cid: String,
    /// The commit that brought this version.
    pub rev: String,
    /// Who speaks.
    pub author: ProfileViewBasic,
    /// What they say.
    pub text: String,
    /// The moment of the track, in milliseconds from its start.
    pub timestamp_ms: i64,
    /// When it was written, as the record says.
    pub created_at: DateTime<Utc>,
    /// When it was last changed, as the record says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<DateTime<Utc>>,
    /// When this version was indexed.
    pub indexed_at: DateTime<Utc>,
}

pub(crate) type CommentCursor = Cursor<b'c'>;

#[derive(Debug, Deserialize)]
pub(crate) struct GetComments {
    uri: AtUri,
    limit: u8,
    cursor: Option<CommentCursor>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Comments {
    uri: AtUri,
    #[serde(flatten)]
    page: Page,
}

/// A page of comments, and where it ends if more follow.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    comments: Vec<CommentView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<CommentCursor>,
}

struct Row {
    uri: AtUri,
    did: Did,
    body: String,
    timestamp_ms: i64,
    created_at: DateTime<Utc>,
    updated_at: Option<DateTime<Utc>>,
}

/// `fm.plyr.feed.getComments`: the comments of a track in the order of its moments.
pub(crate) async fn get_comments(
    State(app): State<App>,
    params: crate::xrpc::Params<GetComments>,
) -> Result<Json<Comments>, Error> {
    let GetComments { uri, limit, cursor } = params.0;
    let mut db = app.pool.acquire().await?;
    track::require_visible(&mut db, &uri).await?;
    let page = page(&app, &mut db, &uri, limit, cursor).await?;
    Ok(Json(Comments { uri, page }))
}

/// The comments of a track that can be seen, from where the last page ended.
pub(crate) async fn page(
    app: &App,
    db: &mut PgConnection,
    track: &AtUri,
    limit: u8,
    cursor: Option<CommentCursor>,
) -> Result<Page, Error> {
    let limit = usize::from(limit);
    let mut rows = skeleton(db, track, cursor, limit as i64 + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let cursor = rows.last().filter(|_| more).map(|row| Cursor::at(row.timestamp_ms, row.uri.clone()));
    let comments = views(app, db, rows).await?;
    Ok(Page { comments, cursor })
}

async fn skeleton(
    db: &mut PgConnection,
    subject: &AtUri,
    cursor: Option<CommentCursor>,
    limit: i64,
) -> Result<Vec<Row>, Error> {
    let rows = sqlx::query!(
        "select comment.uri, comment.did, body, timestamp_ms, created_at, updated_at
           from comment
           join actor on actor.did = comment.did and actor.active
          where subject_uri = $1
            and (timestamp_ms, uri) > (coalesce($2::bigint, -1), coalesce($3, ''))
          order by timestamp_ms, uri
          limit $4",
        subject.as_str(),
        cursor.as_ref().map(Cursor::key),
        cursor.as_ref().map(|cursor| cursor.uri().as_str()),
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Row {
                uri: stored(&row.uri)?,
                did: stored(&row.did)?,
                body: row.body,
                timestamp_ms: row.timestamp_ms,
                created_at: row.created_at,
                updated_at: row.updated_at,
            })
        })
        .collect()
}

async fn views(app: &App, db: &mut PgConnection, rows: Vec<Row>) -> Result<Vec<CommentView>, Error> {
    let uris: Vec<String> = rows.iter().map(|row| row.uri.to_string()).collect();
    let dids: Vec<Did> = rows.iter().map(|row| row.did.clone()).collect();
    let mut versions = hydrate::versions(db, &uris).await?;
    let people = hydrate::people(&app.options, db, &dids).await?;
    let ids = public_id::of(db, "comment", &uris).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let version = versions.remove(row.uri.as_str())?;
            Some(CommentView {
                id: ids.get(row.uri.as_str()).copied()?,
                author: people.get(&row.did)?.clone(),
                uri: row.uri,
                cid: version.cid,
                rev: version.rev,
                text: row.body,
                timestamp_ms: row.timestamp_ms,
                created_at: row.created_at,
                updated_at: row.updated_at,
                indexed_at: version.indexed_at,
            })
        })
        .collect())
}
