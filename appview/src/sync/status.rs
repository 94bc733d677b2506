//! Everything at a glance: sources, repos, jobs, problems, and what is wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::{job, problem};
use serde::Serialize;
use sqlx::PgConnection;

use super::alarm::{Alarm, Facts, alarms};
use super::public_key;
use crate::App;
use crate::error::{Error, shared};

/// The answer of `fm.plyr.sync.getStatus`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    as_of: DateTime<Utc>,
    sources: Vec<Source>,
    repos: RepoCount,
    jobs: Vec<JobCount>,
    problems: Vec<ProblemCount>,
    record_problems: Vec<ProblemCount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_unproven_at: Option<DateTime<Utc>>,
    alarms: Vec<Alarm>,
}

/// One stream, as its reader last left word of it.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Source {
    pub key: String,
    pub kind: String,
    pub connected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ours_at: Option<DateTime<Utc>>,
    pub gaps: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_at: Option<DateTime<Utc>>,
    pub divergences: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blind_since: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backfilled_at: Option<DateTime<Utc>>,
    /// Since when the repos are to be read; of use only while that is owed.
    #[serde(skip)]
    pub owed_at: DateTime<Utc>,
    #[serde(skip)]
    pub compare_owed_at: DateTime<Utc>,
    /// When its reader last left word.
    #[serde(skip)]
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Default, Serialize)]
struct RepoCount {
    unknown: i64,
    synchronized: i64,
    desynchronized: i64,
    resyncing: i64,
    total: i64,
}

#[derive(Debug, Serialize)]
pub(super) struct JobCount {
    pub kind: String,
    pub queued: i64,
    pub running: i64,
    pub dead: i64,
    #[serde(skip)]
    pub dead_since: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ProblemCount {
    kind: String,
    count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    newest_at: Option<DateTime<Utc>>,
}

impl From<problem::count::KindCount> for ProblemCount {
    fn from(count: problem::count::KindCount) -> Self {
        ProblemCount { kind: count.kind, count: count.count, newest_at: count.newest_at }
    }
}

/// `fm.plyr.sync.getStatus`.
pub(crate) async fn get_status(State(app): State<App>) -> Result<Json<Arc<Status>>, Error> {
    let read = async { read(&mut *app.pool.acquire().await?).await.map(Arc::new) };
    app.status.status.try_get_with((), read).await.map(Json).map_err(shared)
}

async fn read(db: &mut PgConnection) -> Result<Status, Error> {
    let now = Utc::now();
    let sources = sources(db).await?;
    let jobs = jobs(db).await?;
    // The index of what is not proven begins with the oldest.
    let oldest_unproven_at = sqlx::query_scalar!("select min(indexed_at) from record where not proven")
        .fetch_one(&mut *db)
        .await?;
    let facts = Facts { now, sources: &sources, jobs: &jobs, oldest_unproven_at };
    let alarms = alarms(&facts);
    Ok(Status {
        as_of: now,
        repos: repos(db).await?,
        problems: problem::count::events(db).await?.into_iter().map(ProblemCount::from).collect(),
        record_problems: problem::count::records(db).await?.into_iter().map(ProblemCount::from).collect(),
        sources,
        jobs,
        oldest_unproven_at,
        alarms,
    })
}

async fn sources(db: &mut PgConnection) -> sqlx::Result<Vec<Source>> {
    let rows = sqlx::query!(
        "select key, cursor, connected, heard_at, event_at, ours_at, gaps, gap_at, divergences, blind_since,
                compared_at, compare_owed_at, backfilled_at, owed_at, updated_at
           from source
          order by key
          limit 1000"
    )
    .fetch_all(db)
    .await?;
    let sources = rows.into_iter().map(|row| Source {
        kind: row.key.split_once('+').map_or("unknown", |(kind, _)| kind).to_owned(),
        key: public_key(&row.key),
        connected: row.connected,
        cursor: row.cursor,
        lag_ms: row.heard_at.zip(row.event_at).map(|(heard, event)| (heard - event).num_milliseconds()),
        heard_at: row.heard_at,
        event_at: row.event_at,
        ours_at: row.ours_at,
        gaps: row.gaps,
        gap_at: row.gap_at,
        divergences: row.divergences,
        blind_since: row.blind_since,
        compared_at: row.compared_at,
        backfilled_at: row.backfilled_at,
        owed_at: row.owed_at,
        compare_owed_at: row.compare_owed_at,
        updated_at: row.updated_at,
    });
    Ok(sources.collect())
}

async fn repos(db: &mut PgConnection) -> sqlx::Result<RepoCount> {
    let rows =
        sqlx::query!(r#"select state, count(*) as "count!" from repo group by state"#).fetch_all(db).await?;
    let counts: BTreeMap<String, i64> = rows.into_iter().map(|row| (row.state, row.count)).collect();
    let of = |state: &str| counts.get(state).copied().unwrap_or_default();
    Ok(RepoCount {
        unknown: of("unknown"),
        synchronized: of("synchronized"),
        desynchronized: of("desynchronized"),
        resyncing: of("resyncing"),
        total: counts.values().sum(),
    })
}

async fn jobs(db: &mut PgConnection) -> sqlx::Result<Vec<JobCount>> {
    let kinds = job::KINDS.map(str::to_owned);
    sqlx::query_as!(
        JobCount,
        r#"select k.kind as "kind!", q.queued as "queued!", r.running as "running!", d.dead as "dead!",
                  d.since as "dead_since?"
             from unnest($1::text[]) as k (kind)
            cross join lateral (
              select count(*) as queued
                from (select from job where job.kind = k.kind and state = 'queued'
                       order by run_at limit $2) as part
            ) as q
            cross join lateral (
              select count(*) as running from job where job.kind = k.kind and state = 'running'
            ) as r
            cross join lateral (
              select count(*) as dead, min(created_at) as since
                from (select created_at from job where job.kind = k.kind and state = 'dead'
                       order by created_at limit $2) as part
            ) as d
            where q.queued > 0 or r.running > 0 or d.dead > 0
            order by 1"#,
        &kinds,
        problem::count::COUNT_MAX
    )
    .fetch_all(db)
    .await
}
