//! `fm.plyr.actor.profile` → `profile`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, column, datetime, maybes, texts};
use crate::apply::effects::Effects;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    bio: Option<String>,
    avatar: Option<String>,
    created_at: String,
    updated_at: Option<String>,
}

/// A row of `profile`.
#[derive(Debug)]
pub struct Row {
    uri: String,
    did: String,
    bio: Option<String>,
    avatar_url: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: Option<DateTime<Utc>>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        bio: record.bio.filter(|bio| !bio.trim().is_empty()),
        avatar_url: record.avatar,
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
        sqlx::query!("delete from profile where uri = any($1)", gone).execute(&mut *db).await?;
    }
    if rows.is_empty() {
        return Ok(());
    }
    rows.iter().for_each(|row| effects.repaint(&row.did));
    sqlx::query!(
        "insert into profile (uri, did, bio, avatar_url, created_at, updated_at)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])",
        &texts(rows, |row| &row.uri) as &[&str],
        &texts(rows, |row| &row.did) as &[&str],
        &maybes(rows, |row| &row.bio) as &[Option<&str>],
        &maybes(rows, |row| &row.avatar_url) as &[Option<&str>],
        &column(rows, |row| row.created_at),
        &column(rows, |row| row.updated_at) as &[Option<DateTime<Utc>>],
    )
    .execute(db)
    .await?;
    Ok(())
}
