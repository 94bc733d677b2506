//! Reading many repos as a whole: at first contact, where a stream had a hole, and when an operator asks for it.
//!
//! ```text
//! a host's list ─► ledger ─► its PDS: fetch and prove, many at once ─► door, many small ones in one transaction ─► ledger
//! ```
//!
//! The host only tells which repos there are; each is read from its account's own PDS and verified. Which ones there are and
//! which are done stands in the database, so that a killed backfill goes on where it was and asks for nothing twice but
//! what was on its way.

mod ledger;
mod listing;
mod reader;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use url::Url;

use crate::Indexer;
use crate::pds::PdsError;
use crate::syntax::Did;
use ledger::Ledger;

/// Failures that a summary holds.
pub const FAILURES_MAX: usize = 100_000;

/// How far a backfill has come.
#[derive(Debug, Default, Clone)]
pub struct Progress {
    /// When it began, if that was in an earlier process.
    pub continues: Option<DateTime<Utc>>,
    /// Whether the list is complete, so that `listed` is all there is.
    pub is_listed: bool,
    /// Whether it was given up, because it leads back to where it was or has more pages than any host fills.
    pub is_cut: bool,
    /// Repos listed so far.
    pub listed: u64,
    /// Held already as they are now, hidden by the host, or without records of ours.
    pub skipped: u64,
    /// Read and applied.
    pub read: u64,
    /// Could not be had.
    pub failed: u64,
    /// Which ones, and why: filled in at the end, at most [`FAILURES_MAX`].
    pub failures: Vec<(Did, Failure)>,
}

/// Why a repo could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A name to group by: `RepoDeactivated`, `BadSignature`, `Unreachable`.
    pub reason: String,
    /// For an operator to read.
    pub detail: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.reason, self.detail)
    }
}

impl Failure {
    pub(crate) fn of(error: &PdsError) -> Self {
        // A host may answer with anything, and this is printed.
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        Failure { reason: error.name(), detail: error.to_string().chars().map(plain).take(500).collect() }
    }

    /// Whether it is the account's PDS's last word, and no fault of anybody: there is nothing to be had.
    pub fn is_final(&self) -> bool {
        ["RepoNotFound", "RepoTakendown", "RepoSuspended", "RepoDeactivated", "NoSuchDid", "Tombstoned"]
            .contains(&self.reason.as_str())
    }
}

impl Progress {
    /// How many have been dealt with.
    pub fn done(&self) -> u64 {
        self.skipped + self.read + self.failed
    }
}

/// Which earlier backfill of the same repos is continued, if it did not come to its end.
#[derive(Debug, Clone, Copy)]
pub enum Since {
    /// Whichever there is.
    Any,
    /// One that began after this.
    After(DateTime<Utc>),
    /// None: from the beginning.
    Anew,
}

/// Reads all repos that a host lists and that have records of ours, as is owed since a hole in its stream. `report` hears
/// of the progress now and then.
pub async fn host(indexer: &Indexer, host: &Url, report: impl Fn(&Progress)) -> anyhow::Result<Progress> {
    // What was read before the hole proves nothing about it.
    let owed_at = sqlx::query_scalar!("select max(owed_at) from source where backfilled_at is null")
        .fetch_one(&indexer.door.pool)
        .await?;
    let since = owed_at.map_or(Since::Any, Since::After);
    host_since(indexer, host, since, report).await
}

/// Reads all repos that a host lists and that have records of ours.
pub async fn host_since(
    indexer: &Indexer,
    host: &Url,
    since: Since,
    report: impl Fn(&Progress),
) -> anyhow::Result<Progress> {
    let key = host.origin().ascii_serialization();
    let ledger = Ledger::open(&indexer.door.pool, key, since).await?;
    reader::read_all(indexer, ledger, Some(host), report).await
}

/// Reads these repos whatever we hold of them.
pub async fn repos(
    indexer: &Indexer,
    mut dids: Vec<Did>,
    since: Since,
    report: impl Fn(&Progress),
) -> anyhow::Result<Progress> {
    dids.sort();
    dids.dedup();
    let mut digest = Sha256::new();
    dids.iter().for_each(|did| digest.update(format!("{did} ")));
    let key = format!("repos {}", hex::encode(digest.finalize()));
    let mut ledger = Ledger::open(&indexer.door.pool, key, since).await?;
    ledger.list_these(&dids).await?;
    reader::read_all(indexer, ledger, None, report).await
}
