//! What the events of the stream say.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cid::Cid;

use crate::syntax::{Did, Handle, Tid};

/// `#commit`: records of a repo changed. Nothing in it is proven before [`crate::proto::verify::verify_commit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFrame {
    /// Place in the stream.
    pub seq: i64,
    /// Whose repo.
    pub repo: Did,
    /// CID of the commit block.
    pub commit: Cid,
    /// Revision of the commit.
    pub rev: Tid,
    /// Revision before it; `None` for a repo's first.
    pub since: Option<Tid>,
    /// CAR file of the commit, the tree nodes that changed and the new records.
    pub blocks: Bytes,
    /// What changed, in the order of change.
    pub ops: Vec<RepoOp>,
    /// Root of the tree before the commit. Hosts older than Sync 1.1 leave it out.
    pub prev_data: Option<Cid>,
    /// When the sender says it received the event; `None` when it is no RFC 3339 time. Good for no more than lag.
    pub time: Option<DateTime<Utc>>,
}

/// One change of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoOp {
    /// What happened to the path.
    pub action: Action,
    /// Collection and record key with a slash between, unchecked.
    pub path: String,
    /// The new record; `None` for a delete.
    pub cid: Option<Cid>,
    /// The record before; `None` for a create, and from hosts older than Sync 1.1.
    pub prev: Option<Cid>,
}

/// What an operation does to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// There was no record.
    Create,
    /// The record is another one.
    Update,
    /// The record is gone.
    Delete,
}

/// `#sync`: the state a repo is in, whatever it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncFrame {
    /// Place in the stream.
    pub seq: i64,
    /// Whose repo.
    pub did: Did,
    /// Revision of the commit.
    pub rev: Tid,
    /// CAR file of the commit block alone.
    pub blocks: Bytes,
    /// As in [`CommitFrame::time`].
    pub time: Option<DateTime<Utc>>,
}

/// `#identity`: look at the DID document again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFrame {
    /// Place in the stream.
    pub seq: i64,
    /// Whose identity.
    pub did: Did,
    /// The handle as the sender knows it: a hint, never verified. `None` as well when it has not the form of one.
    pub handle: Option<Handle>,
    /// As in [`CommitFrame::time`].
    pub time: Option<DateTime<Utc>>,
}

/// `#account`: what one host says about an account's status on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFrame {
    /// Place in the stream.
    pub seq: i64,
    /// Whose account.
    pub did: Did,
    /// Whether its content is to be seen.
    pub active: bool,
    /// Why not.
    pub status: Option<AccountStatus>,
    /// As in [`CommitFrame::time`].
    pub time: Option<DateTime<Utc>>,
}

/// Why an account is not as it usually is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountStatus {
    /// Taken down by the host.
    Takendown,
    /// Suspended by the host for a time.
    Suspended,
    /// Deleted by its owner.
    Deleted,
    /// Deactivated by its owner.
    Deactivated,
    /// The host lost track of the repo.
    Desynchronized,
    /// The host passes on less than the account does.
    Throttled,
    /// A word that is not known here, cut to 300 characters.
    Other(String),
}

impl AccountStatus {
    /// The word for it on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            AccountStatus::Takendown => "takendown",
            AccountStatus::Suspended => "suspended",
            AccountStatus::Deleted => "deleted",
            AccountStatus::Deactivated => "deactivated",
            AccountStatus::Desynchronized => "desynchronized",
            AccountStatus::Throttled => "throttled",
            AccountStatus::Other(word) => word,
        }
    }
}

/// `#info`: a message about the stream, such as `OutdatedCursor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InfoFrame {
    /// What it is about.
    pub name: String,
    /// For people, cut to 300 characters like all foreign words here.
    pub message: Option<String>,
}

/// The last frame of a connection: `FutureCursor`, `ConsumerTooSlow`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorFrame {
    /// What is wrong.
    pub error: String,
    /// For people.
    pub message: Option<String>,
}

/// A frame of a kind that is not known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFrame {
    /// The header's operation: 1 for messages.
    pub op: i64,
    /// The header's `t`.
    pub kind: Option<String>,
    /// Place in the stream, if the body has one.
    pub seq: Option<i64>,
    /// Whom it is about, if the body says so.
    pub did: Option<Did>,
}
