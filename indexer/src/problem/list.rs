//! What was kept aside, for an operator to read: events, and records without a projection.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::syntax::{AtUri, Did};

/// Names one thing that was kept aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// An event: its number in the `problem` table.
    Event(i64),
    /// A record without a projection.
    Record(AtUri),
}

/// Text that names nothing of that kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither the number of an event that was kept aside, nor the at:// URI of a record")]
pub struct IdError;

impl FromStr for Id {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        if text.starts_with("at://") {
            return text.parse().map(Id::Record).map_err(|_| IdError);
        }
        text.parse().map(Id::Event).map_err(|_| IdError)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Id::Event(id) => id.fmt(f),
            Id::Record(uri) => uri.fmt(f),
        }
    }
}

/// Which of them; what is not given does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this name.
    pub kind: Option<String>,
    /// Of this account.
    pub did: Option<Did>,
    /// From this source; records come from none.
    pub source: Option<String>,
    /// Kept aside since then.
    pub since: Option<DateTime<Utc>>,
}

/// One of them, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub id: Id,
    /// What is wrong.
    pub kind: String,
    /// Where it came from; none for what we fetched ourselves.
    pub source: Option<String>,
    /// Its number there.
    pub seq: Option<i64>,
    /// Whose it is.
    pub did: Option<String>,
    /// Which record.
    pub uri: Option<String>,
    /// What exactly is wrong.
    pub detail: String,
    /// How much of it is kept; none when that was let go of.
    pub size_bytes: Option<i64>,
    /// When it was kept aside.
    pub at: DateTime<Utc>,
    /// How often it was tried to settle it.
    pub attempts: i32,
    /// The last time.
    pub tried_at: Option<DateTime<Utc>>,
}

/// The newest first, at most `limit`.
pub async fn list(pool: &PgPool, filter: &Filter, limit: i64) -> sqlx::Result<Vec<Entry>> {
    let mut entries = events(pool, filter, None, limit).await?;
    if filter.source.is_none() {
        entries.extend(records(pool, filter, None, limit).await?);
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
    entries.truncate(usize::try_from(limit).unwrap_or_default());
    Ok(entries)
}

/// One of them with all its bytes.
pub async fn find(pool: &PgPool, id: &Id) -> sqlx::Result<Option<(Entry, Vec<u8>)>> {
    let all = Filter::default();
    match id {
        Id::Event(number) => {
            let entry = events(pool, &all, Some(*number), 1).await?.pop();
            let bytes = sqlx::query_scalar!("select bytes from problem where id = $1", number)
                .fetch_optional(pool)
                .await?;
            Ok(entry.zip(Some(bytes.flatten().unwrap_or_default())))
        }
        Id::Record(uri) => {
            let entry = records(pool, &all, Some(uri.as_str()), 1).await?.pop();
            let value = sqlx::query_scalar!("select value from record where uri = $1", uri.as_str())
                .fetch_optional(pool)
                .await?;
            Ok(entry.zip(Some(value.flatten().unwrap_or_default())))
        }
    }
}

async fn events(pool: &PgPool, filter: &Filter, id: Option<i64>, limit: i64) -> sqlx::Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select id, kind, source, seq, did, uri, detail, length(bytes)::bigint as size_bytes, created_at, attempts,
                  tried_at
           from problem
           where ($1::bigint is null or id = $1) and ($2::text is null or kind = $2) and ($3::text is null or did = $3)
             and ($4::text is null or source = $4) and ($5::timestamptz is null or created_at >= $5)
           order by id desc limit $6"#,
        id,
        filter.kind,
        filter.did.as_ref().map(|did| did.as_str()),
        filter.source,
        filter.since,
        limit
    )
    .fetch_all(pool)
    .await?;
    let entries = rows.into_iter().map(|row| Entry {
        id: Id::Event(row.id),
        kind: row.kind,
        source: row.source,
        seq: row.seq,
        did: row.did,
        uri: row.uri,
        detail: row.detail,
        size_bytes: row.size_bytes,
        at: row.created_at,
        attempts: row.attempts,
        tried_at: row.tried_at,
    });
    Ok(entries.collect())
}

async fn records(pool: &PgPool, filter: &Filter, uri: Option<&str>, limit: i64) -> sqlx::Result<Vec<Entry>> {
    let rows = sqlx::query!(
        r#"select uri, did, problem as "problem!", problem_detail, reported_by, length(value)::bigint as size_bytes,
                  indexed_at
           from record
           where problem is not null and ($1::text is null or uri = $1) and ($2::text is null or problem = $2)
             and ($3::text is null or did = $3) and ($4::timestamptz is null or indexed_at >= $4)
           order by indexed_at desc limit $5"#,
        uri,
        filter.kind,
        filter.did.as_ref().map(|did| did.as_str()),
        filter.since,
        limit
    )
    .fetch_all(pool)
    .await?;
    let entries = rows.into_iter().filter_map(|row| {
        Some(Entry {
            id: Id::Record(row.uri.parse().ok()?),
            kind: row.problem,
            source: row.reported_by,
            seq: None,
            did: Some(row.did),
            uri: Some(row.uri),
            detail: row.problem_detail.unwrap_or_default(),
            size_bytes: row.size_bytes,
            at: row.indexed_at,
            attempts: 0,
            tried_at: None,
        })
    });
    Ok(entries.collect())
}
