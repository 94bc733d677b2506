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
pub mod page;
pub(crate) mod project;
pub(crate) mod turns;

pub use project::LINKS;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use ipld_core::ipld::Ipld;
use sqlx::PgPool;

use crate::record::Registry;

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
const LINKS_MAX: usize = 10;

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

/// What of ours a post names: by its embed, the record it quotes, or a link in its text.
pub fn of_post(registry: &Registry, embed: Option<&Ipld>, facets: &[Ipld]) -> Vec<Link> {
    let mut links = BTreeSet::new();
    let mut add = |path: &'static str, value: Option<&Ipld>| {
        let Some(Ipld::String(text)) = value else { return };
        if let Some(target) = registry.target(text).filter(|_| links.len() < LINKS_MAX) {
            links.insert(Link { path, target: target.into() });
        }
    };
    if let Some(embed) = embed {
        add("embed.external.uri", at(embed, &["external", "uri"]));
        add("embed.record.uri", at(embed, &["record", "uri"]));
        add("embed.record.record.uri", at(embed, &["record", "record", "uri"]));
        add("embed.media.external.uri", at(embed, &["media", "external", "uri"]));
    }
    for facet in facets {
        let Some(Ipld::List(features)) = at(facet, &["features"]) else { continue };
        for feature in features {
            let kind = at(feature, &["$type"]);
            if kind == Some(&Ipld::String("app.bsky.richtext.facet#link".to_owned())) {
                add("facets[].features[app.bsky.richtext.facet#link].uri", at(feature, &["uri"]));
            }
        }
    }
    links.into_iter().collect()
}

fn at<'a>(value: &'a Ipld, path: &[&str]) -> Option<&'a Ipld> {
    path.iter().try_fold(value, |value, name| match value {
        Ipld::Map(entries) => entries.get(*name),
        _ => None,
    })
}

/// Forgets likes of posts that did not turn out to be shares: after an hour, and the oldest beyond two million. Those of people
/// who are hidden are kept, as long as the post is a share: nobody can say what they are until their authors return. Returns how
/// many went.
pub async fn sweep(pool: &PgPool) -> sqlx::Result<u64> {
    let swept = sqlx::query!(
        "delete from awaited_link a
         where seen_at < greatest(now() - interval '1 hour',
                                  (select seen_at from awaited_link order by seen_at desc offset 2000000 limit 1))
           and (seen_at < now() - interval '30 days'
                or not exists (select from shared_post s where s.post_uri = a.target))"
    )
    .execute(pool)
    .await?;
    Ok(swept.rows_affected())
}
