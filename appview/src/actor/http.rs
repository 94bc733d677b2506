//! Artists by the HTTP API: `/artists/{did}`, `/artists/by-handle/{handle}`, `/artists/me`, and the numbers of each.
//!
//! Whoever is known is an artist with the name they have elsewhere, until they say otherwise.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, SecondsFormat, Utc};
use indexer::syntax::Did;
use serde_json::{Value, json};
use sqlx::PgConnection;

use super::analytics::{self, Top};
use super::{AtIdentifier, ProfileViewBasic};
use crate::detail::{Detail, Named};
use crate::session::Viewer;
use crate::{App, Options, card, hydrate};

/// `GET /artists/{did}`.
pub(crate) async fn by_did(State(app): State<App>, Named(did): Named<String>) -> Result<Json<Value>, Detail> {
    if !did.starts_with("did:") {
        return Err(missing());
    }
    named(&app, did).await
}

/// `GET /artists/by-handle/{handle}`. Who has no handle that holds is called by their DID everywhere, and so here.
pub(crate) async fn by_handle(
    State(app): State<App>,
    Named(handle): Named<String>,
) -> Result<Json<Value>, Detail> {
    named(&app, handle).await
}

/// `GET /artists/me`.
pub(crate) async fn me(State(app): State<App>, viewer: Viewer) -> Result<Json<Value>, Detail> {
    let mut db = app.pool.acquire().await?;
    shown(&app.options, &mut db, &viewer.did).await
}

async fn named(app: &App, text: String) -> Result<Json<Value>, Detail> {
    let actor = AtIdentifier::try_from(text).ok().ok_or_else(missing)?;
    let mut db = app.pool.acquire().await?;
    let did = super::find(&mut db, actor).await?.ok_or_else(missing)?;
    shown(&app.options, &mut db, &did).await
}

/// Somebody as the API shows them beside something else.
pub(crate) fn short_person(person: &ProfileViewBasic) -> Value {
    json!({"did": person.did, "handle": card::called(person), "display_name": person.name(), "avatar_url": person.avatar})
}

fn missing() -> Detail {
    Detail::not_found("artist not found")
}

async fn shown(options: &Options, db: &mut PgConnection, did: &Did) -> Result<Json<Value>, Detail> {
    let mut people = hydrate::people(options, db, std::slice::from_ref(did)).await?;
    let person = people.remove(did).ok_or_else(missing)?;
    let row = sqlx::query!(
        r#"select bio as "bio?", coalesce(profile.created_at, first_seen_at) as "created_at!",
                  coalesce(profile.updated_at, profile.created_at, first_seen_at) as "updated_at!"
             from actor left join profile on profile.did = actor.did
            where actor.did = $1"#,
        did.as_str()
    )
    .fetch_one(db)
    .await?;
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Micros, true);
    Ok(Json(json!({
        "did": person.did,
        "handle": person.handle,
        "display_name": person.name(),
        "bio": row.bio,
        "avatar_url": person.avatar,
        "created_at": time(row.created_at),
        "updated_at": time(row.updated_at),
        "show_liked_on_profile": false,
        "support_url": null,
    })))
}

/// `GET /artists/{did}/analytics`: noughts for who is unknown.
pub(crate) async fn analytics_of(
    State(app): State<App>,
    Named(did): Named<String>,
) -> Result<Json<Value>, Detail> {
    let mut db = app.pool.acquire().await?;
    let did = match AtIdentifier::try_from(did) {
        Ok(actor) => super::find(&mut db, actor).await?,
        Err(_) => None,
    };
    numbers(&mut db, did.as_ref()).await
}

/// `GET /artists/me/analytics`.
pub(crate) async fn my_analytics(State(app): State<App>, viewer: Viewer) -> Result<Json<Value>, Detail> {
    let mut db = app.pool.acquire().await?;
    numbers(&mut db, Some(&viewer.did)).await
}

async fn numbers(db: &mut PgConnection, did: Option<&Did>) -> Result<Json<Value>, Detail> {
    let Some(did) = did else {
        return Ok(Json(json!({"total_plays": 0, "total_items": 0, "top_item": null, "top_liked": null})));
    };
    let numbers = analytics::of(db, did).await?;
    let tops = [&numbers.top_played, &numbers.top_liked];
    let uris: Vec<String> = tops.into_iter().flatten().map(|top| top.uri.clone()).collect();
    let ids = crate::public_id::of(db, "track", &uris).await?;
    // The last field is that of plays in both.
    let item = |top: &Top| json!({"id": ids.get(&top.uri), "title": top.title, "play_count": top.number});
    Ok(Json(json!({
        "total_plays": numbers.plays,
        "total_items": numbers.tracks,
        "top_item": numbers.top_played.as_ref().map(item),
        "top_liked": numbers.top_liked.as_ref().map(item),
    })))
}
