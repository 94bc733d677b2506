//! The decision table of the door, as pure functions: what becomes of one record here, of its repo's [`chain`] and of the
//! repo read as a [`whole`] in the files below.
//!
//! States are ordered by (epoch, rev). An epoch begins only when the account's current PDS, asked now, stands behind the
//! newest rev that anything proved: a restored backup.
//!
//! | incoming | stored | result |
//! |---|---|---|
//! | live commit, rev ≤ repo's | – | [`Chain::Replay`] |
//! | live commit that does not continue the stored chain, by `since` or by `prevData` | – | [`Chain::Broken`]: applied under the record guard, resync asked for |
//! | live commit that is not a repo's first and has no `prevData` | – | the same: it cannot be told whether it continues the chain |
//! | change, rev ≤ the repo's synced rev, or ≤ the rev of a resync that has passed this record | any | stale |
//! | change, newer | any | apply |
//! | change, same rev, same CID | reported, incoming proven | trust raised |
//! | change, same rev, other CID | reported, incoming proven | the report was false: replaced |
//! | change, same rev, other CID, reported | proven | the report is false: kept, its source counted |
//! | change, same rev, other CID, same trust | – | conflict: kept, named, resync asked for |
//! | change, same rev otherwise, or older | any | stale |
//! | proof of another epoch, or before the repo's rev | any | discarded, asked again |
//! | proof or snapshot at R | any, rev ≤ R | what it says, absence included |
//! | proof or snapshot at R | proven, rev > R | stale |
//! | snapshot of a mirror at R | reported, rev > R | kept as provisional, asked again |
//! | proof or snapshot of the current PDS at R | reported before we asked, rev > R | the report was false: replaced |
//! | the same | reported after we asked, rev > R | kept as provisional, asked again |
//! | snapshot at R < seen rev of a mirror, or at R < synced rev | – | discarded: a mirror may lag, an answer may come late |
//! | snapshot at R < seen rev of the current PDS | – | new epoch, from its first stretch on |
//! | first stretch of a snapshot | – | the resync begins anew |
//! | another stretch | not what the one before it left | discarded |
//! | last stretch | – | the repo is whole, unless it was doubted meanwhile |

pub mod chain;
#[cfg(test)]
mod tests;
pub mod whole;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use cid::Cid;

use crate::change::Asked;
use crate::sabotage;
use crate::syntax::{AtUri, Tid};
pub use chain::{Chain, announce, doubt, follow, see};
pub use whole::{Resync, Scope, Stretch, complete, scope};

/// How well a repo's chain is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RepoState {
    /// No chain is followed.
    #[default]
    Unknown,
    /// What we hold is what the repo holds at `rev`.
    Synchronized,
    /// Something is missing or contradicts itself; a resync is queued.
    Desynchronized,
    /// It is being read as a whole: some stretches of it are here, and nothing speaks against them.
    Resyncing,
}

impl RepoState {
    /// The word of the `repo` table.
    pub fn as_str(self) -> &'static str {
        match self {
            RepoState::Unknown => "unknown",
            RepoState::Synchronized => "synchronized",
            RepoState::Desynchronized => "desynchronized",
            RepoState::Resyncing => "resyncing",
        }
    }

    /// Reads the word of the `repo` table.
    pub fn from_word(word: &str) -> Self {
        match word {
            "synchronized" => RepoState::Synchronized,
            "desynchronized" => RepoState::Desynchronized,
            "resyncing" => RepoState::Resyncing,
            _ => RepoState::Unknown,
        }
    }
}

/// What the `repo` table says of one repo.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repo {
    /// Counts restores to an older state.
    pub epoch: i32,
    /// Head of the chain that we follow.
    pub rev: Option<Tid>,
    /// While not whole: the revs of that chain since it began without a gap, oldest first. A snapshot at one of them, or
    /// after the last, completes what we hold. During a resync the first of them is the one that is read.
    pub trail: Vec<Tid>,
    /// Newest rev that anything proved.
    pub seen_rev: Option<Tid>,
    /// MST root at `rev`.
    pub data: Option<Cid>,
    /// See [`RepoState`].
    pub state: RepoState,
    /// A whole repo was read at this rev.
    pub synced_rev: Option<Tid>,
    /// How far a resync has come.
    pub resync: Option<Resync>,
}

