//! Every list, page by page, while the world goes on: what is there before and after and was not changed is told exactly once.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Picked, World, agree};
use crate::world::run;

/// A list: method, parameters, the answer's field, and how it is ordered.
type Way<'a> = (&'static str, Vec<(&'a str, &'a str)>, &'a str, Order);

/// What decides where something stands.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// Its own moment or name: nothing that happens to others moves it.
    Own,
    /// A number, which the answer tells: what has another one by now may have moved.
    Number,
    /// Its place among all: where something comes in before it, it moves. Looked through while nothing happens.
    Place,
}

/// Of what happens within a day there is nothing in this world, and hardly anybody has a profile of that kind.
const FEW: [&str; 2] = ["app.bsky.feed.getFeedSkeleton", "fm.teal.actor.searchActors"];

#[test]
fn every_list_is_told_whole_whatever_happens_meanwhile() {
    run(async {
        let world = World::settled().await;
        let picked = Picked::from(&world.plyr).await;
        let paged = indexer::lexicon::methods().filter(|nsid| {
            let lexicon = indexer::lexicon::source(nsid).expect("a lexicon").json;
            lexicon["defs"]["main"]["parameters"]["properties"]["cursor"].is_object()
        });
        for nsid in paged {
            assert!(ways(&picked).iter().any(|(method, ..)| *method == nsid), "{nsid} has pages, too");
        }
        let mut told = BTreeMap::new();
        for at in 0..ways(&picked).len() {
            for limit in ["1", "7"] {
                agree(&world.net, &world.plyr).await;
                // What was looked at before may be gone by now.
                let picked = Picked::from(&world.plyr).await;
                let way = &ways(&picked)[at];
                let goes_on = way.3 != Order::Place && limit == "7";
                let before = walk(&world, way, "25", false)
                    .await
                    .unwrap_or_else(|| panic!("{} {:?}: it is there", way.0, way.1));
                let found = walk(&world, way, limit, goes_on).await;
                let after = walk(&world, way, "25", false).await;
                let (Some(found), Some(after)) = (found, after) else { continue };
                for (key, item) in &before {
                    let stands = after.iter().find(|(other, _)| other == key);
                    let stood = stands.is_some_and(|(_, now)| is_unmoved(way.3, item, now));
                    let times = found.iter().filter(|(other, _)| other == key).count();
                    // Two releases may be called the same.
                    let wanted = before.iter().filter(|(other, _)| other == key).count();
                    assert!(!stood || times == wanted, "{} by {limit}: {times} times {key}", way.0);
                }
                if !goes_on {
                    let keys = |items: &[(String, Value)]| {
                        items.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>()
                    };
                    assert_eq!(keys(&found), keys(&before), "{} by {limit}", way.0);
                }
                told.insert(way.0, before.len());
            }
        }
        println!("{told:?}");
        let few: Vec<&&str> = told
            .iter()
            .filter(|(method, count)| **count < 2 && !FEW.contains(*method))
            .map(|(method, _)| method)
            .collect();
        assert!(few.is_empty(), "too few to have pages: {few:?}");
    });
}

