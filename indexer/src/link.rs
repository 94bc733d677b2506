//! Links: what one record says of another, as far as it is ours or shares what is ours.
//!
//! ```text
//! stream ─► concern (from the bytes) ─► door ─► link, shared_post ─► reaction ─► numbers
//! ```
//!
//! A like on Bluesky may stand on the track itself or on a post that shares it. A record is kept if it names something of
//! ours or such a post; from then on it is treated as any other: its row in `record` is the truth, and all here follows from
//! it.

pub mod concern;
pub mod names;
pub mod page;
pub(crate) mod project;
pub mod reference;
pub(crate) mod turns;

pub use project::LINKS;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use ipld_core::ipld::Ipld;
use sqlx::PgPool;

use crate::record::URI_MAX_BYTES;
use crate::syntax::AtUri;

/// Posts of Bluesky: what shares may be.
pub const POST: &str = "app.bsky.feed.post";
/// Likes of Bluesky.
pub const LIKE: &str = "app.bsky.feed.like";
/// Reposts of Bluesky.
pub const REPOST: &str = "app.bsky.feed.repost";

/// Whether a record's URI is that of a post.
pub(crate) fn is_post(uri: &str) -> bool {
    uri.split('/').nth(3) == Some(POST)
}

/// Links of one post at most: each is multiplied by everybody who likes it.
pub(crate) const LINKS_MAX: usize = 10;

/// What a record names, and where and since when it does. A path is written as backlink services do: `subject.uri`,
/// `items[].subject.uri`, `facets[].features[app.bsky.richtext.facet#link].uri`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// Where.
    pub path: &'static str,
    /// A record's URI, its authority a DID.
    pub target: String,
}

/// All links of one record.
#[derive(Debug)]
pub(crate) struct Links<'a> {
    pub uri: &'a str,
    pub created_at: DateTime<Utc>,
    pub sort_at: DateTime<Utc>,
    pub links: BTreeSet<(&'static str, &'a str)>,
}

/// Where a post names the record that it quotes, alone or beside something else.
pub(crate) const QUOTES: [&str; 2] = ["embed.record.uri", "embed.record.record.uri"];

/// The post that a post quotes.
pub(crate) fn quoted(path: &str, text: &str) -> Option<AtUri> {
    let named = || text.parse::<AtUri>().ok().filter(|uri| uri.collection() == POST);
    (QUOTES.contains(&path) && text.len() <= URI_MAX_BYTES).then(named).flatten()
}

/// What a post names, and where: by its embed, the record it quotes, or a link in its text.
pub(crate) fn of_post<'a>(
    embed: Option<&'a Ipld>,
    facets: &'a [Ipld],
) -> impl Iterator<Item = (&'static str, &'a str)> {
    const LINK: &str = "app.bsky.richtext.facet#link";
    const PLACES: [(&str, &[&str]); 4] = [
        ("embed.external.uri", &["external", "uri"]),
        ("embed.record.uri", &["record", "uri"]),
        ("embed.record.record.uri", &["record", "record", "uri"]),
        ("embed.media.external.uri", &["media", "external", "uri"]),
    ];
    let embedded =
        PLACES.iter().filter_map(move |(path, place)| Some((*path, at(embed?, place).and_then(text)?)));
    let features = facets.iter().filter_map(|facet| match at(facet, &["features"]) {
        Some(Ipld::List(features)) => Some(features),
        _ => None,
    });
    let linked = features.flatten().filter(|feature| at(feature, &["$type"]).and_then(text) == Some(LINK));
    let linked = linked.filter_map(|feature| at(feature, &["uri"]).and_then(text));
    embedded.chain(linked.map(|uri| ("facets[].features[app.bsky.richtext.facet#link].uri", uri)))
}

fn text(value: &Ipld) -> Option<&str> {
    if let Ipld::String(text) = value { Some(text) } else { None }
}

fn at<'a>(value: &'a Ipld, path: &[&str]) -> Option<&'a Ipld> {
    path.iter().try_fold(value, |value, name| match value {
        Ipld::Map(entries) => entries.get(*name),
        _ => None,
    })
}

/// Forgets likes of posts that did not turn out to be shares: after an hour, those of posts that were old already after a week, and
/// of either the oldest beyond two million. Those of people who are hidden are kept, as long as the post is a share: nobody can say
/// what they are until their authors return. Returns how many went.
pub async fn sweep(pool: &PgPool) -> sqlx::Result<u64> {
    let swept = sqlx::query!(
        "delete from awaited_link a
         where (is_old = false
                and seen_at < greatest(now() - interval '1 hour',
                                       (select seen_at from awaited_link where is_old = false
                                         order by seen_at desc offset 2000000 limit 1))
                or is_old = true
                and seen_at < greatest(now() - interval '7 days',
                                       (select seen_at from awaited_link where is_old = true
                                         order by seen_at desc offset 2000000 limit 1)))
           and (seen_at < now() - interval '30 days'
                or not exists (select from shared_post s where s.post_uri = a.target))"
    )
    .execute(pool)
    .await?;
    Ok(swept.rows_affected())
}
