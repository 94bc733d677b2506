//! The names that changed nodes have.

use super::{Link, Node, PartialTree};
use crate::proto::car::{self, BinaryCid};
use crate::proto::mst::{MstError, empty_root};

impl<'a> PartialTree<'a> {
    /// The root of the tree as it is now.
    pub fn root(&mut self) -> Result<BinaryCid, MstError> {
        self.trim()?;
        let mut names = Names { of: vec![None; self.nodes.len()], block: Vec::with_capacity(BLOCK_BYTES) };
        names.give(self, self.root);
        Ok(names.get(self.root).copied().unwrap_or_else(empty_root))
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
}

/// What a node's block takes, if it is not an uncommonly large one.
const BLOCK_BYTES: usize = 2048;

/// The CIDs of nodes.
struct Names {
    of: Vec<Option<BinaryCid>>,
    /// Where blocks are encoded, one after another.
    block: Vec<u8>,
}

impl Names {
    fn get<'n>(&'n self, link: Link<'n>) -> Option<&'n BinaryCid> {
        match link {
            Link::None => None,
            Link::Closed(cid) => Some(cid),
            Link::Open(at) => self.of[at].as_ref(),
        }
    }

    /// Names a subtree, what is below before what is above. As deep as there are layers: a subtree's is always a lower one.
    fn give<'a>(&mut self, tree: &PartialTree<'a>, link: Link<'a>) {
        let Link::Open(at) = link else { return };
        let node = &tree.nodes[at];
        self.of[at] = match node.cid {
            Some(cid) => Some(*cid),
            None => {
                node.links.iter().for_each(|link| self.give(tree, *link));
                Some(self.encoded(tree, node))
            }
        };
    }

    /// The CID of a node with named subtrees.
    fn encoded<'a>(&mut self, tree: &PartialTree<'a>, node: &Node<'a>) -> BinaryCid {
        let mut block = std::mem::take(&mut self.block);
        block.clear();
        block.extend(b"\xa2\x61e");
        head(&mut block, 4, node.leaves.len());
        let mut before: &[u8] = &[];
        for (leaf, right) in node.leaves.iter().zip(node.links.iter().skip(1)) {
            let key = tree.key(leaf);
            let shared = before.iter().zip(key).take_while(|(a, b)| a == b).count();
            block.extend(b"\xa4\x61k");
            head(&mut block, 2, key.len() - shared);
            block.extend(&key[shared..]);
            block.extend(b"\x61p");
            head(&mut block, 0, shared);
            block.extend(b"\x61t");
            self.link(&mut block, *right);
            block.extend(b"\x61v");
            cid(&mut block, leaf.value);
            before = key;
        }
        block.extend(b"\x61l");
        self.link(&mut block, node.links.first().copied().unwrap_or(Link::None));
        self.block = block;
        car::binary_cid_of(&self.block)
    }

    fn link(&self, block: &mut Vec<u8>, link: Link<'_>) {
        match self.get(link) {
            None => block.push(0xf6),
            Some(name) => cid(block, name),
        }
    }
}

fn cid(block: &mut Vec<u8>, binary: &[u8]) {
    block.extend(b"\xd8\x2a");
    head(block, 2, binary.len() + 1);
    block.push(0);
    block.extend(binary);
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
