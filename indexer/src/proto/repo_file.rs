//! A whole repo as a CAR file of any size, proven in little memory.
//!
//! Blocks come in any order, so nothing is known of a block when it arrives. [`Intake`] hashes each and puts it down in a
//! nameless file; in memory stays where blocks lie that look like nodes. Once all is here, [`RepoFile::head`] checks the
//! signature, and [`RepoFile::records`] walks the whole tree, writes down which records are wanted, and looks for their
//! blocks in one pass over the file. [`Records`] hands them out in the order of their paths, a stretch at a time.
//!
//! Until the last step nothing is handed out: a file that is incomplete or altered anywhere changes nothing.

mod index;
mod intake;
mod spool;

use std::borrow::Cow;
use std::io::{self, Read};

use cid::Cid;

pub use intake::Intake;

use super::car::{CID_LEN, CarError, cid_of_digest, names_dag_cbor};
use super::commit::SignedCommit;
use super::key::PublicKey;
use super::mst::{self, MstError};
use super::verify::{CommitProblem, ProvenHead, RepoRecord, split_path};
use crate::syntax::Did;
use index::Index;
use spool::Spool;

/// A commit block holds a DID, a signature and little else.
const COMMIT_BYTES_MAX: usize = 64 << 10;
/// What precedes a block in the spool: its length and its CID.
const BLOCK_HEAD_LEN: usize = 4 + CID_LEN;
const DIGEST_LEN: usize = 32;

/// How much of a repo is taken before it is refused.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of the whole file.
    pub total_bytes: u64,
    /// Of one block.
    pub block_bytes: u64,
    /// Number of blocks, repeated ones counted each time.
    pub blocks: u64,
    /// Of one node of the tree; some hundred in a lawful one.
    pub node_bytes: usize,
    /// Number of nodes: 16 bytes of memory for each.
    pub nodes: usize,
    /// Number of records wanted: 16 bytes of memory for each.
    pub wanted: usize,
}

impl Default for Limits {
    /// The largest repos known are of some hundred megabytes and some million records.
    fn default() -> Self {
        Limits {
            total_bytes: 512 << 20,
            block_bytes: 2 << 20,
            blocks: 10_000_000,
            node_bytes: 1 << 20,
            nodes: 2_000_000,
            wanted: 1_000_000,
        }
    }
}

/// Why a file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum RepoFileError {
    /// It does not prove what it should.
    #[error(transparent)]
    Unproven(#[from] CommitProblem),
    /// It could not be put down, or not read again: the disk is full or broken.
    #[error("spool: {0}")]
    Spool(#[from] io::Error),
}

impl From<CarError> for RepoFileError {
    fn from(error: CarError) -> Self {
        RepoFileError::Unproven(error.into())
    }
}

impl From<MstError> for RepoFileError {
    fn from(error: MstError) -> Self {
        RepoFileError::Unproven(error.into())
    }
}

/// A repo's file, all of it here and every block what its CID names.
#[derive(Debug)]
pub struct RepoFile {
    limits: Limits,
    root: Cid,
    commit: Option<Vec<u8>>,
    spool: Spool,
    nodes: Index,
    blocks: u64,
}

impl RepoFile {
    /// The commit that the file is of: an account's own, signed with `key`. May be asked again with another key.
    pub fn head(&self, did: &Did, key: &PublicKey) -> Result<ProvenHead, CommitProblem> {
        let block = self.commit.as_deref().ok_or(CommitProblem::BlockMissing(self.root))?;
        if block.len() > COMMIT_BYTES_MAX {
            return Err(CarError::TooLarge("the bytes of a commit").into());
        }
        let commit = SignedCommit::decode(block)?;
        if commit.did != *did {
            return Err(CommitProblem::DidMismatch(commit.did));
        }
        commit.verify(key)?;
        Ok(ProvenHead { did: commit.did, rev: commit.rev, data: commit.data })
    }

    /// Proves the tree under `data` as a whole, and that the blocks of all records are here whose collection is `wanted`.
    /// The others are counted, and their blocks may be missing.
    pub fn records(self, data: &Cid, wanted: impl Fn(&str) -> bool) -> Result<Records, RepoFileError> {
        let mut list = self.spool.sibling();
        let mut places = Index::default();
        let count = mst::walk_from(
            |cid| self.node(cid),
            data,
            self.limits.blocks,
            |path, cid| {
                let text = &String::from_utf8_lossy(path);
                if !text.split_once('/').is_some_and(|(collection, _)| wanted(collection)) {
                    return Ok(());
                }
                split_path(text)?;
                if !names_dag_cbor(cid) {
                    return Err(CommitProblem::NotARecord(text.to_string()).into());
                }
                if places.len() >= self.limits.wanted {
                    return Err(CarError::TooLarge("the number of records").into());
                }
                places.add(cid.hash().digest(), MISSING);
                list.append(&(path.len() as u16).to_be_bytes())?;
                list.append(path)?;
                list.append(cid.hash().digest())?;
                Ok::<_, RepoFileError>(())
            },
        )?;
        let unwanted = count - places.len() as u64;
        places.close();
        self.find_places(&mut places)?;
        let mut records = Records { spool: self.spool, list, at: 0, places, unwanted };
        records.expect_all()?;
        Ok(records)
    }

    fn node(&self, cid: &Cid) -> Result<Option<Cow<'static, [u8]>>, RepoFileError> {
        let digest = cid.hash().digest();
        let Some(at) = self.nodes.find(digest) else { return Ok(None) };
        Ok(block_at(&self.spool, at, digest, self.limits.node_bytes)?.map(Cow::Owned))
    }

    /// Looks at every block once, in the order in which they lie.
    fn find_places(&self, places: &mut Index) -> Result<(), RepoFileError> {
        if places.len() == 0 {
            return Ok(());
        }
        let mut reader = self.spool.reader(0);
        let mut at = 0;
        for _ in 0..self.blocks {
            let mut head = [0; BLOCK_HEAD_LEN];
            reader.read_exact(&mut head)?;
            let (len, digest) = read_head(&head);
            if let Some(place) = places.place_of(digest) {
                *place = at;
            }
            io::copy(&mut (&mut reader).take(len as u64), &mut io::sink())?;
            at += (BLOCK_HEAD_LEN + len) as u64;
        }
        Ok(())
    }
}

