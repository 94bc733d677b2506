//! Several ways to hear of the same network: both dialects of Jetstream beside subscribeRepos.

mod alarm;
mod bridge;
mod cbor;
mod failover;
mod independent;
mod liar;

use std::collections::BTreeMap;
use std::sync::Arc;

use sim::jetstream::{Jetstream, Options};

use crate::oddities;
use crate::world::network::Network;
use crate::world::{Account, Plyr, eventually, pds, run, same};
use bridge::Bridge;

/// A Jetstream to which nothing has happened yet.
async fn jetstream() -> Arc<Jetstream> {
    Arc::new(Jetstream::start(Options::default()).await.expect("it listens"))
}

/// As `PLYR_UPSTREAMS` takes it.
fn upstream(dialect: u8, jetstream: &Jetstream) -> String {
    format!("jetstream{dialect}+ws://{}", jetstream.authority())
}

/// A plyr on these upstreams and no other.
async fn plyr_on(net: &Network, upstreams: &[String]) -> Plyr {
    Plyr::up_with(net, &[("PLYR_UPSTREAMS", &upstreams.join(",")), ("PLYR_LOG", "info,indexer=debug")]).await
}

/// Every record that is held: its CID, and what is wrong with it.
async fn rows(plyr: &Plyr) -> BTreeMap<String, (String, Option<String>)> {
    let rows: Vec<(String, String, Option<String>)> =
        sqlx::query_as("select uri, cid, problem from record where cid is not null")
            .fetch_all(&plyr.db.pool)
            .await
            .expect("rows");
    rows.into_iter().map(|(uri, cid, problem)| (uri, (cid, problem))).collect()
}

async fn await_same_rows(one: &Plyr, other: &Plyr) {
    eventually("the same rows", || async { same(rows(one).await, rows(other).await) }).await;
}

/// Nothing is left to be believed.
async fn await_proven(plyr: &Plyr) {
    eventually("all to be proven", || async {
        // Of an account that is switched off, its PDS shows nothing.
        let unproven = plyr
            .db
            .texts("select uri from record join actor using (did) where not proven and status = 'active'")
            .await;
        same(unproven, Vec::new())
    })
    .await;
}

/// People who write, edit and take back; the last record is one that has not been seen before.
async fn live(net: &Network, people: &[Account], track: &(String, String)) -> (String, String) {
    for person in people {
        let like = person.like(track).await;
        let comment = person.create_record("fm.plyr.comment", pds::comment(track, "a", 1)).await;
        let rkey = comment.0.rsplit('/').next().expect("a key");
        person.put_record("fm.plyr.comment", rkey, pds::comment(track, "b", 2)).await;
        person.like(track).await;
        person.delete_record(&like.0).await;
    }
    Account::create(net, "late").await.like(track).await
}

#[test]
fn both_dialects_bring_the_rows_that_commits_bring() {
    run(async {
        let net = Network::start(&[]);
        let jetstream = jetstream().await;
        let _bridge = Bridge::true_to(&net, &[&jetstream]);
        let mut people = Vec::new();
        for _ in 0..3 {
            people.push(Account::create(&net, "someone").await);
        }
        let track = people[0].create_track("first").await;
        live(&net, &people, &track).await;
        let commits = Plyr::up(&net).await;
        let modern = plyr_on(&net, &[upstream(2, &jetstream)]).await;
        let legacy = plyr_on(&net, &[upstream(1, &jetstream)]).await;
        live(&net, &people, &track).await;
        oddities::write_all(&people[1]).await;
        people[2].deactivate().await;
        let last = live(&net, &people[..2], &track).await;
        eventually("the last like", || async {
            rows(&commits).await.contains_key(&last.0).then_some(()).ok_or(String::new())
        })
        .await;
        for plyr in [&modern, &legacy] {
            await_same_rows(plyr, &commits).await;
            eventually("the same counts", || async {
                same(plyr.counts(&track.0).await, commits.counts(&track.0).await)
            })
            .await;
            await_proven(plyr).await;
            let source = plyr
                .db
                .number("select count(*) from source where cursor > 0 and connected and ours_at is not null")
                .await;
            assert_eq!(source, 1);
            assert_eq!(plyr.db.number("select sum(divergences + gaps)::bigint from source").await, 0);
        }
        // Stopped and started, they go on where they were.
        for mut plyr in [modern, legacy] {
            assert!(plyr.terminate().await.success(), "{}", plyr.read_log());
            live(&net, &people[..1], &track).await;
            plyr.start().await;
            await_same_rows(&plyr, &commits).await;
            assert_eq!(plyr.db.number("select sum(divergences + gaps)::bigint from source").await, 0);
        }
    });
}

/// Messages come compressed, on a dictionary that the host may change.
#[test]
fn a_changed_dictionary_is_fetched_again() {
    run(async {
        let net = Network::start(&[]);
        let jetstream = jetstream().await;
        let _bridge = Bridge::true_to(&net, &[&jetstream]);
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("compressed").await;
        let plyr = plyr_on(&net, &[upstream(2, &jetstream)]).await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        assert!(plyr.read_log().contains("compressed=true"), "{}", plyr.read_log());
        jetstream.change_dictionary();
        jetstream.fail("ConsumerTooSlow", "reading below the floor rate");
        Account::create(&net, "fan").await.like(&track).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        let log = plyr.read_log();
        assert!(log.contains("ConsumerTooSlow: reading below the floor rate"), "{log}");
        assert_eq!(log.matches("compressed=true").count(), 2, "{log}");
        assert_eq!(plyr.db.number("select gaps from source").await, 0);
    });
}
