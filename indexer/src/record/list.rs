//! `fm.plyr.list` → `list`, `list_item`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, StrongRef, column, datetime, maybes, texts};

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

pub(super) async fn project(db: &mut PgConnection, gone: &[String], rows: &[Row]) -> sqlx::Result<()> {
    if !gone.is_empty() {
        sqlx::query!("delete from list where uri = any($1)", gone).execute(&mut *db).await?;
        sqlx::query!("delete from list_item where list_uri = any($1)", gone).execute(&mut *db).await?;
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into list (uri, did, name, list_type, created_at, updated_at, sort_at)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[],
                              $7::timestamptz[])",
        &texts(rows, |row| &row.uri) as &[&str],
        &texts(rows, |row| &row.did) as &[&str],
        &maybes(rows, |row| &row.name) as &[Option<&str>],
        &maybes(rows, |row| &row.list_type) as &[Option<&str>],
        &column(rows, |row| row.created_at),
        &column(rows, |row| row.updated_at) as &[Option<DateTime<Utc>>],
        &column(rows, |row| row.sort_at),
    )
    .execute(&mut *db)
    .await?;
    let items: Vec<(&str, i32, &StrongRef)> = rows
        .iter()
        .flat_map(|row| row.items.iter().zip(0..).map(|(item, position)| (row.uri.as_str(), position, item)))
        .collect();
    sqlx::query!(
        "insert into list_item (list_uri, position, subject_uri, subject_cid)
         select * from unnest($1::text[], $2::integer[], $3::text[], $4::text[])",
        &column(&items, |item| item.0) as &[&str],
        &column(&items, |item| item.1),
        &texts(&items, |item| &item.2.uri) as &[&str],
        &texts(&items, |item| &item.2.cid) as &[&str],
    )
    .execute(db)
    .await?;
    Ok(())
}
