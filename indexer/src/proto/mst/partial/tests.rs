use std::collections::{BTreeMap, BTreeSet};

use cid::Cid;
use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::proto::car::{BinaryCid, CarLimits};
use crate::proto::mst::{decoded, empty_root};
use crate::proto::testing::{self, Tree, Value};

type Entries = BTreeMap<String, Cid>;

/// Keys, and what is to stand under each.
type Changes = Vec<(String, Option<Cid>)>;

fn record(number: i64) -> Cid {
    testing::cid(&Value::Int(number).encode())
}

fn built(entries: &Entries) -> Tree {
    Tree::build(&entries.iter().map(|(key, cid)| (key.clone(), *cid)).collect::<Vec<_>>())
}

/// The root of the tree whose nodes are at hand, with changes made one after another; and what each replaced.
fn changed(
    root: &Cid,
    nodes: &[(Cid, Vec<u8>)],
    changes: &Changes,
) -> Result<(Cid, Vec<Option<Cid>>), MstError> {
    let car = testing::car(root, nodes);
    let blocks = Blocks::read(&car, &CarLimits::REPO).expect("a CAR");
    let root: BinaryCid = root.to_bytes().try_into().expect("36 bytes");
    let values: Vec<_> = changes.iter().map(|(_, value)| value.map(|cid| cid.to_bytes())).collect();
    let mut tree = PartialTree::new(&blocks, &root);
    let mut old = Vec::new();
    for ((key, _), value) in changes.iter().zip(&values) {
        let key = key.as_bytes();
        let replaced = match value {
            Some(value) if tree.get(key)?.is_some() => tree.replace(key, value)?,
            Some(value) => tree.insert(key, value)?,
            None => tree.remove(key)?,
        };
        old.push(replaced.map(|binary| Cid::try_from(binary).expect("a CID")));
        assert_eq!(tree.get(key)?, value.as_deref(), "stands as it was put");
    }
    Ok((decoded(&tree.root()?), old))
}

/// What undoes changes: for each key what stood there.
fn undoing(changes: &Changes, before: &Entries) -> Changes {
    changes.iter().map(|(key, _)| (key.clone(), before.get(key).copied())).collect()
}

fn applied(changes: &Changes, before: &Entries) -> Entries {
    let mut after = before.clone();
    for (key, value) in changes {
        match value {
            Some(value) => drop(after.insert(key.clone(), *value)),
            None => drop(after.remove(key)),
        }
    }
    after
}

/// Keys with a known layer: the digit is the layer.
fn key(name: &str) -> String {
    let layer: u32 = name[1..].parse().expect("a layer");
    let mut keys = (0..).map(|number| format!("{name}/{number}"));
    keys.find(|key| layer_of(key.as_bytes()) == layer).expect("there are some")
}

#[derive(Deserialize)]
struct Published {
    leaf: String,
    commits: Vec<PublishedCommit>,
}

/// A commit of the network's published examples, and the nodes that must suffice to undo it.
#[derive(Deserialize)]
struct PublishedCommit {
    comment: String,
    keys: Vec<String>,
    adds: Vec<String>,
    dels: Vec<String>,
    before: String,
    after: String,
    blocks: BTreeSet<String>,
}

#[test]
fn published_commits_are_undone_with_the_published_nodes_in_any_order() {
    let published: Published =
        serde_json::from_str(include_str!("../../testdata/commit-proofs.json")).expect("JSON");
    let leaf: Cid = published.leaf.parse().expect("a CID");
    for commit in published.commits {
        let before: Entries = commit.keys.iter().map(|key| (key.clone(), leaf)).collect();
        assert_eq!(built(&before).root.to_string(), commit.before, "{}", commit.comment);
        let adds = commit.adds.iter().map(|key| (key.clone(), Some(leaf)));
        let changes: Changes = adds.chain(commit.dels.iter().map(|key| (key.clone(), None))).collect();
        let after = built(&applied(&changes, &before));
        assert_eq!(after.root.to_string(), commit.after, "{}", commit.comment);

        let mut nodes = after.nodes();
        nodes.retain(|(cid, _)| commit.blocks.contains(&cid.to_string()));
        assert_eq!(nodes.len(), commit.blocks.len(), "{}", commit.comment);
        let mut undoing = undoing(&changes, &before);
        for turn in 0..2 * undoing.len() {
            undoing.rotate_left(1);
            if turn == changes.len() {
                undoing.reverse();
            }
            let (root, _) = changed(&after.root, &nodes, &undoing).expect("undone");
            assert_eq!(root.to_string(), commit.before, "{}", commit.comment);
        }
    }
}

