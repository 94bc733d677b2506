//! Sign-ins that end otherwise: each lands on a page with the reason.

use crate::world::agent::{Agent, Answer, parameter, with_parameter};
use crate::world::consent::{self, Wish, come_back};
use crate::world::{Account, Gate, Person, Plyr, network, run};

/// It lands on our page with this reason, and nobody is signed in.
fn expect_error(plyr: &Plyr, agent: &Agent, answer: &Answer, code: &str) {
    assert_eq!(answer.status, 303, "{answer}");
    let landed = answer.location();
    assert!(landed.as_str().starts_with(&format!("{}/?", plyr.url)), "{answer}");
    assert_eq!(parameter(&landed, "auth_error").as_deref(), Some(code), "{answer}");
    assert_eq!(agent.cookie("127.0.0.1", "session_id"), None, "{answer}");
}

/// A sign-in up to the redirect that leads back.
async fn up_to_the_callback(plyr: &Plyr, account: &Account) -> (Agent, reqwest::Url) {
    let agent = Agent::new();
    let started = consent::start(&agent, &plyr.url, &account.handle, Some("/")).await;
    let redirect = consent::decide(&agent, &started.location(), account, Wish::Grant).await;
    (agent, redirect)
}

#[test]
fn who_says_no_is_told_so() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let account = Account::create(net, "refuser").await;
        let (person, landed) = Person::sign_in_at(Agent::new(), &plyr.url, &account, Wish::Reject).await;
        assert_eq!(landed.as_str(), format!("{}/?auth_error=access_denied", plyr.url));
        assert_eq!(person.get("/auth/me").await.status, 401);
        assert_eq!(account.grants(net).await.len(), 0);
        // And may think again.
        Person::sign_in(&plyr, &account).await.get("/auth/me").await.good();
    });
}

#[test]
fn who_does_not_exist_cannot_start() {
    run(async {
        let plyr = Plyr::up(network()).await;
        let agent = Agent::new();
        for (wanted, code) in [
            ("nobody-at-all.test", "handle_not_found"),
            ("not a handle", "handle_not_found"),
            ("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "handle_not_found"),
        ] {
            let answer = consent::start(&agent, &plyr.url, wanted, Some("/")).await;
            expect_error(&plyr, &agent, &answer, code);
            // A program is told in its own way.
            let url = format!("{}/auth/start", plyr.url);
            let request =
                agent.http.get(url).query(&[("handle", wanted)]).header("accept", "application/json");
            let answer = agent.send(request).await;
            assert_eq!(answer.status, 400, "{answer}");
            let detail = answer.json()["detail"].as_str().unwrap_or_default().to_owned();
            assert!(detail.starts_with("failed to start OAuth flow: "), "{answer}");
        }
        for (query, status) in [("", 422), ("?handle=", 400), ("?handle=%20", 400)] {
            let none = agent.send(agent.http.get(format!("{}/auth/start{query}", plyr.url))).await;
            assert_eq!(none.status, status, "{none}");
        }
    });
}

#[test]
fn a_callback_belongs_to_the_browser_that_began() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (account, victim) = (Account::create(net, "sneaky").await, Account::create(net, "victim").await);
        let (_, redirect) = up_to_the_callback(&plyr, &account).await;
        // Somebody sends the link to another person, who would sign in as the sender.
        let other = Agent::new();
        expect_error(&plyr, &other, &come_back(&other, &redirect).await, "wrong_browser");
        // Also where that other browser has a flow of its own.
        let (_, redirect) = up_to_the_callback(&plyr, &account).await;
        let (busy, own) = up_to_the_callback(&plyr, &victim).await;
        expect_error(&plyr, &busy, &come_back(&busy, &redirect).await, "wrong_browser");
        // Its own flow was not disturbed.
        assert_eq!(come_back(&busy, &own).await.location().as_str(), format!("{}/", plyr.url));
    });
}

#[test]
fn two_flows_of_one_browser_do_not_disturb_each_other() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let account = Account::create(net, "twotabs").await;
        let agent = Agent::new();
        let mut redirects = Vec::new();
        for _ in 0..2 {
            let started = consent::start(&agent, &plyr.url, &account.handle, Some("/")).await;
            redirects.push(consent::decide(&agent, &started.location(), &account, Wish::Grant).await);
        }
        for redirect in &redirects {
            let back = come_back(&agent, redirect).await;
            assert_eq!(back.location().as_str(), format!("{}/", plyr.url), "{back}");
        }
    });
}

