//! What a track counts for beside itself: its artist, and its tags.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::PgConnection;

use super::moves::Moves;
use super::subject::Subjects;
use super::{Kind, carry};

/// The members of each track, as they stand: ids of artists and tags, with their kind.
#[derive(Debug, Default)]
pub(super) struct Members(HashMap<i32, Vec<(i32, Kind)>>);

impl Members {
    /// Of these tracks.
    pub async fn of(db: &mut PgConnection, tracks: &BTreeSet<i32>) -> sqlx::Result<Self> {
        let tracks: Vec<i32> = tracks.iter().copied().collect();
        let rows = sqlx::query!(
            "select m.track_id, m.key_id, s.kind from chart_member m join chart_subject s on s.id = m.key_id
             where m.track_id = any($1)",
            &tracks
        )
        .fetch_all(db)
        .await?;
        let mut members = Members::default();
        for row in rows {
            let Some(kind) = Kind::of(row.kind) else { continue };
            members.0.entry(row.track_id).or_default().push((row.key_id, kind));
        }
        Ok(members)
    }

    pub fn of_track(&self, track: i32) -> &[(i32, Kind)] {
        self.0.get(&track).map_or(&[], Vec::as_slice)
    }
}

/// Looks at what these tracks count for now, and carries what was heard and liked of them to where that has changed. A track
/// that is gone counts for nothing.
pub(super) async fn renew(db: &mut PgConnection, uris: &[String], moves: &mut Moves) -> sqlx::Result<()> {
    if uris.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query!("select uri, did, tags from track where uri = any($1)", uris)
        .fetch_all(&mut *db)
        .await?;
    let mut wanted: BTreeMap<&str, BTreeSet<(Kind, String)>> =
        uris.iter().map(|uri| (uri.as_str(), BTreeSet::new())).collect();
    for row in &rows {
        let keys = wanted.entry(&row.uri).or_default();
        keys.insert((Kind::Artist, row.did.clone()));
        keys.extend(row.tags.iter().map(|tag| (Kind::Tag, tag.clone())));
    }
    let mut named: BTreeMap<(Kind, String), Option<String>> =
        uris.iter().map(|uri| ((Kind::Track, uri.clone()), None)).collect();
    named.extend(wanted.values().flatten().map(|key| (key.clone(), None)));
    let subjects = Subjects::named(db, named).await?;
    let ids: BTreeSet<i32> = uris.iter().filter_map(|uri| subjects.id(Kind::Track, uri)).collect();
    let held = Members::of(db, &ids).await?;
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    for (uri, keys) in wanted {
        let Some(track) = subjects.id(Kind::Track, uri) else { continue };
        let keys: BTreeSet<(i32, Kind)> =
            keys.iter().filter_map(|(kind, key)| Some((subjects.id(*kind, key)?, *kind))).collect();
        let held: BTreeSet<(i32, Kind)> = held.of_track(track).iter().copied().collect();
        gone.extend(held.difference(&keys).map(|key| (track, *key, -1)));
        new.extend(keys.difference(&held).map(|key| (track, *key, 1)));
    }
    write(db, &gone, &new).await?;
    let moved: Vec<(i32, (i32, Kind), i64)> = gone.into_iter().chain(new).collect();
    carry::carry(db, &moved, moves).await
}

type Change = (i32, (i32, Kind), i64);

async fn write(db: &mut PgConnection, gone: &[Change], new: &[Change]) -> sqlx::Result<()> {
    let columns = |changes: &[Change]| -> (Vec<i32>, Vec<i32>) {
        changes.iter().map(|(track, (key, _), _)| (*track, *key)).unzip()
    };
    let (tracks, keys) = columns(gone);
    sqlx::query!(
        "delete from chart_member m using unnest($1::integer[], $2::integer[]) as g (track_id, key_id)
         where m.track_id = g.track_id and m.key_id = g.key_id",
        &tracks,
        &keys
    )
    .execute(&mut *db)
    .await?;
    let (tracks, keys) = columns(new);
    sqlx::query!(
        "insert into chart_member (track_id, key_id) select * from unnest($1::integer[], $2::integer[])",
        &tracks,
        &keys
    )
    .execute(db)
    .await?;
    Ok(())
}
