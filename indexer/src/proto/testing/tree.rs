//! A Merkle search tree straight from its definition: sort the keys, cut each layer at the keys that lie in it.

use cid::Cid;
use sha2::{Digest, Sha256};

use super::{Value, cid};

/// A built tree: its root and nodes.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    pub(crate) root: Cid,
    nodes: Vec<TreeNode>,
}

/// A node, and the keys of the layers above that bound it on both sides.
#[derive(Debug, Clone)]
struct TreeNode {
    cid: Cid,
    block: Vec<u8>,
    after: Option<String>,
    before: Option<String>,
}

/// The layer of a key, read off the written-out bits of its hash.
pub(crate) fn layer(key: &str) -> usize {
    let bits: String = Sha256::digest(key).iter().map(|byte| format!("{byte:08b}")).collect();
    bits.as_bytes().chunks(2).take_while(|pair| *pair == b"00").count()
}

impl Tree {
    /// The tree of entries sorted by key.
    pub(crate) fn build(entries: &[(String, Cid)]) -> Self {
        let top = entries.iter().map(|(key, _)| layer(key)).max().unwrap_or(0);
        let mut tree = Tree { root: Cid::default(), nodes: Vec::new() };
        tree.root = tree.add(entries, top, (None, None));
        tree
    }

    /// Adds the node of `entries` in a layer, and all nodes below it.
    fn add(&mut self, entries: &[(String, Cid)], in_layer: usize, (after, before): Bounds<'_>) -> Cid {
        let own: Vec<usize> = (0..entries.len()).filter(|&at| layer(&entries[at].0) == in_layer).collect();
        // The gap before the first own entry, then the one after each.
        let gaps = (0..=own.len()).map(|gap| {
            let start = gap.checked_sub(1).map_or(0, |left| own[left] + 1);
            let end = own.get(gap).copied().unwrap_or(entries.len());
            let left = gap.checked_sub(1).map_or(after, |left| Some(&entries[own[left]].0));
            (start..end, (left, own.get(gap).map_or(before, |&right| Some(&entries[right].0))))
        });
        let mut links = Vec::new();
        for (range, bounds) in gaps {
            let below = &entries[range];
            links.push((!below.is_empty()).then(|| self.add(below, in_layer - 1, bounds)));
        }
        let mut last = "";
        let mut encoded = Vec::new();
        for (&at, right) in own.iter().zip(&links[1..]) {
            let (key, value) = &entries[at];
            let shared = key.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
            encoded.push(Value::Map(vec![
                ("p", Value::Int(shared as i64)),
                ("k", Value::Bytes(key.as_bytes()[shared..].to_vec())),
                ("v", Value::Link(*value)),
                ("t", Value::link(*right)),
            ]));
            last = key;
        }
        let block = Value::Map(vec![("l", Value::link(links[0])), ("e", Value::List(encoded))]).encode();
        let node = TreeNode { cid: cid(&block), block, after: after.cloned(), before: before.cloned() };
        self.nodes.push(node);
        cid(&self.nodes[self.nodes.len() - 1].block)
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> Vec<(Cid, Vec<u8>)> {
        self.nodes.iter().map(|node| (node.cid, node.block.clone())).collect()
    }

    /// The nodes that changes of `keys` touch, whichever way: those towards them and those right beside them.
    pub(crate) fn nodes_around<'k>(
        &self,
        keys: impl Iterator<Item = &'k str> + Clone,
    ) -> Vec<(Cid, Vec<u8>)> {
        let is_around = |node: &TreeNode, key: &str| {
            node.after.as_deref().is_none_or(|after| after <= key)
                && node.before.as_deref().is_none_or(|before| key <= before)
        };
        self.nodes
            .iter()
            .filter(|node| keys.clone().any(|key| is_around(node, key)))
            .map(|node| (node.cid, node.block.clone()))
            .collect()
    }

    /// The nodes that the searches for `keys` come through, down to the lowest layer.
    pub(crate) fn nodes_towards<'k>(
        &self,
        keys: impl Iterator<Item = &'k str> + Clone,
    ) -> Vec<(Cid, Vec<u8>)> {
        let is_within = |node: &TreeNode, key: &str| {
            node.after.as_deref().is_none_or(|after| after < key)
                && node.before.as_deref().is_none_or(|before| key < before)
        };
        self.nodes
            .iter()
            .filter(|node| keys.clone().any(|key| is_within(node, key)))
            .map(|node| (node.cid, node.block.clone()))
            .collect()
    }
}

/// The keys of the layers above between which a node lies.
type Bounds<'a> = (Option<&'a String>, Option<&'a String>);
