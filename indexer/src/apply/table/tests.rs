//! Each row of the table, by its name.

use super::*;

fn tid(clock: i64) -> Tid {
    Tid::from_timestamp_us(clock, 0)
}

fn cid(of: &str) -> Cid {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(of);
    Cid::new_v1(0x71, cid::multihash::Multihash::wrap(0x12, &digest).expect("32 bytes fit"))
}

fn uri(rkey: u8) -> AtUri {
    format!("at://did:web:one.test/fm.plyr.track/{rkey}").parse().expect("a URI")
}

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(second, 0).expect("small")
}

/// A repo that is whole at this rev.
fn whole(rev: i64) -> Repo {
    Repo {
        rev: Some(tid(rev)),
        seen_rev: Some(tid(rev)),
        data: Some(cid(&rev.to_string())),
        state: RepoState::Synchronized,
        ..Repo::default()
    }
}

fn row(rev: i64, proven: bool, value: Option<&str>) -> Row {
    let reported_by = (!proven).then(|| "somebody".into());
    Row { epoch: 0, rev: tid(rev), proven, reported_by, cid: value.map(cid), indexed_at: at(10) }
}

fn decided(repo: &Repo, stored: Option<&Row>, rev: i64, proven: bool, value: Option<&str>) -> Verdict {
    let (uri, rev, cid) = (uri(1), tid(rev), value.map(cid));
    decide(repo, stored, Change { uri: &uri, rev: &rev, proven, cid: cid.as_ref() })
}

fn asked(repo: &Repo, second: i64) -> Asked {
    Asked { epoch: repo.epoch, seen_rev: repo.seen_rev.clone(), at: at(second) }
}

/// A commit that names what it stands on as hosts do: the root of rev N is `cid("N")` here.
fn commit(repo: &mut Repo, since: Option<i64>, rev: i64) -> Chain {
    let prev = since.map(|since| cid(&since.to_string()));
    follow(repo, &tid(rev), since.map(tid).as_ref(), prev.as_ref(), &cid(&rev.to_string()))
}

/// A stretch of the repo as it was at `rev`, read to its end.
fn read(repo: &mut Repo, rev: i64, (after, upto): (Option<u8>, Option<u8>), asked: &Asked) -> Scope {
    let (rev, data) = (tid(rev), cid(&rev.to_string()));
    let (after, upto) = (after.map(uri), upto.map(uri));
    let (after, upto) = (after.as_ref(), upto.as_ref());
    let stretch = Stretch { at: &rev, data: &data, after, upto, authoritative: true, asked };
    let scope = scope(repo, &stretch);
    if scope != Scope::Discard {
        complete(repo, &stretch, 3, 1);
    }
    scope
}

const ALL: (Option<u8>, Option<u8>) = (None, None);

mod one_record {
    use super::*;

    #[test]
    fn a_change_at_or_before_the_synced_rev_is_stale() {
        let repo = Repo { synced_rev: Some(tid(5)), ..whole(7) };
        for (rev, verdict) in [(4, Verdict::Stale), (5, Verdict::Stale), (6, Verdict::Apply)] {
            assert_eq!(decided(&repo, None, rev, true, Some("a")), verdict);
            assert_eq!(decided(&repo, None, rev, false, Some("a")), verdict);
        }
    }

    #[test]
    fn a_change_that_a_resync_has_passed_is_stale() {
        let passed = |upto| Some(Resync { rev: tid(5), upto: uri(upto), held: 0, lost: 0 });
        let behind = Repo { resync: passed(1), ..whole(5) };
        assert_eq!(decided(&behind, None, 5, false, Some("a")), Verdict::Stale);
        assert_eq!(decided(&behind, None, 6, false, Some("a")), Verdict::Apply);
        let ahead = Repo { resync: passed(0), ..whole(5) };
        assert_eq!(decided(&ahead, None, 5, false, Some("a")), Verdict::Apply);
    }

