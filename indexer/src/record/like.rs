//! `fm.plyr.like` → `plyr_like`, and the number of people who like a thing.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{Checked, StrongRef, column, datetime, texts};
use crate::apply::effects::{Count, Effects};
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
    insert(db, rows).await
}

async fn insert(db: &mut PgConnection, rows: &[Row]) -> sqlx::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into plyr_like (uri, did, subject_uri, subject_cid, created_at, sort_at)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])",
        &texts(rows, |row| &row.uri) as &[&str],
        &texts(rows, |row| &row.did) as &[&str],
        &texts(rows, |row| &row.subject.uri) as &[&str],
        &texts(rows, |row| &row.subject.cid) as &[&str],
        &column(rows, |row| row.created_at),
        &column(rows, |row| row.sort_at),
    )
    .execute(db)
    .await?;
    Ok(())
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
