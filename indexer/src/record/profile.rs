//! `fm.plyr.actor.profile` → `profile`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, datetime};
use crate::apply::effects::Effects;
use crate::copy::{self, Rows, Target};

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

/// The columns of `profile` that a record gives.
pub const PROFILES: Target = copy::into!(profile: uri, did, bio, avatar_url, created_at, updated_at);

pub(super) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    if !gone.is_empty() {
        let dids = sqlx::query_scalar!("delete from profile where uri = any($1) returning did", gone);
        dids.fetch_all(&mut *db).await?.iter().for_each(|did| effects.repaint(did));
    }
    rows.iter().for_each(|row| effects.repaint(&row.did));
    let mut profiles = Rows::into(PROFILES);
    for row in rows {
        profiles.row().field(&row.uri).field(&row.did).field(&row.bio).field(&row.avatar_url);
        profiles.field(row.created_at).field(row.updated_at);
    }
    profiles.write(db).await
}
