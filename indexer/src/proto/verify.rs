//! Proofs: from an account's key to the bytes of its records.
//!
//! A commit's signature covers the root of the repo's tree, the tree's nodes cover every path and CID, and a CID covers
//! its bytes. Each function here follows that chain for one of the forms in which the network delivers it.
//!
//! A live commit is proven in both directions: its operations stand in the tree after it, and undone they give the tree
//! before it, so it names all of its changes. Whether that tree is the one we hold is for whoever holds it to say.

mod inversion;
mod problem;

use cid::Cid;

pub use problem::CommitProblem;

use super::car::{self, Blocks, CarLimits};
use super::commit::SignedCommit;
use super::frame::{CommitFrame, RECORD_BYTES_MAX, SyncFrame};
use super::key::PublicKey;
use super::mst;
use crate::sabotage;
use crate::syntax::{Did, Nsid, Rkey, Tid};

/// Bytes that the path of an operation may have; the longest lawful one has 830.
const PATH_LEN_MAX: usize = 1024;

/// A commit that its account signed, with those of its changes that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenCommit {
    /// Whose repo.
    pub did: Did,
    /// The revision it made.
    pub rev: Tid,
    /// The revision before it, as the event says; the signature does not cover it.
    pub since: Option<Tid>,
    /// The tree's root before it: what undoing all of the commit's operations gives. `None` where it is not told, so that
    /// nothing is known of what else the commit changed; and for a repo's first commit, before which there was nothing.
    pub prev_data: Option<Cid>,
    /// The tree's root after it.
    pub data: Cid,
    /// The changes to wanted collections, one for each path, in the order of the event.
    pub ops: Vec<ProvenOp>,
}

/// What one record is after a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenOp {
    /// Its collection.
    pub collection: Nsid,
    /// Its key.
    pub rkey: Rkey,
    /// Its state.
    pub op: Op,
}

/// The state that an operation leaves a record in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// The record is this.
    Put {
        /// Its CID, which stands in the tree.
        cid: Cid,
        /// What the CID names: DAG-CBOR by the CID's word, not decoded yet.
        bytes: Vec<u8>,
    },
    /// There is no record: the tree has nothing at its path.
    Delete,
}

/// The state of a repo, from a commit that its account signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenHead {
    /// Whose repo.
    pub did: Did,
    /// The revision.
    pub rev: Tid,
    /// The tree's root.
    pub data: Cid,
}

/// One record, or its absence, at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenRecord {
    /// The revision of the commit that proves it; the record itself may be older.
    pub rev: Tid,
    /// The tree's root.
    pub data: Cid,
    /// The record's CID and bytes; `None` when the tree has nothing at its path.
    pub value: Option<(Cid, Vec<u8>)>,
}

/// A whole repo at a revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenRepo {
    /// The revision.
    pub rev: Tid,
    /// The tree's root.
    pub data: Cid,
    /// All records of wanted collections, in the order of their paths.
    pub records: Vec<RepoRecord>,
    /// How many records the other collections have.
    pub unwanted: u64,
}

/// One record of a whole repo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoRecord {
    /// Its collection.
    pub collection: Nsid,
    /// Its key.
    pub rkey: Rkey,
    /// Its CID, which stands in the tree.
    pub cid: Cid,
    /// What the CID names: DAG-CBOR by the CID's word, not decoded yet.
    pub bytes: Vec<u8>,
}

/// Proves a `#commit` event: its blocks, its signature, that all of its operations stand in the tree, and that undone they
/// give the tree before, which for a repo's first commit is the empty one. Records are needed and returned of the
/// collections that `wanted` accepts.
///
/// One commit may touch a path more than once (delete it and create it again); what the tree holds is the outcome, so
/// only that is returned.
///
/// A host older than Sync 1.1 tells no root before the commit, and of records neither. Then the wanted operations must
/// stand in the tree, and `prev_data` is none.
///
/// Answers [`CommitProblem::BadSignature`] for nothing but the signature: worth another try with a key looked up anew.
pub fn verify_commit(
    event: &CommitFrame,
    key: &PublicKey,
    wanted: impl Fn(&str) -> bool,
) -> Result<ProvenCommit, CommitProblem> {
    let blocks = Blocks::read(&event.blocks, &CarLimits::COMMIT)?;
    if *blocks.root() != event.commit {
        return Err(CommitProblem::RootMismatch);
    }
    let commit = signed_commit(&blocks, &event.repo, Some(&event.rev), key)?;
    let is_told = event.since.is_none() || event.prev_data.is_some();
    let changes = inversion::fold(&event.ops, is_told)?;
    if is_told {
        inversion::check(event, &blocks, &commit.data, &changes)?;
    }
    let mut ops = Vec::with_capacity(changes.len());
    for change in changes {
        let is_wanted = wanted(change.collection.as_str());
        if !is_told && is_wanted {
            inversion::find(&blocks, &commit.data, &change)?;
        }
        let block = change.after.and_then(|cid| blocks.get(&cid));
        if let Some(block) = block.filter(|block| block.len() > RECORD_BYTES_MAX) {
            return Err(CommitProblem::RecordTooLarge(block.len()));
        }
        if is_wanted {
            let op = match change.after {
                Some(cid) => Op::Put { cid, bytes: record(block, &cid, change.path)?.to_vec() },
                None => Op::Delete,
            };
            ops.push(ProvenOp { collection: change.collection, rkey: change.rkey, op });
        }
    }
    Ok(ProvenCommit {
        did: commit.did,
        rev: commit.rev,
        since: event.since.clone(),
        prev_data: event.prev_data.filter(|_| event.since.is_some()),
        data: commit.data,
        ops,
    })
}

