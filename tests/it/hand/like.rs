//! Taps on the heart: twice, ten times at once, with slow and lost answers.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use super::{Stage, text};
use crate::world::agent::Answer;
use crate::world::gate::Act;
use crate::world::run;

const PUT: &[&str] = &["com.atproto.repo.putRecord", "fm.plyr.like"];
const DELETE: &[&str] = &["com.atproto.repo.deleteRecord", "fm.plyr.like"];

/// They all say the same, and it is true: one uri.
fn expect_liked(answers: &[Answer]) -> String {
    let uri = text(&answers[0].good()["atproto_uri"]);
    for answer in answers {
        assert_eq!(answer.good(), json!({"liked": true, "atproto_uri": uri}), "{answer}");
    }
    uri
}

fn expect_unliked(answers: &[Answer]) {
    answers.iter().for_each(|answer| assert_eq!(answer.good(), json!({"liked": false}), "{answer}"));
}

/// Taps `taps` times at once, with this fate of the first answer; then takes it back the same way.
async fn tap(stage: &Stage, taps: usize, fate: Act) {
    let path = stage.like_path();
    stage.gate.rule(1, PUT, fate.clone());
    let answers = join_all((0..taps).map(|_| stage.person.post(&path))).await;
    let uri = expect_liked(&answers);
    // What was answered is true at once, there and here.
    assert_eq!(stage.likes_there().await, [uri.as_str()], "{taps} taps, {fate:?}");
    assert_eq!(stage.likes_here().await, Ok(vec![uri.clone()]), "{taps} taps, {fate:?}");
    stage.await_echo().await;
    assert_eq!(stage.await_likes(1).await, [uri]);

    stage.gate.rule(1, DELETE, fate.clone());
    expect_unliked(&join_all((0..taps).map(|_| stage.person.delete(&path))).await);
    assert_eq!(stage.likes_there().await, [""; 0], "{taps} taps, {fate:?}");
    assert_eq!(stage.likes_here().await, Ok(vec![]), "{taps} taps, {fate:?}");
    stage.await_echo().await;
    stage.await_likes(0).await;
}

#[test]
fn many_taps_are_one_like() {
    run(async {
        let stage = Stage::set().await;
        let late = Act::DelayRequest(Duration::from_millis(700));
        for fate in [Act::Pass, Act::LoseAnswer, Act::LoseRequest, Act::Twice, late] {
            for taps in [1, 2, 10] {
                tap(&stage, taps, fate.clone()).await;
            }
        }
        stage.await_settled().await;
        stage.plyr.await_quiet().await;
    });
}

#[test]
fn taps_during_a_slow_answer_are_one_like() {
    run(async {
        let stage = Stage::set().await;
        let before = Instant::now();
        tap(&stage, 2, Act::DelayAnswer(Duration::from_secs(5))).await;
        assert!(before.elapsed() >= Duration::from_secs(10), "nobody was told before it was known");
        tap(&stage, 10, Act::DelayAnswer(Duration::from_secs(5))).await;
        // The echo, which comes long before the answer, made nothing of its own.
        stage.await_settled().await;
    });
}

/// The record is exact, and the answers of a second like and of an unlike without a like are as the contract has them.
#[test]
fn a_like_is_an_exact_record() {
    run(async {
        let stage = Stage::set().await;
        let before = chrono::Utc::now();
        let uri = text(&stage.person.post(&stage.like_path()).await.good()["atproto_uri"]);
        let record = stage.person.account.record(&uri).await;
        let at: chrono::DateTime<chrono::Utc> = text(&record["createdAt"]).parse().expect("a time");
        assert!(before <= at && at <= chrono::Utc::now(), "{at}");
        let (subject, cid) = (&stage.track.0, &stage.track.1);
        let wanted = json!({"$type": "fm.plyr.like", "subject": {"uri": subject, "cid": cid}, "createdAt": record["createdAt"]});
        assert_eq!(record, wanted);
        let likes = stage.person.get(&format!("/tracks/{}/likes", stage.id)).await.good();
        assert_eq!(likes["count"], 1);
        assert_eq!(likes["users"][0]["did"], stage.person.account.did);
        let again = stage.person.post(&stage.like_path()).await.good();
        assert_eq!(again["liked"], true);
        stage.await_likes(1).await;
        for _ in 0..2 {
            assert_eq!(stage.person.delete(&stage.like_path()).await.good(), json!({"liked": false}));
        }
        stage.await_likes(0).await;
        for answer in
            [stage.person.post("/tracks/999999/like").await, stage.person.delete("/tracks/999999/like").await]
        {
            assert_eq!(
                (answer.status, answer.json()),
                (404, json!({"detail": "track not found"})),
                "{answer}"
            );
        }
        assert_eq!(stage.person.post("/tracks/x/like").await.status, 422);
    });
}

#[test]
fn what_the_pds_refuses_does_not_show() {
    run(async {
        let stage = Stage::set().await;
        let refusal = json!({"error": "InvalidRequest", "message": "not today"});
        stage.gate.rule(1, PUT, Act::Answer(400, refusal.clone()));
        let answer = stage.person.post(&stage.like_path()).await;
        assert_eq!(answer.status, 502, "{answer}");
        assert_eq!(answer.json()["detail"], "your PDS refused it: not today");
        assert_eq!(stage.likes_here().await, Ok(vec![]));
        stage.await_settled().await;
        // And it can be tried again.
        stage.person.post(&stage.like_path()).await.good();
        stage.await_likes(1).await;
        stage.gate.rule(1, DELETE, Act::Answer(400, refusal));
        let answer = stage.person.delete(&stage.like_path()).await;
        assert_eq!(answer.status, 502, "{answer}");
        stage.await_likes(1).await;
        stage.person.delete(&stage.like_path()).await.good();
        stage.await_likes(0).await;
    });
}

/// The PDS is away: the person is told, and nothing is promised.
#[test]
fn a_pds_that_is_away_is_named() {
    run(async {
        let stage = Stage::set().await;
        stage.net.command("stop-pds");
        let answer = stage.person.post(&stage.like_path()).await;
        assert!([502, 503].contains(&answer.status), "{answer}");
        stage.net.command("start-pds");
        // Whatever was said: in the end both places agree, and the next tap counts.
        stage.await_settled().await;
        stage.person.post(&stage.like_path()).await.good();
        stage.await_likes(1).await;
    });
}
