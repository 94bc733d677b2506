//! `fm.plyr.comment` → `comment`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, StrongRef, datetime, public_id};
use crate::apply::effects::{Count, Effects};
use crate::copy::{self, Rows, Target};

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
    pub(super) uri: String,
    did: String,
    pub(super) subject: StrongRef,
    body: String,
    timestamp_ms: i64,
    pub(super) created_at: DateTime<Utc>,
    pub(super) sort_at: DateTime<Utc>,
    updated_at: Option<DateTime<Utc>>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    let created_at = datetime("createdAt", &record.created_at)?;
    let subject = StrongRef { uri: checked.named("subject.uri", &record.subject)?, ..record.subject };
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        subject,
        body: record.text,
        timestamp_ms: record.timestamp_ms,
        created_at,
        sort_at: checked.sort_at(created_at),
        updated_at: record.updated_at.map(|text| datetime("updatedAt", &text)).transpose()?,
    })
}

/// The columns of `comment` that a record gives.
pub const COMMENTS: Target = copy::into!(comment: uri, did, subject_uri, subject_cid, body, timestamp_ms, created_at,
    updated_at);

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
    for row in rows {
        effects.count(&row.did, &row.subject.uri, Count::Comments, 1);
        effects.touch(&row.subject.uri, false);
        effects.happen("comment", &row.uri, &row.did, Some(&row.subject.uri), row.sort_at);
    }
    public_id::assign(db, "comment", rows.iter().map(|row| row.uri.as_str())).await?;
    let mut comments = Rows::into(COMMENTS);
    for row in rows {
        comments.row().field(&row.uri).field(&row.did).field(&row.subject.uri).field(&row.subject.cid);
        comments.field(&row.body).field(row.timestamp_ms).field(row.created_at).field(row.updated_at);
    }
    comments.write(db).await
}
