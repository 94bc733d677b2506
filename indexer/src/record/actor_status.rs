//! `fm.teal.actor.status` and `fm.teal.alpha.actor.status` → `actor_status`. Players clear a status by one without a name:
//! that has a row, too, for it is newer than what the other namespace may still say.

use std::collections::HashSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::play::Heard;
use super::{Checked, duration_s};
use crate::apply::effects::Effects;
use crate::copy::{self, Rows, Target};
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
    let subject = origin_uri.as_deref().and_then(|origin| checked.track(origin));
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

/// The columns of `actor_status` that a record gives.
pub const STATUSES: Target = copy::into!(actor_status: uri, did, started_at, expires_at, track_name, artist_names,
    release_name, duration_s, origin_uri, service_uri, subject_uri);

pub(super) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: Vec<Row>,
    effects: &mut Effects,
) -> sqlx::Result<()> {
    for row in &rows {
        effects.happen("status", &row.uri, &row.did, row.subject_uri.as_deref(), row.started_at);
    }
    if !gone.is_empty() {
        let over = sqlx::query!(
            r#"delete from actor_status where uri = any($1)
               returning uri, did, subject_uri, expires_at > now() as "held!""#,
            gone
        )
        .fetch_all(&mut *db)
        .await?;
        // What is written anew was told above; what had run out is no news.
        let written: HashSet<&str> = rows.iter().map(|row| row.uri.as_str()).collect();
        for row in over.iter().filter(|row| row.held && !written.contains(row.uri.as_str())) {
            effects.hears(Some(&row.uri), &row.did, row.subject_uri.as_deref());
        }
    }
    let mut statuses = Rows::into(STATUSES);
    for row in &rows {
        statuses.row().field(&row.uri).field(&row.did).field(row.started_at).field(row.expires_at);
        statuses.field(&row.heard.track_name).field(&row.artist_names).field(&row.heard.release_name);
        statuses.field(duration_s(row.heard.duration)).field(&row.origin_uri).field(&row.service_uri);
        statuses.field(&row.subject_uri);
    }
    statuses.write(db).await
}
