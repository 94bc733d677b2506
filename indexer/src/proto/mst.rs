//! Merkle search trees: the map from path to CID that a commit signs.
//!
//! A key's place depends on nothing but the set of keys: it lies in the layer given by the zeros that its hash begins
//! with, and a layer's entries are split by the keys of the layers above. So one set has one tree, and a path of nodes
//! proves that a key is in the tree or that it is not. All of that is checked for each node that is read.
//!
//! <https://atproto.com/specs/repository#mst-structure>

mod node;
mod partial;

pub use node::{Entry, KEY_LEN_MAX, Node, layer_of};
pub use partial::PartialTree;

use std::borrow::Cow;
use std::ops::Range;

use cid::Cid;

use super::car::{self, BinaryCid, Blocks};
use super::cbor::CborError;

/// Why a tree proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MstError {
    /// The proof needs a block that the CAR file does not hold.
    #[error("block {0} is missing")]
    MissingBlock(Cid),
    /// A node that is not the DAG-CBOR of a node.
    #[error("a tree node is {0}")]
    Cbor(#[from] CborError),
    /// A node that the rules of the tree exclude.
    #[error("a malformed tree: {0}")]
    Malformed(&'static str),
    /// More keys than the caller allows.
    #[error("more keys than allowed")]
    TooManyKeys,
}

/// What stands under `key` in the tree: its CID, or `None` when the path shows that the key is absent.
///
/// Needs only the nodes on the way to the key's place. In a well-formed tree a key can be in no layer but its own, so
/// the search ends there: a file without the nodes below proves absence as well.
pub fn lookup(blocks: &Blocks<'_>, root: &Cid, key: &[u8]) -> Result<Option<Cid>, MstError> {
    let key_layer = layer_of(key);
    let mut node = as_root(read(blocks, root)?)?;
    let Some(mut layer) = node.layer else { return Ok(None) };
    loop {
        let mut below = node.left;
        let mut entry_key = Vec::new();
        for entry in &node.entries {
            entry.rebuild_key(&mut entry_key);
            match entry_key.as_slice().cmp(key) {
                std::cmp::Ordering::Less => below = entry.right,
                std::cmp::Ordering::Equal => return Ok(Some(entry.value)),
                std::cmp::Ordering::Greater => break,
            }
        }
        let Some(below) = below.filter(|_| key_layer < layer) else { return Ok(None) };
        layer = layer_below(layer)?;
        node = as_below(read(blocks, &below)?, layer)?;
    }
}

/// Calls `visit` with every key and CID of the tree in key order; returns how many there are.
///
/// Checks the whole tree: every node is there and in its layer, keys ascend across nodes. Depth is bounded by the
/// layers, of which a node's subtrees are always in the next lower one, and the work by `keys_max`: a node that is
/// linked twice would repeat its keys, and no subtree is without keys.
pub fn walk<E: From<MstError>>(
    blocks: &Blocks<'_>,
    root: &Cid,
    keys_max: u64,
    visit: impl FnMut(&[u8], &Cid) -> Result<(), E>,
) -> Result<u64, E> {
    walk_from(|cid| Ok(blocks.get(cid).map(Cow::Borrowed)), root, keys_max, visit)
}

/// [`walk`] over nodes that lie anywhere: `block_of` answers with the bytes of a CID, `None` when they are missing. Holds
/// one node of each layer at a time.
pub fn walk_from<'a, E: From<MstError>>(
    mut block_of: impl FnMut(&Cid) -> Result<Option<Cow<'a, [u8]>>, E>,
    root: &Cid,
    keys_max: u64,
    mut visit: impl FnMut(&[u8], &Cid) -> Result<(), E>,
) -> Result<u64, E> {
    let mut block = |cid: &Cid| -> Result<Cow<'a, [u8]>, E> {
        block_of(cid)?.ok_or_else(|| MstError::MissingBlock(*cid).into())
    };
    let node = block(root)?;
    let node = as_root(Node::decode(&node)?)?;
    let Some(layer) = node.layer else { return Ok(0) };
    let mut levels = vec![Level::of(&node, layer)];
    let mut last_key = Vec::new();
    let mut count = 0;
    while let Some(level) = levels.last_mut() {
        // Subtrees and entries take turns: the left subtree, an entry, the subtree right of it, and so on.
        let (index, is_subtree) = (level.next / 2, level.next % 2 == 0);
        level.next += 1;
        if is_subtree {
            let subtree = match index.checked_sub(1) {
                None => level.left,
                Some(index) => level.entries[index].right,
            };
            if let Some(subtree) = subtree {
                let layer = layer_below(level.layer)?;
                let node = block(&subtree)?;
                let node = as_below(Node::decode(&node)?, layer)?;
                levels.push(Level::of(&node, layer));
            }
        } else if let Some(entry) = level.entries.get(index) {
            level.key.truncate(entry.prefix_len);
            level.key.extend_from_slice(&level.suffixes[entry.suffix.clone()]);
            if count > 0 && level.key <= last_key {
                return Err(MstError::Malformed("keys out of order").into());
            }
            count += 1;
            if count > keys_max {
                return Err(MstError::TooManyKeys.into());
            }
            last_key.clone_from(&level.key);
            visit(&level.key, &entry.value)?;
        } else {
            levels.pop();
        }
    }
    Ok(count)
}

