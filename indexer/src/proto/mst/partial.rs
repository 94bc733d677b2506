//! A tree of which only some nodes are at hand, to be changed all the same.
//!
//! Nodes are read where a change comes by; all others stay the CIDs that they are known by. The root of the changed tree
//! needs no more than that: what a change does not touch, it does not rename.

mod encode;
mod shape;

use super::MstError;
use super::node::{self, layer_of};
use crate::proto::car::{BinaryCid, Blocks};

/// A tree to be changed, in the blocks of a CAR file.
#[derive(Debug)]
pub struct PartialTree<'a> {
    blocks: &'a Blocks<'a>,
    root: Link<'a>,
    /// Once it has been read.
    root_layer: Option<u32>,
    nodes: Vec<Node<'a>>,
    /// The bytes of all keys, one after another.
    keys: Vec<u8>,
    /// Which blocks have been read. A tree has each of its nodes in one place, so none is read twice, and all of this
    /// takes no more than the blocks allow.
    was_read: Vec<bool>,
}

/// A subtree, or none.
#[derive(Debug, Clone, Copy)]
enum Link<'a> {
    None,
    /// Not looked into.
    Closed(&'a BinaryCid),
    /// Index of its topmost node.
    Open(usize),
}

#[derive(Debug)]
struct Node<'a> {
    layer: u32,
    /// What it was read under, until it is changed.
    cid: Option<&'a BinaryCid>,
    leaves: Vec<Leaf<'a>>,
    /// The subtrees before, between and after the leaves: one more than those.
    links: Vec<Link<'a>>,
}

impl Node<'_> {
    fn is_empty(&self) -> bool {
        self.leaves.is_empty() && matches!(self.links[..], [] | [Link::None])
    }
}

/// A key and what stands under it.
#[derive(Debug, Clone, Copy)]
struct Leaf<'a> {
    key_at: u32,
    key_len: u32,
    /// A binary CID.
    value: &'a [u8],
}

impl<'a> PartialTree<'a> {
    /// The tree below `root`. Nothing is read yet.
    pub fn new(blocks: &'a Blocks<'a>, root: &'a BinaryCid) -> Self {
        PartialTree {
            blocks,
            root: Link::Closed(root),
            root_layer: None,
            nodes: Vec::new(),
            keys: Vec::new(),
            was_read: vec![false; blocks.len()],
        }
    }

