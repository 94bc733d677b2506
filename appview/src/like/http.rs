//! Likes by the HTTP API: `/tracks/{id}/like`, `/tracks/{id}/likes`.

use axum::Json;
use axum::extract::State;
use indexer::syntax::{AtUri, Did, Nsid};
use serde::Serialize;
use serde_json::json;

use crate::detail::Detail;
use crate::feed::Position;
use crate::public_id::{self, Id};
use crate::publish::{self, PublishError, Settled};
use crate::session::SignedIn;
use crate::track::response::time;
use crate::{App, card, hydrate};

/// People listed at once; `fm.plyr.feed.getLikes` has pages.
const LIKERS_MAX: i64 = 500;

/// How things stand after the request: the last intention, which may be a later one.
#[derive(Debug, Serialize)]
pub(crate) struct Liked {
    liked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    atproto_uri: Option<AtUri>,
}

/// One who likes a track.
#[derive(Debug, Serialize)]
pub(crate) struct Liker {
    did: Did,
    handle: String,
    display_name: Option<String>,
    avatar_url: Option<String>,
    liked_at: String,
}

/// Who likes a track, newest first, at most [`LIKERS_MAX`]; and how many do.
#[derive(Debug, Serialize)]
pub(crate) struct Likers {
    users: Vec<Liker>,
    count: i64,
}

/// `GET /tracks/{id}/likes`.
pub(crate) async fn likers(State(app): State<App>, id: Id) -> Result<Json<Likers>, Detail> {
    let (uri, _) = subject(&app, id).await?;
    let mut db = app.pool.acquire().await?;
    let rows = super::skeleton(&mut db, &uri, &Position::default(), LIKERS_MAX).await?;
    let dids: Vec<Did> = rows.iter().map(|row| row.did.clone()).collect();
    let people = hydrate::people(&app.options, &mut db, &dids).await?;
    let counts = hydrate::counts(&mut db, &[uri.to_string()]).await?;
    let users = rows.into_iter().filter_map(|row| {
        let person = people.get(&row.did)?.clone();
        Some(Liker {
            did: row.did,
            handle: card::called(&person).to_owned(),
            display_name: person.display_name,
            avatar_url: person.avatar,
            liked_at: time(&row.created_at),
        })
    });
    Ok(Json(Likers {
        users: users.collect(),
        count: counts.get(uri.as_str()).map_or(0, |counts| counts.likes),
    }))
}

/// `POST /tracks/{id}/like`.
pub(crate) async fn like(State(app): State<App>, viewer: SignedIn, id: Id) -> Result<Json<Liked>, Detail> {
    app.limits.write.check(viewer.did.as_str())?;
    let (uri, cid) = subject(&app, id).await?;
    let collection = collection(&app)?;
    let record = json!({
        "$type": collection.as_str(),
        "subject": {"uri": uri.as_str(), "cid": cid},
        "createdAt": publish::now(),
    });
    let fresh = publish::reserve(&viewer.did, &collection);
    answer(app.publisher.toggle(&viewer, "like", &uri, &fresh, Some(&record)).await)
}

/// `DELETE /tracks/{id}/like`. True of who never liked it as well.
pub(crate) async fn unlike(State(app): State<App>, viewer: SignedIn, id: Id) -> Result<Json<Liked>, Detail> {
    app.limits.write.check(viewer.did.as_str())?;
    // What is gone or hidden can be unliked all the same.
    let uri = public_id::find(&mut *app.pool.acquire().await?, "track", id).await?;
    let uri = uri.ok_or_else(|| Detail::not_found("track not found"))?;
    let fresh = publish::reserve(&viewer.did, &collection(&app)?);
    answer(app.publisher.toggle(&viewer, "like", &uri, &fresh, None).await)
}

fn answer(settled: Result<Settled, PublishError>) -> Result<Json<Liked>, Detail> {
    Ok(Json(match settled? {
        Settled::Written(written) => Liked { liked: true, atproto_uri: Some(written.uri) },
        Settled::Gone => Liked { liked: false, atproto_uri: None },
    }))
}

fn collection(app: &App) -> Result<Nsid, Detail> {
    format!("{}.like", app.options.namespace).parse().map_err(Detail::internal)
}

/// A visible track and its version, to be named by a record.
pub(crate) async fn subject(app: &App, id: Id) -> Result<(AtUri, String), Detail> {
    let mut db = app.pool.acquire().await?;
    let missing = || Detail::not_found("track not found");
    let uri = public_id::find(&mut db, "track", id).await?.ok_or_else(missing)?;
    let cid = sqlx::query_scalar!(
        r#"select r.cid as "cid!"
             from track t
             join actor a on a.did = t.did and a.active
             join record r on r.uri = t.uri and r.cid is not null
            where t.uri = $1"#,
        uri.as_str()
    )
    .fetch_optional(&mut *db)
    .await?
    .ok_or_else(missing)?;
    Ok((uri, cid))
}