    #[test]
    fn a_newer_change_is_applied() {
        for (was, proven) in [(true, true), (true, false), (false, true), (false, false)] {
            assert_eq!(decided(&whole(9), Some(&row(3, was, Some("a"))), 4, proven, None), Verdict::Apply);
        }
        // A later epoch is newer whatever the rev.
        let repo = Repo { epoch: 1, ..whole(2) };
        assert_eq!(decided(&repo, Some(&row(9, true, Some("a"))), 3, true, Some("b")), Verdict::Apply);
    }

    #[test]
    fn an_older_change_is_stale() {
        for (was, proven) in [(true, true), (true, false), (false, true), (false, false)] {
            let stored = row(5, was, Some("a"));
            assert_eq!(decided(&whole(9), Some(&stored), 4, proven, Some("b")), Verdict::Stale);
        }
    }

    #[test]
    fn the_same_at_the_same_rev_is_stale_or_raises_trust() {
        let same = |was, proven| decided(&whole(9), Some(&row(4, was, Some("a"))), 4, proven, Some("a"));
        assert_eq!(same(true, true), Verdict::Stale);
        assert_eq!(same(true, false), Verdict::Stale);
        assert_eq!(same(false, false), Verdict::Stale);
        assert_eq!(same(false, true), Verdict::RaiseTrust);
    }

    #[test]
    fn another_at_the_same_rev_is_settled_by_trust() {
        let other = |was, proven| decided(&whole(9), Some(&row(4, was, Some("a"))), 4, proven, Some("b"));
        assert_eq!(other(false, true), Verdict::Refute);
        assert_eq!(other(true, false), Verdict::Diverge);
    }

    #[test]
    fn another_at_the_same_rev_and_trust_is_a_conflict() {
        let other = |proven| decided(&whole(9), Some(&row(4, proven, Some("a"))), 4, proven, None);
        assert_eq!((other(true), other(false)), (Verdict::Conflict, Verdict::Conflict));
    }
}

mod settled {
    use super::*;

    fn settled(stored: Option<&Row>, at: i64, value: Option<&str>, authority: Option<&Asked>) -> Verdict {
        settle(&whole(9), stored, &tid(at), value.map(cid).as_ref(), authority)
    }

    #[test]
    fn what_is_not_newer_becomes_what_the_proof_says() {
        let asked = asked(&whole(9), 20);
        for proven in [true, false] {
            let stored = row(5, proven, Some("a"));
            assert_eq!(settled(Some(&stored), 9, Some("b"), Some(&asked)), Verdict::Apply);
            assert_eq!(settled(Some(&stored), 9, None, Some(&asked)), Verdict::Apply);
        }
        assert_eq!(settled(None, 9, Some("a"), Some(&asked)), Verdict::Apply);
        assert_eq!(settled(None, 9, None, Some(&asked)), Verdict::Stale);
        assert_eq!(settled(Some(&row(5, false, Some("a"))), 9, Some("a"), None), Verdict::RaiseTrust);
        assert_eq!(settled(Some(&row(5, true, Some("a"))), 9, Some("a"), None), Verdict::Stale);
    }

    #[test]
    fn a_report_of_that_very_rev_that_says_otherwise_was_false() {
        assert_eq!(settled(Some(&row(9, false, Some("a"))), 9, Some("b"), None), Verdict::Refute);
        assert_eq!(settled(Some(&row(9, false, Some("a"))), 9, None, None), Verdict::Refute);
    }

    #[test]
    fn what_is_proven_later_stays() {
        let asked = asked(&whole(9), 20);
        assert_eq!(settled(Some(&row(9, true, Some("a"))), 8, None, Some(&asked)), Verdict::Stale);
    }

    #[test]
    fn a_later_report_is_provisional_before_a_mirror() {
        assert_eq!(settled(Some(&row(9, false, Some("a"))), 8, None, None), Verdict::Provisional);
    }

    #[test]
    fn a_later_report_is_false_before_the_current_pds_if_it_was_here_when_we_asked() {
        let later = row(9, false, Some("a"));
        assert_eq!(settled(Some(&later), 8, None, Some(&asked(&whole(9), 11))), Verdict::Refute);
        assert_eq!(settled(Some(&later), 8, None, Some(&asked(&whole(9), 9))), Verdict::Provisional);
    }

