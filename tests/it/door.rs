//! The door with a database, and without a network: what is said to it, and what it then holds.

mod loss;
mod room;

use std::time::Duration;

use indexer::apply::{account, apply};
use indexer::change::{Input, Op, Problem, Proof, Report, Status};
use indexer::job;
use indexer::syntax::AtUri;

use crate::world::run;
use room::Room;

fn stands(state: &str, reading: bool, live: &str) -> (String, bool, String) {
    (state.into(), reading, live.into())
}

#[test]
fn a_repo_in_stretches_is_whole_after_the_last() {
    run(async {
        let room = Room::new().await;
        room.say(room.commit(None, 1, vec![(room.uri(2), room.put("2")), (room.uri(7), room.put("7"))]))
            .await;
        let stretches = room.stretches(5, &[1, 3, 5, 8], &[3, 5]).await;
        let mut stretches = stretches.into_iter();
        room.say(stretches.next().expect("the first")).await;
        // What it lacks is gone as far as it was read, and no further.
        assert_eq!(room.stands().await, stands("resyncing", true, "1 3 7"));
        // A live commit passes meanwhile, and a late one that is told already.
        room.say(room.commit(Some(5), 6, vec![(room.uri(9), room.put("9"))])).await;
        room.say(room.commit(Some(1), 4, vec![(room.uri(2), room.put("2"))])).await;
        room.say(stretches.next().expect("the second")).await;
        room.say(stretches.next().expect("the last")).await;
        assert_eq!(room.stands().await, stands("synchronized", false, "1 3 5 8 9"));
        assert_eq!(room.text("select rev from repo").await, room.rev(6).as_str());
        assert_eq!(room.text("select synced_rev from repo").await, room.rev(5).as_str());
        let counted = room.db.number("select count(*) from subject_count where like_count = 1").await;
        assert_eq!(counted, 5, "each live like counts, and no other");
    });
}

#[test]
fn a_reader_that_dies_is_found_and_another_begins_anew() {
    run(async {
        let room = Room::new().await;
        room.say(room.commit(None, 1, vec![(room.uri(2), room.put("2"))])).await;
        let dead = room.stretches(5, &[1, 3], &[2]).await;
        room.say(dead[0].clone()).await;
        room.db.run("delete from job").await;
        job::sweep(&room.db.pool).await.expect("a sweep");
        assert!(room.jobs(job::RESYNC).await.is_empty(), "it may still be alive");
        room.db.run("update repo set resync_at = now() - interval '1 hour'").await;
        job::sweep(&room.db.pool).await.expect("a sweep");
        assert_eq!(room.jobs(job::RESYNC).await, [room.did.as_str()]);
        for stretch in room.stretches(6, &[3, 4], &[1, 3]).await {
            room.say(stretch).await;
        }
        room.say(dead[1].clone()).await;
        assert_eq!(room.stands().await, stands("synchronized", false, "3 4"));
    });
}

#[test]
fn a_restored_backup_in_stretches_is_a_new_epoch() {
    run(async {
        let room = Room::new().await;
        room.say(room.commit(None, 9, (1..6).map(|n| (room.uri(n), room.put("x"))).collect())).await;
        for stretch in room.stretches(5, &[1, 4, 7], &[1, 4]).await {
            room.say(stretch).await;
        }
        assert_eq!(room.stands().await, stands("synchronized", false, "1 4 7"));
        assert_eq!(
            room.text("select epoch::text || rev || seen_rev from repo").await,
            format!("1{0}{0}", room.rev(5))
        );
        assert_eq!(room.db.number("select count(*) from record where epoch <> 1").await, 0);
    });
}

#[test]
fn a_report_is_believed_at_once_and_proven_later() {
    run(async {
        let room = Room::new().await;
        room.say_from("jetstream", room.report(5, 1, room.put("1"))).await;
        assert_eq!(room.stands().await, stands("unknown", false, "1"));
        assert_eq!(room.text("select reported_by from record where not proven").await, "jetstream");
        assert_eq!(
            room.db
                .number("select count(*) from repo where coalesce(rev, seen_rev, synced_rev) is null")
                .await,
            1
        );
        assert_eq!(room.jobs(job::PROVE).await, [room.did.as_str()]);
        assert_eq!(room.jobs(job::RESYNC).await, [room.did.as_str()], "the rest of the repo is not here");
        // The same from a source that proves it.
        room.say_from("relay", room.commit(None, 5, vec![(room.uri(1), room.put("1"))])).await;
        assert_eq!(
            room.db.number("select count(*) from record where proven and reported_by is null").await,
            1
        );
        assert_eq!(room.db.number("select sum(divergences)::bigint from source").await, 0);
    });
}

