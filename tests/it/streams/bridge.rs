//! What a Jetstream does between a PDS and its readers: the PDS's stream, frame by frame, into the stand-in's log.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::{Value, json};
use sim::jetstream::{Body, Commit, Event, Jetstream, Operation};
use tokio_tungstenite::tungstenite::Message;

use super::cbor;
use crate::world::network::Network;

/// Tells every event of the PDS, from its first on, to all of `jetstreams`, through `edit`. Ends when it is dropped.
pub struct Bridge(tokio::task::JoinHandle<()>);

impl Drop for Bridge {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Bridge {
    pub fn true_to(net: &Network, jetstreams: &[&Arc<Jetstream>]) -> Bridge {
        Bridge::lying(net, jetstreams, |event| vec![event])
    }

    pub fn lying(
        net: &Network,
        jetstreams: &[&Arc<Jetstream>],
        mut edit: impl FnMut(Event) -> Vec<Event> + Send + 'static,
    ) -> Bridge {
        let url = format!("ws://127.0.0.1:{}/xrpc/com.atproto.sync.subscribeRepos?cursor=0", net.pds_port);
        let jetstreams: Vec<Arc<Jetstream>> = jetstreams.iter().map(|one| Arc::clone(one)).collect();
        Bridge(tokio::spawn(async move {
            let (mut stream, _) = tokio_tungstenite::connect_async(url).await.expect("the PDS streams");
            while let Some(message) = stream.next().await {
                let Ok(Message::Binary(frame)) = message else { continue };
                for event in events(&frame).into_iter().flat_map(&mut edit) {
                    jetstreams.iter().for_each(|jetstream| {
                        jetstream.push(event.clone());
                    });
                }
            }
        }))
    }
}

/// The events that one frame of the PDS becomes.
fn events(frame: &[u8]) -> Vec<Event> {
    let time_us = chrono::Utc::now().timestamp_micros();
    let (header, rest) = cbor::read(frame);
    let (body, _) = cbor::read(rest);
    let did = body["repo"].as_str().or(body["did"].as_str()).unwrap_or_default().to_owned();
    let event = |body: Body| Event { did: did.clone(), time_us, body };
    match header["t"].as_str() {
        Some("#commit") => {
            let car = cbor::bytes(&body["blocks"]);
            let blocks: HashMap<String, &[u8]> = cbor::blocks(&car).into_iter().collect();
            let ops = body["ops"].as_array().expect("ops");
            ops.iter().map(|op| event(Body::Commit(commit(&body, op, &blocks)))).collect()
        }
        Some("#identity") => vec![event(Body::Identity(body.clone()))],
        Some("#account") => vec![event(Body::Account(body.clone()))],
        Some("#sync") => vec![event(Body::Sync(body.clone()))],
        _ => Vec::new(),
    }
}

fn commit(body: &Value, op: &Value, blocks: &HashMap<String, &[u8]>) -> Commit {
    let (collection, rkey) = op["path"].as_str().and_then(|path| path.split_once('/')).expect("a path");
    let cid = op["cid"]["$link"].as_str().map(str::to_owned);
    Commit {
        rev: body["rev"].as_str().expect("a rev").to_owned(),
        operation: match op["action"].as_str() {
            Some("create") => Operation::Create,
            Some("update") => Operation::Update,
            _ => Operation::Delete,
        },
        collection: collection.to_owned(),
        rkey: rkey.to_owned(),
        record: cid.as_ref().map(|cid| cbor::read(blocks[cid]).0),
        cid,
        is_replacement: false,
    }
}

/// The same record with other words in it, and the CID that these have.
pub fn reworded(commit: &Commit, field: &str, words: &str) -> Commit {
    let mut record = commit.record.clone().unwrap_or_else(|| json!({}));
    record[field] = words.into();
    Commit { cid: Some(cbor::cid_of(&record)), record: Some(record), ..commit.clone() }
}
