//! Every answer in one world, as it stands in `snapshots/`: what a client relies on changes only where somebody wrote that it does.
//!
//! `PLYR_SNAPSHOTS=write` writes them anew; then the difference is read, and committed.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{PUBLIC_URL, World};
use crate::world::{checkout, run};

/// A field whose values depend on when and in which order something was heard of.
const OF_THE_MOMENT: [&str; 10] =
    ["indexedAt", "asOf", "id", "rev", "seenRev", "track_id", "fetchedAt", "mbid", "updated", "indexed_at"];
/// Answers that tell of this process and this minute: of these the form is kept.
const FORM_ONLY: [&str; 3] =
    ["fm.plyr.sync.getStatus", "fm.plyr.sync.getRepoStatus", "fm.plyr.stats.getStats"];

/// Charts: equals stand in the order in which they were first heard of. All of a chart is asked for, and sorted.
const UNORDERED: [&str; 2] = ["fm.plyr.feed.getTop", "fm.teal.stats."];

/// What is asked for: a method of a lexicon, its parameters, and whether as the fan.
pub(super) type Ask<'a> = (&'a str, Vec<(&'a str, &'a str)>, bool);

#[test]
fn every_method_answers_as_it_did() {
    run(async {
        let world = World::settled().await;
        let asks = asks(&world);
        let asked: BTreeSet<&str> = asks.iter().map(|(method, ..)| *method).collect();
        let queries = indexer::lexicon::methods().filter(|nsid| {
            indexer::lexicon::source(nsid).expect("a lexicon").json["defs"]["main"]["type"] == "query"
        });
        let missing: Vec<&str> = queries.filter(|nsid| !asked.contains(nsid)).collect();
        assert!(missing.is_empty(), "not asked for: {missing:?}");
        let mut changed = Vec::new();
        let mut files: std::collections::BTreeMap<String, Vec<Value>> = Default::default();
        for (method, query, as_fan) in asks {
            let (status, mut answer) = match UNORDERED.iter().any(|chart| method.starts_with(chart)) {
                true => whole(&world, method, &query, as_fan).await,
                false => ask(&world, method, &query, as_fan).await,
            };
            steady(&world, &mut answer, FORM_ONLY.contains(&method));
            if UNORDERED.iter().any(|chart| method.starts_with(chart)) {
                sort(&mut answer);
            }
            let query: Map<String, Value> =
                query.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
            let told = json!({"query": query, "as": if as_fan { "the fan" } else { "nobody" }, "status": status, "answer": answer});
            files.entry(method.to_owned()).or_default().push(told);
        }
        for path in paths(&world) {
            let answer = world.plyr.get(&path).await;
            let status = answer.status().as_u16();
            let text = answer.text().await.expect("text");
            let mut answer: Value =
                if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") };
            steady(&world, &mut answer, path.starts_with("/config"));
            files
                .entry("http".to_owned())
                .or_default()
                .push(json!({"path": path, "status": status, "answer": answer}));
        }
        let folder = checkout().join("tests/it/fixed/snapshots");
        let writes = std::env::var("PLYR_SNAPSHOTS").is_ok_and(|word| word == "write");
        for (name, told) in files {
            let path: PathBuf = folder.join(format!("{name}.json"));
            let text = serde_json::to_string_pretty(&told).expect("JSON") + "\n";
            let held = std::fs::read_to_string(&path).unwrap_or_default();
            if writes {
                std::fs::write(&path, &text).expect("written");
            } else if held != text {
                let differing = held.lines().zip(text.lines()).find(|(held, told)| held != told);
                changed.push(format!("{name}: {differing:?}"));
            }
        }
        assert!(changed.is_empty(), "other answers than in {}:\n{}", folder.display(), changed.join("\n"));
    });
}

async fn ask(world: &World, method: &str, query: &[(&str, &str)], as_fan: bool) -> (u16, Value) {
    match as_fan {
        true => world.ask_as_fan(method, query).await,
        false => world.plyr.xrpc(method, query).await,
    }
}

/// All pages of it as one: which of several equals stands on which page is left to chance.
async fn whole(world: &World, method: &str, query: &[(&str, &str)], as_fan: bool) -> (u16, Value) {
    let (status, mut all) = ask(world, method, query, as_fan).await;
    while let Some(cursor) = all.as_object_mut().and_then(|fields| fields.remove("cursor")) {
        let cursor = cursor.as_str().expect("text");
        let (_, page) = ask(world, method, &[query, &[("cursor", cursor)]].concat(), as_fan).await;
        for (name, value) in page.as_object().expect("an object") {
            match (&mut all[name.as_str()], value) {
                (Value::Array(held), Value::Array(more)) => held.extend(more.iter().cloned()),
                (held, value) => *held = value.clone(),
            }
        }
    }
    (status, all)
}

