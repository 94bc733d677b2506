//! The Python SDK that others published, against a running plyr.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::world::network::Network;
use crate::world::pds::{self, now};
use crate::world::{Account, Person, Plyr, checkout, eventually, run, same};

/// A web app that plyr trusts: programs have their tokens from one.
const APP: &str = "http://localhost:5175";

#[test]
fn the_published_sdk_works_here() {
    run(async {
        // The newest of all tracks are asked for: nobody else publishes any here.
        let net = &Network::start(&[]);
        let plyr = Plyr::up_with(net, &[("PLYR_WEB_ORIGINS", APP)]).await;
        let (artist, fan) = (Account::create(net, "sdkartist").await, Account::create(net, "sdkfan").await);
        let blob = artist.upload("audio/wav", pds::wav(523, 1)).await;
        let (title, album, tag, name) = ("quartz meridian", "Basalt", "sdk tag", "obsidian evening");
        let mut record = pds::track(title, &blob);
        record["tags"] = json!([tag]);
        record["album"] = json!(album);
        let track = artist.create_record("fm.plyr.track", record).await;
        fan.like(&track).await;
        let items = json!([{"subject": {"uri": track.0, "cid": track.1}}]);
        let playlist = json!({"listType": "playlist", "name": name, "items": items, "createdAt": now()});
        fan.create_record("fm.plyr.list", playlist).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        // Its sound is copied, its names are found, the chart of the hour is made.
        eventually("all of it", || async {
            let found = plyr.query("fm.plyr.search.query", &[("q", name)]).await;
            let top = plyr.get("/tracks/top").await.text().await.expect("text");
            let who = plyr.query("fm.plyr.search.query", &[("q", &artist.handle)]).await;
            let sound = plyr.track(&track.0).await.is_some_and(|view| view["audio"].is_string());
            let ready = [&found, &who].map(|found| found["results"][0].is_object());
            same((ready, top.contains(&track.0), sound), ([true; 2], true, true))
        })
        .await;
        let here = Person::with_bearer(&plyr, &fan, APP).await;
        let file = plyr.data.path().join("program.wav");
        std::fs::write(&file, pds::wav(659, 1)).expect("written");
        let world = json!({
            "url": plyr.url, "token": here.session(), "track": track.0, "title": title, "album": album, "slug": "basalt",
            "tag": tag, "playlist": name, "file": file,
            "artist": {"did": artist.did, "handle": artist.handle}, "fan": {"did": fan.did, "handle": fan.handle},
        });
        let mut child = Command::new(checkout().join("tests/sdk/.venv/bin/python"))
            .arg(checkout().join("tests/sdk/check.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Python, by `make setup`");
        let told = serde_json::to_vec(&world).expect("JSON");
        child.stdin.take().expect("a pipe").write_all(&told).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}