#[test]
fn a_callback_counts_once() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let account = Account::create(net, "repeater").await;
        let (agent, redirect) = up_to_the_callback(&plyr, &account).await;
        assert_eq!(come_back(&agent, &redirect).await.location().as_str(), format!("{}/", plyr.url));
        let session = agent.cookie("127.0.0.1", "session_id");
        let again = come_back(&agent, &redirect).await;
        assert_eq!(parameter(&again.location(), "auth_error").as_deref(), Some("flow_expired"), "{again}");
        // Who is signed in stays so.
        assert_eq!(agent.cookie("127.0.0.1", "session_id"), session);
        let me = agent.send(agent.http.get(format!("{}/auth/me", plyr.url))).await;
        assert_eq!(me.good()["did"], account.did);
    });
}

#[test]
fn a_forged_callback_signs_nobody_in() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let account = Account::create(net, "forger").await;
        let forged: [(&str, Option<&str>, &str); 5] = [
            ("iss", Some("https://evil.example"), "issuer_mismatch"),
            ("iss", None, "issuer_mismatch"),
            ("state", Some("made-up"), "flow_expired"),
            ("state", None, "flow_expired"),
            ("code", Some("cod-0000000000000000"), "exchange_failed"),
        ];
        for (name, value, code) in forged {
            let (agent, redirect) = up_to_the_callback(&plyr, &account).await;
            let answer = come_back(&agent, &with_parameter(&redirect, name, value)).await;
            expect_error(&plyr, &agent, &answer, code);
        }
        // A true code under the state of another flow of the same browser: PKCE and the state say no.
        let (agent, first) = up_to_the_callback(&plyr, &account).await;
        let started = consent::start(&agent, &plyr.url, &account.handle, Some("/")).await;
        let second = consent::decide(&agent, &started.location(), &account, Wish::Grant).await;
        let crossed = with_parameter(&first, "state", parameter(&second, "state").as_deref());
        let answer = come_back(&agent, &crossed).await;
        expect_error(&plyr, &agent, &answer, "exchange_failed");
    });
}

#[test]
fn a_flow_of_yesterday_is_over() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let account = Account::create(net, "slow").await;
        let (agent, redirect) = up_to_the_callback(&plyr, &account).await;
        plyr.db.run("update oauth_flow set expires_at = expires_at - interval '11 minutes'").await;
        let answer = come_back(&agent, &redirect).await;
        expect_error(&plyr, &agent, &answer, "flow_expired");
    });
}

/// Somebody signs in as alice, and at the PDS's page types in bob.
#[test]
fn who_consents_is_who_was_named() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (named, other) = (Account::create(net, "named").await, Account::create(net, "other").await);
        let agent = Agent::new();
        let started = consent::start(&agent, &plyr.url, &named.handle, Some("/")).await;
        let redirect = consent::decide(&agent, &started.location(), &other, Wish::Grant).await;
        let answer = come_back(&agent, &redirect).await;
        expect_error(&plyr, &agent, &answer, "account_mismatch");
    });
}

#[test]
fn a_server_that_is_away_or_refuses_is_named() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let plyr = Plyr::up(&net).await;
        let account = Account::create(&net, "unlucky").await;
        let agent = Agent::new();
        let refusal = serde_json::json!({"error": "invalid_request"});
        gate.rule(9, &["/oauth/par"], crate::world::gate::Act::Answer(400, refusal));
        let answer = consent::start(&agent, &plyr.url, &account.handle, Some("/")).await;
        expect_error(&plyr, &agent, &answer, "server_refused");
        gate.clear();
        gate.rule(9, &["/oauth/par"], crate::world::gate::Act::LoseAnswer);
        let answer = consent::start(&agent, &plyr.url, &account.handle, Some("/")).await;
        expect_error(&plyr, &agent, &answer, "server_unreachable");
        gate.clear();
        let (agent, redirect) = up_to_the_callback(&plyr, &account).await;
        net.command("stop-pds");
        expect_error(&plyr, &agent, &come_back(&agent, &redirect).await, "server_unreachable");
        net.command("start-pds");
        Person::sign_in(&plyr, &account).await.get("/auth/me").await.good();
    });
}