/// Proves a `#sync` event: a commit and its signature.
pub fn verify_sync(event: &SyncFrame, key: &PublicKey) -> Result<ProvenHead, CommitProblem> {
    let blocks = Blocks::read(&event.blocks, &CarLimits::SYNC)?;
    let commit = signed_commit(&blocks, &event.did, Some(&event.rev), key)?;
    Ok(ProvenHead { did: commit.did, rev: commit.rev, data: commit.data })
}

/// Proves what `com.atproto.sync.getRecord` answered about one record of `did`: that it is this, or that there is none.
pub fn verify_record(
    car: &[u8],
    did: &Did,
    key: &PublicKey,
    collection: &Nsid,
    rkey: &Rkey,
) -> Result<ProvenRecord, CommitProblem> {
    let blocks = Blocks::read(car, &CarLimits::RECORD)?;
    let commit = signed_commit(&blocks, did, None, key)?;
    let path = format!("{collection}/{rkey}");
    let value = match mst::lookup(&blocks, &commit.data, path.as_bytes())? {
        Some(cid) => Some((cid, record(blocks.get(&cid), &cid, &path)?.to_vec())),
        None => None,
    };
    Ok(ProvenRecord { rev: commit.rev, data: commit.data, value })
}

/// Proves what `com.atproto.sync.getRepo` answered: the whole repo of `did`, with the records of collections that
/// `wanted` accepts. The others are counted, and their blocks may be missing.
pub fn verify_repo(
    car: &[u8],
    did: &Did,
    key: &PublicKey,
    wanted: impl Fn(&str) -> bool,
) -> Result<ProvenRepo, CommitProblem> {
    let blocks = Blocks::read(car, &CarLimits::REPO)?;
    let commit = signed_commit(&blocks, did, None, key)?;
    let mut records = Vec::new();
    let count = mst::walk(&blocks, &commit.data, CarLimits::REPO.blocks as u64, |path, cid| {
        let path = String::from_utf8_lossy(path);
        if path.split_once('/').is_some_and(|(collection, _)| wanted(collection)) {
            let (collection, rkey) = split_path(&path)?;
            let bytes = record(blocks.get(cid), cid, &path)?.to_vec();
            records.push(RepoRecord { collection, rkey, cid: *cid, bytes });
        }
        Ok::<_, CommitProblem>(())
    })?;
    let unwanted = count - records.len() as u64;
    Ok(ProvenRepo { rev: commit.rev, data: commit.data, records, unwanted })
}

/// The commit that is the root of `blocks`, signed with `key`, of the account and revision expected.
fn signed_commit(
    blocks: &Blocks<'_>,
    did: &Did,
    rev: Option<&Tid>,
    key: &PublicKey,
) -> Result<SignedCommit, CommitProblem> {
    let block = blocks.get(blocks.root()).ok_or(CommitProblem::BlockMissing(*blocks.root()))?;
    let commit = SignedCommit::decode(block)?;
    if commit.did != *did && !sabotage::is_on("did-not-compared") {
        return Err(CommitProblem::DidMismatch(commit.did));
    }
    if rev.is_some_and(|rev| commit.rev != *rev) && !sabotage::is_on("rev-not-compared") {
        return Err(CommitProblem::RevMismatch(commit.rev));
    }
    if !sabotage::is_on("accept-any-signature") {
        commit.verify(key)?;
    }
    Ok(commit)
}

fn record<'a>(block: Option<&'a [u8]>, cid: &Cid, path: &str) -> Result<&'a [u8], CommitProblem> {
    if !car::names_dag_cbor(cid) {
        return Err(CommitProblem::NotARecord(path.to_owned()));
    }
    block.ok_or(CommitProblem::BlockMissing(*cid))
}

pub(super) fn split_path(path: &str) -> Result<(Nsid, Rkey), CommitProblem> {
    let parts = path.split_once('/').filter(|_| path.len() <= PATH_LEN_MAX);
    parts
        .and_then(|(collection, rkey)| Some((collection.parse().ok()?, rkey.parse().ok()?)))
        .ok_or_else(|| CommitProblem::BadPath(path.chars().take(PATH_LEN_MAX).collect()))
}

#[cfg(test)]
mod tests;
