//! `fm.teal.feed.getActorFeed`, `fm.teal.feed.getPlay`, `fm.teal.stats.getLatest`.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did, Rkey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::play_view;
use crate::App;
use crate::cursor::Cursor;
use crate::error::{Error, stored};

/// Plays that a page looks at, at most: those of hidden people and the second records of one play are stepped over.
const WINDOW: i64 = 1000;

type PlayCursor = Cursor<b'p'>;

#[derive(Debug, Deserialize)]
pub(crate) struct GetActorFeed {
    #[serde(rename = "authorDID")]
    author_did: Did,
    limit: u8,
    cursor: Option<PlayCursor>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Feed {
    plays: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<PlayCursor>,
}

/// `fm.teal.feed.getActorFeed`: what somebody heard, newest first.
pub(crate) async fn get_actor_feed(
    State(app): State<App>,
    params: crate::xrpc::Params<GetActorFeed>,
) -> Result<Json<Feed>, Error> {
    let GetActorFeed { author_did, limit, cursor } = params.0;
    let time = cursor.as_ref().map(Cursor::time).transpose()?;
    let uri = cursor.map(|cursor| cursor.uri().to_string());
    // Of the records of one play the one in the newer namespace is shown, whose name sorts after the other's.
    let rows = sqlx::query!(
        r#"select p.uri, p.played_at, r.value as "value!"
             from play p join record r on r.uri = p.uri and r.value is not null
            where p.did = $1 and (select active from actor where actor.did = $1)
              and (p.played_at, p.uri) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
              and p.uri = (select max(twin.uri) from play twin
                            where twin.did = $1 and twin.play_key = p.play_key
                              and twin.played_at >= date_trunc('second', p.played_at)
                              and twin.played_at < date_trunc('second', p.played_at) + interval '1 second')
            order by p.played_at desc, p.uri desc limit $4"#,
        author_did.as_str(),
        time,
        uri,
        i64::from(limit) + 1
    )
    .fetch_all(&mut *app.pool.acquire().await?)
    .await?;
    let more = rows.len() > usize::from(limit);
    let rows: Vec<_> = rows.into_iter().take(limit.into()).collect();
    let end = rows.last().filter(|_| more).map(|row| place(&row.uri, row.played_at)).transpose()?;
    Ok(Json(Feed { plays: rows.iter().filter_map(|row| view(&row.uri, &row.value)).collect(), cursor: end }))
}

fn place(uri: &str, played_at: DateTime<Utc>) -> Result<PlayCursor, Error> {
    Ok(Cursor::at_time(played_at, stored::<AtUri>(uri)?))
}

fn view(uri: &str, value: &[u8]) -> Option<Value> {
    let value = indexer::dag::decode(value);
    let value =
        value.inspect_err(|error| tracing::error!(uri, %error, "a stored record cannot be read")).ok()?;
    Some(play_view(&indexer::dag::to_json(&value)))
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetPlay {
    #[serde(rename = "authorDID")]
    author_did: Did,
    rkey: Rkey,
}

#[derive(Debug, Serialize)]
pub(crate) struct Play {
    play: Value,
}

/// `fm.teal.feed.getPlay`: one play, by the key of its record.
pub(crate) async fn get_play(
    State(app): State<App>,
    params: crate::xrpc::Params<GetPlay>,
) -> Result<Json<Play>, Error> {
    let GetPlay { author_did, rkey } = params.0;
    let uris = ["fm.teal.feed.play", "fm.teal.alpha.feed.play"]
        .map(|nsid| format!("at://{author_did}/{nsid}/{rkey}"));
    let row = sqlx::query!(
        r#"select p.uri, r.value as "value!"
             from play p join record r on r.uri = p.uri and r.value is not null
            where p.uri = any($1) and (select active from actor where actor.did = p.did)
            order by p.uri desc limit 1"#,
        &uris[..]
    )
    .fetch_optional(&mut *app.pool.acquire().await?)
    .await?;
    let play = row.and_then(|row| view(&row.uri, &row.value));
    Ok(Json(Play { play: play.ok_or_else(|| Error::declared("NotFound", "no such play"))? }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetLatest {
    limit: u8,
}

/// `fm.teal.stats.getLatest`: what was heard last, by anybody.
pub(crate) async fn get_latest(
    State(app): State<App>,
    params: crate::xrpc::Params<GetLatest>,
) -> Result<Json<Feed>, Error> {
    let rows = sqlx::query!(
        r#"select p.uri, r.value as "value!"
             from (select uri, did, play_key, played_at from play order by played_at desc, uri desc limit $2) as p
             join record r on r.uri = p.uri and r.value is not null
            where (select active from actor where actor.did = p.did)
              and p.uri = (select max(twin.uri) from play twin
                            where twin.did = p.did and twin.play_key = p.play_key
                              and twin.played_at >= date_trunc('second', p.played_at)
                              and twin.played_at < date_trunc('second', p.played_at) + interval '1 second')
            order by p.played_at desc, p.uri desc limit $1"#,
        i64::from(params.0.limit),
        WINDOW
    )
    .fetch_all(&mut *app.pool.acquire().await?)
    .await?;
    Ok(Json(Feed { plays: rows.iter().filter_map(|row| view(&row.uri, &row.value)).collect(), cursor: None }))
}
