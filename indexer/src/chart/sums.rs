//! The sums: `chart_audience`, `chart_part` and `chart`, moved by differences.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;

use super::{ALLOWANCE, Kind, PERIODS, Period};
use crate::sabotage;

/// Numbers of things.
#[derive(Debug, Default)]
pub(super) struct Subjects(HashMap<(Kind, String), i32>);

impl Subjects {
    /// Of these, each with what it is called, where it has a name beside its key. Whoever names it first has named it.
    pub async fn named(
        db: &mut PgConnection,
        wanted: BTreeMap<(Kind, String), Option<String>>,
    ) -> sqlx::Result<Self> {
        let kinds: Vec<i16> = wanted.keys().map(|(kind, _)| *kind as i16).collect();
        let keys: Vec<&str> = wanted.keys().map(|(_, key)| key.as_str()).collect();
        let names: Vec<Option<&str>> = wanted.values().map(Option::as_deref).collect();
        // Most are there already, and only those that are not use up numbers.
        let rows = sqlx::query!(
            r#"with w as materialized (select * from unnest($1::smallint[], $2::text[], $3::text[]) as w (kind, key, name)),
                    held as materialized (
                      select s.id, s.kind, s.key from w join chart_subject s on s.kind = w.kind
                                                                                    and s.key = w.key collate "C"),
                    added as (
                      insert into chart_subject (kind, key, name)
                      select w.kind, w.key, w.name from w left join held using (kind, key) where held.id is null
                      returning id, kind, key)
               select id as "id!", kind as "kind!", key as "key!" from held union all select id, kind, key from added"#,
            &kinds,
            &keys as &[&str],
            &names as &[Option<&str>]
        )
        .fetch_all(db)
        .await?;
        Ok(Subjects(
            rows.into_iter().filter_map(|row| Some(((Kind::of(row.kind)?, row.key), row.id))).collect(),
        ))
    }

    pub fn id(&self, kind: Kind, key: &str) -> Option<i32> {
        self.0.get(&(kind, key.to_owned())).copied()
    }
}

/// What is about to be moved.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// (period, subject, listener) → plays, likes.
    audience: BTreeMap<(Period, i32, i32), [i64; 2]>,
    /// (period, subject, origin) → plays, listeners, likes.
    parts: BTreeMap<(Period, i32, i32), [i64; 3]>,
    /// Of all of these.
    kinds: HashMap<i32, Kind>,
    /// Of the listeners in `audience`.
    origins: HashMap<i32, i32>,
}

impl Moves {
    /// Somebody heard or likes something more, or less.
    pub fn add(
        &mut self,
        period: Period,
        (subject, kind): (i32, Kind),
        (listener, origin): (i32, i32),
        [plays, likes]: [i64; 2],
    ) {
        self.kinds.insert(subject, kind);
        if matches!(kind, Kind::Track | Kind::Artist | Kind::Tag) {
            self.origins.insert(listener, origin);
            let sums = self.audience.entry((period, subject, listener)).or_default();
            *sums = [sums[0] + plays, sums[1] + likes];
        } else {
            // Of what play records name, nobody asks how many people heard it.
            self.add_part(period, (subject, kind), origin, [plays, 0, likes]);
        }
    }

    fn add_part(&mut self, period: Period, (subject, kind): (i32, Kind), origin: i32, by: [i64; 3]) {
        self.kinds.insert(subject, kind);
        let sums = self.parts.entry((period, subject, origin)).or_default();
        *sums = [sums[0] + by[0], sums[1] + by[1], sums[2] + by[2]];
    }

    /// Carries all out.
    pub async fn carry_out(mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        self.move_audience(db).await?;
        self.parts.retain(|_, by| *by != [0; 3]);
        if self.parts.is_empty() {
            return Ok(());
        }
        let open = open_origins(db).await?;
        let parts = move_parts(db, &self.parts).await?;
        // What only grows is moved by what was added, and its largest part can only be one of those that grew.
        let (mut grown, mut shrunk) = (BTreeMap::<(Period, i32), Grown>::new(), BTreeSet::new());
        for (key @ (period, subject, origin), by) in &self.parts {
            let thing = (*period, *subject);
            if by.iter().any(|number| *number < 0) {
                shrunk.insert(thing);
            }
            let Grown { by: all, top } = grown.entry(thing).or_default();
            for at in 0..3 {
                all[at] += by[at];
                if !open.contains(origin) {
                    top[at] = top[at].max(parts.get(key).map_or(0, |part| part[at]));
                }
            }
        }
        grown.retain(|thing, _| !shrunk.contains(thing));
        grow(db, &grown, &self.kinds).await?;
        order(db, &shrunk, &self.kinds).await
    }