    #[test]
    fn a_row_of_an_epoch_before_is_rewritten() {
        let repo = Repo { epoch: 1, ..whole(4) };
        let same = settle(&repo, Some(&row(9, true, Some("a"))), &tid(4), Some(&cid("a")), None);
        assert_eq!(same, Verdict::Apply);
    }
}

mod commits {
    use super::*;

    #[test]
    fn at_or_before_the_head_is_a_replay() {
        let mut repo = whole(5);
        assert_eq!(commit(&mut repo, Some(3), 4), Chain::Replay);
        assert_eq!(commit(&mut repo, Some(4), 5), Chain::Replay);
        assert_eq!(repo, whole(5));
    }

    #[test]
    fn a_repos_first_begins_its_chain() {
        let mut repo = Repo::default();
        assert_eq!(commit(&mut repo, None, 1), Chain::Follows);
        assert_eq!(repo, whole(1));
    }

    #[test]
    fn since_and_prev_data_must_be_what_we_hold() {
        let mut repo = whole(5);
        assert_eq!(commit(&mut repo, Some(5), 6), Chain::Follows);
        assert_eq!(repo, whole(6));
        // The last passed over a commit after which the tree was the same again.
        for (since, prev) in [(Some(tid(4)), "6"), (Some(tid(6)), "5"), (None, "6"), (Some(tid(7)), "6")] {
            let mut repo = whole(6);
            let chain = follow(&mut repo, &tid(8), since.as_ref(), Some(&cid(prev)), &cid("8"));
            assert_eq!((chain, repo.state), (Chain::Broken, RepoState::Desynchronized), "{since:?} {prev}");
            assert_eq!(repo.rev, Some(tid(8)));
        }
    }

    #[test]
    fn without_prev_data_nothing_tells_that_it_continues() {
        let mut repo = whole(5);
        assert_eq!(follow(&mut repo, &tid(6), Some(&tid(5)), None, &cid("6")), Chain::Broken);
        assert_eq!((repo.state, repo.trail), (RepoState::Desynchronized, vec![tid(6)]));
    }

    #[test]
    fn what_jumps_over_a_proven_rev_is_another_history() {
        let mut repo = Repo { seen_rev: Some(tid(7)), ..whole(5) };
        assert_eq!(commit(&mut repo, Some(5), 8), Chain::Broken);
        assert_eq!(repo.trail, [tid(8)]);
    }

    #[test]
    fn after_a_gap_the_trail_begins_with_what_it_stands_on() {
        let mut repo = whole(5);
        assert_eq!(commit(&mut repo, Some(6), 7), Chain::Broken);
        assert_eq!(commit(&mut repo, Some(7), 8), Chain::Follows);
        assert_eq!((repo.state, repo.trail), (RepoState::Desynchronized, vec![tid(6), tid(7), tid(8)]));
    }

    #[test]
    fn a_sync_that_tells_of_where_we_stand_changes_nothing() {
        let mut repo = whole(5);
        assert_eq!(announce(&mut repo, &tid(5), &cid("5")), Chain::Replay);
        assert_eq!(announce(&mut repo, &tid(4), &cid("4")), Chain::Replay);
        assert_eq!(repo, whole(5));
    }

    #[test]
    fn a_sync_of_the_same_tree_moves_the_rev() {
        let mut repo = whole(5);
        assert_eq!(announce(&mut repo, &tid(6), &cid("5")), Chain::Follows);
        assert_eq!(
            (repo.state, &repo.rev, &repo.seen_rev),
            (RepoState::Synchronized, &Some(tid(6)), &Some(tid(6)))
        );
        // And what follows stands on it.
        assert_eq!(follow(&mut repo, &tid(7), Some(&tid(6)), Some(&cid("5")), &cid("7")), Chain::Follows);
    }