#[test]
fn the_root_of_what_remains_may_be_a_node_that_is_not_at_hand() {
    // The root of a new account's repo, as it was once sent: one key, and the nodes of those after it left out.
    let block = hex::decode(
        "a2616581a4616b581b6170702e62736b792e6163746f722e70726f66696c652f73656c666170006174d82a582500017112\
         2045211c93253f34ccbf19daecd5d4b054762697f4e7a2c231fcd6cabe69c2db506176d82a5825000171122064f6ce3b47\
         1f1fce796c988e401d36627046d3a583ac2cf92066f0a685f9d29c616cf6",
    );
    let block = block.expect("hex");
    let root = testing::cid(&block);
    let below = "bafyreicfeeojgjj7gtgl6go25tk5jmcuoytjp5hhulbdd7gwzk7gtqw3ka";
    let outcome =
        changed(&root, &[(root, block.clone())], &vec![("app.bsky.actor.profile/self".into(), None)]);
    assert_eq!(outcome.expect("undone").0.to_string(), below);

    // With something on either side of the key, what is missing is needed.
    let other =
        changed(&root, &[(root, block)], &vec![("app.bsky.actor.status/self".into(), Some(record(1)))]);
    assert!(matches!(other, Err(MstError::MissingBlock(cid)) if cid.to_string() == below), "{other:?}");
}

#[test]
fn every_change_of_every_small_tree() {
    // With a layer that has no keys, and keys of all layers at the edges.
    let keys = ["a0", "b3", "c0", "d1", "e0", "f3", "g0", "h1"].map(key);
    for set in 0..1usize << keys.len() {
        let entries: Entries = (0..keys.len())
            .filter(|at| set >> at & 1 == 1)
            .map(|at| (keys[at].clone(), record(at as i64)))
            .collect();
        let before = built(&entries);
        for key in &keys {
            let value = (!entries.contains_key(key)).then(|| record(9));
            let changes = vec![(key.clone(), value)];
            let after = built(&applied(&changes, &entries));
            let done = changed(&before.root, &before.nodes(), &changes).expect("done");
            assert_eq!(done, (after.root, vec![entries.get(key).copied()]));
            let slice = after.nodes_around([key.as_str()].into_iter());
            let undone = changed(&after.root, &slice, &undoing(&changes, &entries)).expect("undone");
            assert_eq!(undone, (before.root, vec![value]));
        }
    }
}

#[test]
fn an_empty_tree_grows_and_shrinks_to_one() {
    let empty = built(&Entries::new());
    assert_eq!(decoded(&empty_root()), empty.root);
    let (high, low) = (key("a3"), key("b0"));
    let grown = vec![(low.clone(), Some(record(1))), (high.clone(), Some(record(2)))];
    let after = built(&applied(&grown, &Entries::new()));
    assert_eq!(changed(&empty.root, &empty.nodes(), &grown).expect("done").0, after.root);
    for gone in [[&low, &high], [&high, &low]] {
        let gone = gone.map(|key| (key.clone(), None)).to_vec();
        assert_eq!(changed(&after.root, &after.nodes(), &gone).expect("done").0, empty.root);
        // Gone already: nothing changes.
        let twice = [gone.clone(), gone].concat();
        assert_eq!(changed(&after.root, &after.nodes(), &twice).expect("done").1[2..], [None, None]);
    }
    // A tree that nobody looks into keeps its name without a block.
    assert_eq!(changed(&after.root, &[], &vec![]).expect("done").0, after.root);
    assert_eq!(changed(&after.root, &[], &grown), Err(MstError::MissingBlock(after.root)));
}

