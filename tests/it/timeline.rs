//! Whom people follow on Bluesky who sign in here, and what comes of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::pds::now;
use crate::world::{Account, Person, Plyr, eventually, network, run, same};

fn follow(whom: &Account) -> Value {
    json!({"subject": whom.did, "createdAt": now()})
}

async fn titles(person: &Person) -> Vec<String> {
    let page = person.query("fm.plyr.feed.getTimeline", &[("limit", "1")]).await;
    let mut titles = Vec::new();
    let mut page = page;
    loop {
        for track in page["tracks"].as_array().expect("a list") {
            titles.push(track["record"]["title"].as_str().expect("a title").to_owned());
        }
        let Some(cursor) = page["cursor"].as_str().map(str::to_owned) else { return titles };
        page = person.query("fm.plyr.feed.getTimeline", &[("limit", "1"), ("cursor", &cursor)]).await;
    }
}

#[test]
fn a_timeline_is_of_whom_one_follows_and_likes() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (early, late, liked, stranger, fan) = (
            Account::create(net, "early").await,
            Account::create(net, "late").await,
            Account::create(net, "liked").await,
            Account::create(net, "stranger").await,
            Account::create(net, "follower").await,
        );
        // Before anybody signs in, whom they follow is kept of nobody.
        let (before, _) = fan.create_record("app.bsky.graph.follow", follow(&early)).await;
        early.create_track("by early").await;
        late.create_track("by late").await;
        stranger.create_track("by a stranger").await;
        let track = liked.create_track("by liked").await;
        fan.like(&track).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        assert_eq!(plyr.db.number("select count(*) from follow").await, 0);
        let (status, _) = plyr.xrpc("fm.plyr.feed.getTimeline", &[]).await;
        assert_eq!(status, 401, "it is nobody's");

        let person = Person::sign_in(&plyr, &fan).await;
        let await_titles = async |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|title| (*title).to_owned()).collect();
            eventually("the timeline", || async { same(titles(&person).await, wanted.clone()) }).await;
        };
        await_titles(&["by liked", "by early"]).await;
        let (since, _) = fan.create_record("app.bsky.graph.follow", follow(&late)).await;
        await_titles(&["by liked", "by late", "by early"]).await;
        let network = person.get("/discover/network").await.json();
        let dids: Vec<&Value> =
            network.as_array().expect("a list").iter().map(|artist| &artist["did"]).collect();
        assert_eq!(
            dids,
            [&json!(early.did), &json!(late.did)],
            "whom they have followed longest comes first"
        );
        assert_eq!(network[0]["track_count"], 1);
        fan.delete_record(&before).await;
        await_titles(&["by liked", "by late"]).await;
        // A rebuild finds the same.
        let rebuilt = plyr.command(&["rebuild"]).output().expect("it runs");
        assert!(rebuilt.status.success(), "{rebuilt:?}");
        await_titles(&["by liked", "by late"]).await;
        fan.delete_record(&since).await;
        await_titles(&["by liked"]).await;
    });
}

