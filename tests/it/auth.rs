//! Signing in at one's own PDS, being known, and signing out.

mod confidential;
mod developer;
mod failed;
mod grant;
mod left;
mod secrets;
mod twins;

use serde_json::json;

use crate::world::agent::{Agent, parameter};
use crate::world::consent::{self, Wish};
use crate::world::{Account, Person, Plyr, eventually, network, run, same};

/// A web app of another origin, which the operator trusts.
const APP: &str = "http://localhost:5173";

#[test]
fn people_sign_in_by_handle_and_by_did_and_out_again() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let account = Account::create(net, "singer").await;
        for wanted in [account.handle.clone(), account.did.clone(), format!("@{}", account.handle)] {
            let agent = Agent::new();
            let started = consent::start(&agent, &plyr.url, &wanted, Some("/track/x?y=z")).await;
            assert_eq!(started.status, 307, "{started}");
            let redirect = consent::decide(&agent, &started.location(), &account, Wish::Grant).await;
            let back = consent::come_back(&agent, &redirect).await;
            assert_eq!(back.status, 303, "{back}");
            assert_eq!(back.location().as_str(), format!("{}/track/x?y=z", plyr.url), "{back}");
            let cookie = back.set_cookie("session_id").unwrap_or_else(|| panic!("no cookie: {back}"));
            let attributes: Vec<_> = cookie.split("; ").skip(1).collect();
            for wanted in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=1209600"] {
                assert!(attributes.contains(&wanted), "{wanted} is missing in {attributes:?}");
            }
            assert!(!attributes.contains(&"Secure") && !cookie.contains("Domain"), "{attributes:?}");
            let flag = back.set_cookie("signed_in").unwrap_or_else(|| panic!("no flag: {back}"));
            assert!(flag.starts_with("signed_in=1;") && !flag.contains("HttpOnly"), "{flag}");
            let me = agent.send(agent.http.get(format!("{}/auth/me", plyr.url))).await.good();
            assert_eq!((&me["did"], &me["handle"]), (&json!(account.did), &json!(account.handle)), "{me}");
            assert_eq!(me["scope_missing"], json!([]), "{me}");
        }
        assert_eq!(account.grants(net).await.len(), 3);
    });
}

#[test]
fn signing_out_ends_the_session_and_revokes_the_grant() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let account = Account::create(net, "leaver").await;
        let (person, other) =
            (Person::sign_in(&plyr, &account).await, Person::sign_in(&plyr, &account).await);
        let session = person.session().expect("a cookie");
        assert_eq!(session.len(), 43, "32 bytes in base64url");
        person.get("/auth/me").await.good();
        assert_eq!(account.grants(net).await.len(), 2);
        let left = person.post("/auth/logout").await;
        assert_eq!(left.good(), json!({"message": "logged out successfully"}));
        assert_eq!(person.session(), None, "the cookie is cleared");
        assert_eq!(person.agent.cookie("127.0.0.1", "signed_in"), None, "and the flag");
        person.agent.set_cookie("127.0.0.1", "session_id", &session);
        let me = person.get("/auth/me").await;
        assert_eq!((me.status, me.json()), (401, json!({"detail": "invalid or expired session"})), "{me}");
        // The other session is none of its business.
        other.get("/auth/me").await.good();
        eventually("the grant to be revoked", || async { same(account.grants(net).await.len(), 1) }).await;
    });
}

#[test]
fn a_foreign_web_app_exchanges_its_token_once() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_WEB_ORIGINS", APP)]).await;
        let account = Account::create(net, "remote").await;
        let agent = Agent::new();
        let token = Person::exchange_token(&agent, &plyr, &account, APP).await;
        assert_eq!(agent.cookie("127.0.0.1", "session_id"), None, "no cookie on another's page");
        let first = Person::exchange(&agent, &plyr.url, APP, &token).await;
        let session = first.good()["session_id"].as_str().expect("a session").to_owned();
        assert_eq!(header(&first, "access-control-allow-origin"), APP);
        assert_eq!(header(&first, "access-control-allow-credentials"), "true");
        let gone = json!({"detail": "invalid, expired, or already used exchange token"});
        for token in [token.as_str(), "never-given", ""] {
            let again = Person::exchange(&agent, &plyr.url, APP, token).await;
            assert_eq!((again.status, again.json()), (401, gone.clone()), "{again}");
        }
        let url = format!("{}/auth/me", plyr.url);
        let me = Agent::new().http.get(&url).bearer_auth(&session).send().await.expect("an answer");
        assert_eq!(me.json::<serde_json::Value>().await.expect("JSON")["did"], account.did);

        // Ten at once: one wins.
        let token = Person::exchange_token(&agent, &plyr, &account, APP).await;
        let tries = (0..10).map(|_| Person::exchange(&agent, &plyr.url, APP, &token));
        let won =
            futures_util::future::join_all(tries).await.iter().filter(|tried| tried.status == 200).count();
        assert_eq!(won, 1);
    });
}

