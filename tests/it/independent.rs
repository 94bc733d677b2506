//! Another consumer, not of our making, reads the same stream: do we agree?

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::oddities;
use crate::world::{Account, Plyr, checkout, eventually, network::Network, network::node, pds, run, same};

#[test]
fn an_independent_consumer_agrees() {
    run(async {
        let net = Network::start(&[]);
        let plyr = Plyr::up(&net).await;
        let mut people = Vec::new();
        for _ in 0..4 {
            people.push(Account::create(&net, "someone").await);
        }
        let track = people[0].create_track("first").await;
        for person in &people {
            let like = person.like(&track).await;
            let comment = person.create_record("fm.plyr.comment", pds::comment(&track, "a", 1)).await;
            let rkey = comment.0.rsplit('/').next().expect("a key");
            person.put_record("fm.plyr.comment", rkey, pds::comment(&track, "b", 2)).await;
            person.like(&track).await;
            person.delete_record(&like.0).await;
        }
        oddities::write_all(&people[1]).await;
        people[2].deactivate().await;
        people[2].activate().await;
        // Whoever has seen this has seen all.
        let marker = people[3].create_record("fm.plyr.comment", pds::comment(&track, "the end", 3)).await;
        plyr.await_counts(&track.0, Some([4, 5, 0])).await;
        let theirs = consume(&net, &marker.0).await;
        assert!(theirs.len() > 10, "{theirs:?}");
        eventually("agreement", || async { same(ours(&plyr).await, theirs.clone()) }).await;
    });
}

/// Every live record of indexed collections as `@atproto/sync` sees it.
async fn consume(net: &Network, until: &str) -> BTreeMap<String, String> {
    let mut command = Command::new(node());
    command.arg(checkout().join("testnet/consume.mjs")).args([
        "--pds",
        &net.pds,
        "--plc",
        &net.plc,
        "--until-uri",
        until,
    ]);
    let output =
        tokio::task::spawn_blocking(move || command.output()).await.expect("it ends").expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let all: BTreeMap<String, String> = serde_json::from_value(found).expect("uri to cid");
    all.into_iter()
        .filter(|(uri, _)| uri.contains("/fm.") || uri.contains("/app.bsky.actor.profile/"))
        .collect()
}

async fn ours(plyr: &Plyr) -> BTreeMap<String, String> {
    let rows: Vec<(String, String)> = sqlx::query_as("select uri, cid from record where cid is not null")
        .fetch_all(&plyr.db.pool)
        .await
        .expect("rows");
    rows.into_iter().collect()
}

#[test]
fn old_and_new_did_documents_are_both_read() {
    run(async {
        let net = Network::start(&[("DID_DOC_FORM", "legacy")]);
        let plyr = Plyr::up(&net).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("old keys").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        assert_eq!(plyr.db.texts("select kind from problem").await, Vec::<String>::new());
    });
}
