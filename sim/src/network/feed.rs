//! What a Jetstream makes of what hosts tell: one event per record, in JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::json;

use crate::clock::rfc3339;
use crate::jetstream::{Body, Commit, Event, Jetstream, Operation};
use crate::wire::{Leaf, car, to_json};
use crate::world;

/// Passes an event on to a Jetstream, at this moment.
pub(super) fn feed(jetstream: &Jetstream, event: &world::Event, now_us: i64) {
    let did = &event.did;
    let push = |body: Body| jetstream.push(Event { did: did.clone(), time_us: now_us, body });
    let (seq, time) = (jetstream.next_seq(), rfc3339(event.time_us));
    match &event.body {
        world::Body::Commit { commit, ops } => {
            for (op, leaf) in ops {
                let operation = match op.action {
                    "create" => Operation::Create,
                    "update" => Operation::Update,
                    _ => Operation::Delete,
                };
                push(Body::Commit(change(&commit.rev, operation, &op.path, leaf.as_deref(), false)));
            }
        }
        world::Body::Sync { commit, tree } => {
            let blocks = STANDARD_NO_PAD.encode(car(&commit.cid, &[(commit.cid, &commit.block)]));
            push(Body::Sync(json!({
                "did": did, "rev": commit.rev, "blocks": {"$bytes": blocks}, "seq": seq, "time": time
            })));
            for leaf in tree.leaves() {
                let path = leaf.path.clone();
                push(Body::Commit(change(&commit.rev, Operation::Create, &path, Some(&leaf), true)));
            }
        }
        world::Body::Identity { handle } => {
            let mut identity = json!({"did": did, "seq": seq, "time": time});
            if let Some(handle) = handle {
                identity["handle"] = handle.clone().into();
            }
            push(Body::Identity(identity));
        }
        world::Body::Account(standing) => {
            let word = standing.word();
            let mut account = json!({"active": word.is_none(), "did": did, "seq": seq, "time": time});
            if let Some(word) = word {
                account["status"] = word.into();
            }
            push(Body::Account(account));
        }
        world::Body::Unknown => {}
    }
}

fn change(rev: &str, operation: Operation, path: &str, leaf: Option<&Leaf>, is_replacement: bool) -> Commit {
    let (collection, rkey) = path.split_once('/').unwrap_or((path, ""));
    Commit {
        rev: rev.to_owned(),
        operation,
        collection: collection.to_owned(),
        rkey: rkey.to_owned(),
        cid: leaf.map(|leaf| leaf.cid.to_string()),
        record: leaf.map(|leaf| to_json(&leaf.bytes)),
        is_replacement,
    }
}
