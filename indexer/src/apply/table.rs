//! The decision table of the door, as pure functions. `decide` is about one record, the rest about its repo.
//!
//! States are ordered by (epoch, rev). An epoch begins only when the account's current PDS, asked now, stands behind the
//! newest rev that anything proved: a restored backup.
//!
//! | incoming | stored | result |
//! |---|---|---|
//! | live commit, rev ≤ repo's | – | [`Chain::Replay`] |
//! | live commit that does not continue the stored chain | – | [`Chain::Broken`]: applied under the record guard, resync asked for |
//! | change, rev ≤ the repo's synced rev | any | stale |
//! | change, newer | any | apply |
//! | change, same rev, same CID | reported, incoming proven | trust raised |
//! | change, same rev, other CID | reported, incoming proven | apply |
//! | change, same rev, other CID, same trust | – | conflict: kept, named, resync asked for |
//! | change, same rev otherwise, or older | any | stale |
//! | proof of another epoch, or before the repo's rev | any | discarded, asked again |
//! | proof or snapshot at R | proven, rev ≤ R | what it says, absence included |
//! | proof or snapshot at R | proven, rev > R | stale |
//! | snapshot of a mirror at R | reported, rev > R | kept as provisional, asked again |
//! | proof or snapshot of the current PDS at R | reported before we asked, rev > R | the report was false: replaced |
//! | the same | reported after we asked, rev > R | kept as provisional, asked again |
//! | snapshot at R < seen rev of a mirror, or at R < synced rev | – | discarded: a mirror may lag, an answer may come late |
//! | snapshot at R < seen rev of the current PDS | – | new epoch |

use chrono::{DateTime, Utc};
use cid::Cid;

use crate::change::Asked;
use crate::syntax::Tid;

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
}

impl RepoState {
    /// The word of the `repo` table.
    pub fn as_str(self) -> &'static str {
        match self {
            RepoState::Unknown => "unknown",
            RepoState::Synchronized => "synchronized",
            RepoState::Desynchronized => "desynchronized",
        }
    }

    /// Reads the word of the `repo` table.
    pub fn from_word(word: &str) -> Self {
        match word {
            "synchronized" => RepoState::Synchronized,
            "desynchronized" => RepoState::Desynchronized,
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
    /// While desynchronized: the revs of that chain since it began without a gap, oldest first. A snapshot at one of them,
    /// or after the last, completes what we hold.
    pub trail: Vec<Tid>,
    /// Newest rev that anything proved.
    pub seen_rev: Option<Tid>,
    /// MST root at `rev`.
    pub data: Option<Cid>,
    /// See [`RepoState`].
    pub state: RepoState,
    /// A whole repo was read at this rev.
    pub synced_rev: Option<Tid>,
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
        }
    }
}

/// Decides on a change that a live commit or a report brings.
pub fn decide(repo: &Repo, stored: Option<&Row>, rev: &Tid, proven: bool, cid: Option<&Cid>) -> Verdict {
    if repo.synced_rev.as_ref().is_some_and(|synced| rev <= synced) {
        return Verdict::Stale;
    }
    let Some(row) = stored else { return Verdict::Apply };
    match (row.epoch, &row.rev).cmp(&(repo.epoch, rev)) {
        std::cmp::Ordering::Less => Verdict::Apply,
        std::cmp::Ordering::Greater => Verdict::Stale,
        std::cmp::Ordering::Equal => match (row.cid.as_ref() == cid, proven, row.proven) {
            (true, true, false) => Verdict::RaiseTrust,
            (true, ..) | (false, false, true) => Verdict::Stale,
            (false, true, false) => Verdict::Apply,
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
                (true, _) => Verdict::Stale,
                (false, Some(asked)) if row.indexed_at < asked.at => Verdict::Refute,
                (false, _) => Verdict::Provisional,
            };
        }
        if row.cid.as_ref() == cid && (cid.is_some() || row.rev == *at) {
            return if row.proven { Verdict::Stale } else { Verdict::RaiseTrust };
        }
    }
    Verdict::Apply
}

/// Revs remembered while a repo is desynchronized.
pub const TRAIL_MAX: usize = 256;

/// How a live commit stands to what we hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// Already passed.
    Replay,
    /// It continues the chain, or begins it.
    Follows,
    /// It does not: something is missing, or it belongs to another history.
    Broken,
}

