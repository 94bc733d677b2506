//! The sums: `chart_part` and `chart`, moved by differences.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;

use super::origin::UNVOUCHED;
use super::{ALLOWANCE, Kind, Period};
use crate::sabotage;

/// Puts things into their places that did not move themselves: what counts of their parts has changed.
pub(super) async fn reorder(db: &mut PgConnection, things: &[(i16, i32, i16)]) -> sqlx::Result<()> {
    for things in things.chunks(10_000) {
        let (mut touched, mut kinds) = (BTreeSet::new(), HashMap::new());
        for (period, subject, kind) in things {
            if let (Some(period), Some(kind)) = (Period::of(*period), Kind::of(*kind)) {
                touched.insert((period, *subject));
                kinds.insert(*subject, kind);
            }
        }
        order(db, &touched, &kinds).await?;
    }
    Ok(())
}

/// (period, subject, origin) → plays that weigh, listeners, likes.
pub(super) type Parts = BTreeMap<(Period, i32, i32), [i64; 3]>;

/// What was added to a thing's sums, and the largest of the parts that grew.
#[derive(Debug, Default)]
pub(super) struct Grown {
    pub by: [i64; 3],
    pub top: [i64; 3],
}

pub(super) async fn open_origins(db: &mut PgConnection) -> sqlx::Result<HashSet<i32>> {
    let open = sqlx::query_scalar!("select id from chart_origin where is_open").fetch_all(db).await?;
    Ok(open.into_iter().collect())
}

