//! Merkle search trees that remember: a changed tree shares all that did not change with the one before it.
//!
//! So a commit costs the nodes on its way, an earlier state of a repo is a pointer, and hundreds of thousands of commits
//! fit into memory.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::Cid;
use super::value::{head, link, text};

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

type Link = Option<Arc<Node>>;

#[derive(Debug)]
struct Node {
    layer: u8,
    left: Link,
    entries: Vec<Entry>,
    cid: Cid,
    block: Bytes,
}

#[derive(Debug, Clone)]
struct Entry {
    leaf: Arc<Leaf>,
    right: Link,
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

impl Node {
    fn new(layer: u8, left: Link, entries: Vec<Entry>) -> Arc<Self> {
        let block = encode(left.as_ref(), &entries);
        Arc::new(Node { layer, left, entries, cid: Cid::of(&block), block: block.into() })
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.left.is_none()
    }

    /// How many entries come before this path.
    fn place(&self, path: &str) -> usize {
        self.entries.partition_point(|entry| entry.leaf.path.as_str() < path)
    }

    /// What lies below, before the entry at this place.
    fn gap(&self, at: usize) -> &Link {
        match at.checked_sub(1) {
            Some(before) => &self.entries[before].right,
            None => &self.left,
        }
    }

    fn first_from(&self, path: &str) -> Option<&Arc<Leaf>> {
        let at = self.place(path);
        let below = self.gap(at).as_ref().and_then(|child| child.first_from(path));
        below.or_else(|| Some(&self.entries.get(at)?.leaf))
    }

    /// The same node with another link in a gap.
    fn with_gap(&self, at: usize, link: Link) -> Arc<Self> {
        let (mut left, mut entries) = (self.left.clone(), self.entries.clone());
        set_gap(&mut left, &mut entries, at, link);
        Node::new(self.layer, left, entries)
    }

    fn put(&self, leaf: Arc<Leaf>) -> Arc<Self> {
        let at = self.place(&leaf.path);
        if leaf.layer < self.layer {
            let below = match self.gap(at) {
                Some(child) => child.put(leaf),
                None => {
                    let lowest = leaf.layer;
                    raised(Node::new(lowest, None, vec![Entry { leaf, right: None }]), lowest, self.layer - 1)
                }
            };
            return self.with_gap(at, Some(below));
        }
        let (mut left, mut entries) = (self.left.clone(), self.entries.clone());
        if entries.get(at).is_some_and(|entry| entry.leaf.path == leaf.path) {
            entries[at].leaf = leaf;
        } else {
            let (before, after) = split(self.gap(at), &leaf.path);
            set_gap(&mut left, &mut entries, at, before);
            entries.insert(at, Entry { leaf, right: after });
        }
        Node::new(self.layer, left, entries)
    }

    /// Without the record at this path, which is in here; none when nothing remains.
    fn remove(&self, path: &str) -> Link {
        let at = self.place(path);
        let (mut left, mut entries) = (self.left.clone(), self.entries.clone());
        let link = match self.entries.get(at) {
            Some(entry) if entry.leaf.path == path => {
                entries.remove(at);
                merge(self.gap(at), &entry.right)
            }
            _ => self.gap(at).as_ref().and_then(|child| child.remove(path)),
        };
        set_gap(&mut left, &mut entries, at, link);
        (left.is_some() || !entries.is_empty()).then(|| Node::new(self.layer, left, entries))
    }

    fn walk(&self, visit: &mut impl FnMut(&Node)) {
        visit(self);
        for at in 0..=self.entries.len() {
            if let Some(child) = self.gap(at) {
                child.walk(visit);
            }
        }
    }

