//! What a backfill has to do and has done, in the database.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgAdvisoryLock, PgAdvisoryLockGuard};
use sqlx::{Either, PgPool, Postgres};

use super::{FAILURES_MAX, Failure, Progress, Since};
use crate::syntax::Did;

/// How often somebody else's backfill of the same repos is looked after.
const WAIT: Duration = Duration::from_secs(1);

/// Pages of one list. The network's largest relay has fewer.
const PAGES_MAX: usize = 1_000_000;

/// How far a host's list is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Listing {
    /// Not begun.
    New,
    /// The host lists by collection; this one next.
    Collections { collection: String, cursor: Option<String> },
    /// The host lists all repos.
    Repos { cursor: Option<String> },
    /// Complete.
    Done,
}

/// One repo to read.
#[derive(Debug, Clone)]
pub(super) struct Task {
    pub did: Did,
    /// That it has records of ours; else its host is asked before it is read.
    pub is_known: bool,
    /// How often it was tried before.
    pub attempts: i32,
}

/// How a repo ended, for now.
#[derive(Debug)]
pub(super) enum Outcome {
    Read,
    Skipped,
    Failed(Failure),
    /// Again, after this time; whether the attempt counts.
    Again(Duration, bool),
}

/// One backfill. As long as it is open, no other process works on the same.
pub(super) struct Ledger {
    pool: PgPool,
    pub key: String,
    pub listing: Listing,
    pub progress: Progress,
    /// Fingerprints of the places in the list that this process has come to.
    passed: HashSet<u64>,
    /// The lock belongs to this connection.
    _turn: PgAdvisoryLockGuard<PoolConnection<Postgres>>,
}

impl Ledger {
    /// Opens the backfill of this key: one that did not come to its end, if it is wanted, or a new one.
    pub async fn open(pool: &PgPool, key: String, since: Since) -> sqlx::Result<Self> {
        let turn = lock(pool, &key).await?;
        let held = sqlx::query!(
            "select listing, collection, cursor, listed, skipped, started_at from backfill
             where key = $1 and ended_at is null",
            key
        )
        .fetch_optional(pool)
        .await?;
        let wanted = |started_at: DateTime<Utc>| match since {
            Since::Any => true,
            Since::After(owed_at) => started_at >= owed_at,
            Since::Anew => false,
        };
        let (mut progress, mut listing) = (Progress::default(), Listing::New);
        if let Some(row) = held.filter(|row| wanted(row.started_at)) {
            progress.continues = Some(row.started_at);
            progress.listed = row.listed as u64;
            progress.skipped = row.skipped as u64;
            listing = match (row.listing.as_str(), row.collection) {
                ("collections", Some(collection)) => Listing::Collections { collection, cursor: row.cursor },
                ("repos", _) => Listing::Repos { cursor: row.cursor },
                ("done", _) => Listing::Done,
                _ => Listing::New,
            };
            let counts = sqlx::query!(
                r#"select count(*) filter (where state = 'read') as "read!", count(*) filter (where state = 'skipped') as "skipped!",
                          count(*) filter (where state = 'failed') as "failed!" from backfill_repo where key = $1"#,
                key
            )
            .fetch_one(pool)
            .await?;
            progress.read = counts.read as u64;
            progress.skipped += counts.skipped as u64;
            progress.failed = counts.failed as u64;
            // Pauses were made for the process that is gone.
            sqlx::query!("update backfill_repo set run_at = now() where key = $1 and state = 'waiting'", key)
                .execute(pool)
                .await?;
        } else {
            let mut tx = pool.begin().await?;
            sqlx::query!("delete from backfill where key = $1", key).execute(&mut *tx).await?;
            sqlx::query!("insert into backfill (key) values ($1)", key).execute(&mut *tx).await?;
            tx.commit().await?;
        }
        progress.is_listed = listing == Listing::Done;
        let passed = HashSet::new();
        Ok(Ledger { pool: pool.clone(), key, listing, progress, passed, _turn: turn })
    }

    /// Whether the list goes on at a place where it has not been yet. One that leads back would never end.
    pub fn leads_on(&mut self, place: &Listing) -> bool {
        let fingerprint = BuildHasherDefault::<DefaultHasher>::default().hash_one(place);
        let leads_on = self.passed.len() < PAGES_MAX && self.passed.insert(fingerprint);
        if !leads_on {
            self.progress.is_cut = true;
            tracing::warn!(
                key = self.key,
                ?place,
                pages = self.passed.len(),
                "the list leads back, or has no end; it is read no further"
            );
        }
        leads_on
    }

    /// Notes these repos as the whole list, unless that was done before.
    pub async fn list_these(&mut self, dids: &[Did]) -> sqlx::Result<()> {
        if self.listing == Listing::New { self.page(dids, true, 0, Listing::Done).await } else { Ok(()) }
    }

