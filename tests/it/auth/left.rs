//! What is cut short, pushed out or forgotten: no grant is lost by it, and none is left behind.

use std::time::Duration;

use super::APP;
use crate::hand::Stage;
use crate::world::agent::{Agent, parameter};
use crate::world::consent::{self, Wish};
use crate::world::{Account, Gate, Person, Plyr, eventually, network, run, same};

const TOKEN: &str = "POST /oauth/token";

#[test]
fn who_hangs_up_during_the_exchange_leaves_no_grant() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let plyr = Plyr::up(&net).await;
        let account = Account::create(&net, "hasty").await;
        let agent = Agent::new();
        let started = consent::start(&agent, &plyr.url, &account.handle, Some("/")).await;
        let redirect = consent::decide(&agent, &started.location(), &account, Wish::Grant).await;
        let hold = gate.hold_answer(&[TOKEN]);
        tokio::select! {
            answer = consent::come_back(&agent, &redirect) => panic!("it was answered: {answer}"),
            () = hold.arrived() => {}
        }
        assert_eq!(account.grants(&net).await.len(), 1);
        // The connection is closed by now.
        tokio::time::sleep(Duration::from_millis(200)).await;
        hold.release();
        eventually("the grant to be given back", || async { same(account.grants(&net).await.len(), 0) })
            .await;
        assert_eq!(plyr.db.number("select count(*) from session").await, 0);
    });
}

#[test]
fn a_stop_in_the_middle_of_a_refresh_keeps_the_grant() {
    run(async {
        let mut stage = Stage::set().await;
        stage
            .plyr
            .db
            .run(
                "update session set access_expires_at = now() - interval '1 second' where sealed is not null",
            )
            .await;
        let hold = stage.gate.hold_answer(&[TOKEN, "refresh_token"]);
        let path = stage.like_path();
        tokio::select! {
            answer = stage.person.post(&path) => panic!("it was answered: {answer}"),
            () = hold.arrived() => {}
        }
        let release = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            hold.release();
        };
        let (ended, ()) = tokio::join!(stage.plyr.terminate(), release);
        assert!(ended.success(), "{ended}");
        stage.plyr.start().await;
        stage.person.post(&path).await.good();
        assert_eq!(stage.gate.refreshes(), 1, "the tokens of before the stop are used");
    });
}

#[test]
fn signing_in_again_ends_what_the_browser_held_of_the_same_person() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (account, other) = (Account::create(net, "again").await, Account::create(net, "lodger").await);
        let first = Person::sign_in(&plyr, &account).await;
        let earlier = first.session().expect("a cookie");
        let (person, landed) = Person::sign_in_at(first.agent, &plyr.url, &account, Wish::Grant).await;
        assert_eq!(parameter(&landed, "auth_error"), None, "{landed}");
        assert_ne!(person.session().as_ref(), Some(&earlier));
        eventually("one grant to be left", || async { same(account.grants(net).await.len(), 1) }).await;
        person.get("/auth/me").await.good();
        let stale = Agent::new();
        stale.set_cookie("127.0.0.1", "session_id", &earlier);
        assert_eq!(stale.send(stale.http.get(format!("{}/auth/me", plyr.url))).await.status, 401);
        // Somebody else at the same browser ends nothing of theirs.
        let (person, _) = Person::sign_in_at(person.agent, &plyr.url, &other, Wish::Grant).await;
        assert_eq!(person.get("/auth/me").await.good()["did"], other.did);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((account.grants(net).await.len(), other.grants(net).await.len()), (1, 1));
    });
}

#[test]
fn a_session_that_is_late_or_over_goes_with_its_grant() {
    run(async {
        let net = network();
        let mut plyr = Plyr::up_with(net, &[("PLYR_WEB_ORIGINS", APP)]).await;
        let account = Account::create(net, "faded").await;
        let late = Person::exchange_token(&Agent::new(), &plyr, &account, APP).await;
        Person::exchange_token(&Agent::new(), &plyr, &account, APP).await;
        Person::sign_in(&plyr, &account).await;
        assert_eq!(account.grants(net).await.len(), 3);
        // Brought too late.
        plyr.db.run("update exchange_token set expires_at = expires_at - interval '61 seconds'").await;
        assert_eq!(Person::exchange(&Agent::new(), &plyr.url, APP, &late).await.status, 401);
        eventually("its grant to go", || async { same(account.grants(net).await.len(), 2) }).await;
        assert_eq!(plyr.db.number("select count(*) from session").await, 2);
        // Never fetched, and at its end: swept.
        plyr.db.run("update session set expires_at = now() - interval '1 second'").await;
        plyr.kill();
        plyr.start().await;
        eventually("the others to go", || async { same(account.grants(net).await.len(), 0) }).await;
        assert_eq!(plyr.db.number("select count(*) from session").await, 0);
    });
}

/// Another's page, whose own server would let its account in without asking anybody.
#[test]
fn a_foreign_page_starts_nothing() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_WEB_ORIGINS", APP)]).await;
        let account = Account::create(net, "bait").await;
        let agent = Agent::new();
        let start = |referer: &str, site: &str| {
            let url = format!("{}/auth/start?handle={}", plyr.url, account.handle);
            let request = agent.http.get(url).header("accept", "text/html").header("sec-fetch-site", site);
            agent.send(request.header("referer", referer))
        };
        let asked = start("https://evil.example/", "cross-site").await;
        let question = format!("{}/?sign_in={}", plyr.url, account.handle);
        assert_eq!((asked.status, asked.location().as_str()), (303, question.as_str()), "{asked}");
        assert_eq!(agent.cookie("127.0.0.1", "auth_browser"), None);
        assert_eq!(plyr.db.number("select count(*) from oauth_flow").await, 0);
        // A web app that the operator trusts may.
        assert_eq!(start(&format!("{APP}/"), "cross-site").await.status, 307);
        assert_eq!(start(&plyr.url, "same-origin").await.status, 307);
    });
}
