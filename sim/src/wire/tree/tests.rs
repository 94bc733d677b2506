//! Trees end where the definition says, however they came to be.

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
    let mut below = || parts.next().filter(|part| !part.is_empty()).and_then(|part| node_of(part, layer - 1));
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
