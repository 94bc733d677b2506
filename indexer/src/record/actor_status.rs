//! `fm.teal.actor.status` and `fm.teal.alpha.actor.status` → `actor_status`.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::play::Heard;
use super::{Checked, array, column, duration_s, maybes, texts};
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

pub(super) async fn project(db: &mut PgConnection, gone: &[String], mut rows: Vec<Row>) -> sqlx::Result<()> {
    if !gone.is_empty() {
        sqlx::query!("delete from actor_status where uri = any($1)", gone).execute(&mut *db).await?;
    }
    // Players clear a status by one without a name: nothing is playing.
    rows.retain(|row| !row.heard.track_name.is_empty());
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into actor_status (uri, did, started_at, expires_at, track_name, artist_names, release_name, duration_s,
                                   origin_uri, service_uri, subject_uri)
         select uri, did, started_at, expires_at, track_name, artist_names::text[], release_name, duration_s, origin_uri,
                service_uri, subject_uri
         from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],
                     $8::integer[], $9::text[], $10::text[], $11::text[])
           as r (uri, did, started_at, expires_at, track_name, artist_names, release_name, duration_s, origin_uri,
                 service_uri, subject_uri)",
        &texts(&rows, |row| &row.uri) as &[&str],
        &texts(&rows, |row| &row.did) as &[&str],
        &column(&rows, |row| row.started_at),
        &column(&rows, |row| row.expires_at),
        &texts(&rows, |row| &row.heard.track_name) as &[&str],
        &column(&rows, |row| array(&row.artist_names)),
        &maybes(&rows, |row| &row.heard.release_name) as &[Option<&str>],
        &column(&rows, |row| duration_s(row.heard.duration)) as &[Option<i32>],
        &maybes(&rows, |row| &row.origin_uri) as &[Option<&str>],
        &maybes(&rows, |row| &row.service_uri) as &[Option<&str>],
        &maybes(&rows, |row| &row.subject_uri) as &[Option<&str>],
    )
    .execute(db)
    .await?;
    Ok(())
}