/// Stands for a place not found.
const MISSING: u64 = u64::MAX;

fn read_head(head: &[u8; BLOCK_HEAD_LEN]) -> (usize, &[u8]) {
    let len = head.first_chunk().map_or(0, |len| u32::from_be_bytes(*len));
    (len as usize, &head[BLOCK_HEAD_LEN - DIGEST_LEN..])
}

/// The block at a place, if it is the one with this digest.
fn block_at(
    spool: &Spool,
    at: u64,
    digest: &[u8],
    max_bytes: usize,
) -> Result<Option<Vec<u8>>, RepoFileError> {
    let mut head = [0; BLOCK_HEAD_LEN];
    spool.read_at(at, &mut head)?;
    let (len, found) = read_head(&head);
    if found != digest {
        return Ok(None);
    }
    if len > max_bytes {
        return Err(MstError::Malformed("a node of excessive size").into());
    }
    let mut block = vec![0; len];
    spool.read_at(at + BLOCK_HEAD_LEN as u64, &mut block)?;
    Ok(Some(block))
}

/// The wanted records of a repo that is proven, in the order of their paths.
#[derive(Debug)]
pub struct Records {
    spool: Spool,
    /// Path and digest of each.
    list: Spool,
    /// How much of the list has been handed out.
    at: u64,
    places: Index,
    unwanted: u64,
}

impl Records {
    /// How many records the other collections have.
    pub fn unwanted(&self) -> u64 {
        self.unwanted
    }

    /// The next records: at most `records_max`, and no more once they have `bytes_max` bytes. Empty at the end.
    pub fn stretch(
        &mut self,
        records_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<RepoRecord>, RepoFileError> {
        let (mut records, mut size_bytes) = (Vec::new(), 0);
        while records.len() < records_max && size_bytes < bytes_max {
            let Some((path, digest)) = self.next()? else { break };
            let (collection, rkey) = split_path(&path)?;
            let cid = cid_of_digest(&digest);
            let at = self.places.find(&digest).filter(|at| *at != MISSING);
            let block = at.map(|at| block_at(&self.spool, at, &digest, usize::MAX)).transpose()?.flatten();
            let bytes = block.ok_or(CommitProblem::BlockMissing(cid))?;
            size_bytes += bytes.len();
            records.push(RepoRecord { collection, rkey, cid, bytes });
        }
        Ok(records)
    }

    /// Whether all have been handed out.
    pub fn is_at_end(&self) -> bool {
        self.at == self.list.len()
    }

    fn next(&mut self) -> Result<Option<(String, [u8; DIGEST_LEN])>, RepoFileError> {
        if self.is_at_end() {
            return Ok(None);
        }
        let (mut len, mut digest) = ([0; 2], [0; DIGEST_LEN]);
        self.list.read_at(self.at, &mut len)?;
        let mut path = vec![0; u16::from_be_bytes(len).into()];
        self.list.read_at(self.at + 2, &mut path)?;
        self.list.read_at(self.at + 2 + path.len() as u64, &mut digest)?;
        self.at += (2 + path.len() + DIGEST_LEN) as u64;
        Ok(Some((String::from_utf8_lossy(&path).into_owned(), digest)))
    }

    /// Before any is handed out: the block of each must be here.
    fn expect_all(&mut self) -> Result<(), RepoFileError> {
        while let Some((_, digest)) = self.next()? {
            let at = self.places.find(&digest).filter(|at| *at != MISSING);
            let mut head = [0; BLOCK_HEAD_LEN];
            if let Some(at) = at {
                self.spool.read_at(at, &mut head)?;
            }
            if at.is_none() || read_head(&head).1 != digest {
                return Err(CommitProblem::BlockMissing(cid_of_digest(&digest)).into());
            }
        }
        self.at = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
