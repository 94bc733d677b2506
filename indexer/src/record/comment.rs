//! `fm.plyr.comment` → `comment`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, StrongRef, column, datetime, public_id, texts};
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
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    if !gone.is_empty() {
        let gone = sqlx::query!("delete from comment where uri = any($1) returning did, subject_uri", gone)
            .fetch_all(&mut *db)
            .await?;
        for row in gone {
            effects.count(&row.did, &row.subject_uri, Count::Comments, -1);
            effects.touch(&row.subject_uri, false);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    for row in rows {
        effects.count(&row.did, &row.subject.uri, Count::Comments, 1);
        effects.touch(&row.subject.uri, false);
    }
    public_id::assign(db, "comment", &texts(rows, |row| &row.uri)).await?;
    sqlx::query!(
        "insert into comment (uri, did, subject_uri, subject_cid, body, timestamp_ms, created_at, updated_at)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                              $7::timestamptz[], $8::timestamptz[])",
        &texts(rows, |row| &row.uri) as &[&str],
        &texts(rows, |row| &row.did) as &[&str],
        &texts(rows, |row| &row.subject.uri) as &[&str],
        &texts(rows, |row| &row.subject.cid) as &[&str],
        &texts(rows, |row| &row.body) as &[&str],
        &column(rows, |row| row.timestamp_ms),
        &column(rows, |row| row.created_at),
        &column(rows, |row| row.updated_at) as &[Option<DateTime<Utc>>],
    )
    .execute(db)
    .await?;
    Ok(())
}
