//! What holds for any history of a repo, and for any damage to what its host sends.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Put(u8, u8),
    Delete(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![2 => any::<(u8, u8)>().prop_map(|(key, text)| Step::Put(key % 64, text)),
                1 => any::<u8>().prop_map(|key| Step::Delete(key % 64))]
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
            let edits: Vec<Edit> = steps
                .iter()
                .map(|step| match step {
                    Step::Put(key, text) => put(&format!("fm.plyr.like/{key}"), &text.to_string()),
                    Step::Delete(key) => delete(&format!("fm.plyr.like/{key}")),
                })
                .collect();
            let event = repo.apply(&edits);
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
}