/// Moves the parts; returns them as they are then.
pub(super) async fn move_parts(db: &mut PgConnection, parts: &Parts) -> sqlx::Result<Parts> {
    let (periods, (subjects, origins)): (Vec<i16>, (Vec<i32>, Vec<i32>)) =
        parts.keys().map(|(period, subject, origin)| (*period as i16, (*subject, *origin))).unzip();
    let number = |at: usize| parts.values().map(|by| by[at]).collect::<Vec<i64>>();
    let rows = sqlx::query!(
        "insert into chart_part as p (period, subject_id, origin_id, plays, listeners, likes)
         select * from unnest($1::smallint[], $2::integer[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[])
         on conflict (period, subject_id, origin_id)
           do update set plays = p.plays + excluded.plays, listeners = p.listeners + excluded.listeners,
                         likes = p.likes + excluded.likes
         returning period, subject_id, origin_id, plays, listeners, likes",
        &periods,
        &subjects,
        &origins,
        &number(0),
        &number(1),
        &number(2)
    )
    .fetch_all(db)
    .await?;
    let parts = rows.into_iter().filter_map(|row| {
        Some((
            (Period::of(row.period)?, row.subject_id, row.origin_id),
            [row.plays, row.listeners, row.likes],
        ))
    });
    Ok(parts.collect())
}

fn allowance() -> i64 {
    if sabotage::is_on("chart-takes-bursts") { i64::MAX / 4 } else { ALLOWANCE }
}

/// Adds to the sums of things, and puts these into their places.
pub(super) async fn grow(
    db: &mut PgConnection,
    grown: &BTreeMap<(Period, i32), Grown>,
    kinds: &HashMap<i32, Kind>,
) -> sqlx::Result<()> {
    if grown.is_empty() {
        return Ok(());
    }
    let (periods, subjects): (Vec<i16>, Vec<i32>) =
        grown.keys().map(|(period, subject)| (*period as i16, *subject)).unzip();
    let kinds: Vec<i16> = subjects.iter().map(|subject| kinds[subject] as i16).collect();
    let by = |at: usize| grown.values().map(|grown| grown.by[at]).collect::<Vec<i64>>();
    let top = |at: usize| grown.values().map(|grown| grown.top[at]).collect::<Vec<i64>>();
    sqlx::query!(
        "insert into chart as c (period, kind, subject_id, plays, listeners, likes, top_plays, top_listeners, top_likes,
                                 play_score, listener_score, like_score)
         select g.*, plays - greatest(0, 2 * top_plays - plays - $10),
                listeners - greatest(0, 2 * top_listeners - listeners - $10),
                likes - greatest(0, 2 * top_likes - likes - $10)
           from unnest($1::smallint[], $2::smallint[], $3::integer[], $4::bigint[], $5::bigint[], $6::bigint[],
                       $7::bigint[], $8::bigint[], $9::bigint[])
                as g (period, kind, subject_id, plays, listeners, likes, top_plays, top_listeners, top_likes)
         on conflict (period, subject_id) do update
           set plays = c.plays + excluded.plays, listeners = c.listeners + excluded.listeners,
               likes = c.likes + excluded.likes, top_plays = greatest(c.top_plays, excluded.top_plays),
               top_listeners = greatest(c.top_listeners, excluded.top_listeners),
               top_likes = greatest(c.top_likes, excluded.top_likes),
               play_score = c.plays + excluded.plays
                 - greatest(0, 2 * greatest(c.top_plays, excluded.top_plays) - c.plays - excluded.plays - $10),
               listener_score = c.listeners + excluded.listeners
                 - greatest(0, 2 * greatest(c.top_listeners, excluded.top_listeners) - c.listeners - excluded.listeners - $10),
               like_score = c.likes + excluded.likes
                 - greatest(0, 2 * greatest(c.top_likes, excluded.top_likes) - c.likes - excluded.likes - $10)",
        &periods,
        &kinds,
        &subjects,
        &by(0),
        &by(1),
        &by(2),
        &top(0),
        &top(1),
        &top(2),
        allowance()
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Puts these things into their places: the sums of their parts, and what these count for. The part of those whom nobody
/// vouches for is in no sum, as they are in their hosts' parts; but it may be the largest.
pub(super) async fn order(
    db: &mut PgConnection,
    touched: &BTreeSet<(Period, i32)>,
    kinds: &HashMap<i32, Kind>,
) -> sqlx::Result<()> {
    if touched.is_empty() {
        return Ok(());
    }
    let periods: Vec<i16> = touched.iter().map(|(period, _)| *period as i16).collect();
    let subjects: Vec<i32> = touched.iter().map(|(_, subject)| *subject).collect();
    let kinds: Vec<i16> = subjects.iter().map(|subject| kinds[subject] as i16).collect();
    sqlx::query!(
        "with part as (
           select t.period, t.kind, t.subject_id, p.plays, p.listeners, p.likes, o.is_open, o.id <> $5 as is_host
             from unnest($1::smallint[], $2::smallint[], $3::integer[]) as t (period, kind, subject_id)
             join chart_part p on p.period = t.period and p.subject_id = t.subject_id
             join chart_origin o on o.id = p.origin_id
         ), sum as (
           select period, kind, subject_id, coalesce(sum(plays) filter (where is_host), 0)::bigint as plays,
                  coalesce(sum(listeners) filter (where is_host), 0)::bigint as listeners,
                  coalesce(sum(likes) filter (where is_host), 0)::bigint as likes,
                  coalesce(max(plays) filter (where not is_open), 0) as most_plays,
                  coalesce(max(listeners) filter (where not is_open), 0) as most_listeners,
                  coalesce(max(likes) filter (where not is_open), 0) as most_likes
             from part group by period, kind, subject_id
         )
         insert into chart (period, kind, subject_id, plays, listeners, likes, play_score, listener_score, like_score,
                            top_plays, top_listeners, top_likes)
         select period, kind, subject_id, plays, listeners, likes,
                plays - greatest(0, 2 * most_plays - plays - $4),
                listeners - greatest(0, 2 * most_listeners - listeners - $4),
                likes - greatest(0, 2 * most_likes - likes - $4), most_plays, most_listeners, most_likes
           from sum
         on conflict (period, subject_id) do update
           set plays = excluded.plays, listeners = excluded.listeners, likes = excluded.likes,
               play_score = excluded.play_score, listener_score = excluded.listener_score,
               like_score = excluded.like_score, top_plays = excluded.top_plays,
               top_listeners = excluded.top_listeners, top_likes = excluded.top_likes",
        &periods,
        &kinds,
        &subjects,
        allowance(),
        UNVOUCHED
    )
    .execute(&mut *db)
    .await?;
    // What nothing is left of.
    sqlx::query!(
        "with gone as (
           delete from chart c using unnest($1::smallint[], $2::integer[]) as t (period, subject_id)
            where c.period = t.period and c.subject_id = t.subject_id and c.plays = 0 and c.likes = 0
           returning c.period, c.subject_id)
         delete from chart_part p using gone where p.period = gone.period and p.subject_id = gone.subject_id",
        &periods,
        &subjects
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Tells of plays that weigh nothing.
pub(super) async fn exceed(db: &mut PgConnection, excess: &BTreeMap<(Period, i32), i64>) -> sqlx::Result<()> {
    if excess.is_empty() {
        return Ok(());
    }
    let (periods, subjects): (Vec<i16>, Vec<i32>) =
        excess.keys().map(|(period, subject)| (*period as i16, *subject)).unzip();
    let by: Vec<i64> = excess.values().copied().collect();
    sqlx::query!(
        "update chart c set excess = c.excess + e.by
           from unnest($1::smallint[], $2::integer[], $3::bigint[]) as e (period, subject_id, by)
          where c.period = e.period and c.subject_id = e.subject_id",
        &periods,
        &subjects,
        &by
    )
    .execute(db)
    .await?;
    Ok(())
}
