//! What a transaction decides in memory, under the locks of the repos it concerns, before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, SubsecRound, Utc};
use foldhash::fast::FixedState;
use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};

use super::Door;
use super::effects::Effects;
use super::refer::Awaited;
use super::table::{self, Chain, Change, Repo, RepoState, Row, Verdict};
use crate::change::{Commit, Input, Local, Op, Problem, Report, Status};
use crate::job;
use crate::proto::commit::rev_is_in_future;
use crate::record::BSKY_PROFILE;
use crate::sabotage;
use crate::syntax::{AtUri, Did, Tid};

/// How long the proof of what was only reported is waited for before it is fetched: usually the echo of our own write, or
/// another source, brings it.
pub(super) const PROOF_PATIENCE: Duration = Duration::from_secs(30);
/// Who reports what we wrote ourselves.
const LOCAL: &str = "local";

/// What a transaction holds of one repo while it decides.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) repo: Repo,
    pub(super) status: Option<Status>,
    pub(super) pending: Option<Status>,
    /// Of others only what names something of ours is kept.
    pub(super) followed: bool,
    /// They have signed in here.
    pub(super) is_member: bool,
    pub(super) changed: bool,
    pub(super) verified: bool,
    /// A stretch of it has been read.
    pub(super) read: bool,
}

/// What was found of a record, beside what the table decides by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) first_seen_at: DateTime<Utc>,
    /// It has a value, and so may have a projection.
    pub(super) lives: bool,
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
    /// Who says it all.
    pub(super) source: Option<Arc<str>>,
    pub(super) now: DateTime<Utc>,
    pub(super) repos: BTreeMap<Did, Held>,
    pub(super) rows: HashMap<AtUri, Row>,
    /// Records that were here before.
    pub(super) found: HashMap<AtUri, Found>,
    pub(super) writes: BTreeMap<AtUri, Write>,
    pub(super) raised: Vec<AtUri>,
    pub(super) pending: BTreeMap<Did, Status>,
    pub(super) problems: Vec<Problem>,
    /// Reports found false, by who made them.
    pub(super) divergent: BTreeMap<Arc<str>, i64>,
    pub(super) effects: Effects,
    /// Records of other people's collections that are kept.
    pub(super) concerned: HashSet<AtUri>,
    pub(super) awaited: Awaited,
    /// People whose records are to be asked for, each by itself.
    pub(super) doubted: BTreeSet<Did>,
}

impl<'a> World<'a> {
    pub(super) fn new(door: &'a Door, source: Option<Arc<str>>) -> Self {
        World {
            door,
            source,
            // Postgres keeps microseconds: what we compare later must be what we stored.
            now: Utc::now().trunc_subsecs(6),
            repos: BTreeMap::new(),
            rows: HashMap::new(),
            found: HashMap::new(),
            writes: BTreeMap::new(),
            raised: Vec::new(),
            pending: BTreeMap::new(),
            problems: Vec::new(),
            divergent: BTreeMap::new(),
            effects: Effects::default(),
            concerned: HashSet::new(),
            awaited: Awaited::new(),
            doubted: BTreeSet::new(),
        }
    }

