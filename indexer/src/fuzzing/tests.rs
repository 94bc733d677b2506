use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::proto::testing::{self, Edit, Repo, Signer, Value};

/// Valid bytes to begin with, for each target: what `fuzz/corpus` holds.
static SEEDS: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(|| TARGETS.map(|(name, _)| corpus(name)).to_vec());

fn folder(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(folder(target)).expect("a corpus");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("bytes")).collect()
}

/// One change of bytes.
#[derive(Debug, Clone)]
enum Damage {
    Set(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    /// A part is left out, or stands twice.
    Repeat(prop::sample::Index, prop::sample::Index, usize),
    /// Goes on as another seed does.
    Splice(prop::sample::Index, prop::sample::Index, prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    use prop::sample::Index;
    prop_oneof![
        6 => any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => any::<Index>().prop_map(Damage::Cut),
        2 => any::<(Index, Vec<u8>)>().prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => (any::<Index>(), any::<Index>(), 0usize..4).prop_map(|(a, b, times)| Damage::Repeat(a, b, times)),
        1 => any::<(Index, Index, Index)>().prop_map(|(a, other, b)| Damage::Splice(a, other, b)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage], seeds: &[Vec<u8>]) -> Vec<u8> {
    for damage in damages {
        let len = bytes.len();
        match damage {
            Damage::Set(at, byte) if len > 0 => bytes[at.index(len)] = *byte,
            Damage::Cut(at) if len > 0 => bytes.truncate(at.index(len)),
            Damage::Insert(at, more) => {
                let at = at.index(len + 1);
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Repeat(a, b, times) => {
                let (a, b) = (a.index(len + 1), b.index(len + 1));
                let (a, b) = (a.min(b), a.max(b).min(a.min(b) + 4_096));
                let part = bytes[a..b].repeat(*times);
                bytes.splice(a..b, part);
            }
            Damage::Splice(at, other, from) if !seeds.is_empty() => {
                let other = &seeds[other.index(seeds.len())];
                bytes.truncate(at.index(len + 1));
                bytes.extend(&other[from.index(other.len() + 1)..]);
            }
            _ => {}
        }
    }
    bytes
}

#[test]
fn every_target_has_a_corpus_and_keeps_its_promises_on_it() {
    for ((name, target), seeds) in TARGETS.iter().zip(SEEDS.iter()) {
        assert!(!seeds.is_empty(), "{name}");
        seeds.iter().for_each(|seed| target(seed));
    }
    assert!(SEEDS.iter().flatten().all(|seed| seed.len() < 20_000), "small");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes(bytes in any::<Vec<u8>>()) {
        TARGETS.iter().for_each(|(_, target)| target(&bytes));
    }

    #[test]
    fn damaged_bytes(seed in any::<prop::sample::Index>(), damages in prop::collection::vec(damage(), 1..5)) {
        for ((_, target), seeds) in TARGETS.iter().zip(SEEDS.iter()) {
            target(&damaged(seeds[seed.index(seeds.len())].clone(), &damages, seeds));
        }
    }
}

/// Writes the corpora anew: `cargo test -p indexer --lib fuzzing::tests::write -- --ignored`.
#[test]
#[ignore = "writes fuzz/corpus"]
fn write_the_corpora() {
    let mut repo = Repo::new(DID, Signer::k256(1));
    let like = |number: i64| {
        let subject = Value::Map(vec![
            ("uri", Value::text("at://did:plc:x/fm.plyr.track/1")),
            ("n", Value::Int(number)),
        ]);
        Value::Map(vec![("$type", Value::text("fm.plyr.like")), ("subject", subject)])
    };
    let path = |number: i64| format!("fm.plyr.like/{number}");
    let events = [
        repo.apply(&(0..30).map(|number| Edit::Put(path(number), like(number))).collect::<Vec<_>>()),
        repo.apply(&[Edit::Put(path(31), like(1)), Edit::Put(path(0), like(2)), Edit::Delete(path(1))]),
        repo.apply(&[]),
    ];
    let mut frames: Vec<Vec<u8>> = events.iter().map(|event| event.message(7).to_vec()).collect();
    frames.push(repo.sync_message(8).to_vec());
    let common = || {
        vec![("seq", Value::Int(8)), ("did", Value::text(DID)), ("time", Value::text("2026-01-02T03:04:05Z"))]
    };
    let message = |kind, more: Vec<_>| testing::message(kind, Value::Map([common(), more].concat())).to_vec();
    frames.push(message("#identity", vec![("handle", Value::text("a.test"))]));
    frames
        .push(message("#account", vec![("active", Value::Bool(false)), ("status", Value::text("deleted"))]));
    frames.push(message("#info", vec![("name", Value::text("OutdatedCursor"))]));
    frames.push(b"\xa1bop\x20\xa1eerrorlFutureCursor".to_vec());
    keep("frame", &frames);

    let cars = events.iter().map(|event| testing::car(&event.commit, &event.blocks));
    keep(
        "car",
        &cars.chain([repo.record_car(&path(3)), repo.record_car("fm.plyr.like/none")]).collect::<Vec<_>>(),
    );
    let nodes =
        repo.blocks().into_iter().map(|(_, block)| block).filter(|block| block.starts_with(b"\xa2\x61e"));
    keep("node", &nodes.chain([b"\xa2\x61e\x80\x61l\xf6".to_vec()]).collect::<Vec<_>>());
    keep(
        "tree",
        &[(0..=255).collect(), (0..=255).rev().collect(), (0..200).map(|n: u32| (n * 97) as u8).collect()],
    );
    keep("commit", &[repo.commit_block().1]);

    let key = |kind: &str, key: &str| json!({ "id": "#atproto", "type": kind, "controller": DID, "publicKeyMultibase": key });
    let document = |key| {
        let pds = json!({ "id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://pds.example" });
        json!({ "id": DID, "alsoKnownAs": ["at://a.test"], "verificationMethod": [key], "service": [pds] })
    };
    let documents = [
        key("Multikey", KEY),
        key("EcdsaSecp256k1VerificationKey2019", "z25z9DTpsiYYJKGsWmSPJK2NFN8PcJtZig12K59UgW7q5t"),
    ];
    keep("document", &documents.map(|key| document(key).to_string().into_bytes()));

    let registry = Registry::new("fm.plyr", Url::parse("https://plyr.example").expect("a URL"));
    let mut nsids: Vec<&str> = registry.nsids().collect();
    nsids.sort_unstable();
    let mut records = Vec::new();
    let mut recorder =
        sim::recording::Recorder::new(sim::recording::Plan { accounts: 3, ..Default::default() });
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for frame in recorder.frames(60) {
        let Ok(Frame::Commit(event)) = Frame::decode(&frame) else { continue };
        let Ok(blocks) = Blocks::read(&event.blocks, &CarLimits::COMMIT) else { continue };
        for op in &event.ops {
            let (collection, rkey) = op.path.split_once('/').expect("a path");
            let value = op.cid.and_then(|cid| blocks.get(&cid));
            if let (Some(value), Some(kind)) = (value, nsids.iter().position(|nsid| *nsid == collection)) {
                records.push([&[kind as u8], value].concat());
            }
            let action = if op.cid.is_some() { "create" } else { "delete" };
            let record = value.map(|value| dag::to_json(&dag::decode(value).expect("a record")));
            let commit = json!({ "rev": event.rev.as_str(), "operation": action, "collection": collection, "rkey": rkey,
                "record": record, "cid": op.cid.map(|cid| cid.to_string()) });
            old.push(json!({ "did": event.repo.as_str(), "time_us": 1_767_225_600_000_000i64 + event.seq, "kind": "commit", "commit": commit }));
            let mut payload = commit;
            payload["$type"] = "network.bsky.jetstream.subscribeEvents#commit".into();
            payload["seq"] = event.seq.into();
            payload["did"] = event.repo.as_str().into();
            payload["time"] = "2026-01-02T03:04:05.000006Z".into();
            new.push(json!({ "$type": "message", "payload": payload }));
        }
    }
    let account =
        json!({ "did": DID, "active": false, "status": "deleted", "seq": 7, "time": "2026-01-02T03:04:05Z" });
    old.push(
        json!({ "did": DID, "time_us": 1_767_225_600_000_000i64, "kind": "account", "account": account }),
    );
    let payload = json!({ "$type": "network.bsky.jetstream.subscribeEvents#account", "seq": 9, "did": DID,
        "time": "2026-01-02T03:04:05.000006Z", "account": account });
    new.push(json!({ "$type": "message", "payload": payload }));
    new.push(json!({ "$type": "error", "error": "CursorTooOld", "message": "older than 5" }));
    let text = |values: Vec<serde_json::Value>| {
        values.into_iter().map(|value| value.to_string().into_bytes()).collect::<Vec<_>>()
    };
    keep("record", &various(records));
    keep("jetstream1", &various(text(old)));
    keep("jetstream2", &various(text(new)));
}

/// A dozen, of all lengths.
fn various(mut all: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    all.sort_by_key(Vec::len);
    let step = (all.len() / 12).max(1);
    all.into_iter().step_by(step).collect()
}

fn keep(target: &str, seeds: &[Vec<u8>]) {
    let folder = folder(target);
    std::fs::create_dir_all(&folder).expect("a folder");
    for (number, seed) in seeds.iter().enumerate() {
        std::fs::write(folder.join(format!("{number:02}")), seed).expect("written");
    }
}