#[test]
fn records_are_read_as_they_were_signed() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "signed").await;
        let mut made = Vec::new();
        for number in 0..5 {
            made.push(artist.create_track(&format!("signed {number}")).await);
        }
        plyr.await_counts(&made[4].0, Some([0, 0, 0])).await;
        eventually("who it is", || async {
            let (_, found) =
                plyr.xrpc("com.atproto.identity.resolveHandle", &[("handle", &artist.handle)]).await;
            same(found["did"].as_str(), Some(artist.did.as_str()))
        })
        .await;
        let rkey = |uri: &str| uri.rsplit('/').next().expect("a key").to_owned();
        let (repo, collection) = (("repo", artist.handle.as_str()), ("collection", "fm.plyr.track"));
        for (uri, cid) in &made {
            let rkey = rkey(uri);
            let asked = [repo, collection, ("rkey", rkey.as_str())];
            let held = plyr.query("com.atproto.repo.getRecord", &asked).await;
            assert_eq!(held["cid"], cid.as_str());
            assert_eq!(held["value"], artist.record(uri).await, "as their PDS has it");
            let asked = [repo, collection, ("rkey", rkey.as_str()), ("cid", made[0].1.as_str())];
            let (status, _) = plyr.xrpc("com.atproto.repo.getRecord", &asked).await;
            assert_eq!(status == 200, *cid == made[0].1);
        }
        artist.delete_record(&made[2].0).await;
        eventually("it is gone", || async { same(plyr.track(&made[2].0).await, None) }).await;
        for reverse in ["false", "true"] {
            let (mut found, mut cursor) = (Vec::new(), None::<String>);
            loop {
                let mut asked = vec![repo, collection, ("limit", "2"), ("reverse", reverse)];
                asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
                let page = plyr.query("com.atproto.repo.listRecords", &asked).await;
                found.extend(
                    page["records"].as_array().expect("a list").iter().map(|record| record["uri"].clone()),
                );
                cursor = page["cursor"].as_str().map(str::to_owned);
                if cursor.is_none() {
                    break;
                }
            }
            let mut wanted: Vec<&String> =
                made.iter().map(|(uri, _)| uri).filter(|uri| **uri != made[2].0).collect();
            wanted.sort();
            if reverse == "false" {
                wanted.reverse();
            }
            assert_eq!(
                found,
                wanted.into_iter().map(|uri| json!(uri)).collect::<Vec<Value>>(),
                "reverse {reverse}"
            );
        }
        let (status, error) =
            plyr.xrpc("com.atproto.repo.listRecords", &[repo, ("collection", "app.bsky.feed.like")]).await;
        assert_eq!((status, &error["error"]), (400, &json!("InvalidRequest")));

        // Several people at once, in the order asked for.
        let other = Account::create(net, "signedtoo").await;
        other.create_track("too").await;
        eventually("both", || async {
            let asked = [
                ("actors", other.did.as_str()),
                ("actors", "nobody.test"),
                ("actors", artist.handle.as_str()),
            ];
            let found = plyr.query("fm.plyr.actor.getProfiles", &asked).await;
            let found: Vec<(String, i64)> = found["profiles"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|profile| {
                    (
                        profile["did"].as_str().expect("text").to_owned(),
                        profile["trackCount"].as_i64().expect("a number"),
                    )
                })
                .collect();
            same(found, vec![(other.did.clone(), 1), (artist.did.clone(), 4)])
        })
        .await;
        let fan = Account::create(net, "signedfan").await;
        fan.like(&made[1]).await;
        plyr.await_counts(&made[1].0, Some([1, 0, 0])).await;
        let numbers = plyr.query("fm.plyr.actor.getProfileAnalytics", &[("actor", &artist.did)]).await;
        assert_eq!(
            (&numbers["trackCount"], &numbers["totalLikes"], &numbers["totalPlays"]),
            (&json!(4), &json!(1), &json!(0))
        );
        assert_eq!(numbers["topLiked"]["uri"], made[1].0.as_str());
        assert!(numbers.get("topPlayed").is_none());
    });
}

/// JSON may be six times as long as what was signed: a page ends where it is long enough, and none is lost.
#[test]
fn records_that_are_long_as_json_come_in_pages() {
    run(async {
        const COUNT: usize = 45;
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "longwinded").await;
        for number in 0..COUNT {
            let record = json!({
                "listType": "playlist",
                "name": format!("long {number}"),
                "items": [],
                "filler": "\u{1}".repeat(20_000),
                "createdAt": now(),
            });
            artist.create_record("fm.plyr.list", record).await;
        }
        let held = "select count(*) from record where octet_length(value) between 20000 and 21000";
        eventually("all of them", || async { same(plyr.db.number(held).await, COUNT as i64) }).await;
        let (mut found, mut pages, mut cursor) = (BTreeSet::new(), 0, None::<String>);
        loop {
            let mut asked =
                vec![("repo", artist.did.as_str()), ("collection", "fm.plyr.list"), ("limit", "100")];
            asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let page = plyr.query("com.atproto.repo.listRecords", &asked).await;
            let records = page["records"].as_array().expect("a list");
            found.extend(records.iter().map(|record| record["value"]["name"].to_string()));
            pages += 1;
            cursor = page["cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((found.len(), pages), (COUNT, 3));
    });
}
