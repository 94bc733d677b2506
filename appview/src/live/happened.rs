//! What happened, as it is told: rows of `live_event` of whom may be seen, and of those who hear something now, what.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::now_playing;
use crate::pool::Pool;

/// Events of one moment, and events that somebody missed, that are told one by one; where there are more, it is a reset.
const EVENTS_MAX: i64 = 1000;
/// Numbers are given before they are told: so far back somebody who comes back looks once more.
const OVERLAP_S: f64 = 30.0;
/// Names of artists of what somebody hears; a record may have thousands, and an event is kept for all who are behind.
const ARTISTS_MAX: usize = 20;

/// A row of `live_event` that may be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Happened {
    #[serde(skip)]
    pub id: i64,
    #[serde(skip)]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub did: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    created_at: DateTime<Utc>,
    /// Of a status: a view, or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    now_playing: Option<Value>,
}

/// What these generations told; none where it is too much to be told one by one.
pub(super) async fn read(pool: &Pool, generations: &[i64]) -> Result<Option<Vec<Happened>>, Error> {
    // Whose track it is may be hidden, whoever likes it.
    let rows = sqlx::query!(
        "select id, kind, uri, did, subject_uri, created_at from live_event e
          where generation = any($1) and (did is null or (select active from actor where actor.did = e.did))
            and (select active from actor where actor.did = split_part(e.subject_uri, '/', 3)) is not false
          order by id limit $2",
        generations,
        EVENTS_MAX + 1
    )
    .fetch_all(&mut *pool.acquire().await?)
    .await?;
    if rows.len() as i64 > EVENTS_MAX {
        return Ok(None);
    }
    let events = rows.into_iter().map(|row| Happened {
        id: row.id,
        kind: row.kind,
        uri: row.uri,
        did: row.did,
        subject: row.subject_uri,
        created_at: row.created_at,
        now_playing: None,
    });
    listened(pool, events.collect()).await.map(Some)
}

/// What happened after that one, or none where that cannot be told. What counts is how much there was, whoever may see it: of
/// hidden people and of the event itself there is nothing to tell, and where more was than is looked at, the rest is not known.
pub(super) async fn since(pool: &Pool, id: i64) -> Result<Option<Vec<Happened>>, Error> {
    let mut db = pool.acquire().await?;
    let at = sqlx::query_scalar!("select created_at from live_event where id = $1", id)
        .fetch_optional(&mut *db)
        .await?;
    let Some(at) = at else { return Ok(None) };
    let rows = sqlx::query!(
        r#"select id, kind, uri, did, subject_uri, created_at,
                  (did is null or (select active from actor where actor.did = e.did) is true)
                  and (select active from actor where actor.did = split_part(e.subject_uri, '/', 3)) is not false
                    as "is_shown!"
             from (select * from live_event where created_at > $1::timestamptz - make_interval(secs => $2)
                    order by created_at limit $3) as e
            order by id"#,
        at,
        OVERLAP_S,
        EVENTS_MAX + 1
    )
    .fetch_all(&mut *db)
    .await?;
    drop(db);
    if rows.len() as i64 > EVENTS_MAX {
        return Ok(None);
    }
    let shown = rows.into_iter().filter(|row| row.is_shown && row.id != id).map(|row| Happened {
        id: row.id,
        kind: row.kind,
        uri: row.uri,
        did: row.did,
        subject: row.subject_uri,
        created_at: row.created_at,
        now_playing: None,
    });
    listened(pool, shown.collect()).await.map(Some)
}

/// With what those hear now of whom it changed: as it is now, and not as it was when it was noted.
async fn listened(pool: &Pool, mut events: Vec<Happened>) -> Result<Vec<Happened>, Error> {
    let is_status = |event: &&Happened| event.kind == "status";
    let dids: BTreeSet<&str> =
        events.iter().filter(is_status).filter_map(|event| event.did.as_deref()).collect();
    if dids.is_empty() {
        return Ok(events);
    }
    let dids: Vec<&str> = dids.into_iter().collect();
    let mut playing = now_playing::playing_of(&mut *pool.acquire().await?, &dids).await?;
    for playing in playing.values_mut() {
        playing.artist_names.truncate(ARTISTS_MAX);
    }
    let views: HashMap<String, Value> = playing
        .into_iter()
        .map(|(did, playing)| Ok((did, serde_json::to_value(playing.view(None)).map_err(Error::internal)?)))
        .collect::<Result<_, Error>>()?;
    for event in events.iter_mut().filter(|event| event.kind == "status") {
        let view = event.did.as_ref().and_then(|did| views.get(did));
        event.now_playing = Some(view.cloned().unwrap_or(Value::Null));
    }
    Ok(events)
}
