//! What must hold of any bytes from the network, one function for each decoder of them.
//!
//! Each takes bytes as an attacker would send them and panics where they break a promise: `cargo fuzz` (`make fuzz`) looks
//! for such bytes for hours, and the tests here try some at every run.

use bytes::Bytes;
use chrono::DateTime;
use url::Url;

use crate::change::{Input, Op, Report};
use crate::dag;
use crate::firehose::jetstream::{self, Dialect, Message};
use crate::identity::DidDocument;
use crate::proto::car::{self, Blocks, CarLimits};
use crate::proto::commit::SignedCommit;
use crate::proto::frame::{COMMIT_BLOCKS_BYTES_MAX, FRAME_BYTES_MAX, Frame, OPS_MAX, SYNC_BLOCKS_BYTES_MAX};
use crate::proto::key::PublicKey;
use crate::proto::mst::{self, Node, PartialTree, layer_of};
use crate::proto::repo_file::{Intake, Limits};
use crate::proto::verify::{verify_commit, verify_sync};
use crate::record::Registry;
use crate::syntax::{AtUri, Did};

/// Takes any bytes, and must come to an end without a panic.
pub type Target = fn(&[u8]);

/// Every target: its name, as the corpora are named, and its function.
pub const TARGETS: [(&str, Target); 9] = [
    ("frame", frame),
    ("car", car),
    ("node", node),
    ("tree", tree),
    ("commit", commit),
    ("document", document),
    ("record", record),
    ("jetstream1", jetstream1),
    ("jetstream2", jetstream2),
];

/// Whose key signs nothing here.
const KEY: &str = "zQ3shqwJEJyMBsBXCWyCBpUBMqxcon9oHB7mCvx4sSpMdLJwc";
const DID: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

/// A message of `subscribeRepos`.
pub fn frame(bytes: &[u8]) {
    let message = Bytes::copy_from_slice(bytes);
    let frame = match Frame::decode(&message) {
        Ok(frame) => frame,
        Err(error) => {
            assert!(error.to_string().len() < 5_000 && !error.problem.name().is_empty());
            return;
        }
    };
    assert!(message.len() <= FRAME_BYTES_MAX && frame.seq().is_none_or(|seq| seq >= 0 || is_unknown(&frame)));
    let Ok(key) = PublicKey::from_multikey(KEY) else { return };
    match &frame {
        Frame::Commit(event) => {
            assert!(event.ops.len() <= OPS_MAX && event.blocks.len() <= COMMIT_BLOCKS_BYTES_MAX);
            assert!(
                event.blocks.is_empty() || message.as_ptr_range().contains(&event.blocks.as_ptr()),
                "copied"
            );
            assert!(verify_commit(event, &key, |_| true).is_err(), "nobody signed it");
        }
        Frame::Sync(event) => {
            assert!(event.blocks.len() <= SYNC_BLOCKS_BYTES_MAX);
            assert!(verify_sync(event, &key).is_err(), "nobody signed it");
        }
        _ => {}
    }
}

fn is_unknown(frame: &Frame) -> bool {
    matches!(frame, Frame::Unknown(_))
}

/// A CAR file, read at once and as it arrives.
pub fn car(bytes: &[u8]) {
    let limits = CarLimits { total_bytes: 1 << 20, block_bytes: 1 << 16, blocks: 1_000 };
    let at_once = Blocks::read(bytes, &limits);
    if let Ok(blocks) = &at_once {
        assert!(blocks.len() <= limits.blocks && bytes.len() <= limits.total_bytes);
        let mut total = 0;
        for at in 0..blocks.len() {
            let block = blocks.block(at);
            total += block.len();
            let named = [car::DAG_CBOR, car::RAW].map(|codec| blocks.get(&car::cid_of(codec, block)));
            assert!(named.contains(&Some(block)), "a block under another name");
        }
        assert!(total < bytes.len());
    }
    let limits = Limits { total_bytes: 1 << 20, block_bytes: 1 << 16, blocks: 1_000, ..Limits::default() };
    let mut intake = Intake::new(&std::env::temp_dir(), limits);
    let (first, second) = bytes.split_at(bytes.len() / 3);
    let arrived =
        intake.push(first).and_then(|()| intake.push(second)).and_then(|()| intake.finish().map(drop));
    assert!(at_once.is_err() || arrived.is_ok(), "{arrived:?}");
}

/// A node of a tree by itself: it has one encoding, and a name by it.
pub fn node(bytes: &[u8]) {
    let Ok(node) = Node::decode(bytes) else { return };
    let root = car::binary_cid_of(bytes);
    let file = file(bytes);
    let Ok(blocks) = Blocks::read(&file, &CarLimits::REPO) else { panic!("a CAR of one block") };
    let mut key = Vec::new();
    let mut tree = PartialTree::new(&blocks, &root);
    for entry in &node.entries {
        entry.rebuild_key(&mut key);
        assert_eq!(Some(layer_of(&key)), node.layer);
        let value = entry.value.to_bytes();
        // Above other nodes without a key it can be no root.
        assert_eq!(tree.get(&key), Ok(Some(value.as_slice())));
    }
    let values: Vec<_> = node.entries.iter().map(|entry| entry.value.to_bytes()).collect();
    let mut tree = PartialTree::new(&blocks, &root);
    key.clear();
    for (entry, value) in node.entries.iter().zip(&values) {
        entry.rebuild_key(&mut key);
        // Written anew although nothing is new.
        assert!(tree.replace(&key, value).is_ok());
    }
    assert_eq!(tree.root(), Ok(root), "another encoding of the same");
}

