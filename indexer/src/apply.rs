//! The door: the only code that changes what we believe about the network.
//!
//! Every source speaks [`Input`]; many inputs share one transaction. Its order, which every transaction keeps so that no
//! two wait for each other: repos are locked (by DID), records decided on by the [`table`] and written (by URI),
//! projections replaced, numbers moved, jobs enqueued, one notification sent, the source's cursor saved.
//!
//! A projection is deleted by its URI and inserted anew: create, update, replay and rebuild are the same code.

pub mod account;
pub mod batch;
pub mod effects;
mod load;
#[cfg(test)]
mod model;
pub mod rebuild;
pub mod table;
mod write;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use sqlx::PgPool;

use crate::change::{Asked, Commit, Cursor, Input, Op, Problem, Proof, RepoSnapshot, Status};
use crate::job;
use crate::record::Registry;
use crate::syntax::{AtUri, Did, Tid};
use effects::Effects;
use table::{Chain, Repo, RepoState, Row, Scope, Verdict};

/// What the door needs: a database, the collections, and which repos it follows.
#[derive(Debug)]
pub struct Door {
    /// Read and write.
    pub pool: PgPool,
    /// The indexed collections.
    pub registry: Registry,
    tracked: RwLock<HashSet<Did>>,
    refreshed_at: tokio::sync::Mutex<tokio::time::Instant>,
}

/// How old our knowledge of whom other processes met may be.
const REFRESH_EVERY: Duration = Duration::from_secs(30);

impl Door {
    /// Opens the door on a migrated database.
    pub async fn open(pool: PgPool, registry: Registry) -> sqlx::Result<Self> {
        let refreshed_at = tokio::time::Instant::now().into();
        let door = Door { pool, registry, tracked: RwLock::default(), refreshed_at };
        door.refresh_tracked().await?;
        Ok(door)
    }

    /// Whether this repo is followed: all its commits matter, not only those that touch collections of ours.
    pub fn is_tracked(&self, did: &Did) -> bool {
        self.tracked.read().unwrap_or_else(PoisonError::into_inner).contains(did)
    }

    /// Reads again which repos are followed: another process may have met new ones.
    pub async fn refresh_tracked(&self) -> sqlx::Result<()> {
        let dids = sqlx::query_scalar!("select did from actor").fetch_all(&self.pool).await?;
        // Added, never replaced: some are expected whose first record is still on its way here.
        let dids = dids.into_iter().filter_map(|did| did.parse().ok());
        self.tracked.write().unwrap_or_else(PoisonError::into_inner).extend(dids.collect::<Vec<Did>>());
        Ok(())
    }

    /// The same, unless it was done within the last half minute.
    pub async fn refresh_tracked_if_old(&self) -> sqlx::Result<()> {
        let now = tokio::time::Instant::now();
        let mut refreshed_at = self.refreshed_at.lock().await;
        if now.duration_since(*refreshed_at) > REFRESH_EVERY {
            self.refresh_tracked().await?;
            *refreshed_at = now;
        }
        Ok(())
    }

    /// Follows a repo before anything of it is applied.
    pub fn expect(&self, did: &Did) {
        self.track(std::iter::once(did));
    }

    fn track<'a>(&self, dids: impl Iterator<Item = &'a Did>) {
        let missing: Vec<Did> = dids.filter(|did| !self.is_tracked(did)).cloned().collect();
        if !missing.is_empty() {
            self.tracked.write().unwrap_or_else(PoisonError::into_inner).extend(missing);
        }
    }
}

/// What a transaction holds of one repo while it decides.
#[derive(Debug, Default)]
struct Held {
    repo: Repo,
    status: Option<Status>,
    pending: Option<Status>,
    changed: bool,
    verified: bool,
}

/// A record row to write.
#[derive(Debug)]
struct Write {
    row: Row,
    value: Option<Bytes>,
}

/// Everything a transaction decides in memory, under the locks of the repos it concerns.
#[derive(Debug)]
struct World<'a> {
    door: &'a Door,
    now: DateTime<Utc>,
    repos: BTreeMap<Did, Held>,
    rows: HashMap<AtUri, Row>,
    first_seen: HashMap<AtUri, DateTime<Utc>>,
    writes: BTreeMap<AtUri, Write>,
    raised: Vec<AtUri>,
    pending: BTreeMap<Did, Status>,
    problems: Vec<Problem>,
    effects: Effects,
}

