use std::collections::BTreeMap;

use super::*;
use crate::proto::frame::Frame;
use crate::proto::testing::{self, Edit, Event, Repo, Signer, Tree, Value};

mod inversion;
mod properties;
mod recorded;

const DID: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

fn put(path: &str, text: &str) -> Edit {
    Edit::Put(path.into(), Value::Map(vec![("$type", Value::text("x")), ("text", Value::text(text))]))
}

fn delete(path: &str) -> Edit {
    Edit::Delete(path.into())
}

fn frame(event: &Event) -> CommitFrame {
    match Frame::decode(&event.message(1)) {
        Ok(Frame::Commit(commit)) => *commit,
        other => panic!("{other:?}"),
    }
}

fn verified(event: &Event, repo: &Repo) -> Result<ProvenCommit, CommitProblem> {
    verify_commit(&frame(event), &repo.signer.public(), |_| true)
}

/// Makes the event's commit one of the root given, truly signed.
fn sign_root(repo: &Repo, event: &mut Event, data: Cid, blocks: Vec<(Cid, Vec<u8>)>) {
    let mut fields = repo.commit_fields(&event.rev);
    fields.retain(|(name, _)| *name != "data");
    fields.push(("data", Value::Link(data)));
    let signature = repo.signer.sign(&Value::Map(fields.clone()).encode());
    fields.push(("sig", Value::Bytes(signature)));
    let commit = Value::Map(fields).encode();
    event.commit = testing::cid(&commit);
    event.blocks = [vec![(event.commit, commit)], blocks].concat();
}

/// A repo of two collections, and signed by `signer`.
fn repo(signer: Signer) -> Repo {
    let mut repo = Repo::new(DID, signer);
    let edits: Vec<Edit> = (0..40)
        .map(|number| put(&format!("{}/{number}", ["fm.plyr.like", "app.bsky.feed.like"][number % 2]), "old"))
        .collect();
    repo.apply(&edits);
    repo
}

#[test]
fn a_commit_is_proven_with_either_curve() {
    for signer in [Signer::k256(1), Signer::p256(1)] {
        let mut repo = repo(signer);
        let event = repo.apply(&[
            put("fm.plyr.like/0", "new"),
            delete("fm.plyr.like/2"),
            put("fm.plyr.like/x", "new"),
        ]);
        let proven = verified(&event, &repo).expect("proven");
        assert_eq!((proven.did.as_str(), &proven.rev, &proven.since), (DID, &event.rev, &event.since));
        assert_eq!((proven.data, proven.prev_data), (repo.data(), event.prev_data));
        let paths = proven.ops.iter().map(|op| (op.rkey.as_str(), matches!(op.op, Op::Put { .. })));
        assert_eq!(paths.collect::<Vec<_>>(), [("0", true), ("2", false), ("x", true)]);
        let Op::Put { cid, bytes } = &proven.ops[0].op else { panic!("{proven:?}") };
        assert_eq!((Some(*cid), *cid), (event.ops[0].cid, testing::cid(bytes)));
    }
}

#[test]
fn unwanted_operations_are_neither_returned_nor_needed() {
    let mut repo = repo(Signer::k256(1));
    let mut event = repo.apply(&[put("fm.plyr.like/0", "new"), put("app.bsky.feed.like/1", "other")]);
    let unwanted = event.ops[1].cid.expect("a put");
    event.blocks.retain(|(cid, _)| *cid != unwanted);
    assert_eq!(verified(&event, &repo), Err(CommitProblem::BlockMissing(unwanted)));
    let proven =
        verify_commit(&frame(&event), &repo.signer.public(), |collection| collection.starts_with("fm."));
    let collections = proven.expect("proven").ops.into_iter().map(|op| String::from(op.collection));
    assert_eq!(collections.collect::<Vec<_>>(), ["fm.plyr.like"]);
}

#[test]
fn of_several_operations_on_a_path_the_outcome_counts() {
    let mut repo = repo(Signer::k256(1));
    let (a, b) = ("fm.plyr.like/0", "fm.plyr.like/2");
    let recreated = repo.apply(&[delete(a), put(b, "twice"), put(a, "again"), put(b, "new")]);
    let proven = verified(&recreated, &repo).expect("proven");
    let ops: Vec<_> = proven.ops.iter().map(|op| (op.rkey.as_str(), &op.op)).collect();
    assert!(matches!(ops[..], [("0", Op::Put { .. }), ("2", Op::Put { .. })]), "{ops:?}");

    let gone = repo.apply(&[put("fm.plyr.like/y", "short"), delete("fm.plyr.like/y")]);
    assert!(matches!(verified(&gone, &repo).expect("proven").ops[..], [ProvenOp { op: Op::Delete, .. }]));

    // In the other order the same operations contradict each other.
    let mut reversed = recreated.clone();
    reversed.ops.swap(0, 2);
    assert_eq!(verified(&reversed, &repo).map_err(|problem| problem.name()), Err("BadOp"));
}

