//! `fm.plyr.like` → `plyr_like`, and the number of people who like a thing.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, StrongRef, datetime};
use crate::apply::effects::{Count, Effects};
use crate::copy::{self, Rows, Target};
use crate::sabotage;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    subject: StrongRef,
    created_at: String,
}

/// A row of `plyr_like`.
#[derive(Debug)]
pub struct Row {
    uri: String,
    did: String,
    subject: StrongRef,
    created_at: DateTime<Utc>,
    sort_at: DateTime<Utc>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    let created_at = datetime("createdAt", &record.created_at)?;
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        subject: record.subject,
        created_at,
        sort_at: checked.sort_at(created_at),
    })
}

/// (person, subject): however many likes a person writes, they are one person.
type Pair = (String, String);

/// The columns of `plyr_like` that a record gives.
pub const LIKES: Target = copy::into!(plyr_like: uri, did, subject_uri, subject_cid, created_at, sort_at);

pub(super) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let mut lost: BTreeSet<Pair> = BTreeSet::new();
    if !gone.is_empty() {
        let gone = sqlx::query!("delete from plyr_like where uri = any($1) returning did, subject_uri", gone)
            .fetch_all(&mut *db)
            .await?;
        lost.extend(gone.into_iter().map(|row| (row.did, row.subject_uri)));
    }
    for (did, subject) in lost.difference(&held(db, &lost).await?) {
        effects.count(did, subject, Count::Likes, -1);
    }
    let won: BTreeSet<Pair> = rows.iter().map(|row| (row.did.clone(), row.subject.uri.clone())).collect();
    for (did, subject) in won.difference(&held(db, &won).await?) {
        effects.count(did, subject, Count::Likes, 1);
    }
    for (_, subject) in lost.iter().chain(&won) {
        effects.touch(subject, false);
    }
    let mut likes = Rows::into(LIKES);
    for row in rows {
        likes.row().field(&row.uri).field(&row.did).field(&row.subject.uri).field(&row.subject.cid);
        likes.field(row.created_at).field(row.sort_at);
    }
    likes.write(db).await
}

/// Which of the pairs have a like.
async fn held(db: &mut PgConnection, pairs: &BTreeSet<Pair>) -> sqlx::Result<BTreeSet<Pair>> {
    if pairs.is_empty() || sabotage::is_on("like-counted-per-record") {
        return Ok(BTreeSet::new());
    }
    let (dids, subjects): (Vec<String>, Vec<String>) = pairs.iter().cloned().unzip();
    let rows = sqlx::query!(
        "select distinct l.did, l.subject_uri
         from unnest($1::text[], $2::text[]) as pair (did, subject_uri)
         join plyr_like l on l.subject_uri = pair.subject_uri collate \"C\" and l.did = pair.did collate \"C\"",
        &dids,
        &subjects
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.did, row.subject_uri)).collect())
}
