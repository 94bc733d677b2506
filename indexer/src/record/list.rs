//! `fm.plyr.list` → `list`, `list_item`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, StrongRef, datetime};
use crate::album;
use crate::apply::effects::Effects;
use crate::copy::{self, Rows, Target};
use crate::search::due::Due;

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
    pub(super) uri: String,
    did: String,
    name: Option<String>,
    list_type: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    updated_at: Option<DateTime<Utc>>,
    pub(super) sort_at: DateTime<Utc>,
    pub(super) items: Vec<StrongRef>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    let created_at = datetime("createdAt", &record.created_at)?;
    // What is named by a handle that means nothing yet finds its place when it does.
    let items = record.items.into_iter().filter_map(|Item { subject }| {
        Some(StrongRef { uri: checked.named("items[].subject.uri", &subject).ok()?, ..subject })
    });
    let items = items.collect();
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        name: record.name,
        list_type: record.list_type,
        created_at,
        updated_at: record.updated_at.map(|text| datetime("updatedAt", &text)).transpose()?,
        sort_at: checked.sort_at(created_at),
        items,
    })
}

/// The columns of `list` that a record gives.
pub const LISTS: Target = copy::into!(list: uri, did, name, list_type, created_at, updated_at, sort_at);
/// And of `list_item`.
pub const LIST_ITEMS: Target = copy::into!(list_item: list_uri, position, subject_uri, subject_cid);

pub(super) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    for uri in gone.iter().chain(rows.iter().map(|row| &row.uri)) {
        effects.seek(Due::List(uri.clone()));
    }
    if !gone.is_empty() {
        sqlx::query!("delete from list where uri = any($1)", gone).execute(&mut *db).await?;
        sqlx::query!("delete from list_item where list_uri = any($1)", gone).execute(&mut *db).await?;
    }
    let (mut lists, mut items) = (Rows::into(LISTS), Rows::into(LIST_ITEMS));
    for row in rows {
        lists.row().field(&row.uri).field(&row.did).field(&row.name).field(&row.list_type);
        lists.field(row.created_at).field(row.updated_at).field(row.sort_at);
        for (position, item) in (0i32..).zip(&row.items) {
            items.row().field(&row.uri).field(position).field(&item.uri).field(&item.cid);
        }
    }
    lists.write(db).await?;
    items.write(db).await?;
    let albums = rows.iter().filter(|row| row.list_type.as_deref() == Some("album")).filter_map(|row| {
        Some(album::Named { did: &row.did, name: row.name.as_deref()?, list_uri: Some(&row.uri) })
    });
    album::give(db, albums, effects).await
}