#[test]
fn each_lie_has_its_name() {
    let mut repo = repo(Signer::k256(1));
    let event = repo.apply(&[put("fm.plyr.like/0", "new"), delete("fm.plyr.like/2")]);
    let problem = |lie: &dyn Fn(&mut Event)| {
        let mut event = event.clone();
        lie(&mut event);
        verified(&event, &repo).map_err(|problem| problem.name()).expect_err("a lie")
    };
    assert!(verified(&event, &repo).is_ok());
    let other = testing::cid(b"other");
    assert_eq!(problem(&|event| event.did = "did:plc:other".parse().expect("a DID")), "DidMismatch");
    assert_eq!(problem(&|event| event.rev = Tid::from_timestamp_us(1, 0)), "RevMismatch");
    assert_eq!(problem(&|event| event.ops[0].cid = Some(other)), "NotInMst");
    assert_eq!(problem(&|event| event.ops[0].cid = None), "BadOp");
    assert_eq!(problem(&|event| event.ops[1].cid = Some(other)), "BadOp");
    let delete_of_another = |event: &mut Event| {
        event.ops[1].path = "fm.plyr.like/4".into();
        event.blocks = repo.blocks();
    };
    assert_eq!(problem(&delete_of_another), "StillInMst");
    let put_of_the_deleted = |event: &mut Event| event.ops[0].path = event.ops.remove(1).path;
    assert_eq!(problem(&put_of_the_deleted), "NotInMst");
    for path in ["fm.plyr.like", "fm.plyr.like/", "/a", "fm.plyr/a", "fm.plyr.like/a/b", "fm.plyr.like/ä", ""]
    {
        assert_eq!(problem(&|event| event.ops[0].path = path.into()), "BadPath", "{path}");
    }
    assert_eq!(problem(&|event| event.ops[0].path = format!("{}.a.b/c", "a".repeat(1 << 20))), "BadPath");
    for at in 0..event.blocks.len() {
        // Without a node or record there is no proof; a node beside the changed ones may be spared.
        let mut event = event.clone();
        event.blocks.remove(at);
        let problem = verified(&event, &repo).map_err(|problem| problem.name());
        assert!(problem == Err("BlockMissing") || (problem.is_ok() && at > 0), "{at}: {problem:?}");
    }
    assert_eq!(problem(&|event| event.blocks[1].1.push(0)), "HashMismatch");
    assert_eq!(problem(&|event| event.blocks[1].0 = Cid::default()), "CarMalformed");
    let mut frame = frame(&event);
    frame.commit = other;
    let problem = verify_commit(&frame, &repo.signer.public(), |_| true);
    assert_eq!(problem, Err(CommitProblem::RootMismatch));
}

#[test]
fn only_the_accounts_signature_in_its_one_form_will_do() {
    for signer in [Signer::k256(1), Signer::p256(1)] {
        let mut repo = repo(signer);
        let event = repo.apply(&[put("fm.plyr.like/0", "new")]);
        for other in [Signer::k256(2), Signer::p256(2)] {
            let problem = verify_commit(&frame(&event), &other.public(), |_| true);
            assert_eq!(problem, Err(CommitProblem::BadSignature(crate::proto::key::BadSignature)));
        }
        let mut malleated = event.clone();
        let commit = repo.sign_commit(&event.rev, |unsigned| repo.signer.sign_high_s(unsigned));
        malleated.commit = testing::cid(&commit);
        malleated.blocks[0] = (malleated.commit, commit);
        assert_eq!(verified(&malleated, &repo).map_err(|problem| problem.name()), Err("BadSignature"));
    }
}

#[test]
fn a_signed_tree_that_is_none_is_malformed() {
    let mut repo = repo(Signer::k256(1));
    let mut event = repo.apply(&[put("fm.plyr.like/0", "new")]);
    // The account itself signs a record as the root.
    let record = event.blocks.last().expect("blocks").clone();
    sign_root(&repo, &mut event, record.0, vec![record]);
    assert_eq!(verified(&event, &repo).map_err(|problem| problem.name()), Err("MstMalformed"));

    let not_a_commit = testing::cid(b"\x00");
    event.commit = not_a_commit;
    event.blocks = vec![(not_a_commit, vec![0])];
    assert_eq!(verified(&event, &repo).map_err(|problem| problem.name()), Err("CommitMalformed"));
}

