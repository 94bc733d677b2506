//! `app.bsky.actor.profile` → `bsky_profile`, `blob_ref`.

use serde::Deserialize;
use sqlx::PgConnection;

use super::blob_ref::{self, Ref};
use super::{BlobRef, Checked};
use crate::apply::effects::Effects;
use crate::copy::{self, Rows, Target};

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

/// The columns of `bsky_profile` that a record gives.
pub const BSKY_PROFILES: Target = copy::into!(bsky_profile: uri, did, display_name, description, avatar_cid);

pub(super) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    if !gone.is_empty() {
        let dids = sqlx::query_scalar!("delete from bsky_profile where uri = any($1) returning did", gone)
            .fetch_all(&mut *db)
            .await?;
        dids.iter().for_each(|did| effects.repaint(did));
        blob_ref::forget(db, gone).await?;
    }
    rows.iter().for_each(|row| effects.repaint(&row.did));
    let mut profiles = Rows::into(BSKY_PROFILES);
    for row in rows {
        profiles.row().field(&row.uri).field(&row.did).field(&row.display_name).field(&row.description);
        profiles.field(&row.avatar_cid);
    }
    profiles.write(db).await?;
    let avatars = rows.iter().filter_map(|row| {
        let cid = row.avatar_cid.as_deref()?;
        Some(Ref { uri: &row.uri, did: &row.did, cid, role: "avatar" })
    });
    blob_ref::add(db, &avatars.collect::<Vec<_>>(), effects).await
}
