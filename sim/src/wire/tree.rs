//! Merkle search trees that remember: a changed tree shares all that did not change with the one before it.
//!
//! So a commit costs the nodes on its way, an earlier state of a repo is a pointer, and hundreds of thousands of commits
//! fit into memory.

mod node;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Cid;
use node::{Entry, Link, Node, raised, split};

/// A record in a tree.
#[derive(Debug)]
pub struct Leaf {
    /// Collection and record key.
    pub path: String,
    /// Its CID.
    pub cid: Cid,
    /// Its DAG-CBOR.
    pub bytes: Bytes,
    /// What its author did to break its lexicon.
    pub breaks: Option<&'static str>,
    layer: u8,
}

impl Leaf {
    /// A record at a path.
    pub fn new(path: String, bytes: Vec<u8>, breaks: Option<&'static str>) -> Arc<Self> {
        let layer = layer(&path);
        Arc::new(Leaf { path, cid: Cid::of(&bytes), bytes: bytes.into(), breaks, layer })
    }
}

/// The layer of a key: half the number of zero bits that its hash begins with.
fn layer(key: &str) -> u8 {
    let hash = Sha256::digest(key);
    let zeros = hash.iter().take_while(|byte| **byte == 0).count() * 8;
    let last = hash.iter().find(|byte| **byte != 0).map_or(0, |byte| byte.leading_zeros() as usize);
    ((zeros + last) / 2) as u8
}

/// A tree. A clone is a pointer.
#[derive(Debug, Clone)]
pub struct Tree(Arc<Node>);

impl Default for Tree {
    fn default() -> Self {
        Tree(Node::new(0, None, Vec::new()))
    }
}

impl Tree {
    /// CID of its root.
    pub fn root(&self) -> Cid {
        self.0.cid
    }

    /// The record at a path.
    pub fn get(&self, path: &str) -> Option<&Arc<Leaf>> {
        let mut node = &self.0;
        loop {
            let at = node.place(path);
            match node.entries.get(at) {
                Some(entry) if entry.leaf.path == path => return Some(&entry.leaf),
                _ => node = node.gap(at).as_ref()?,
            }
        }
    }

    /// The first record at or after a path.
    pub fn first_from(&self, path: &str) -> Option<&Arc<Leaf>> {
        self.0.first_from(path)
    }

    /// The tree with this record, in place of whatever stood at its path.
    pub fn put(&self, leaf: Arc<Leaf>) -> Self {
        let root = &self.0;
        if root.is_empty() {
            return Tree(Node::new(leaf.layer, None, vec![Entry { leaf, right: None }]));
        }
        if leaf.layer <= root.layer {
            return Tree(root.put(leaf));
        }
        let (below, above) = (root.layer, leaf.layer);
        let (left, right) = split(&Some(root.clone()), &leaf.path);
        let raise = |side: Link| side.map(|node| raised(node, below, above - 1));
        let entry = Entry { leaf, right: raise(right) };
        Tree(Node::new(above, raise(left), vec![entry]))
    }

    /// The tree without the record at this path.
    pub fn remove(&self, path: &str) -> Self {
        if self.get(path).is_none() {
            return self.clone();
        }
        let Some(mut root) = self.0.remove(path) else { return Tree::default() };
        while root.entries.is_empty()
            && let Some(left) = &root.left
        {
            root = left.clone();
        }
        Tree(root)
    }

    /// All records in the order of their paths.
    pub fn leaves(&self) -> Vec<Arc<Leaf>> {
        let mut leaves = Vec::new();
        self.0.walk(&mut |node| leaves.extend(node.entries.iter().map(|entry| entry.leaf.clone())));
        leaves.sort_by(|a, b| a.path.cmp(&b.path));
        leaves
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        let mut count = 0;
        self.0.walk(&mut |node| count += node.entries.len());
        count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All nodes.
    pub fn nodes(&self) -> Vec<(Cid, Bytes)> {
        let mut nodes = Vec::new();
        self.0.walk(&mut |node| nodes.push((node.cid, node.block.clone())));
        nodes
    }

    /// The nodes that the searches for `paths` come through, and those beside each path down to the lowest layer: what it
    /// takes to prove them, and to undo a change of them.
    pub fn nodes_towards<'p>(&self, paths: impl IntoIterator<Item = &'p str>) -> Vec<(Cid, Bytes)> {
        let mut paths: Vec<&str> = paths.into_iter().collect();
        paths.sort_unstable();
        let mut nodes = Vec::new();
        self.0.towards(&paths, &mut nodes);
        nodes
    }
}