#[test]
fn only_dag_cbor_can_be_a_record() {
    let mut repo = repo(Signer::k256(1));
    let mut event = repo.apply(&[put("fm.plyr.like/0", "new")]);
    let (record, bytes) = event.blocks.last().expect("blocks").clone();
    let raw = Cid::new_v1(super::car::RAW, *record.hash());
    let tree = |cid| Tree::build(&[("fm.plyr.like/0".into(), cid)]);
    event.prev_data = event.ops[0].prev.map(|prev| tree(prev).root);
    event.ops[0].cid = Some(raw);
    let tree = tree(raw);
    sign_root(&repo, &mut event, tree.root, [tree.nodes(), vec![(raw, bytes)]].concat());
    assert_eq!(verified(&event, &repo).map_err(|problem| problem.name()), Err("NotARecord"));
}

#[test]
fn a_sync_event_proves_a_head() {
    let repo = repo(Signer::p256(1));
    let Ok(Frame::Sync(mut event)) = Frame::decode(&repo.sync_message(1)) else { panic!("no sync") };
    let head = verify_sync(&event, &repo.signer.public()).expect("proven");
    assert_eq!((head.did.as_str(), &head.rev, head.data), (DID, &event.rev, repo.data()));
    let problem = verify_sync(&event, &Signer::k256(9).public());
    assert_eq!(problem.map_err(|problem| problem.name()), Err("BadSignature"));
    event.rev = Tid::from_timestamp_us(1, 0);
    assert_eq!(verify_sync(&event, &repo.signer.public()), Err(CommitProblem::RevMismatch(head.rev)));
}

#[test]
fn one_record_or_its_absence_is_proven() {
    let repo = repo(Signer::k256(1));
    let (collection, key) = ("fm.plyr.like".parse().expect("an NSID"), repo.signer.public());
    let verify = |car: &[u8], rkey: &str| {
        verify_record(car, &repo.did, &key, &collection, &rkey.parse().expect("a record key"))
    };
    let present = verify(&repo.record_car("fm.plyr.like/0"), "0").expect("proven");
    let (cid, bytes) = present.value.expect("present");
    assert_eq!((present.data, cid), (repo.data(), testing::cid(&bytes)));
    assert!(repo.entries().contains(&("fm.plyr.like/0".into(), cid)));
    assert_eq!(verify(&repo.record_car("fm.plyr.like/none"), "none").expect("proven").value, None);

    let tree: Vec<_> = repo.blocks().into_iter().filter(|(other, _)| *other != cid).collect();
    let without = verify(&testing::car(&repo.commit_block().0, &tree), "0");
    assert_eq!(without, Err(CommitProblem::BlockMissing(cid)), "a tree without the record");
    let elsewhere = verify_record(
        &repo.record_car("fm.plyr.like/0"),
        &"did:plc:other".parse().expect("a DID"),
        &key,
        &collection,
        &"0".parse().expect("a record key"),
    );
    assert_eq!(elsewhere, Err(CommitProblem::DidMismatch(repo.did.clone())));
}

#[test]
fn a_whole_repo_is_proven_and_filtered() {
    let repo = repo(Signer::p256(1));
    let wanted = |collection: &str| collection == "fm.plyr.like";
    let proven = verify_repo(&repo.car(), &repo.did, &repo.signer.public(), wanted).expect("proven");
    assert_eq!((proven.records.len(), proven.unwanted, proven.data), (20, 20, repo.data()));

    let entries: BTreeMap<String, Cid> = repo.entries().into_iter().collect();
    for record in &proven.records {
        assert_eq!(entries[&format!("{}/{}", record.collection, record.rkey)], record.cid);
        assert_eq!(testing::cid(&record.bytes), record.cid);
    }
    // All records say the same, so all have this one CID.
    let cid = proven.records[0].cid;
    let root = repo.commit_block().0;
    let without: Vec<_> = repo.blocks().into_iter().filter(|(other, _)| *other != cid).collect();
    let verify = |wanted: &dyn Fn(&str) -> bool| {
        verify_repo(&testing::car(&root, &without), &repo.did, &repo.signer.public(), wanted)
    };
    assert_eq!(verify(&wanted), Err(CommitProblem::BlockMissing(cid)));
    assert_eq!(verify(&|_| false).expect("proven").unwanted, 40);
}

#[test]
fn odd_paths_and_values_matter_only_where_wanted() {
    let mut repo = repo(Signer::k256(1));
    repo.apply(&[put("no path", "x"), put("odd.collection.name/a b", "x")]);
    let verify =
        |wanted: &dyn Fn(&str) -> bool| verify_repo(&repo.car(), &repo.did, &repo.signer.public(), wanted);
    assert_eq!(verify(&|collection| collection == "fm.plyr.like").expect("proven").unwanted, 22);
    assert_eq!(verify(&|_| true).map_err(|problem| problem.name()), Err("BadPath"));
}
