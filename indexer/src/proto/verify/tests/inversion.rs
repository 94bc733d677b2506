//! That a commit names all of its changes.

use super::*;
use crate::proto::testing::EventOp;

fn name(outcome: Result<ProvenCommit, CommitProblem>) -> Result<(), &'static str> {
    outcome.map(drop).map_err(|problem| problem.name())
}

/// The record of the op as it stands in the tree, with a deletion or creation before it on the same path.
fn op(action: &'static str, path: &str, cid: Option<Cid>, prev: Option<Cid>) -> EventOp {
    EventOp { action, path: path.into(), cid, prev }
}

#[test]
fn the_root_before_is_what_undoing_gives() {
    let mut repo = repo(Signer::k256(1));
    let before = repo.data();
    let event = repo.apply(&[
        put("fm.plyr.like/x", "new"),
        put("fm.plyr.like/0", "new"),
        delete("app.bsky.feed.like/1"),
    ]);
    assert_eq!(verified(&event, &repo).expect("proven").prev_data, Some(before));
    for (lie, problem) in [
        (&(|event: &mut Event| event.prev_data = Some(event.commit)) as &dyn Fn(&mut Event), "BadInversion"),
        (&|event| event.prev_data = Some(repo.data()), "BadInversion"),
        // Another record before than there was.
        (&|event| event.ops[1].prev = Some(event.commit), "BadInversion"),
        (&|event| event.ops[2].prev = Some(event.commit), "BadInversion"),
        // A change that the event keeps quiet about, wanted or not.
        (&|event| drop(event.ops.remove(0)), "BadInversion"),
        (&|event| drop(event.ops.remove(1)), "BadInversion"),
        (&|event| drop(event.ops.remove(2)), "BadInversion"),
        // One that was not made.
        (&|event| event.ops.push(op("delete", "fm.plyr.like/zz", None, Some(event.commit))), "BadInversion"),
        // An operation that tells nothing of the record before, or something where there was none.
        (&|event| event.ops[1].prev = None, "BadOp"),
        (&|event| event.ops[2].prev = None, "BadOp"),
        (&|event| event.ops[0].prev = Some(event.commit), "BadOp"),
        // Twice the same.
        (&|event| event.ops.push(event.ops[0].clone()), "BadOp"),
        (&|event| event.ops.push(event.ops[2].clone()), "BadOp"),
    ] {
        let mut event = event.clone();
        lie(&mut event);
        assert_eq!(name(verified(&event, &repo)), Err(problem), "{:?}", event.ops);
        // Whoever wants only the one collection is told as well.
        let outcome =
            verify_commit(&frame(&event), &repo.signer.public(), |collection| collection == "fm.plyr.like");
        assert_eq!(name(outcome), Err(problem));
    }
}

#[test]
fn further_operations_on_a_path_may_tell_of_the_record_before_the_commit() {
    let mut repo = repo(Signer::k256(1));
    let (a, b) = ("fm.plyr.like/0", "fm.plyr.like/y");
    let mut event = repo.apply(&[delete(a), put(a, "again"), put(b, "short"), delete(b)]);
    assert!(verified(&event, &repo).is_ok());
    // As hosts have it: what they find when they begin.
    event.ops[1].prev = event.ops[0].prev;
    event.ops[3].prev = None;
    let proven = verified(&event, &repo).expect("proven");
    assert!(matches!(proven.ops[0].op, Op::Put { .. }) && proven.ops[1].op == Op::Delete);
    event.ops[1].prev = Some(event.commit);
    assert_eq!(name(verified(&event, &repo)), Err("BadOp"));
    event.ops[1].prev = event.ops[0].prev;
    event.ops[3].prev = Some(event.commit);
    assert_eq!(name(verified(&event, &repo)), Err("BadOp"));

    // Created and deleted at once, they say; but it stands there.
    let (path, cid) = repo.entries().remove(0);
    let mut event = repo.apply(&[]);
    event.ops = vec![op("create", &path, Some(cid), None), op("delete", &path, None, None)];
    event.blocks = repo.blocks();
    assert_eq!(name(verified(&event, &repo)), Err("StillInMst"));
}

#[test]
fn a_commit_without_operations_leaves_the_tree_as_it_was() {
    let mut repo = repo(Signer::k256(1));
    let mut event = repo.apply(&[]);
    assert_eq!(event.blocks.len(), 1, "the commit alone");
    assert!(verified(&event, &repo).is_ok());
    event.prev_data = Some(event.commit);
    assert_eq!(name(verified(&event, &repo)), Err("BadInversion"));
}

#[test]
fn before_a_first_commit_there_was_nothing() {
    let mut repo = Repo::new(DID, Signer::k256(1));
    let event = repo.apply(&[put("fm.plyr.like/0", "new"), put("fm.plyr.like/1", "new")]);
    assert_eq!((&event.since, event.prev_data), (&None, None));
    assert_eq!(verified(&event, &repo).expect("proven").prev_data, None);
    let mut told = event.clone();
    told.prev_data = Some(Tree::build(&[]).root);
    assert!(verified(&told, &repo).is_ok());

    let mut quiet = event.clone();
    quiet.ops.pop();
    assert_eq!(name(verified(&quiet, &repo)), Err("BadInversion"));
    // Not the first one, although it says so, and tells the true root before.
    let mut event = repo.apply(&[put("fm.plyr.like/2", "new")]);
    event.since = None;
    assert_eq!(name(verified(&event, &repo)), Err("BadInversion"));
    event.prev_data = None;
    assert_eq!(name(verified(&event, &repo)), Err("BadInversion"));

    let mut empty = Repo::new(DID, Signer::k256(1));
    assert!(verified(&empty.apply(&[]), &empty).is_ok());
}

#[test]
fn without_a_root_before_the_wanted_operations_alone_are_proven() {
    let mut repo = repo(Signer::k256(1));
    let mut event =
        repo.apply(&[put("fm.plyr.like/0", "new"), delete("fm.plyr.like/2"), put("fm.plyr.like/x", "")]);
    event.prev_data = None;
    event.ops.iter_mut().for_each(|op| op.prev = None);
    let proven = verified(&event, &repo).expect("proven");
    assert_eq!((proven.ops.len(), proven.prev_data), (3, None));
    let lie = |lie: &dyn Fn(&mut Event)| {
        let mut event = event.clone();
        lie(&mut event);
        name(verified(&event, &repo))
    };
    assert_eq!(lie(&|event| event.ops[0].cid = Some(event.commit)), Err("NotInMst"));
    assert_eq!(lie(&|event| event.ops[1].path = "fm.plyr.like/4".into()), Err("StillInMst"));
    assert_eq!(lie(&|event| drop(event.ops.remove(0))), Ok(()), "what it keeps quiet about is not seen");
}

#[test]
fn a_record_has_a_greatest_size() {
    for (len, outcome) in [(999_989, Ok(())), (999_990, Err("RecordTooLarge"))] {
        let mut repo = Repo::new(DID, Signer::k256(1));
        let record = Value::Map(vec![("a", Value::Bytes(vec![0; len])), ("b", Value::Null)]);
        assert_eq!(record.encode().len() - 11, len);
        let event = repo.apply(&[Edit::Put("fm.plyr.like/0".into(), record)]);
        assert_eq!(name(verified(&event, &repo)), outcome);
        let unwanted = verify_commit(&frame(&event), &repo.signer.public(), |_| false);
        assert_eq!(name(unwanted), outcome);
    }
}
