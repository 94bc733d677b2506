//! Whom the requests are about: two people with music, lists, words and likes.

use serde_json::{Value, json};

use super::values::Known;
use crate::world::network::Network;
use crate::world::{Account, Person, Plyr, eventually, pds, same};

/// Makes them, waits until they are here, and signs the second in. All that requests may name is told.
pub async fn settle(net: &Network, plyr: &Plyr) -> (Person, Known) {
    let (artist, fan) = (Account::create(net, "described").await, Account::create(net, "asking").await);
    let cover = artist.upload("image/png", crate::upload::sound::picture("64x64", "png")).await;
    let blob = artist.upload("audio/wav", pds::wav(440, 3)).await;
    let mut tracks = Vec::new();
    for (title, tag) in [("first described", "described"), ("second described", "ac/dc like")] {
        let mut record = pds::track(title, &blob);
        (record["image"], record["tags"], record["duration"]) = (cover.clone(), json!([tag]), json!(3));
        record["album"] = json!("Described Album");
        tracks.push(artist.create_record("fm.plyr.track", record).await);
    }
    let mut own = Vec::new();
    for title in ["own one", "own two", "own three", "own four"] {
        own.push(fan.create_track(title).await);
    }
    let items: Vec<Value> =
        tracks.iter().map(|(uri, cid)| json!({"subject": {"uri": uri, "cid": cid}})).collect();
    let list = |kind: &str, name: &str| json!({"listType": kind, "name": name, "items": items, "createdAt": "2021-01-02T03:04:05Z"});
    let album = artist.create_record("fm.plyr.list", list("album", "Described List")).await;
    let playlist = fan.create_record("fm.plyr.list", list("playlist", "described for later")).await;
    fan.create_record("app.bsky.graph.follow", json!({"subject": artist.did, "createdAt": pds::now()})).await;
    fan.like(&tracks[1]).await;
    let comments = 9;
    for at in 0..comments {
        fan.create_record("fm.plyr.comment", pds::comment(&tracks[0], "described", at)).await;
    }
    let play = json!({"trackName": "first described", "artists": [{"artistName": artist.handle}], "originUri": tracks[0].0,
                      "playedTime": pds::now(), "releaseName": "Described Album", "duration": 3});
    let play = fan.create_record("fm.teal.feed.play", play).await;
    plyr.await_counts(&tracks[1].0, Some([1, 0, 0])).await;
    let views = eventually("what is asked about", || async {
        let mut views = Vec::new();
        for (uri, _) in tracks.iter().chain(&own) {
            let (_, body) = get(plyr, &format!("/tracks/by-uri?uri={uri}")).await;
            views.push(body);
        }
        let is_whole = views.iter().all(|view| view["r2_url"].is_string() && view["id"].is_i64());
        same(is_whole && views[0]["image_url"].is_string() && views[0]["comment_count"] == comments, true)
            .map(|()| views)
    })
    .await;
    let person = Person::sign_in(plyr, &fan).await;
    let mut known = known(plyr, &artist, &fan, &views, [&album.0, &playlist.0]).await;
    known.add("play_rkey", play.0.rsplit('/').next().expect("a key"));
    known.add("feed", &format!("at://{}/app.bsky.feed.generator/plyr-top", artist.did));
    (person, known)
}

async fn get(plyr: &Plyr, path: &str) -> (u16, Value) {
    let answer = plyr.get(path).await;
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn known(plyr: &Plyr, artist: &Account, fan: &Account, views: &[Value], lists: [&str; 2]) -> Known {
    let mut known = Known::default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for view in views {
        known.add("track_id", &text(&view["id"]));
        known.add("uri", &text(&view["atproto_record_uri"]));
        known.add("file_id", &text(&view["file_id"]));
        known.add("rkey", text(&view["atproto_record_uri"]).rsplit('/').next().expect("a key"));
    }
    for view in &views[2..] {
        known.add("own_track_id", &text(&view["id"]));
    }
    for address in [&views[0]["image_url"], &views[0]["r2_url"]] {
        known.add("url", &text(address));
    }
    known.add("cid", text(&views[0]["image_url"]).rsplit('/').next().expect("a CID"));
    known.add("url", &format!("{}/track/{}", plyr.url, views[0]["id"]));
    known.add("url", &format!("{}/u/{}", plyr.url, artist.handle));
    known.add("slug", &text(&views[0]["album"]["slug"]));
    for person in [artist, fan] {
        known.add("did", &person.did);
        known.add("handle", &person.handle);
    }
    for list in lists {
        known.add("list", list);
    }
    let (_, found) = get(plyr, &format!("/lists/by-uri?uri={}", lists[1])).await;
    known.add("playlist_id", &text(&found["id"]));
    let (_, comments) = get(plyr, &format!("/tracks/{}/comments", views[0]["id"])).await;
    for comment in comments["comments"].as_array().expect("comments") {
        known.add("comment_id", &text(&comment["id"]));
    }
    for (key, values) in [
        ("tag", ["described", "ac/dc like"]),
        ("q", ["described", "first"]),
        ("collection", ["fm.plyr.like", "fm.plyr.track"]),
        ("path", [".subject.uri", ".subject.cid"]),
        ("source", ["fm.plyr.like:subject.uri", "fm.plyr.comment:subject.uri"]),
        ("page", ["1.xml", "2.xml"]),
    ] {
        values.iter().for_each(|value| known.add(key, value));
    }
    known
}
