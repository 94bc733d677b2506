//! `fm.teal.actor.getProfile`, `getProfiles`, `searchActors`: who listeners are.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use indexer::syntax::Did;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;

use super::status;
use crate::App;
use crate::actor::{AtIdentifier, visible};
use crate::error::{Error, stored};
use crate::now_playing;
use crate::xrpc::Params;

#[derive(Debug, Deserialize)]
pub(crate) struct GetProfile {
    actor: AtIdentifier,
}

#[derive(Debug, Serialize)]
pub(crate) struct Profile {
    profile: Value,
}

/// What somebody's profile record says, the newer namespace first; else nothing.
async fn said(db: &mut PgConnection, dids: &[String]) -> Result<HashMap<String, Value>, Error> {
    let rows = sqlx::query!(
        r#"select distinct on (p.did) p.did, r.value as "value!"
             from teal_profile p join record r on r.uri = p.uri and r.value is not null
            where p.did = any($1) order by p.did, p.uri"#,
        dids
    )
    .fetch_all(db)
    .await?;
    let said = rows.into_iter().filter_map(|row| {
        let value = indexer::dag::decode(&row.value).ok()?;
        Some((row.did, indexer::dag::to_json(&value)))
    });
    Ok(said.collect())
}

/// `fm.teal.actor.getProfile`.
pub(crate) async fn get_profile(
    State(app): State<App>,
    params: Params<GetProfile>,
) -> Result<Json<Profile>, Error> {
    let mut db = app.pool.acquire().await?;
    let did = visible(&mut db, params.0.actor).await?;
    let said = said(&mut db, &[did.to_string()]).await?.remove(did.as_str());
    let mut view = Map::from_iter([("did".to_owned(), json!(did))]);
    if let Some(said) = said {
        for name in ["displayName", "description", "descriptionFacets", "featuredItem", "createdAt"] {
            if let Some(value) = said.get(name) {
                view.insert(name.into(), value.clone());
            }
        }
        for name in ["avatar", "banner"] {
            if let Some(cid) = said[name]["ref"]["$link"].as_str() {
                view.insert(name.into(), cid.into());
            }
        }
    }
    if let Some(current) = now_playing::teal_status(&mut db, &did).await?
        && let Some(item) = status::item(&mut db, &current.uri).await?
    {
        let status = json!({"time": current.started_at, "expiry": current.expires_at, "item": item});
        view.insert("status".into(), status);
    }
    Ok(Json(Profile { profile: Value::Object(view) }))
}

/// `fm.teal.actor.defs#miniProfileView`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mini {
    did: Did,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Actors {
    actors: Vec<Mini>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Place>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetProfiles {
    actors: Vec<AtIdentifier>,
}

/// `fm.teal.actor.getProfiles`.
pub(crate) async fn get_profiles(
    State(app): State<App>,
    params: Params<GetProfiles>,
) -> Result<Json<Actors>, Error> {
    let mut db = app.pool.acquire().await?;
    let mut dids = Vec::new();
    for actor in params.0.actors {
        dids.extend(actor.did(&mut db).await?);
    }
    Ok(Json(Actors { actors: minis(&mut db, &dids).await?, cursor: None }))
}

/// Who may be seen of them, in their order.
async fn minis(db: &mut PgConnection, dids: &[Did]) -> Result<Vec<Mini>, Error> {
    let names: Vec<String> = dids.iter().map(Did::to_string).collect();
    let handles = sqlx::query!("select did, handle from actor where did = any($1) and active", &names)
        .fetch_all(&mut *db)
        .await?;
    let mut handles: HashMap<String, Option<String>> =
        handles.into_iter().map(|row| (row.did, row.handle)).collect();
    let said = said(db, &names).await?;
    let mini = |did: &Did| {
        let handle = handles.remove(did.as_str())?;
        let said = said.get(did.as_str()).unwrap_or(&Value::Null);
        Some(Mini {
            did: did.clone(),
            display_name: said["displayName"].as_str().map(str::to_owned),
            handle,
            avatar: said["avatar"]["ref"]["$link"].as_str().map(str::to_owned),
        })
    };
    Ok(dids.iter().filter_map(mini).collect())
}

/// Where a page of people ended: whether their names began so, and who.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Place {
    rank: i32,
    did: Did,
}

impl TryFrom<String> for Place {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = "not a cursor of this list";
        let (rank, did) = text.split_once(' ').ok_or(wrong)?;
        Ok(Place { rank: rank.parse().map_err(|_| wrong)?, did: did.parse().map_err(|_| wrong)? })
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        format!("{} {}", place.rank, place.did)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct SearchActors {
    q: String,
    limit: u8,
    cursor: Option<Place>,
}

/// `fm.teal.actor.searchActors`: whose name or handle holds it; those that begin with it first.
pub(crate) async fn search_actors(
    State(app): State<App>,
    params: Params<SearchActors>,
) -> Result<Json<Actors>, Error> {
    let SearchActors { q, limit, cursor } = params.0;
    let q = q.replace('\0', "").trim().to_lowercase();
    if q.is_empty() {
        return Err(Error::invalid_request("q: says nothing"));
    }
    // One or two letters are within almost every name: then only beginnings are looked at.
    let within = if q.chars().count() < 3 { "" } else { "%" };
    // Its signs mean themselves.
    let q = q.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    let (rank, did) = cursor.map_or((-1, String::new()), |place| (place.rank, place.did.to_string()));
    let mut db = app.pool.acquire().await?;
    let rows = sqlx::query!(
        r#"select did as "did!", rank as "rank!" from (
             select found.did, min(rank) as rank from (
               select did, (lower(display_name) not like $1 || '%')::integer as rank from teal_profile
                where lower(display_name) like $5 || $1 || '%'
               union all
               select a.did, (lower(a.handle) not like $1 || '%')::integer from actor a
                where lower(a.handle) like $5 || $1 || '%'
                  and (select true from teal_profile t where t.did = a.did limit 1)) as found
              where (select active from actor where actor.did = found.did)
              group by found.did) as ranked
            where (rank, did) > ($2, $3 collate "C")
            order by rank, did limit $4"#,
        q,
        rank,
        did,
        i64::from(limit) + 1,
        within
    )
    .fetch_all(&mut *db)
    .await?;
    let more = rows.len() > usize::from(limit);
    let mut dids = Vec::new();
    let mut end = None;
    for row in rows.into_iter().take(limit.into()) {
        let did: Did = stored(&row.did)?;
        end = Some(Place { rank: row.rank, did: did.clone() });
        dids.push(did);
    }
    Ok(Json(Actors { actors: minis(&mut db, &dids).await?, cursor: end.filter(|_| more) }))
}
