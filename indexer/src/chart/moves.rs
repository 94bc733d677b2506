//! What is about to be moved, and `chart_audience`, which knows who makes up what.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::{AddAssign, Neg};

use sqlx::PgConnection;

use super::origin::{Home, UNVOUCHED};
use super::sums::{self, Grown, Parts};
use super::{Kind, Period};

/// What somebody gives a thing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Amount {
    /// How often they heard it.
    pub plays: i64,
    /// So many of these weigh in everybody's charts.
    pub weight: i64,
    /// Whether they like it.
    pub likes: i64,
}

impl Amount {
    /// As often as they heard it in one hour.
    pub fn heard(plays: i64) -> Self {
        Amount { plays, weight: super::weight(plays), likes: 0 }
    }

    /// So many times that.
    pub fn times(self, number: i64) -> Self {
        Amount { plays: number * self.plays, weight: number * self.weight, likes: number * self.likes }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, by: Self) {
        self.plays += by.plays;
        self.weight += by.weight;
        self.likes += by.likes;
    }
}

impl Neg for Amount {
    type Output = Self;

    fn neg(self) -> Self {
        self.times(-1)
    }
}

/// What is about to be moved.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// (period, subject, listener) → what they give it.
    audience: BTreeMap<(Period, i32, i32), Amount>,
    /// (period, subject, origin) → plays that weigh, listeners, likes.
    parts: Parts,
    /// Plays that weigh nothing.
    excess: BTreeMap<(Period, i32), i64>,
    /// Of all of these.
    kinds: HashMap<i32, Kind>,
    /// Of the listeners in `audience`.
    homes: HashMap<i32, Home>,
}

impl Moves {
    /// Somebody heard or likes something more, or less.
    pub fn add(
        &mut self,
        period: Period,
        (subject, kind): (i32, Kind),
        (listener, home): (i32, Home),
        by: Amount,
    ) {
        self.kinds.insert(subject, kind);
        if by.plays != by.weight {
            *self.excess.entry((period, subject)).or_default() += by.plays - by.weight;
        }
        if matches!(kind, Kind::Track | Kind::Artist | Kind::Tag) {
            self.homes.insert(listener, home);
            *self.audience.entry((period, subject, listener)).or_default() += by;
        } else {
            // Of what play records name, nobody asks how many people heard it.
            self.add_part(period, (subject, kind), home, [by.weight, 0, by.likes]);
        }
    }

    /// A part grows or shrinks: that of the origin, and where nobody vouches for them, that of all such people.
    pub fn add_part(&mut self, period: Period, (subject, kind): (i32, Kind), home: Home, by: [i64; 3]) {
        self.kinds.insert(subject, kind);
        for origin in std::iter::once(home.origin).chain(home.is_unvouched.then_some(UNVOUCHED)) {
            let sums = self.parts.entry((period, subject, origin)).or_default();
            *sums = [sums[0] + by[0], sums[1] + by[1], sums[2] + by[2]];
        }
    }

    /// Carries all out.
    pub async fn carry_out(mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        self.move_audience(db).await?;
        self.parts.retain(|_, by| *by != [0; 3]);
        if !self.parts.is_empty() {
            self.move_sums(db).await?;
        }
        // After them, as what is moved here stands in their rows.
        self.excess.retain(|_, by| *by != 0);
        sums::exceed(db, &self.excess).await
    }

    async fn move_sums(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        let open = sums::open_origins(db).await?;
        let parts = sums::move_parts(db, &self.parts).await?;
        // What only grows is moved by what was added, and its largest part can only be one of those that grew.
        let (mut grown, mut shrunk) = (BTreeMap::<(Period, i32), Grown>::new(), BTreeSet::new());
        for (key @ (period, subject, origin), by) in &self.parts {
            let thing = (*period, *subject);
            if by.iter().any(|number| *number < 0) {
                shrunk.insert(thing);
            }
            let Grown { by: all, top } = grown.entry(thing).or_default();
            for at in 0..3 {
                // What nobody vouches for is in the part of its host already.
                if *origin != UNVOUCHED {
                    all[at] += by[at];
                }
                if !open.contains(origin) {
                    top[at] = top[at].max(parts.get(key).map_or(0, |part| part[at]));
                }
            }
        }
        grown.retain(|thing, _| !shrunk.contains(thing));
        sums::grow(db, &grown, &self.kinds).await?;
        sums::order(db, &shrunk, &self.kinds).await
    }

    async fn move_audience(&mut self, db: &mut PgConnection) -> sqlx::Result<()> {
        self.audience.retain(|_, by| *by != Amount::default());
        if self.audience.is_empty() {
            return Ok(());
        }
        let (periods, (subjects, listeners)): (Vec<i16>, (Vec<i32>, Vec<i32>)) = self
            .audience
            .keys()
            .map(|(period, subject, listener)| (*period as i16, (*subject, *listener)))
            .unzip();
        let kinds: Vec<i16> = subjects.iter().map(|subject| self.kinds[subject] as i16).collect();
        let number =
            |of: fn(&Amount) -> i64| self.audience.values().map(|by| of(by) as i32).collect::<Vec<i32>>();
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
            &number(|by| by.plays),
            &number(|by| by.likes)
        )
        .fetch_all(&mut *db)
        .await?;
        let mut empty = (Vec::new(), Vec::new(), Vec::new());
        for row in rows {
            let Some(period) = Period::of(row.period) else { continue };
            let key = (period, row.subject_id, row.listener_id);
            let Amount { plays, weight, likes } = self.audience.get(&key).copied().unwrap_or_default();
            let now = i64::from(row.plays);
            let listeners = i64::from(now > 0) - i64::from(now - plays > 0);
            let kind = self.kinds[&row.subject_id];
            let home = self.homes[&row.listener_id];
            self.add_part(period, (row.subject_id, kind), home, [weight, listeners, likes]);
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
