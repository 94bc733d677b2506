//! Hosts die; others go on.

use super::bridge::Bridge;
use super::{await_proven, await_same_rows, jetstream, live, plyr_on, upstream};
use crate::world::network::Network;
use crate::world::{Account, Plyr, run};

/// Three hosts tell the same; one after the other falls silent, and nobody can tell from the rows.
#[test]
fn of_several_hosts_any_may_die() {
    run(async {
        let net = Network::start(&[]);
        let (one, other) = (jetstream().await, jetstream().await);
        let bridge = Bridge::true_to(&net, &[&one, &other]);
        let mut people = Vec::new();
        for _ in 0..3 {
            people.push(Account::create(&net, "someone").await);
        }
        let track = people[0].create_track("everywhere").await;
        let commits = Plyr::up(&net).await;
        let plyr = plyr_on(&net, &[upstream(2, &one), upstream(1, &other)]).await;
        live(&net, &people, &track).await;
        drop(one);
        live(&net, &people, &track).await;
        await_same_rows(&plyr, &commits).await;
        await_proven(&plyr).await;
        assert_eq!(plyr.db.number("select sum(divergences)::bigint from source").await, 0);
        drop(bridge);
    });
}

/// A plyr is moved from a dead host to another, whose numbers mean something else.
#[test]
fn a_dead_host_is_exchanged_without_loss() {
    run(async {
        let net = Network::start(&[]);
        let one = jetstream().await;
        let bridge = Bridge::true_to(&net, &[&one]);
        let (artist, fan) = (Account::create(&net, "artist").await, Account::create(&net, "fan").await);
        let track = artist.create_track("moved").await;
        let like = fan.like(&track).await;
        let mut plyr = plyr_on(&net, &[upstream(2, &one)]).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        drop((bridge, one));
        // Said while nobody heard.
        fan.delete_record(&like.0).await;
        live(&net, &[artist, fan], &track).await;
        assert!(plyr.terminate().await.success());
        let other = jetstream().await;
        other.skip(1000);
        let _bridge = Bridge::true_to(&net, &[&other]);
        plyr.set("PLYR_UPSTREAMS", &upstream(1, &other));
        plyr.start().await;
        let commits = Plyr::up(&net).await;
        await_same_rows(&plyr, &commits).await;
        plyr.set("PLYR_UPSTREAMS", &net.upstream());
        assert!(plyr.terminate().await.success());
        plyr.start().await;
        await_same_rows(&plyr, &commits).await;
        await_proven(&plyr).await;
    });
}
