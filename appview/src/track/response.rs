//! A track as the HTTP API shows it.

use std::collections::HashMap;

use chrono::{DateTime, SecondsFormat, Utc};
use indexer::dag::parse_cid;
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sqlx::PgConnection;
use url::Url;

use super::TrackView;
use crate::actor::http::short_person;
use crate::detail::Detail;
use crate::session::Viewer;
use crate::{Options, blob, card, foreign};

/// Tracks of an album among which its picture is looked for.
const COVER_AMONG: i64 = 20;

/// What an answer without pages may hold, about: records that fill more than this are nobody's music.
const ALL_MAX_BYTES: usize = 3 * 1024 * 1024;

/// What the HTTP API says of a track beside what its view does.
struct Facts {
    created_at: DateTime<Utc>,
    /// Its author's.
    pds: Option<String>,
    album: Value,
}

/// A track as it is sent.
pub(crate) type Track = Box<RawValue>;

/// Tracks, and what an answer says beside them.
#[derive(Debug, Serialize)]
pub(crate) struct WithTracks {
    pub tracks: Vec<Track>,
    #[serde(flatten)]
    pub beside: Value,
}

/// As many of these as one answer holds, in their order, and how many of `uris` that covers. What cannot be seen is left out.
pub(crate) async fn of(
    options: &Options,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    uris: &[AtUri],
) -> Result<(Vec<Track>, usize), Detail> {
    let (views, covered) = super::views(options, db, viewer, uris).await?;
    let shown: Vec<&str> = views.iter().map(|view| view.uri.as_str()).collect();
    let facts = facts(options, db, &shown).await?;
    let tracks = views.iter().filter_map(|view| {
        let track = response(options, view, facts.get(view.uri.as_str())?);
        // One that cannot be written does not hide the others.
        track.inspect_err(|error| tracing::error!(uri = %view.uri, %error, "a track cannot be shown")).ok()
    });
    Ok((tracks.collect(), covered))
}

/// All of these, where an answer has no pages: read in as many steps as it takes.
pub(crate) async fn all(
    options: &Options,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    mut uris: &[AtUri],
) -> Result<Vec<Track>, Detail> {
    let mut tracks = Vec::with_capacity(uris.len());
    let mut size_bytes = 0;
    while !uris.is_empty() && size_bytes < ALL_MAX_BYTES {
        let (some, covered) = of(options, db, viewer, uris).await?;
        size_bytes += some.iter().map(|track| track.get().len()).sum::<usize>();
        tracks.extend(some);
        uris = &uris[covered.clamp(1, uris.len())..];
    }
    Ok(tracks)
}

/// A moment as the API writes it.
pub(crate) fn time(time: &DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// The album of a track is that of a list of its artist's that it is in, or else the one that it names.
async fn facts(
    options: &Options,
    db: &mut PgConnection,
    uris: &[&str],
) -> Result<HashMap<String, Facts>, Detail> {
    let lists = format!("{}.list", options.namespace);
    let rows = sqlx::query!(
        r#"select t.uri as "uri!", t.created_at as "created_at!", actor.pds as "pds?", a.id::text as "album_id?", a.slug as "slug?",
                  coalesce(l.name, t.album) as "title?",
                  coalesce(
                    (select picture(blob.cid, m.image_url)
                       from (select subject_uri, position from list_item where list_uri = l.uri order by position limit $3) i
                       join track m on m.uri = i.subject_uri
                       join actor who on who.did = m.did and who.active
                       left join blob on blob.cid = m.image_cid and blob.mime like 'image/%'
                      where picture(blob.cid, m.image_url) is not null
                      order by i.position limit 1),
                    (select picture(blob.cid, m.image_url)
                       from (select image_cid, image_url, sort_at, uri from track m where m.did = t.did and m.album_base = t.album_base
                              order by sort_at, uri limit $3) m
                       left join blob on blob.cid = m.image_cid and blob.mime like 'image/%'
                      where picture(blob.cid, m.image_url) is not null
                      order by m.sort_at, m.uri limit 1)) as "cover?"
             from track t
             join actor on actor.did = t.did
            cross join lateral (select coalesce(
               (select o.id from link k join album o on o.list_uri = k.uri join list x on x.uri = k.uri and x.list_type = 'album'
                 where k.target = t.uri and k.did = t.did and k.collection = $2 order by o.given_at, o.id limit 1),
               (select s.album from album_slug s join album o on o.id = s.album
                 where s.did = t.did and s.base = t.album_base order by o.slug = s.slug desc, s.n limit 1)) as id offset 0) as meant
             left join album a on a.id = meant.id
             left join list l on l.uri = a.list_uri and l.list_type = 'album'
            where t.uri = any($1)"#,
        uris as &[&str],
        lists,
        COVER_AMONG
    )
    .fetch_all(db)
    .await?;
    let facts = rows.into_iter().map(|row| {
        let image = row.cover.and_then(|picture| foreign::picture(options, &picture));
        let album = row.album_id.map(|id| {
            json!({"id": id, "title": row.title.as_ref().or(row.slug.as_ref()), "slug": row.slug, "image_url": image,
                   "thumbnail_url": null})
        });
        (row.uri, Facts { created_at: row.created_at, pds: row.pds, album: album.unwrap_or_default() })
    });
    Ok(facts.collect())
}

/// What is asked of a record. Unknown fields are not looked at, and none is read twice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    #[serde(borrow)]
    title: Option<&'a RawValue>,
    #[serde(borrow)]
    file_type: Option<&'a RawValue>,
    #[serde(borrow)]
    description: Option<&'a RawValue>,
    #[serde(borrow)]
    duration: Option<&'a RawValue>,
    #[serde(borrow)]
    support_gate: Option<&'a RawValue>,
    #[serde(default)]
    audio_blob: Value,
    #[serde(default)]
    audio_url: Value,
}

