//! One node of a Merkle search tree, as its block encodes it.

use cid::Cid;
use sha2::{Digest, Sha256};

use super::{MstError, decoded};
use crate::proto::car::{self, BinaryCid};
use crate::proto::cbor::Reader;

/// Bytes that a key may have, which keeps keys compressed to almost nothing from filling memory when rebuilt. The
/// longest lawful path has 830.
pub const KEY_LEN_MAX: usize = 1024;

/// The layer that a key lies in: zero bits at the front of its SHA-256, in pairs.
pub fn layer_of(key: &[u8]) -> u32 {
    let mut zeros = 0;
    for byte in Sha256::digest(key) {
        zeros += byte.leading_zeros();
        if byte != 0 {
            break;
        }
    }
    zeros / 2
}

/// A node: entries in key order, and the subtrees between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node<'a> {
    /// The subtree of keys before the first entry.
    pub left: Option<Cid>,
    /// The node's own keys, all of one layer.
    pub entries: Vec<Entry<'a>>,
    /// The layer of the entries; `None` without entries.
    pub layer: Option<u32>,
}

/// One key of a node, shortened by what it shares with the key before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Bytes shared with the key before it in the node; 0 for the first.
    pub prefix_len: usize,
    /// The rest of the key.
    pub suffix: &'a [u8],
    /// What stands under the key.
    pub value: Cid,
    /// The subtree of keys between this one and the next of the node.
    pub right: Option<Cid>,
}

impl<'a> Node<'a> {
    /// Decodes and checks a node by itself: canonical DAG-CBOR, keys ascending and of one layer, each shortened by
    /// exactly what it shares with the one before, subtree links that can be of nodes. A node in the one valid form
    /// has one CID, on which the tree's rests.
    pub fn decode(block: &'a [u8]) -> Result<Self, MstError> {
        let (mut entries, mut key) = (Vec::new(), Vec::new());
        let (left, layer) = read(block, |entry| {
            entry.check(&key, entries.is_empty())?;
            let entry = Entry {
                prefix_len: entry.prefix_len,
                suffix: entry.suffix,
                value: Cid::try_from(entry.value).unwrap_or_default(),
                right: entry.right.map(decoded),
            };
            entry.rebuild_key(&mut key);
            entries.push(entry);
            Ok(layer_of(&key))
        })?;
        Ok(Node { left: left.map(decoded), entries, layer })
    }
}

impl Entry<'_> {
    /// Turns the key of the entry before (empty for the first entry) into this one's.
    pub fn rebuild_key(&self, key: &mut Vec<u8>) {
        key.truncate(self.prefix_len);
        key.extend_from_slice(self.suffix);
    }
}

/// An entry as it stands in a block.
pub(super) struct WireEntry<'a> {
    pub(super) prefix_len: usize,
    pub(super) suffix: &'a [u8],
    /// A binary CID of any form.
    pub(super) value: &'a [u8],
    pub(super) right: Option<&'a BinaryCid>,
}

impl WireEntry<'_> {
    /// Checks the key against the one before it, which is empty for the first.
    pub(super) fn check(&self, before: &[u8], is_first: bool) -> Result<(), MstError> {
        let unshared = before.get(self.prefix_len..);
        let Some(unshared) = unshared.filter(|_| self.prefix_len + self.suffix.len() <= KEY_LEN_MAX) else {
            return Err(MstError::Malformed("a key prefix or a key of excessive length"));
        };
        if is_first {
            return Ok(());
        }
        if self.suffix <= unshared {
            return Err(MstError::Malformed("keys out of order"));
        }
        // The suffix has a first byte, being the greater one. Equal ones mean that more is shared than was said.
        if self.suffix.first() == unshared.first() {
            return Err(MstError::Malformed("a key not shortened as far as it can be"));
        }
        Ok(())
    }
}

/// Reads a node from its one encoding, in which every field has its place. `entry` takes one entry after another and
/// answers the layer of its key. Answers the leftmost subtree and the layer of all entries.
pub(super) fn read<'a>(
    block: &'a [u8],
    mut entry: impl FnMut(WireEntry<'a>) -> Result<u32, MstError>,
) -> Result<(Option<&'a BinaryCid>, Option<u32>), MstError> {
    const SHAPE: &str = "not the fields of a tree node";
    let mut reader = Reader::new(block);
    let mut layer = None;
    reader.literal(b"\xa2\x61e", SHAPE)?;
    for _ in 0..reader.canonical(4, SHAPE)? {
        reader.literal(b"\xa4\x61k", SHAPE)?;
        let suffix = reader.byte_string()?;
        reader.literal(b"\x61p", SHAPE)?;
        let prefix_len = usize::try_from(reader.canonical(0, SHAPE)?).unwrap_or(usize::MAX);
        reader.literal(b"\x61t", SHAPE)?;
        let right = subtree(&mut reader)?;
        reader.literal(b"\x61v", SHAPE)?;
        let own = entry(WireEntry { prefix_len, suffix, value: reader.cid()?, right })?;
        if layer.is_some_and(|others| others != own) {
            return Err(MstError::Malformed("keys of different layers in one node"));
        }
        layer = Some(own);
    }
    reader.literal(b"\x61l", SHAPE)?;
    let left = subtree(&mut reader)?;
    reader.end()?;
    Ok((left, layer))
}

fn subtree<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a BinaryCid>, MstError> {
    if reader.null() {
        return Ok(None);
    }
    let cid = car::as_dag_cbor(reader.cid()?);
    cid.map(Some).ok_or(MstError::Malformed("a link to what cannot be a node"))
}
