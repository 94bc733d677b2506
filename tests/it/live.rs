//! `/live` for clients: what happens, one by one, by kind, by person, by track; and going on after a break.

mod deaf;
mod status;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::world::{Account, Plyr, eventually, network, run};

/// A client that follows.
struct Follower {
    stream: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

/// Name, number, data.
type Told = (String, i64, Value);

impl Follower {
    async fn new(plyr: &Plyr, query: &str, last: Option<i64>) -> Follower {
        let request = plyr.http().get(format!("{}/live?{query}", plyr.url));
        let request = match last {
            Some(last) => request.header("last-event-id", last.to_string()),
            None => request,
        };
        let answer = request.send().await.expect("it answers");
        assert_eq!(answer.status(), 200);
        Follower { stream: answer.bytes_stream().boxed(), text: String::new() }
    }

    /// The next event.
    async fn next(&mut self) -> Told {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let mut lines = block.lines().filter_map(|line| line.strip_prefix(&format!("{name}: ")));
                    lines.next().map(str::to_owned)
                };
                if let Some(name) = field("event") {
                    let id = field("id").and_then(|id| id.parse().ok()).unwrap_or_default();
                    let data = field("data").and_then(|data| serde_json::from_str(&data).ok());
                    return (name, id, data.unwrap_or_default());
                }
            }
            let more = tokio::time::timeout(Duration::from_secs(60), self.stream.next()).await;
            let more = more.expect("something is told").expect("it goes on").expect("bytes");
            self.text.push_str(std::str::from_utf8(&more).expect("text"));
        }
    }

    /// The next event that is about this record.
    async fn of(&mut self, uri: &str) -> Told {
        loop {
            let told = self.next().await;
            if told.2["uri"] == uri {
                return told;
            }
        }
    }
}

