//! What somebody hears now: as a player of ours tells it, else as the newest of their status records does.

pub(crate) mod http;

use std::collections::{HashMap, HashSet};

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use indexer::apply::player;
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::actor::{AtIdentifier, visible};
use crate::error::{Error, stored};
use crate::session::Viewer;
use crate::track::{self, TrackView};
use crate::{App, Options, audio};

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
    did: String,
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
    Ok(teal_statuses(db, &[did.as_str()]).await?.remove(did.as_str()))
}

async fn teal_statuses(db: &mut PgConnection, dids: &[&str]) -> sqlx::Result<HashMap<String, TealStatus>> {
    let newest = sqlx::query_as!(
        TealStatus,
        r#"select s.did, uri, started_at, least(expires_at, started_at + make_interval(secs => $2)) as "expires_at!",
                  track_name, artist_names, release_name, duration_s, origin_uri, service_uri, subject_uri
             from unnest($1::text[]) as w (did) cross join lateral (
               select * from actor_status a
                where a.did = w.did collate "C" and started_at < now() + interval '5 minutes'
                order by started_at desc, uri desc limit 1) as s"#,
        dids as &[&str],
        STATUS_LIFE_S
    )
    .fetch_all(db)
    .await?;
    let now = Utc::now();
    let hold = newest.into_iter().filter(|status| status.expires_at > now && !status.track_name.is_empty());
    Ok(hold.map(|status| (status.did.clone(), status)).collect())
}

/// What somebody hears now.
pub(crate) async fn playing(db: &mut PgConnection, did: &Did) -> Result<Option<Playing>, Error> {
    Ok(playing_of(db, &[did.as_str()]).await?.remove(did.as_str()))
}

/// What these people hear now; those who hear nothing are left out.
pub(crate) async fn playing_of(
    db: &mut PgConnection,
    dids: &[&str],
) -> Result<HashMap<String, Playing>, Error> {
    let players = sqlx::query!(
        r#"select did, file_id, track_name, artist_name, album_name, duration_ms, progress_ms, is_playing, image_url, updated_at,
                  (select uri from public_id where id = track_id and kind = 'track') as subject
             from player_state where did = any($1) and updated_at > now() - make_interval(secs => $2)"#,
        dids as &[&str],
        player::LIFE_S as f64
    )
    .fetch_all(&mut *db)
    .await?;
    // A player's word goes before any record, also where it says that nothing plays.
    let told: HashSet<&str> = players.iter().map(|row| row.did.as_str()).collect();
    let others: Vec<&str> = dids.iter().copied().filter(|did| !told.contains(did)).collect();
    let statuses = if others.is_empty() { HashMap::new() } else { teal_statuses(db, &others).await? };
    let mut playing = HashMap::new();
    for (did, status) in statuses {
        playing.insert(did, Playing::of_record(status)?);
    }
    for row in players.into_iter().filter(|row| row.is_playing) {
        let of_player = Playing {
            track_name: row.track_name,
            artist_names: vec![row.artist_name],
            album_name: row.album_name,
            duration_ms: Some(row.duration_ms),
            progress_ms: Some(row.progress_ms),
            source: "player",
            expires_at: row.updated_at + TimeDelta::seconds(player::LIFE_S),
            origin_uri: None,
            service_uri: None,
            file_id: row.file_id,
            image_url: row.image_url,
            subject: row.subject.as_deref().map(stored).transpose()?,
        };
        playing.insert(row.did, of_player);
    }
    Ok(playing)
}

impl Playing {
    fn of_record(status: TealStatus) -> Result<Self, Error> {
        let duration_ms = status.duration_s.map(|seconds| i64::from(seconds) * 1000);
        let progress_ms = (Utc::now() - status.started_at).num_milliseconds().max(0);
        Ok(Playing {
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
        })
    }

    /// With the track, where it is one of ours that may be shown.
    pub fn view(self, track: Option<TrackView>) -> NowPlayingView {
        NowPlayingView {
            track_name: self.track_name,
            artist_names: self.artist_names,
            album_name: self.album_name,
            duration_ms: self.duration_ms,
            progress_ms: self.progress_ms,
            source: self.source,
            expires_at: self.expires_at,
            origin_uri: self.origin_uri,
            service_uri: self.service_uri,
            track,
        }
    }
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
    let now_playing = Some(playing.view(track));
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
