//! Where we read the network from, and how far we have come.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::change::Cursor;

/// What is stored of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Highest sequence number with nothing unfinished before it; none before the first event.
    pub cursor: Option<i64>,
    /// Since when its repos are to be read as a whole: first contact, or a hole in its stream. None once that is done.
    pub owed_at: Option<DateTime<Utc>>,
}

/// Makes a source known and reads what is stored of it.
pub async fn open(pool: &PgPool, key: &str) -> sqlx::Result<Source> {
    let row = sqlx::query!(
        r#"insert into source (key) values ($1) on conflict (key) do update set updated_at = now()
           returning cursor, case when backfilled_at is null then owed_at end as "owed_at?""#,
        key
    )
    .fetch_one(pool)
    .await?;
    Ok(Source { cursor: row.cursor, owed_at: row.owed_at })
}

/// Saves how far a source's stream is accounted for. Never moves back: parallel transactions finish in any order.
pub async fn advance(db: &mut PgConnection, cursor: &Cursor) -> sqlx::Result<()> {
    sqlx::query!(
        "update source set cursor = greatest(cursor, $2), connected_at = coalesce(connected_at, now()), updated_at = now()
         where key = $1",
        &*cursor.source,
        cursor.seq
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Counts reports that a proof has refuted, by the source that made them.
pub async fn count_divergences(db: &mut PgConnection, divergent: &BTreeMap<Key, i64>) -> sqlx::Result<()> {
    if divergent.is_empty() {
        return Ok(());
    }
    let keys: Vec<String> = divergent.keys().map(|key| key.to_string()).collect();
    let counts: Vec<i64> = divergent.values().copied().collect();
    for (key, count) in divergent {
        tracing::warn!(source = &**key, count, "reports of it were false");
        metrics::counter!("plyr_divergences_total", "source" => key.to_string()).increment(*count as u64);
    }
    sqlx::query!(
        r#"with found as (select * from unnest($1::text[], $2::bigint[]) as f (key, count)),
                locked as (select key from source where key = any($1) order by key for update)
           update source set divergences = divergences + found.count
           from found join locked on locked.key = found.key collate "C" where source.key = locked.key"#,
        &keys,
        &counts
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Forgets the cursor, because the source does not know it: its sequence numbers began anew. All its repos are to be read.
pub async fn reset(pool: &PgPool, key: &str) -> sqlx::Result<()> {
    sqlx::query!("update source set cursor = null where key = $1", key).execute(pool).await?;
    owe_backfill(pool, key).await
}

/// Notes that the source's stream had a hole: all its repos are to be read.
pub async fn owe_backfill(pool: &PgPool, key: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update source set backfilled_at = null, owed_at = clock_timestamp(), updated_at = now() where key = $1",
        key
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes that all its repos have been read, as was owed since `owed_at`; a hole that showed meanwhile is still owed.
pub async fn backfilled(pool: &PgPool, key: &str, owed_at: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!(
        "update source set backfilled_at = now(), updated_at = now() where key = $1 and owed_at = $2",
        key,
        owed_at
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// A source's key, shared by its cursors.
pub type Key = Arc<str>;
