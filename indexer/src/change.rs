//! What can be said of the network, by whoever says it: the words the door understands.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cid::Cid;

use crate::memory::Memory;
use crate::syntax::{AtUri, Did, Tid};

/// What happened to one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// It was created or replaced.
    Put {
        /// CID of `value`.
        cid: Cid,
        /// DAG-CBOR, exactly as hashed.
        value: Bytes,
    },
    /// It is gone.
    Delete,
}

impl Op {
    /// The record's CID, none when it is gone.
    pub fn cid(&self) -> Option<&Cid> {
        match self {
            Op::Put { cid, .. } => Some(cid),
            Op::Delete => None,
        }
    }
}

/// One signed commit, verified: signature, and each op against the commit's MST.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Whose repo.
    pub did: Did,
    /// This commit.
    pub rev: Tid,
    /// The commit before it, as the host says; none for a repo's first.
    pub since: Option<Tid>,
    /// MST root before it, as the host says.
    pub prev_data: Option<Cid>,
    /// MST root after it.
    pub data: Cid,
    /// The records of ours that it touches: at most one op for each, the last.
    pub ops: Vec<(AtUri, Op)>,
}

/// A whole repo (the collections of ours in it), or one stretch of it, verified, at one rev.
///
/// A repo may be larger than what one transaction should hold, so it comes as stretches in the order of their URIs, each
/// beginning where the one before ended. Only the last one, which has no end, makes the repo whole.
#[derive(Debug, Clone)]
pub struct RepoSnapshot {
    /// Whose repo.
    pub did: Did,
    /// The commit it was read at.
    pub rev: Tid,
    /// MST root at `rev`.
    pub data: Cid,
    /// Every live record of ours between `after` and `upto`: what is not here is absent.
    pub records: Vec<(AtUri, Cid, Bytes)>,
    /// The stretch begins after this URI; none = with the repo.
    pub after: Option<AtUri>,
    /// The stretch ends with this URI; none = with the repo.
    pub upto: Option<AtUri>,
    /// It came from the account's current PDS and not from a mirror.
    pub authoritative: bool,
    /// What we knew before we asked, to tell a restored backup from an answer that is merely a moment old.
    pub asked: Asked,
}

/// The state of a repo row at the moment a question was sent to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Epoch then.
    pub epoch: i32,
    /// Newest proven rev then.
    pub seen_rev: Option<Tid>,
    /// When.
    pub at: DateTime<Utc>,
}

/// One record, or its absence, proven by `com.atproto.sync.getRecord` of the account's current PDS.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Which.
    pub uri: AtUri,
    /// The commit that proves it.
    pub rev: Tid,
    /// What it proves.
    pub op: Op,
    /// What we knew before we asked.
    pub asked: Asked,
}

/// A write of ours, as the account's PDS acknowledged it: believed at once, and proven when its echo comes.
#[derive(Debug, Clone)]
pub struct Local {
    /// Which record.
    pub uri: AtUri,
    /// The commit that the PDS answered.
    pub rev: Tid,
    /// What was written.
    pub op: Op,
}

/// A change of one record that a source tells without proof: believed at once, and proven later.
#[derive(Debug, Clone)]
pub struct Report {
    /// Which record.
    pub uri: AtUri,
    /// The commit that made it, as the source says.
    pub rev: Tid,
    /// What it is now. The CID of a value has been checked against its bytes; whose value it is, nobody has.
    pub op: Op,
}

/// An account's standing as some host tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Visible.
    Active,
    /// Switched off by its owner.
    Deactivated,
    /// Switched off by its host for a time.
    Suspended,
    /// Switched off by its host.
    Takendown,
    /// Gone for good: its rows are erased.
    Deleted,
}

