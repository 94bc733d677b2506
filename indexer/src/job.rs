//! Work that a change causes and that may take time: a durable queue in Postgres.
//!
//! A job is enqueued inside the transaction that causes it, claimed with `for update skip locked`, counted when claimed
//! (a crash counts too), retried with growing pauses and, after [`ATTEMPTS_MAX`], kept as `dead` for an operator to see.

mod bench;
mod claim;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use sqlx::postgres::PgListener;
use sqlx::{ConnectOptions, PgConnection, PgPool};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::{Instrument, info_span, warn};

use crate::apply::effects::CHANNEL;
use crate::syntax::Did;
use bench::Bench;
pub use claim::sweep;
use claim::{claim_all, give_back, renew};

/// Somebody appeared or changed their identity: look at their DID document, handle and profile. Key: DID.
pub const MEET: &str = "meet";
/// The same of somebody whom we do not follow: there may be many at once, and nobody waits for them. Key: DID.
pub const GREET: &str = "greet";
/// A host says something of an account: ask the account's PDS. Key: DID.
pub const ACCOUNT: &str = "account";
/// What we hold of a repo is not whole: read it. Key: DID.
pub const RESYNC: &str = "resync";
/// A repo is being read in stretches: see that whoever reads it comes to its end. Key: DID.
pub const FINISH: &str = "finish";
/// A post was found to share something of ours: ask those who were noted to have liked it before. Key: its URI.
pub const LOOK_BACK: &str = "look_back";
/// The same: ask a service that knows who links to what, and note whom it tells of. Key: its URI.
pub const BACKLINKS: &str = "backlinks";
/// Something of somebody whom we do not follow may have been passed over: ask for what is held of them. Key: DID.
pub const DOUBT: &str = "doubt";
/// Something of the whole network's stream was lost: the same of everybody whom we do not follow, some at a time. Key: the DID after
/// which it goes on.
pub const DOUBT_ALL: &str = "doubt_all";
/// A handle or page came to mean something: read again what names things by it. Key: the name.
pub const NAMED: &str = "named";
/// A record names a blob: bring its bytes. Key: CID.
pub const BLOB: &str = "blob";

/// Records of a repo are believed and not proven: ask the account's PDS. Key: DID.
pub const PROVE: &str = "prove";
/// A write of ours may not have been brought to its end. Key: DID, a space, the action of the `intent` row.
pub const INTENT: &str = "intent";

/// Somebody gave us a track to publish: look at it, and bring it to their PDS. Key: `upload.id`.
pub const UPLOAD: &str = "upload";

/// After so many claims a job is dead.
pub const ATTEMPTS_MAX: i32 = 12;
/// A worker that has not renewed its claim by then is taken for dead, and the job is claimed again.
const LEASE: Duration = Duration::from_secs(30);
/// How often it is renewed.
const BEAT: Duration = Duration::from_secs(5);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(3600);

