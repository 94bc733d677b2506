//! Work that a change causes and that may take time: a durable queue in Postgres.
//!
//! A job is enqueued inside the transaction that causes it, claimed with `for update skip locked`, counted when claimed
//! (a crash counts too), retried with growing pauses and, after [`ATTEMPTS_MAX`], kept as `dead` for an operator to see.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgListener;
use sqlx::{PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info_span, warn};

use crate::apply::effects::CHANNEL;

/// Somebody appeared or changed their identity: look at their DID document, handle and profile. Key: DID.
pub const MEET: &str = "meet";
/// A host says something of an account: ask the account's PDS. Key: DID.
pub const ACCOUNT: &str = "account";
/// What we hold of a repo is not whole: read it. Key: DID.
pub const RESYNC: &str = "resync";
/// A record names a blob: bring its bytes. Key: CID.
pub const BLOB: &str = "blob";

/// After so many claims a job is dead.
pub const ATTEMPTS_MAX: i32 = 12;
/// A worker that has not finished by then is taken for dead, and the job is claimed again.
const LEASE: Duration = Duration::from_secs(600);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Adds jobs; one that already waits is pulled forward instead.
pub async fn enqueue(db: &mut PgConnection, jobs: &BTreeSet<(&'static str, String)>) -> sqlx::Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let (kinds, keys): (Vec<String>, Vec<String>) =
        jobs.iter().map(|(kind, key)| ((*kind).into(), key.clone())).unzip();
    sqlx::query!(
        r#"insert into job (kind, key)
           select * from unnest($1::text[], $2::text[]) as j (kind, key) order by kind collate "C", key collate "C"
           on conflict (kind, key) where state = 'queued' do update set run_at = least(job.run_at, excluded.run_at)"#,
        &kinds,
        &keys
    )
    .execute(db)
    .await?;
    Ok(())
}

/// A job as its handler sees it.
#[derive(Debug, Clone)]
pub struct Job {
    /// Row id.
    pub id: i64,
    /// One of the kinds above.
    pub kind: String,
    /// What it is about.
    pub key: String,
    /// How often it was claimed, this time included.
    pub attempts: i32,
}

/// What a handler answers.
#[derive(Debug)]
pub enum Outcome {
    /// Done.
    Done,
    /// Not now, and not through a fault of the job: again after this time, without counting the attempt.
    Later(Duration),
}

/// A handler's future.
pub type Handling = Pin<Box<dyn Future<Output = anyhow::Result<Outcome>> + Send>>;
/// Handles jobs of one kind.
pub type Handler = Arc<dyn Fn(Job) -> Handling + Send + Sync>;

/// The handlers, by kind. Every kind that can be enqueued must have one: [`run`] refuses to start otherwise.
pub type Handlers = BTreeMap<&'static str, Handler>;

/// Every kind that anything enqueues.
pub const KINDS: [&str; 4] = [MEET, ACCOUNT, RESYNC, BLOB];

/// Works until told to stop; then lets the running jobs finish for a while and gives the rest back.
pub async fn run(
    pool: PgPool,
    handlers: Handlers,
    at_once: usize,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    for kind in KINDS {
        anyhow::ensure!(handlers.contains_key(kind), "no handler for jobs of kind {kind:?}");
    }
    let handlers = Arc::new(handlers);
    let mut bell = PgListener::connect_with(&pool).await?;
    bell.listen(CHANNEL).await?;
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        let free = at_once.saturating_sub(running.len());
        let claimed = if free == 0 {
            Vec::new()
        } else {
            claim(&pool, free as i64).await.unwrap_or_else(give_up_round)
        };
        let idle = claimed.len() < free;
        for job in claimed {
            running.spawn(work(pool.clone(), handlers.clone(), job));
        }
        if free > 0 && !idle {
            continue;
        }
        tokio::select! {
            // Nothing may be waiting, or not yet be due: the clock looks again when no bell rings.
            _ = tokio::time::sleep(Duration::from_secs(1)), if free > 0 => {}
            _ = bell.recv(), if free > 0 => {}
            Some(_) = running.join_next() => {}
            _ = stop.cancelled() => {}
        }
    }
    let finish = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(10), finish).await.is_err() {
        running.shutdown().await;
    }
    Ok(())
}

