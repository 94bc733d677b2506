use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::proto::car::{CarLimits, RAW};
use crate::proto::testing::{self, Tree, Value};

/// The record of the published examples, and a prefix of their keys.
const VALUE: &str = "bafyreie5cvv4h45feadgeuwhbcutmh6t2ceseocckahdoe6uat64zmz454";
const PREFIX: &str = "com.example.record/3jqfcqzm";

fn value() -> Cid {
    VALUE.parse().expect("a CID")
}

fn tree(keys: impl IntoIterator<Item = String>) -> Tree {
    let keys: BTreeSet<String> = keys.into_iter().collect();
    Tree::build(&keys.into_iter().map(|key| (key, value())).collect::<Vec<_>>())
}

/// A key of layer 0.
fn lowest(prefix: &str) -> String {
    let mut keys = (0..).map(|number| format!("{prefix}{number}"));
    keys.find(|key| layer_of(key.as_bytes()) == 0).expect("most keys are")
}

/// The keys that a walk finds, or its problem.
fn walked(nodes: &[(Cid, Vec<u8>)], root: &Cid) -> Result<Vec<String>, MstError> {
    let car = testing::car(root, nodes);
    let blocks = Blocks::read(&car, &CarLimits::REPO).expect("a CAR");
    let mut keys = Vec::new();
    let count = walk(&blocks, root, 10_000, |key, cid| {
        assert_eq!(*cid, value());
        keys.push(String::from_utf8_lossy(key).into_owned());
        Ok::<_, MstError>(())
    })?;
    assert_eq!(count, keys.len() as u64);
    Ok(keys)
}

fn looked_up(nodes: &[(Cid, Vec<u8>)], root: &Cid, key: &str) -> Result<Option<Cid>, MstError> {
    let car = testing::car(root, nodes);
    lookup(&Blocks::read(&car, &CarLimits::REPO).expect("a CAR"), root, key.as_bytes())
}

#[test]
fn published_layers_of_keys() {
    for (key, layer) in [
        ("", 0),
        ("asdf", 0),
        ("blue", 1),
        ("2653ae71", 0),
        ("88bfafc7", 2),
        ("2a92d355", 4),
        ("884976f5", 6),
        ("app.bsky.feed.post/454397e440ec", 4),
        ("app.bsky.feed.post/9adeb165882c", 8),
    ] {
        assert_eq!(layer_of(key.as_bytes()), layer, "{key}");
    }
}

#[test]
fn published_roots_of_trees() {
    for (keys, root) in [
        ("", "bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm"),
        ("3fo2j", "bafyreibj4lsc3aqnrvphp5xmrnfoorvru4wynt6lwidqbm2623a6tatzdu"),
        ("3fx2j", "bafyreih7wfei65pxzhauoibu3ls7jgmkju4bspy4t2ha2qdjnzqvoy33ai"),
        ("3fp2j 3fr2j 3fs2j 3ft2j 4fc2j", "bafyreicmahysq4n6wfuxo522m6dpiy7z7qzym3dzs756t5n7nfdgccwq7m"),
        ("3ft2j 3fx2j 3fz2j", "bafyreiavxaxdz7o7rbvr3zg2liox2yww46t7g6hkehx4i4h3lwudly7dhy"),
        (
            "3fn2j 3fo2j 3fp2j 3fs2j 3ft2j 3fu2j",
            "bafyreifnqrwbk6ffmyaz5qtujqrzf5qmxf7cbxvgzktl4e3gabuxbtatv4",
        ),
        ("3fn2j 3fo2j 3fp2j 3ft2j 3fu2j", "bafyreie4kjuxbwkhzg2i5dljaswcroeih4dgiqq6pazcmunwt2byd725vi"),
    ] {
        let keys: Vec<String> = keys.split_whitespace().map(|key| format!("{PREFIX}{key}")).collect();
        let tree = tree(keys.clone());
        assert_eq!(tree.root.to_string(), root, "{keys:?}");
        assert_eq!(walked(&tree.nodes(), &tree.root), Ok(keys));
    }
}

#[test]
fn layers_without_keys_are_passed_through() {
    let keys = [lowest("a/"), "app.bsky.feed.post/9adeb165882c".to_owned(), lowest("z/")];
    let tree = tree(keys.clone());
    assert_eq!(tree.nodes().len(), 1 + 8 + 8);
    assert_eq!(walked(&tree.nodes(), &tree.root), Ok(keys.to_vec()));
    for key in keys {
        assert_eq!(looked_up(&tree.nodes(), &tree.root, &key), Ok(Some(value())));
    }
}