/// Applies what a source says and saves how far it has come, or nothing of both.
pub async fn apply(door: &Door, inputs: &[Input], cursor: Option<&Cursor>) -> sqlx::Result<()> {
    transact(door, inputs, cursor, true).await
}

/// Whether the database would take these inputs.
async fn rehearse(door: &Door, inputs: &[Input]) -> sqlx::Result<()> {
    transact(door, inputs, None, false).await
}

async fn transact(door: &Door, inputs: &[Input], cursor: Option<&Cursor>, commit: bool) -> sqlx::Result<()> {
    let mut tx = door.pool.begin().await?;
    let mut world = World::load(door, &mut tx, inputs).await?;
    for input in inputs {
        world.take(input);
    }
    let source = cursor.map(|cursor| cursor.source.to_string());
    let dids = world.write(&mut tx, source.as_deref()).await?;
    if let Some(cursor) = cursor {
        crate::source::advance(&mut tx, cursor).await?;
    }
    if commit {
        tx.commit().await?;
        door.track(dids.iter());
    } else {
        tx.rollback().await?;
    }
    Ok(())
}

impl<'a> World<'a> {
    fn new(door: &'a Door) -> Self {
        World {
            door,
            // Postgres keeps microseconds: what we compare later must be what we stored.
            now: Utc::now().trunc_subsecs(6),
            repos: BTreeMap::new(),
            rows: HashMap::new(),
            first_seen: HashMap::new(),
            writes: BTreeMap::new(),
            raised: Vec::new(),
            pending: BTreeMap::new(),
            problems: Vec::new(),
            effects: Effects::default(),
        }
    }

    fn take(&mut self, input: &Input) {
        match input {
            Input::Commit(commit) => self.commit(commit),
            Input::Sync { did, rev, data } => {
                if let Some(held) =
                    self.repos.get_mut(did).filter(|held| held.repo.state != RepoState::Unknown)
                {
                    let chain = table::announce(&mut held.repo, rev, data);
                    held.changed |= chain != Chain::Replay;
                    if chain == Chain::Broken {
                        self.broken(did, "sync");
                    }
                }
            }
            Input::Snapshot(snapshot) => self.snapshot(snapshot),
            Input::Proof(proof) => self.proof(proof),
            Input::Account { did, status } => self.account(did, *status),
            Input::Identity { did } => {
                if self.repos.contains_key(did) {
                    self.effects.job(job::MEET, did.as_str());
                }
            }
            Input::Missed { did } => {
                if let Some(held) =
                    self.repos.get_mut(did).filter(|held| held.repo.state == RepoState::Synchronized)
                {
                    held.repo.state = RepoState::Desynchronized;
                    held.changed = true;
                }
                self.broken(did, "missed");
            }
            Input::Problem(problem) => self.problems.push(problem.clone()),
        }
    }

    fn commit(&mut self, commit: &Commit) {
        let Commit { did, rev, since, prev_data, data, ops } = commit;
        // What a deleted account once wrote stays erased; one that returns is read as a whole when its return is confirmed.
        let Some(held) = self.repos.get_mut(did).filter(|held| held.status != Some(Status::Deleted)) else {
            return;
        };
        let tracks = |uri: &AtUri| {
            self.door.registry.get(uri.collection()).is_some_and(|collection| collection.tracks)
        };
        if held.repo.state != RepoState::Unknown || ops.iter().any(|(uri, _)| tracks(uri)) {
            let chain = table::follow(&mut held.repo, rev, since.as_ref(), prev_data.as_ref(), data);
            if chain == Chain::Replay {
                metrics::counter!("plyr_changes_total", "verdict" => "replay")
                    .increment(ops.len().max(1) as u64);
                return;
            }
            held.changed = true;
            held.verified = true;
            if chain == Chain::Broken {
                self.broken(did, "commit");
            }
        }
        for (uri, op) in ops {
            let Some(held) = self.repos.get(did) else { return };
            let verdict = table::decide(&held.repo, self.rows.get(uri), rev, true, op.cid());
            self.carry_out(verdict, did, uri, rev, op);
        }
    }

