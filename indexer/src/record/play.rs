//! `fm.teal.feed.play` and `fm.teal.alpha.feed.play` → `play`, and the number of plays of a track of ours.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;

use super::{Checked, duration_s};
use crate::apply::effects::{Count, Effects};
use crate::copy::{self, Rows, Target};
use crate::lexicon;
use crate::sabotage;
use crate::syntax::Tid;

/// What somebody hears, as plays and statuses of both namespaces tell it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Heard {
    pub track_name: String,
    #[serde(default)]
    pub artists: Vec<Artist>,
    /// Before there was `artists`.
    #[serde(default)]
    pub artist_names: Vec<String>,
    pub release_name: Option<String>,
    pub recording_mb_id: Option<String>,
    pub release_mb_id: Option<String>,
    pub isrc: Option<String>,
    pub duration: Option<i64>,
    pub origin_uri: Option<String>,
    /// The alpha name of `originUri`.
    pub origin_url: Option<String>,
    pub music_service_uri: Option<String>,
    /// The alpha form of `musicServiceUri`: a bare domain.
    pub music_service_base_domain: Option<String>,
    pub played_time: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Artist {
    pub artist_name: String,
}

impl Heard {
    pub fn artist_names(&mut self) -> Vec<String> {
        if self.artists.is_empty() {
            std::mem::take(&mut self.artist_names)
        } else {
            self.artists.drain(..).map(|artist| artist.artist_name).collect()
        }
    }

    pub fn origin(&mut self) -> Option<String> {
        self.origin_uri.take().or_else(|| self.origin_url.take())
    }

    pub fn service(&mut self) -> Option<String> {
        let domain = self.music_service_base_domain.take();
        self.music_service_uri.take().or_else(|| domain.map(|domain| format!("https://{domain}")))
    }
}

/// A row of `play`.
#[derive(Debug)]
pub struct Row {
    pub(super) uri: String,
    did: String,
    pub(super) play_key: String,
    heard: Heard,
    artist_names: Vec<String>,
    origin_uri: Option<String>,
    service_uri: Option<String>,
    pub(super) subject_uri: Option<String>,
    pub(super) played_at: DateTime<Utc>,
}

pub(super) fn read(mut checked: Checked) -> Result<Row, String> {
    let mut heard: Heard = checked.typed()?;
    // A player's clock may run ahead, and old scrobbles lack the time: then the record key, a clock reading, tells it.
    let claimed = heard.played_time.as_deref().and_then(lexicon::parse_datetime_or_unix);
    let keyed = || {
        checked
            .uri
            .rkey()
            .parse::<Tid>()
            .ok()
            .and_then(|tid| DateTime::from_timestamp_micros(tid.timestamp_us()))
    };
    let played_at = checked.sort_at(claimed.or_else(keyed).unwrap_or(checked.first_seen_at));
    let artist_names = heard.artist_names();
    let origin_uri = heard.origin();
    let subject = origin_uri.as_deref().and_then(|origin| checked.registry.track_named_by(origin));
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        play_key: play_key(played_at, &heard.track_name, artist_names.first().map_or("", String::as_str)),
        artist_names,
        service_uri: heard.service(),
        heard,
        subject_uri: subject.map(String::from),
        origin_uri,
        played_at,
    })
}

/// What makes two records of one person the same play: the second, the title and the first artist.
fn play_key(played_at: DateTime<Utc>, track_name: &str, artist: &str) -> String {
    let mut hash = Sha256::new();
    for part in [&played_at.timestamp().to_string(), &track_name.to_lowercase(), &artist.to_lowercase()] {
        hash.update(part.trim());
        hash.update([0]);
    }
    hex::encode(&hash.finalize()[..16])
}

/// (person, play, subject): the same play in two namespaces counts once.
type Key = (String, String, String);

/// The columns of `play` that a record gives.
pub const PLAYS: Target = copy::into!(play: uri, did, play_key, track_name, artist_names, release_name, recording_mbid,
    release_mbid, isrc, duration_s, origin_uri, service_uri, subject_uri, played_at);

pub(super) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let mut lost: BTreeSet<Key> = BTreeSet::new();
    if !gone.is_empty() {
        let gone =
            sqlx::query!("delete from play where uri = any($1) returning did, play_key, subject_uri", gone)
                .fetch_all(&mut *db)
                .await?;
        lost.extend(gone.into_iter().filter_map(|row| Some((row.did, row.play_key, row.subject_uri?))));
    }
    for (did, _, subject) in lost.difference(&held(db, &lost).await?) {
        effects.count(did, subject, Count::Plays, -1);
        effects.touch(subject, false);
    }
    let won: BTreeSet<Key> = rows
        .iter()
        .filter_map(|row| Some((row.did.clone(), row.play_key.clone(), row.subject_uri.clone()?)))
        .collect();
    for (did, _, subject) in won.difference(&held(db, &won).await?) {
        effects.count(did, subject, Count::Plays, 1);
        effects.touch(subject, false);
    }
    let mut plays = Rows::into(PLAYS);
    for row in rows {
        let heard = &row.heard;
        plays.row().field(&row.uri).field(&row.did).field(&row.play_key).field(&heard.track_name);
        plays.field(&row.artist_names).field(&heard.release_name).field(&heard.recording_mb_id);
        plays.field(&heard.release_mb_id).field(&heard.isrc).field(duration_s(heard.duration));
        plays.field(&row.origin_uri).field(&row.service_uri).field(&row.subject_uri).field(row.played_at);
    }
    plays.write(db).await
}

/// Which of the plays have a row.
async fn held(db: &mut PgConnection, keys: &BTreeSet<Key>) -> sqlx::Result<BTreeSet<Key>> {
    if keys.is_empty() || sabotage::is_on("play-counted-per-record") {
        return Ok(BTreeSet::new());
    }
    let dids: Vec<String> = keys.iter().map(|key| key.0.clone()).collect();
    let plays: Vec<String> = keys.iter().map(|key| key.1.clone()).collect();
    let subjects: Vec<String> = keys.iter().map(|key| key.2.clone()).collect();
    let rows = sqlx::query!(
        r#"select distinct p.did, p.play_key, p.subject_uri as "subject_uri!"
         from unnest($1::text[], $2::text[], $3::text[]) as key (did, play_key, subject_uri)
         join play p on p.subject_uri = key.subject_uri collate "C" and p.did = key.did collate "C"
                    and p.play_key = key.play_key"#,
        &dids,
        &plays,
        &subjects
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.did, row.play_key, row.subject_uri)).collect())
}
