//! Merkle search trees: the map from path to CID that a commit signs.
//!
//! A key's place depends on nothing but the set of keys: it lies in the layer given by the zeros that its hash begins
//! with, and a layer's entries are split by the keys of the layers above. So one set has one tree, and a path of nodes
//! proves that a key is in the tree or that it is not. All of that is checked for each node that is read.
//!
//! <https://atproto.com/specs/repository#mst-structure>

mod node;
mod partial;

pub use partial::PartialTree;

pub use node::{Entry, KEY_LEN_MAX, Node, layer_of};

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
    let mut node = read_root(blocks, root)?;
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
        (node, layer) = read_below(blocks, &below, layer)?;
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
    mut visit: impl FnMut(&[u8], &Cid) -> Result<(), E>,
) -> Result<u64, E> {
    let node = read_root(blocks, root)?;
    let Some(layer) = node.layer else { return Ok(0) };
    let mut levels = vec![Level { node, layer, next: 0, key: Vec::new() }];
    let mut last_key = Vec::new();
    let mut count = 0;
    while let Some(level) = levels.last_mut() {
        // Subtrees and entries take turns: the left subtree, an entry, the subtree right of it, and so on.
        let (index, is_subtree) = (level.next / 2, level.next % 2 == 0);
        level.next += 1;
        if is_subtree {
            let subtree = match index.checked_sub(1) {
                None => level.node.left,
                Some(index) => level.node.entries[index].right,
            };
            if let Some(subtree) = subtree {
                let (node, layer) = read_below(blocks, &subtree, level.layer)?;
                levels.push(Level { node, layer, next: 0, key: Vec::new() });
            }
        } else if let Some(entry) = level.node.entries.get(index) {
            entry.rebuild_key(&mut level.key);
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

/// A node in the middle of a walk.
struct Level<'a> {
    node: Node<'a>,
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

fn read<'a>(blocks: &Blocks<'a>, cid: &Cid) -> Result<Node<'a>, MstError> {
    Node::decode(blocks.get(cid).ok_or(MstError::MissingBlock(*cid))?)
}

/// The root: without entries only when the whole tree is empty.
fn read_root<'a>(blocks: &Blocks<'a>, root: &Cid) -> Result<Node<'a>, MstError> {
    let node = read(blocks, root)?;
    if node.entries.is_empty() && node.left.is_some() {
        return Err(MstError::Malformed("a root without entries above other nodes"));
    }
    Ok(node)
}

/// A node below another one of layer `above`, and its own layer: the next lower one. It may be without entries, where
/// a layer is passed through, but not without anything.
fn read_below<'a>(blocks: &Blocks<'a>, cid: &Cid, above: u32) -> Result<(Node<'a>, u32), MstError> {
    let layer = above.checked_sub(1).ok_or(MstError::Malformed("a subtree below layer 0"))?;
    let node = read(blocks, cid)?;
    if node.layer.is_some_and(|own| own != layer) {
        return Err(MstError::Malformed("a key in a layer that is not its own"));
    }
    if node.entries.is_empty() && node.left.is_none() {
        return Err(MstError::Malformed("an empty node below the root"));
    }
    Ok((node, layer))
}

#[cfg(test)]
mod tests;