    fn towards(&self, paths: &[&str], out: &mut Vec<(Cid, Bytes)>) {
        out.push((self.cid, self.block.clone()));
        for at in 0..=self.entries.len() {
            let Some(child) = self.gap(at) else { continue };
            let bound = |at: usize| self.entries.get(at).map(|entry| entry.leaf.path.as_str());
            // The bounds themselves belong to it: who takes a key out must know what moves together beside it.
            let from =
                at.checked_sub(1).and_then(bound).map_or(0, |low| paths.partition_point(|path| *path < low));
            let upto = bound(at).map_or(paths.len(), |high| paths.partition_point(|path| *path <= high));
            if from < upto {
                child.towards(&paths[from..upto], out);
            }
        }
    }
}

fn set_gap(left: &mut Link, entries: &mut [Entry], at: usize, link: Link) {
    match at.checked_sub(1) {
        Some(before) => entries[before].right = link,
        None => *left = link,
    }
}

/// A node with empty ones above it, up to a layer.
fn raised(mut node: Arc<Node>, from: u8, upto: u8) -> Arc<Node> {
    for layer in from..upto {
        node = Node::new(layer + 1, Some(node), Vec::new());
    }
    node
}

/// What lies before a path that is not in there, and what lies after it.
fn split(link: &Link, path: &str) -> (Link, Link) {
    let Some(node) = link else { return (None, None) };
    let at = node.place(path);
    let (before, after) = split(node.gap(at), path);
    let (mut left, mut entries) = (node.left.clone(), node.entries[..at].to_vec());
    set_gap(&mut left, &mut entries, at, before);
    let some = |left: Link, entries: Vec<Entry>| {
        (left.is_some() || !entries.is_empty()).then(|| Node::new(node.layer, left, entries))
    };
    (some(left, entries), some(after, node.entries[at..].to_vec()))
}

/// Two neighbours of one layer as one node.
fn merge(before: &Link, after: &Link) -> Link {
    let (Some(a), Some(b)) = (before, after) else { return before.clone().or_else(|| after.clone()) };
    let (mut left, mut entries) = (a.left.clone(), a.entries.clone());
    let seam = entries.len();
    set_gap(&mut left, &mut entries, seam, merge(a.gap(seam), &b.left));
    entries.extend_from_slice(&b.entries);
    Some(Node::new(a.layer, left, entries))
}

fn encode(left: Option<&Arc<Node>>, entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + entries.len() * 110);
    head(&mut out, 5, 2);
    text(&mut out, "e");
    head(&mut out, 4, entries.len() as u64);
    let mut last: &[u8] = &[];
    for entry in entries {
        let key = entry.leaf.path.as_bytes();
        let shared = key.iter().zip(last).take_while(|(a, b)| a == b).count();
        head(&mut out, 5, 4);
        text(&mut out, "k");
        head(&mut out, 2, (key.len() - shared) as u64);
        out.extend_from_slice(&key[shared..]);
        text(&mut out, "p");
        head(&mut out, 0, shared as u64);
        text(&mut out, "t");
        child(&mut out, entry.right.as_ref());
        text(&mut out, "v");
        link(&mut out, &entry.leaf.cid);
        last = key;
    }
    text(&mut out, "l");
    child(&mut out, left);
    out
}

fn child(out: &mut Vec<u8>, node: Option<&Arc<Node>>) {
    match node {
        Some(node) => link(out, &node.cid),
        None => out.push(0xf6),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::dice::Dice;

    /// Straight from the definition: cut the sorted keys of a layer at those that lie in it.
    fn build(leaves: &[Arc<Leaf>]) -> Tree {
        let top = leaves.iter().map(|leaf| leaf.layer).max().unwrap_or(0);
        Tree(node_of(leaves, top).unwrap_or_else(|| Tree::default().0))
    }

    fn node_of(leaves: &[Arc<Leaf>], layer: u8) -> Link {
        let mut parts = leaves.split(|leaf| leaf.layer == layer);
        let mut below =
            || parts.next().filter(|part| !part.is_empty()).and_then(|part| node_of(part, layer - 1));
        let left = below();
        let own = leaves.iter().filter(|leaf| leaf.layer == layer);
        let entries: Vec<Entry> = own.map(|leaf| Entry { leaf: leaf.clone(), right: below() }).collect();
        (left.is_some() || !entries.is_empty()).then(|| Node::new(layer, left, entries))
    }

    #[test]
    fn the_roots_of_the_specification() {
        // Trees whose roots the interoperability tests of the protocol give.
        assert_eq!(
            Tree::default().root().to_string(),
            "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm"
        );
        for (key, wanted) in [
            ("2653ae71", 0),
            ("blue", 1),
            ("app.bsky.feed.post/454397e440ec", 4),
            ("app.bsky.feed.post/9adeb165882c", 8),
        ] {
            assert_eq!(layer(key), wanted, "{key}");
        }
    }

    #[test]
    fn changes_end_where_building_anew_ends() {
        let mut dice = Dice::new(3, "tree");
        let (mut tree, mut model) = (Tree::default(), BTreeMap::new());
        for round in 0..3000 {
            let path = format!("a.b.{}/{}", dice.below(3), dice.below(150));
            // It grows, and shrinks to nothing again.
            if dice.chance(if round % 600 < 300 { 0.8 } else { 0.1 }) {
                let leaf = Leaf::new(path.clone(), vec![dice.below(9) as u8], None);
                tree = tree.put(leaf.clone());
                model.insert(path, leaf);
            } else {
                tree = tree.remove(&path);
                model.remove(&path);
            }
            if round % 7 == 0 || model.len() < 4 {
                let leaves: Vec<Arc<Leaf>> = model.values().cloned().collect();
                assert_eq!(tree.root(), build(&leaves).root(), "round {round}");
                assert_eq!(tree.len(), model.len());
                assert!(tree.leaves().iter().map(|leaf| &leaf.path).eq(model.keys()));
                let from = format!("a.b.{}/{}", dice.below(4), dice.below(150));
                let first = model.range(from.clone()..).next().map(|(path, _)| path);
                assert_eq!(tree.first_from(&from).map(|leaf| &leaf.path), first);
            }
        }
    }
}
