//! What people heard and like, as the plays and likes themselves say.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::Kind;

/// Plays of one person in one hour that are looked at, the earliest: nobody hears more.
const PLAYS_MAX: i64 = 500;

/// (listener, hour) → (kind, key) → how often it was heard, and what it is called.
pub(super) type Heard = BTreeMap<(String, i32), BTreeMap<(Kind, String), (i64, Option<String>)>>;

/// The key of an artist in play records: MusicBrainz's name, or what the record calls them.
fn artist_key(mbid: &str, name: &str) -> String {
    if mbid.is_empty() { named(&[name]) } else { mbid.to_owned() }
}

/// The key of a release or a recording: of two artists' "Greatest Hits" each is one.
fn work_key(mbid: Option<&str>, artist: &str, name: &str) -> String {
    mbid.and_then(crate::record::mbid).unwrap_or_else(|| named(&[artist, name]))
}

fn named(parts: &[&str]) -> String {
    let folded: Vec<String> = parts.iter().map(|part| part.trim().to_lowercase()).collect();
    format!("name:{}", folded.join("\u{1f}"))
}

/// Counts what these people heard in these hours.
pub(super) async fn heard(db: &mut PgConnection, wanted: &BTreeSet<(String, i32)>) -> sqlx::Result<Heard> {
    let mut heard: Heard = wanted.iter().map(|of| (of.clone(), BTreeMap::new())).collect();
    let dids: Vec<&str> = wanted.iter().map(|(did, _)| did.as_str()).collect();
    let hours: Vec<i32> = wanted.iter().map(|(_, hour)| *hour).collect();
    // Of the records of one play the one in the newer namespace speaks, whose name sorts after the other's.
    let rows = sqlx::query!(
        r#"select w.did as "did!", w.hour as "hour!", p.play_key, p.subject_uri, p.track_name,
                  p.artist_names[1:20] as "artist_names!", p.artist_mbids[1:20] as "artist_mbids!",
                  p.release_name, p.release_mbid, p.recording_mbid
           from unnest($1::text[], $2::integer[]) as w (did, hour) cross join lateral (
             select * from play
              where play.did = w.did collate "C"
                and played_at >= to_timestamp(w.hour * 3600.0) and played_at < to_timestamp((w.hour + 1) * 3600.0)
              order by played_at, uri limit $3) as p
           order by p.uri desc"#,
        &dids as &[&str],
        &hours,
        PLAYS_MAX
    )
    .fetch_all(&mut *db)
    .await?;
    let mut said = BTreeSet::new();
    let mut of_subject = BTreeSet::new();
    for row in rows {
        let Some(things) = heard.get_mut(&(row.did.clone(), row.hour)) else { continue };
        let mut add = |kind, key, name: Option<&str>| {
            let (plays, called) = things.entry((kind, key)).or_default();
            *plays += 1;
            *called = name.map(str::to_owned);
        };
        if let Some(subject) = row.subject_uri
            && of_subject.insert((row.did.clone(), row.play_key.clone(), subject.clone()))
        {
            add(Kind::Track, subject, None);
        }
        if !said.insert((row.did, row.play_key)) {
            continue;
        }
        let first = row.artist_names.first().map_or("", String::as_str);
        let mut credited = BTreeSet::new();
        for (at, name) in row.artist_names.iter().enumerate() {
            let key = artist_key(row.artist_mbids.get(at).map_or("", String::as_str), name);
            if credited.insert(key.clone()) {
                add(Kind::PlayedArtist, key, Some(name));
            }
        }
        if let Some(name) = row.release_name.as_deref().filter(|name| !name.trim().is_empty()) {
            add(Kind::PlayedRelease, work_key(row.release_mbid.as_deref(), first, name), Some(name));
        }
        let key = work_key(row.recording_mbid.as_deref(), first, &row.track_name);
        add(Kind::PlayedRecording, key, Some(&row.track_name));
    }
    let told = sqlx::query!(
        r#"select e.listener, w.hour as "hour!", e.subject_uri, count(*) as "plays!"
           from unnest($1::text[], $2::integer[]) as w (did, hour)
           join play_event e on e.listener = w.did collate "C" and not (e.covered or e.crowded)
            and e.played_at >= to_timestamp(w.hour * 3600.0) and e.played_at < to_timestamp((w.hour + 1) * 3600.0)
           group by e.listener, w.hour, e.subject_uri"#,
        &dids as &[&str],
        &hours
    )
    .fetch_all(db)
    .await?;
    for row in told {
        if let Some(things) = heard.get_mut(&(row.listener, row.hour)) {
            things.entry((Kind::Track, row.subject_uri)).or_default().0 += row.plays;
        }
    }
    heard.values_mut().flat_map(BTreeMap::values_mut).for_each(|(plays, _)| *plays = PLAYS_MAX.min(*plays));
    Ok(heard)
}

/// Since which hour they like these tracks; none where they do not.
pub(super) async fn liked(
    db: &mut PgConnection,
    wanted: &BTreeSet<(String, String)>,
) -> sqlx::Result<BTreeMap<(String, String), Option<i32>>> {
    let dids: Vec<&str> = wanted.iter().map(|(did, _)| did.as_str()).collect();
    let subjects: Vec<&str> = wanted.iter().map(|(_, subject)| subject.as_str()).collect();
    let rows = sqlx::query!(
        r#"select w.did as "did!", w.subject_uri as "subject_uri!",
                  (select floor(extract(epoch from min(r.sort_at)) / 3600)::integer from reaction r
                    where r.subject_uri = w.subject_uri collate "C" and r.did = w.did collate "C"
                      and r.verb = 'like') as hour
           from unnest($1::text[], $2::text[]) as w (did, subject_uri)"#,
        &dids as &[&str],
        &subjects as &[&str]
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| ((row.did, row.subject_uri), row.hour)).collect())
}
