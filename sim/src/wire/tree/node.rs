//! Nodes of a tree, which never change: who changes one makes another.

use std::sync::Arc;

use bytes::Bytes;

use super::Leaf;
use crate::wire::Cid;
use crate::wire::value::{head, link, text};

pub(super) type Link = Option<Arc<Node>>;

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) layer: u8,
    pub(super) left: Link,
    pub(super) entries: Vec<Entry>,
    pub(super) cid: Cid,
    pub(super) block: Bytes,
}

/// A record, and what lies below after it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) leaf: Arc<Leaf>,
    pub(super) right: Link,
}

impl Node {
    pub(super) fn new(layer: u8, left: Link, entries: Vec<Entry>) -> Arc<Self> {
        let block = encode(left.as_ref(), &entries);
        Arc::new(Node { layer, left, entries, cid: Cid::of(&block), block: block.into() })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.left.is_none()
    }

    /// How many entries come before this path.
    pub(super) fn place(&self, path: &str) -> usize {
        self.entries.partition_point(|entry| entry.leaf.path.as_str() < path)
    }

    /// What lies below, before the entry at this place.
    pub(super) fn gap(&self, at: usize) -> &Link {
        match at.checked_sub(1) {
            Some(before) => &self.entries[before].right,
            None => &self.left,
        }
    }

    pub(super) fn first_from(&self, path: &str) -> Option<&Arc<Leaf>> {
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

    pub(super) fn put(&self, leaf: Arc<Leaf>) -> Arc<Self> {
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
    pub(super) fn remove(&self, path: &str) -> Link {
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

    pub(super) fn walk(&self, visit: &mut impl FnMut(&Node)) {
        visit(self);
        for at in 0..=self.entries.len() {
            if let Some(child) = self.gap(at) {
                child.walk(visit);
            }
        }
    }

    pub(super) fn towards(&self, paths: &[&str], out: &mut Vec<(Cid, Bytes)>) {
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
pub(super) fn raised(mut node: Arc<Node>, from: u8, upto: u8) -> Arc<Node> {
    for layer in from..upto {
        node = Node::new(layer + 1, Some(node), Vec::new());
    }
    node
}

/// What lies before a path that is not in there, and what lies after it.
pub(super) fn split(link: &Link, path: &str) -> (Link, Link) {
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
