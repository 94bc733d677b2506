//! `fm.teal.actor.profile` and `fm.teal.alpha.actor.profile` → `teal_profile`.

use serde::Deserialize;
use sqlx::PgConnection;

use super::Checked;
use crate::copy::{self, Rows, Target};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    display_name: Option<String>,
}

/// A row of `teal_profile`.
#[derive(Debug)]
pub struct Row {
    uri: String,
    did: String,
    display_name: Option<String>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        display_name: record.display_name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()),
    })
}

/// The columns of `teal_profile` that a record gives.
pub const TEAL_PROFILES: Target = copy::into!(teal_profile: uri, did, display_name);

pub(super) async fn project(db: &mut PgConnection, gone: &[String], rows: &[Row]) -> sqlx::Result<()> {
    if !gone.is_empty() {
        sqlx::query!("delete from teal_profile where uri = any($1)", gone).execute(&mut *db).await?;
    }
    let mut profiles = Rows::into(TEAL_PROFILES);
    for row in rows {
        profiles.row().field(&row.uri).field(&row.did).field(&row.display_name);
    }
    profiles.write(db).await
}
