//! The page, in a real Chromium: what it shows, and what it does for who signs in.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::world::{Account, Plyr, checkout, eventually, network::Network, network::node, pds, run, same};

/// A script of `testnet/` that drives a browser, and talks to the test in lines of JSON.
pub(super) struct Script {
    node: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Script {
    pub(super) fn start(name: &str, arguments: &[&str]) -> Script {
        let mut node = Command::new(node())
            .arg(checkout().join("testnet").join(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs");
        let stdin = node.stdin.take().expect("piped");
        let lines = BufReader::new(node.stdout.take().expect("piped")).lines();
        Script { node, stdin, lines }
    }

    pub(super) async fn hear(&mut self) -> Value {
        let line = self.lines.next_line().await.expect("text").expect("the browser script ended early");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    async fn tell(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.expect("the script listens");
    }

    pub(super) async fn ends_well(mut self) -> bool {
        drop(self.stdin);
        self.node.wait().await.expect("it ends").success()
    }
}

#[test]
fn a_page_plays_and_follows_the_network() {
    run(async {
        let net = Network::start(&[]);
        let plyr = Plyr::up(&net).await;
        let (artist, fan) = (Account::create(&net, "artist").await, Account::create(&net, "fan").await);
        let mut record = pds::track("a song to see", &artist.upload("audio/wav", pds::wav(440, 40)).await);
        record["duration"] = serde_json::json!(40);
        let track = artist.create_record("fm.plyr.track", record).await;
        let other = artist.create_track("the next one").await;
        eventually("both with sound", || async {
            let ready = [plyr.track(&track.0).await, plyr.track(&other.0).await];
            same(ready.iter().flatten().filter(|track| track["audio"].is_string()).count(), 2)
        })
        .await;
        let mut browser = Script::start("browser.mjs", &[&plyr.url, &track.0, "1", "", &other.0]);
        assert_eq!(browser.hear().await["ready"], true);
        // What happens on the network now comes to the open page by itself.
        fan.like(&track).await;
        let saw = browser.hear().await;
        assert_eq!(saw["titles"], serde_json::json!(["the next one", "a song to see"]), "{saw}");
        assert_eq!((&saw["played"], &saw["seeked"]), (&Value::Bool(true), &Value::Bool(true)), "{saw}");
        assert!(saw["likes"].as_str().is_some_and(|likes| likes.starts_with('1')), "{saw}");
        // It tells the server once enough was heard, and shows what that made of the number.
        assert_eq!(saw["heard"], true, "{saw}");
        assert_eq!(plyr.db.texts("select client from play_event").await, ["plyr web"]);
        assert_eq!(saw["errors"], serde_json::json!([]), "{saw}");
        assert!(browser.ends_well().await);
    });
}

/// Signs in through the pages of the person's PDS, likes, comments, uploads, hears and deletes, while a second browser that
/// nobody touches sees each change by itself.
#[test]
fn a_page_is_a_hand_too() {
    run(async {
        let net = Network::start(&[]);
        let plyr = Plyr::up(&net).await;
        let (artist, fan) = (Account::create(&net, "artist").await, Account::create(&net, "fan").await);
        let record = pds::track("a song to touch", &artist.upload("audio/wav", pds::wav(440, 40)).await);
        let track = artist.create_record("fm.plyr.track", record).await;
        eventually("its sound", || async {
            let track = plyr.track(&track.0).await.unwrap_or_default();
            same(track["audio"].is_string(), true)
        })
        .await;
        let mut browser = Script::start("hand.mjs", &[&plyr.url, &track.0, &fan.handle, &fan.password]);
        let published = browser.hear().await["published"].as_str().expect("a uri").to_owned();

        let upload = fan.record(&published).await;
        let expected = serde_json::json!({
            "title": "sixty seconds", "artist": fan.handle, "album": "an hour in pieces", "duration": 60,
            "description": "one note, held.", "fileType": "wav", "tags": ["tone", "test signal"], "$type": "fm.plyr.track",
        });
        for (field, wanted) in expected.as_object().expect("an object") {
            assert_eq!(&upload[field], wanted, "{field} of {upload}");
        }
        assert_eq!(upload["audioBlob"]["mimeType"], "audio/wav", "{upload}");
        assert_eq!(upload["audioBlob"]["size"], 44 + 60 * 2 * 44_100, "{upload}");
        assert_eq!(upload["image"]["mimeType"], "image/jpeg", "{upload}");
        let likes = fan.list_records("fm.plyr.like").await;
        assert_eq!(likes.len(), 1);
        let like = fan.record(&likes[0].0).await;
        assert_eq!(like["subject"], serde_json::json!({"uri": track.0, "cid": track.1}));

        browser.tell("go on").await;
        let saw = browser.hear().await;
        assert!(browser.ends_well().await, "{saw}");
        assert_eq!(saw["errors"], serde_json::json!([]), "{saw}");
        for what in ["liked", "namedBeforeDelete", "signedOut"] {
            assert_eq!(saw[what], true, "{what}: {saw}");
        }
        assert_eq!(saw["heard"], "playing", "{saw}");
        let comments = fan.list_records("fm.plyr.comment").await;
        assert_eq!(comments.len(), 1);
        assert_eq!(saw["comment"]["uri"], comments[0].0.as_str(), "{saw}");
        let comment = fan.record(&comments[0].0).await;
        assert_eq!(comment["text"], saw["comment"]["text"], "{saw}");
        assert!(comment["text"].as_str().is_some_and(|text| text.ends_with("and never again")), "{comment}");
        assert!(comment["timestampMs"].as_i64().is_some_and(|at| (1_000..60_000).contains(&at)), "{comment}");
        assert!(fan.list_records("fm.plyr.track").await.is_empty(), "deleted there as well");
    });
}

/// A like here and one on Bluesky, of one person and of another, a share and a like of it; then all of it taken back. The page of the
/// track is open all the time.
#[test]
fn every_number_on_an_open_page_is_right() {
    run(async {
        let net = Network::start(&[]);
        let plyr = Plyr::up(&net).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("counted everywhere").await;
        let (one, two, sharer) = (
            Account::create(&net, "one").await,
            Account::create(&net, "two").await,
            Account::create(&net, "sharer").await,
        );
        let id = plyr.track_id(&track.0).await;
        let by_hand = crate::world::Person::sign_in(&plyr, &one).await;
        let page =
            format!("{}/track/{}/{}", plyr.url, artist.did, track.0.rsplit('/').next().expect("a key"));
        let screenshot = std::env::var("PLYR_SCREENSHOT").ok();
        let arguments: Vec<&str> = [page.as_str()].into_iter().chain(screenshot.as_deref()).collect();
        let mut browser = Script::start("numbers.mjs", &arguments);
        assert_eq!(browser.hear().await["ready"], true);
        // Likes in all; here, on Bluesky, by shares; shares; reposts. A nought is not shown, but for the first.
        let mut shows = async |numbers: [u32; 6]| {
            let names =
                ["like-count", "likes-here", "likes-bluesky", "likes-shares", "share-count", "repost-count"];
            let only_here = numbers[2..] == [0; 4];
            let wanted = names.iter().zip(numbers).enumerate().map(|(place, (name, number))| {
                let hidden = place > 0 && (number == 0 || only_here);
                ((*name).to_owned(), if hidden { Value::Null } else { number.to_string().into() })
            });
            let wanted = Value::Object(wanted.collect());
            browser.tell(&wanted.to_string()).await;
            let saw = browser.hear().await;
            assert_eq!(saw["shown"], wanted, "{saw}");
            assert_eq!((&saw["loads"], &saw["errors"]), (&1.into(), &serde_json::json!([])), "{saw}");
        };
        let about = |subject: &(String, String)| serde_json::json!({"subject": {"uri": subject.0, "cid": subject.1}, "createdAt": pds::now()});
        const LIKE: &str = "app.bsky.feed.like";
        shows([0; 6]).await;
        by_hand.post(&format!("/tracks/{id}/like")).await.good();
        shows([1, 1, 0, 0, 0, 0]).await;
        // The same person by another client, and somebody by another client alone.
        let again = one.create_record(LIKE, about(&track)).await;
        shows([1, 1, 1, 0, 0, 0]).await;
        let other = two.like(&track).await;
        shows([2, 2, 1, 0, 0, 0]).await;
        let external = serde_json::json!({"uri": page, "title": "a track", "description": ""});
        let embed = serde_json::json!({"$type": "app.bsky.embed.external", "external": external});
        let post = serde_json::json!({"text": "listen", "createdAt": pds::now(), "embed": embed});
        let post = sharer.create_record("app.bsky.feed.post", post).await;
        shows([2, 2, 1, 0, 1, 0]).await;
        two.create_record(LIKE, about(&post)).await;
        shows([2, 2, 1, 1, 1, 0]).await;
        artist.create_record(LIKE, about(&post)).await;
        sharer.create_record("app.bsky.feed.repost", about(&track)).await;
        shows([3, 2, 1, 2, 1, 1]).await;
        by_hand.delete(&format!("/tracks/{id}/like")).await.good();
        two.delete_record(&other.0).await;
        shows([3, 0, 1, 2, 1, 1]).await;
        two.deactivate().await;
        shows([2, 0, 1, 1, 1, 1]).await;
        sharer.delete_record(&post.0).await;
        shows([1, 0, 1, 0, 0, 1]).await;
        one.delete_record(&again.0).await;
        shows([0, 0, 0, 0, 0, 1]).await;
        assert!(browser.ends_well().await);
    });
}
