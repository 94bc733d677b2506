//! Two processes over one database, one person, everything at once.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::hand::Stage;
use crate::world::run;

/// Every access token ends now.
const AGE: &str =
    "update session set access_expires_at = now() - interval '1 second' where sealed is not null";

#[test]
fn two_hundred_calls_of_two_processes_refresh_once() {
    run(async {
        let stage = Stage::set().await;
        let twin = stage.plyr.twin().await;
        let people = [stage.person.at(&stage.plyr), stage.person.at(&twin)];
        for round in 1..=2 {
            assert_eq!(stage.plyr.db.run(AGE).await, 1);
            let calls = (0..200).map(|number| {
                let (person, stage) = (&people[number % 2], &stage);
                async move {
                    let body = json!({"text": format!("{round}: {number}"), "timestamp_ms": number});
                    loop {
                        let answer = match number % 10 {
                            0 => person.post(&stage.like_path()).await,
                            _ => person.post_json(&stage.comments_path(), &body).await,
                        };
                        // A machine that has too much to do says so, and a client asks again.
                        if answer.status != 503 {
                            return answer;
                        }
                        assert!(answer.headers.contains_key("retry-after"), "{answer}");
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                }
            });
            for (number, answer) in join_all(calls).await.iter().enumerate() {
                let body = answer.good();
                match number % 10 {
                    0 => assert_eq!(body["liked"], true, "{answer}"),
                    _ => assert_eq!(body["text"], format!("{round}: {number}"), "{answer}"),
                }
            }
            assert_eq!(stage.gate.refreshes(), round, "one refresh for all");
            let refused = stage.gate.seen(&["com.atproto.repo."]).into_iter();
            let refused: Vec<_> = refused
                .filter(|seen| seen.status == Some(401) && !seen.answer.contains("use_dpop_nonce"))
                .collect();
            assert!(refused.is_empty(), "{refused:?}");
            assert_eq!(stage.person.account.list_records("fm.plyr.comment").await.len(), 180 * round);
            stage.await_likes(1).await;
        }
        stage.plyr.await_counts(&stage.track.0, Some([1, 360, 0])).await;
    });
}

/// The process that refreshes dies with the answer on its way: the others do not wait for ever, and end cleanly.
#[test]
fn a_refresh_whose_process_died_is_made_good_or_ended() {
    run(async {
        let mut stage = Stage::set().await;
        let twin = stage.plyr.twin().await;
        let other = stage.person.at(&twin);
        stage.plyr.db.run(AGE).await;
        let held = stage.gate.hold_request(&["POST /oauth/token", "grant_type=refresh_token"]);
        let request = stage.person.request(reqwest::Method::POST, &stage.like_path());
        let asked = tokio::spawn(stage.person.agent.http.execute(stage.person.agent.dressed(request)));
        held.arrived().await;
        stage.plyr.kill();
        asked.await.expect("it ends").expect_err("nobody was there to answer");
        // It never came to the PDS, so the refresh token is good: the twin takes over when the lease is over.
        let answer = other.post(&stage.like_path()).await;
        answer.good();
        held.release();
        stage.plyr.start().await;
        stage.await_likes(1).await;
    });
}