#[test]
fn a_key_above_the_root_or_beside_its_layer_is_absent_without_further_nodes() {
    let tree = tree(["3fp2j", "3fs2j", "4fc2j"].map(|key| format!("{PREFIX}{key}")));
    let root_only: Vec<_> = tree.nodes().into_iter().filter(|(cid, _)| *cid == tree.root).collect();
    for (key, layer) in [("app.bsky.feed.post/9adeb165882c", 8), ("blue", 1)] {
        assert_eq!(layer_of(key.as_bytes()), layer);
        assert_eq!(looked_up(&root_only, &tree.root, key), Ok(None));
    }
    let below = looked_up(&root_only, &tree.root, &format!("{PREFIX}3fp2j"));
    assert!(matches!(below, Err(MstError::MissingBlock(_))), "{below:?}");
}

/// One entry as it is encoded: prefix length, rest of the key, subtree to the right.
type WireEntry<'a> = (i64, &'a str, Option<Cid>);

fn node(left: Option<Cid>, entries: &[WireEntry<'_>]) -> (Cid, Vec<u8>) {
    let entry = |&(prefix, suffix, right): &WireEntry<'_>| {
        Value::Map(vec![
            ("p", Value::Int(prefix)),
            ("k", Value::Bytes(suffix.into())),
            ("v", Value::Link(value())),
            ("t", Value::link(right)),
        ])
    };
    let entries = entries.iter().map(entry).collect();
    let block = Value::Map(vec![("l", Value::link(left)), ("e", Value::List(entries))]).encode();
    (testing::cid(&block), block)
}

