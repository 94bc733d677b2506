//! What somebody hears now, and heard before: over teal's queries, plyr's own, and the HTTP API.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use crate::world::{Account, Person, Plyr, eventually, network, run, same};

const STABLE: &str = "fm.teal.actor.status";
const ALPHA: &str = "fm.teal.alpha.actor.status";

fn at(seconds: i64) -> String {
    let at = Utc::now() + TimeDelta::seconds(seconds);
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Began so many seconds ago; holds for so many from now.
fn status(name: &str, began: i64, holds: i64, origin: &str) -> Value {
    let artists = if name.is_empty() { json!([]) } else { json!([{"artistName": "an artist"}]) };
    let item = json!({"trackName": name, "artists": artists, "duration": 100, "originUri": origin});
    json!({"time": at(-began), "expiry": at(holds), "item": item})
}

/// The status and the body of a read of the HTTP API.
async fn read(plyr: &Plyr, path: &str) -> (u16, Value) {
    let answer = plyr.get(path).await;
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or(Value::Null))
}

async fn await_name(plyr: &Plyr, did: &str, wanted: Option<&str>) {
    eventually("what plays", || async {
        // Nobody knows them at first.
        let (_, answer) = plyr.xrpc("fm.plyr.actor.getNowPlaying", &[("actor", did)]).await;
        same(answer["nowPlaying"]["trackName"].as_str().map(str::to_owned), wanted.map(str::to_owned))
    })
    .await;
}

#[test]
fn the_newest_word_holds_until_it_ends() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "artist").await;
        let track = artist.create_track("in the air").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        let listener = Account::create(net, "listener").await;
        let did = listener.did.as_str();

        listener.put_record(STABLE, "self", status("in the air", 10, 60, &track.0)).await;
        await_name(&plyr, did, Some("in the air")).await;
        let answer = plyr.query("fm.plyr.actor.getNowPlaying", &[("actor", did)]).await;
        let playing = &answer["nowPlaying"];
        assert_eq!((&playing["source"], &playing["track"]["uri"]), (&json!("teal"), &json!(track.0)));
        let progress = playing["progressMs"].as_i64().expect("a number");
        assert!((10_000..60_000).contains(&progress), "{progress}");
        let teal = plyr.query("fm.teal.actor.getStatus", &[("actor", did)]).await;
        assert_eq!((&teal["isListening"], &teal["status"]["originUri"]), (&json!(true), &json!(track.0)));

        let handle = eventually("the handle", || async {
            let person = plyr.query("fm.plyr.actor.getProfile", &[("actor", did)]).await;
            let handle = person["handle"].as_str().expect("a handle").to_owned();
            if handle == "handle.invalid" { Err(handle) } else { Ok(handle) }
        })
        .await;
        for path in [
            format!("/now-playing/{did}"),
            format!("/now-playing/by-did/{did}"),
            format!("/now-playing/by-handle/{handle}"),
        ] {
            let (code, shown) = read(&plyr, &path).await;
            assert_eq!(
                (code, &shown["track_name"], &shown["is_playing"]),
                (200, &json!("in the air"), &json!(true))
            );
            assert_eq!(shown["track_id"].as_i64(), Some(plyr.track_id(&track.0).await), "{path}: {shown}");
            assert_eq!(
                (&shown["artist_name"], &shown["duration_ms"]),
                (&json!("an artist"), &json!(100_000))
            );
        }
        assert_eq!(read(&plyr, "/now-playing/by-handle/nobody.test").await.0, 404);
        assert_eq!(read(&plyr, "/now-playing/by-did/nonsense").await.0, 422);

        // The other namespace knows something newer; then it is over there, and what was newest before is over, too.
        listener.put_record(ALPHA, "self", status("something newer", 5, 60, "https://x.example/1")).await;
        await_name(&plyr, did, Some("something newer")).await;
        listener.put_record(ALPHA, "self", status("", 2, 60, "https://x.example/1")).await;
        await_name(&plyr, did, None).await;
        assert_eq!(read(&plyr, &format!("/now-playing/{did}")).await.0, 204);
        let teal = plyr.query("fm.teal.actor.getStatus", &[("actor", did)]).await;
        assert_eq!((&teal["isListening"], &teal["status"]), (&json!(false), &Value::Null));
        // It ends by itself; and nothing is playing that claims to begin tomorrow.
        listener.put_record(STABLE, "self", status("short", 1, 15, &track.0)).await;
        await_name(&plyr, did, Some("short")).await;
        await_name(&plyr, did, None).await;
        listener.put_record(STABLE, "self", status("tomorrow", -86_400, 90_000, &track.0)).await;
        listener.put_record(ALPHA, "self", status("today", 0, 60, &track.0)).await;
        await_name(&plyr, did, Some("today")).await;

        listener.deactivate().await;
        eventually("the end", || async { same(read(&plyr, &format!("/now-playing/{did}")).await.0, 204) })
            .await;
        assert_eq!(plyr.xrpc("fm.plyr.actor.getNowPlaying", &[("actor", did)]).await.0, 400);
    });
}

