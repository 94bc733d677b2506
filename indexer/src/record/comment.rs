//! `fm.plyr.comment` → `comment`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, StrongRef, datetime, public_id};
use crate::apply::effects::{Count, Effects};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    subject: StrongRef,
    text: String,
    timestamp_ms: i64,
    created_at: String,
    updated_at: Option<String>,
}

/// A row of `comment`.
#[derive(Debug)]
pub struct Row {
    uri: String,
    did: String,
    subject: StrongRef,
    body: String,
    timestamp_ms: i64,
    created_at: DateTime<Utc>,
    updated_at: Option<DateTime<Utc>>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        subject: record.subject,
        body: record.text,
        timestamp_ms: record.timestamp_ms,
        created_at: datetime("createdAt", &record.created_at)?,
        updated_at: record.updated_at.map(|text| datetime("updatedAt", &text)).transpose()?,
    })
}

pub(super) async fn project(
    db: &mut PgConnection,
    uris: &[String],
    rows: Vec<Row>,
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let gone = sqlx::query!("delete from comment where uri = any($1) returning did, subject_uri", uris)
        .fetch_all(&mut *db)
        .await?;
    for row in gone {
        effects.count(&row.did, &row.subject_uri, Count::Comments, -1);
        effects.touch(&row.subject_uri, false);
    }
    let numbered: Vec<String> = rows.iter().map(|row| row.uri.clone()).collect();
    public_id::assign(db, "comment", &numbered).await?;
    for row in rows {
        effects.count(&row.did, &row.subject.uri, Count::Comments, 1);
        effects.touch(&row.subject.uri, false);
        sqlx::query!(
            "insert into comment (uri, did, subject_uri, subject_cid, body, timestamp_ms, created_at, updated_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            row.uri,
            row.did,
            row.subject.uri,
            row.subject.cid,
            row.body,
            row.timestamp_ms,
            row.created_at,
            row.updated_at
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
