//! Comments written, edited and deleted here, and other programs at the same records.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Stage, text};
use crate::world::gate::Act;
use crate::world::{Account, Person, eventually, run, same};

const COLLECTION: &str = "fm.plyr.comment";
const PUT: &[&str] = &["com.atproto.repo.putRecord", COLLECTION];

async fn write(stage: &Stage, words: &str) -> Value {
    let body = json!({"text": words, "timestamp_ms": 400});
    stage.person.post_json(&stage.comments_path(), &body).await.good()
}

/// What anybody sees here, as texts.
async fn shown(stage: &Stage) -> Vec<String> {
    let http = stage.plyr.get(&stage.comments_path()).await.json::<Value>().await.expect("JSON");
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().expect("a list").iter().map(|comment| text(&comment["text"])).collect()
    };
    let xrpc = stage.plyr.query("fm.plyr.feed.getComments", &[("uri", &stage.track.0)]).await;
    assert_eq!(texts(&http["comments"]), texts(&xrpc["comments"]));
    assert_eq!(http["count"].as_u64(), Some(texts(&http["comments"]).len() as u64));
    texts(&http["comments"])
}

async fn there(stage: &Stage) -> usize {
    stage.person.account.list_records(COLLECTION).await.len()
}

#[test]
fn a_comment_is_an_exact_record_and_goes_when_deleted() {
    run(async {
        let stage = Stage::set().await;
        let made = write(&stage, "  this moment \u{1f3b6}  ").await;
        assert_eq!((&made["text"], &made["timestamp_ms"]), (&json!("this moment \u{1f3b6}"), &json!(400)));
        assert_eq!(
            (&made["user_did"], &made["updated_at"]),
            (&json!(stage.person.account.did), &Value::Null)
        );
        let uri = text(&made["atproto_uri"]);
        let record = stage.person.account.record(&uri).await;
        let (subject, cid) = (&stage.track.0, &stage.track.1);
        let wanted = json!({"$type": COLLECTION, "subject": {"uri": subject, "cid": cid}, "text": "this moment \u{1f3b6}",
                            "timestampMs": 400, "createdAt": record["createdAt"]});
        assert_eq!(record, wanted);
        assert_eq!(shown(&stage).await, ["this moment \u{1f3b6}"]);
        let path = format!("/tracks/comments/{}", made["id"]);
        assert_eq!(stage.person.delete(&path).await.good(), json!({"deleted": true}));
        assert_eq!((there(&stage).await, shown(&stage).await.len()), (0, 0));
        assert_eq!(stage.plyr.counts(&stage.track.0).await, Some([0, 0, 0]));
        let again = stage.person.delete(&path).await;
        assert_eq!((again.status, again.json()), (404, json!({"detail": "comment not found"})), "{again}");
        stage.await_echo().await;
        assert_eq!(shown(&stage).await.len(), 0);
    });
}

#[test]
fn an_edit_keeps_what_another_app_wrote() {
    run(async {
        let stage = Stage::set().await;
        // With the echo of the other app's write known here, and with it still on its way.
        for held in [false, true] {
            let made = write(&stage, &format!("first words, {held}")).await;
            let uri = text(&made["atproto_uri"]);
            stage.await_echo().await;
            if held {
                stage.gate.hold_stream();
            }
            let mut record = stage.person.account.record(&uri).await;
            record["com.example.mood"] = json!({"blue": [1, 2, null], "deep": {"er": true}});
            record["createdAt"] = json!("2024-02-29T12:00:00.123Z");
            let rkey = uri.rsplit('/').next().expect("a key");
            stage.person.account.put_record(COLLECTION, rkey, record.clone()).await;
            if !held {
                stage.await_echo().await;
            }
            let path = format!("/tracks/comments/{}", made["id"]);
            let edited = stage.person.patch_json(&path, &json!({"text": "second words"})).await.good();
            assert_eq!((&edited["text"], &edited["id"]), (&json!("second words"), &made["id"]));
            let mut after = stage.person.account.record(&uri).await;
            assert!(after["updatedAt"].is_string(), "{after}");
            after.as_object_mut().expect("an object").remove("updatedAt");
            record["text"] = json!("second words");
            assert_eq!(after, record);
            assert!(shown(&stage).await.contains(&"second words".to_owned()));
            stage.gate.release_stream();
            stage.await_echo().await;
            assert!(shown(&stage).await.contains(&"second words".to_owned()));
            stage.person.delete(&path).await.good();
        }
        assert_eq!((there(&stage).await, shown(&stage).await.len()), (0, 0));
    });
}