#[test]
fn a_player_says_what_it_plays() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let track = artist.create_track("at home").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        let id = plyr.track_id(&track.0).await;
        let person = Person::sign_in(&plyr, &fan).await;
        let told = json!({
            "track_id": id, "file_id": "0123456789abcdef", "track_name": "at home", "artist_name": "artist",
            "album_name": null, "duration_ms": 60_000, "progress_ms": 5_000, "is_playing": true,
        });
        for path in ["/now-playing/", "/now-playing"] {
            let answer = person.post_json(path, &told).await;
            assert_eq!(answer.good(), json!({"status": "ok"}));
        }
        let path = format!("/now-playing/by-did/{}", fan.did);
        let (code, shown) = read(&plyr, &path).await;
        assert_eq!((code, &shown["track_id"], &shown["progress_ms"]), (200, &json!(id), &json!(5_000)));
        assert_eq!(shown["file_id"], "0123456789abcdef");
        let answer = plyr.query("fm.plyr.actor.getNowPlaying", &[("actor", &fan.did)]).await;
        assert_eq!(answer["nowPlaying"]["source"], "player");
        assert_eq!(answer["nowPlaying"]["track"]["uri"], track.0);
        for (field, wrong) in [
            ("progress_ms", json!(-1)),
            ("duration_ms", json!(1_000_000_000)),
            ("track_name", json!("x".repeat(600))),
            ("file_id", json!("../../etc")),
            ("image_url", json!("javascript:alert(1)")),
        ] {
            let mut told = told.clone();
            told[field] = wrong;
            let answer = person.post_json("/now-playing/", &told).await;
            assert_eq!((answer.status, &answer.json()["detail"][0]["loc"][1]), (422, &json!(field)));
        }
        // Paused is not playing.
        let mut paused = told.clone();
        paused["is_playing"] = json!(false);
        person.post_json("/now-playing/", &paused).await.good();
        assert_eq!(read(&plyr, &path).await.0, 204);
        person.post_json("/now-playing/", &told).await.good();
        assert_eq!(read(&plyr, &path).await.0, 200);
        person.delete("/now-playing/").await.good();
        assert_eq!(read(&plyr, &path).await.0, 204);
        assert_eq!(plyr.get("/now-playing/").await.status(), 405);
    });
}

#[test]
fn of_a_hidden_track_nothing_is_told() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let listener = Account::create(net, "listener").await;
        let track = artist.create_track("not for long").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        let person = Person::sign_in(&plyr, &fan).await;
        let told = json!({
            "track_id": plyr.track_id(&track.0).await, "file_id": "0123456789abcdef", "track_name": "not for long",
            "artist_name": "artist", "album_name": null, "duration_ms": 60_000, "progress_ms": 5_000, "is_playing": true,
            "image_url": "https://music.example/media/cover",
        });
        person.post_json("/now-playing/", &told).await.good();
        listener.put_record(STABLE, "self", status("not for long", 10, 3600, &track.0)).await;
        await_name(&plyr, &listener.did, Some("not for long")).await;
        let fields = ["track_id", "file_id", "track_url", "image_url"];
        let paths = [&fan.did, &listener.did].map(|did| format!("/now-playing/{did}"));
        for path in &paths {
            let (code, shown) = read(&plyr, path).await;
            assert_eq!((code, shown["track_id"].is_number()), (200, true), "{shown}");
            assert!(shown["track_url"].is_string(), "{shown}");
        }
        artist.deactivate().await;
        plyr.await_counts(&track.0, None).await;
        for path in &paths {
            let (code, shown) = read(&plyr, path).await;
            assert_eq!(
                (code, &shown["track_name"]),
                (200, &json!("not for long")),
                "these are words of theirs"
            );
            assert_eq!(fields.map(|field| &shown[field]), [&Value::Null; 4], "{shown}");
        }
        artist.activate().await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        assert!(read(&plyr, &paths[0]).await.1["track_url"].is_string());
    });
}

#[test]
fn what_was_heard_is_told_once() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let listener = Account::create(net, "listener").await;
        let mut keys = Vec::new();
        for number in 0..5 {
            let play = json!({
                "trackName": format!("song {number}"), "artists": [{"artistName": "a"}], "playedTime": at(-100 + number),
            });
            keys.push(listener.create_record("fm.teal.feed.play", play).await.0);
        }
        // The last of them once more, as older programs write it.
        let twin = json!({
            "trackName": "Song 4 ", "artistNames": ["A"], "musicServiceBaseDomain": "plyr.fm",
            "playedTime": listener.record(&keys[4]).await["playedTime"],
        });
        let twin = listener.create_record("fm.teal.alpha.feed.play", twin).await.0;
        eventually("the plays", || async {
            let held: i64 = sqlx::query_scalar("select count(*) from play where did = $1")
                .bind(&listener.did)
                .fetch_one(&plyr.db.pool)
                .await
                .expect("a number");
            same(held, 6)
        })
        .await;
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = vec![("authorDID", listener.did.as_str()), ("limit", "2")];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = plyr.query("fm.teal.feed.getActorFeed", &query).await;
            let names = page["plays"].as_array().expect("plays").iter();
            seen.extend(names.map(|play| play["trackName"].as_str().expect("a name").to_owned()));
            match page["cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        assert_eq!(seen, ["song 4", "song 3", "song 2", "song 1", "song 0"]);
        let rkey = twin.rsplit('/').next().expect("a key");
        let one = plyr.query("fm.teal.feed.getPlay", &[("authorDID", &listener.did), ("rkey", rkey)]).await;
        assert_eq!(one["play"]["artists"], json!([{"artistName": "A"}]));
        assert_eq!(one["play"]["musicServiceUri"], "https://plyr.fm");
        let latest = plyr.query("fm.teal.stats.getLatest", &[("limit", "100")]).await;
        let ours = latest["plays"].as_array().expect("plays").iter();
        assert_eq!(
            ours.filter(|play| play["trackName"].as_str().is_some_and(|name| name.starts_with("song")))
                .count(),
            5
        );
        let nothing = [("authorDID", listener.did.as_str()), ("rkey", "3jzfcijpj2z2a")];
        let (code, body) = plyr.xrpc("fm.teal.feed.getPlay", &nothing).await;
        assert_eq!((code, &body["error"]), (400, &json!("NotFound")));
    });
}
