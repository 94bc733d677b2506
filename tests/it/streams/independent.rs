//! A client not of our making reads the stand-in: is it a Jetstream?

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use serde_json::Value;
use sim::jetstream::{Jetstream, Options};

use super::bridge::Bridge;
use crate::oddities;
use crate::world::network::{Network, node};
use crate::world::{Account, checkout, pds, run};

#[test]
fn an_independent_client_reads_the_stand_in() {
    run(async {
        let net = Network::start(&[]);
        let jetstream = Arc::new(Jetstream::start(Options::default()).await.expect("it listens"));
        let _bridge = Bridge::true_to(&net, &[&jetstream]);
        let (artist, fan) = (Account::create(&net, "artist").await, Account::create(&net, "fan").await);
        let track = artist.create_track("heard by others").await;
        let (like, gone) = (fan.like(&track).await, fan.like(&track).await);
        fan.delete_record(&gone.0).await;
        fan.deactivate().await;
        fan.activate().await;
        oddities::write_all(&artist).await;
        let marker = fan.create_record("fm.plyr.comment", pds::comment(&track, "the end", 3)).await;
        let found = consume(&jetstream, "fm.plyr.*", &marker.0).await;
        let records: BTreeMap<String, String> =
            serde_json::from_value(found["records"].clone()).expect("uri to cid");
        assert_eq!(records.get(&track.0), Some(&track.1));
        assert_eq!(records.get(&like.0), Some(&like.1));
        assert_eq!(records.get(&gone.0), None);
        assert!(records.keys().all(|uri| uri.contains("/fm.plyr.")), "{records:?}");
        assert_eq!(found["accounts"][&fan.did], true);
        assert_eq!(found["identities"][&artist.did], artist.handle.as_str());
    });
}

async fn consume(jetstream: &Jetstream, collections: &str, until: &str) -> Value {
    let mut command = Command::new(node());
    command.arg(checkout().join("testnet/jetstream-consume.mjs")).args([
        "--url",
        &format!("ws://{}", jetstream.authority()),
        "--collections",
        collections,
        "--until-uri",
        until,
    ]);
    let output =
        tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}