/// What the `record` table says of one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Epoch it was written in.
    pub epoch: i32,
    /// The commit that wrote it.
    pub rev: Tid,
    /// We checked a signed commit and the MST path; false = somebody reported it.
    pub proven: bool,
    /// Who, where it is not proven.
    pub reported_by: Option<Arc<str>>,
    /// None = deleted.
    pub cid: Option<Cid>,
    /// When the row last changed.
    pub indexed_at: DateTime<Utc>,
}

/// What to do with a change of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: we know as much or more.
    Stale,
    /// Write it.
    Apply,
    /// The same record, now proven: only its trust changes.
    RaiseTrust,
    /// Two records claim one rev: keep what is stored, name it, resync.
    Conflict,
    /// What is stored was reported and may be newer than the proof: keep it, ask again.
    Provisional,
    /// What is stored was reported and is false: write the truth, count the source as divergent.
    Refute,
    /// What comes is reported and is false: keep what is stored, count the source as divergent.
    Diverge,
}

impl Verdict {
    /// One word, for counting.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Stale => "stale",
            Verdict::Apply => "apply",
            Verdict::RaiseTrust => "raise_trust",
            Verdict::Conflict => "conflict",
            Verdict::Provisional => "provisional",
            Verdict::Refute => "refute",
            Verdict::Diverge => "diverge",
        }
    }
}

/// One record's change, as a live commit or a report brings it.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// Which record.
    pub uri: &'a AtUri,
    /// The commit that made it.
    pub rev: &'a Tid,
    /// We checked that commit.
    pub proven: bool,
    /// None = deleted.
    pub cid: Option<&'a Cid>,
}

/// Decides on a change that a live commit or a report brings.
pub fn decide(repo: &Repo, stored: Option<&Row>, change: Change) -> Verdict {
    let Change { uri, rev, proven, cid } = change;
    let has_passed = |resync: &Resync| {
        *rev <= resync.rev && *uri <= resync.upto && !sabotage::is_on("passed-stretch-forgotten")
    };
    if repo.synced_rev.as_ref().is_some_and(|synced| rev <= synced)
        || repo.resync.as_ref().is_some_and(has_passed)
    {
        return Verdict::Stale;
    }
    let Some(row) = stored else { return Verdict::Apply };
    match (row.epoch, &row.rev).cmp(&(repo.epoch, rev)) {
        std::cmp::Ordering::Less => Verdict::Apply,
        std::cmp::Ordering::Greater if sabotage::is_on("older-rev-wins") => Verdict::Apply,
        std::cmp::Ordering::Greater => Verdict::Stale,
        std::cmp::Ordering::Equal => match (row.cid.as_ref() == cid, proven, row.proven) {
            (true, true, false) => Verdict::RaiseTrust,
            (true, ..) => Verdict::Stale,
            (false, true, true) if sabotage::is_on("equal-rev-overwrites") => Verdict::Apply,
            (false, false, true) if sabotage::is_on("report-beats-proof") => Verdict::Apply,
            (false, false, true) => Verdict::Diverge,
            (false, true, false) => Verdict::Refute,
            (false, true, true) | (false, false, false) => Verdict::Conflict,
        },
    }
}

/// Decides on what a proof or a snapshot at `at` says of one record; `authority` is given when the account's current PDS
/// was asked, with the state of our knowledge then.
pub fn settle(
    repo: &Repo,
    stored: Option<&Row>,
    at: &Tid,
    cid: Option<&Cid>,
    authority: Option<&Asked>,
) -> Verdict {
    let Some(row) = stored else {
        return if cid.is_some() { Verdict::Apply } else { Verdict::Stale };
    };
    if row.epoch == repo.epoch {
        if row.rev > *at {
            return match (row.proven, authority) {
                (true, _) if sabotage::is_on("old-proof-wins") => Verdict::Apply,
                (true, _) => Verdict::Stale,
                (false, Some(asked))
                    if row.indexed_at < asked.at || sabotage::is_on("late-report-refuted") =>
                {
                    Verdict::Refute
                }
                (false, _) => Verdict::Provisional,
            };
        }
        if row.cid.as_ref() == cid && (cid.is_some() || row.rev == *at) {
            return if row.proven { Verdict::Stale } else { Verdict::RaiseTrust };
        }
        if row.rev == *at && !row.proven {
            return Verdict::Refute;
        }
    }
    Verdict::Apply
}
