//! Tracks: some of them by name, and how one looks from outside.

pub(crate) mod http;
pub(crate) mod response;

use std::collections::{HashMap, HashSet};

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::PgConnection;
use url::Url;

use crate::actor::ProfileViewBasic;
use crate::comment::{self, CommentCursor};
use crate::error::{Error, stored};
use crate::hydrate::{self, Counts, LikeSources, PAGE_MAX_BYTES, PlaySources, Record};
use crate::label::{self, Label};
use crate::media::Kind;
use crate::session::Viewer;
use crate::{App, Options, public_id};

/// `fm.plyr.feed.defs#trackView`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrackView {
    /// The record's name.
    pub uri: AtUri,
    /// This server's number for it, by which its HTTP API knows it.
    pub id: i64,
    /// Its version.
    pub cid: String,
    /// The commit that brought this version.
    pub rev: String,
    /// Who published it.
    pub author: ProfileViewBasic,
    /// The record itself, unknown fields included.
    pub record: Box<RawValue>,
    /// Where it can be heard: our checked copy; else a foreign https address if the record has no blob.
    /// Absent until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
    /// Our copy of the cover.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover: Option<String>,
    /// A small form of it, where we made one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
    /// The featured people who can be seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<ProfileViewBasic>,
    /// Normalised tags.
    pub tags: Vec<String>,
    /// What its author says of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// People who like it.
    pub like_count: i64,
    /// In which way they do.
    pub like_sources: LikeSources,
    /// Posts that share it.
    pub share_count: i64,
    /// People who reposted it, or a post that shares it.
    pub repost_count: i64,
    /// Comments on it.
    pub comment_count: i64,
    /// Distinct plays of it.
    pub play_count: i64,
    /// Of which kind they are.
    pub play_sources: PlaySources,
    /// What the one who asks has to do with it; absent when nobody is signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewer: Option<ViewerState>,
    /// Where it stands in feeds.
    pub sort_at: DateTime<Utc>,
    /// When this version was indexed.
    pub indexed_at: DateTime<Utc>,
}

