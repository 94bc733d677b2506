//! `fm.teal.actor.status` and `fm.teal.alpha.actor.status` → `actor_status`.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::play::Heard;
use super::{Checked, duration_s};
use crate::apply::effects::Effects;
use crate::lexicon::parse_datetime_or_unix;

#[derive(Deserialize)]
struct Record {
    time: String,
    expiry: Option<String>,
    item: Heard,
}

/// A row of `actor_status`.
#[derive(Debug)]
pub struct Row {
    uri: String,
    did: String,
    started_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    heard: Heard,
    artist_names: Vec<String>,
    origin_uri: Option<String>,
    service_uri: Option<String>,
    subject_uri: Option<String>,
}

/// How long a status without expiry holds.
const LIFE: TimeDelta = TimeDelta::minutes(10);

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    let mut heard = record.item;
    let started_at =
        parse_datetime_or_unix(&record.time).ok_or_else(|| format!("time: not a time: {:?}", record.time))?;
    let origin_uri = heard.origin();
    let subject = origin_uri.as_deref().and_then(|origin| checked.registry.track_named_by(origin));
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        started_at,
        expires_at: record.expiry.as_deref().and_then(parse_datetime_or_unix).unwrap_or(started_at + LIFE),
        artist_names: heard.artist_names(),
        service_uri: heard.service(),
        heard,
        origin_uri,
        subject_uri: subject.map(String::from),
    })
}

pub(super) async fn project(
    db: &mut PgConnection,
    uris: &[String],
    rows: Vec<Row>,
    _effects: &mut Effects,
) -> sqlx::Result<()> {
    sqlx::query!("delete from actor_status where uri = any($1)", uris).execute(&mut *db).await?;
    // Players clear a status by one without a name: nothing is playing.
    for row in rows.into_iter().filter(|row| !row.heard.track_name.is_empty()) {
        sqlx::query!(
            "insert into actor_status (uri, did, started_at, expires_at, track_name, artist_names, release_name,
                                       duration_s, origin_uri, service_uri, subject_uri)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            row.uri,
            row.did,
            row.started_at,
            row.expires_at,
            row.heard.track_name,
            &row.artist_names,
            row.heard.release_name,
            duration_s(row.heard.duration),
            row.origin_uri,
            row.service_uri,
            row.subject_uri
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