    /// Notes a page of the list and where the next one begins. `skipped` more stood on it that need no look.
    pub async fn page(
        &mut self,
        dids: &[Did],
        is_known: bool,
        skipped: u64,
        next: Listing,
    ) -> sqlx::Result<()> {
        let dids: Vec<String> = dids.iter().map(Did::to_string).collect();
        let mut tx = self.pool.begin().await?;
        let new = sqlx::query!(
            "insert into backfill_repo (key, did, is_known) select $1, *, $3 from unnest($2::text[])
             on conflict do nothing",
            self.key,
            &dids,
            is_known
        )
        .execute(&mut *tx)
        .await?
        .rows_affected();
        let (word, collection, cursor) = match &next {
            Listing::New => ("new", None, None),
            Listing::Collections { collection, cursor } => {
                ("collections", Some(collection.as_str()), cursor.as_deref())
            }
            Listing::Repos { cursor } => ("repos", None, cursor.as_deref()),
            Listing::Done => ("done", None, None),
        };
        sqlx::query!(
            "update backfill set listing = $2, collection = $3, cursor = $4, listed = listed + $5, skipped = skipped + $6
             where key = $1",
            self.key,
            word,
            collection,
            cursor,
            (new + skipped) as i64,
            skipped as i64
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        crate::sabotage::point("backfill-listed");
        self.progress.listed += new + skipped;
        self.progress.skipped += skipped;
        self.progress.is_listed = next == Listing::Done;
        self.listing = next;
        Ok(())
    }

    /// The next repos to read, none of those that are being read.
    pub async fn next(&self, limit: usize, under_way: &[String]) -> sqlx::Result<Vec<Task>> {
        let rows = sqlx::query!(
            "select did, is_known, attempts from backfill_repo
             where key = $1 and state = 'waiting' and run_at <= now() and did <> all($2) order by run_at, did limit $3",
            self.key,
            under_way,
            limit as i64
        )
        .fetch_all(&self.pool)
        .await?;
        let task = |did: Did, is_known, attempts| Task { did, is_known, attempts };
        Ok(rows
            .into_iter()
            .filter_map(|row| Some(task(row.did.parse().ok()?, row.is_known, row.attempts)))
            .collect())
    }

    /// When the next repo is due, if any waits.
    pub async fn due(&self) -> sqlx::Result<Option<Duration>> {
        let wait_s = sqlx::query_scalar!(
            "select extract(epoch from min(run_at) - now())::double precision from backfill_repo
             where key = $1 and state = 'waiting'",
            self.key
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(wait_s.map(|wait_s| Duration::try_from_secs_f64(wait_s.max(0.0)).unwrap_or_default()))
    }

    /// Notes how repos ended.
    pub async fn settle(&mut self, ended: Vec<(Did, Outcome)>) -> sqlx::Result<()> {
        let (mut dids, mut states, mut reasons, mut details) = (vec![], vec![], vec![], vec![]);
        let (mut counted, mut pauses) = (vec![], vec![]);
        for (did, outcome) in ended {
            let (mut failure, mut pause, mut counts) = (None, Duration::ZERO, true);
            let state = match outcome {
                Outcome::Read => {
                    self.progress.read += 1;
                    "read"
                }
                Outcome::Skipped => {
                    self.progress.skipped += 1;
                    "skipped"
                }
                Outcome::Failed(why) => {
                    self.progress.failed += 1;
                    failure = Some(why);
                    "failed"
                }
                Outcome::Again(after, does) => {
                    (pause, counts) = (after, does);
                    "waiting"
                }
            };
            let (reason, detail) =
                failure.map(|why| (why.reason, why.detail.replace('\0', "\u{fffd}"))).unzip();
            dids.push(did.to_string());
            states.push(state.to_owned());
            reasons.push(reason);
            details.push(detail);
            counted.push(i32::from(counts));
            pauses.push(pause.as_secs_f64());
        }
        sqlx::query!(
            "update backfill_repo set state = e.state, reason = e.reason, detail = e.detail,
                    attempts = attempts + e.counted, run_at = now() + make_interval(secs => e.pause)
             from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::double precision[])
               as e (did, state, reason, detail, counted, pause)
             where key = $1 and backfill_repo.did = e.did",
            self.key,
            &dids,
            &states,
            &reasons as &[Option<String>],
            &details as &[Option<String>],
            &counted,
            &pauses
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Closes it: everything listed has been dealt with. Only the failures stay, until the next backfill of the same.
    pub async fn end(mut self) -> sqlx::Result<Progress> {
        let rows = sqlx::query!(
            r#"select did, reason as "reason!", detail as "detail!" from backfill_repo
               where key = $1 and state = 'failed' order by reason, did limit $2"#,
            self.key,
            FAILURES_MAX as i64
        )
        .fetch_all(&self.pool)
        .await?;
        let failure = |reason, detail| Failure { reason, detail };
        self.progress.failures = rows
            .into_iter()
            .filter_map(|row| Some((row.did.parse().ok()?, failure(row.reason, row.detail))))
            .collect();
        sqlx::query!("update backfill set ended_at = now() where key = $1", self.key)
            .execute(&self.pool)
            .await?;
        sqlx::query!("delete from backfill_repo where key = $1 and state <> 'failed'", self.key)
            .execute(&self.pool)
            .await?;
        self._turn.release_now().await?;
        Ok(self.progress)
    }
}

/// Waits until nobody else works on it. Whoever dies loses the connection, and the lock with it.
async fn lock(pool: &PgPool, key: &str) -> sqlx::Result<PgAdvisoryLockGuard<PoolConnection<Postgres>>> {
    let lock = PgAdvisoryLock::new(format!("plyr backfill {key}"));
    let mut connection = pool.acquire().await?;
    let mut told = false;
    loop {
        connection = match lock.try_acquire(connection).await? {
            Either::Left(turn) => return Ok(turn),
            Either::Right(connection) => connection,
        };
        if !std::mem::replace(&mut told, true) {
            tracing::info!(key, "somebody else reads the same repos; waiting");
        }
        tokio::time::sleep(WAIT).await;
    }
}
