//! What a host tells.

use std::sync::Arc;

use crate::truth::Standing;
use crate::wire::{Commit, Frame, Leaf, Op, Tree};

/// One thing that a host tells of one account.
#[derive(Debug)]
pub struct Event {
    /// Whose.
    pub did: String,
    /// When, in microseconds since 1970.
    pub time_us: i64,
    /// What, in words of its own.
    pub body: Body,
    /// What, in bytes.
    pub frame: Frame,
    /// Nothing of it is true.
    pub is_lie: bool,
}

/// What a host tells.
#[derive(Debug)]
pub enum Body {
    /// Records changed.
    Commit {
        /// The commit.
        commit: Commit,
        /// What changed; with the record, where there is one now.
        ops: Vec<(Op, Option<Arc<Leaf>>)>,
    },
    /// The repo stands here.
    Sync {
        /// The commit.
        commit: Commit,
        /// All that the repo holds.
        tree: Tree,
    },
    /// The document or the handle changed.
    Identity {
        /// The handle now.
        handle: Option<String>,
    },
    /// The account's standing at this host.
    Account(Standing),
    /// Something that consumers do not know.
    Unknown,
}

impl Standing {
    /// The word of the protocol; none for an active account.
    pub fn word(self) -> Option<&'static str> {
        match self {
            Standing::Active => None,
            Standing::Deactivated => Some("deactivated"),
            Standing::Suspended => Some("suspended"),
            Standing::Takendown => Some("takendown"),
            Standing::Deleted => Some("deleted"),
        }
    }
}
