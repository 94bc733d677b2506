//! Plays that players tell of, beside those that people keep records of.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::agent::{Agent, Answer};
use crate::world::{Account, Person, Plyr, eventually, network, run, same};

const PLAY: &str = "fm.teal.feed.play";

/// Plays in all; told; recorded.
async fn plays(plyr: &Plyr, track: &str) -> Option<[i64; 3]> {
    let view = plyr.track(track).await?;
    let sources = &view["playSources"];
    Some([&view["playCount"], &sources["plyr"], &sources["teal"]].map(|it| it.as_i64().expect("a number")))
}

async fn await_plays(plyr: &Plyr, track: &str, wanted: [i64; 3]) {
    eventually("the plays", || async { same(plays(plyr, track).await, Some(wanted)) }).await;
}

/// What a player does when enough was heard.
async fn tell(plyr: &Plyr, agent: &Agent, track: i64) -> i64 {
    let url = format!("{}/tracks/{track}/play", plyr.url);
    let answer = agent.send(agent.http.post(url)).await.good();
    answer["play_count"].as_i64().unwrap_or_else(|| panic!("no count: {answer}"))
}

async fn record(person: &Person, input: Value) -> Answer {
    let request = person.request(Method::POST, "/xrpc/fm.plyr.feed.recordPlay");
    person.agent.send(request.json(&input)).await
}

fn scrobble(track: &str, minutes_ago: i64) -> Value {
    let at = chrono::Utc::now() - chrono::TimeDelta::minutes(minutes_ago);
    let at = at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    json!({"trackName": "heard", "artists": [{"artistName": "a"}], "playedTime": at, "originUri": track})
}

fn audit(plyr: &Plyr) -> String {
    let output = plyr.command(&["audit", "counts"]).output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn a_play_counts_once_whoever_tells_of_it() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let track = artist.create_track("heard").await.0;
        plyr.await_counts(&track, Some([0, 0, 0])).await;
        let id = plyr.track_id(&track).await;
        let (one, other) = (Agent::new(), Agent::new());
        assert_eq!(tell(&plyr, &one, id).await, 1);
        // The same browser, before the track could have ended.
        assert_eq!(tell(&plyr, &one, id).await, 1);
        assert_eq!(tell(&plyr, &other, id).await, 2);
        let cookie = one.cookie("127.0.0.1", "plyr_play_id").expect("a cookie");
        let kept = plyr.db.texts("select listener from play_event").await.join(" ");
        assert!(!kept.contains(&cookie), "the cookie itself is kept: {kept}");

        let person = Person::sign_in(&plyr, &fan).await;
        let answer = record(&person, json!({"uri": track, "heardMs": 299})).await;
        assert_eq!((answer.status, &answer.json()["error"]), (400, &json!("NotHeard")), "of one second");
        let answer =
            record(&person, json!({"uri": track, "heardMs": 300, "client": "a test/1"})).await.good();
        assert_eq!(answer, json!({"uri": track, "counted": true, "playCount": 3}));
        let answer = record(&person, json!({"uri": track})).await.good();
        assert_eq!(answer, json!({"uri": track, "counted": false, "playCount": 3}));
        for (input, error, named) in [
            (json!({}), "InvalidRequest", "uri"),
            (json!({"uri": track, "heardMs": -1}), "InvalidRequest", "heardMs"),
            (json!({"uri": track, "client": "x".repeat(300)}), "InvalidRequest", "client"),
            (json!({"uri": format!("{track}x")}), "NotFound", ""),
        ] {
            let answer = record(&person, input).await;
            let body = answer.json();
            assert_eq!((answer.status, &body["error"]), (400, &json!(error)), "{body}");
            assert!(body["message"].as_str().is_some_and(|text| text.contains(named)), "{body}");
        }
        let missing =
            plyr.http().post(format!("{}/tracks/999999/play", plyr.url)).send().await.expect("it answers");
        assert_eq!(missing.status(), 404);

        // They keep a record of it as well: the same play. Without the record it is ours alone again.
        await_plays(&plyr, &track, [3, 3, 0]).await;
        let scrobbled = fan.create_record(PLAY, scrobble(&track, 0)).await.0;
        await_plays(&plyr, &track, [3, 3, 1]).await;
        fan.delete_record(&scrobbled).await;
        await_plays(&plyr, &track, [3, 3, 0]).await;
        fan.create_record(PLAY, scrobble(&track, 0)).await;
        let earlier = fan.create_record(PLAY, scrobble(&track, 90)).await.0;
        await_plays(&plyr, &track, [4, 3, 2]).await;
        // What they hear most is theirs to see, and nobody else's.
        let own = [("actor", fan.did.as_str()), ("period", "all")];
        eventually("their own chart", || async {
            let top = person.query("fm.plyr.feed.getTop", &own).await;
            let first = &top["entries"][0];
            same([first["playCount"].as_i64(), first["listenerCount"].as_i64()], [Some(2), Some(1)])
        })
        .await;
        let top = person.query("fm.plyr.feed.getTop", &[own[0], own[1], ("by", "likes")]).await;
        assert_eq!(top["entries"], json!([]));
        let (code, body) = plyr.xrpc("fm.plyr.feed.getTop", &own).await;
        assert_eq!((code, &body["error"]), (401, &json!("AuthMissing")));
        // Two hours later: everybody may hear it again.
        plyr.db.run("update play_event set played_at = played_at - interval '2 hours'").await;
        assert_eq!(tell(&plyr, &one, id).await, 5);
        // What they heard here at that time is not told by any record any more.
        fan.delete_record(&earlier).await;
        await_plays(&plyr, &track, [5, 4, 1]).await;
        audit(&plyr);
        let rebuilt = plyr.command(&["rebuild"]).output().expect("it runs");
        let rebuilt = String::from_utf8(rebuilt.stdout).expect("text");
        assert!(rebuilt.contains("; 0 counts mended"), "{rebuilt}");

        fan.deactivate().await;
        await_plays(&plyr, &track, [3, 3, 0]).await;
        audit(&plyr);
        fan.activate().await;
        await_plays(&plyr, &track, [5, 4, 1]).await;
        fan.delete_account(net).await;
        await_plays(&plyr, &track, [3, 3, 0]).await;
        let theirs = plyr.db.number("select count(*) from play_event where listener like 'did:%'").await;
        assert_eq!(theirs, 0, "what they heard here is forgotten, too");
        audit(&plyr);
    });
}

