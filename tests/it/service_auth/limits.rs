//! How often one may ask, and that the answer says so.

use futures_util::future::join_all;
use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use super::{LATEST, get, holders};
use crate::world::agent::{Agent, Answer};
use crate::world::{Account, Person, Plyr, network, run};

fn told(headers: &HeaderMap) -> [Option<String>; 4] {
    ["limit", "remaining", "policy", "reset"].map(|name| {
        headers.get(format!("ratelimit-{name}")).map(|value| value.to_str().expect("ASCII").to_owned())
    })
}

async fn ask(plyr: &Plyr, path: &str, caller: &str) -> Response {
    let request = plyr.http().get(format!("{}{path}", plyr.url)).header("x-caller", caller);
    request.send().await.expect("plyr answers")
}

#[test]
fn who_asks_too_much_waits_and_nobody_else() {
    run(async {
        let net = network();
        let settings = [("PLYR_RATE_READ", "5/2 hours"), ("PLYR_CLIENT_ADDRESS_HEADER", "x-caller")];
        let plyr = Plyr::up_with(net, &settings).await;
        let path = format!("/xrpc/{LATEST}");
        for left in [4, 3, 2] {
            let answer = ask(&plyr, &path, "9.9.9.9").await;
            let [limit, remaining, policy, reset] = told(answer.headers());
            assert_eq!((answer.status().as_u16(), limit.as_deref()), (200, Some("5")));
            assert_eq!((remaining, policy.as_deref()), (Some(left.to_string()), Some("5;w=7200")));
            let full_in_s =
                reset.expect("a time").parse::<i64>().expect("a number") - chrono::Utc::now().timestamp();
            let wanted_s = (5 - left) * 1440;
            assert!((wanted_s - 60..=wanted_s + 1).contains(&full_in_s), "{left} left: {full_in_s}");
        }
        // The HTTP API counts with it; what there is not is asked for as well.
        assert_eq!(ask(&plyr, "/tracks/tags", "9.9.9.9").await.status(), 200);
        assert_eq!(ask(&plyr, "/xrpc/fm.plyr.nothing", "9.9.9.9").await.status(), 501);
        for (path, wanted) in [
            (
                path.as_str(),
                json!({"error": "RateLimitExceeded", "message": "rate limit exceeded: 5 per 2 hour"}),
            ),
            (
                "/links/all",
                json!({"error": "RateLimitExceeded", "message": "rate limit exceeded: 5 per 2 hour"}),
            ),
            ("/tracks/tags", json!({"error": "Rate limit exceeded: 5 per 2 hour"})),
        ] {
            let answer = ask(&plyr, path, "9.9.9.9").await;
            let headers = answer.headers().clone();
            assert_eq!((answer.status().as_u16(), told(&headers)[1].as_deref()), (429, Some("0")), "{path}");
            let wait_s: u64 = headers["retry-after"].to_str().expect("ASCII").parse().expect("a number");
            assert!((1..=1440).contains(&wait_s), "{path}: {wait_s}");
            assert_eq!(answer.json::<Value>().await.expect("JSON"), wanted, "{path}");
            if path != "/tracks/tags" {
                assert_eq!(headers["access-control-allow-origin"], "*", "{path}");
                let exposed = headers["access-control-expose-headers"].to_str().expect("ASCII");
                for name in ["ratelimit-reset", "retry-after", "atproto-repo-rev", "www-authenticate"] {
                    assert!(exposed.contains(name), "{path}: {name} in {exposed}");
                }
            }
        }
        // A page says it to people in words, also where it stands in another.
        for (path, ancestors) in [("/track/1", "'none'"), ("/tag/nothing", "'none'"), ("/embed/track/1", "*")]
        {
            let request = plyr.http().get(format!("{}{path}", plyr.url));
            let request = request.header("x-caller", "9.9.9.9").header("accept", "text/html");
            let answer = request.send().await.expect("plyr answers");
            let headers = answer.headers().clone();
            assert_eq!((answer.status().as_u16(), told(&headers)[1].as_deref()), (429, Some("0")), "{path}");
            assert!(headers.contains_key("retry-after"), "{path}");
            let policy = headers["content-security-policy"].to_str().expect("ASCII");
            assert!(policy.contains(&format!("frame-ancestors {ancestors}")), "{path}: {policy}");
            let page = answer.text().await.expect("a page");
            assert!(page.contains("this has to wait"), "{path}: {page}");
        }
        // Another address is somebody else; a nonsense one nobody, and so is this machine.
        assert_eq!(ask(&plyr, &path, "8.8.8.8").await.status(), 200);
        let answer = ask(&plyr, &path, "nonsense").await;
        assert_eq!((answer.status().as_u16(), told(answer.headers())), (200, Default::default()));
        // What is no page of theirs to read goes on.
        for path in ["/health/ready", "/.well-known/did.json", "/"] {
            assert_eq!(ask(&plyr, path, "9.9.9.9").await.status(), 200, "{path}");
        }

        // Who is known is counted by who they are, wherever they are.
        let [one, other] = holders(net).await;
        let statuses = async |holder: &crate::world::Holder| {
            let mut statuses = Vec::new();
            for number in 0..6 {
                let token = holder.sign(&holder.claims(&plyr.did(), LATEST));
                let request = get(&plyr, LATEST, &token).header("x-caller", format!("7.7.7.{number}"));
                statuses.push(request.send().await.expect("plyr answers").status().as_u16());
            }
            statuses
        };
        assert_eq!(statuses(&one).await, [200, 200, 200, 200, 200, 429]);
        assert_eq!(statuses(&other).await, [200, 200, 200, 200, 200, 429]);
        // A bad token is counted for the address that shows it.
        for number in 0..6 {
            let answer = get(&plyr, LATEST, "a.b.c").header("x-caller", "6.6.6.6").send().await;
            let wanted = if number < 5 { 401 } else { 429 };
            assert_eq!(answer.expect("plyr answers").status().as_u16(), wanted);
        }
    });
}

