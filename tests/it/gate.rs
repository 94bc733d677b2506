//! The tests' own tools, tried on the PDS alone.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;

use crate::world::agent::{Agent, parameter};
use crate::world::consent::{self, Wish};
use crate::world::gate::Act;
use crate::world::{Account, Gate, Plyr, eventually, network, pds, run, same};

#[test]
fn the_gate_loses_delays_and_holds() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let account = Account::create(&net, "gated").await;
        let http = pds::http();
        let ask = async |path: &str| http.get(format!("{}/xrpc/{path}", net.pds)).send().await;
        let describe = "com.atproto.server.describeServer";

        assert!(ask(describe).await.expect("an answer").status().is_success());
        gate.rule(1, &[describe], Act::LoseAnswer);
        gate.rule(1, &[describe], Act::LoseRequest);
        gate.rule(1, &[describe], Act::Answer(503, json!({"error": "NotNow"})));
        gate.rule(1, &[describe], Act::DelayAnswer(Duration::from_millis(300)));
        assert!(ask(describe).await.is_err());
        assert!(ask(describe).await.is_err());
        assert_eq!(ask(describe).await.expect("an answer").status(), 503);
        let before = Instant::now();
        assert!(ask(describe).await.expect("an answer").status().is_success());
        assert!(before.elapsed() >= Duration::from_millis(300));
        let statuses: Vec<_> = gate.seen(&[describe]).iter().map(|seen| seen.status).collect();
        assert_eq!(statuses, [Some(200), Some(200), None, None, Some(200)]);

        let held = gate.hold_answer(&[describe]);
        let asked = tokio::spawn(http.get(format!("{}/xrpc/{describe}", net.pds)).send());
        held.arrived().await;
        assert_eq!(gate.seen(&[describe]).last().and_then(|seen| seen.status), Some(200));
        assert!(!asked.is_finished());
        held.release();
        assert!(asked.await.expect("it ends").expect("an answer").status().is_success());

        net.command("stop-pds");
        assert!(ask(describe).await.is_err());
        net.command("start-pds");
        assert!(ask(describe).await.expect("an answer").status().is_success());
        // Whoever knows the PDS's own address passes by.
        assert_eq!(account.list_records("fm.plyr.like").await, []);
        assert_eq!(gate.count(&["listRecords"]), 0);
    });
}

#[test]
fn the_gate_doubles_and_holds_the_stream() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let url = format!("ws://127.0.0.1:{}/xrpc/com.atproto.sync.subscribeRepos?cursor=0", net.pds_port);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.expect("the stream");
        gate.stream(Duration::from_millis(200), 2);
        gate.hold_stream();
        Account::create(&net, "streamed").await;
        assert!(tokio::time::timeout(Duration::from_millis(600), socket.next()).await.is_err());
        gate.release_stream();
        let mut frames = Vec::new();
        for _ in 0..8 {
            frames.push(socket.next().await.expect("a frame").expect("a whole one"));
        }
        assert!(frames.chunks(2).all(|pair| pair[0] == pair[1] && pair[0].is_binary()));
        assert!(frames.chunks(2).collect::<Vec<_>>().windows(2).all(|pairs| pairs[0] != pairs[1]));
    });
}

#[test]
fn plyr_reads_through_the_gate() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        gate.stream(Duration::from_millis(100), 2);
        let plyr = Plyr::up(&net).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("through the gate").await;
        artist.like(&track).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        eventually("its sound", || async {
            let track = plyr.track(&track.0).await.ok_or("no track")?;
            same(track["audio"].is_string(), true)
        })
        .await;
        assert!(gate.count(&["com.atproto.sync.getBlob"]) > 0);
    });
}

/// The pages of the PDS, asked for an app that is nobody's: a code or a refusal comes back.
#[test]
fn people_consent_and_refuse() {
    run(async {
        let net = network();
        let account = Account::create(net, "consenting").await;
        for (wish, key, value) in [
            (Wish::Grant, "code", None),
            (Wish::GrantOnly("atproto"), "code", None),
            (Wish::Reject, "error", Some("access_denied")),
        ] {
            let redirect_uri = "http://127.0.0.1/callback";
            let scope = "atproto repo:fm.plyr.like";
            let client = reqwest::Url::parse_with_params(
                "http://localhost",
                [("redirect_uri", redirect_uri), ("scope", scope)],
            );
            let client = client.expect("a URL").to_string().replace("localhost/?", "localhost?");
            let hash = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
            let form = [
                ("client_id", client.as_str()),
                ("redirect_uri", redirect_uri),
                ("scope", scope),
                ("state", "a-state"),
                ("response_type", "code"),
                ("code_challenge", hash),
                ("code_challenge_method", "S256"),
                ("dpop_jkt", hash),
                ("login_hint", &account.handle),
            ];
            let agent = Agent::new();
            let body =
                reqwest::Url::parse_with_params("x:y", form).expect("a URL").query().expect("one").to_owned();
            let request = agent.http.post(format!("{}/oauth/par", net.pds)).body(body);
            let request = request.header("content-type", "application/x-www-form-urlencoded");
            let par = agent.send(request).await;
            assert_eq!(par.status, 201, "{par}");
            let uri = par.json()["request_uri"].as_str().expect("one").to_owned();
            let query = [("client_id", client), ("request_uri", uri)];
            let url = reqwest::Url::parse_with_params(&format!("{}/oauth/authorize", net.pds), query);
            let back = consent::decide(&agent, &url.expect("a URL"), &account, wish).await;
            assert_eq!(back.path(), "/callback");
            assert_eq!(parameter(&back, "state").as_deref(), Some("a-state"));
            let found = parameter(&back, key);
            assert!(found.is_some() && (value.is_none() || found.as_deref() == value), "{wish:?}: {back}");
        }
    });
}