#[test]
fn others_keep_their_hands_off() {
    run(async {
        let stage = Stage::set().await;
        let made = write(&stage, "mine").await;
        let other = Account::create(&stage.net, "other").await;
        let other = Person::sign_in(&stage.plyr, &other).await;
        let path = format!("/tracks/comments/{}", made["id"]);
        let edit = other.patch_json(&path, &json!({"text": "yours"})).await;
        assert_eq!(
            (edit.status, edit.json()),
            (403, json!({"detail": "can only edit your own comments"})),
            "{edit}"
        );
        assert_eq!(other.delete(&path).await.status, 403);
        let nobody = stage.plyr.get("/auth/me").await.status();
        assert_eq!(nobody, 401);
        assert_eq!(shown(&stage).await, ["mine"]);
        assert_eq!(stage.person.account.record(&text(&made["atproto_uri"])).await["text"], "mine");
        for (body, status) in [
            (json!({"text": "", "timestamp_ms": 1}), 422),
            (json!({"text": " \n ", "timestamp_ms": 1}), 422),
            (json!({"text": "x".repeat(301), "timestamp_ms": 1}), 422),
            (json!({"text": "x", "timestamp_ms": -1}), 422),
            (json!({"text": "x"}), 422),
            (json!({"timestamp_ms": 1}), 422),
            (json!({"text": "x".repeat(300), "timestamp_ms": 1}), 200),
            // The lexicon counts bytes.
            (json!({"text": "\u{1f3b6}".repeat(251), "timestamp_ms": 1}), 422),
            (json!({"text": "\u{1f3b6}".repeat(250), "timestamp_ms": 1}), 200),
        ] {
            let answer = stage.person.post_json(&stage.comments_path(), &body).await;
            assert_eq!(answer.status, status, "{answer}");
        }
        assert_eq!(there(&stage).await, 3);
    });
}

#[test]
fn what_the_pds_refuses_is_not_there() {
    run(async {
        let stage = Stage::set().await;
        let refusal = json!({"error": "InvalidRequest", "message": "too loud"});
        let body = json!({"text": "loud", "timestamp_ms": 1});
        stage.gate.rule(1, PUT, Act::Answer(400, refusal.clone()));
        let answer = stage.person.post_json(&stage.comments_path(), &body).await;
        assert_eq!((answer.status, &answer.json()["detail"]), (502, &json!("your PDS refused it: too loud")));
        assert_eq!((there(&stage).await, shown(&stage).await.len()), (0, 0));
        let made = stage.person.post_json(&stage.comments_path(), &body).await.good();
        // An edit and a deletion that are refused change nothing either.
        let path = format!("/tracks/comments/{}", made["id"]);
        stage.gate.rule(1, PUT, Act::Answer(400, refusal.clone()));
        assert_eq!(stage.person.patch_json(&path, &json!({"text": "louder"})).await.status, 502);
        stage.gate.rule(1, &["com.atproto.repo.deleteRecord"], Act::Answer(400, refusal));
        assert_eq!(stage.person.delete(&path).await.status, 502);
        assert_eq!((there(&stage).await, shown(&stage).await), (1, vec!["loud".to_owned()]));
        stage.await_settled().await;
        assert_eq!(shown(&stage).await, ["loud"]);
    });
}

#[test]
fn a_comment_sent_twice_is_one() {
    run(async {
        let stage = Stage::set().await;
        let body = json!({"text": "once", "timestamp_ms": 7});
        let path = stage.comments_path();
        for fate in [Act::DelayAnswer(Duration::from_secs(2)), Act::LoseAnswer, Act::LoseRequest] {
            stage.gate.rule(1, PUT, fate.clone());
            let answers = join_all((0..5).map(|_| stage.person.post_json(&path, &body))).await;
            let first = answers[0].good();
            answers.iter().for_each(|answer| assert_eq!(answer.good(), first, "{fate:?}"));
            assert_eq!((there(&stage).await, shown(&stage).await.len()), (1, 1), "{fate:?}");
            stage.person.delete(&format!("/tracks/comments/{}", first["id"])).await.good();
            stage.await_echo().await;
            assert_eq!((there(&stage).await, shown(&stage).await.len()), (0, 0), "{fate:?}");
        }
    });
}

#[test]
fn edits_at_once_end_in_one_of_them() {
    run(async {
        let stage = Stage::set().await;
        let made = write(&stage, "before").await;
        let path = format!("/tracks/comments/{}", made["id"]);
        for round in 0..10 {
            let words: Vec<_> = (0..4).map(|number| format!("{round}, {number}")).collect();
            let edits = words.iter().map(|words| {
                let (person, path) = (&stage.person, &path);
                async move { person.patch_json(path, &json!({"text": words})).await }
            });
            let answers = join_all(edits).await;
            let good = answers.iter().filter(|answer| answer.status == 200).count();
            assert!(
                good > 0 && answers.iter().all(|answer| [200, 409].contains(&answer.status)),
                "{answers:?}"
            );
            let there = text(&stage.person.account.record(&text(&made["atproto_uri"])).await["text"]);
            assert!(words.contains(&there), "{there}");
            eventually("the same words here", || async { same(shown(&stage).await, vec![there.clone()]) })
                .await;
        }
    });
}
