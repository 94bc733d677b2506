//! `app.bsky.graph.follow` → `follow`, of people who have signed in here.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, datetime};
use crate::copy::{self, Rows, Target};
use crate::syntax::Did;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    subject: Did,
    created_at: String,
}

/// A row of `follow`.
#[derive(Debug)]
pub struct Row {
    uri: String,
    did: String,
    subject_did: String,
    sort_at: DateTime<Utc>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    let created_at = datetime("createdAt", &record.created_at)?;
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        subject_did: record.subject.into(),
        sort_at: checked.sort_at(created_at),
    })
}

/// The columns of `follow` that a record gives.
pub const FOLLOWS: Target = copy::into!(follow: uri, did, subject_did, sort_at);

pub(super) async fn project(db: &mut PgConnection, gone: &[String], rows: &[Row]) -> sqlx::Result<()> {
    if !gone.is_empty() {
        sqlx::query!("delete from follow where uri = any($1)", gone).execute(&mut *db).await?;
    }
    let mut follows = Rows::into(FOLLOWS);
    for row in rows {
        follows.row().field(&row.uri).field(&row.did).field(&row.subject_did).field(row.sort_at);
    }
    follows.write(db).await
}
