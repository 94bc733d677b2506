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
use crate::{App, track};

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
    let mut comments = views(app, db, track, cursor, limit as i64 + 1).await?;
    let more = comments.len() > limit;
    comments.truncate(limit);
    let last = comments.last().filter(|_| more);
    let cursor = last.map(|last| Cursor::at(last.timestamp_ms, last.uri.clone()));
    Ok(Page { comments, cursor })
}

/// Skeleton and hydration in one query: nothing that is read of a comment is large.
async fn views(
    app: &App,
    db: &mut PgConnection,
    subject: &AtUri,
    cursor: Option<CommentCursor>,
    limit: i64,
) -> Result<Vec<CommentView>, Error> {
    let rows = sqlx::query!(
        r#"select c.uri, c.did, c.body, c.timestamp_ms, c.created_at, c.updated_at, r.cid as "cid!", r.rev, r.indexed_at, n.id,
                  a.handle, p.display_name as "display_name?", avatar.cid as "avatar_cid?"
             from comment c
             join actor a on a.did = c.did and a.active
             join record r on r.uri = c.uri and r.cid is not null
             join public_id n on n.kind = 'comment' and n.uri = c.uri
             left join bsky_profile p on p.did = c.did
             left join blob avatar on avatar.cid = p.avatar_cid and avatar.mime like 'image/%'
            where c.subject_uri = $1
              and (c.timestamp_ms, c.uri) > (coalesce($2::bigint, -1), coalesce($3, ''))
            order by c.timestamp_ms, c.uri
            limit $4"#,
        subject.as_str(),
        cursor.as_ref().map(Cursor::key),
        cursor.as_ref().map(|cursor| cursor.uri().as_str()),
        limit
    )
    .fetch_all(db)
    .await?;
    let options = &app.options;
    rows.into_iter()
        .map(|row| {
            let did: Did = stored(&row.did)?;
            Ok(CommentView {
                uri: stored(&row.uri)?,
                id: row.id,
                cid: row.cid,
                rev: row.rev,
                author: ProfileViewBasic::of(options, did, row.handle, row.display_name, row.avatar_cid),
                text: row.body,
                timestamp_ms: row.timestamp_ms,
                created_at: row.created_at,
                updated_at: row.updated_at,
                indexed_at: row.indexed_at,
            })
        })
        .collect()
}
