//! What a transaction decides in memory, under the locks of the repos it concerns, before anything is written.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};

use super::Door;
use super::effects::Effects;
use super::table::{self, Chain, Repo, RepoState, Row, Scope, Verdict};
use crate::change::{Asked, Commit, Input, Local, Op, Problem, Proof, RepoSnapshot, Report, Status};
use crate::job;
use crate::syntax::{AtUri, Did, Tid};

/// Fewer records than this may vanish from a repo without an alarm.
const COLLAPSE_MIN: usize = 10;
/// How long the echo of a write of ours is waited for before its proof is fetched.
const PROOF_PATIENCE: Duration = Duration::from_secs(30);

/// What a transaction holds of one repo while it decides.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) repo: Repo,
    pub(super) status: Option<Status>,
    pub(super) pending: Option<Status>,
    pub(super) changed: bool,
    pub(super) verified: bool,
}

/// A record row to write.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) row: Row,
    pub(super) value: Option<Bytes>,
}

/// Everything a transaction decides in memory, under the locks of the repos it concerns.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) door: &'a Door,
    pub(super) now: DateTime<Utc>,
    pub(super) repos: BTreeMap<Did, Held>,
    pub(super) rows: HashMap<AtUri, Row>,
    pub(super) first_seen: HashMap<AtUri, DateTime<Utc>>,
    pub(super) writes: BTreeMap<AtUri, Write>,
    pub(super) raised: Vec<AtUri>,
    pub(super) pending: BTreeMap<Did, Status>,
    pub(super) problems: Vec<Problem>,
    pub(super) effects: Effects,
}

impl<'a> World<'a> {
    pub(super) fn new(door: &'a Door) -> Self {
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

    pub(super) fn take(&mut self, input: &Input) {
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
            Input::Local(local) => self.local(local),
            Input::Report(Report { uri, rev, op }) => {
                self.local(&Local { uri: uri.clone(), rev: rev.clone(), op: op.clone() });
            }
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
            self.carry_out(verdict, did, uri, rev, op, true);
        }
    }

    fn snapshot(&mut self, snapshot: &RepoSnapshot) {
        let RepoSnapshot { did, rev, data, records, authoritative, asked, .. } = snapshot;
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
        // A proven tombstone says already what the snapshot says; from now on the synced rev defends it.
        let epoch = held.repo.epoch;
        let rests = |row: &Row| row.cid.is_none() && row.proven && row.epoch == epoch;
        let mine = self.rows.iter().filter(|(uri, _)| uri.did() == *did);
        let held_live = mine.clone().filter(|(_, row)| row.cid.is_some()).count();
        let absent: Vec<AtUri> = mine
            .filter(|(uri, row)| !live.contains_key(uri) && !rests(row))
            .map(|(uri, _)| uri.clone())
            .collect();
        let lost =
            absent.iter().filter(|uri| self.rows.get(*uri).is_some_and(|row| row.cid.is_some())).count();
        if scope == Scope::NewEpoch || (lost >= COLLAPSE_MIN && lost * 2 > held_live) {
            // It is believed, for it is signed; but somebody should know.
            tracing::warn!(%did, held = held_live, lost, new_epoch = scope == Scope::NewEpoch, "most of a repo is gone");
            metrics::counter!("plyr_repo_collapses_total").increment(1);
        }
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

    /// Moves no rev of the repo: else a write of somebody else's client at an earlier rev would look old.
    fn local(&mut self, local: &Local) {
        let Local { uri, rev, op } = local;
        let did = uri.did();
        let Some(held) = self.repos.get(&did).filter(|held| held.status != Some(Status::Deleted)) else {
            return;
        };
        let verdict = table::decide(&held.repo, self.rows.get(uri), rev, false, op.cid());
        self.carry_out(verdict, &did, uri, rev, op, false);
        if verdict == Verdict::Apply {
            self.effects.job_after(PROOF_PATIENCE, job::PROVE, uri.as_str());
        }
    }

    fn settle(&mut self, did: &Did, uri: &AtUri, rev: &Tid, op: &Op, authority: Option<&Asked>) {
        let Some(held) = self.repos.get(did) else { return };
        let verdict = table::settle(&held.repo, self.rows.get(uri), rev, op.cid(), authority);
        self.carry_out(verdict, did, uri, rev, op, true);
    }

    fn carry_out(&mut self, verdict: Verdict, did: &Did, uri: &AtUri, rev: &Tid, op: &Op, proven: bool) {
        metrics::counter!("plyr_changes_total", "verdict" => verdict.as_str()).increment(1);
        match verdict {
            Verdict::Stale => {}
            Verdict::Apply | Verdict::Refute => {
                let epoch = self.repos.get(did).map_or(0, |held| held.repo.epoch);
                let (cid, value) = match op {
                    Op::Put { cid, value } => (Some(*cid), Some(value.clone())),
                    Op::Delete => (None, None),
                };
                let row = Row { epoch, rev: rev.clone(), proven, cid, indexed_at: self.now };
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