#[test]
fn a_node_that_breaks_a_rule_is_refused() {
    let problem = |entries: &[WireEntry<'_>]| Node::decode(&node(None, entries).1).err();
    // Keys of layer 0: asdf, a/p, a/q; of layer 1: blue.
    assert_eq!([layer_of(b"a/p"), layer_of(b"a/q")], [0, 0]);
    assert_eq!(problem(&[(0, "a/p", None), (2, "q", None)]), None);
    for (entries, why) in [
        (&[(1, "a/p", None)][..], "a key prefix or a key of excessive length"),
        (&[(-1, "a/p", None)], ""),
        (&[(0, "a/p", None), (4, "q", None)], "a key prefix or a key of excessive length"),
        (&[(0, &"x".repeat(1025), None)], "a key prefix or a key of excessive length"),
        (&[(0, "a/p", None), (1, "/q", None)], "a key not shortened as far as it can be"),
        (&[(0, "a/p", None), (0, "a/q", None)], "a key not shortened as far as it can be"),
        (&[(0, "a/q", None), (2, "p", None)], "keys out of order"),
        (&[(0, "a/p", None), (3, "", None)], "keys out of order"),
        (&[(0, "a/p", None), (2, "", None)], "keys out of order"),
        (&[(0, "asdf", None), (0, "blue", None)], "keys of different layers in one node"),
        (&[(0, "asdf", Some(Cid::new_v1(RAW, *value().hash())))], "a link to what cannot be a node"),
    ] {
        match problem(entries) {
            Some(MstError::Cbor(_)) if why.is_empty() => {}
            other => assert_eq!(other, Some(MstError::Malformed(why)), "{entries:?}"),
        }
    }
    let raw = node(Some(Cid::new_v1(RAW, *value().hash())), &[(0, "asdf", None)]);
    assert_eq!(Node::decode(&raw.1).err(), Some(MstError::Malformed("a link to what cannot be a node")));
}

#[test]
fn a_node_in_another_encoding_is_refused() {
    let entry =
        || vec![("p", Value::Int(0)), ("k", Value::Bytes("asdf".into())), ("v", Value::Link(value()))];
    let encoded = |entry: Vec<_>, more: &[(&'static str, Value)]| {
        let fields = vec![("e", Value::List(vec![Value::Map(entry)]))];
        Value::Map([fields, more.to_vec()].concat()).encode()
    };
    let (right, left) = (("t", Value::Null), ("l", Value::Null));
    let complete = [entry(), vec![right.clone()]].concat();
    assert!(Node::decode(&encoded(complete.clone(), std::slice::from_ref(&left))).is_ok());
    for (what, block) in [
        ("no t", encoded(entry(), std::slice::from_ref(&left))),
        ("no l", encoded(complete.clone(), &[])),
        ("another field", encoded(complete.clone(), &[left.clone(), ("x", Value::Null)])),
        ("another field of an entry", encoded([complete, vec![("x", Value::Null)]].concat(), &[left])),
        ("not a node", Value::List(vec![]).encode()),
        ("bytes after it", [node(None, &[]).1, vec![0]].concat()),
        ("nothing", vec![]),
        ("deep", vec![0x81; 100_000]),
    ] {
        assert!(matches!(Node::decode(&block), Err(MstError::Cbor(_))), "{what}");
    }
}

#[test]
fn a_tree_that_breaks_a_rule_is_refused() {
    let empty = node(None, &[]);
    let low = node(None, &[(0, "asdf", None)]);
    let high = |left: &(Cid, Vec<u8>)| node(Some(left.0), &[(0, "blue", None)]);
    assert_eq!(walked(&[low.clone(), high(&low)], &high(&low).0), Ok(vec!["asdf".into(), "blue".into()]));

    let through = node(Some(low.0), &[]);
    let at_the_bottom = node(Some(empty.0), &[(0, "asdf", None)]);
    let twice = node(Some(low.0), &[(0, "blue", Some(low.0))]);
    let after = node(None, &[(0, &lowest("z"), None)]);
    let skipped = node(Some(low.0), &[(0, "88bfafc7", None)]);
    for (root, others, why) in [
        (through.clone(), vec![low.clone()], "a root without entries above other nodes"),
        (high(&empty), vec![empty.clone()], "an empty node below the root"),
        (at_the_bottom, vec![empty], "a subtree below layer 0"),
        (high(&through), vec![through.clone(), low.clone()], "a subtree below layer 0"),
        (twice, vec![low.clone()], "keys out of order"),
        (high(&after), vec![after.clone()], "keys out of order"),
        (skipped, vec![low], "a key in a layer that is not its own"),
    ] {
        let nodes = [others, vec![root.clone()]].concat();
        assert_eq!(walked(&nodes, &root.0), Err(MstError::Malformed(why)));
    }
}

#[test]
fn a_walk_stops_at_the_callers_bound_and_error() {
    let tree = tree(["a/p", "a/q", "asdf"].map(str::to_owned));
    let car = testing::car(&tree.root, &tree.nodes());
    let blocks = Blocks::read(&car, &CarLimits::REPO).expect("a CAR");
    let walk_to = |max| walk(&blocks, &tree.root, max, |_, _| Ok::<_, MstError>(()));
    assert_eq!((walk_to(3), walk_to(2)), (Ok(3), Err(MstError::TooManyKeys)));
    let mut seen = 0;
    let stopped = walk(&blocks, &tree.root, 3, |_, _| {
        seen += 1;
        Err(MstError::Malformed("mine"))
    });
    assert_eq!((stopped, seen), (Err(MstError::Malformed("mine")), 1));
}

fn keys(count: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set("(fm\\.plyr\\.(like|track)|a)/[a-d0-9]{1,6}", count)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_set_of_keys_is_walked_and_found(keys in keys(0..150), absent in keys(20)) {
        let tree = tree(keys.clone());
        prop_assert_eq!(walked(&tree.nodes(), &tree.root), Ok(keys.iter().cloned().collect::<Vec<_>>()));
        for key in keys.iter().chain(&absent) {
            let expected = keys.contains(key).then(value);
            prop_assert_eq!(looked_up(&tree.nodes(), &tree.root, key), Ok(expected));
            // The way to the key's place is proof enough.
            let way = tree.nodes_towards([key.as_str()].into_iter());
            prop_assert_eq!(looked_up(&way, &tree.root, key), Ok(expected));
        }
    }

    #[test]
    fn a_missing_node_is_never_taken_for_absence(keys in keys(1..100), at in any::<prop::sample::Index>()) {
        let tree = tree(keys.clone());
        let mut nodes = tree.nodes();
        let (missing, _) = nodes.remove(at.index(nodes.len()));
        prop_assert_eq!(walked(&nodes, &tree.root), Err(MstError::MissingBlock(missing)));
        for key in &keys {
            let found = looked_up(&nodes, &tree.root, key);
            prop_assert!(
                matches!(found, Ok(Some(_))) || found == Err(MstError::MissingBlock(missing)),
                "{:?}", found
            );
        }
    }

    #[test]
    fn an_altered_node_is_another_tree_or_none(keys in keys(1..30), node in any::<prop::sample::Index>(),
                                               at in any::<prop::sample::Index>(), flip in 1u8..) {
        let tree = tree(keys);
        let nodes = tree.nodes();
        let mut block = nodes[node.index(nodes.len())].1.clone();
        let at = at.index(block.len());
        block[at] ^= flip;
        // Under a CID of its own it may be a node; then this is the one way to write it.
        if let Ok(node) = Node::decode(&block) {
            let entry = |entry: &Entry<'_>| {
                Value::Map(vec![
                    ("p", Value::Int(entry.prefix_len as i64)),
                    ("k", Value::Bytes(entry.suffix.to_vec())),
                    ("v", Value::Link(entry.value)),
                    ("t", Value::link(entry.right)),
                ])
            };
            let entries = Value::List(node.entries.iter().map(entry).collect());
            prop_assert_eq!(Value::Map(vec![("l", Value::link(node.left)), ("e", entries)]).encode(), block);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
        let _ = Node::decode(&bytes);
    }
}