    pub(super) fn take(&mut self, input: &Input) {
        if let Some(rev) = input.rev().filter(|rev| rev_is_in_future(rev, self.now)) {
            return self.refuse_future(input, rev);
        }
        match input {
            Input::Commit(commit) => self.commit(commit),
            Input::Sync { did, .. } if self.repos.get(did).is_some_and(|held| !held.followed) => {
                self.missed(did)
            }
            Input::Sync { did, rev, data } => {
                if let Some(held) =
                    self.repos.get_mut(did).filter(|held| held.repo.state != RepoState::Unknown)
                    && !sabotage::is_on("sync-ignored")
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
            Input::Report(report) => self.report(report),
            Input::Account { did, status } => self.account(did, *status),
            Input::Identity { did } => {
                if self.repos.contains_key(did) && !sabotage::is_on("identity-ignored") {
                    self.effects.job(job::MEET, did.as_str());
                }
            }
            Input::Missed { did } => self.missed(did),
            Input::Begun { did } => self.begun(did),
            // Noted already.
            Input::Awaited { .. } => {}
            Input::Problem(problem) => self.problems.push(problem.clone()),
        }
    }

    fn commit(&mut self, commit: &Commit) {
        let Commit { did, rev, since, prev_data, data, ops } = commit;
        // What a deleted account once wrote stays erased; one that returns is read as a whole when its return is confirmed.
        let Some(held) = self.repos.get_mut(did).filter(|held| held.status != Some(Status::Deleted)) else {
            return;
        };
        if is_followed(self.door, held, commit) {
            let chain = table::follow(&mut held.repo, rev, since.as_ref(), prev_data.as_ref(), data);
            if chain == Chain::Replay {
                metrics::counter!("plyr_changes_total", "verdict" => "replay")
                    .increment(ops.len().max(1) as u64);
                return;
            }
            held.changed = true;
            held.verified = true;
            let is_hidden = held.status.is_some_and(|status| status != Status::Active);
            if chain == Chain::Broken {
                self.broken(did, "commit");
            }
            if is_hidden {
                // They write again: the event that told of their return may have been lost.
                self.account(did, Status::Active);
            }
        }
        for (uri, op) in ops {
            if !self.keeps(uri) {
                continue;
            }
            let Some(held) = self.repos.get_mut(did) else { return };
            // Also of whose repo is not followed: what a mirror says later of an earlier state is old.
            if held.repo.seen_rev.as_ref().is_none_or(|seen| seen < rev) {
                table::see(&mut held.repo, rev);
                held.changed = true;
            }
            let change = Change { uri, rev, proven: true, cid: op.cid() };
            let verdict = table::decide(&held.repo, self.rows.get(uri), change);
            self.carry_out(verdict, did, uri, rev, op, None);
        }
    }

    /// Whether a commit has passed already, as far as is known before anything of this transaction is decided.
    pub(super) fn is_replay(&self, commit: &Commit) -> bool {
        let passed = |held: &Held| held.repo.rev.as_ref().is_some_and(|head| commit.rev <= *head);
        self.repos.get(&commit.did).is_some_and(|held| is_followed(self.door, held, commit) && passed(held))
    }

    /// A rev that no clock has reached would make everything true look old for as long as it takes.
    fn refuse_future(&mut self, input: &Input, rev: &Tid) {
        let (uri, bytes) = match input {
            Input::Proof(crate::change::Proof { uri, op, .. })
            | Input::Local(Local { uri, op, .. })
            | Input::Report(Report { uri, op, .. }) => {
                let value = if let Op::Put { value, .. } = op { value.clone() } else { Bytes::new() };
                (Some(uri.clone()), value)
            }
            _ => (None, Bytes::new()),
        };
        let did = input.did().cloned().or_else(|| uri.as_ref().map(AtUri::did));
        if let (Input::Commit(_) | Input::Sync { .. }, Some(did)) = (input, &did) {
            self.missed(did);
        }
        let detail = format!("rev {rev} is more than five minutes ahead");
        self.problems.push(Problem { kind: "FutureRev", seq: None, did, uri, detail, bytes });
    }

    /// What somebody has begun to write who is not followed, their PDS can prove.
    fn begun(&mut self, did: &Did) {
        let is_followed = match self.repos.get(did) {
            Some(held) => held.followed || held.status == Some(Status::Deleted),
            None => self.door.is_tracked(did),
        };
        if !is_followed {
            self.effects.hint(job::RESYNC, did.as_str());
        }
    }

    fn missed(&mut self, did: &Did) {
        if sabotage::is_on("missed-forgotten") {
            return;
        }
        match self.repos.get(did) {
            Some(held) if held.followed => {}
            Some(_) => {
                self.doubted.insert(did.clone());
                self.effects.job(job::PROVE, did.as_str());
                return;
            }
            // A stranger: their repo is none of our business.
            None if !self.door.is_tracked(did) => return,
            None => {}
        }
        let tracked = |held: &&mut Held| held.repo.state != RepoState::Unknown;
        if let Some(held) = self.repos.get_mut(did).filter(tracked) {
            table::doubt(&mut held.repo);
            held.changed = true;
        }
        self.broken(did, "missed");
    }

    fn local(&mut self, local: &Local) {
        let Local { uri, rev, op } = local;
        self.believe(uri, rev, op, LOCAL.into());
    }

    fn report(&mut self, report: &Report) {
        let Report { uri, rev, op } = report;
        let by = self.source.clone().unwrap_or_else(|| "unknown".into());
        if !self.believe(uri, rev, op, by) {
            return;
        }
        let did = uri.did();
        if self.tracks(uri) && self.repos.get(&did).is_some_and(|held| held.repo.state == RepoState::Unknown)
        {
            // What else is in the repo, nobody has told us.
            self.effects.hint(job::RESYNC, did.as_str());
        }
    }

    /// Takes somebody's word, until it is proven. Moves no rev of the repo: else a write of somebody else's client at an
    /// earlier rev would look old. Answers whether it was news.
    fn believe(&mut self, uri: &AtUri, rev: &Tid, op: &Op, by: Arc<str>) -> bool {
        let did = uri.did();
        if !self.keeps(uri) {
            return false;
        }
        let Some(held) = self.repos.get(&did).filter(|held| held.status != Some(Status::Deleted)) else {
            return false;
        };
        // Of strangers only some; but what name and face they have is shown, and seldom changes.
        let is_asked_for = held.followed || uri.collection() == BSKY_PROFILE || is_sampled(uri);
        let change = Change { uri, rev, proven: false, cid: op.cid() };
        let verdict = table::decide(&held.repo, self.rows.get(uri), change);
        if verdict == Verdict::Diverge {
            *self.divergent.entry(by.clone()).or_default() += 1;
        }
        self.carry_out(verdict, &did, uri, rev, op, Some(by));
        if let Some(held) = self.repos.get_mut(&did).filter(|_| sabotage::is_on("report-moves-rev")) {
            (held.repo.rev, held.changed) = (held.repo.rev.take().max(Some(rev.clone())), true);
        }
        if verdict == Verdict::Apply && is_asked_for && !sabotage::is_on("reports-never-proven") {
            self.prove_later(&did);
        }
        verdict == Verdict::Apply
    }

    /// Whether having this record makes a repo tracked.
    pub(super) fn tracks(&self, uri: &AtUri) -> bool {
        self.door.registry.get(uri.collection()).is_some_and(|collection| collection.tracks)
    }

    pub(super) fn prove_later(&mut self, did: &Did) {
        self.effects.job_after(PROOF_PATIENCE, job::PROVE, did.as_str());
    }

    /// Does what was decided about a record that is proven, or `reported_by` somebody.
    pub(super) fn carry_out(
        &mut self,
        verdict: Verdict,
        did: &Did,
        uri: &AtUri,
        rev: &Tid,
        op: &Op,
        reported_by: Option<Arc<str>>,
    ) {
        metrics::counter!("plyr_changes_total", "verdict" => verdict.as_str()).increment(1);
        if verdict == Verdict::Refute
            && let Some(liar) = self.rows.get(uri).and_then(|row| row.reported_by.clone())
        {
            *self.divergent.entry(liar).or_default() += 1;
        }
        match verdict {
            Verdict::Stale | Verdict::Diverge => {}
            Verdict::Apply | Verdict::Refute => {
                let epoch = self.repos.get(did).map_or(0, |held| held.repo.epoch);
                let (cid, value) = match op {
                    Op::Put { cid, value } => (Some(*cid), Some(value.clone())),
                    Op::Delete => (None, None),
                };
                let proven = reported_by.is_none() || sabotage::is_on("reports-count-as-proven");
                let row = Row { epoch, rev: rev.clone(), proven, reported_by, cid, indexed_at: self.now };
                self.rows.insert(uri.clone(), row.clone());
                self.writes.insert(uri.clone(), Write { row, value });
            }
            Verdict::RaiseTrust => {
                let raise = |row: &mut Row| (row.proven, row.reported_by) = (true, None);
                self.rows.get_mut(uri).map(raise);
                match self.writes.get_mut(uri) {
                    Some(write) => raise(&mut write.row),
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
                    table::doubt(&mut held.repo);
                    held.changed = true;
                }
                self.broken(did, "conflict");
            }
            Verdict::Provisional => self.prove_later(did),
        }
    }

    /// One host's opinion of an account is stored as pending and confirmed at the account's own PDS; see [`account`].
    fn account(&mut self, did: &Did, status: Status) {
        let Some(held) = self.repos.get_mut(did) else { return };
        if held.status == Some(status) && held.pending.is_none() {
            return;
        }
        // Whatever others say after it: that it was told of a deletion is what makes one of a PDS that knows it no more.
        let of_deletion = held.pending.filter(|said| *said == Status::Deleted);
        let status = of_deletion.unwrap_or(status);
        held.pending = Some(status);
        if sabotage::is_on("account-ignored") {
            return;
        }
        self.pending.insert(did.clone(), status);
        self.effects.job(job::ACCOUNT, did.as_str());
    }

    fn broken(&mut self, did: &Did, by: &'static str) {
        metrics::counter!("plyr_chain_broken_total", "by" => by).increment(1);
        self.effects.job(job::RESYNC, did.as_str());
    }
}

/// Of what is reported of people whom we do not follow, every so many-th is proven: one popular share must not have the PDSes
/// of all who like it asked.
const SAMPLED: u64 = 16;

fn is_sampled(uri: &AtUri) -> bool {
    FixedState::with_seed(1).hash_one(uri.as_str()).is_multiple_of(SAMPLED)
}

/// Whether a commit belongs to a chain that we follow, or begins one.
fn is_followed(door: &Door, held: &Held, commit: &Commit) -> bool {
    let tracks =
        |uri: &AtUri| door.registry.get(uri.collection()).is_some_and(|collection| collection.tracks);
    held.repo.state != RepoState::Unknown || commit.ops.iter().any(|(uri, _)| tracks(uri))
}
