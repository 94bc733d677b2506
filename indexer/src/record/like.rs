//! `fm.plyr.like`, `app.bsky.feed.like` and `app.bsky.feed.repost` → `reaction`.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;

use super::reaction::{self, Reaction, Source, Verb};
use super::{Checked, StrongRef, datetime};
use crate::apply::effects::Effects;
use crate::link::{LIKE, POST, REPOST};

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
    let (verb, source) = match checked.uri.collection() {
        LIKE => (Verb::Like, Source::Bluesky),
        REPOST => (Verb::Repost, Source::Bluesky),
        _ => (Verb::Like, Source::Plyr),
    };
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        verb,
        source,
        subject: record.subject.uri,
        created_at,
        sort_at: checked.sort_at(created_at),
    })
}

pub(super) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let lost = reaction::remove(db, gone).await?;
    let mut won: Vec<Reaction> = Vec::with_capacity(rows.len());
    let mut of_posts = Vec::new();
    for row in rows {
        // A post is none of ours, whatever it shares; what it shares is liked by liking it.
        if row.source == Source::Bluesky && row.subject.contains(POST) {
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
    won.extend(reaction::shared(db, reaction::By::Reactions(&of_posts)).await?);
    reaction::settle(db, reaction::Doers::Own, lost, won, effects).await
}
