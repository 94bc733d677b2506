//! What a stream does not bring shows, and is made up for.

use std::sync::Arc;

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

/// What is lost between two connections, in each of the ways in which a Jetstream shows it.
#[test]
fn what_was_lost_meanwhile_is_compared_and_read_again() {
    run(async {
        for (dialect, how) in [(2, "retention"), (2, "another instance"), (1, "retention"), (2, "future")] {
            let net = Network::start(&[]);
            let one = jetstream().await;
            let bridge = Bridge::true_to(&net, &[&one]);
            let (artist, fan) = (Account::create(&net, "artist").await, Account::create(&net, "fan").await);
            let track = artist.create_track("kept").await;
            let like = fan.like(&track).await;
            let mut plyr = plyr_on(&net, &[upstream(dialect, &one)]).await;
            plyr.await_counts(&track.0, Some([1, 0, 0])).await;
            await_proven(&plyr).await;
            assert!(plyr.terminate().await.success());
            let owed_at = plyr
                .db
                .number("select extract(epoch from max(compare_owed_at))::bigint * 1000 from source")
                .await;
            // Told to nobody: a like taken back, a comment.
            drop(bridge);
            fan.delete_record(&like.0).await;
            fan.create_record("fm.plyr.comment", pds::comment(&track, "unheard", 1)).await;
            match how {
                "retention" => {
                    one.skip(5);
                    one.forget_before(one.next_seq());
                }
                "another instance" => one.skip(1_000_000),
                _ => {
                    plyr.db.run("update source set cursor = 900000000").await;
                }
            }
            let told = Arc::clone(&one);
            let late = Account::create(&net, "late").await;
            plyr.start().await;
            // The next event is what shows it.
            let _bridge = Bridge::lying(&net, &[&told], {
                let late = late.did.clone();
                move |event| if event.did == late { vec![event] } else { Vec::new() }
            });
            late.like(&track).await;
            eventually(&format!("{dialect}, {how}: a gap"), || async {
                let gaps = plyr.db.number("select gaps from source").await;
                if gaps > 0 { Ok(()) } else { Err(plyr.read_log()) }
            })
            .await;
            let now = plyr
                .db
                .number("select extract(epoch from max(compare_owed_at))::bigint * 1000 from source")
                .await;
            assert!(now >= owed_at, "{dialect}, {how}");
            plyr.await_counts(&track.0, Some([1, 1, 0])).await;
            let commits = Plyr::up(&net).await;
            await_same_rows(&plyr, &commits).await;
        }
    });
}
