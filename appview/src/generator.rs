//! Music as a feed of Bluesky's: `app.bsky.feed.describeFeedGenerator`, `app.bsky.feed.getFeedSkeleton`.
//!
//! The one feed has the posts that share what was liked most within a day, the track that was liked most first.

use std::collections::HashSet;

use axum::Json;
use axum::extract::State;
use indexer::chart::{Kind, Period};
use indexer::link::{LIKE, POST};
use indexer::syntax::AtUri;
use serde::{Deserialize, Serialize};

use crate::App;
use crate::chart::place::Place;
use crate::chart::{By, everybodys};
use crate::error::Error;
use crate::xrpc::Params;

/// The key of the record by which the feed is published.
const FEED: &str = "plyr-top";
/// Tracks whose posts make the feed.
const TRACKS: i64 = 200;
/// Posts of one track: those that are liked most, of the newest that share it.
const POSTS: i64 = 2;
const SHARES: i64 = 200;

#[derive(Debug, Serialize)]
pub(crate) struct Description {
    did: String,
    feeds: [FeedName; 1],
}

#[derive(Debug, Serialize)]
pub(crate) struct FeedName {
    uri: String,
}

/// `app.bsky.feed.describeFeedGenerator`.
pub(crate) async fn describe(State(app): State<App>) -> Result<Json<Description>, Error> {
    let missing = || Error::overloaded("this server has no DID: its public URL is not on https");
    let did = app.service.did().ok_or_else(missing)?.to_owned();
    let uri = format!("at://{did}/app.bsky.feed.generator/{FEED}");
    Ok(Json(Description { feeds: [FeedName { uri }], did }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetFeedSkeleton {
    feed: AtUri,
    limit: u8,
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct FeedSkeleton {
    feed: Vec<Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

#[derive(Debug, Serialize)]
struct Item {
    post: String,
}

/// `app.bsky.feed.getFeedSkeleton`, whoever published the feed's record. Its order is that of an hour's charts: a cursor counts.
pub(crate) async fn get_feed_skeleton(
    State(app): State<App>,
    params: Params<GetFeedSkeleton>,
) -> Result<Json<FeedSkeleton>, Error> {
    let GetFeedSkeleton { feed, limit, cursor } = params.0;
    if feed.collection() != "app.bsky.feed.generator" || feed.rkey() != FEED {
        return Err(Error::declared("UnknownFeed", "this server makes no such feed"));
    }
    let passed = match cursor.as_deref().map(str::parse::<u16>) {
        None => 0,
        Some(Ok(passed)) => usize::from(passed),
        Some(Err(_)) => return Err(Error::invalid_request("cursor: not a cursor of this feed")),
    };
    let mut db = app.pool.acquire().await?;
    let rows = everybodys(&mut db, Kind::Track, Period::Day, By::Likes, Place::TOP, TRACKS).await?;
    let tracks: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    let posts = sqlx::query_scalar!(
        r#"select p.uri as "uri!"
             from unnest($1::text[]) with ordinality as t (uri, n)
             join track on track.uri = t.uri
             join actor as artist on artist.did = track.did and artist.active
            cross join lateral (select s.post_uri as uri, coalesce(c.people, 0) as likes
                             from (select post_uri, did from shared_post where subject_uri = t.uri collate "C"
                                    order by created_at desc, post_uri desc limit $5) s
                             join actor on actor.did = s.did and actor.active
                             left join link_count c on c.target = s.post_uri and c.collection = $2 and c.path = 'subject.uri'
                            where split_part(s.post_uri, '/', 4) = $3
                            order by 2 desc, 1 limit $4) as p
            order by t.n, p.likes desc, p.uri"#,
        &tracks as &[&str],
        LIKE,
        POST,
        POSTS,
        SHARES
    )
    .fetch_all(&mut *db)
    .await?;
    // One that shares two of them stands where it stands first.
    let mut seen = HashSet::new();
    let posts: Vec<String> = posts.into_iter().filter(|post| seen.insert(post.clone())).collect();
    let end = passed + usize::from(limit);
    let cursor = (posts.len() > end).then(|| end.to_string());
    let feed = posts.into_iter().skip(passed).take(limit.into()).map(|post| Item { post });
    Ok(Json(FeedSkeleton { feed: feed.collect(), cursor }))
}
