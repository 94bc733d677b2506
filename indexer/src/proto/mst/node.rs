//! One node of a Merkle search tree, as its block encodes it.

use cid::Cid;
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use super::MstError;
use crate::proto::{car, cbor};

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireNode<'a> {
    #[serde(borrow)]
    e: Vec<WireEntry<'a>>,
    #[serde(deserialize_with = "nullable")]
    l: Option<Cid>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry<'a> {
    #[serde(borrow)]
    k: &'a serde_bytes::Bytes,
    p: u64,
    #[serde(deserialize_with = "nullable")]
    t: Option<Cid>,
    v: Cid,
}

/// Named, so that serde takes the field to be required: null must be written, not left out.
fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cid>, D::Error> {
    Option::deserialize(deserializer)
}

impl<'a> Node<'a> {
    /// Decodes and checks a node by itself: canonical DAG-CBOR, keys ascending and of one layer, each shortened by
    /// exactly what it shares with the one before, subtree links that can be of nodes. A node in the one valid form
    /// has one CID, on which the tree's rests.
    pub fn decode(block: &'a [u8]) -> Result<Self, MstError> {
        let wire: WireNode<'a> = cbor::decode(block)?;
        let mut node = Node { left: wire.l, entries: Vec::with_capacity(wire.e.len()), layer: None };
        let (mut key, mut last_key) = (Vec::new(), Vec::new());
        for WireEntry { k, p, t, v } in wire.e {
            let prefix_len = usize::try_from(p).unwrap_or(usize::MAX);
            let entry = Entry { prefix_len, suffix: k, value: v, right: t };
            if prefix_len > last_key.len() || prefix_len.saturating_add(k.len()) > KEY_LEN_MAX {
                return Err(MstError::Malformed("a key prefix or a key of excessive length"));
            }
            entry.rebuild_key(&mut key);
            let is_first = node.entries.is_empty();
            if !is_first && key <= last_key {
                return Err(MstError::Malformed("keys out of order"));
            }
            // Above: key is not a prefix of last_key. Equal next bytes mean that more is shared than was said.
            if !is_first && key.get(prefix_len) == last_key.get(prefix_len) {
                return Err(MstError::Malformed("a key not shortened as far as it can be"));
            }
            let layer = layer_of(&key);
            if node.layer.is_some_and(|others| others != layer) {
                return Err(MstError::Malformed("keys of different layers in one node"));
            }
            node.layer = Some(layer);
            node.entries.push(entry);
            last_key.clone_from(&key);
        }
        let mut subtrees =
            node.left.iter().chain(node.entries.iter().filter_map(|entry| entry.right.as_ref()));
        if !subtrees.all(car::names_dag_cbor) {
            return Err(MstError::Malformed("a link to what cannot be a node"));
        }
        Ok(node)
    }
}

impl Entry<'_> {
    /// Turns the key of the entry before (empty for the first entry) into this one's.
    pub fn rebuild_key(&self, key: &mut Vec<u8>) {
        key.truncate(self.prefix_len);
        key.extend_from_slice(self.suffix);
    }
}