    async fn move_audience(&mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        self.audience.retain(|_, by| *by != [0; 2]);
        if self.audience.is_empty() {
            return Ok(());
        }
        let (periods, (subjects, listeners)): (Vec<i16>, (Vec<i32>, Vec<i32>)) = self
            .audience
            .keys()
            .map(|(period, subject, listener)| (*period as i16, (*subject, *listener)))
            .unzip();
        let kinds: Vec<i16> = subjects.iter().map(|subject| self.kinds[subject] as i16).collect();
        let number = |at: usize| self.audience.values().map(|by| by[at] as i32).collect::<Vec<i32>>();
        let rows = sqlx::query!(
            "insert into chart_audience as a (period, subject_id, listener_id, kind, plays, likes)
             select * from unnest($1::smallint[], $2::integer[], $3::integer[], $4::smallint[], $5::integer[], $6::integer[])
             on conflict (period, subject_id, listener_id)
               do update set plays = a.plays + excluded.plays, likes = a.likes + excluded.likes
             returning period, subject_id, listener_id, plays, likes",
            &periods,
            &subjects,
            &listeners,
            &kinds,
            &number(0),
            &number(1)
        )
        .fetch_all(&mut *db)
        .await?;
        let mut empty = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let Some(period) = Period::of(row.period) else { continue };
            let key = (period, row.subject_id, row.listener_id);
            let [plays, likes] = self.audience.get(&key).copied().unwrap_or_default();
            let now = i64::from(row.plays);
            let listeners = i64::from(now > 0) - i64::from(now - plays > 0);
            let kind = self.kinds[&row.subject_id];
            let origin = self.origins[&row.listener_id];
            self.add_part(period, (row.subject_id, kind), origin, [plays, listeners, likes]);
            if row.plays == 0 && row.likes == 0 {
                empty.0.push(row.period);
                empty.1.push(row.subject_id);
                empty.2.push(row.listener_id);
            }
        }
        if !empty.0.is_empty() {
            sqlx::query!(
                "delete from chart_audience a
                  using unnest($1::smallint[], $2::integer[], $3::integer[]) as e (period, subject_id, listener_id)
                  where a.period = e.period and a.subject_id = e.subject_id and a.listener_id = e.listener_id",
                &empty.0,
                &empty.1,
                &empty.2
            )
            .execute(db)
            .await?;
        }
        Ok(())
    }
}

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
    for (track, keys) in tracks {
        let rows = sqlx::query!(
            "select a.period, a.listener_id, a.plays, a.likes, l.origin_id
               from chart_audience a join chart_listener l on l.id = a.listener_id
              where a.period = any(array[0, 1, 2, 3]::smallint[]) and a.subject_id = $1",
            track
        )
        .fetch_all(&mut *db)
        .await?;
        for row in rows {
            let Some(period) = Period::of(row.period) else { continue };
            for (key, sign) in &keys {
                let by = [sign * i64::from(row.plays), sign * i64::from(row.likes)];
                moves.add(period, *key, (row.listener_id, row.origin_id), by);
            }
        }
    }
    Ok(())
}

/// Somebody comes from elsewhere than they did: so does all that they heard and like.
pub(super) async fn migrate(
    db: &mut PgConnection,
    listener: i32,
    [was, is]: [i32; 2],
    moves: &mut Moves,
) -> sqlx::Result<()> {
    sqlx::query!("update chart_listener set origin_id = $2 where id = $1", listener, is)
        .execute(&mut *db)
        .await?;
    let rows = sqlx::query!(
        "select period, subject_id, kind, plays, likes from chart_audience where listener_id = $1",
        listener
    )
    .fetch_all(&mut *db)
    .await?;
    for row in rows {
        let Some(period) = Period::of(row.period) else { continue };
        let Some(kind) = Kind::of(row.kind) else { continue };
        let by = [i64::from(row.plays), i64::from(row.plays > 0), i64::from(row.likes)];
        moves.add_part(period, (row.subject_id, kind), was, by.map(|number| -number));
        moves.add_part(period, (row.subject_id, kind), is, by);
    }
    // What play records name has no audience: it is counted from what was heard.
    let clock = super::clock::now(db).await?;
    for period in PERIODS {
        let after = period.hours().map_or(i32::MIN, |hours| clock - hours);
        let rows = sqlx::query!(
            r#"select kind, subject_id, sum(plays) as "plays!" from heard
                where listener_id = $1 and kind = any(array[4, 5]::smallint[]) and hour > $2 group by kind, subject_id"#,
            listener,
            after
        )
        .fetch_all(&mut *db)
        .await?;
        for row in rows {
            let Some(kind) = Kind::of(row.kind) else { continue };
            moves.add_part(period, (row.subject_id, kind), was, [-row.plays, 0, 0]);
            moves.add_part(period, (row.subject_id, kind), is, [row.plays, 0, 0]);
        }
    }
    Ok(())
}

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

type Parts = BTreeMap<(Period, i32, i32), [i64; 3]>;

/// What was added to a thing's sums, and the largest of the parts that grew.
#[derive(Debug, Default)]
struct Grown {
    by: [i64; 3],
    top: [i64; 3],
}

async fn open_origins(db: &mut PgConnection) -> sqlx::Result<HashSet<i32>> {
    let open = sqlx::query_scalar!("select id from chart_origin where is_open").fetch_all(db).await?;
    Ok(open.into_iter().collect())
}

/// Moves the parts; returns them as they are then.
async fn move_parts(db: &mut PgConnection, parts: &Parts) -> sqlx::Result<Parts> {
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
async fn grow(
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

/// Puts these things into their places: the sums of their parts, and what these count for. Of parts only one can exceed all
/// others together, so the largest says all.
async fn order(
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
           select t.period, t.kind, t.subject_id, p.plays, p.listeners, p.likes, o.is_open
             from unnest($1::smallint[], $2::smallint[], $3::integer[]) as t (period, kind, subject_id)
             join chart_part p on p.period = t.period and p.subject_id = t.subject_id
             join chart_origin o on o.id = p.origin_id
         ), sum as (
           select period, kind, subject_id, sum(plays)::bigint as plays, sum(listeners)::bigint as listeners,
                  sum(likes)::bigint as likes, coalesce(max(plays) filter (where not is_open), 0) as most_plays,
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
        allowance()
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
