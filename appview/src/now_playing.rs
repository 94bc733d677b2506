//! What somebody hears now: as a player of ours tells it, else as the newest of their status records does.

pub(crate) mod http;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::actor::{AtIdentifier, visible};
use crate::error::{Error, stored};
use crate::session::Viewer;
use crate::track::{self, TrackView};
use crate::{App, Options, audio};

/// For so long a player's word holds.
const PLAYER_LIFE_S: i64 = 300;
/// No record holds longer than this, whatever it says.
const STATUS_LIFE_S: f64 = 24.0 * 3600.0;

/// What one of them says.
#[derive(Debug)]
pub(crate) struct Playing {
    pub track_name: String,
    pub artist_names: Vec<String>,
    pub album_name: Option<String>,
    pub duration_ms: Option<i64>,
    pub progress_ms: Option<i64>,
    pub source: &'static str,
    pub expires_at: DateTime<Utc>,
    pub origin_uri: Option<String>,
    pub service_uri: Option<String>,
    pub file_id: Option<String>,
    pub image_url: Option<String>,
    /// The track of ours that it is.
    pub subject: Option<AtUri>,
}

/// The newest status record of somebody, while it holds.
#[derive(Debug)]
pub(crate) struct TealStatus {
    pub uri: String,
    pub started_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    track_name: String,
    artist_names: Vec<String>,
    release_name: Option<String>,
    duration_s: Option<i32>,
    origin_uri: Option<String>,
    service_uri: Option<String>,
    subject_uri: Option<String>,
}

/// One person has one status: the newest record decides, whichever namespace it is in, and one without a name says that
/// nothing plays.
pub(crate) async fn teal_status(db: &mut PgConnection, did: &Did) -> Result<Option<TealStatus>, Error> {
    let newest = sqlx::query_as!(
        TealStatus,
        "select uri, started_at, least(expires_at, started_at + make_interval(secs => $2)) as \"expires_at!\",
                track_name, artist_names, release_name, duration_s, origin_uri, service_uri, subject_uri
           from actor_status
          where did = $1 and started_at < now() + interval '5 minutes'
          order by started_at desc, uri desc
          limit 1",
        did.as_str(),
        STATUS_LIFE_S
    )
    .fetch_optional(db)
    .await?;
    Ok(newest.filter(|status| status.expires_at > Utc::now() && !status.track_name.is_empty()))
}

/// What somebody hears now.
pub(crate) async fn playing(db: &mut PgConnection, did: &Did) -> Result<Option<Playing>, Error> {
    let player = sqlx::query!(
        "select track_id, file_id, track_name, artist_name, album_name, duration_ms, progress_ms, is_playing, image_url,
                updated_at
           from player_state where did = $1 and updated_at > now() - make_interval(secs => $2)",
        did.as_str(),
        PLAYER_LIFE_S as f64
    )
    .fetch_optional(&mut *db)
    .await?;
    if let Some(row) = player {
        if !row.is_playing {
            return Ok(None);
        }
        let subject = match row.track_id {
            Some(id) => {
                sqlx::query_scalar!("select uri from public_id where id = $1 and kind = 'track'", id)
                    .fetch_optional(db)
                    .await?
            }
            None => None,
        };
        return Ok(Some(Playing {
            track_name: row.track_name,
            artist_names: vec![row.artist_name],
            album_name: row.album_name,
            duration_ms: Some(row.duration_ms),
            progress_ms: Some(row.progress_ms),
            source: "player",
            expires_at: row.updated_at + TimeDelta::seconds(PLAYER_LIFE_S),
            origin_uri: None,
            service_uri: None,
            file_id: row.file_id,
            image_url: row.image_url,
            subject: subject.as_deref().map(stored).transpose()?,
        }));
    }
    let Some(status) = teal_status(db, did).await? else { return Ok(None) };
    let duration_ms = status.duration_s.map(|seconds| i64::from(seconds) * 1000);
    let progress_ms = (Utc::now() - status.started_at).num_milliseconds().max(0);
    Ok(Some(Playing {
        track_name: status.track_name,
        artist_names: status.artist_names,
        album_name: status.release_name,
        progress_ms: Some(duration_ms.map_or(progress_ms, |duration_ms| progress_ms.min(duration_ms))),
        duration_ms,
        source: "teal",
        expires_at: status.expires_at,
        origin_uri: status.origin_uri,
        service_uri: status.service_uri,
        file_id: None,
        image_url: None,
        subject: status.subject_uri.as_deref().map(stored).transpose()?,
    }))
}

/// `fm.plyr.actor.defs#nowPlayingView`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NowPlayingView {
    /// What it is called.
    pub track_name: String,
    /// By whom.
    pub artist_names: Vec<String>,
    /// On which album.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub album_name: Option<String>,
    /// How long it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<i64>,
    /// How far it has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress_ms: Option<i64>,
    /// Who says so: `player` or `teal`.
    pub source: &'static str,
    /// When this is not true any more.
    pub expires_at: DateTime<Utc>,
    /// Where it is heard, as the record says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin_uri: Option<String>,
    /// The service it is heard on, as the record says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_uri: Option<String>,
    /// The track, where it is one of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<TrackView>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetNowPlaying {
    actor: AtIdentifier,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NowPlaying {
    did: Did,
    #[serde(skip_serializing_if = "Option::is_none")]
    now_playing: Option<NowPlayingView>,
}

/// `fm.plyr.actor.getNowPlaying`.
pub(crate) async fn get_now_playing(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: crate::xrpc::Params<GetNowPlaying>,
) -> Result<Json<NowPlaying>, Error> {
    let mut db = app.pool.acquire().await?;
    let did = visible(&mut db, params.0.actor).await?;
    let Some(playing) = playing(&mut db, &did).await? else {
        return Ok(Json(NowPlaying { did, now_playing: None }));
    };
    let track = match &playing.subject {
        Some(uri) => {
            let uris = std::slice::from_ref(uri);
            track::views(&app.options, &mut db, viewer.as_ref(), uris).await?.0.pop()
        }
        None => None,
    };
    let now_playing = Some(NowPlayingView {
        track_name: playing.track_name,
        artist_names: playing.artist_names,
        album_name: playing.album_name,
        duration_ms: playing.duration_ms,
        progress_ms: playing.progress_ms,
        source: playing.source,
        expires_at: playing.expires_at,
        origin_uri: playing.origin_uri,
        service_uri: playing.service_uri,
        track,
    });
    Ok(Json(NowPlaying { did, now_playing }))
}

/// What the HTTP API calls a track and its sound.
#[derive(Debug, Default)]
struct Named {
    track_id: Option<i64>,
    file_id: Option<String>,
}

/// Nothing where it is not here, or its artist cannot be seen.
async fn named(options: &Options, db: &mut PgConnection, uri: &AtUri) -> Result<Option<Named>, Error> {
    let found = sqlx::query!(
        r#"select n.id as "id?", blob.file_id as "file_id?", audio_url,
                  case when audio_cid is null then left(md5(audio_url), 16) end as address_id
             from track
             join actor on actor.did = track.did and actor.active
             left join public_id n on n.kind = 'track' and n.uri = track.uri
             left join blob on blob.cid = audio_cid
            where track.uri = $1"#,
        uri.as_str()
    )
    .fetch_optional(db)
    .await?;
    Ok(found.map(|row| {
        let by_address = row.audio_url.zip(row.address_id);
        let file_id = row.file_id.or_else(|| by_address.map(|(url, id)| audio::id_of(options, &url, id)));
        Named { track_id: row.id, file_id }
    }))
}
