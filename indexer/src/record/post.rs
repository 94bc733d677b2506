//! `app.bsky.feed.post` → `shared_post`, and what follows from it for those who like it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use ipld_core::ipld::Ipld;
use serde::Deserialize;
use sqlx::PgConnection;

use super::reaction::{self, By};
use super::{Checked, datetime};
use crate::apply::effects::{Count, Effects};
use crate::copy::{self, Rows, Target};
use crate::job;
use crate::link::{self, Link};
use crate::sabotage;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    created_at: String,
    embed: Option<Ipld>,
    #[serde(default)]
    facets: Vec<Ipld>,
}

/// A post, as far as it names something of ours or a post, which may share that.
#[derive(Debug)]
pub struct Row {
    pub(crate) uri: String,
    did: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) sort_at: DateTime<Utc>,
    pub(crate) links: Vec<Link>,
}

impl Row {
    /// What of ours it shares: a post that it quotes is none of it.
    pub(crate) fn shared(&self) -> impl Iterator<Item = &str> {
        self.links.iter().map(|link| link.target.as_str()).filter(|target| !link::is_post(target))
    }
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    let created_at = datetime("createdAt", &record.created_at)?;
    let mut links = BTreeSet::new();
    for (path, text) in link::of_post(record.embed.as_ref(), &record.facets) {
        if links.len() == link::LINKS_MAX {
            break;
        }
        let target = checked.target(text).or_else(|| link::quoted(path, text));
        links.extend(target.map(|target| Link { path, target: target.into() }));
    }
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        created_at,
        sort_at: checked.sort_at(created_at),
        links: links.into_iter().collect(),
    })
}

/// The columns of `shared_post` that a record gives.
pub const SHARED_POSTS: Target = copy::into!(shared_post: post_uri, subject_uri, did, created_at);

pub(super) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    // What each shared, and shares.
    let mut before: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    if !gone.is_empty() {
        let gone = sqlx::query!(
            "delete from shared_post where post_uri = any($1) returning post_uri, subject_uri, did",
            gone
        )
        .fetch_all(&mut *db)
        .await?;
        for row in gone {
            effects.count(&row.did, &row.subject_uri, Count::Shares, -1);
            effects.touch(&row.subject_uri, false);
            before.entry(row.post_uri).or_default().insert(row.subject_uri);
        }
    }
    let mut shares = Rows::into(SHARED_POSTS);
    let mut changed: Vec<String> = Vec::new();
    for row in rows {
        let subjects: BTreeSet<String> = row.shared().map(str::to_owned).collect();
        for subject in &subjects {
            effects.count(&row.did, subject, Count::Shares, 1);
            effects.touch(subject, false);
            shares.row().field(&row.uri).field(subject).field(&row.did).field(row.created_at);
        }
        let shared = before.remove(&row.uri).unwrap_or_default();
        if !subjects.is_empty() && shared.is_empty() {
            // Who liked or quoted it before we knew of it: whom we noted, and whom others know of.
            effects.job(job::LOOK_BACK, row.uri.clone());
            effects.job(job::BACKLINKS, row.uri.clone());
        }
        // One that is written anew and shares the same is liked by the same people: they may be many.
        if subjects != shared {
            changed.push(row.uri.clone());
        }
    }
    shares.write(db).await?;
    changed.extend(before.into_keys());
    reflect(db, &changed, effects).await
}

/// Makes what follows from likes and reposts of these posts what it should be: while the post is there and its author is to
/// be seen, whoever likes it likes what it shares.
pub(crate) async fn reflect(
    db: &mut PgConnection,
    posts: &[String],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    if posts.is_empty() || sabotage::is_on("gone-share-keeps-likes") {
        return Ok(());
    }
    let lost = reaction::remove_via(db, posts).await?;
    let won = reaction::shared(db, By::Posts(posts)).await?;
    let held = reaction::held(db, &lost, &won, std::iter::empty()).await?;
    reaction::settle(db, reaction::Doers::Anybodys, (held, lost), won, effects).await
}