/// Moves the repo by a verified live commit and says how it stood to the chain.
///
/// A broken chain is followed anew from the commit that broke it; `trail` remembers its revs, so that one snapshot taken
/// at any of them makes the repo whole, however many commits pass while it is fetched.
pub fn follow(repo: &mut Repo, rev: &Tid, since: Option<&Tid>, prev_data: Option<&Cid>, data: &Cid) -> Chain {
    if repo.rev.as_ref().is_some_and(|held| rev <= held) {
        return Chain::Replay;
    }
    let jumps =
        repo.seen_rev.as_ref().is_some_and(|seen| since.is_none_or(|since| since < seen) && seen < rev);
    let continues = match (&repo.rev, since) {
        (None, None) => true,
        (Some(held), Some(since)) => {
            held == since && prev_data.is_none_or(|prev| repo.data.as_ref().is_none_or(|data| data == prev))
        }
        _ => false,
    };
    let chain = if continues && !jumps { Chain::Follows } else { Chain::Broken };
    if chain == Chain::Broken {
        repo.state = RepoState::Desynchronized;
        // A gap: what follows it is continuous from `since`. Another history: only from this commit on.
        let gap = since.is_some_and(|since| repo.rev.as_ref() != Some(since)) && !jumps;
        repo.trail = since.filter(|_| gap).into_iter().chain([rev]).cloned().collect();
    } else if repo.state == RepoState::Desynchronized {
        repo.trail.push(rev.clone());
        // Forgetting the oldest only asks for a later snapshot.
        let excess = repo.trail.len().saturating_sub(TRAIL_MAX);
        repo.trail.drain(..excess);
    } else if repo.state == RepoState::Unknown {
        repo.state = RepoState::Synchronized;
    }
    repo.rev = Some(rev.clone());
    repo.data = Some(*data);
    see(repo, rev);
    chain
}

/// Notes that something proved this rev.
pub fn see(repo: &mut Repo, rev: &Tid) {
    if repo.seen_rev.as_ref().is_none_or(|seen| seen < rev) {
        repo.seen_rev = Some(rev.clone());
    }
}

/// `#sync`: whether the repo stands where we stand. If not it is desynchronized.
pub fn announce(repo: &mut Repo, rev: &Tid, data: &Cid) -> Chain {
    match &repo.rev {
        Some(held) if rev < held => return Chain::Replay,
        Some(held)
            if rev == held && repo.data.as_ref() == Some(data) && repo.state == RepoState::Synchronized =>
        {
            return Chain::Replay;
        }
        // Nothing changed but the rev: an account that came back re-announces itself so.
        Some(_) if repo.data.as_ref() == Some(data) && repo.state == RepoState::Synchronized => {
            repo.rev = Some(rev.clone());
            see(repo, rev);
            return Chain::Follows;
        }
        _ => {}
    }
    repo.state = RepoState::Desynchronized;
    // Only a snapshot at this very commit or a later one can tell what it holds.
    repo.trail = vec![rev.clone()];
    repo.rev = Some(rev.clone());
    repo.data = Some(*data);
    see(repo, rev);
    Chain::Broken
}

/// What a whole repo read at some rev means for the repo row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A mirror that lags, or an answer overtaken by a newer one: not used. Ask again unless the repo is whole.
    Discard,
    /// Each record is settled against it.
    Settle,
    /// The account's own host went back: every record is rewritten in a new epoch.
    NewEpoch,
}

/// Says how a snapshot is to be read. It changes the epoch, and nothing else.
pub fn scope(repo: &mut Repo, at: &Tid, authoritative: bool, asked: &Asked) -> Scope {
    if asked.epoch != repo.epoch {
        return Scope::Discard;
    }
    if asked.seen_rev.as_ref().is_some_and(|seen| at < seen) {
        if !authoritative {
            return Scope::Discard;
        }
        repo.epoch += 1;
        // Nothing of the other history is a reason to doubt this one.
        *repo = Repo { epoch: repo.epoch, state: repo.state, ..Repo::default() };
        return Scope::NewEpoch;
    }
    // The stream went on while we asked. Only a state that it passed through may be settled against: another may belong
    // to a history that the host has left, and what it lacks has no tombstone here to defend itself.
    let overtaken = repo.rev.as_ref().or(repo.seen_rev.as_ref()).is_some_and(|held| at < held);
    if overtaken && !repo.trail.contains(at) {
        return Scope::Discard;
    }
    Scope::Settle
}

/// Moves the repo once every record of a snapshot is settled: it is whole.
pub fn complete(repo: &mut Repo, at: &Tid, data: &Cid) {
    repo.synced_rev = repo.synced_rev.take().max(Some(at.clone()));
    see(repo, at);
    if repo.rev.as_ref().is_none_or(|held| held <= at) {
        repo.rev = Some(at.clone());
        repo.data = Some(*data);
    }
    repo.state = RepoState::Synchronized;
    repo.trail.clear();
}
