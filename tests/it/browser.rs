//! The page, in a real Chromium.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

use crate::world::{Account, Plyr, checkout, eventually, network::Network, network::node, pds, run, same};

async fn line(lines: &mut Lines<BufReader<ChildStdout>>) -> Value {
    let line = lines.next_line().await.expect("text").expect("the browser script ended early");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
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
        let mut browser = Command::new(node())
            .arg(checkout().join("testnet/browser.mjs"))
            .args([&plyr.url, &track.0, "1"])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node runs");
        let mut lines = BufReader::new(browser.stdout.take().expect("piped")).lines();
        assert_eq!(line(&mut lines).await["ready"], true);
        // What happens on the network now comes to the open page by itself.
        fan.like(&track).await;
        let saw = line(&mut lines).await;
        assert_eq!(saw["titles"], serde_json::json!(["the next one", "a song to see"]), "{saw}");
        assert_eq!((&saw["played"], &saw["seeked"]), (&Value::Bool(true), &Value::Bool(true)), "{saw}");
        assert!(saw["likes"].as_str().is_some_and(|likes| likes.starts_with('1')), "{saw}");
        assert_eq!(saw["errors"], serde_json::json!([]), "{saw}");
        assert!(browser.wait().await.expect("it ends").success());
    });
}
