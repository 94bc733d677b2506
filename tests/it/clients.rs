//! The TypeScript client against a running plyr, straight and by way of a PDS.

use std::path::Path;
use std::process::Command;

use chrono::{SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::world::network::{Network, node};
use crate::world::pds::{self, now};
use crate::world::{Account, Person, Plyr, checkout, eventually, network, run, same};

/// A web app that plyr trusts.
const APP: &str = "http://localhost:5174";
const TAG: &str = "client tag";

/// The record of a play just now, and one that it is playing still.
fn heard(track: &str) -> [Value; 2] {
    let at = |seconds: i64| {
        (Utc::now() + TimeDelta::seconds(seconds)).to_rfc3339_opts(SecondsFormat::Millis, true)
    };
    let item = json!({
        "trackName": "client 0", "artists": [{"artistName": "client artist"}], "releaseName": "Client Album",
        "originUri": track, "duration": 600,
    });
    let mut play = item.clone();
    play["playedTime"] = json!(at(-5));
    [play, json!({"time": at(-5), "expiry": at(590), "item": item})]
}

/// Two people and what they made, as the client's tests are told of it.
async fn world(net: &Network, plyr: &Plyr) -> Value {
    let (artist, fan) = (Account::create(net, "clientartist").await, Account::create(net, "clientfan").await);
    let blob = artist.upload("audio/wav", pds::wav(440, 1)).await;
    let mut tracks = Vec::new();
    for number in 0..5 {
        let mut record = pds::track(&format!("client {number}"), &blob);
        record["tags"] = json!([TAG]);
        record["labels"] =
            json!({"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "sexual"}]});
        tracks.push(artist.create_record("fm.plyr.track", record).await);
    }
    let items: Vec<Value> =
        tracks.iter().map(|(uri, cid)| json!({"subject": {"uri": uri, "cid": cid}})).collect();
    let album = json!({"listType": "album", "name": "Client Album", "items": items, "createdAt": now()});
    let list = artist.create_record("fm.plyr.list", album).await.0;
    artist.put_record("fm.plyr.actor.profile", "self", json!({"bio": "plays", "createdAt": now()})).await;
    let like = fan.like(&tracks[0]).await.0;
    let key = tracks[0].0.rsplit('/').next().expect("a key");
    let link = json!({"$type": "app.bsky.richtext.facet#link", "uri": format!("{}/track/{}/{key}", plyr.public_url, artist.did)});
    let post = json!({"text": "listen", "createdAt": now(),
                      "facets": [{"index": {"byteStart": 0, "byteEnd": 6}, "features": [link]}]});
    fan.create_record("app.bsky.feed.post", post).await;
    for number in 0..3 {
        fan.create_record("fm.plyr.comment", pds::comment(&tracks[0], "fine", number)).await;
    }
    let [play, status] = heard(&tracks[0].0);
    let play = fan.create_record("fm.teal.feed.play", play).await.0;
    fan.put_record("fm.teal.actor.status", "self", status).await;
    fan.put_record("fm.teal.actor.profile", "self", json!({"displayName": "Client Fan", "createdAt": now()}))
        .await;
    plyr.await_counts(&tracks[0].0, Some([1, 3, 1])).await;
    eventually("a chart", || async {
        let top = plyr.query("fm.plyr.feed.getTop", &[]).await;
        let artists = plyr.query("fm.teal.stats.getTopArtists", &[]).await;
        let feed = ("feed", "at://did:web:plyr.example/app.bsky.feed.generator/plyr-top");
        let posts = plyr.query("app.bsky.feed.getFeedSkeleton", &[feed]).await;
        let count = |answer: &Value, name: &str| answer[name].as_array().map(Vec::len);
        same(
            (count(&top, "entries"), count(&artists, "artists"), count(&posts, "feed")),
            (Some(1), Some(1), Some(1)),
        )
    })
    .await;
    let fan_here = Person::with_bearer(plyr, &fan, APP).await;
    json!({
        "appview": format!("{}#plyr_appview", plyr.did()),
        "pds": net.pds,
        "artist": {"did": artist.did, "handle": artist.handle},
        "fan": {"did": fan.did, "handle": fan.handle, "password": fan.password, "token": fan_here.session()},
        "tracks": tracks.iter().map(|(uri, cid)| json!({"uri": uri, "cid": cid})).collect::<Vec<_>>(),
        "tag": TAG, "list": list, "slug": "client-album", "like": like, "play": play,
    })
}

/// Runs a program in the checkout, with the test network's Node before any other.
fn output(program: &str, arguments: &[&str], folder: &Path, settings: &[(&str, &str)]) -> (bool, String) {
    let node = node();
    let bin = node.parent().expect("a folder").display();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("PATH", path).envs(settings.iter().copied());
    // What a `make` around us told its children is not meant for this one.
    command.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env("NODE_NO_WARNINGS", "1");
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn a_typescript_client_gets_what_the_lexicons_promise() {
    run(async {
        let (built, text) = output("make", &["client"], &checkout(), &[]);
        assert!(built, "{text}");
        let net = network();
        let plyr = Plyr::up_with(net, &[("PLYR_WEB_ORIGINS", APP)]).await;
        let world = world(net, &plyr).await.to_string();
        let url = plyr.url.clone();
        let tested = tokio::task::spawn_blocking(move || {
            let settings = [("PLYR_URL", url.as_str()), ("PLYR_WORLD", &world)];
            output("npm", &["test"], &checkout().join("clients/ts"), &settings)
        });
        let (good, text) = tested.await.expect("it ends");
        assert!(good && text.contains("skipped 0"), "{text}");
    });
}