fn give_up_round(error: sqlx::Error) -> Vec<Job> {
    warn!(%error, "cannot claim jobs");
    Vec::new()
}

/// Takes due jobs, and those whose worker died.
async fn claim(pool: &PgPool, limit: i64) -> sqlx::Result<Vec<Job>> {
    sqlx::query_as!(
        Job,
        "with due as (
           select id from job
           where (state = 'queued' and run_at <= now()) or (state = 'running' and locked_until < now())
           order by run_at limit $1 for update skip locked
         )
         update job set state = 'running', attempts = attempts + 1, locked_until = now() + make_interval(secs => $2)
         from due where job.id = due.id
         returning job.id, kind, key, attempts",
        limit,
        LEASE.as_secs_f64()
    )
    .fetch_all(pool)
    .await
}

async fn work(pool: PgPool, handlers: Arc<Handlers>, job: Job) {
    let span = info_span!("job", kind = job.kind, key = job.key, attempts = job.attempts);
    async {
        let started = std::time::Instant::now();
        let outcome = match handlers.get(job.kind.as_str()) {
            _ if job.attempts > ATTEMPTS_MAX => Err(anyhow::anyhow!("its workers died again and again")),
            Some(handler) => {
                match tokio::time::timeout(LEASE - Duration::from_secs(30), handler(job.clone())).await {
                    Ok(outcome) => outcome,
                    Err(_) => Err(anyhow::anyhow!("took longer than its lease")),
                }
            }
            None => Err(anyhow::anyhow!("no handler for jobs of kind {:?}", job.kind)),
        };
        let word = match &outcome {
            Ok(Outcome::Done) => "done",
            Ok(Outcome::Later(_)) => "later",
            Err(_) => "failed",
        };
        metrics::histogram!("plyr_job_seconds", "kind" => job.kind.clone(), "outcome" => word)
            .record(started.elapsed().as_secs_f64());
        if let Err(error) = settle(&pool, &job, outcome).await {
            warn!(%error, "cannot record the outcome; the job will be claimed again when its lease ends");
        }
    }
    .instrument(span)
    .await;
}

async fn settle(pool: &PgPool, job: &Job, outcome: anyhow::Result<Outcome>) -> sqlx::Result<()> {
    match outcome {
        Ok(Outcome::Done) => {
            sqlx::query!("delete from job where id = $1", job.id).execute(pool).await?;
        }
        Ok(Outcome::Later(pause)) => again(pool, job, pause, job.attempts - 1, None).await?,
        Err(error) => {
            let error = format!("{error:#}");
            warn!(error, "job failed");
            if job.attempts >= ATTEMPTS_MAX {
                sqlx::query!(
                    "update job set state = 'dead', locked_until = null, last_error = $2 where id = $1",
                    job.id,
                    error
                )
                .execute(pool)
                .await?;
            } else {
                let pause = Duration::from_secs(1 << job.attempts.clamp(0, 12)).min(PAUSE_MAX);
                again(pool, job, pause, job.attempts, Some(error)).await?;
            }
        }
    }
    Ok(())
}

/// Puts a job back, unless the same wish has been uttered anew while it ran.
async fn again(
    pool: &PgPool,
    job: &Job,
    pause: Duration,
    attempts: i32,
    error: Option<String>,
) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!("delete from job where id = $1", job.id).execute(&mut *tx).await?;
    sqlx::query!(
        "insert into job (kind, key, attempts, run_at, last_error)
         values ($1, $2, $3, now() + make_interval(secs => $4), $5)
         on conflict (kind, key) where state = 'queued' do nothing",
        job.kind,
        job.key,
        attempts,
        pause.as_secs_f64(),
        error
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