#[test]
fn a_false_report_is_replaced_and_counted() {
    run(async {
        let room = Room::new().await;
        // Overruled by a commit of the same rev, contradicting one, refuted by a proof.
        room.say_from("jetstream", room.report(5, 1, room.put("lie"))).await;
        room.say_from("relay", room.commit(None, 5, vec![(room.uri(1), room.put("1"))])).await;
        let divergences = "select sum(divergences)::bigint from source where key = 'jetstream'";
        assert_eq!(room.db.number(divergences).await, 1);
        room.say_from("jetstream", room.report(5, 1, room.put("lie"))).await;
        assert_eq!(room.db.number(divergences).await, 2);
        room.say_from("jetstream", room.report(7, 2, room.put("lie"))).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
        let asked = room.asked().await;
        room.say(Input::Proof(Proof { uri: room.uri(2), rev: room.rev(6), op: Op::Delete, asked })).await;
        assert_eq!(room.db.number(divergences).await, 3);
        assert_eq!(room.stands().await, stands("synchronized", false, "1"));
        let subject = format!("at://{}/fm.plyr.track/1", room.did);
        assert_eq!(room.text("select uri from subject_count where like_count <> 0").await, subject);
    });
}

#[test]
fn a_report_about_a_stranger_who_has_nothing_of_ours_is_ignored() {
    run(async {
        let room = Room::new().await;
        let uri: AtUri = format!("at://{}/app.bsky.actor.profile/self", room.did).parse().expect("a URI");
        room.say_from("jetstream", Input::Report(Report { uri, rev: room.rev(1), op: room.put("1") })).await;
        assert_eq!(room.db.number("select count(*) from repo").await, 0);
        assert_eq!(room.db.number("select count(*) from record").await, 0);
    });
}

#[test]
fn a_rev_that_no_clock_has_reached_is_kept_aside() {
    run(async {
        let room = Room::new().await;
        room.say(room.commit(None, 1, vec![(room.uri(1), room.put("1"))])).await;
        let ahead = 3600 + 400;
        room.say(room.report(ahead, 1, room.put("2"))).await;
        room.say(Input::Local(indexer::change::Local {
            uri: room.uri(1),
            rev: room.rev(ahead),
            op: Op::Delete,
        }))
        .await;
        room.say(room.stretches(ahead, &[], &[]).await.remove(0)).await;
        let asked = room.asked().await;
        room.say(Input::Proof(Proof { uri: room.uri(1), rev: room.rev(ahead), op: Op::Delete, asked })).await;
        assert_eq!(room.stands().await, stands("synchronized", false, "1"));
        assert!(room.jobs(job::RESYNC).await.is_empty());
        room.say(room.commit(Some(1), ahead, vec![])).await;
        room.say(Input::Sync { did: room.did.clone(), rev: room.rev(ahead), data: room.root(2) }).await;
        assert_eq!(room.stands().await, stands("desynchronized", false, "1"));
        assert_eq!(room.jobs(job::RESYNC).await, [room.did.as_str()], "what it was is lost here");
        // Said six times, kept once of the record and once of the repo.
        assert_eq!(room.db.number("select count(*) from problem where kind = 'FutureRev'").await, 2);
        assert_eq!(room.text("select rev || seen_rev from repo").await, format!("{0}{0}", room.rev(1)));
    });
}

#[test]
fn a_proof_out_of_date_is_asked_for_again() {
    run(async {
        let room = Room::new().await;
        room.say(room.commit(None, 5, vec![(room.uri(1), room.put("1"))])).await;
        let before = room.asked().await;
        room.say(room.commit(Some(5), 6, vec![(room.uri(2), room.put("2"))])).await;
        let proof =
            |rev, asked| Input::Proof(Proof { uri: room.uri(1), rev: room.rev(rev), op: Op::Delete, asked });
        room.say(proof(5, before)).await;
        assert_eq!((room.jobs(job::PROVE).await.len(), room.jobs(job::RESYNC).await.len()), (1, 0));
        // The host stands behind what was known when it was asked: it went back.
        let now = room.asked().await;
        room.say(proof(5, now)).await;
        assert_eq!(room.jobs(job::RESYNC).await, [room.did.as_str()]);
        assert_eq!(room.stands().await, stands("synchronized", false, "1 2"));
    });
}

