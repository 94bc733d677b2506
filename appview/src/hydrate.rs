//! From which rows to what they say: one query per kind of thing, for a whole page at once.
//!
//! Every function takes the connection of the request, so that one request holds one connection, and returns
//! a map in which what is unknown or hidden is simply absent: the views leave it out.

use std::collections::HashMap;

use indexer::syntax::{AtUri, Did};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::Options;
use crate::actor::{AtIdentifier, ProfileViewBasic};
use crate::error::{Error, stored};

/// No page of views is larger than this, whatever the records in it hold. Leaves room for the envelope within
/// 2 MiB.
pub(crate) const PAGE_MAX_BYTES: usize = 2 * 1024 * 1024 - 64 * 1024;

/// A record with its value as JSON text.
#[derive(Debug)]
pub(crate) struct Record {
    pub cid: String,
    pub json: Box<RawValue>,
}

/// Numbers beside a thing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub likes: i64,
    pub plays: i64,
}

/// `fm.plyr.feed.defs#likeSources`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct LikeSources {
    /// People who like it by `fm.plyr.like`.
    pub plyr: i64,
    /// People who like it by `app.bsky.feed.like` of the thing itself.
    pub bluesky: i64,
    /// People who like a post that shares it.
    pub shares: i64,
}

/// `fm.plyr.feed.defs#playSources`.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct PlaySources {
    /// Plays that players told us of.
    pub plyr: i64,
    /// Plays that people keep records of.
    pub teal: i64,
}

/// Records with their values, in the order of `uris` until they fill a page: a long page costs the database,
/// the wire and us no more than a short one. The number says how many of `uris` were looked at; it is all of
/// them if all fit.
pub(crate) async fn records(
    db: &mut PgConnection,
    uris: &[AtUri],
) -> Result<(HashMap<String, Record>, usize), Error> {
    let wanted: Vec<String> = uris.iter().map(|uri| uri.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        r#"select uri as "uri!", cid as "cid!", value as "value!",
                  position as "position!", total as "total!"
             from (select record.*, position,
                          sum(octet_length(value)) over (order by position)::bigint as total
                     from unnest($1::text[]) with ordinality as wanted (wanted_uri, position)
                     join record on uri = wanted_uri and value is not null) as page
            where total - octet_length(value) < $2
            order by position"#,
        &wanted,
        PAGE_MAX_BYTES as i64
    )
    .fetch_all(db)
    .await?;
    // Only the last row may reach over the edge; if none did, nothing was cut.
    let cut = rows.last().filter(|last| last.total >= PAGE_MAX_BYTES as i64);
    let covered = cut.map_or(uris.len(), |last| last.position as usize);
    let (mut records, mut size_bytes) = (HashMap::with_capacity(rows.len()), 0);
    for row in rows {
        let Some(json) = record_json(&row.uri, &row.value) else { continue };
        // JSON may be six times as long as the bytes that the query limited.
        size_bytes += json.get().len();
        if size_bytes > PAGE_MAX_BYTES && !records.is_empty() {
            return Ok((records, row.position as usize - 1));
        }
        records.insert(row.uri, Record { cid: row.cid, json });
    }
    Ok((records, covered))
}

/// Bytes that were projected were decoded before, so a failure is our corruption: loud, but it hides one
/// record and not the whole page.
pub(crate) fn record_json(uri: &str, value: &[u8]) -> Option<Box<RawValue>> {
    let json = indexer::dag::decode(value)
        .map_err(anyhow::Error::from)
        .and_then(|value| Ok(serde_json::value::to_raw_value(&indexer::dag::to_json(&value))?));
    json.inspect_err(|error| tracing::error!(uri, %error, "a stored record cannot be read")).ok()
}

/// People who may be seen.
pub(crate) async fn people(
    options: &Options,
    db: &mut PgConnection,
    dids: &[Did],
) -> Result<HashMap<Did, ProfileViewBasic>, Error> {
    let dids: Vec<String> = dids.iter().map(Did::to_string).collect();
    let rows = sqlx::query!(
        r#"select actor.did as "did!", handle as "handle?", display_name as "display_name?",
                  blob.cid as "avatar_cid?"
             from actor
             left join bsky_profile on bsky_profile.did = actor.did
             left join blob on blob.cid = bsky_profile.avatar_cid and blob.mime like 'image/%'
            where actor.did = any($1) and actor.active"#,
        &dids
    )
    .fetch_all(db)
    .await?;
    let mut people = HashMap::with_capacity(rows.len());
    for row in rows {
        let did: Did = stored(&row.did)?;
        let view = ProfileViewBasic::of(options, did.clone(), row.handle, row.display_name, row.avatar_cid);
        people.insert(did, view);
    }
    Ok(people)
}

/// Who is meant, if they may be seen. Two may claim a handle for a moment after it moved: who was looked at last is right.
pub(crate) async fn person(
    options: &Options,
    db: &mut PgConnection,
    actor: &AtIdentifier,
) -> Result<Option<ProfileViewBasic>, Error> {
    let (did, handle) = actor.either();
    let found = sqlx::query!(
        r#"select actor.did, handle, display_name as "display_name?", blob.cid as "avatar_cid?"
             from actor
             left join bsky_profile on bsky_profile.did = actor.did
             left join blob on blob.cid = bsky_profile.avatar_cid and blob.mime like 'image/%'
            where (actor.did = $1 or handle = $2) and actor.active
            order by resolved_at desc nulls last, actor.did
            limit 1"#,
        did,
        handle
    )
    .fetch_optional(db)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let view = ProfileViewBasic::of(options, stored(&row.did)?, row.handle, row.display_name, row.avatar_cid);
    Ok(Some(view))
}

/// Counts; a thing that nobody has touched has none and is absent.
pub(crate) async fn counts(db: &mut PgConnection, uris: &[String]) -> Result<HashMap<String, Counts>, Error> {
    let rows =
        sqlx::query!("select uri, like_count, play_count from subject_count where uri = any($1)", uris)
            .fetch_all(db)
            .await?;
    let counts =
        rows.into_iter().map(|row| (row.uri, Counts { likes: row.like_count, plays: row.play_count }));
    Ok(counts.collect())
}