    #[test]
    fn a_sync_of_another_tree_is_a_break() {
        for (rev, tree) in [(5, "other"), (6, "6")] {
            let mut repo = whole(5);
            assert_eq!(announce(&mut repo, &tid(rev), &cid(tree)), Chain::Broken);
            assert_eq!((repo.state, repo.trail), (RepoState::Desynchronized, vec![tid(rev)]));
        }
    }

    #[test]
    fn a_doubted_repo_is_made_whole_by_a_state_that_it_passed_through() {
        let mut repo = whole(5);
        doubt(&mut repo);
        let question = asked(&repo, 20);
        assert_eq!(commit(&mut repo, Some(5), 6), Chain::Follows);
        assert_eq!(repo.state, RepoState::Desynchronized);
        assert_eq!(read(&mut repo, 5, ALL, &question), Scope::Settle);
        assert_eq!((repo.state, repo.rev), (RepoState::Synchronized, Some(tid(6))));
    }
}

mod repos {
    use super::*;

    #[test]
    fn a_mirror_that_lags_is_discarded() {
        let mut repo = whole(5);
        let (asked, rev, data) = (asked(&repo, 20), tid(4), cid("4"));
        let stretch =
            Stretch { at: &rev, data: &data, after: None, upto: None, authoritative: false, asked: &asked };
        assert_eq!(scope(&mut repo, &stretch), Scope::Discard);
        assert_eq!(repo, whole(5));
    }

    #[test]
    fn a_pds_that_went_back_begins_an_epoch() {
        let mut repo = Repo { synced_rev: Some(tid(5)), ..whole(5) };
        let question = asked(&repo, 20);
        assert_eq!(read(&mut repo, 3, ALL, &question), Scope::NewEpoch);
        assert_eq!(repo, Repo { epoch: 1, synced_rev: Some(tid(3)), ..whole(3) });
        // And an answer to a question of the epoch before is none to this one.
        assert_eq!(read(&mut repo, 9, ALL, &question), Scope::Discard);
    }

    #[test]
    fn an_answer_that_was_overtaken_is_discarded_unless_we_passed_through_it() {
        let question = asked(&whole(5), 20);
        let mut repo = whole(5);
        commit(&mut repo, Some(5), 7);
        assert_eq!(read(&mut repo, 6, ALL, &question), Scope::Discard, "it was synchronized all the time");
        let mut repo = whole(5);
        commit(&mut repo, Some(6), 7);
        assert_eq!(read(&mut repo, 6, ALL, &question), Scope::Settle);
        assert_eq!(
            (repo.state, repo.rev, repo.synced_rev),
            (RepoState::Synchronized, Some(tid(7)), Some(tid(6)))
        );
    }
}

mod stretches {
    use super::*;

    /// A repo of which everything up to record 2 has been read at rev 9.
    fn begun() -> (Repo, Asked) {
        let mut repo = Repo { state: RepoState::Desynchronized, ..whole(5) };
        let question = asked(&repo, 20);
        assert_eq!(read(&mut repo, 9, (None, Some(2)), &question), Scope::Settle);
        (repo, question)
    }

    #[test]
    fn only_the_last_makes_it_whole() {
        let (mut repo, question) = begun();
        assert_eq!((repo.state, &repo.rev, &repo.synced_rev), (RepoState::Resyncing, &Some(tid(9)), &None));
        assert_eq!(read(&mut repo, 9, (Some(2), Some(4)), &question), Scope::Settle);
        assert_eq!(repo.resync, Some(Resync { rev: tid(9), upto: uri(4), held: 6, lost: 2 }));
        assert_eq!(read(&mut repo, 9, (Some(4), None), &question), Scope::Settle);
        assert_eq!(repo, Repo { synced_rev: Some(tid(9)), ..whole(9) });
    }

    #[test]
    fn what_does_not_continue_the_last_one_is_discarded() {
        let (repo, question) = begun();
        for (rev, after) in [(9, 1), (9, 3), (8, 2), (10, 2)] {
            let mut same = repo.clone();
            assert_eq!(read(&mut same, rev, (Some(after), None), &question), Scope::Discard);
            assert_eq!(same, repo);
        }
        let other = Asked { epoch: 1, ..question };
        assert_eq!(read(&mut repo.clone(), 9, (Some(2), None), &other), Scope::Discard);
    }

