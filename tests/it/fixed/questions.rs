//! What a page asks the database: little, and no more the longer it is.

use std::collections::BTreeMap;

use super::World;
use super::snapshots::{asks, paths};
use crate::world::run;

/// Statements of a page at most.
const MOST: usize = 4;
/// Their addresses say whose album it is by a name, and which by another.
const MOST_OF_AN_ALBUM: usize = 5;
/// Tells of the server and is no page.
const STATUS: &str = "fm.plyr.sync.getStatus";
/// A search looks for names, words and what resembles them in turn, and then shows what is of five kinds.
const MOST_OF_A_SEARCH: usize = 11;

#[test]
fn a_page_asks_the_database_four_times_at_most() {
    run(async {
        let mut world = World::settled().await;
        world.plyr.set("PLYR_LOG", "info,sqlx::query=debug");
        let twin = world.plyr.twin().await;
        let mut asked = BTreeMap::new();
        let mut ask = async |path: &str, query: &[(&str, &str)]| {
            let request = twin.http().get(format!("{}{path}", twin.url)).query(query);
            let answer = request.send().await.expect("an answer");
            // What was asked before is answered from what is kept.
            let id = answer.headers().get("x-request-id").map(|id| id.to_str().expect("a word").to_owned());
            asked.extend(id.map(|id| (id, format!("{path} {query:?}"))));
        };
        for (method, query, _) in asks(&world) {
            let path = format!("/xrpc/{method}");
            ask(&path, &query).await;
            if query.iter().any(|(name, _)| *name == "limit") {
                let mut whole = query.clone();
                whole.retain(|(name, _)| *name != "limit");
                whole.push(("limit", "50"));
                ask(&path, &whole).await;
            }
        }
        for path in paths(&world) {
            ask(&path, &[]).await;
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
            _ if question.starts_with("/albums/") => MOST_OF_AN_ALBUM,
            _ if question.contains(STATUS) => usize::MAX,
            _ => MOST,
        };
        counts.retain(|question, count| *count > most(question));
        assert!(counts.is_empty(), "{counts:#?}");
    });
}
