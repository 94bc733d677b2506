//! What the simulated network says, read and proven by the code that reads the real one.

use indexer::proto::frame::{CommitFrame, Frame};
use indexer::proto::key::PublicKey;
use indexer::proto::verify;
use sim::recording::{Plan, Recorder};

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
    let mut heads = std::collections::HashMap::new();
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
