//! What a real PDS sent, recorded once: `testdata/pds.json`.

use serde_json::Value as Json;

use super::*;

struct Recording(Json);

impl Recording {
    fn read() -> Self {
        Recording(serde_json::from_str(include_str!("../../testdata/pds.json")).expect("JSON"))
    }

    fn did(&self) -> Did {
        self.0["did"].as_str().expect("text").parse().expect("a DID")
    }

    fn key(&self) -> PublicKey {
        let field = |name| self.0["key"][name].as_str().expect("text");
        PublicKey::from_verification_method(field("type"), field("publicKeyMultibase")).expect("a key")
    }

    fn bytes(json: &Json) -> Vec<u8> {
        hex::decode(json.as_str().expect("text")).expect("hex")
    }

    fn frames(&self) -> Vec<Frame> {
        let frames = self.0["frames"].as_array().expect("a list").iter();
        frames.map(|frame| Frame::decode(&Self::bytes(frame).into()).expect("a frame")).collect()
    }
}

#[test]
fn the_commits_of_a_stream_add_up_to_the_repo() {
    let recording = Recording::read();
    let (did, key) = (recording.did(), recording.key());
    let mut followed: BTreeMap<String, Cid> = BTreeMap::new();
    let mut head: Option<(Tid, Cid)> = None;
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for frame in recording.frames() {
        if let Some(other) = frame.did() {
            assert_eq!(*other, did);
        }
        let kind = match &frame {
            Frame::Commit(event) => {
                let proven = verify_commit(event, &key, |_| true).expect("proven");
                assert_eq!(proven.since, head.as_ref().map(|(rev, _)| rev.clone()));
                assert!(proven.since.is_none() || proven.prev_data == head.map(|(_, data)| data));
                head = Some((proven.rev, proven.data));
                for ProvenOp { collection, rkey, op } in proven.ops {
                    match op {
                        Op::Put { cid, .. } => drop(followed.insert(format!("{collection}/{rkey}"), cid)),
                        Op::Delete => assert!(followed.remove(&format!("{collection}/{rkey}")).is_some()),
                    }
                }
                "commit"
            }
            Frame::Sync(event) => {
                let proven = verify_sync(event, &key).expect("proven");
                assert_eq!(head, Some((proven.rev, proven.data)));
                "sync"
            }
            Frame::Identity(event) => {
                assert!(event.handle.is_some() && event.time.is_some());
                "identity"
            }
            Frame::Account(event) => {
                if event.active {
                    "active"
                } else {
                    "inactive"
                }
            }
            Frame::Error(error) => {
                assert_eq!(error.error, "FutureCursor");
                "error"
            }
            Frame::Info(_) | Frame::Unknown(_) => "other",
        };
        *kinds.entry(kind).or_default() += 1;
    }
    assert_eq!(kinds.get("other"), None, "{kinds:?}");
    assert!(
        ["commit", "sync", "identity", "active", "inactive", "error"]
            .iter()
            .all(|kind| kinds.contains_key(kind))
    );

    let whole = verify_repo(&Recording::bytes(&recording.0["repo"]), &did, &key, |_| true).expect("proven");
    assert_eq!(head, Some((whole.rev, whole.data)));
    let records =
        whole.records.iter().map(|record| (format!("{}/{}", record.collection, record.rkey), record.cid));
    assert_eq!(records.collect::<Vec<_>>(), followed.into_iter().collect::<Vec<_>>());
}

#[test]
fn a_record_and_an_absence_are_proven_by_the_hosts_own_files() {
    let recording = Recording::read();
    let verify = |file: &str, collection: &str, rkey: &str| {
        let (collection, rkey) = (collection.parse().expect("an NSID"), rkey.parse().expect("a record key"));
        let car = Recording::bytes(&recording.0[file]);
        verify_record(&car, &recording.did(), &recording.key(), &collection, &rkey).expect("proven").value
    };
    let (_, bytes) = verify("present", "fm.plyr.track", "t1").expect("present");
    assert!(bytes.windows(4).any(|part| part == b"Two\0"));
    assert_eq!(verify("absent", "fm.plyr.like", "k1"), None);
}