/// What a host said before it was set back says nothing of what it is now, however new its rev.
#[test]
fn a_proof_from_before_a_restore_is_asked_for_again() {
    run(async {
        let room = Room::new().await;
        room.say(room.commit(None, 1, vec![(room.uri(1), room.put("1"))])).await;
        room.say(room.commit(Some(1), 6, vec![(room.uri(2), room.put("2"))])).await;
        let before = room.asked().await;
        for stretch in room.stretches(3, &[1], &[]).await {
            room.say(stretch).await;
        }
        assert_eq!(room.stands().await, stands("synchronized", false, "1"));
        room.db.run("delete from job").await;
        room.say(Input::Proof(Proof { uri: room.uri(1), rev: room.rev(6), op: Op::Delete, asked: before }))
            .await;
        assert_eq!(room.stands().await, stands("synchronized", false, "1"));
        assert_eq!(room.jobs(job::PROVE).await, [room.did.as_str()]);
    });
}

/// A repo that stands elsewhere than its commits led is read as a whole; of a stranger's, nobody asked.
#[test]
fn a_sync_says_where_a_repo_stands() {
    run(async {
        let room = Room::new().await;
        let sync =
            |rev, root| Input::Sync { did: room.did.clone(), rev: room.rev(rev), data: room.root(root) };
        room.say(sync(1, 1)).await;
        assert_eq!(room.db.number("select count(*) from repo").await, 0);
        room.say(room.commit(None, 1, vec![(room.uri(1), room.put("1"))])).await;
        for stretch in room.stretches(2, &[1], &[]).await {
            room.say(stretch).await;
        }
        room.db.run("delete from job").await;
        // What we know already, and the same tree at another rev.
        room.say(sync(1, 9)).await;
        room.say(sync(3, 2)).await;
        assert_eq!(room.stands().await, stands("synchronized", false, "1"));
        assert_eq!(room.text("select rev from repo").await, room.rev(3).as_str());
        assert!(room.jobs(job::RESYNC).await.is_empty());
        let overtaken = room.stretches(3, &[1], &[]).await;
        room.say(sync(4, 4)).await;
        assert_eq!(room.stands().await, stands("desynchronized", false, "1"));
        assert_eq!(room.jobs(job::RESYNC).await, [room.did.as_str()]);
        // Only a reading at that rev or later ends it.
        for stretch in overtaken {
            room.say(stretch).await;
        }
        assert_eq!(room.stands().await.0, "desynchronized");
        for stretch in room.stretches(4, &[2], &[]).await {
            room.say(stretch).await;
        }
        assert_eq!(room.stands().await, stands("synchronized", false, "2"));
    });
}

/// Whose identity may have changed is looked up anew, if anybody knows them.
#[test]
fn an_identity_that_may_have_changed_is_looked_up() {
    run(async {
        let room = Room::new().await;
        room.say(Input::Identity { did: room.did.clone() }).await;
        assert!(room.jobs(job::MEET).await.is_empty(), "a stranger's is nothing to us");
        room.say(room.commit(None, 1, vec![(room.uri(1), room.put("1"))])).await;
        room.db.run("delete from job").await;
        room.say(Input::Identity { did: room.did.clone() }).await;
        assert_eq!(room.jobs(job::MEET).await, [room.did.as_str()]);
    });
}

/// The event that tells of a return may be lost; who goes on writing is asked about all the same.
#[test]
fn who_writes_while_hidden_is_asked_about() {
    run(async {
        let room = Room::new().await;
        room.say(room.commit(None, 1, vec![(room.uri(1), room.put("1"))])).await;
        room.say(Input::Account { did: room.did.clone(), status: Status::Deactivated }).await;
        let said = account::pending(&room.door, &room.did).await.expect("a look").expect("it waits");
        assert!(
            account::confirm(&room.door, &room.did, said, Some(Status::Deactivated)).await.expect("a write")
        );
        room.db.run("delete from job").await;
        // What is old says nothing about now.
        room.say(room.commit(None, 1, vec![(room.uri(1), room.put("1"))])).await;
        assert!(account::pending(&room.door, &room.did).await.expect("a look").is_none());
        room.say(room.commit(Some(1), 2, vec![(room.uri(2), room.put("2"))])).await;
        let said = account::pending(&room.door, &room.did).await.expect("a look").expect("it waits");
        assert_eq!((said.confirmed, said.status), (Status::Deactivated, Status::Active));
        assert_eq!(room.jobs(job::ACCOUNT).await, [room.did.as_str()]);
    });
}

