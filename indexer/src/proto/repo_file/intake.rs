//! A CAR file taken in as it arrives: cut into blocks, each hashed, put down, and noted when it may be a node of the tree.

use cid::Cid;

use super::index::Index;
use super::spool::Spool;
use super::{Limits, RepoFile, RepoFileError};
use crate::proto::car::{CID_LEN, CarError, check_block, length, root_of};

/// A header names a root or two.
const HEADER_BYTES_MAX: u64 = 64 << 10;
/// A length takes nine bytes at most.
const LENGTH_BYTES_MAX: usize = 9;

/// A file that is arriving.
#[derive(Debug)]
pub struct Intake {
    limits: Limits,
    /// The beginning of a section whose end has not arrived.
    pending: Vec<u8>,
    root: Option<Cid>,
    commit: Option<Vec<u8>>,
    spool: Spool,
    nodes: Index,
    arrived_bytes: u64,
    blocks: u64,
}

impl Intake {
    /// Nothing has arrived yet; what is too much for memory goes into a nameless file in `dir`.
    pub fn new(dir: &std::path::Path, limits: Limits) -> Self {
        let (spool, nodes) = (Spool::new(dir), Index::default());
        let (pending, root, commit) = (Vec::new(), None, None);
        Intake { limits, pending, root, commit, spool, nodes, arrived_bytes: 0, blocks: 0 }
    }

    /// Takes the next bytes. After an error nothing of the file is of use.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), RepoFileError> {
        self.arrived_bytes += piece.len() as u64;
        if self.arrived_bytes > self.limits.total_bytes {
            return Err(CarError::TooLarge("the bytes of a file").into());
        }
        // A section that began in an earlier piece is put together first, by as little copying as possible.
        while !self.pending.is_empty() {
            let mut section = std::mem::take(&mut self.pending);
            let missing = match self.section_len(&section)? {
                Some(whole) => whole - section.len(),
                None => 1,
            };
            let (now, rest) = piece.split_at(missing.min(piece.len()));
            section.extend_from_slice(now);
            piece = rest;
            if self.section_len(&section)? == Some(section.len()) {
                self.section(&section)?;
                section.clear();
                self.pending = section;
                break;
            }
            self.pending = section;
            if piece.is_empty() {
                return Ok(());
            }
        }
        while let Some(len) = self.section_len(piece)?.filter(|len| *len <= piece.len()) {
            let (section, rest) = piece.split_at(len);
            self.section(section)?;
            piece = rest;
        }
        self.pending.extend_from_slice(piece);
        Ok(())
    }

    /// Everything has arrived.
    pub fn finish(self) -> Result<RepoFile, RepoFileError> {
        let root = self.root.filter(|_| self.pending.is_empty()).ok_or(CarError::Truncated)?;
        let Intake { limits, commit, spool, mut nodes, blocks, .. } = self;
        nodes.close();
        Ok(RepoFile { limits, root, commit, spool, nodes, blocks })
    }

    /// The length of the section that `bytes` begin with, its own statement of it included; none while that is incomplete.
    fn section_len(&self, bytes: &[u8]) -> Result<Option<usize>, CarError> {
        let Some((len, head_len)) = length(&bytes[..bytes.len().min(LENGTH_BYTES_MAX + 1)])? else {
            return Ok(None);
        };
        let (max, what) = match self.root {
            None => (HEADER_BYTES_MAX, "the bytes of a header"),
            Some(_) => (self.limits.block_bytes + CID_LEN as u64, "the bytes of a block"),
        };
        // Before anything of it is waited for.
        if len > max {
            return Err(CarError::TooLarge(what));
        }
        Ok(Some(head_len + len as usize))
    }

    fn section(&mut self, section: &[u8]) -> Result<(), RepoFileError> {
        let head_len = length(section)?.ok_or(CarError::Truncated)?.1;
        let body = &section[head_len..];
        let Some(root) = &self.root else {
            self.root = Some(root_of(body)?);
            return Ok(());
        };
        let (cid, data) = body.split_at_checked(CID_LEN).ok_or(CarError::UnsupportedCid)?;
        self.blocks += 1;
        if self.blocks > self.limits.blocks {
            return Err(CarError::TooLarge("the number of blocks").into());
        }
        check_block(cid, data)?;
        if self.commit.is_none() && Cid::try_from(cid).is_ok_and(|cid| cid == *root) {
            self.commit = Some(data.to_vec());
        }
        if looks_like_a_node(data) {
            if self.nodes.len() >= self.limits.nodes {
                return Err(CarError::TooLarge("the number of nodes").into());
            }
            self.nodes.add(&cid[4..], self.spool.len());
        }
        let len = (data.len() as u32).to_be_bytes();
        self.spool.append(&len)?;
        self.spool.append(cid)?;
        self.spool.append(data)?;
        Ok(())
    }
}

/// A map of two entries, the first of them `e`: all nodes are, and hardly a record is.
fn looks_like_a_node(block: &[u8]) -> bool {
    block.starts_with(&[0xa2, 0x61, b'e'])
}
