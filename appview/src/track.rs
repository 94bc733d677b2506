//! Tracks: some of them by name, and how one looks from outside.

pub(crate) mod http;
mod load;
pub(crate) mod response;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::syntax::AtUri;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::App;
use crate::actor::ProfileViewBasic;
use crate::comment::{self, CommentCursor};
use crate::error::Error;
use crate::hydrate::{LikeSources, PlaySources};
use crate::label::Label;
use crate::session::Viewer;
pub(crate) use load::views;

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
    /// What the HTTP API calls the address of its sound, where the record has no blob.
    #[serde(skip)]
    pub address_id: Option<String>,
    /// Our copy of the cover; else a foreign https address that the record gives for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover: Option<String>,
    /// A small form of it, where we made one of our copy.
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