/// Waits until a process hears of what happens. Before, it tells everybody to ask anew.
async fn await_listening(plyr: &Plyr) {
    eventually("it to listen", || async {
        if plyr.read_log().contains("listening to changes") { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
}

#[test]
fn clients_follow_what_happens() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let track = artist.create_track("followed").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        let mut all = Follower::new(&plyr, "kinds=like,comment,play,status,track", None).await;
        let mut of_fan = Follower::new(&plyr, &format!("actor={}", fan.did), None).await;
        let mut of_track = Follower::new(&plyr, &format!("track={}&kinds=like,play", track.0), None).await;

        let like = fan.like(&track).await.0;
        let (name, first, data) = all.of(&like).await;
        assert_eq!(
            (name.as_str(), &data["did"], &data["subject"]),
            ("like", &json!(fan.did), &json!(track.0))
        );
        assert_eq!(of_fan.next().await.2["uri"], like, "nobody else is told of to who follows one person");
        assert_eq!(of_track.next().await.2["uri"], like);

        let comment =
            fan.create_record("fm.plyr.comment", crate::world::pds::comment(&track, "ah", 1)).await.0;
        let (name, ..) = all.of(&comment).await;
        assert_eq!((name.as_str(), of_fan.next().await.0.as_str()), ("comment", "comment"));
        let status = json!({
            "time": crate::world::pds::now(), "item": {"trackName": "followed", "artists": [], "originUri": track.0},
        });
        let status = fan.put_record("fm.teal.actor.status", "self", status).await.0;
        assert_eq!(all.of(&status).await.0, "status");
        let old =
            json!({"trackName": "long ago", "playedTime": "2020-02-02T02:02:02Z", "originUri": track.0});
        fan.create_record("fm.teal.feed.play", old).await;
        let now =
            json!({"trackName": "followed", "playedTime": crate::world::pds::now(), "originUri": track.0});
        let play = fan.create_record("fm.teal.feed.play", now).await.0;
        let (name, _, data) = of_track.next().await;
        assert_eq!(
            (name.as_str(), &data["uri"]),
            ("play", &json!(play)),
            "what was long ago does not happen now"
        );
        // A player tells of a play, and nobody is told whose.
        let id = plyr.track_id(&track.0).await;
        plyr.http().post(format!("{}/tracks/{id}/play", plyr.url)).send().await.expect("it answers");
        let (name, last, data) = of_track.next().await;
        assert!(data.get("nowPlaying").is_none(), "{data}");
        assert_eq!((name.as_str(), &data["did"], &data["uri"]), ("play", &Value::Null, &Value::Null));
        let other = artist.create_track("another").await.0;
        assert_eq!(all.of(&other).await.0, "track");

        // Who goes on where they were misses nothing; who was away for too long is told so.
        let mut back = Follower::new(&plyr, "kinds=play,track", Some(first)).await;
        for (kind, uri) in [("play", Some(&play)), ("play", None), ("track", Some(&other))] {
            let (name, _, data) = loop {
                // Others happen on the same network.
                let told = back.next().await;
                let who = told.2["did"].as_str();
                if told.1 > first && who.is_none_or(|who| who == artist.did || who == fan.did) {
                    break told;
                }
            };
            assert_eq!((name.as_str(), data["uri"].as_str()), (kind, uri.map(String::as_str)));
        }
        let mut late = Follower::new(&plyr, "kinds=play", Some(last + 1_000_000)).await;
        assert_eq!(late.next().await.0, "reset");

        // Nothing of who is hidden, and nothing about them.
        artist.deactivate().await;
        eventually("the end", || async {
            if plyr.track(&track.0).await.is_none() { Ok(()) } else { Err("it is shown".to_owned()) }
        })
        .await;
        fan.like(&(other.clone(), track.1.clone())).await;
        artist.activate().await;
        plyr.await_counts(&track.0, Some([1, 1, 3])).await;
        let seen = fan.like(&track).await.0;
        let told = loop {
            let told = of_fan.next().await;
            if told.0 == "like" {
                break told;
            }
        };
        assert_eq!(told.2["uri"], seen);

        for (query, named) in [("kinds=like,dance", "kinds"), ("actor=nobody", "actor"), ("track=x", "track")]
        {
            let answer = plyr.get(&format!("/live?{query}")).await;
            assert_eq!(answer.status(), 400);
            let body: Value = answer.json().await.expect("JSON");
            assert!(body["message"].as_str().is_some_and(|text| text.starts_with(named)), "{body}");
        }
    });
}

#[test]
fn who_missed_too_much_is_told_so() {
    run(async {
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_CLIENT_ADDRESS_HEADER", "x-test-address")]).await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let track = artist.create_track("heard by many").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        let id = plyr.track_id(&track.0).await;
        // Of this track alone: others happen on the same network.
        let query = format!("track={}", track.0);
        let mut all = Follower::new(&plyr, &query, None).await;
        let like = fan.like(&track).await.0;
        let last = all.of(&like).await.1;
        let hear = async |numbers: std::ops::Range<usize>| {
            for number in numbers.step_by(50) {
                let heard = (number..number + 50).map(|number| {
                    let request = plyr.http().post(format!("{}/tracks/{id}/play", plyr.url));
                    let address = format!("9.9.{}.{}", number / 200, number % 200);
                    request.header("x-test-address", address).send()
                });
                for answer in join_all(heard).await {
                    assert_eq!(answer.expect("plyr answers").status(), 200);
                }
            }
        };
        hear(0..700).await;
        let mut back = Follower::new(&plyr, &query, Some(last)).await;
        let mut told = std::collections::BTreeSet::new();
        while told.len() < 700 {
            let (kind, number, _) = back.next().await;
            // Of what was a moment before, they may be told twice.
            if kind == "track" {
                continue;
            }
            assert_eq!(kind, "play", "after {} plays", told.len());
            told.insert(number);
        }
        // More than is told one by one. What is left of them without the like, that they know, and without what is hidden, were few
        // enough.
        fan.deactivate().await;
        plyr.await_counts(&track.0, Some([0, 0, 700])).await;
        hear(700..1150).await;
        let mut late = Follower::new(&plyr, &query, Some(last)).await;
        assert_eq!(late.next().await.0, "reset");
    });
}
