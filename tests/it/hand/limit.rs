//! How often one person may write, and that it is nobody else's affair.

use reqwest::Method;
use serde_json::json;

use super::Stage;
use crate::world::agent::Agent;
use crate::world::{Account, Person, Plyr, consent, network, run};

#[test]
fn who_writes_too_much_waits_and_nobody_else() {
    run(async {
        let stage = Stage::set_with(&[("PLYR_RATE_WRITE", "5/hour")]).await;
        let other = Person::sign_in(&stage.plyr, &Account::create(&stage.net, "other").await).await;
        let path = stage.like_path();
        for number in 0..5 {
            let method = if number % 2 == 0 { Method::POST } else { Method::DELETE };
            let answer = stage.person.agent.send(stage.person.request(method, &path)).await;
            assert_eq!(answer.status, 200, "{number}: {answer}");
        }
        let puts = stage.gate.count(&["com.atproto.repo.putRecord"]);
        let body = json!({"text": "too much", "timestamp_ms": 1});
        for answer in
            [stage.person.delete(&path).await, stage.person.post_json(&stage.comments_path(), &body).await]
        {
            assert_eq!(answer.status, 429, "{answer}");
            assert_eq!(answer.json(), json!({"error": "Rate limit exceeded: 5 per 1 hour"}));
            let wait = answer.headers.get("retry-after").and_then(|wait| wait.to_str().ok());
            assert!(wait.and_then(|wait| wait.parse::<u64>().ok()).is_some_and(|wait| wait > 0), "{answer}");
        }
        assert_eq!(stage.gate.count(&["com.atproto.repo.putRecord"]), puts, "nothing was written");
        // A second session is the same person; another person is not.
        let again = Person::sign_in(&stage.plyr, &stage.person.account).await;
        assert_eq!(again.post(&path).await.status, 429);
        other.post(&path).await.good();
        // Reading is no writing.
        stage.person.get("/auth/me").await.good();
        stage.plyr.await_counts(&stage.track.0, Some([2, 0, 0])).await;
    });
}

#[test]
fn who_signs_in_too_often_waits() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_RATE_AUTH", "3/hour")]).await;
        let account = Account::create(net, "eager").await;
        let mut statuses = Vec::new();
        for _ in 0..5 {
            statuses.push(consent::start(&Agent::new(), &plyr.url, &account.handle, Some("/")).await.status);
        }
        // A browser is told on a page.
        assert_eq!(statuses, [307, 307, 307, 303, 303]);
        let refused = plyr.get("/auth/start?handle=eager.test").await;
        assert_eq!(refused.status(), 429);
        assert!(refused.headers().contains_key("retry-after"));
        let body: serde_json::Value = refused.json().await.expect("JSON");
        assert_eq!(body["error"], "Rate limit exceeded: 3 per 1 hour");
    });
}