    fn snapshot(&mut self, snapshot: &RepoSnapshot) {
        let RepoSnapshot { did, rev, data, records, authoritative, asked } = snapshot;
        let Some(held) = self.repos.get_mut(did).filter(|held| held.status != Some(Status::Deleted)) else {
            return;
        };
        held.changed = true;
        let scope = table::scope(&mut held.repo, rev, *authoritative, asked);
        metrics::counter!("plyr_snapshots_total", "scope" => format!("{scope:?}")).increment(1);
        if scope == Scope::Discard {
            if held.repo.state != RepoState::Synchronized {
                self.effects.job(job::RESYNC, did.as_str());
            }
            return;
        }
        let live: HashMap<&AtUri, Op> = records
            .iter()
            .map(|(uri, cid, value)| (uri, Op::Put { cid: *cid, value: value.clone() }))
            .collect();
        let absent: Vec<AtUri> =
            self.rows.keys().filter(|uri| uri.did() == *did && !live.contains_key(uri)).cloned().collect();
        let authority = authoritative.then_some(asked);
        for (uri, op) in
            absent.iter().map(|uri| (uri, &Op::Delete)).chain(live.iter().map(|(uri, op)| (*uri, op)))
        {
            self.settle(did, uri, rev, op, authority);
        }
        if let Some(held) = self.repos.get_mut(did) {
            table::complete(&mut held.repo, rev, data);
            held.verified = true;
        }
    }

    fn proof(&mut self, proof: &Proof) {
        let Proof { uri, rev, op, asked } = proof;
        let did = uri.did();
        let Some(held) = self.repos.get_mut(&did).filter(|held| held.status != Some(Status::Deleted)) else {
            return;
        };
        if asked.epoch != held.repo.epoch || held.repo.rev.as_ref().is_some_and(|head| rev < head) {
            self.effects.job(job::MEET, did.as_str());
            return;
        }
        table::see(&mut held.repo, rev);
        held.changed = true;
        self.settle(&did, uri, rev, op, Some(asked));
    }

    fn settle(&mut self, did: &Did, uri: &AtUri, rev: &Tid, op: &Op, authority: Option<&Asked>) {
        let Some(held) = self.repos.get(did) else { return };
        let verdict = table::settle(&held.repo, self.rows.get(uri), rev, op.cid(), authority);
        self.carry_out(verdict, did, uri, rev, op);
    }

    fn carry_out(&mut self, verdict: Verdict, did: &Did, uri: &AtUri, rev: &Tid, op: &Op) {
        metrics::counter!("plyr_changes_total", "verdict" => verdict.as_str()).increment(1);
        match verdict {
            Verdict::Stale => {}
            Verdict::Apply | Verdict::Refute => {
                let epoch = self.repos.get(did).map_or(0, |held| held.repo.epoch);
                let (cid, value) = match op {
                    Op::Put { cid, value } => (Some(*cid), Some(value.clone())),
                    Op::Delete => (None, None),
                };
                let row = Row { epoch, rev: rev.clone(), proven: true, cid, indexed_at: self.now };
                self.rows.insert(uri.clone(), row.clone());
                self.writes.insert(uri.clone(), Write { row, value });
            }
            Verdict::RaiseTrust => {
                if let Some(row) = self.rows.get_mut(uri) {
                    row.proven = true;
                }
                match self.writes.get_mut(uri) {
                    Some(write) => write.row.proven = true,
                    None => self.raised.push(uri.clone()),
                }
            }
            Verdict::Conflict => {
                let detail =
                    format!("two records at rev {rev}; the one stored is kept and the repo read again");
                self.problems.push(Problem {
                    kind: "RevConflict",
                    did: Some(did.clone()),
                    uri: Some(uri.clone()),
                    detail,
                    ..Problem::default()
                });
                if let Some(held) = self.repos.get_mut(did) {
                    held.repo.state = RepoState::Desynchronized;
                    held.changed = true;
                }
                self.broken(did, "conflict");
            }
            Verdict::Provisional => self.effects.job(job::RESYNC, did.as_str()),
        }
    }

    /// One host's opinion of an account is stored as pending and confirmed at the account's own PDS; see [`account`].
    fn account(&mut self, did: &Did, status: Status) {
        let Some(held) = self.repos.get_mut(did) else { return };
        if held.status == Some(status) && held.pending.is_none() {
            return;
        }
        held.pending = Some(status);
        self.pending.insert(did.clone(), status);
        self.effects.job(job::ACCOUNT, did.as_str());
    }

    fn broken(&mut self, did: &Did, by: &'static str) {
        metrics::counter!("plyr_chain_broken_total", "by" => by).increment(1);
        self.effects.job(job::RESYNC, did.as_str());
    }
}