impl Status {
    /// The word of the protocol and of the `actor` table.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Deactivated => "deactivated",
            Status::Suspended => "suspended",
            Status::Takendown => "takendown",
            Status::Deleted => "deleted",
        }
    }

    /// Reads `active` and `status` as `#account` and `getRepoStatus` give them. Words that say nothing about the
    /// account's standing (`throttled`, `desynchronized`, ones not known yet) give none.
    pub fn read(active: bool, status: Option<&str>) -> Option<Self> {
        match (active, status) {
            (true, _) => Some(Status::Active),
            // Hidden for a reason that nobody gives.
            (false, Some("deactivated") | None) => Some(Status::Deactivated),
            (false, Some("suspended")) => Some(Status::Suspended),
            (false, Some("takendown")) => Some(Status::Takendown),
            (false, Some("deleted")) => Some(Status::Deleted),
            (false, Some(_)) => None,
        }
    }

    /// Reads the word of the `actor` table.
    pub fn from_word(word: &str) -> Option<Self> {
        if word == "active" { Some(Status::Active) } else { Status::read(false, Some(word)) }
    }
}

/// Something that could not be read or applied, to be kept aside.
#[derive(Debug, Clone, Default)]
pub struct Problem {
    /// Its name, stable, for counting: `BadSignature`.
    pub kind: &'static str,
    /// The source's sequence number, where it came from a stream.
    pub seq: Option<i64>,
    /// Whose, as far as could be read.
    pub did: Option<Did>,
    /// Which record, when it is about one.
    pub uri: Option<AtUri>,
    /// For an operator to read.
    pub detail: String,
    /// As received.
    pub bytes: Bytes,
}

/// One thing that a source says.
#[derive(Debug, Clone)]
pub enum Input {
    /// A verified live commit.
    Commit(Commit),
    /// `#sync`, verified: the repo now stands at this rev and root, however it came there.
    Sync {
        /// Whose repo.
        did: Did,
        /// Its rev.
        rev: Tid,
        /// Its MST root.
        data: Cid,
    },
    /// A repo read as a whole.
    Snapshot(RepoSnapshot),
    /// One record proven.
    Proof(Proof),
    /// One record written by us.
    Local(Local),
    /// One record changed, says a source that proves nothing.
    Report(Report),
    /// `#account`: one host's opinion, to be confirmed at the account's PDS.
    Account {
        /// Who.
        did: Did,
        /// What the host says.
        status: Status,
    },
    /// `#identity`: the DID document or the handle may have changed.
    Identity {
        /// Who.
        did: Did,
    },
    /// Something of this repo was lost on the way here: it is to be read as a whole.
    Missed {
        /// Whose repo.
        did: Did,
    },
    /// A commit that cannot be verified says that it writes records of ours. If the repo is not followed, it is to be read:
    /// a key that was rotated right after somebody's first track must not hide them.
    Begun {
        /// Whose repo.
        did: Did,
    },
    /// Somebody likes, reposts or quotes a post that may turn out to share something of ours; nothing of it is proven.
    Awaited {
        /// The like, repost or quote.
        like: AtUri,
        /// The post.
        post: AtUri,
    },
    /// Could not be read.
    Problem(Problem),
}

impl Input {
    /// Whose it is, where that is known.
    pub fn did(&self) -> Option<&Did> {
        match self {
            Input::Commit(commit) => Some(&commit.did),
            Input::Snapshot(snapshot) => Some(&snapshot.did),
            Input::Sync { did, .. }
            | Input::Account { did, .. }
            | Input::Identity { did }
            | Input::Missed { did }
            | Input::Begun { did } => Some(did),
            Input::Proof(_)
            | Input::Local(_)
            | Input::Report(_)
            | Input::Awaited { .. }
            | Input::Problem(_) => None,
        }
    }

    /// The commit that it is about, where it is about one.
    pub fn rev(&self) -> Option<&Tid> {
        match self {
            Input::Commit(commit) => Some(&commit.rev),
            Input::Snapshot(snapshot) => Some(&snapshot.rev),
            Input::Proof(proof) => Some(&proof.rev),
            Input::Local(local) => Some(&local.rev),
            Input::Report(report) => Some(&report.rev),
            Input::Sync { rev, .. } => Some(rev),
            Input::Account { .. }
            | Input::Identity { .. }
            | Input::Missed { .. }
            | Input::Begun { .. }
            | Input::Awaited { .. }
            | Input::Problem(_) => None,
        }
    }
}

/// A place in a source's stream, stored with the data that it accounts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// Key of the source as configured.
    pub source: Arc<str>,
    /// Highest sequence number with nothing unfinished before it.
    pub seq: i64,
    /// By what a crash of the database would be noticed. Without, a transaction waits until it is on disk.
    pub memory: Option<Memory>,
}