pub(super) fn asks(world: &World) -> Vec<Ask<'_>> {
    let at = &world.picked;
    let (artist, fan, listener) = (at.artist.as_str(), at.fan.as_str(), at.listener.as_str());
    let (liked, commented, list) = (at.liked.as_str(), at.commented.as_str(), at.list.as_str());
    let play: Vec<&str> = at.play.split('/').collect();
    let track: Vec<&str> = liked.split('/').collect();
    let (three, all) = (("limit", "3"), ("limit", "25"));
    vec![
        ("app.bsky.feed.describeFeedGenerator", vec![], false),
        (
            "app.bsky.feed.getFeedSkeleton",
            vec![("feed", "at://did:web:plyr.example/app.bsky.feed.generator/plyr-top")],
            false,
        ),
        (
            "blue.microcosm.links.getBacklinks",
            vec![("subject", liked), ("source", "fm.plyr.like:subject.uri"), three],
            false,
        ),
        (
            "blue.microcosm.links.getBacklinksCount",
            vec![("subject", liked), ("source", "fm.plyr.like:subject.uri")],
            false,
        ),
        (
            "blue.microcosm.links.getBacklinkDids",
            vec![("subject", liked), ("source", "fm.plyr.like:subject.uri"), three],
            false,
        ),
        ("com.atproto.identity.resolveHandle", vec![("handle", &at.handle)], false),
        (
            "com.atproto.repo.getRecord",
            vec![("repo", track[2]), ("collection", track[3]), ("rkey", track[4])],
            false,
        ),
        (
            "com.atproto.repo.listRecords",
            vec![("repo", artist), ("collection", "fm.plyr.track"), three],
            false,
        ),
        ("fm.plyr.actor.getNowPlaying", vec![("actor", listener)], false),
        ("fm.plyr.actor.getProfile", vec![("actor", artist)], false),
        ("fm.plyr.actor.getProfile", vec![("actor", "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")], false),
        ("fm.plyr.actor.getProfiles", vec![("actors", artist), ("actors", fan)], false),
        ("fm.plyr.actor.getProfileAnalytics", vec![("actor", artist)], false),
        ("fm.plyr.actor.searchActors", vec![("q", "am"), three], false),
        ("fm.plyr.feed.getActivity", vec![("limit", "12")], false),
        ("fm.plyr.feed.getActorLikes", vec![("actor", fan), three], false),
        ("fm.plyr.feed.getActorTracks", vec![("actor", artist), three], false),
        ("fm.plyr.feed.getComments", vec![("uri", commented), three], false),
        ("fm.plyr.feed.getLatest", vec![three], false),
        ("fm.plyr.feed.getLatest", vec![("limit", "2")], true),
        ("fm.plyr.feed.getLatest", vec![("limit", "0")], false),
        ("fm.plyr.feed.getLikes", vec![("uri", liked), three], false),
        ("fm.plyr.feed.getTags", vec![three], false),
        ("fm.plyr.feed.getTagTracks", vec![("tag", &at.tag), three], false),
        ("fm.plyr.feed.getTimeline", vec![three], true),
        ("fm.plyr.feed.getTimeline", vec![three], false),
        ("fm.plyr.feed.getTop", vec![("period", "all"), all], false),
        ("fm.plyr.feed.getTop", vec![("period", "all"), ("of", "artists"), ("by", "likes"), all], false),
        ("fm.plyr.feed.getTop", vec![("period", "all"), ("of", "tags"), ("by", "listeners"), all], false),
        ("fm.plyr.feed.getTop", vec![("period", "all"), ("actor", fan), all], true),
        ("fm.plyr.feed.getTrack", vec![("uri", commented), ("limit", "2")], true),
        ("fm.plyr.feed.getTracks", vec![("uris", liked), ("uris", commented)], false),
        ("fm.plyr.list.getAlbum", vec![("actor", at.album().0), ("slug", at.album().1), three], false),
        ("fm.plyr.list.getList", vec![("uri", list), three], false),
        ("fm.plyr.list.getLists", vec![("actor", &at.owner), three], false),
        ("fm.plyr.search.query", vec![("q", "amber"), three], false),
        ("fm.plyr.search.query", vec![("q", "夜"), three], false),
        ("fm.plyr.search.query", vec![("q", "ambr niht"), three], false),
        ("fm.plyr.search.searchTracks", vec![("q", "night"), three], false),
        ("fm.plyr.stats.getStats", vec![], false),
        ("fm.plyr.sync.getRepoStatus", vec![("did", artist)], false),
        ("fm.plyr.sync.getStatus", vec![], false),
        ("fm.teal.actor.getProfile", vec![("actor", listener)], false),
        ("fm.teal.actor.getProfiles", vec![("actors", listener), ("actors", fan)], false),
        ("fm.teal.actor.getStatus", vec![("actor", listener)], false),
        ("fm.teal.actor.searchActors", vec![("q", "am"), three], false),
        ("fm.teal.feed.getActorFeed", vec![("authorDID", listener), three], false),
        ("fm.teal.feed.getPlay", vec![("authorDID", play[2]), ("rkey", play[4])], false),
        ("fm.teal.stats.getLatest", vec![three], false),
        ("fm.teal.stats.getRepoTopReleases", vec![("actor", listener), ("period", "all"), all], false),
        ("fm.teal.stats.getTopArtists", vec![("period", "all"), all], false),
        ("fm.teal.stats.getTopReleases", vec![("period", "all"), all], false),
        ("fm.teal.stats.getUserTopArtists", vec![("actor", listener), ("period", "all"), all], false),
        ("fm.teal.stats.getUserTopRecordings", vec![("actor", listener), ("period", "all"), all], false),
        ("fm.teal.stats.getUserTopReleases", vec![("actor", listener), ("period", "all"), all], false),
        (
            "parts.page.mention.search",
            vec![
                ("service", "at://did:web:plyr.example/parts.page.mention.service/plyr"),
                ("search", "amber"),
                three,
            ],
            false,
        ),
    ]
}

