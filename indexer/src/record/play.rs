//! `fm.teal.feed.play` and `fm.teal.alpha.feed.play` → `play`, and the number of plays of a track of ours.

use std::collections::{BTreeMap, BTreeSet};

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
    #[serde(default)]
    pub artist_mb_ids: Vec<String>,
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
    pub artist_mb_id: Option<String>,
}

impl Heard {
    pub fn artist_names(&mut self) -> Vec<String> {
        self.artists().0
    }

    /// Their names, and beside each MusicBrainz's identifier or nothing; the first of them, where somebody credits a crowd.
    fn artists(&mut self) -> (Vec<String>, Vec<String>) {
        self.artists.truncate(CREDITS_MAX);
        self.artist_names.truncate(CREDITS_MAX);
        let id = |text: Option<&str>| text.and_then(mbid).unwrap_or_default();
        if self.artists.is_empty() {
            let names = std::mem::take(&mut self.artist_names);
            let ids = (0..names.len()).map(|at| id(self.artist_mb_ids.get(at).map(String::as_str)));
            let ids = ids.collect();
            return (names, ids);
        }
        let artists = self.artists.drain(..);
        artists.map(|artist| (artist.artist_name, id(artist.artist_mb_id.as_deref()))).unzip()
    }

    pub fn origin(&mut self) -> Option<String> {
        self.origin_uri.take().or_else(|| self.origin_url.take())
    }

    pub fn service(&mut self) -> Option<String> {
        let domain = self.music_service_base_domain.take();
        self.music_service_uri.take().or_else(|| domain.map(|domain| format!("https://{domain}")))
    }
}

/// Artists of a play that are looked at.
const CREDITS_MAX: usize = 20;

/// An identifier of MusicBrainz as `mbid:` and a UUID; older records have the bare UUID. `None` for anything else.
pub fn mbid(text: &str) -> Option<String> {
    let uuid = text.strip_prefix("mbid:").unwrap_or(text);
    let fits = uuid.len() == 36
        && uuid.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    fits.then(|| format!("mbid:{}", uuid.to_ascii_lowercase()))
}

/// A row of `play`.
#[derive(Debug)]
pub struct Row {
    pub(super) uri: String,
    did: String,
    pub(super) play_key: String,
    heard: Heard,
    artist_names: Vec<String>,
    artist_mbids: Vec<String>,
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
    let (artist_names, artist_mbids) = heard.artists();
    let origin_uri = heard.origin();
    let subject = origin_uri.as_deref().and_then(|origin| checked.track(origin));
    Ok(Row {
        uri: checked.uri.to_string(),
        did: checked.uri.did().into(),
        play_key: play_key(played_at, &heard.track_name, artist_names.first().map_or("", String::as_str)),
        artist_names,
        artist_mbids,
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
pub const PLAYS: Target = copy::into!(play: uri, did, play_key, track_name, artist_names, artist_mbids, release_name,
    recording_mbid, release_mbid, isrc, duration_s, origin_uri, service_uri, subject_uri, played_at);

pub(super) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let mut lost: BTreeSet<Key> = BTreeSet::new();
    let mut around = Around::new();
    if !gone.is_empty() {
        let gone = sqlx::query!(
            "delete from play where uri = any($1) returning did, play_key, subject_uri, played_at",
            gone
        )
        .fetch_all(&mut *db)
        .await?;
        for row in gone {
            effects.heard(&row.did, row.played_at);
            if let Some(subject) = row.subject_uri {
                note(&mut around, &row.did, &subject, row.played_at);
                lost.insert((row.did, row.play_key, subject));
            }
        }
    }
    for (did, _, subject) in lost.difference(&held(db, &lost).await?) {
        effects.count(did, subject, Count::Plays, -1);
        effects.count(did, subject, Count::TealPlays, -1);
        effects.touch(subject, false);
    }
    let won: BTreeSet<Key> = rows
        .iter()
        .filter_map(|row| Some((row.did.clone(), row.play_key.clone(), row.subject_uri.clone()?)))
        .collect();
    for (did, _, subject) in won.difference(&held(db, &won).await?) {
        effects.count(did, subject, Count::Plays, 1);
        effects.count(did, subject, Count::TealPlays, 1);
        effects.touch(subject, false);
    }
    for row in rows {
        effects.heard(&row.did, row.played_at);
        effects.happen("play", &row.uri, &row.did, row.subject_uri.as_deref(), row.played_at);
        if let Some(subject) = &row.subject_uri {
            note(&mut around, &row.did, subject, row.played_at);
        }
    }
    let mut plays = Rows::into(PLAYS);
    for row in rows {
        let heard = &row.heard;
        plays.row().field(&row.uri).field(&row.did).field(&row.play_key).field(&heard.track_name);
        plays.field(&row.artist_names).field(&row.artist_mbids).field(&heard.release_name);
        plays
            .field(&heard.recording_mb_id)
            .field(&heard.release_mb_id)
            .field(&heard.isrc)
            .field(duration_s(heard.duration));
        plays.field(&row.origin_uri).field(&row.service_uri).field(&row.subject_uri).field(row.played_at);
    }
    plays.write(db).await?;
    cover(db, &around, effects).await
}

/// (person, subject), and between which moments plays of theirs came or went.
type Around = BTreeMap<(String, String), [DateTime<Utc>; 2]>;

fn note(around: &mut Around, did: &str, subject: &str, played_at: DateTime<Utc>) {
    let [from, upto] = around.entry((did.to_owned(), subject.to_owned())).or_insert([played_at; 2]);
    *from = played_at.min(*from);
    *upto = played_at.max(*upto);
}

/// Sees which of our own play events are told by a record, too: one play, counted by the record.
async fn cover(db: &mut PgConnection, around: &Around, effects: &mut Effects) -> sqlx::Result<()> {
    if around.is_empty() {
        return Ok(());
    }
    let text = |of: fn(&(String, String)) -> &String| around.keys().map(of).cloned().collect::<Vec<_>>();
    let time = |at: usize| around.values().map(|range| range[at]).collect::<Vec<_>>();
    // Nobody's window is longer than an hour: see `apply::hear`.
    let changed = sqlx::query!(
        r#"update play_event e set covered = not e.covered
             from unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[]) as w (did, subject_uri, lower, upper)
            where e.listener = w.did collate "C" and e.subject_uri = w.subject_uri collate "C"
              and e.played_at between w.lower - interval '1 hour' and w.upper + interval '1 hour'
              and e.covered is distinct from coalesce((
                select true from play p
                 where p.did = e.listener and p.subject_uri = e.subject_uri
                   and p.played_at between e.played_at - make_interval(secs => e.window_s)
                                       and e.played_at + make_interval(secs => e.window_s)
                 limit 1), false)
           returning e.listener, e.subject_uri, e.played_at, e.covered"#,
        &text(|key| &key.0),
        &text(|key| &key.1),
        &time(0),
        &time(1)
    )
    .fetch_all(db)
    .await?;
    for row in changed {
        effects.count(&row.listener, &row.subject_uri, Count::Plays, if row.covered { -1 } else { 1 });
        effects.heard(&row.listener, row.played_at);
        effects.touch(&row.subject_uri, false);
    }
    Ok(())
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