#[test]
fn a_tree_that_breaks_a_rule_is_refused() {
    let link = |node: &(Cid, Vec<u8>)| Value::Link(node.0);
    let node = |left: Value, keys: &[(&str, Value)]| {
        let entry = |(key, right): &(&str, Value)| {
            Value::Map(vec![
                ("p", Value::Int(0)),
                ("k", Value::Bytes(key.as_bytes().to_vec())),
                ("v", Value::Link(record(1))),
                ("t", right.clone()),
            ])
        };
        let block =
            Value::Map(vec![("l", left), ("e", Value::List(keys.iter().map(entry).collect()))]).encode();
        (testing::cid(&block), block)
    };
    let (a0, b1, c0, c3, d0) = (key("a0"), key("b1"), key("c0"), key("c3"), key("d0"));
    let low = node(Value::Null, &[(&a0, Value::Null)]);
    let empty = node(Value::Null, &[]);
    let through = node(link(&low), &[]);
    for (root, others, why) in [
        (through.clone(), vec![low.clone()], "a root without entries above other nodes"),
        (node(link(&empty), &[(&b1, Value::Null)]), vec![empty.clone()], "an empty node below the root"),
        (node(link(&low), &[(&d0, Value::Null)]), vec![low.clone()], "a subtree below layer 0"),
        (node(link(&low), &[(&c3, Value::Null)]), vec![low.clone()], "a key in a layer that is not its own"),
        (node(link(&low), &[(&b1, link(&low))]), vec![low.clone()], "a node in two places"),
    ] {
        let nodes = [others, vec![root.clone()]].concat();
        let outcome = changed(&root.0, &nodes, &vec![(a0.clone(), None), (c0.clone(), Some(record(2)))]);
        assert_eq!(outcome, Err(MstError::Malformed(why)));
    }
}

fn entries(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Entries> {
    let entry = ("(fm\\.plyr\\.(like|track)|a)/[a-d0-9]{1,4}", (0i64..50).prop_map(record));
    prop::collection::vec(entry, count).prop_map(|entries| entries.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_changes_are_made_and_undone(
        before in entries(0..120), put in entries(0..8),
        gone in prop::collection::vec(any::<prop::sample::Index>(), 0..8), missing in any::<prop::sample::Index>(),
    ) {
        let mut changes: BTreeMap<String, Option<Cid>> = put.into_iter().map(|(key, cid)| (key, Some(cid))).collect();
        if !before.is_empty() {
            let key = |at: prop::sample::Index| before.keys().nth(at.index(before.len())).expect("a key").clone();
            changes.extend(gone.into_iter().map(|at| (key(at), None)));
        }
        let changes: Changes = changes.into_iter().collect();
        let (from, to) = (built(&before), built(&applied(&changes, &before)));
        prop_assert_eq!(changed(&from.root, &from.nodes(), &changes).expect("made").0, to.root);

        let undoing = undoing(&changes, &before);
        let slice = to.nodes_around(changes.iter().map(|(key, _)| key.as_str()));
        prop_assert_eq!(changed(&to.root, &slice, &undoing).expect("undone").0, from.root);

        // Without one of the nodes there is the same answer or none.
        if !slice.is_empty() {
            let mut slice = slice;
            slice.remove(missing.index(slice.len()));
            let outcome = changed(&to.root, &slice, &undoing);
            prop_assert!(
                matches!(outcome, Err(MstError::MissingBlock(_)))
                    || outcome.as_ref().is_ok_and(|(root, _)| *root == from.root),
                "{:?}", outcome
            );
        }
    }
}