/// Reads of the HTTP API that can be named without a number.
pub(super) fn paths(world: &World) -> Vec<String> {
    let at = &world.picked;
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    vec![
        "/tracks/?limit=2".to_owned(),
        format!("/tracks/by-uri?uri={}", encoded(&at.liked)),
        "/tracks/tags?limit=3".to_owned(),
        format!("/tracks/tags/{}", encoded(&at.tag)),
        format!("/albums/{}", at.artist),
        format!("/albums/{}/{}", at.album().0, encoded(at.album().1)),
        format!("/artists/{}", at.artist),
        format!("/artists/by-handle/{}", at.handle),
        format!("/artists/{}/analytics", at.artist),
        format!("/lists/by-uri?uri={}", encoded(&at.list)),
        format!("/lists/playlists/by-uri?uri={}", encoded(&at.list)),
        format!("/lists/playlists/by-artist/{}", at.owner),
        "/search/?q=amber&limit=2".to_owned(),
        "/activity/?limit=3".to_owned(),
        format!("/users/{}/likes", at.fan),
        format!("/now-playing/by-did/{}", at.artist),
        "/config".to_owned(),
        format!("/oembed?url={}", encoded(&format!("{PUBLIC_URL}/u/{}", at.handle))),
        "/tracks/999999999".to_owned(),
        "/tracks/?limit=x&cursor=y".to_owned(),
    ]
}

fn sort(answer: &mut Value) {
    let fields = answer.as_object_mut().expect("an object");
    for list in fields.values_mut().filter_map(Value::as_array_mut) {
        list.sort_by_cached_key(Value::to_string);
    }
}

/// Leaves out what is another in each run.
fn steady(world: &World, value: &mut Value, is_form: bool) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::Array(_) | Value::Object(_) | Value::Null => steady(world, value, is_form),
                    _ if OF_THE_MOMENT.contains(&key.as_str()) => *value = json!("(of the moment)"),
                    value => steady(world, value, is_form),
                }
            }
        }
        Value::Array(_) if is_form => *value = json!("(a list)"),
        Value::Array(values) => values.iter_mut().for_each(|value| steady(world, value, is_form)),
        Value::Number(_) if is_form => *value = json!("(a number)"),
        Value::String(_) if is_form => *value = json!("(a text)"),
        Value::String(text) => {
            for (at, host) in world.net.host_upstreams().iter().enumerate() {
                *text = text.replace(&host.replace("repos+ws", "http"), &format!("http://host-{at}"));
            }
            *text = text.replace(&world.plyr.url, "http://plyr");
            if let Some((before, _)) =
                text.rsplit_once("/track/").filter(|(_, id)| id.bytes().all(|byte| byte.is_ascii_digit()))
            {
                *text = format!("{before}/track/(of the moment)");
            }
        }
        _ => {}
    }
}
