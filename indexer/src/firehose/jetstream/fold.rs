//! One commit may say two things of a record: deleted, and created anew. The last of them holds.
//!
//! A commit comes as one event for each of its records, all under the same rev, and by its rev alone nobody could tell
//! which of two was the later. Its events follow each other closely, so that the earlier one is dropped when the later one
//! already waits behind it.

use std::time::Duration;

use bytes::Bytes;
use memchr::memmem;

use super::{Dialect, event};
use crate::syntax::{AtUri, Did};

/// How long a deletion waits for what may follow it in the same commit.
pub(in crate::firehose) const DELETION_WAITS: Duration = Duration::from_millis(20);

/// What an event of a commit is about.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::firehose) struct Touched {
    path: (String, String),
    rev: String,
    /// Whether it is a deletion.
    pub is_deletion: bool,
}

impl Touched {
    /// Of an event; none where it is of another kind or cannot be read.
    pub fn read(dialect: Dialect, bytes: &[u8]) -> Option<Touched> {
        let (collection, rkey, rev, operation) = event::touched(dialect, bytes)?;
        Some(Touched { path: (collection, rkey), rev, is_deletion: operation == "delete" })
    }

    /// The record that an event of this account writes; none where it deletes one, or is of another kind.
    pub fn uri(did: &Did, dialect: Dialect, bytes: &[u8]) -> Option<AtUri> {
        let touched = Touched::read(dialect, bytes).filter(|touched| !touched.is_deletion)?;
        format!("at://{did}/{}/{}", touched.path.0, touched.path.1).parse().ok()
    }

    /// Whether another event of the same account may be of the same commit.
    pub fn is_of_one_commit_with(&self, bytes: &Bytes) -> bool {
        memmem::find(bytes, self.rev.as_bytes()).is_some()
    }

    /// Whether another event of the same account speaks of the same record in the same commit.
    pub fn is_retold_by(&self, dialect: Dialect, bytes: &Bytes) -> bool {
        // Reading costs more than looking for the two texts, which are nearly never both there.
        let mentions = |text: &str| memmem::find(bytes, text.as_bytes()).is_some();
        mentions(&self.rev)
            && mentions(&self.path.1)
            && Touched::read(dialect, bytes)
                .is_some_and(|other| (&other.path, &other.rev) == (&self.path, &self.rev))
    }
}