    /// The binary CID under `key`. Absence needs the nodes down to the key's layer only, as in [`super::lookup`].
    pub fn get(&mut self, key: &[u8]) -> Result<Option<&'a [u8]>, MstError> {
        let found = self.find(key, layer_of(key), false)?;
        Ok(found.map(|(at, place)| self.nodes[at].leaves[place].value))
    }

    /// Puts another CID under a key that has one; answers the old one, or none where the key is absent.
    pub fn replace(&mut self, key: &[u8], value: &'a [u8]) -> Result<Option<&'a [u8]>, MstError> {
        let found = self.find(key, layer_of(key), true)?;
        Ok(found.map(|(at, place)| std::mem::replace(&mut self.nodes[at].leaves[place].value, value)))
    }

    /// The node and the place in it where `key` stands. To be changed there, all nodes on the way lose their names.
    fn find(&mut self, key: &[u8], layer: u32, change: bool) -> Result<Option<(usize, usize)>, MstError> {
        let mut at = self.open_root()?;
        while let Some(node) = at {
            if change {
                self.nodes[node].cid = None;
            }
            match self.search(node, key) {
                Ok(place) => return Ok(Some((node, place))),
                Err(_) if self.nodes[node].layer <= layer => return Ok(None),
                Err(place) => at = self.open(node, place)?,
            }
        }
        Ok(None)
    }

    /// Where the key stands among a node's leaves, or before which it would.
    fn search(&self, node: usize, key: &[u8]) -> Result<usize, usize> {
        self.nodes[node].leaves.binary_search_by(|leaf| self.key(leaf).cmp(key))
    }

    fn key(&self, leaf: &Leaf<'_>) -> &[u8] {
        let start = leaf.key_at as usize;
        self.keys.get(start..start + leaf.key_len as usize).unwrap_or_default()
    }

    fn leaf(&mut self, key: &[u8], value: &'a [u8]) -> Leaf<'a> {
        let key_at = self.keys.len() as u32;
        self.keys.extend_from_slice(key);
        Leaf { key_at, key_len: key.len() as u32, value }
    }

    fn add(&mut self, node: Node<'a>) -> Link<'a> {
        if node.is_empty() {
            return Link::None;
        }
        self.nodes.push(node);
        Link::Open(self.nodes.len() - 1)
    }

    /// The topmost node; none when the tree is empty.
    fn open_root(&mut self) -> Result<Option<usize>, MstError> {
        match self.root {
            Link::None => Ok(None),
            Link::Open(at) => Ok(Some(at)),
            Link::Closed(cid) => {
                let node = self.read(cid, None)?;
                if node.leaves.is_empty() && !node.is_empty() {
                    return Err(MstError::Malformed("a root without entries above other nodes"));
                }
                self.root_layer = Some(node.layer);
                self.root = self.add(node);
                self.open_root()
            }
        }
    }

    /// The topmost node of one of a node's subtrees.
    fn open(&mut self, node: usize, place: usize) -> Result<Option<usize>, MstError> {
        let Node { layer, ref links, .. } = self.nodes[node];
        let opened = self.opened(links[place], layer)?;
        self.nodes[node].links[place] = opened.map_or(Link::None, Link::Open);
        Ok(opened)
    }

    /// The topmost node of a subtree below the layer `above`.
    fn opened(&mut self, link: Link<'a>, above: u32) -> Result<Option<usize>, MstError> {
        match link {
            Link::None => Ok(None),
            Link::Open(at) => Ok(Some(at)),
            Link::Closed(cid) => {
                let layer = above.checked_sub(1).ok_or(MstError::Malformed("a subtree below layer 0"))?;
                let node = self.read(cid, Some(layer))?;
                if node.is_empty() {
                    return Err(MstError::Malformed("an empty node below the root"));
                }
                self.nodes.push(node);
                Ok(Some(self.nodes.len() - 1))
            }
        }
    }

    /// Reads a node, which must be of the layer given; without one, of whichever its keys are.
    fn read(&mut self, cid: &'a BinaryCid, layer: Option<u32>) -> Result<Node<'a>, MstError> {
        let place = self.blocks.place(cid);
        let place = place.ok_or_else(|| MstError::MissingBlock(super::decoded(cid)))?;
        if std::mem::replace(&mut self.was_read[place], true) {
            return Err(MstError::Malformed("a node in two places"));
        }
        let block = self.blocks.block(place);
        // An entry takes 49 bytes and more.
        let most = block.len() / 49;
        let (mut leaves, mut links) = (Vec::with_capacity(most), Vec::with_capacity(most + 1));
        links.push(Link::None);
        let keys = &mut self.keys;
        let mut last = keys.len()..keys.len();
        let (left, own) = node::read(block, |entry| {
            entry.check(&keys[last.clone()], leaves.is_empty())?;
            let start = keys.len();
            keys.extend_from_within(last.start..last.start + entry.prefix_len);
            keys.extend_from_slice(entry.suffix);
            last = start..keys.len();
            let (key_at, key_len) = (u32::try_from(start), last.len() as u32);
            let key_at = key_at.map_err(|_| MstError::TooManyKeys)?;
            leaves.push(Leaf { key_at, key_len, value: entry.value });
            links.push(entry.right.map_or(Link::None, Link::Closed));
            Ok(layer_of(&keys[last.clone()]))
        })?;
        links[0] = left.map_or(Link::None, Link::Closed);
        match (own, layer) {
            (Some(own), Some(layer)) if own != layer => {
                Err(MstError::Malformed("a key in a layer that is not its own"))
            }
            _ => Ok(Node { layer: own.or(layer).unwrap_or(0), cid: Some(cid), leaves, links }),
        }
    }
}

#[cfg(test)]
mod tests;
