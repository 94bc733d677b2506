//! Comments by the HTTP API: `/tracks/{id}/comments`, `/tracks/comments/{id}`.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use indexer::syntax::{AtUri, Did, Nsid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::CommentView;
use crate::detail::Detail;
use crate::like::http::subject;
use crate::public_id::{self, Id};
use crate::publish;
use crate::session::SignedIn;
use crate::track::response::time;
use crate::{App, card, hydrate};

/// Characters of a comment; the record's lexicon allows more, the API does not.
pub(crate) const TEXT_MAX_CHARS: usize = 300;
/// Bytes that the record's lexicon allows.
const TEXT_MAX_BYTES: usize = 1000;
/// Comments listed at once; `fm.plyr.feed.getComments` has pages.
const LISTED_MAX: i64 = 1000;

/// A comment as the HTTP API shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Comment {
    id: i64,
    user_did: Did,
    user_handle: String,
    user_display_name: Option<String>,
    user_avatar_url: Option<String>,
    text: String,
    timestamp_ms: i64,
    created_at: String,
    updated_at: Option<String>,
    atproto_uri: AtUri,
}

#[derive(Debug, Deserialize)]
pub(crate) struct New {
    text: String,
    timestamp_ms: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Edit {
    text: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Deleted {
    deleted: bool,
}

/// No sound is as long; larger numbers are not the same in every program's JSON.
pub(crate) const MOMENT_MAX_MS: i64 = (1 << 53) - 1;

type Body<T> = Result<Json<T>, JsonRejection>;

/// The comments of a track in the order of its moments.
#[derive(Debug, Serialize)]
pub(crate) struct Comments {
    comments: Vec<Comment>,
    count: usize,
    comments_enabled: bool,
}

/// `GET /tracks/{id}/comments`.
pub(crate) async fn list(State(app): State<App>, id: Id) -> Result<Json<Comments>, Detail> {
    let (uri, _) = subject(&app, id).await?;
    let mut db = app.pool.acquire().await?;
    let views = super::views(&app, &mut db, &uri, None, LISTED_MAX).await?;
    let comments: Vec<Comment> = views.into_iter().map(Comment::from).collect();
    Ok(Json(Comments { count: comments.len(), comments, comments_enabled: true }))
}

/// `POST /tracks/{id}/comments`.
pub(crate) async fn create(
    State(app): State<App>,
    viewer: SignedIn,
    id: Id,
    body: Body<New>,
) -> Result<Json<Comment>, Detail> {
    app.limits.write.check(viewer.did.as_str())?;
    let New { text, timestamp_ms } = read(body)?;
    let text = lawful(&text)?;
    if timestamp_ms < 0 {
        return Err(Detail::invalid("body", "timestamp_ms", "Input should be greater than or equal to 0"));
    }
    if timestamp_ms > MOMENT_MAX_MS {
        let said = format!("Input should be less than or equal to {MOMENT_MAX_MS}");
        return Err(Detail::invalid("body", "timestamp_ms", said));
    }
    let (uri, cid) = subject(&app, id).await?;
    let collection: Nsid = format!("{}.comment", app.options.namespace).parse().map_err(Detail::internal)?;
    let record = json!({
        "$type": collection.as_str(),
        "subject": {"uri": uri.as_str(), "cid": cid},
        "text": text,
        "timestampMs": timestamp_ms,
        "createdAt": publish::now(),
    });
    // The same words at the same moment are the same wish, uttered twice.
    let words = Sha256::digest(json!([uri.as_str(), text, timestamp_ms]).to_string());
    let action = format!("comment {}", hex::encode(words));
    let fresh = publish::reserve(&viewer.did, &collection);
    let written = app.publisher.create(&viewer, &action, &fresh, &record).await?;
    shown(&app, &written.uri).await
}

/// `PATCH /tracks/comments/{id}`. Fields of other programs and `createdAt` stay.
pub(crate) async fn edit(
    State(app): State<App>,
    viewer: SignedIn,
    id: Id,
    body: Body<Edit>,
) -> Result<Json<Comment>, Detail> {
    app.limits.write.check(viewer.did.as_str())?;
    let text = lawful(&read(body)?.text)?;
    let uri = own(&app, &viewer, id, "can only edit your own comments").await?;
    let now = publish::now();
    let change = |record: &mut serde_json::Map<String, Value>| {
        record.insert("text".into(), text.clone().into());
        record.insert("updatedAt".into(), now.clone().into());
    };
    let written = app.publisher.edit(&viewer, &uri, change).await?;
    shown(&app, &written.uri).await
}

/// `DELETE /tracks/comments/{id}`.
pub(crate) async fn delete(
    State(app): State<App>,
    viewer: SignedIn,
    id: Id,
) -> Result<Json<Deleted>, Detail> {
    app.limits.write.check(viewer.did.as_str())?;
    let uri = own(&app, &viewer, id, "can only delete your own comments").await?;
    app.publisher.delete(&viewer, &uri).await?;
    Ok(Json(Deleted { deleted: true }))
}

fn read<T>(body: Body<T>) -> Result<T, Detail> {
    body.map(|Json(body)| body).map_err(|error| Detail::invalid("body", "body", error.body_text()))
}

fn lawful(text: &str) -> Result<String, Detail> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(Detail::invalid("body", "text", "String should have at least 1 character")),
        1..=TEXT_MAX_CHARS if text.len() > TEXT_MAX_BYTES => {
            Err(Detail::invalid("body", "text", "String should have at most 1000 bytes"))
        }
        1..=TEXT_MAX_CHARS => Ok(text.to_owned()),
        _ => Err(Detail::invalid("body", "text", "String should have at most 300 characters")),
    }
}

