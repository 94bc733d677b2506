//! What holds for any history of a repo, and for any damage to what its host sends.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::proto::testing::EventOp;

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Delete(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![2 => any::<(u8, u8)>().prop_map(|(key, text)| Step::Put(key % 64, text)),
                1 => any::<u8>().prop_map(|key| Step::Delete(key % 64))]
}

/// The edits that can be made: nothing is deleted that is not there.
fn edits(steps: &[Step], repo: &Repo) -> Vec<Edit> {
    let mut paths: BTreeSet<String> = repo.entries().into_iter().map(|(path, _)| path).collect();
    let edit = |step: &Step| match step {
        Step::Put(key, text) => {
            let path = format!("fm.plyr.like/{key}");
            paths.insert(path.clone());
            Some(put(&path, &text.to_string()))
        }
        Step::Delete(key) => {
            let path = format!("fm.plyr.like/{key}");
            paths.remove(&path).then(|| delete(&path))
        }
    };
    steps.iter().filter_map(edit).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_proven_is_what_was_written(
        curve in any::<bool>(),
        commits in prop::collection::vec(prop::collection::vec(step(), 1..12), 1..6),
    ) {
        let mut repo = Repo::new(DID, if curve { Signer::p256(1) } else { Signer::k256(1) });
        let mut followed: BTreeMap<String, Cid> = BTreeMap::new();
        for steps in commits {
            let event = repo.apply(&edits(&steps, &repo));
            for op in verified(&event, &repo).expect("proven").ops {
                let path = format!("{}/{}", op.collection, op.rkey);
                match op.op {
                    Op::Put { cid, .. } => drop(followed.insert(path, cid)),
                    Op::Delete => drop(followed.remove(&path)),
                }
            }
            prop_assert_eq!(followed.clone().into_iter().collect::<Vec<_>>(), repo.entries());
        }
        let whole = verify_repo(&repo.car(), &repo.did, &repo.signer.public(), |_| true).expect("proven");
        let records = whole.records.iter().map(|record| (format!("{}/{}", record.collection, record.rkey), record.cid));
        prop_assert_eq!(records.collect::<Vec<_>>(), repo.entries());
    }

    #[test]
    fn any_altered_byte_is_refused_or_changes_nothing(
        at in any::<prop::sample::Index>(), flip in 1u8.., cut in any::<prop::sample::Index>(),
    ) {
        let repo = repo(Signer::k256(1));
        let key = repo.signer.public();
        let honest = verify_repo(&repo.car(), &repo.did, &key, |_| true).expect("proven");
        let mut altered = repo.car();
        let at = at.index(altered.len());
        altered[at] ^= flip;
        let outcome = verify_repo(&altered, &repo.did, &key, |_| true);
        prop_assert!(outcome.is_err() || outcome.is_ok_and(|proven| proven == honest));
        altered[at] ^= flip;
        altered.truncate(cut.index(altered.len()));
        let outcome = verify_repo(&altered, &repo.did, &key, |_| true);
        prop_assert!(outcome.is_err() || outcome.is_ok_and(|proven| proven == honest));
    }

    #[test]
    fn an_altered_event_proves_nothing_else(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut repo = repo(Signer::k256(1));
        let event = repo.apply(&[put("fm.plyr.like/0", "new"), delete("fm.plyr.like/2")]);
        let key = repo.signer.public();
        let honest = verified(&event, &repo).expect("proven");
        let mut message = event.message(1).to_vec();
        let at = at.index(message.len());
        message[at] ^= flip;
        if let Ok(Frame::Commit(event)) = Frame::decode(&message.into())
            && let Ok(proven) = verify_commit(&event, &key, |_| true)
        {
            prop_assert_eq!((&proven.did, &proven.rev, proven.data), (&honest.did, &honest.rev, honest.data));
            // An operation's path can be altered to that of another record only if the tree agrees.
            let entries = repo.entries();
            for op in &proven.ops {
                let path = format!("{}/{}", op.collection, op.rkey);
                let stands = entries.iter().find(|(other, _)| *other == path).map(|(_, cid)| *cid);
                let said = match &op.op { Op::Put { cid, .. } => Some(*cid), Op::Delete => None };
                prop_assert_eq!(said, stands);
            }
        }
    }

    #[test]
    fn a_commit_that_keeps_quiet_or_invents_is_refused(
        older in prop::collection::vec(step(), 1..60), steps in prop::collection::vec(step(), 1..8),
        which in any::<prop::sample::Index>(), lie in 0usize..6,
    ) {
        let mut repo = Repo::new(DID, Signer::k256(1));
        repo.apply(&edits(&older, &repo));
        let at_first = repo.entries();
        let mut event = repo.apply(&edits(&steps, &repo));
        prop_assert!(verified(&event, &repo).is_ok());
        let other = testing::cid(b"other");
        let op = (!event.ops.is_empty()).then(|| which.index(event.ops.len()));
        let path = op.map(|op| event.ops[op].path.clone()).unwrap_or_default();
        let find = |entries: &[(String, Cid)], path: &str| entries.iter().find(|(key, _)| key == path).map(|(_, cid)| *cid);
        let is_changed = find(&at_first, &path) != find(&repo.entries(), &path);
        match (lie, op) {
            // All of a path's operations are left out.
            (0, Some(_)) if is_changed => event.ops.retain(|op| op.path != path),
            // The first one tells of another record before.
            (1, Some(_)) => {
                let first = event.ops.iter_mut().find(|op| op.path == path).expect("an operation");
                first.prev = Some(other);
            }
            (2, _) => event.prev_data = Some(repo.data()).filter(|data| Some(*data) != event.prev_data).or(Some(other)),
            // One too many: of a record that is, and was, there; and of one that never was.
            (3, _) => {
                let entries = repo.entries();
                let untouched = entries.iter().find(|(path, _)| event.ops.iter().all(|op| op.path != *path));
                if let Some((path, cid)) = untouched {
                    event.ops.push(EventOp { action: "create", path: path.clone(), cid: Some(*cid), prev: None });
                    event.blocks = repo.blocks();
                } else {
                    event.prev_data = Some(other);
                }
            }
            (4, _) => {
                let path = "fm.plyr.like/never".to_owned();
                event.ops.push(EventOp { action: "delete", path, cid: None, prev: Some(other) });
                event.blocks = repo.blocks();
            }
            // A node is another tree's under its own name.
            _ => {
                let tree = Tree::build(&[("fm.plyr.like/1".into(), other)]);
                let nodes = event.blocks.iter().position(|(cid, _)| *cid == repo.data());
                match nodes {
                    Some(at) => event.blocks[at] = tree.nodes().remove(0),
                    None => event.prev_data = Some(other),
                }
            }
        }
        prop_assert!(verified(&event, &repo).is_err(), "{:?}", verified(&event, &repo));
    }
}
