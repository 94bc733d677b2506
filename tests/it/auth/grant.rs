//! What a grant covers, how it is renewed, and how it ends.

use reqwest::Method;
use serde_json::json;

use crate::hand::Stage;
use crate::world::agent::{Agent, Answer, parameter};
use crate::world::consent::{self, Wish, come_back};
use crate::world::gate::Act;
use crate::world::{Account, Gate, Person, Plyr, eventually, run, same};

/// Every access token is about to end, as plyr knows it.
const AGE: &str =
    "update session set access_expires_at = now() - interval '1 second' where sealed is not null";

fn expect_detail(answer: &Answer, status: u16, detail: &str) {
    assert_eq!((answer.status, answer.json()), (status, json!({"detail": detail})), "{answer}");
}

#[test]
fn a_smaller_grant_signs_in_and_reaches_no_further() {
    run(async {
        let stage = Stage::set().await;
        let account = Account::create(&stage.net, "frugal").await;
        let wish = Wish::GrantOnly("atproto");
        let (person, landed) = Person::sign_in_at(Agent::new(), &stage.plyr.url, &account, wish).await;
        assert_eq!(parameter(&landed, "auth_error"), None, "{landed}");
        let me = person.get("/auth/me").await.good();
        let missing: Vec<_> =
            me["scope_missing"].as_array().expect("a list").iter().map(|scope| scope.as_str()).collect();
        for scope in ["repo:fm.plyr.like", "repo:fm.plyr.comment", "repo:fm.plyr.track", "blob:*/*"] {
            assert!(missing.contains(&Some(scope)), "{me}");
        }
        expect_detail(&person.post(&stage.like_path()).await, 403, "scope_upgrade_required");
        let body = json!({"text": "no", "timestamp_ms": 1});
        expect_detail(&person.post_json(&stage.comments_path(), &body).await, 403, "scope_upgrade_required");
        assert!(stage.gate.seen(&["com.atproto.repo."]).iter().all(|seen| seen.status != Some(200)));
        assert_eq!(account.list_records("fm.plyr.like").await, []);
        assert_eq!(account.list_records("fm.plyr.comment").await, []);
        assert_eq!(stage.plyr.counts(&stage.track.0).await, Some([0, 0, 0]));
        person.get("/auth/me").await.good();

        // A little more: likes, and nothing else.
        let wish = Wish::GrantOnly("atproto repo:fm.plyr.like");
        let (person, _) = Person::sign_in_at(Agent::new(), &stage.plyr.url, &account, wish).await;
        person.post(&stage.like_path()).await.good();
        expect_detail(&person.post_json(&stage.comments_path(), &body).await, 403, "scope_upgrade_required");
        // And everything, after which the earlier refusal stands in nobody's way.
        let person = Person::sign_in(&stage.plyr, &account).await;
        assert_eq!(person.get("/auth/me").await.good()["scope_missing"], json!([]));
        person.post_json(&stage.comments_path(), &body).await.good();
    });
}

#[test]
fn an_expiring_token_is_renewed_in_time() {
    run(async {
        let stage = Stage::set().await;
        for round in 1..=3 {
            assert_eq!(stage.plyr.db.run(AGE).await, 1);
            stage.person.post(&stage.like_path()).await.good();
            stage.person.delete(&stage.like_path()).await.good();
            assert_eq!(stage.gate.refreshes(), round);
        }
        for seen in stage.gate.seen(&["com.atproto.repo."]) {
            assert!(seen.status == Some(200) || asks_nonce(&seen), "{seen:?}");
            let token = seen.headers["authorization"].to_str().expect("ASCII");
            assert!(token.starts_with("DPoP ") && seen.headers.contains_key("dpop"), "{seen:?}");
        }
    });
}

fn asks_nonce(seen: &crate::world::gate::Seen) -> bool {
    seen.status == Some(401) && seen.answer.contains("use_dpop_nonce")
}

/// The PDS no longer takes a token that looks good here: that is what a refresh is for, whatever words it says it with.
#[test]
fn a_token_that_is_not_taken_is_renewed() {
    run(async {
        let stage = Stage::set().await;
        for refusal in [
            json!({"error": "invalid_token", "message": "???"}),
            json!({"error": "AuthMissing"}),
            json!(null),
        ] {
            let before = stage.gate.refreshes();
            stage.gate.rule(1, &["com.atproto.repo.putRecord"], Act::Answer(401, refusal));
            stage.person.post(&stage.like_path()).await.good();
            assert_eq!(stage.gate.refreshes(), before + 1);
            stage.person.delete(&stage.like_path()).await.good();
        }
        stage.await_likes(0).await;
        // A PDS that never takes any is not asked for ever.
        let (before, writes) = (stage.gate.refreshes(), stage.gate.count(&["putRecord"]));
        stage.gate.rule(
            1000,
            &["com.atproto.repo.putRecord"],
            Act::Answer(401, json!({"error": "invalid_token"})),
        );
        let answer = stage.person.post(&stage.like_path()).await;
        assert!([401, 502].contains(&answer.status), "{answer}");
        assert!(stage.gate.refreshes() - before <= 2, "{} refreshes", stage.gate.refreshes() - before);
        assert!(stage.gate.count(&["putRecord"]) - writes <= 6);
    });
}