#[test]
fn an_exchange_token_lives_for_a_minute() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_WEB_ORIGINS", APP)]).await;
        let account = Account::create(net, "dawdler").await;
        let agent = Agent::new();
        let token = Person::exchange_token(&agent, &plyr, &account, APP).await;
        plyr.db.run("update exchange_token set expires_at = expires_at - interval '61 seconds'").await;
        assert_eq!(Person::exchange(&agent, &plyr.url, APP, &token).await.status, 401);
    });
}

#[test]
fn only_our_pages_may_use_the_cookie() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_WEB_ORIGINS", APP)]).await;
        let account = Account::create(net, "careful").await;
        let person = Person::sign_in(&plyr, &account).await;
        let url = format!("{}/auth/logout", plyr.url);
        for origin in [
            None,
            Some("null"),
            Some("https://evil.example"),
            Some("http://127.0.0.1"),
            Some("http://localhost"),
        ] {
            let request = person.agent.http.post(&url);
            let request =
                origin.into_iter().fold(request, |request, origin| request.header("origin", origin));
            let refused = person.agent.send(request).await;
            assert_eq!(refused.status, 403, "{origin:?}: {refused}");
            person.get("/auth/me").await.good();
        }
        // A bearer is nothing that a browser would send by itself.
        let bearer = Person::with_bearer(&plyr, &account, APP).await;
        assert_eq!(bearer.post("/auth/logout").await.status, 200);
        assert_eq!(bearer.get("/auth/me").await.status, 401);
        // The trusted app may, with the cookie.
        let request = person.agent.http.post(&url).header("origin", APP);
        assert_eq!(person.agent.send(request).await.status, 200);
    });
}

#[test]
fn who_is_nobody_is_told_so() {
    run(async {
        let plyr = Plyr::up(network()).await;
        let agent = Agent::new();
        let url = format!("{}/auth/me", plyr.url);
        let me = agent.send(agent.http.get(&url)).await;
        assert_eq!((me.status, me.json()), (401, json!({"detail": "not authenticated - login required"})));
        for token in ["x", "", &"a".repeat(43), &"a".repeat(5000)] {
            let me = agent.send(agent.http.get(&url).bearer_auth(token)).await;
            assert_eq!(me.status, 401, "{me}");
        }
        // Who need not be anybody is served all the same.
        let latest = agent.http.get(format!("{}/xrpc/fm.plyr.feed.getLatest", plyr.url)).bearer_auth("x");
        assert_eq!(agent.send(latest).await.status, 200);
    });
}

/// Where people may be sent after signing in.
#[test]
fn nobody_is_sent_to_a_stranger() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_WEB_ORIGINS", APP)]).await;
        let account = Account::create(net, "visitor").await;
        for to in [
            "https://evil.example/",
            "//evil.example",
            "/\\evil.example",
            "javascript:alert(1)",
            "http://localhost:51730/",
        ] {
            let agent = Agent::new();
            let started = consent::start(&agent, &plyr.url, &account.handle, Some(to)).await;
            if started.status == 307 {
                let redirect = consent::decide(&agent, &started.location(), &account, Wish::Grant).await;
                let landed = consent::come_back(&agent, &redirect).await.location();
                assert_eq!(landed.as_str(), format!("{}/", plyr.url), "{to}");
            } else {
                let here = started.status == 400 || started.location().as_str().starts_with(&plyr.url);
                assert!(here, "{to}: {started}");
            }
        }
        // Without a wish the page that one came from decides.
        let agent = Agent::new();
        let request = agent.http.get(format!("{}/auth/start?handle={}", plyr.url, account.handle));
        let started = agent.send(request.header("referer", format!("{APP}/login"))).await;
        let redirect = consent::decide(&agent, &started.location(), &account, Wish::Grant).await;
        let landed = consent::come_back(&agent, &redirect).await.location();
        assert!(landed.as_str().starts_with(&format!("{APP}/portal?")), "{landed}");
        assert!(parameter(&landed, "exchange_token").is_some());
    });
}

fn header<'a>(answer: &'a crate::world::agent::Answer, name: &str) -> &'a str {
    answer.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
