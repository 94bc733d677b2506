//! What the simulated network says, read and proven by the code that reads the real one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use indexer::proto::frame::{CommitFrame, Frame};
use indexer::proto::key::PublicKey;
use indexer::proto::verify;
use sim::recording::{Plan, Recorder};
use sim::truth::Standing;
use sim::world::{Addresses, World};
use sim::{Network, Options};

fn commit(message: bytes::Bytes) -> CommitFrame {
    match Frame::decode(&message) {
        Ok(Frame::Commit(commit)) => *commit,
        other => panic!("{other:?}"),
    }
}

#[test]
fn recorded_commits_are_proven() {
    let mut recorder = Recorder::new(Plan {
        accounts: 9,
        p256_percent: 40,
        delete_percent: 30,
        threads: 2,
        ..Plan::default()
    });
    let frames = recorder.frames(1500);
    let mut heads = HashMap::new();
    for (at, message) in frames.into_iter().enumerate() {
        let event = commit(message);
        assert_eq!(event.seq, at as i64 + 1);
        let account = recorder.accounts().iter().find(|account| account.did == event.repo.as_str());
        let key = PublicKey::from_multikey(&account.expect("an account").multikey).expect("a key");
        let proven = verify::verify_commit(&event, &key, |_| true).expect("a proof");
        assert_eq!(proven.ops.len(), 1);
        let before = heads.insert(event.repo.clone(), (event.rev.clone(), proven.data));
        assert_eq!(before, event.since.zip(event.prev_data), "its chain holds");
    }
}

/// What a fold of the stream ends in: root of the tree and CIDs by path.
#[derive(Debug, Default, PartialEq)]
struct Folded {
    root: String,
    records: BTreeMap<String, String>,
}

fn key_of(document: &serde_json::Value) -> PublicKey {
    let method = &document["verificationMethod"][0];
    let [kind, multibase] = ["type", "publicKeyMultibase"].map(|field| method[field].as_str().expect("text"));
    PublicKey::from_verification_method(kind, multibase).expect("a key")
}

/// Each event is proven with the key that the document holds when it is told, and all of them add up to what is true.
#[test]
fn a_world_without_faults_is_proven_event_by_event() {
    let options = Options { accounts: 25, life: 0.2, ..Options::default() };
    let addresses = Addresses {
        hosts: (1..4).map(|host| format!("http://127.0.0.1:{host}")).collect(),
        web: vec!["localhost:7".into()],
    };
    let mut world = World::new(options, addresses);
    let mut last = 0;
    let mut folded: BTreeMap<String, Folded> = BTreeMap::new();
    let mut kinds = BTreeMap::new();
    for step in 0..=2000 {
        for (_, message) in world.relays()[0].log.after(last, usize::MAX) {
            last += 1;
            let frame = Frame::decode(&message).expect("a frame");
            *kinds.entry(format!("{frame:?}").split('(').next().map(str::to_owned)).or_insert(0) += 1;
            match frame {
                Frame::Commit(event) => {
                    let repo = folded.entry(event.repo.to_string()).or_default();
                    let key = key_of(&world.document(event.repo.as_str()).expect("a document"));
                    let proven = verify::verify_commit(&event, &key, |_| true).expect("a proof");
                    if let Some(prev) = event.prev_data {
                        assert_eq!(prev.to_string(), repo.root, "its chain holds, step {step}");
                    }
                    repo.root = proven.data.to_string();
                    for op in proven.ops {
                        let path = format!("{}/{}", op.collection, op.rkey);
                        match op.op {
                            verify::Op::Put { cid, .. } => repo.records.insert(path, cid.to_string()),
                            verify::Op::Delete => repo.records.remove(&path),
                        };
                    }
                }
                Frame::Sync(event) => {
                    let key = key_of(&world.document(event.did.as_str()).expect("a document"));
                    let head = verify::verify_sync(&event, &key).expect("a proof");
                    assert_eq!(folded[event.did.as_str()].root, head.data.to_string());
                }
                Frame::Account(_) | Frame::Identity(_) | Frame::Unknown(_) => {}
                other => panic!("{other:?}"),
            }
        }
        match step {
            0..1999 => world.step(),
            _ => world.settle(),
        }
    }
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    for (did, account) in world.truth().accounts {
        let Some(repo) = account.repo else { continue };
        let cids = repo.records.iter().map(|(path, record)| (path.clone(), record.cid.clone()));
        let wanted = Folded { root: repo.root, records: cids.collect() };
        assert_eq!(folded[&did], wanted, "{did}");
    }
}

#[tokio::test]
async fn hosts_answer_with_proofs() {
    let net =
        Network::start(Options { accounts: 12, web_accounts: 1, ..Options::default() }).await.expect("ports");
    net.advance(700).await;
    net.settle().await;
    let get = async |url: String| {
        let answer = reqwest::get(&url).await.expect("an answer");
        (answer.status().as_u16(), answer.bytes().await.expect("a body"))
    };
    rustls::crypto::ring::default_provider().install_default().ok();
    let mut standings = BTreeSet::new();
    for (did, account) in net.truth().accounts {
        let url = match did.strip_prefix("did:web:") {
            Some(host) => format!("http://{}/.well-known/did.json", host.replace("%3A", ":")),
            None => format!("{}/{did}", net.plc_url()),
        };
        let document: serde_json::Value = serde_json::from_slice(&get(url).await.1).expect("JSON");
        assert_eq!(document["service"][0]["serviceEndpoint"], account.pds);
        let escaped = did.replace('%', "%25");
        let xrpc = |method: &str| format!("{}/xrpc/com.atproto.sync.{method}did={escaped}", account.pds);
        let (status, car) = get(xrpc("getRepo?")).await;
        standings.insert(format!("{:?}", account.standing));
        if account.standing != Standing::Active {
            assert_eq!(status, 400, "{car:?}");
            continue;
        }
        let (key, parsed) = (key_of(&document), did.parse().expect("a DID"));
        let repo = account.repo.expect("a repo");
        let proven = verify::verify_repo(&car, &parsed, &key, |_| true).expect("a proof");
        let found: Vec<String> = proven
            .records
            .iter()
            .map(|record| format!("{}/{} {}", record.collection, record.rkey, record.cid))
            .collect();
        let wanted = repo.records.iter().map(|(path, record)| format!("{path} {}", record.cid));
        assert!(found.iter().cloned().eq(wanted));
        assert_eq!((proven.rev.as_str(), proven.data.to_string()), (repo.rev.as_str(), repo.root));

        let first = repo.records.first_key_value().map(|(path, record)| (path.clone(), record.cid.clone()));
        for (path, wanted) in
            first.map(|(path, cid)| (path, Some(cid))).into_iter().chain([("fm.plyr.like/none".into(), None)])
        {
            let (collection, rkey) = path.split_once('/').expect("a path");
            let (_, car) = get(xrpc(&format!("getRecord?collection={collection}&rkey={rkey}&"))).await;
            let (collection, rkey) = (collection.parse().expect("an NSID"), rkey.parse().expect("a key"));
            let record = verify::verify_record(&car, &parsed, &key, &collection, &rkey).expect("a proof");
            assert_eq!(record.value.map(|(cid, _)| cid.to_string()), wanted);
        }
    }
    assert!(standings.len() > 2, "{standings:?}");
}