/// An account that sends nonsense all day fills nobody's disk: of it there is so much, and the rest is counted.
#[test]
fn of_one_account_only_so_much_is_kept_aside() {
    run(async {
        let room = Room::new().await;
        let nonsense = |seq: i64, size_bytes: usize| {
            Input::Problem(Problem {
                kind: "BadSignature",
                seq: Some(seq),
                did: Some(room.did.clone()),
                detail: format!("number {seq}"),
                bytes: vec![7; size_bytes].into(),
                ..Problem::default()
            })
        };
        for seq in 0..9 {
            room.say_from("relay", nonsense(seq, 4_000_000)).await;
        }
        assert_eq!(room.db.number("select count(*) from problem").await, 9);
        assert_eq!(room.db.number("select sum(octet_length(bytes))::bigint from problem").await, 20_000_000);
        // Nobody else goes without for it.
        let other = Problem {
            did: Some("did:plc:other".parse().expect("a DID")),
            bytes: vec![7; 9].into(),
            ..Problem::default()
        };
        room.say(Input::Problem(other)).await;
        assert_eq!(room.db.number("select count(bytes) from problem where did = 'did:plc:other'").await, 1);
        room.db.run("delete from problem where did = 'did:plc:other'").await;
        let many: Vec<Input> = (10..3000).map(|seq| nonsense(seq, 0)).collect();
        apply(&room.door, &many, None).await.expect("it is applied");
        assert_eq!(room.db.number("select count(*) from problem").await, 2000);
        assert_eq!(room.db.number("select count(bytes) from problem").await, 1000);
    });
}

#[test]
fn who_begins_under_a_key_that_was_rotated_is_read() {
    run(async {
        let room = Room::new().await;
        // What they wrote cannot be verified any more, and says that it is of ours.
        room.say(Input::Missed { did: room.did.clone() }).await;
        assert!(room.jobs(job::RESYNC).await.is_empty(), "what strangers lose is none of our business");
        room.say(Input::Begun { did: room.did.clone() }).await;
        assert_eq!(room.jobs(job::RESYNC).await, [room.did.as_str()]);
        room.db.run("delete from job").await;
        // Also who is known by a like or a name, and not followed.
        account::acquaint(&room.door, &room.did).await.expect("they are known");
        room.db.run("delete from job").await;
        room.say(Input::Begun { did: room.did.clone() }).await;
        assert_eq!(room.jobs(job::RESYNC).await, [room.did.as_str()]);
        // Of who is followed it is known what they have, and how to go on.
        room.say(room.commit(None, 1, vec![(room.uri(1), room.put("x"))])).await;
        room.db.run("delete from job").await;
        room.say(Input::Begun { did: room.did.clone() }).await;
        assert!(room.jobs(job::RESYNC).await.is_empty());
    });
}

#[test]
fn what_strangers_prove_is_the_newest_that_was_seen() {
    run(async {
        let room = Room::new().await;
        account::acquaint(&room.door, &room.did).await.expect("they are known");
        let like: AtUri =
            format!("at://{}/app.bsky.feed.like/3jzfcijpj2z2a", room.did).parse().expect("a URI");
        let value = serde_json::json!({
            "$type": "app.bsky.feed.like", "createdAt": "2026-01-02T03:04:05Z",
            "subject": {"uri": format!("at://{}/fm.plyr.track/3jz", room.did),
                        "cid": "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a"},
        });
        let (cid, bytes) =
            indexer::dag::encode(&indexer::dag::from_json(&value).expect("a value")).expect("bytes");
        let put = Op::Put { cid, value: bytes.into() };
        room.say(room.commit(None, 5, vec![(like.clone(), put)])).await;
        assert_eq!(room.text("select seen_rev from repo").await, room.rev(5).as_str());
        // Nothing of an earlier commit is newer, and nothing of one that concerns nobody here costs a row.
        room.say(room.commit(None, 4, vec![(like, Op::Delete)])).await;
        assert_eq!(room.db.number("select count(*) from record where cid is not null").await, 1);
        let other: AtUri =
            format!("at://{}/app.bsky.feed.post/3jzfcijpj2z2a", room.did).parse().expect("a URI");
        room.say(room.commit(None, 9, vec![(other, Op::Delete)])).await;
        assert_eq!(room.text("select seen_rev from repo").await, room.rev(5).as_str());
    });
}

#[test]
fn a_strangers_name_and_face_are_proven() {
    run(async {
        let room = Room::new().await;
        account::acquaint(&room.door, &room.did).await.expect("they are known");
        let value = serde_json::json!({"$type": "app.bsky.actor.profile", "displayName": "somebody"});
        let (cid, bytes) =
            indexer::dag::encode(&indexer::dag::from_json(&value).expect("a value")).expect("bytes");
        let uri: AtUri = format!("at://{}/app.bsky.actor.profile/self", room.did).parse().expect("a URI");
        let op = Op::Put { cid, value: bytes::Bytes::from(bytes) };
        room.say_from("jetstream", Input::Report(Report { uri, rev: room.rev(1), op })).await;
        assert_eq!(room.jobs(job::PROVE).await, [room.did.as_str()]);
    });
}