/// `fm.plyr.feed.defs#viewerState`.
#[derive(Debug, Clone, Serialize)]
pub struct ViewerState {
    /// The viewer's own like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub like: Option<AtUri>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetTrack {
    uri: AtUri,
    limit: u8,
    cursor: Option<CommentCursor>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Track {
    track: TrackView,
    #[serde(flatten)]
    comments: comment::Page,
}

/// `fm.plyr.feed.getTrack`: one track, and a page of its comments.
pub(crate) async fn get_track(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: crate::xrpc::Params<GetTrack>,
) -> Result<Json<Track>, Error> {
    let GetTrack { uri, limit, cursor } = params.0;
    let mut db = app.pool.acquire().await?;
    let (tracks, _) = views(&app.options, &mut db, viewer.as_ref(), std::slice::from_ref(&uri)).await?;
    let track = tracks.into_iter().next().ok_or_else(|| Error::declared("NotFound", "no such track"))?;
    let comments = comment::page(&app, &mut db, &uri, limit, cursor).await?;
    Ok(Json(Track { track, comments }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetTracks {
    uris: Vec<AtUri>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Tracks {
    tracks: Vec<TrackView>,
}

/// `fm.plyr.feed.getTracks`: these tracks, in the order asked for. Unknown and hidden ones are left out.
pub(crate) async fn get_tracks(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: crate::xrpc::Params<GetTracks>,
) -> Result<Json<Tracks>, Error> {
    let uris = params.0.uris;
    let mut db = app.pool.acquire().await?;
    let (tracks, covered) = views(&app.options, &mut db, viewer.as_ref(), &uris).await?;
    // Absent means unknown or hidden, so a page that is cut short must not look like one.
    if covered < uris.len() {
        let problem =
            format!("uris: together too large, ask for the first {covered} and then for the others");
        return Err(Error::invalid_request(problem));
    }
    Ok(Json(Tracks { tracks }))
}

/// Refuses, as every method that lists what hangs on a track does, a track that is unknown or hidden.
pub(crate) async fn require_visible(db: &mut PgConnection, uri: &AtUri) -> Result<(), Error> {
    let found = sqlx::query_scalar!(
        "select true from track join actor on actor.did = track.did and actor.active where uri = $1",
        uri.as_str()
    )
    .fetch_optional(db)
    .await?;
    found.map(|_| ()).ok_or_else(|| Error::declared("NotFound", "no such track"))
}

/// What a track's projection says, beside its record.
struct Row {
    uri: String,
    did: Did,
    audio_cid: Option<String>,
    audio_url: Option<String>,
    image_cid: Option<String>,
    tags: Vec<String>,
    features: Vec<Did>,
    created_at: DateTime<Utc>,
    sort_at: DateTime<Utc>,
}

/// The views of the visible ones of `uris`, in their order, until they fill a page; and how many of `uris`
/// that covers, at least one.
pub(crate) async fn views(
    options: &Options,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    uris: &[AtUri],
) -> Result<(Vec<TrackView>, usize), Error> {
    let (mut records, covered) = hydrate::records(db, uris).await?;
    let found: Vec<String> = records.keys().cloned().collect();
    let mut rows = rows(db, &found).await?;
    let dids: Vec<Did> =
        rows.values().flat_map(|row| std::iter::once(&row.did).chain(&row.features)).cloned().collect();
    let people = hydrate::people(options, db, &dids).await?;
    let counts = hydrate::counts(db, &found).await?;
    let cids: Vec<String> =
        rows.values().flat_map(|row| [&row.audio_cid, &row.image_cid]).flatten().cloned().collect();
    let bytes = Bytes {
        media: hydrate::media(options, db, &cids).await?,
        thumbnails: hydrate::thumbnails(options, db, &cids).await?,
        sounds: hydrate::sounds(db, &own_sounds(options, rows.values())).await?,
    };
    let ids = public_id::of(db, "track", &found).await?;
    let mut likes = match viewer {
        Some(viewer) => Some(hydrate::likes_of(db, &viewer.did, &found).await?),
        None => None,
    };

    let mut views = Vec::with_capacity(found.len());
    let mut size_bytes = 0;
    for (position, uri) in uris[..covered].iter().enumerate() {
        let (Some(row), Some(record)) = (rows.remove(uri.as_str()), records.remove(uri.as_str())) else {
            continue;
        };
        let counts = counts.get(uri.as_str()).copied().unwrap_or_default();
        let Some(mut view) = view(options, uri, row, record, &people, counts, &bytes) else { continue };
        view.id = ids.get(uri.as_str()).copied().unwrap_or_default();
        view.viewer = likes.as_mut().map(|likes| ViewerState { like: likes.remove(uri.as_str()) });
        // Its JSON may be six times as long as the bytes that the query limited.
        size_bytes += json_size_bytes(&view)?;
        if size_bytes > PAGE_MAX_BYTES && !views.is_empty() {
            return Ok((views, position));
        }
        views.push(view);
    }
    Ok((views, covered))
}

/// One track as it is shown; nothing when its author may not be seen.
fn view(
    options: &Options,
    uri: &AtUri,
    row: Row,
    record: Record,
    people: &HashMap<Did, ProfileViewBasic>,
    counts: Counts,
    bytes: &Bytes,
) -> Option<TrackView> {
    let author = people.get(&row.did)?.clone();
    // What the bytes are decides, not what the record takes them for.
    let held = |cid: &Option<String>, kind| bytes.media.get(&(cid.clone()?, kind)).cloned();
    let audio = match &row.audio_cid {
        Some(_) => held(&row.audio_cid, Kind::Audio),
        None => row.audio_url.as_deref().and_then(|url| playable(options, url, &bytes.sounds)),
    };
    let thumbnail = row.image_cid.as_ref().and_then(|cid| bytes.thumbnails.get(cid).cloned());
    Some(TrackView {
        uri: uri.clone(),
        id: 0,
        viewer: None,
        labels: label::own(uri, &record.version.cid, row.created_at, &record.json),
        cid: record.version.cid,
        rev: record.version.rev,
        author,
        record: record.json,
        audio,
        cover: held(&row.image_cid, Kind::Image),
        thumbnail,
        features: row.features.iter().filter_map(|did| people.get(did)).cloned().collect(),
        tags: row.tags,
        like_count: counts.likes,
        like_sources: counts.sources,
        share_count: counts.shares,
        repost_count: counts.reposts,
        comment_count: counts.comments,
        play_count: counts.plays,
        play_sources: counts.play_sources,
        sort_at: row.sort_at,
        indexed_at: record.version.indexed_at,
    })
}

/// What we hold of the bytes that a page of tracks names.
struct Bytes {
    media: HashMap<(String, Kind), String>,
    thumbnails: HashMap<String, String>,
    sounds: HashSet<String>,
}

/// The file ids in addresses of ours that records name.
fn own_sounds<'a>(options: &Options, rows: impl Iterator<Item = &'a Row>) -> Vec<String> {
    let urls = rows.filter_map(|row| Url::parse(row.audio_url.as_deref()?).ok());
    urls.filter_map(|url| options.file_id_in(&url)).collect()
}

/// Where a page may play what a record gives only an address for: at a foreign host that encrypts, or at ours if we have it.
fn playable(options: &Options, text: &str, sounds: &HashSet<String>) -> Option<String> {
    let url = Url::parse(text).ok()?;
    if options.is_ours(&url) {
        return options.file_id_in(&url).filter(|id| sounds.contains(id)).map(|id| options.audio_url(&id));
    }
    let plain = url.username().is_empty() && url.password().is_none() && text.len() <= 2048;
    (plain && url.has_host() && url.scheme() == "https").then(|| text.to_owned())
}

fn json_size_bytes(view: &TrackView) -> Result<usize, Error> {
    Ok(serde_json::to_vec(view).map_err(Error::internal)?.len())
}

async fn rows(db: &mut PgConnection, uris: &[String]) -> Result<HashMap<String, Row>, Error> {
    let rows = sqlx::query!(
        "select uri, did, audio_cid, audio_url, image_cid, tags, feature_dids, created_at, sort_at
           from track where uri = any($1)",
        uris
    )
    .fetch_all(db)
    .await?;
    let mut tracks = HashMap::with_capacity(rows.len());
    for row in rows {
        // Not a key of ours but a claim in a record: one that is no DID features nobody.
        let features = row.feature_dids.iter().filter_map(|did| did.parse().ok()).collect();
        let track = Row {
            uri: row.uri,
            did: stored(&row.did)?,
            audio_cid: row.audio_cid,
            audio_url: row.audio_url,
            image_cid: row.image_cid,
            tags: row.tags,
            features,
            created_at: row.created_at,
            sort_at: row.sort_at,
        };
        tracks.insert(track.uri.clone(), track);
    }
    Ok(tracks)
}