/// A node in the middle of a walk, apart from the block it was read from.
struct Level {
    left: Option<Cid>,
    entries: Vec<Step>,
    suffixes: Vec<u8>,
    layer: u32,
    next: usize,
    key: Vec<u8>,
}

/// The root of a tree without keys.
pub fn empty_root() -> BinaryCid {
    car::binary_cid_of(b"\xa2\x61e\x80\x61l\xf6")
}

/// A CID in its other form.
pub fn decoded(cid: &BinaryCid) -> Cid {
    Cid::try_from(cid.as_slice()).unwrap_or_default()
}

/// An entry whose suffix lies in its level's `suffixes`.
struct Step {
    prefix_len: usize,
    suffix: Range<usize>,
    value: Cid,
    right: Option<Cid>,
}

impl Level {
    fn of(node: &Node<'_>, layer: u32) -> Self {
        let mut suffixes = Vec::new();
        let step = |entry: &Entry<'_>| {
            let start = suffixes.len();
            suffixes.extend_from_slice(entry.suffix);
            let (prefix_len, suffix) = (entry.prefix_len, start..suffixes.len());
            Step { prefix_len, suffix, value: entry.value, right: entry.right }
        };
        let entries = node.entries.iter().map(step).collect();
        Level { left: node.left, entries, suffixes, layer, next: 0, key: Vec::new() }
    }
}

fn read<'a>(blocks: &Blocks<'a>, cid: &Cid) -> Result<Node<'a>, MstError> {
    Node::decode(blocks.get(cid).ok_or(MstError::MissingBlock(*cid))?)
}

/// The root: without entries only when the whole tree is empty.
fn as_root(node: Node<'_>) -> Result<Node<'_>, MstError> {
    if node.entries.is_empty() && node.left.is_some() {
        return Err(MstError::Malformed("a root without entries above other nodes"));
    }
    Ok(node)
}

fn layer_below(layer: u32) -> Result<u32, MstError> {
    layer.checked_sub(1).ok_or(MstError::Malformed("a subtree below layer 0"))
}

/// A node of `layer` below another one. It may be without entries, where a layer is passed through, but not without
/// anything.
fn as_below(node: Node<'_>, layer: u32) -> Result<Node<'_>, MstError> {
    if node.layer.is_some_and(|own| own != layer) {
        return Err(MstError::Malformed("a key in a layer that is not its own"));
    }
    if node.entries.is_empty() && node.left.is_none() {
        return Err(MstError::Malformed("an empty node below the root"));
    }
    Ok(node)
}

#[cfg(test)]
mod tests;
