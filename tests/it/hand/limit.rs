//! How often one person may write, and that it is nobody else's affair.

use reqwest::Method;
use serde_json::json;

use super::Stage;
use crate::world::agent::Agent;
use crate::world::{Account, Person, Plyr, network, run};

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
        let settings = [("PLYR_RATE_AUTH", "3/hour"), ("PLYR_CLIENT_ADDRESS_HEADER", "x-caller")];
        let plyr = Plyr::up_with(net, &settings).await;
        let account = Account::create(net, "eager").await;
        let start = async |caller: Option<&str>, wants: &str| {
            let agent = Agent::new();
            let request = agent.http.get(format!("{}/auth/start", plyr.url)).header("accept", wants);
            let request = request.query(&[("handle", account.handle.as_str()), ("return_to", "/")]);
            let request = match caller {
                Some(caller) => request.header("x-caller", caller),
                None => request,
            };
            agent.send(request).await
        };
        let mut statuses = Vec::new();
        for _ in 0..5 {
            statuses.push(start(Some("9.9.9.9"), "text/html").await.status);
        }
        // A browser is told on a page.
        assert_eq!(statuses, [307, 307, 307, 303, 303]);
        let refused = start(Some("9.9.9.9"), "application/json").await;
        assert_eq!(refused.status, 429);
        assert!(refused.headers.contains_key("retry-after"));
        assert_eq!(refused.json()["error"], "Rate limit exceeded: 3 per 1 hour");
        assert_eq!(start(Some("8.8.8.8"), "text/html").await.status, 307, "another address is somebody else");
        // Of whom nothing is known but that a proxy of this machine asks for them, each may be somebody else.
        for _ in 0..5 {
            assert_eq!(start(None, "text/html").await.status, 307);
        }
        let exchange = |caller: &'static str| {
            let request = plyr.http().post(format!("{}/auth/exchange", plyr.url)).header("x-caller", caller);
            request.json(&json!({"exchange_token": "x".repeat(43)})).send()
        };
        assert_eq!(exchange("9.9.9.9").await.expect("plyr answers").status(), 429);
        assert_eq!(exchange("nonsense").await.expect("plyr answers").status(), 401);
    });
}
