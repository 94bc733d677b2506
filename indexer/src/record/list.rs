//! `fm.plyr.list` → `list`, `list_item`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, StrongRef, datetime};
use crate::apply::effects::Effects;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    items: Vec<Item>,
    created_at: String,
    name: Option<String>,
    list_type: Option<String>,
    updated_at: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    subject: StrongRef,
}

/// A row of `list` and its items.
#[derive(Debug)]
pub struct Row {
    uri: String,
    did: String,
    name: Option<String>,
    list_type: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: Option<DateTime<Utc>>,
    sort_at: DateTime<Utc>,
    items: Vec<StrongRef>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    let created_at = datetime("createdAt", &record.created_at)?;
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        name: record.name,
        list_type: record.list_type,
        created_at,
        updated_at: record.updated_at.map(|text| datetime("updatedAt", &text)).transpose()?,
        sort_at: checked.sort_at(created_at),
        items: record.items.into_iter().map(|item| item.subject).collect(),
    })
}

pub(super) async fn project(
    db: &mut PgConnection,
    uris: &[String],
    rows: Vec<Row>,
    _effects: &mut Effects,
) -> sqlx::Result<()> {
    sqlx::query!("delete from list where uri = any($1)", uris).execute(&mut *db).await?;
    sqlx::query!("delete from list_item where list_uri = any($1)", uris).execute(&mut *db).await?;
    for row in rows {
        sqlx::query!(
            "insert into list (uri, did, name, list_type, created_at, updated_at, sort_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
            row.uri,
            row.did,
            row.name,
            row.list_type,
            row.created_at,
            row.updated_at,
            row.sort_at
        )
        .execute(&mut *db)
        .await?;
        let (uris, cids): (Vec<String>, Vec<String>) =
            row.items.into_iter().map(|item| (item.uri, item.cid)).unzip();
        sqlx::query!(
            "insert into list_item (list_uri, position, subject_uri, subject_cid)
             select $1, ordinality::integer - 1, uri, cid
             from unnest($2::text[], $3::text[]) with ordinality as item (uri, cid, ordinality)",
            row.uri,
            &uris,
            &cids
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
