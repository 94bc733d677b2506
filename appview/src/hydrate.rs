//! From which rows to what they say: one query per kind of thing, for a whole page at once.
//!
//! Every function takes the connection of the request, so that one request holds one connection, and returns
//! a map in which what is unknown or hidden is simply absent: the views leave it out.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did};
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::Options;
use crate::actor::ProfileViewBasic;
use crate::error::{Error, stored};
use crate::media::Kind;

/// No page of views is larger than this, whatever the records in it hold. Leaves room for the envelope within
/// 2 MiB.
pub(crate) const PAGE_MAX_BYTES: usize = 2 * 1024 * 1024 - 64 * 1024;

/// Which version of a record is shown.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub cid: String,
    pub rev: String,
    pub indexed_at: DateTime<Utc>,
}

/// A record with its value as JSON text.
#[derive(Debug)]
pub(crate) struct Record {
    pub version: Version,
    pub json: Box<RawValue>,
}

/// Numbers beside a thing.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub likes: i64,
    pub sources: LikeSources,
    pub shares: i64,
    pub reposts: i64,
    pub comments: i64,
    pub plays: i64,
    pub play_sources: PlaySources,
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

/// Versions without values.
pub(crate) async fn versions(
    db: &mut PgConnection,
    uris: &[String],
) -> Result<HashMap<String, Version>, Error> {
    let rows = sqlx::query!(
        r#"select uri, cid as "cid!", rev, indexed_at from record where uri = any($1) and cid is not null"#,
        uris
    )
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.uri, Version { cid: row.cid, rev: row.rev, indexed_at: row.indexed_at }))
        .collect())
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
        r#"select uri as "uri!", cid as "cid!", rev as "rev!", value as "value!", indexed_at as "indexed_at!",
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
    let mut records = HashMap::with_capacity(rows.len());
    for row in rows {
        let Some(json) = record_json(&row.uri, &row.value) else { continue };
        let version = Version { cid: row.cid, rev: row.rev, indexed_at: row.indexed_at };
        records.insert(row.uri, Record { version, json });
    }
    Ok((records, covered))
}

/// Bytes that were projected were decoded before, so a failure is our corruption: loud, but it hides one
/// record and not the whole page.
fn record_json(uri: &str, value: &[u8]) -> Option<Box<RawValue>> {
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
        let view = ProfileViewBasic {
            did: did.clone(),
            handle: row.handle.unwrap_or_else(|| "handle.invalid".to_owned()),
            display_name: row.display_name.filter(|name| !name.is_empty()),
            avatar: row.avatar_cid.map(|cid| options.image_url(&cid)),
        };
        people.insert(did, view);
    }
    Ok(people)
}

/// Counts; a thing that nobody has touched has none and is absent.
pub(crate) async fn counts(db: &mut PgConnection, uris: &[String]) -> Result<HashMap<String, Counts>, Error> {
    let rows = sqlx::query!(
        "select uri, like_count, plyr_like_count, bluesky_like_count, share_like_count, share_count, repost_count,
                comment_count, play_count, plyr_play_count, teal_play_count
           from subject_count where uri = any($1)",
        uris
    )
    .fetch_all(db)
    .await?;
    let counts = rows.into_iter().map(|row| {
        let sources = LikeSources {
            plyr: row.plyr_like_count,
            bluesky: row.bluesky_like_count,
            shares: row.share_like_count,
        };
        let counts = Counts {
            likes: row.like_count,
            sources,
            shares: row.share_count,
            reposts: row.repost_count,
            comments: row.comment_count,
            plays: row.play_count,
            play_sources: PlaySources { plyr: row.plyr_play_count, teal: row.teal_play_count },
        };
        (row.uri, counts)
    });
    Ok(counts.collect())
}

/// Somebody's own likes of some things, by what they like; the oldest where there are several.
pub(crate) async fn likes_of(
    db: &mut PgConnection,
    did: &Did,
    subjects: &[String],
) -> Result<HashMap<String, AtUri>, Error> {
    let rows = sqlx::query!(
        "select subject_uri, uri from reaction
          where subject_uri = any($1) and verb = 'like' and did = $2 and source = 'plyr' order by sort_at desc, uri desc",
        subjects,
        did.as_str()
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok((row.subject_uri, stored(&row.uri)?))).collect()
}

/// Where to fetch the bytes of blobs that we hold, by CID and what they are: `/audio/…` for sound, `/media/…` for images.
pub(crate) async fn media(
    options: &Options,
    db: &mut PgConnection,
    cids: &[String],
) -> Result<HashMap<(String, Kind), String>, Error> {
    let rows =
        sqlx::query!("select cid, file_id, mime from blob where cid = any($1)", cids).fetch_all(db).await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let kind = crate::media::kind(&row.mime)?;
            let url = match kind {
                Kind::Audio => options.audio_url(&row.file_id),
                Kind::Image => options.image_url(&row.cid),
            };
            Some(((row.cid, kind), url))
        })
        .collect())
}

/// Where to fetch the small forms of covers, by the CID of the cover.
pub(crate) async fn thumbnails(
    options: &Options,
    db: &mut PgConnection,
    covers: &[String],
) -> Result<HashMap<String, String>, Error> {
    let rows = sqlx::query!(
        "select cover_cid, blob.cid
           from cover_size
           join blob on blob.cid = cover_size.cid
          where cover_cid = any($1) and width_px = $2",
        covers,
        crate::cover::THUMBNAIL_PX as i32
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.cover_cid, options.image_url(&row.cid))).collect())
}

/// Which of these file ids `/audio/{file_id}` answers.
pub(crate) async fn sounds(db: &mut PgConnection, file_ids: &[String]) -> Result<HashSet<String>, Error> {
    let rows = sqlx::query!(
        "select file_id, mime
           from blob
          where file_id = any($1)
            and exists (select
                          from blob_ref
                          join actor on actor.did = blob_ref.did and actor.active
                         where blob_ref.cid = blob.cid and role = 'audio')",
        file_ids
    )
    .fetch_all(db)
    .await?;
    let sounds = rows.into_iter().filter(|row| crate::media::kind(&row.mime) == Some(Kind::Audio));
    Ok(sounds.map(|row| row.file_id).collect())
}