/// A file of one block, which is its root.
fn file(block: &[u8]) -> Vec<u8> {
    let cid = car::binary_cid_of(block);
    let mut file = b"\x3a\xa2\x65roots\x81\xd8\x2a\x58\x25\x00".to_vec();
    file.extend(cid);
    file.extend(b"\x67version\x01");
    let mut len = cid.len() + block.len();
    while len > 0x7f {
        file.push(len as u8 | 0x80);
        len >>= 7;
    }
    file.push(len as u8);
    file.extend(cid);
    file.extend(block);
    file
}

/// Changes of a tree, a byte or two each: whatever the order, one set of keys has one root.
pub fn tree(bytes: &[u8]) {
    let file = file(b"\xa2\x61e\x80\x61l\xf6");
    let (empty, values) = (mst::empty_root(), [0u8, 1].map(|number| car::binary_cid_of(&[number])));
    let Ok(blocks) = Blocks::read(&file, &CarLimits::REPO) else { panic!("a CAR of one block") };
    let mut tree = PartialTree::new(&blocks, &empty);
    let mut held = std::collections::BTreeMap::new();
    for &byte in bytes.iter().take(500) {
        let (key, value) = (format!("a/{}", byte / 3), values[usize::from(byte % 3 == 1)].as_slice());
        let (changed, model) = match byte % 3 {
            0 | 1 => (tree.insert(key.as_bytes(), value), held.insert(key, value)),
            _ => (tree.remove(key.as_bytes()), held.remove(&key)),
        };
        assert_eq!(changed, Ok(model));
    }
    let mut built = PartialTree::new(&blocks, &empty);
    for (key, value) in held.iter().rev() {
        assert_eq!(built.insert(key.as_bytes(), value), Ok(None));
    }
    assert_eq!(built.root(), tree.root());
    for key in held.keys() {
        assert!(tree.remove(key.as_bytes()).is_ok_and(|value| value.is_some()));
    }
    assert_eq!(tree.root(), Ok(empty));
}

/// A commit block: no two blocks have the same meaning.
pub fn commit(bytes: &[u8]) {
    let (Ok(commit), Ok(key)) = (SignedCommit::decode(bytes), PublicKey::from_multikey(KEY)) else { return };
    assert!(commit.unsigned_bytes().len() < bytes.len());
    assert!(commit.verify(&key).is_err(), "nobody signed it");
}

/// A DID document.
pub fn document(bytes: &[u8]) {
    let Ok(did) = DID.parse::<Did>() else { return };
    if let Ok(document) = DidDocument::parse(&did, bytes) {
        assert_eq!(document.did, did);
        assert!(document.handles.len() <= bytes.len());
        assert!(document.pds.is_none_or(|url| matches!(url.scheme(), "http" | "https")));
    }
}

/// A record: a byte that says in which collection, and its value.
pub fn record(bytes: &[u8]) {
    let Some((kind, value)) = bytes.split_first() else { return };
    let Ok(url) = Url::parse("https://plyr.example") else { return };
    let registry = Registry::new("fm.plyr", url);
    let mut nsids: Vec<&str> = registry.nsids().collect();
    nsids.sort_unstable();
    for rkey in ["self", "3jzfcijpj2z2a"] {
        let nsid = nsids[usize::from(*kind) % nsids.len()];
        let Ok(uri) = format!("at://{DID}/{nsid}/{rkey}").parse::<AtUri>() else { panic!("a URI") };
        match registry.read(&uri, value, DateTime::UNIX_EPOCH) {
            Ok(_) => {
                let encoded = dag::decode(value).and_then(|value| dag::encode(&value));
                assert!(encoded.is_ok_and(|(_, bytes)| bytes == value), "another encoding of the same");
            }
            Err(problem) => assert!(!problem.name.is_empty() && problem.detail.len() < 10_000, "{problem:?}"),
        }
    }
}

/// A message of the older Jetstream.
pub fn jetstream1(bytes: &[u8]) {
    jetstream(Dialect::V1, bytes);
}

/// A message of the newer Jetstream.
pub fn jetstream2(bytes: &[u8]) {
    jetstream(Dialect::V2, bytes);
}

fn jetstream(dialect: Dialect, bytes: &[u8]) {
    let message = jetstream::message(dialect, bytes);
    for input in jetstream::inputs(dialect, &Bytes::copy_from_slice(bytes)) {
        if let Input::Report(Report { op: Op::Put { cid, value }, .. }) = &input {
            assert_eq!(*cid, car::cid_of(car::DAG_CBOR, value), "another value than the CID says");
        }
        // The quick look and the whole reading must not disagree on whom it is about.
        let said = match &input {
            Input::Report(report) => Some(report.uri.did()),
            Input::Problem(_) => None,
            other => other.did().cloned(),
        };
        if let (Some(said), Ok(message)) = (said, &message) {
            assert!(
                matches!(message, Message::Event(head) if head.did == said.as_str()),
                "{message:?}, {input:?}"
            );
        }
    }
}

#[cfg(test)]
mod tests;
