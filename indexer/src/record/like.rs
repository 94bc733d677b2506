//! `fm.plyr.like`, `app.bsky.feed.like` and `app.bsky.feed.repost` → `reaction`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::reaction::{self, Reaction, Source, Verb};
use super::{Checked, StrongRef, datetime};
use crate::apply::effects::Effects;
use crate::link::project::{Moved, Whose};
use crate::link::{self, LIKE, REPOST};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    subject: StrongRef,
    created_at: String,
}

/// A like or repost.
#[derive(Debug)]
pub struct Row {
    pub(crate) uri: String,
    did: String,
    verb: Verb,
    source: Source,
    pub(crate) subject: String,
    pub(super) created_at: DateTime<Utc>,
    pub(super) sort_at: DateTime<Utc>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let record: Record = checked.typed()?;
    let created_at = datetime("createdAt", &record.created_at)?;
    let (verb, source) = kind(checked.uri.collection());
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        verb,
        source,
        subject: checked.named("subject.uri", &record.subject)?,
        created_at,
        sort_at: checked.sort_at(created_at),
    })
}

/// Of `rows`, all are likes.
pub(super) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[super::Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let links = Moved::gather(db, gone, rows).await?;
    let lost = reaction::remove(db, gone).await?;
    let mut won: Vec<Reaction> = Vec::with_capacity(rows.len());
    let mut of_posts = Vec::new();
    for row in rows {
        let super::Row::Like(row) = row else { continue };
        // A post is none of ours, whatever it shares; what it shares is liked by liking it.
        if row.source == Source::Bluesky && link::is_post(&row.subject) {
            of_posts.push(row.uri.clone());
        } else {
            won.push(Reaction {
                uri: row.uri.clone(),
                subject: row.subject.clone(),
                did: row.did.clone(),
                verb: row.verb,
                source: row.source,
                via: None,
                created_at: row.created_at,
                sort_at: row.sort_at,
            });
        }
    }
    // Whoever likes a thing names it: what is looked up for the one need not be for the other. A post is only named.
    let is_of_post = |whose: &&Whose| link::is_post(&whose.0);
    let posts = link::project::held(db, links.concerned().filter(is_of_post)).await?;
    let concerned = links.concerned().filter(|whose| !is_of_post(whose)).map(direct);
    let held = reaction::held(db, &lost, &won, concerned).await?;
    let names = |whose: &Whose| match is_of_post(&whose) {
        true => posts.contains(whose),
        false => {
            let (whose, source) = direct(whose);
            held.get(&whose).is_some_and(|sources| sources.contains(&source))
        }
    };
    links.settle(db, names, effects).await?;
    won.extend(reaction::shared(db, reaction::By::Reactions(&of_posts)).await?);
    let held =
        if of_posts.is_empty() { held } else { reaction::held(db, &lost, &won, std::iter::empty()).await? };
    reaction::settle(db, reaction::Doers::Own, (held, lost), won, effects).await
}

/// What a link of a like says of its person.
fn direct((target, did, collection, _): &Whose) -> (reaction::Whose, Source) {
    let (verb, source) = kind(collection);
    ((verb, target.clone(), did.clone()), source)
}

/// What a record of this collection does.
fn kind(collection: &str) -> (Verb, Source) {
    match collection {
        LIKE => (Verb::Like, Source::Bluesky),
        REPOST => (Verb::Repost, Source::Bluesky),
        _ => (Verb::Like, Source::Plyr),
    }
}