#[test]
fn a_replayed_refresh_token_is_a_clean_end() {
    run(async {
        let stage = Stage::set().await;
        stage.plyr.db.run("create table session_copy as select * from session").await;
        stage.plyr.db.run(AGE).await;
        stage.person.post(&stage.like_path()).await.good();
        assert_eq!(stage.gate.refreshes(), 1);
        // The row of before the refresh, as a backup would bring it back. The process might remember better: a new one.
        let mut stage = stage;
        stage.plyr.kill();
        let restored = stage.plyr.db.run(
            "update session s set sealed = c.sealed, version = c.version, access_expires_at = now() - interval '1 second'
               from session_copy c where c.id = s.id",
        );
        assert_eq!(restored.await, 1);
        stage.plyr.start().await;
        let answer = stage.person.delete(&stage.like_path()).await;
        expect_detail(&answer, 401, "session_expired");
        let refreshes = stage.gate.refreshes();
        assert_eq!(refreshes, 2, "one try, no loop");
        // It stays at that, and nobody asks the PDS any more.
        for _ in 0..3 {
            let answer = stage.person.post(&stage.like_path()).await;
            assert_eq!(answer.status, 401, "{answer}");
        }
        assert_eq!(stage.person.get("/auth/me").await.status, 401);
        assert_eq!(stage.gate.refreshes(), refreshes);
        assert_eq!(stage.likes_there().await.len(), 1, "the unlike was not done, and nobody said so");
        assert_eq!(stage.plyr.db.number("select count(*) from session where sealed is not null").await, 0);
        // Signed in again, they go on.
        let person = Person::sign_in(&stage.plyr, &stage.person.account).await;
        person.delete(&stage.like_path()).await.good();
        stage.await_likes(0).await;
    });
}

#[test]
fn a_grant_revoked_at_the_pds_is_a_clean_end() {
    run(async {
        let stage = Stage::set().await;
        stage.person.post(&stage.like_path()).await.good();
        stage.person.account.revoke_grants(&stage.net).await;
        // An access token may be good for a while yet; after its end there is no other.
        stage.plyr.db.run(AGE).await;
        let path = stage.like_path();
        let both = [stage.person.delete(&path), stage.person.delete(&path)];
        for answer in futures_util::future::join_all(both).await {
            expect_detail(&answer, 401, "session_expired");
        }
        assert_eq!(stage.gate.refreshes(), 1);
        assert_eq!(stage.person.get("/auth/me").await.status, 401);
    });
}

#[test]
fn a_pds_that_is_away_does_not_end_the_session() {
    run(async {
        let stage = Stage::set().await;
        for act in [
            Act::LoseRequest,
            Act::Answer(500, json!({"error": "server_error"})),
            Act::Answer(429, json!({})),
        ] {
            stage.plyr.db.run(AGE).await;
            stage.gate.rule(1000, &["POST /oauth/token"], act.clone());
            let answer = stage.person.post(&stage.like_path()).await;
            assert!([502, 503].contains(&answer.status), "{act:?}: {answer}");
            stage.gate.clear();
            stage.person.get("/auth/me").await.good();
            // Who failed rests for a moment; then it goes on.
            eventually("the PDS to be asked again", || async {
                same(stage.person.post(&stage.like_path()).await.status, 200)
            })
            .await;
            stage.person.delete(&stage.like_path()).await.good();
        }
    });
}

/// The PDS has given the refresh token away, and nobody has it: the one that is left is a replay.
#[test]
fn a_refresh_whose_answer_is_lost_is_a_clean_end() {
    run(async {
        let stage = Stage::set().await;
        stage.plyr.db.run(AGE).await;
        stage.gate.rule(1, &["POST /oauth/token", "grant_type=refresh_token"], Act::LoseAnswer);
        let answer = stage.person.post(&stage.like_path()).await;
        assert!([401, 502, 503].contains(&answer.status), "{answer}");
        eventually("the grant to end", || async {
            let answer = stage.person.post(&stage.like_path()).await;
            same((answer.status, answer.json()["detail"] == "session_expired"), (401, true))
        })
        .await;
        assert!(stage.gate.refreshes() <= 3, "{} refreshes", stage.gate.refreshes());
        assert_eq!(stage.likes_there().await, [""; 0]);
        let person = Person::sign_in(&stage.plyr, &stage.person.account).await;
        person.post(&stage.like_path()).await.good();
        assert_eq!(stage.likes_there().await.len(), 1);
        stage.plyr.await_counts(&stage.track.0, Some([1, 0, 0])).await;
    });
}

#[test]
fn signing_out_needs_no_pds() {
    run(async {
        let stage = Stage::set().await;
        let session = stage.person.session().expect("a cookie");
        stage.net.command("stop-pds");
        assert_eq!(stage.person.post("/auth/logout").await.status, 200);
        stage.person.agent.set_cookie("127.0.0.1", "session_id", &session);
        assert_eq!(stage.person.get("/auth/me").await.status, 401);
        assert_eq!(stage.plyr.db.number("select count(*) from session where sealed is not null").await, 0);
        stage.net.command("start-pds");
    });
}

#[test]
fn a_pds_that_restarts_disturbs_nobody() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let plyr = Plyr::up(&net).await;
        let account = Account::create(&net, "patient").await;
        let agent = Agent::new();
        let started = consent::start(&agent, &plyr.url, &account.handle, Some("/")).await;
        net.command("restart-pds");
        let redirect = consent::decide(&agent, &started.location(), &account, Wish::Grant).await;
        net.command("restart-pds");
        let landed = come_back(&agent, &redirect).await.location();
        assert_eq!(landed.as_str(), format!("{}/", plyr.url));
        let track = account.create_track("between restarts").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        let person = Person::new(agent, &plyr.url, &account);
        let path = format!("/tracks/{}/like", plyr.track_id(&track.0).await);
        for like in [true, false, true] {
            let request = person.request(if like { Method::POST } else { Method::DELETE }, &path);
            assert_eq!(person.agent.send(request).await.good()["liked"], like);
            net.command("restart-pds");
            plyr.db.run(AGE).await;
        }
        assert_eq!(gate.refreshes(), 2);
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
    });
}