fn ways(at: &Picked) -> Vec<Way<'_>> {
    let of = |key, value| vec![(key, value)];
    let all = || vec![("period", "all")];
    let mut user = of("actor", at.listener.as_str());
    user.push(("period", "all"));
    let source = ("source", "fm.plyr.like:subject.uri");
    vec![
        ("fm.plyr.feed.getLatest", vec![], "tracks", Order::Own),
        ("fm.plyr.feed.getActorTracks", of("actor", &at.artist), "tracks", Order::Own),
        ("fm.plyr.feed.getActorLikes", of("actor", &at.fan), "tracks", Order::Own),
        ("fm.plyr.feed.getTagTracks", of("tag", &at.tag), "tracks", Order::Own),
        ("fm.plyr.feed.getTimeline", vec![], "tracks", Order::Own),
        ("fm.plyr.feed.getLikes", of("uri", &at.liked), "likes", Order::Own),
        ("fm.plyr.feed.getComments", of("uri", &at.commented), "comments", Order::Own),
        ("fm.plyr.feed.getTrack", of("uri", &at.commented), "comments", Order::Own),
        ("fm.plyr.feed.getActivity", vec![], "events", Order::Own),
        ("fm.plyr.feed.getTags", vec![], "tags", Order::Number),
        ("fm.plyr.feed.getTop", all(), "entries", Order::Number),
        ("fm.plyr.list.getLists", of("actor", &at.owner), "lists", Order::Own),
        ("fm.plyr.list.getList", of("uri", &at.list), "items", Order::Own),
        (
            "fm.plyr.list.getAlbum",
            vec![("actor", at.album().0), ("slug", at.album().1)],
            "tracks",
            Order::Own,
        ),
        ("fm.teal.feed.getActorFeed", of("authorDID", &at.listener), "plays", Order::Own),
        (
            "com.atproto.repo.listRecords",
            vec![("repo", &at.artist), ("collection", "fm.plyr.track")],
            "records",
            Order::Own,
        ),
        ("blue.microcosm.links.getBacklinks", vec![("subject", &at.liked), source], "records", Order::Own),
        (
            "blue.microcosm.links.getBacklinkDids",
            vec![("subject", &at.liked), source],
            "linking_dids",
            Order::Own,
        ),
        ("fm.teal.stats.getTopArtists", all(), "artists", Order::Number),
        ("fm.teal.stats.getTopReleases", all(), "releases", Order::Number),
        ("fm.teal.stats.getUserTopArtists", user.clone(), "artists", Order::Number),
        ("fm.teal.stats.getUserTopRecordings", user.clone(), "recordings", Order::Number),
        ("fm.teal.stats.getUserTopReleases", user, "releases", Order::Number),
        ("fm.plyr.search.searchTracks", of("q", "am"), "tracks", Order::Place),
        ("fm.plyr.actor.searchActors", of("q", "a"), "actors", Order::Place),
        ("fm.teal.actor.searchActors", of("q", "a"), "actors", Order::Place),
        (
            "app.bsky.feed.getFeedSkeleton",
            of("feed", "at://did:web:plyr.example/app.bsky.feed.generator/plyr-top"),
            "feed",
            Order::Place,
        ),
    ]
}

/// All of a list, unless what it is about is gone.
async fn walk(
    world: &World,
    (method, query, name, _): &Way<'_>,
    limit: &str,
    goes_on: bool,
) -> Option<Vec<(String, Value)>> {
    let (mut all, mut cursor) = (Vec::new(), None::<String>);
    for page in 0.. {
        assert!(page < 3_000, "{method} has no end");
        let mut query = query.clone();
        query.push(("limit", limit));
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let (status, answer) = match *method {
            "fm.plyr.feed.getTimeline" => world.ask_as_fan(method, &query).await,
            method => world.plyr.xrpc(method, &query).await,
        };
        // Whoever it is about may have gone meanwhile.
        if status == 400 && answer["error"] == "NotFound" {
            return None;
        }
        assert_eq!(status, 200, "{method} {query:?}: {answer}");
        let items = answer[*name].as_array().expect("a list");
        all.extend(items.iter().map(|item| (key(item), item.clone())));
        match answer["cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Some(all),
        }
        if goes_on && page < 12 {
            world.go_on(5).await;
        }
    }
    unreachable!("it ends")
}

/// What tells it from the others of its list.
fn key(item: &Value) -> String {
    if let Some(text) = item.as_str() {
        return text.to_owned();
    }
    let named = [
        &item["uri"],
        &item["subject"]["uri"],
        &item["track"]["uri"],
        &item["tag"],
        &item["did"],
        &item["post"],
    ];
    let named = named.iter().find_map(|name| name.as_str()).map(str::to_owned);
    let by_parts = || {
        ["did", "collection", "rkey", "name", "artists", "mbid", "artist", "releaseName", "trackName"]
            .map(|part| item[part].to_string())
            .join(" ")
    };
    format!("{} {}", item["$type"].as_str().unwrap_or_default(), named.unwrap_or_else(by_parts))
}

/// Whether nothing moved it.
fn is_unmoved(order: Order, before: &Value, now: &Value) -> bool {
    match order {
        Order::Own | Order::Place => {
            ["cid", "createdAt", "sortAt"].iter().all(|field| before[*field] == now[*field])
        }
        Order::Number => before == now,
    }
}
