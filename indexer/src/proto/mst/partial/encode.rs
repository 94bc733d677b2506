//! The names that changed nodes have.

use super::{Link, Node, PartialTree};
use crate::proto::car::{self, BinaryCid};
use crate::proto::mst::{MstError, empty_root};

impl<'a> PartialTree<'a> {
    /// The root of the tree as it is now.
    pub fn root(&mut self) -> Result<BinaryCid, MstError> {
        self.trim()?;
        let mut block = Vec::new();
        let root = self.cid_of(self.root, &mut block);
        Ok(root.unwrap_or_else(empty_root))
    }

    /// Lowers the root to the first node that has entries. One that is not at hand is taken to have some: were it not
    /// so, the blocks would be fewer than a commit must bring along.
    fn trim(&mut self) -> Result<(), MstError> {
        while let Link::Open(at) = self.root
            && self.nodes[at].leaves.is_empty()
        {
            let Node { layer, ref links, .. } = self.nodes[at];
            self.root = match links[..] {
                [Link::Closed(cid), ..] if self.blocks.place(cid).is_some() => {
                    self.opened(Link::Closed(cid), layer)?.map_or(Link::None, Link::Open)
                }
                [link, ..] => link,
                [] => Link::None,
            };
            self.root_layer = layer.checked_sub(1);
        }
        Ok(())
    }

    /// The CID of a subtree. As deep as there are layers: a subtree's is always a lower one.
    fn cid_of(&self, link: Link<'a>, block: &mut Vec<u8>) -> Option<BinaryCid> {
        match link {
            Link::None => None,
            Link::Closed(cid) => Some(*cid),
            Link::Open(at) => {
                let node = &self.nodes[at];
                Some(node.cid.copied().unwrap_or_else(|| self.named(node, block)))
            }
        }
    }

    /// Encodes a node and hashes it. `block` lends its memory.
    fn named(&self, node: &Node<'a>, block: &mut Vec<u8>) -> BinaryCid {
        let below: Vec<Option<BinaryCid>> = node.links.iter().map(|link| self.cid_of(*link, block)).collect();
        block.clear();
        block.extend(b"\xa2\x61e");
        head(block, 4, node.leaves.len());
        let mut before: &[u8] = &[];
        for (leaf, right) in node.leaves.iter().zip(below.iter().skip(1)) {
            let key = self.key(leaf);
            let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
            block.extend(b"\xa4\x61k");
            head(block, 2, key.len() - shared);
            block.extend(&key[shared..]);
            block.extend(b"\x61p");
            head(block, 0, shared);
            block.extend(b"\x61t");
            link(block, right.as_ref().map(|cid| cid.as_slice()));
            block.extend(b"\x61v");
            link(block, Some(leaf.value));
            before = key;
        }
        block.extend(b"\x61l");
        link(block, below.first().and_then(|left| left.as_ref()).map(|cid| cid.as_slice()));
        car::binary_cid_of(block)
    }
}

fn link(block: &mut Vec<u8>, cid: Option<&[u8]>) {
    match cid {
        None => block.push(0xf6),
        Some(cid) => {
            block.extend(b"\xd8\x2a");
            head(block, 2, cid.len() + 1);
            block.push(0);
            block.extend(cid);
        }
    }
}

/// The head of an item, in its shortest form. Nothing here has 2^32 of anything.
fn head(block: &mut Vec<u8>, major: u8, number: usize) {
    let major = major << 5;
    match number {
        0..24 => block.push(major | number as u8),
        24..0x100 => block.extend([major | 24, number as u8]),
        0x100..0x1_0000 => {
            block.push(major | 25);
            block.extend((number as u16).to_be_bytes());
        }
        _ => {
            block.push(major | 26);
            block.extend((number as u32).to_be_bytes());
        }
    }
}
