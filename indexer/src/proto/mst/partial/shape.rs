//! Changes that move nodes: a key comes and parts what lies below it, a key goes and what lay below it is joined.

use super::{Link, Node, PartialTree};
use crate::proto::mst::{MstError, layer_of};

impl<'a> PartialTree<'a> {
    /// Puts a CID under `key`; answers the one that it replaces. Needs the nodes around the key's place down to the
    /// lowest layer, except where the key is present.
    pub fn insert(&mut self, key: &[u8], value: &'a [u8]) -> Result<Option<&'a [u8]>, MstError> {
        let layer = layer_of(key);
        let Some(mut at) = self.open_root()?.filter(|_| self.root_layer.is_some_and(|root| root >= layer))
        else {
            self.insert_above(key, layer, value)?;
            return Ok(None);
        };
        loop {
            self.nodes[at].cid = None;
            let place = match self.search(at, key) {
                Ok(place) => {
                    let old = std::mem::replace(&mut self.nodes[at].leaves[place].value, value);
                    return Ok(Some(old));
                }
                Err(place) => place,
            };
            let own_layer = self.nodes[at].layer;
            if own_layer == layer {
                let (left, right) = self.split(self.nodes[at].links[place], layer, key)?;
                let leaf = self.leaf(key, value);
                let node = &mut self.nodes[at];
                node.leaves.insert(place, leaf);
                node.links[place] = left;
                node.links.insert(place + 1, right);
                return Ok(None);
            }
            match self.open(at, place)? {
                Some(below) => at = below,
                None => {
                    let leaf = self.leaf(key, value);
                    let node = Node { layer, cid: None, leaves: vec![leaf], links: vec![Link::None; 2] };
                    let lowest = self.add(node);
                    self.nodes[at].links[place] = self.lifted(lowest, layer, own_layer - 1);
                    return Ok(None);
                }
            }
        }
    }

    /// Inserts a key of a higher layer than the root's, which becomes the root.
    fn insert_above(&mut self, key: &[u8], layer: u32, value: &'a [u8]) -> Result<(), MstError> {
        let (left, right) = match self.root_layer.filter(|_| !matches!(self.root, Link::None)) {
            // Above, so not below layer 1.
            Some(root_layer) => {
                let (left, right) = self.split(self.root, root_layer + 1, key)?;
                (self.lifted(left, root_layer, layer - 1), self.lifted(right, root_layer, layer - 1))
            }
            None => (Link::None, Link::None),
        };
        let leaf = self.leaf(key, value);
        self.root = self.add(Node { layer, cid: None, leaves: vec![leaf], links: vec![left, right] });
        self.root_layer = Some(layer);
        Ok(())
    }

    /// A subtree of one layer as one of another: under as many nodes without entries as lie between.
    fn lifted(&mut self, mut link: Link<'a>, from: u32, to: u32) -> Link<'a> {
        for layer in from + 1..=to {
            link = self.add(Node { layer, cid: None, leaves: Vec::new(), links: vec![link] });
        }
        link
    }

    /// A subtree below the layer `above` as two: what comes before `key` and what comes after.
    fn split(&mut self, link: Link<'a>, above: u32, key: &[u8]) -> Result<(Link<'a>, Link<'a>), MstError> {
        let Some(at) = self.opened(link, above)? else { return Ok((Link::None, Link::None)) };
        let Err(place) = self.search(at, key) else {
            return Err(MstError::Malformed("a key in a layer that is not its own"));
        };
        let layer = self.nodes[at].layer;
        let (left, right) = self.split(self.nodes[at].links[place], layer, key)?;
        // All of it lies on one side: it stays as it is, with its name.
        let whole = Link::Open(at);
        let node = &mut self.nodes[at];
        if place == 0 && matches!(left, Link::None) {
            node.links[0] = right;
            return Ok((Link::None, whole));
        }
        if place == node.leaves.len() && matches!(right, Link::None) {
            node.links[place] = left;
            return Ok((whole, Link::None));
        }
        node.cid = None;
        let mut links = node.links.split_off(place + 1);
        links.insert(0, right);
        let after = Node { layer, cid: None, leaves: node.leaves.split_off(place), links };
        node.links[place] = left;
        let before = if node.is_empty() { Link::None } else { whole };
        Ok((before, self.add(after)))
    }

    /// Takes `key` out; answers what stood under it. Needs the nodes beside the key's place, as far down as there are
    /// some on both sides.
    pub fn remove(&mut self, key: &[u8]) -> Result<Option<&'a [u8]>, MstError> {
        let layer = layer_of(key);
        let mut way = Vec::new();
        let mut at = self.open_root()?;
        while let Some(node) = at {
            match self.search(node, key) {
                Err(_) if self.nodes[node].layer <= layer => break,
                Err(place) => {
                    way.push((node, place));
                    at = self.open(node, place)?;
                }
                Ok(place) => {
                    let own_layer = self.nodes[node].layer;
                    let links = &self.nodes[node].links;
                    let joined = self.joined(links[place], links[place + 1], own_layer)?;
                    let found = &mut self.nodes[node];
                    found.cid = None;
                    found.links[place] = joined;
                    found.links.remove(place + 1);
                    let leaf = found.leaves.remove(place);
                    self.drop_empty(node, &way);
                    return Ok(Some(leaf.value));
                }
            }
        }
        Ok(None)
    }

    /// Two subtrees below the layer `above`, between which no key is left, as one.
    fn joined(&mut self, left: Link<'a>, right: Link<'a>, above: u32) -> Result<Link<'a>, MstError> {
        let (left, right) = match (left, right) {
            (Link::None, one) | (one, Link::None) => return Ok(one),
            both => both,
        };
        let (Some(left), Some(right)) = (self.opened(left, above)?, self.opened(right, above)?) else {
            return Ok(Link::None);
        };
        let layer = self.nodes[left].layer;
        let node = &mut self.nodes[right];
        let leaves = std::mem::take(&mut node.leaves);
        let mut links = std::mem::take(&mut node.links).into_iter();
        let inner_right = links.next().unwrap_or(Link::None);
        let inner_left = self.nodes[left].links.pop().unwrap_or(Link::None);
        let inner = self.joined(inner_left, inner_right, layer)?;
        let node = &mut self.nodes[left];
        node.cid = None;
        node.leaves.extend(leaves);
        node.links.push(inner);
        node.links.extend(links);
        Ok(Link::Open(left))
    }

    /// Takes a node that has become empty, and those above it that become so, out of the tree. The nodes on the way to
    /// it lose their names.
    fn drop_empty(&mut self, node: usize, way: &[(usize, usize)]) {
        let mut is_empty = self.nodes[node].is_empty();
        for &(above, place) in way.iter().rev() {
            let above = &mut self.nodes[above];
            above.cid = None;
            if is_empty {
                above.links[place] = Link::None;
            }
            is_empty = above.is_empty();
        }
        if is_empty {
            self.root = Link::None;
        }
    }
}