    #[test]
    fn a_first_one_begins_anew() {
        let (mut repo, _) = begun();
        let question = asked(&repo, 30);
        assert_eq!(read(&mut repo, 9, (None, Some(1)), &question), Scope::Settle);
        assert_eq!(repo.resync.as_ref().map(|resync| &resync.upto), Some(&uri(1)));
        assert_eq!(read(&mut repo, 10, ALL, &question), Scope::Settle);
        assert_eq!(repo, Repo { synced_rev: Some(tid(10)), ..whole(10) });
    }

    #[test]
    fn a_new_epoch_begins_with_the_first_and_goes_on() {
        let mut repo = whole(5);
        let question = asked(&repo, 20);
        assert_eq!(read(&mut repo, 3, (None, Some(2)), &question), Scope::NewEpoch);
        assert_eq!((repo.epoch, repo.state), (1, RepoState::Resyncing));
        assert_eq!(read(&mut repo, 3, (Some(2), None), &question), Scope::Settle);
        assert_eq!(repo, Repo { epoch: 1, synced_rev: Some(tid(3)), ..whole(3) });
    }

    #[test]
    fn commits_that_follow_do_not_disturb_it() {
        let (mut repo, question) = begun();
        assert_eq!(commit(&mut repo, Some(8), 9), Chain::Replay);
        assert_eq!(commit(&mut repo, Some(9), 11), Chain::Follows);
        assert_eq!(announce(&mut repo, &tid(11), &cid("11")), Chain::Replay);
        assert_eq!(read(&mut repo, 9, (Some(2), None), &question), Scope::Settle);
        assert_eq!(repo, Repo { synced_rev: Some(tid(9)), ..whole(11) });
    }

    #[test]
    fn more_commits_than_a_trail_holds_do_not_disturb_it() {
        let (mut repo, question) = begun();
        for rev in 10..10 + 2 * chain::TRAIL_MAX as i64 {
            assert_eq!(commit(&mut repo, Some(rev - 1), rev), Chain::Follows);
        }
        assert!(repo.trail.len() <= chain::TRAIL_MAX && repo.trail[0] == tid(9));
        assert_eq!(read(&mut repo, 9, (Some(2), None), &question), Scope::Settle);
        assert_eq!(repo.state, RepoState::Synchronized);
    }

    #[test]
    fn a_gap_or_another_history_ends_it() {
        for since in [10, 5] {
            let (mut repo, question) = begun();
            assert_eq!(commit(&mut repo, Some(since), 11), Chain::Broken);
            assert_eq!(read(&mut repo, 9, (Some(2), None), &question), Scope::Discard);
            assert_eq!(repo.state, RepoState::Desynchronized);
        }
        let (mut repo, question) = begun();
        assert_eq!(announce(&mut repo, &tid(12), &cid("12")), Chain::Broken);
        assert_eq!(read(&mut repo, 9, (Some(2), None), &question), Scope::Discard);
    }

    #[test]
    fn a_doubt_lets_it_end_without_making_it_whole() {
        let (mut repo, question) = begun();
        doubt(&mut repo);
        assert_eq!(read(&mut repo, 9, (Some(2), None), &question), Scope::Settle);
        assert_eq!((repo.state, repo.synced_rev), (RepoState::Desynchronized, Some(tid(9))));
    }

    #[test]
    fn an_older_reader_does_not_take_the_place_of_a_newer_one() {
        let mut repo = Repo { state: RepoState::Desynchronized, ..whole(5) };
        let question = asked(&repo, 20);
        assert_eq!(read(&mut repo, 9, (None, Some(2)), &question), Scope::Settle);
        assert_eq!(read(&mut repo, 7, (None, Some(2)), &question), Scope::Discard);
        assert_eq!(repo.resync.map(|resync| resync.rev), Some(tid(9)));
    }
}
