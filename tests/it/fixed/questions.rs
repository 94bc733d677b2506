//! What a page asks the database: little, and no more the longer it is.

use std::collections::BTreeMap;

use super::World;
use super::snapshots::{asks, paths};
use crate::world::run;

/// Statements of a page at most.
const MOST: usize = 4;
/// The same where an address has to be understood first: whose album it is and which, or which playlist; or where somebody asks, of
/// whom it is looked up how far their own repo has come here.
const MOST_WITH_ONE_MORE: usize = 5;
/// Tells of the server and is no page.
const STATUS: &str = "fm.plyr.sync.getStatus";
/// A search looks for names, words and what resembles them in turn, and then shows what is of five kinds.
const MOST_OF_A_SEARCH: usize = 11;

/// Pages for people and players for other pages.
fn pages(world: &World) -> Vec<String> {
    let at = &world.picked;
    let track: Vec<&str> = at.liked.split('/').collect();
    let (artist, slug) = at.album();
    let address = format!("{}/{}", track[2], track[4]);
    let list: Vec<&str> = at.list.split('/').collect();
    vec![
        format!("/track/{address}"),
        format!("/u/{}", at.artist),
        format!("/u/{artist}/album/{slug}"),
        format!("/tag/{}", at.tag),
        format!("/embed/u/{}", at.artist),
        format!("/embed/album/{artist}/{slug}"),
        format!("/embed/playlist/{}/{}", list[2], list[4]),
    ]
}

#[test]
fn a_page_asks_the_database_four_times_at_most() {
    run(async {
        let mut world = World::settled().await;
        world.plyr.set("PLYR_LOG", "info,sqlx::query=debug");
        let twin = world.plyr.twin().await;
        let mut asked = BTreeMap::new();
        let mut ask = async |path: &str, query: &[(&str, &str)], token: Option<String>| {
            let request = twin.http().get(format!("{}{path}", twin.url)).query(query);
            let who = if token.is_some() { "fan" } else { "nobody" };
            let request = token.into_iter().fold(request, |request, token| request.bearer_auth(token));
            let answer = request.send().await.expect("an answer");
            let status = answer.status().as_u16();
            // What was asked before is answered from what is kept.
            let id = answer.headers().get("x-request-id").map(|id| id.to_str().expect("a word").to_owned());
            asked.extend(id.map(|id| (id, format!("{who} {status} {path} {query:?}"))));
        };
        for (method, query, as_fan) in asks(&world) {
            let path = format!("/xrpc/{method}");
            let token = || as_fan.then(|| world.fans_token(method));
            ask(&path, &query, token()).await;
            if query.iter().any(|(name, _)| *name == "limit") {
                let mut whole = query.clone();
                whole.retain(|(name, _)| *name != "limit");
                whole.push(("limit", "50"));
                ask(&path, &whole, token()).await;
            }
        }
        for path in paths(&world) {
            ask(&path, &[], None).await;
        }
        let playlist = world.plyr.db.texts("select uri from list join actor using (did) where active and list_type = 'playlist' order by uri").await;
        let playlist = playlist.first().expect("a playlist");
        ask("/lists/playlists/by-uri", &[("uri", playlist)], None).await;
        for table in ["/tracks/", "/tracks/top", "/albums/", "/activity/", "/sitemap-data"] {
            ask(table, &[], None).await;
        }
        for path in pages(&world) {
            ask(&path, &[], None).await;
        }
        let log = twin.read_log();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for line in log.lines().filter(|line| line.contains("sqlx::query")) {
            let id = line.split_once("request{id=\"").and_then(|(_, rest)| rest.split_once('"'));
            let question = id.and_then(|(id, _)| asked.get(id));
            question.into_iter().for_each(|question| *counts.entry(question).or_default() += 1);
        }
        assert!(counts.len() > 60, "{counts:?}");
        let most = |question: &str| match question {
            _ if question.contains("search") => MOST_OF_A_SEARCH,
            _ if question.contains(STATUS) => usize::MAX,
            _ if question.contains("/albums/") || question.contains("/playlist") => MOST_WITH_ONE_MORE,
            _ if question.starts_with("fan ") => MOST_WITH_ONE_MORE,
            _ => MOST,
        };
        counts.retain(|question, count| *count > most(question));
        assert!(counts.is_empty(), "{counts:#?}");
    });
}
