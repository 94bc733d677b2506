//! `fm.plyr.actor.profile` → `profile`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, datetime};
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
    uris: &[String],
    rows: Vec<Row>,
    effects: &mut Effects,
) -> sqlx::Result<()> {
    sqlx::query!("delete from profile where uri = any($1)", uris).execute(&mut *db).await?;
    for row in rows {
        effects.repaint(&row.did);
        sqlx::query!(
            "insert into profile (uri, did, bio, avatar_url, created_at, updated_at) values ($1, $2, $3, $4, $5, $6)",
            row.uri,
            row.did,
            row.bio,
            row.avatar_url,
            row.created_at,
            row.updated_at
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