#[test]
fn one_place_is_not_a_crowd() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_CLIENT_ADDRESS_HEADER", "x-test-address")]).await;
        let artist = Account::create(net, "artist").await;
        let track = artist.create_track("flooded").await.0;
        plyr.await_counts(&track, Some([0, 0, 0])).await;
        let id = plyr.track_id(&track).await;
        let from = |address: &str| {
            let url = format!("{}/tracks/{id}/play", plyr.url);
            let request = plyr.http().post(url).header("x-test-address", address);
            async { request.send().await.expect("it answers").status().as_u16() }
        };
        // Nobody keeps a cookie. Each is a play, and hardly any makes a chart.
        for _ in 0..30 {
            assert_eq!(from("203.0.113.7").await, 200);
        }
        await_plays(&plyr, &track, [30, 30, 0]).await;
        assert_eq!(from("203.0.113.8").await, 200);
        await_plays(&plyr, &track, [31, 31, 0]).await;
        await_chart(&plyr, &track, 11).await;
        assert_eq!(plyr.db.number("select count(*) from play_event where crowded").await, 20);
        let forgotten =
            plyr.db.number("select count(*) from play_event where crowded and network is not null");
        assert_eq!(forgotten.await, 0, "of a crowd no network is kept");
        // And more often than anybody can listen.
        let mut refused = 0;
        for _ in 0..60 {
            refused += usize::from(from("203.0.113.7").await == 429);
        }
        assert!(refused > 0, "nothing limits how often one place may ask");
        let counted = 91 - refused as i64;
        await_plays(&plyr, &track, [counted, counted, 0]).await;
        audit(&plyr);
        let rebuilt = plyr.command(&["rebuild"]).output().expect("it runs");
        let rebuilt = String::from_utf8(rebuilt.stdout).expect("text");
        assert!(rebuilt.contains("; 0 counts mended"), "{rebuilt}");
        await_chart(&plyr, &track, 11).await;
        let listeners = "select count(*) from chart_listener where name like 'anonymous:%'";
        assert_eq!(plyr.db.number(listeners).await, 11, "charts know no more");
    });
}

/// Plays and listeners of a track in the chart of the day.
async fn await_chart(plyr: &Plyr, track: &str, wanted: i64) {
    eventually("the chart", || async {
        // Counted a moment ago: whoever shows a credential is answered anew.
        let request = plyr.http().get(format!("{}/xrpc/fm.plyr.feed.getTop?period=day", plyr.url));
        let top = request.bearer_auth("nobody").send().await.expect("plyr answers");
        let top: Value = top.json().await.expect("JSON");
        let entries = top["entries"].as_array().expect("entries").iter();
        let mut entry = entries.filter(|entry| entry["track"]["uri"] == track);
        let numbers =
            entry.next().map(|entry| [entry["playCount"].as_i64(), entry["listenerCount"].as_i64()]);
        same(numbers, Some([Some(wanted); 2]))
    })
    .await;
}

#[test]
fn an_unknown_place_is_one_place() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "artist").await;
        let track = artist.create_track("behind a proxy").await.0;
        plyr.await_counts(&track, Some([0, 0, 0])).await;
        let id = plyr.track_id(&track).await;
        // All the world shows the address of this machine: nobody waits for others, and all of them count in charts as one place.
        for number in 1..=80 {
            assert_eq!(tell(&plyr, &Agent::new(), id).await, number);
        }
        await_plays(&plyr, &track, [80, 80, 0]).await;
        await_chart(&plyr, &track, 10).await;
        audit(&plyr);
    });
}