/// A standing comment of the viewer's own.
async fn own(app: &App, viewer: &SignedIn, id: Id, foreign: &str) -> Result<AtUri, Detail> {
    let mut db = app.pool.acquire().await?;
    let missing = || Detail::not_found("comment not found");
    let uri = public_id::find(&mut db, "comment", id).await?.ok_or_else(missing)?;
    let stands = sqlx::query_scalar!("select true from comment where uri = $1", uri.as_str());
    stands.fetch_optional(&mut *db).await?.ok_or_else(missing)?;
    if uri.did() == viewer.did { Ok(uri) } else { Err(Detail::forbidden(foreign)) }
}

impl From<CommentView> for Comment {
    fn from(view: CommentView) -> Self {
        Comment {
            id: view.id,
            user_handle: card::called(&view.author).to_owned(),
            user_display_name: view.author.display_name,
            user_avatar_url: view.author.avatar,
            user_did: view.author.did,
            text: view.text,
            timestamp_ms: view.timestamp_ms,
            created_at: time(&view.created_at),
            updated_at: view.updated_at.as_ref().map(time),
            atproto_uri: view.uri,
        }
    }
}

/// A comment just written, as it stands.
async fn shown(app: &App, uri: &AtUri) -> Result<Json<Comment>, Detail> {
    let mut db = app.pool.acquire().await?;
    let comments = by_uri(app, &mut db, &[uri.to_string()]).await?;
    comments.into_iter().next().map(Json).ok_or_else(|| Detail::not_found("comment not found"))
}

async fn by_uri(app: &App, db: &mut PgConnection, uris: &[String]) -> Result<Vec<Comment>, Detail> {
    let rows = sqlx::query!(
        r#"select c.uri, c.did, c.body, c.timestamp_ms, c.created_at, c.updated_at, p.id as "id!"
             from comment c
             join public_id p on p.kind = 'comment' and p.uri = c.uri
            where c.uri = any($1)
            order by c.timestamp_ms, c.uri"#,
        uris
    )
    .fetch_all(&mut *db)
    .await?;
    let dids: Vec<Did> = rows.iter().filter_map(|row| row.did.parse().ok()).collect();
    let people = hydrate::people(&app.options, db, &dids).await.map_err(Detail::from)?;
    let shown = rows.into_iter().filter_map(|row| {
        let did: Did = row.did.parse().ok()?;
        let person = people.get(&did)?;
        Some(Comment {
            id: row.id,
            user_handle: card::called(person).to_owned(),
            user_display_name: person.display_name.clone(),
            user_avatar_url: person.avatar.clone(),
            user_did: did,
            text: row.body,
            timestamp_ms: row.timestamp_ms,
            created_at: time(&row.created_at),
            updated_at: row.updated_at.as_ref().map(time),
            atproto_uri: row.uri.parse().ok()?,
        })
    });
    Ok(shown.collect())
}
