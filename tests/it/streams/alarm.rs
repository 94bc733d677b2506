//! What a stream does not bring shows, and is made up for.

use std::sync::Arc;

use sim::jetstream::{Body, Commit, Event, Jetstream, Operation, Options};

use super::bridge::Bridge;
use super::{await_proven, await_same_rows, jetstream, plyr_on, upstream};
use crate::world::network::Network;
use crate::world::{Account, Plyr, eventually, pds, run, same};

/// The value of a metric, by the beginning of its line.
async fn metric(plyr: &Plyr, name: &str, source: &str) -> f64 {
    let response = pds::http().get(format!("{}/metrics", plyr.metrics_url)).send().await.expect("an answer");
    let text = response.text().await.expect("text");
    let line = format!("{name}{{source=\"{source}\"}} ");
    let value = text.lines().find_map(|found| found.strip_prefix(&line));
    value.unwrap_or_else(|| panic!("no {line}in\n{text}")).parse().expect("a number")
}

#[test]
fn a_source_that_goes_blind_is_called_so() {
    run(async {
        let net = Network::start(&[]);
        let jetstream = jetstream().await;
        let _bridge = Bridge::true_to(&net, &[&jetstream]);
        let seeing = net.upstream();
        let upstreams = format!("{seeing},{}", upstream(2, &jetstream));
        let settings = [("PLYR_UPSTREAMS", upstreams.as_str()), ("PLYR_BLIND_AFTER", "3s")];
        let plyr = Plyr::up_with(&net, &settings).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("seen by both").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        let blind = upstream(2, &jetstream);
        eventually("both to have brought it", || async {
            same(plyr.db.number("select count(*) from source where ours_at is not null").await, 2)
        })
        .await;
        assert_eq!(metric(&plyr, "plyr_source_blind", &blind).await, 0.0);
        jetstream.hide(&["fm.plyr."]);
        // Clocks may differ by a little: what is only that much newer is no reason for an alarm.
        eventually("what both brought to be of the past", || async {
            let past = "select count(*) from source where ours_at < now() - interval '3 seconds'";
            same(plyr.db.number(past).await, 2)
        })
        .await;
        let fan = Account::create(&net, "fan").await;
        fan.like(&track).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        eventually("the alarm", || async {
            let keys = plyr
                .db
                .texts(
                    "select key from source where blind_since is not null and compare_owed_at >= blind_since",
                )
                .await;
            same(keys, vec![blind.clone()])
        })
        .await;
        eventually("the metric", || async { same(metric(&plyr, "plyr_source_blind", &blind).await, 1.0) })
            .await;
        assert_eq!(metric(&plyr, "plyr_source_connected", &blind).await, 1.0);
        assert_eq!(metric(&plyr, "plyr_source_blind", &seeing).await, 0.0);
        jetstream.hide(&[]);
        fan.like(&track).await;
        eventually("the end of the alarm", || async {
            same(plyr.db.number("select count(*) from source where blind_since is not null").await, 0)
        })
        .await;
        // While nothing comes, the lag grows.
        let before = metric(&plyr, "plyr_source_lag_seconds", &blind).await;
        eventually("the lag to grow", || async {
            let now = metric(&plyr, "plyr_source_lag_seconds", &blind).await;
            if now > before + 1.5 { Ok(()) } else { Err(format!("{before} to {now}")) }
        })
        .await;
    });
}

/// How a Jetstream may have lost what follows our cursor.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    /// It keeps events for a while only.
    Retention,
    /// It is another one, whose numbers mean something else.
    Instance,
    /// It never came so far.
    Future,
}

/// Loses events between two connections and waits until that shows.
async fn lose(dialect: u8, how: Loss) -> (Network, Plyr, String) {
    let net = Network::start(&[]);
    let mut one = jetstream().await;
    let bridge = Bridge::true_to(&net, &[&one]);
    let (artist, fan) = (Account::create(&net, "artist").await, Account::create(&net, "fan").await);
    let track = artist.create_track("kept").await;
    let like = fan.like(&track).await;
    let mut plyr = plyr_on(&net, &[upstream(dialect, &one)]).await;
    plyr.await_counts(&track.0, Some([1, 0, 0])).await;
    await_proven(&plyr).await;
    assert!(plyr.terminate().await.success());
    plyr.db.run("update source set compare_owed_at = 'epoch'").await;
    // Told to nobody: a like taken back, a comment.
    drop(bridge);
    fan.delete_record(&like.0).await;
    fan.create_record("fm.plyr.comment", pds::comment(&track, "unheard", 1)).await;
    match how {
        Loss::Retention => {
            one.skip(5);
            one.forget_before(one.next_seq());
        }
        Loss::Instance => {
            one.stop();
            one = succeed(&one).await;
        }
        Loss::Future => {
            plyr.db.run("update source set cursor = 900000000").await;
        }
    }
    let late = Account::create(&net, "late").await;
    plyr.start().await;
    // The next event is what shows it.
    let only = late.did.clone();
    let bridge =
        Bridge::lying(&net, &[&one], move |event| if event.did == only { vec![event] } else { Vec::new() });
    late.like(&track).await;
    eventually(&format!("{dialect}, {how:?}: a gap"), || async {
        let owed =
            plyr.db.number("select count(*) from source where gaps > 0 and compare_owed_at > 'epoch'").await;
        if owed > 0 { Ok(()) } else { Err(plyr.read_log()) }
    })
    .await;
    drop(bridge);
    (net, plyr, track.0)
}

/// Another Jetstream at the same address, to which other things happened under the same numbers.
async fn succeed(one: &Jetstream) -> Arc<Jetstream> {
    let options = Options { listen: one.authority().parse().expect("an address"), ..Options::default() };
    let started = eventually("the address to be free", || async {
        Jetstream::start(options.clone()).await.map_err(|error| error.to_string())
    });
    let other = Arc::new(started.await);
    for number in 0..100 {
        let rev = "3lr3xwyj5y22c".to_owned();
        let (collection, rkey) = ("app.bsky.feed.like".to_owned(), number.to_string());
        let operation = Operation::Delete;
        let gone =
            Commit { rev, operation, collection, rkey, cid: None, record: None, is_replacement: false };
        let time_us = chrono::Utc::now().timestamp_micros();
        other.push(Event {
            did: "did:plc:ewvi7nxzyoun6zhxrhs64oiz".into(),
            time_us,
            body: Body::Commit(gone),
        });
    }
    other
}

#[test]
fn each_kind_of_loss_is_noticed() {
    run(async {
        lose(2, Loss::Instance).await;
        lose(2, Loss::Future).await;
    });
}

#[test]
fn what_the_newer_dialect_lost_is_read_again() {
    run(async {
        let (net, plyr, track) = lose(2, Loss::Retention).await;
        plyr.await_counts(&track, Some([1, 1, 0])).await;
        await_same_rows(&plyr, &Plyr::up(&net).await).await;
    });
}

#[test]
fn what_the_older_dialect_lost_is_read_again() {
    run(async {
        let (net, plyr, track) = lose(1, Loss::Retention).await;
        plyr.await_counts(&track, Some([1, 1, 0])).await;
        await_same_rows(&plyr, &Plyr::up(&net).await).await;
    });
}