/// Adds jobs; one that already waits is pulled forward instead.
pub async fn enqueue(db: &mut PgConnection, jobs: &BTreeSet<(&'static str, String)>) -> sqlx::Result<()> {
    enqueue_each(db, &jobs.iter().map(|job| (job.clone(), Duration::ZERO)).collect()).await
}

/// Adds jobs that are not due before their pause is over; one that already waits longer is pulled forward.
pub async fn enqueue_each(
    db: &mut PgConnection,
    jobs: &BTreeMap<(&'static str, String), Duration>,
) -> sqlx::Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let (kinds, keys): (Vec<String>, Vec<String>) =
        jobs.keys().map(|(kind, key)| ((*kind).into(), key.clone())).unzip();
    let pauses: Vec<f64> = jobs.values().map(Duration::as_secs_f64).collect();
    // By the clock: this transaction may have waited since it began. One that is due no later stays as it is. If it is due soon it is locked all the same: where somebody takes it up just
    // now, the wish is a new one.
    sqlx::query!(
        r#"insert into job (kind, key, run_at)
           select kind, key, clock_timestamp() + make_interval(secs => pause)
           from unnest($1::text[], $2::text[], $3::float8[]) as j (kind, key, pause)
           left join lateral (select waiting.run_at from job waiting
                              where waiting.kind = j.kind and waiting.key = j.key collate "C"
                                and waiting.state = 'queued' offset 0) as waiting on true
           where waiting.run_at is null or waiting.run_at > clock_timestamp() + make_interval(secs => pause)
              or waiting.run_at < clock_timestamp() + interval '2 seconds'
           order by kind collate "C", key collate "C"
           on conflict (kind, key) where state = 'queued' do update set run_at = excluded.run_at
           where job.run_at > excluded.run_at"#,
        &kinds,
        &keys,
        &pauses
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds those jobs that nobody has asked for yet.
pub async fn enqueue_missing(
    db: &mut PgConnection,
    jobs: &BTreeSet<(&'static str, String)>,
) -> sqlx::Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let (kinds, keys): (Vec<&str>, Vec<&str>) = jobs.iter().map(|(kind, key)| (*kind, key.as_str())).unzip();
    sqlx::query!(
        r#"insert into job (kind, key)
           select kind, key from unnest($1::text[], $2::text[]) as j (kind, key)
           where not exists (select from job waiting
                             where waiting.kind = j.kind and waiting.key = j.key collate "C" and waiting.state = 'queued')
           order by kind collate "C", key collate "C"
           on conflict (kind, key) where state = 'queued' do nothing"#,
        &kinds as &[&str],
        &keys as &[&str]
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Adds a job that is not due before `pause` is over; one that already waits longer is pulled forward.
pub async fn enqueue_after(
    db: &mut PgConnection,
    pause: Duration,
    kind: &'static str,
    key: &str,
) -> sqlx::Result<()> {
    enqueue_each(db, &BTreeMap::from([((kind, key.to_owned()), pause)])).await
}

/// Takes back what was asked for and nobody has taken up.
pub async fn withdraw(db: &mut PgConnection, jobs: &BTreeSet<(&'static str, String)>) -> sqlx::Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let (kinds, keys): (Vec<&str>, Vec<&str>) = jobs.iter().map(|(kind, key)| (*kind, key.as_str())).unzip();
    sqlx::query!(
        r#"delete from job using unnest($1::text[], $2::text[]) as done (kind, key)
           where job.kind = done.kind collate "C" and job.key = done.key collate "C" and job.state = 'queued'"#,
        &kinds as &[&str],
        &keys as &[&str]
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Asks for these repos to be read, outside of any other transaction.
pub async fn enqueue_resyncs(pool: &PgPool, dids: &[Did]) -> sqlx::Result<()> {
    let jobs = dids.iter().map(|did| (RESYNC, did.to_string())).collect();
    enqueue(&mut *pool.acquire().await?, &jobs).await
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
    /// Of this claim: whoever comes with another number is too late.
    pub claim: i64,
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
pub const KINDS: [&str; 14] = [
    MEET, GREET, ACCOUNT, RESYNC, FINISH, LOOK_BACK, BACKLINKS, DOUBT, DOUBT_ALL, NAMED, BLOB, PROVE, INTENT,
    UPLOAD,
];

/// Slots of a kind: downloads and whole repos are slow, and must not keep confirmations waiting.
const SLOTS: [(&str, usize); KINDS.len()] = [
    (INTENT, 6),
    (ACCOUNT, 16),
    (MEET, 6),
    (GREET, 3),
    (PROVE, 4),
    (NAMED, 1),
    (LOOK_BACK, 4),
    (BACKLINKS, 2),
    (DOUBT, 1),
    (DOUBT_ALL, 1),
    (UPLOAD, 2),
    (FINISH, 1),
    (RESYNC, 8),
    (BLOB, 6),
];

/// How long one attempt may take. Sending a long mix to a slow PDS takes its time; it watches its own progress.
fn patience(kind: &str) -> Duration {
    Duration::from_secs(if kind == UPLOAD { 3 * 3600 } else { 1200 })
}

/// Works until told to stop; then lets the running jobs finish for a while and gives the rest back.
pub async fn run(pool: PgPool, handlers: Handlers, stop: CancellationToken) -> anyhow::Result<()> {
    for (kind, _) in SLOTS {
        anyhow::ensure!(handlers.contains_key(kind), "no handler for jobs of kind {kind:?}");
    }
    let handlers = Arc::new(handlers);
    let mut bell = PgListener::connect_with(&pool).await?;
    bell.listen(CHANNEL).await?;
    let mut running: JoinSet<()> = JoinSet::new();
    let held = Bench::default();
    let _beat = AbortOnDropHandle::new(tokio::spawn(beat(pool.clone(), held.clone())));
    while !stop.is_cancelled() {
        match claim_all(&pool, &held.kinds()).await {
            Ok(jobs) => {
                for job in jobs {
                    let (pool, handlers) = (pool.clone(), handlers.clone());
                    let (ticket, place) = ((job.id, job.claim), held.take_place(&job));
                    let abort = running.spawn(async move {
                        let _place = place;
                        work(pool, handlers, job).await;
                    });
                    held.set_abort(ticket, abort);
                }
            }
            Err(error) => {
                warn!(%error, "cannot claim jobs");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        tokio::select! {
            // Something may have become due without a bell.
            _ = tokio::time::sleep(Duration::from_secs(1)) => {}
            heard = bell.recv() => {
                if let Err(error) = heard {
                    warn!(%error, "cannot hear of new jobs");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            Some(_) = running.join_next() => {}
            _ = stop.cancelled() => {}
        }
    }
    let finish = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(Duration::from_secs(10), finish).await.is_err() {
        let left = held.claims();
        running.shutdown().await;
        give_back(&pool, &left).await?;
    }
    Ok(())
}

/// Says every few seconds of all that runs here that it does, on a connection of its own: a busy pool must not make us look
/// dead. What another has taken up meanwhile is stopped here.
async fn beat(pool: PgPool, held: Bench) {
    let mut connection: Option<PgConnection> = None;
    loop {
        tokio::time::sleep(BEAT).await;
        let claims = held.claims();
        if claims.is_empty() {
            continue;
        }
        if connection.is_none() {
            connection = pool.connect_options().connect().await.ok();
        }
        let Some(db) = &mut connection else { continue };
        match renew(db, &claims).await {
            Ok(ours) => held.stop_lost(&claims, &ours),
            Err(error) => {
                warn!(%error, "cannot renew the claims of running jobs");
                connection = None;
            }
        }
    }
}

async fn work(pool: PgPool, handlers: Arc<Handlers>, job: Job) {
    let span = info_span!("job", kind = job.kind, key = job.key, attempts = job.attempts);
    async {
        let started = Instant::now();
        let outcome = match handlers.get(job.kind.as_str()) {
            _ if job.attempts > ATTEMPTS_MAX => Err(anyhow::anyhow!("its workers died again and again")),
            Some(handler) => {
                let handling = AssertUnwindSafe(handler(job.clone())).catch_unwind();
                match tokio::time::timeout(patience(&job.kind), handling).await {
                    Ok(Ok(outcome)) => outcome,
                    Ok(Err(_)) => Err(anyhow::anyhow!("its handler panicked")),
                    Err(_) => Err(anyhow::anyhow!("took too long")),
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
            sqlx::query!("delete from job where id = $1 and claim = $2", job.id, job.claim)
                .execute(pool)
                .await?;
        }
        Ok(Outcome::Later(pause)) => again(pool, job, pause, job.attempts - 1, None).await?,
        Err(error) => {
            let error = format!("{error:#}");
            warn!(error, "job failed");
            if job.attempts >= ATTEMPTS_MAX {
                sqlx::query!(
                    "update job set state = 'dead', locked_until = null, last_error = $3 where id = $1 and claim = $2",
                    job.id,
                    job.claim,
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
    let ours = sqlx::query!("delete from job where id = $1 and claim = $2", job.id, job.claim)
        .execute(&mut *tx)
        .await?;
    if ours.rows_affected() == 0 {
        return Ok(());
    }
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
