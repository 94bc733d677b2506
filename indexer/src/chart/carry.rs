//! What moves by itself: all of a track, to what it counts for now, and all of somebody, to where they come from now.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::PgConnection;

use super::member::Members;
use super::moves::{Amount, Moves};
use super::origin::{Home, Listener};
use super::{HOUR_MAX, Kind, PERIODS, Period, clock};

/// Moves all that a track was heard and liked from or to what it counts for.
pub(super) async fn carry(
    db: &mut PgConnection,
    moved: &[(i32, (i32, Kind), i64)],
    moves: &mut Moves,
) -> sqlx::Result<()> {
    let mut tracks = BTreeMap::<i32, Vec<((i32, Kind), i64)>>::new();
    for (track, key, sign) in moved {
        tracks.entry(*track).or_default().push((*key, *sign));
    }
    let now = clock::now(db).await?;
    for (track, keys) in tracks {
        let rows = sqlx::query!(
            "select a.period, a.listener_id, a.plays, a.likes, l.origin_id, l.is_unvouched
               from chart_audience a join chart_listener l on l.id = a.listener_id
              where a.period = any(array[0, 1, 2, 3]::smallint[]) and a.subject_id = $1",
            track
        )
        .fetch_all(&mut *db)
        .await?;
        // The number is said here, as an index holds only what is beyond it: HOUR_MAX.
        let beyond = sqlx::query!(
            "select listener_id, hour, plays from heard where subject_id = $1 and kind = 1 and plays > 20",
            track
        )
        .fetch_all(&mut *db)
        .await?;
        let mut excess = HashMap::<(Period, i32), i64>::new();
        for row in beyond {
            for period in PERIODS.into_iter().filter(|period| period.holds(row.hour, now)) {
                *excess.entry((period, row.listener_id)).or_default() += i64::from(row.plays) - HOUR_MAX;
            }
        }
        for row in rows {
            let Some(period) = Period::of(row.period) else { continue };
            let excess = excess.get(&(period, row.listener_id)).copied().unwrap_or_default();
            let plays = i64::from(row.plays);
            let by = Amount { plays, weight: plays - excess, likes: i64::from(row.likes) };
            let home = Home { origin: row.origin_id, is_unvouched: row.is_unvouched };
            for (key, sign) in &keys {
                moves.add(period, *key, (row.listener_id, home), by.times(*sign));
            }
        }
    }
    Ok(())
}

/// Somebody comes from elsewhere than they did: so does all that they heard and like.
pub(super) async fn migrate(
    db: &mut PgConnection,
    listener: &Listener,
    was: Home,
    moves: &mut Moves,
) -> sqlx::Result<()> {
    let Listener { id, home: is, .. } = *listener;
    sqlx::query!(
        "update chart_listener set origin_id = $2, is_unvouched = $3 where id = $1",
        id,
        is.origin,
        is.is_unvouched
    )
    .execute(&mut *db)
    .await?;
    let mut go = |period, key, by: [i64; 3]| {
        moves.add_part(period, key, was, by.map(|number| -number));
        moves.add_part(period, key, is, by);
    };
    let now = clock::now(db).await?;
    let excess = excess_of(db, id, now).await?;
    let rows = sqlx::query!(
        "select period, subject_id, kind, plays, likes from chart_audience where listener_id = $1",
        id
    )
    .fetch_all(&mut *db)
    .await?;
    for row in rows {
        let Some(period) = Period::of(row.period) else { continue };
        let Some(kind) = Kind::of(row.kind) else { continue };
        let excess = excess.get(&(period, row.subject_id)).copied().unwrap_or_default();
        let by = [i64::from(row.plays) - excess, i64::from(row.plays > 0), i64::from(row.likes)];
        go(period, (row.subject_id, kind), by);
    }
    // What play records name has no audience: it is counted from what was heard.
    for period in PERIODS {
        let after = period.hours().map_or(i32::MIN, |hours| now - hours);
        let rows = sqlx::query!(
            r#"select kind, subject_id, sum(least(plays, $3)) as "weight!" from heard
                where listener_id = $1 and kind = any(array[4, 5]::smallint[]) and hour > $2 group by kind, subject_id"#,
            id,
            after,
            HOUR_MAX as i16
        )
        .fetch_all(&mut *db)
        .await?;
        for row in rows {
            let Some(kind) = Kind::of(row.kind) else { continue };
            go(period, (row.subject_id, kind), [row.weight, 0, 0]);
        }
    }
    Ok(())
}

/// Which of somebody's plays weigh nothing, of tracks and of what these count for.
async fn excess_of(
    db: &mut PgConnection,
    listener: i32,
    now: i32,
) -> sqlx::Result<HashMap<(Period, i32), i64>> {
    let rows = sqlx::query!(
        "select hour, subject_id, plays from heard where listener_id = $1 and kind = 1 and plays > $2",
        listener,
        HOUR_MAX as i16
    )
    .fetch_all(&mut *db)
    .await?;
    let mut excess = HashMap::new();
    if rows.is_empty() {
        return Ok(excess);
    }
    let members = Members::of(db, &rows.iter().map(|row| row.subject_id).collect::<BTreeSet<i32>>()).await?;
    for row in rows {
        let keys = members.of_track(row.subject_id).iter().map(|(key, _)| *key);
        for key in keys.chain([row.subject_id]) {
            for period in PERIODS.into_iter().filter(|period| period.holds(row.hour, now)) {
                *excess.entry((period, key)).or_default() += i64::from(row.plays) - HOUR_MAX;
            }
        }
    }
    Ok(excess)
}
