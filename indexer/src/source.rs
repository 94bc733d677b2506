//! Where we read the network from, and how far we have come.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::change::Cursor;
use crate::job;
use crate::memory::{Forgotten, Memory};
use crate::sabotage;

/// What is stored of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Highest sequence number with nothing unfinished before it; none before the first event.
    pub cursor: Option<i64>,
    /// Since when its repos are to be read as a whole: first contact, or a hole in its stream. None once that is done.
    pub owed_at: Option<DateTime<Utc>>,
    /// What its newest event said of the time, when that was last noted.
    pub event_at: Option<DateTime<Utc>>,
}

/// As the `seq` of a [`Cursor`]: not come anywhere yet. No stream counts from less than one.
pub const NO_CURSOR: i64 = 0;

/// How a source is doing, for others to see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether its stream is open.
    pub connected: bool,
    /// Last event of any kind, by our clock.
    pub heard_at: Option<DateTime<Utc>>,
    /// What the newest event said of the time.
    pub event_at: Option<DateTime<Utc>>,
    /// Last event of a collection of ours, by our clock.
    pub ours_at: Option<DateTime<Utc>>,
    /// The newest event of ours in each namespace, by its own time.
    pub ours: BTreeMap<String, DateTime<Utc>>,
    /// Gaps since this was last saved.
    pub new_gaps: i64,
    /// Whether it is a PDS, which has nobody's events but those of its own accounts.
    pub is_pds: bool,
}

/// Makes a source known and reads what is stored of it.
pub async fn open(pool: &PgPool, key: &str) -> sqlx::Result<Source> {
    let row = sqlx::query!(
        r#"insert into source (key) values ($1) on conflict (key) do update set updated_at = now()
           returning cursor, case when backfilled_at is null then owed_at end as "owed_at?", event_at"#,
        key
    )
    .fetch_one(pool)
    .await?;
    Ok(Source { cursor: row.cursor, owed_at: row.owed_at, event_at: row.event_at })
}

/// Saves how far a source's stream is accounted for. Never moves back: parallel transactions finish in any order. One that
/// may be `late` leaves it to those after it while another is about to save, rather than wait for its end. Fails with
/// [`Forgotten`] where the cursor's memory is gone.
pub async fn advance(db: &mut PgConnection, cursor: &Cursor, late: bool) -> sqlx::Result<()> {
    let memory = cursor.memory.as_ref().map(Memory::id).filter(|_| !sabotage::is_on("crash-unnoticed"));
    if late {
        let row = sqlx::query!(
            r#"select $2::text is null or exists (select from memory where id = $2) as "remembers!",
                      exists (select from (select from source where key = $1 for no key update skip locked) as s) as "free!""#,
            &*cursor.source,
            memory
        )
        .fetch_one(&mut *db)
        .await?;
        if !row.remembers {
            return Err(Forgotten.into());
        }
        if !row.free {
            return Ok(());
        }
    }
    let saved = sqlx::query!(
        "update source set cursor = greatest(cursor, nullif($2::bigint, 0)), connected_at = coalesce(connected_at, now()),
                           updated_at = now()
         where key = $1 and ($3::text is null or exists (select from memory where id = $3))",
        &*cursor.source,
        cursor.seq,
        memory
    )
    .execute(db)
    .await?;
    if memory.is_some() && saved.rows_affected() == 0 { Err(Forgotten.into()) } else { Ok(()) }
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

/// Begins to read a source. Where the reading before had no orderly end, what it noted in its last moment may be lost:
/// that is made up for by a comparison.
pub async fn begin(pool: &PgPool, key: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update source set connected = false,
           compare_owed_at = case when connected then clock_timestamp() else compare_owed_at end
         where key = $1",
        key
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Saves how a source is doing, and that somebody reads it.
pub async fn save_health(pool: &PgPool, key: &str, health: &Health) -> sqlx::Result<()> {
    sqlx::query!(
        "update source set connected = $2, is_pds = $3,
           heard_at = greatest(heard_at, $4), event_at = coalesce($5, event_at), ours_at = greatest(ours_at, $6),
           ours = ours || $7, updated_at = now(), gaps = gaps + $8, gap_at = case when $8 > 0 then now() else gap_at end
         where key = $1",
        key,
        health.connected,
        health.is_pds,
        health.heard_at,
        health.event_at,
        health.ours_at,
        serde_json::json!(health.ours),
        health.new_gaps
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Notes that something of the source's stream was lost: the revs of the repos that we follow are to be compared with the network's,
/// and what is held of other people is to be asked for again.
pub async fn owe_compare(pool: &PgPool, key: &str) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!("update source set compare_owed_at = clock_timestamp() where key = $1", key)
        .execute(&mut *tx)
        .await?;
    job::enqueue(&mut tx, &BTreeSet::from([(job::DOUBT_ALL, String::new())])).await?;
    tx.commit().await
}

/// Notes that a source has gone blind to collections of ours, which owes a comparison, or that it sees them again.
pub async fn set_blind(pool: &PgPool, key: &str, is_blind: bool) -> sqlx::Result<()> {
    sqlx::query!(
        "update source set blind_since = case when $2 then coalesce(blind_since, now()) end,
           compare_owed_at = case when $2 then clock_timestamp() else compare_owed_at end
         where key = $1",
        key,
        is_blind
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Forgets the cursor, because the source does not know it: its sequence numbers began anew. What was lost by that, a
/// comparison will show.
pub async fn forget_cursor(pool: &PgPool, key: &str) -> sqlx::Result<()> {
    sqlx::query!("update source set cursor = null where key = $1", key).execute(pool).await?;
    owe_compare(pool, key).await
}

/// Forgets the cursor of a source that lists repos: all of them are to be read.
pub async fn reset(pool: &PgPool, key: &str) -> sqlx::Result<()> {
    forget_cursor(pool, key).await?;
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