/// The first refusal. Many at once: one a second is free again.
async fn until_limited(agent: &Agent, request: impl Fn() -> RequestBuilder) -> Answer {
    for _ in 0..20 {
        let answers = join_all((0..90).map(|_| agent.send(request()))).await;
        if let Some(refused) = answers.into_iter().find(|answer| answer.status == 429) {
            return refused;
        }
    }
    panic!("nobody is refused");
}

#[test]
fn what_one_does_is_told_by_its_own_limit() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(
            net,
            &[("PLYR_RATE_WRITE", "7/minute"), ("PLYR_CLIENT_ADDRESS_HEADER", "x-caller")],
        )
        .await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let track = artist.create_track("counted").await.0;
        plyr.await_counts(&track, Some([0, 0, 0])).await;
        let id = plyr.track_id(&track).await;
        let person = Person::sign_in(&plyr, &fan).await;
        let liked = person.post(&format!("/tracks/{id}/like")).await;
        assert_eq!(liked.status, 200, "{liked}");
        let [limit, remaining, policy, _] = told(&liked.headers).map(Option::unwrap_or_default);
        assert_eq!([limit.as_str(), &remaining, &policy], ["7", "6", "7;w=60"]);
        let read = person.get("/tracks/liked").await;
        let [limit, _, policy, _] = told(&read.headers).map(Option::unwrap_or_default);
        assert_eq!([limit.as_str(), &policy], ["3000", "3000;w=300"]);
        // Many may stand behind an address of this machine.
        let agent = Agent::new();
        let anonymous = agent.send(agent.http.get(format!("{}/xrpc/{LATEST}", plyr.url))).await;
        assert_eq!((anonymous.status, told(&anonymous.headers)), (200, Default::default()));

        // Plays are limited on both sides, each in its own words: by address, whatever becomes of the cookie.
        let body = json!({"uri": track});
        let post = |path: &str| plyr.http().post(format!("{}{path}", plyr.url)).header("x-caller", "9.9.9.9");
        let told = || post("/xrpc/fm.plyr.feed.recordPlay").json(&body);
        let answer = until_limited(&agent, told).await;
        assert_eq!(answer.json()["error"], "RateLimitExceeded", "{answer}");
        let path = format!("/tracks/{id}/play");
        let answer = until_limited(&Agent::new(), || post(&path)).await;
        assert_eq!(answer.json()["error"], "Rate limit exceeded: 60 per 1 minute", "{answer}");
        // Where only this machine shows, a browser is limited by its cookie, and nobody by what others do.
        let post = || agent.http.post(format!("{}{path}", plyr.url));
        agent.send(post()).await.good();
        until_limited(&agent, post).await;
        Agent::new().send(post()).await.good();
    });
}