/// A track as the HTTP API shows it. What this server does not know yet is null, false or empty.
#[derive(Serialize)]
struct Shown<'a> {
    id: i64,
    title: Option<&'a RawValue>,
    artist: &'a str,
    artist_did: &'a Did,
    artist_handle: &'a str,
    artist_avatar_url: Option<&'a str>,
    file_id: String,
    file_type: Option<&'a RawValue>,
    features: Vec<Value>,
    r2_url: Option<&'a str>,
    atproto_record_uri: &'a AtUri,
    atproto_record_cid: &'a str,
    atproto_record_url: Option<String>,
    play_count: i64,
    created_at: String,
    image_url: Option<&'a str>,
    thumbnail_url: Option<&'a str>,
    is_liked: bool,
    like_count: i64,
    comment_count: i64,
    album: &'a Value,
    tags: &'a [String],
    description: Option<&'a RawValue>,
    duration: Option<&'a RawValue>,
    support_gate: Option<&'a RawValue>,
    audio_storage: &'static str,
    pds_blob_cid: Option<&'a str>,
    self_labels: &'a [&'a str],
    labels: &'a [&'a str],
    #[serde(flatten)]
    unknown: Unknown,
}

/// What clients read and nothing here says yet.
#[derive(Serialize)]
struct Unknown {
    copyright_flagged: (),
    copyright_match: (),
    copyright_song_uri: (),
    copyright_recording_uri: (),
    gated: bool,
    downloadable: bool,
    download_policy: (),
    artist_support_url: (),
    original_file_id: (),
    original_file_type: (),
    is_optimizing: bool,
    visibility: &'static str,
    unlisted: bool,
    operator_labels: [(); 0],
}

const UNKNOWN: Unknown = Unknown {
    copyright_flagged: (),
    copyright_match: (),
    copyright_song_uri: (),
    copyright_recording_uri: (),
    gated: false,
    downloadable: false,
    download_policy: (),
    artist_support_url: (),
    original_file_id: (),
    original_file_type: (),
    is_optimizing: false,
    visibility: "public",
    unlisted: false,
    operator_labels: [],
};

fn response(options: &Options, view: &TrackView, facts: &Facts) -> Result<Track, serde_json::Error> {
    let record: Told<'_> = serde_json::from_str(view.record.get())?;
    let blob_cid = record.audio_blob["ref"]["$link"].as_str();
    let ours = record.audio_url.as_str().and_then(|url| options.file_id_in(&Url::parse(url).ok()?));
    let by_blob = blob_cid.and_then(|cid| Some(blob::file_id(&blob::digest_of(&parse_cid(cid)?).ok()?)));
    let labels: Vec<&str> = view.labels.iter().map(|label| label.val.as_str()).collect();
    let audio_storage = match (&ours, blob_cid) {
        (Some(_), Some(_)) => "both",
        (None, Some(_)) => "pds",
        _ => "r2",
    };
    serde_json::value::to_raw_value(&Shown {
        id: view.id,
        title: record.title,
        artist: view.author.name(),
        artist_did: &view.author.did,
        artist_handle: card::called(&view.author),
        artist_avatar_url: view.author.avatar.as_deref(),
        file_id: by_blob.or(ours).or_else(|| view.address_id.clone()).unwrap_or_default(),
        file_type: record.file_type,
        features: view.features.iter().map(short_person).collect(),
        r2_url: view.audio.as_deref(),
        atproto_record_uri: &view.uri,
        atproto_record_cid: &view.cid,
        atproto_record_url: facts.pds.as_deref().and_then(|pds| record_url(pds, &view.uri)),
        play_count: view.play_count,
        created_at: time(&facts.created_at),
        image_url: view.cover.as_deref(),
        thumbnail_url: view.thumbnail.as_deref(),
        is_liked: view.viewer.as_ref().is_some_and(|viewer| viewer.like.is_some()),
        like_count: view.like_count,
        comment_count: view.comment_count,
        album: &facts.album,
        tags: &view.tags,
        description: record.description,
        duration: record.duration,
        support_gate: record.support_gate,
        audio_storage,
        pds_blob_cid: blob_cid,
        self_labels: &labels,
        labels: &labels,
        unknown: UNKNOWN,
    })
}

fn record_url(pds: &str, uri: &AtUri) -> Option<String> {
    let did = uri.did();
    let query = [("repo", did.as_str()), ("collection", uri.collection()), ("rkey", uri.rkey())];
    indexer::pds::xrpc(&Url::parse(pds).ok()?, "com.atproto.repo.getRecord", &query).map(String::from)
}
