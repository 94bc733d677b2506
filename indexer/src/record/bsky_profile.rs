//! `app.bsky.actor.profile` → `bsky_profile`, `blob_ref`.

use serde::Deserialize;
use sqlx::PgConnection;

use super::{BlobRef, Checked};
use crate::apply::effects::Effects;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    display_name: Option<String>,
    description: Option<String>,
    avatar: Option<BlobRef>,
}

/// A row of `bsky_profile`.
#[derive(Debug)]
pub struct Row {
    uri: String,
    did: String,
    display_name: Option<String>,
    description: Option<String>,
    avatar_cid: Option<String>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        display_name: record.display_name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
        description: record.description.filter(|text| !text.trim().is_empty()),
        avatar_cid: record.avatar.map(|blob| blob.cid.to_string()),
    })
}

pub(super) async fn project(
    db: &mut PgConnection,
    uris: &[String],
    rows: Vec<Row>,
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let gone = sqlx::query_scalar!("delete from bsky_profile where uri = any($1) returning did", uris)
        .fetch_all(&mut *db)
        .await?;
    for did in gone {
        effects.repaint(&did);
    }
    sqlx::query!("delete from blob_ref where uri = any($1)", uris).execute(&mut *db).await?;
    for row in rows {
        effects.repaint(&row.did);
        sqlx::query!(
            "insert into bsky_profile (uri, did, display_name, description, avatar_cid) values ($1, $2, $3, $4, $5)",
            row.uri,
            row.did,
            row.display_name,
            row.description,
            row.avatar_cid
        )
        .execute(&mut *db)
        .await?;
        if let Some(cid) = &row.avatar_cid {
            super::track::refer(db, &row.uri, &row.did, cid, "avatar", effects).await?;
        }
    }
    Ok(())
}
