//! The one who keeps the charts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{PgConnection, PgPool};

use super::due::{self, Due};
use super::member::{self, Members};
use super::moves::{Amount, Moves};
use super::origin::{Listener, Origins};
use super::subject::Subjects;
use super::{Kind, PERIODS, carry, clock, sums, truth};
use crate::apply::effects::CHANNEL;
use crate::change::Problem;
use crate::due::{BATCH, Dues};
use crate::{problem, sabotage};

/// With this few taken at once, nothing more is waiting.
const BATCH_FEW: i64 = 200;
/// The advisory lock of whoever counts.
pub(super) const TURN: i64 = 0x706c_7972_6368_6172;

/// Keeps the charts; see [`crate::due::run`].
#[derive(Debug)]
pub struct Charts {
    origins: Origins,
}

impl Charts {
    /// With origins of which some count in full.
    pub fn new(origins: Origins) -> Self {
        Charts { origins }
    }
}

impl Dues for Charts {
    const NAME: &'static str = "chart";

    async fn begin(&self, pool: &PgPool) -> sqlx::Result<()> {
        reopen(pool, &self.origins).await
    }

    async fn settle(&self, pool: &PgPool, limit: i64) -> sqlx::Result<bool> {
        settle_some(pool, &self.origins, limit).await
    }

    async fn put_aside(&self, pool: &PgPool, error: &sqlx::Error) -> sqlx::Result<()> {
        put_aside(pool, error).await
    }
}

/// Which origins count in full is the operator's to change.
pub async fn reopen(pool: &PgPool, origins: &Origins) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock($1)", TURN).execute(&mut *tx).await?;
    let things = origins.reopened(&mut tx).await?;
    sums::reorder(&mut tx, &things).await?;
    sqlx::query!("select pg_notify($1, '')", CHANNEL).execute(&mut *tx).await?;
    tx.commit().await
}

/// Takes one that cannot be counted out of everybody's way.
async fn put_aside(pool: &PgPool, error: &sqlx::Error) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock($1)", TURN).execute(&mut *tx).await?;
    for due in due::take(&mut tx, 1).await? {
        let did = match &due {
            Due::Heard(did, _) | Due::Liked(did, _) | Due::Person(did) => did.parse().ok(),
            Due::Track(_) => None,
        };
        let detail = format!("{due:?} cannot be counted for the charts: {error}").replace('\0', "\u{fffd}");
        let problem =
            Problem { kind: "ChartDue", seq: None, did, uri: None, detail, bytes: bytes::Bytes::new() };
        problem::keep(&mut tx, None, &[problem]).await?;
    }
    tx.commit().await
}

/// Counts some of what is due. Returns whether there may be more.
pub async fn settle(pool: &PgPool, origins: &Origins) -> sqlx::Result<bool> {
    settle_some(pool, origins, BATCH).await
}

async fn settle_some(pool: &PgPool, origins: &Origins, limit: i64) -> sqlx::Result<bool> {
    let mut tx =
        pool.begin_with("begin; set local plan_cache_mode = force_generic_plan; set local jit = off").await?;
    let is_our_turn = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "is!""#, TURN)
        .fetch_one(&mut *tx)
        .await?;
    if !is_our_turn {
        return Ok(false);
    }
    if clock::advance(&mut tx).await? {
        sqlx::query!("select pg_notify($1, '')", CHANNEL).execute(&mut *tx).await?;
        tx.commit().await?;
        return Ok(true);
    }
    let dues = due::take(&mut tx, limit).await?;
    if dues.is_empty() {
        return Ok(false);
    }
    metrics::counter!("plyr_chart_changes_total").increment(dues.len() as u64);
    // Many small ones together cost less than each by itself: what comes meanwhile waits for the next look.
    let is_more =
        dues.len() as i64 >= BATCH_FEW.min(limit) || dues.iter().any(|due| matches!(due, Due::Person(_)));
    count(&mut tx, origins, dues).await?;
    sqlx::query!("select pg_notify($1, '')", CHANNEL).execute(&mut *tx).await?;
    sabotage::point("chart-before-commit");
    tx.commit().await?;
    Ok(is_more)
}

async fn count(db: &mut PgConnection, origins: &Origins, dues: BTreeSet<Due>) -> sqlx::Result<()> {
    let (mut heard, mut liked) = (BTreeSet::new(), BTreeSet::new());
    let (mut people, mut tracks) = (Vec::new(), Vec::new());
    for due in dues {
        match due {
            Due::Heard(did, hour) => drop(heard.insert((did, hour))),
            Due::Liked(did, subject) => drop(liked.insert((did, subject))),
            Due::Person(did) => people.push(did),
            Due::Track(uri) => tracks.push(uri),
        }
    }
    let mut moves = Moves::default();
    let names = heard.iter().map(|(did, _)| did).chain(liked.iter().map(|(did, _)| did)).chain(&people);
    let listeners = origins.listeners(db, &names.cloned().collect()).await?;
    for listener in listeners.values() {
        if let Some(was) = listener.was {
            carry::migrate(db, listener, was, &mut moves).await?;
        }
    }
    // After who comes from elsewhere: what is moved from here on is moved where they are now.
    member::renew(db, &tracks, &mut moves).await?;
    if !people.is_empty() {
        due::spread(db, &people).await?;
    }
    let mut changes = count_heard(db, &listeners, heard).await?;
    changes.extend(count_liked(db, &listeners, liked).await?);
    spread(db, &changes, &mut moves).await?;
    moves.carry_out(db).await?;
    let hidden = listeners.into_iter().filter(|(_, listener)| !listener.counts).map(|(name, _)| name);
    people.extend(hidden);
    forget(db, &people).await
}

/// A difference between what is and what was counted.
struct Change {
    listener: Listener,
    kind: Kind,
    subject: i32,
    hour: i32,
    by: Amount,
}

/// Moves the sums of all that a change counts for.
async fn spread(db: &mut PgConnection, changes: &[Change], moves: &mut Moves) -> sqlx::Result<()> {
    let tracks = changes.iter().filter(|change| change.kind == Kind::Track).map(|change| change.subject);
    let members = Members::of(db, &tracks.collect()).await?;
    let now = clock::now(db).await?;
    for change in changes.iter().filter(|change| change.kind != Kind::PlayedRecording) {
        let who = (change.listener.id, change.listener.home);
        for period in PERIODS.into_iter().filter(|period| period.holds(change.hour, now)) {
            moves.add(period, (change.subject, change.kind), who, change.by);
            if change.kind == Kind::Track {
                members
                    .of_track(change.subject)
                    .iter()
                    .for_each(|key| moves.add(period, *key, who, change.by));
            }
        }
    }
    Ok(())
}

type Listeners = HashMap<String, Listener>;

async fn count_heard(
    db: &mut PgConnection,
    listeners: &Listeners,
    wanted: BTreeSet<(String, i32)>,
) -> sqlx::Result<Vec<Change>> {
    let wanted: BTreeSet<(String, i32)> =
        wanted.into_iter().filter(|(did, _)| listeners.contains_key(did)).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut truth = truth::heard(db, &wanted).await?;
    for ((did, _), things) in &mut truth {
        if !listeners[did].counts && !sabotage::is_on("chart-ignores-status") {
            things.clear();
        }
    }
    let mut named = BTreeMap::new();
    for things in truth.values() {
        named.extend(things.iter().map(|(key, (_, name))| (key.clone(), name.clone())));
    }
    let subjects = Subjects::named(db, named).await?;
    let mut now: BTreeMap<(i32, i32, Kind, i32), i64> = BTreeMap::new();
    for ((did, hour), things) in &truth {
        for ((kind, key), (plays, _)) in things {
            let Some(subject) = subjects.id(*kind, key) else { continue };
            now.insert((listeners[did].id, *hour, *kind, subject), *plays);
        }
    }
    let before = counted(db, listeners, &wanted).await?;
    let by_id: HashMap<i32, &Listener> = listeners.values().map(|listener| (listener.id, listener)).collect();
    let keys: BTreeSet<_> = now.keys().chain(before.keys()).copied().collect();
    let mut changes = Vec::new();
    for key in keys {
        let of = |counted: &BTreeMap<_, i64>| counted.get(&key).copied().unwrap_or_default();
        let (listener, hour, kind, subject) = key;
        let mut by = Amount::heard(of(&now));
        by += -Amount::heard(of(&before));
        if by != Amount::default() {
            changes.push(Change { listener: by_id[&listener].clone(), kind, subject, hour, by });
        }
    }
    write_heard(db, &changes).await?;
    Ok(changes)
}

/// What was counted of these hours: (listener, hour, kind, subject) → plays.
async fn counted(
    db: &mut PgConnection,
    listeners: &Listeners,
    wanted: &BTreeSet<(String, i32)>,
) -> sqlx::Result<BTreeMap<(i32, i32, Kind, i32), i64>> {
    let ids: Vec<i32> = wanted.iter().map(|(did, _)| listeners[did].id).collect();
    let hours: Vec<i32> = wanted.iter().map(|(_, hour)| *hour).collect();
    // The kinds as a list, so that the index leads to the hour of each.
    let rows = sqlx::query!(
        "select h.listener_id, h.hour, h.kind, h.subject_id, h.plays
           from unnest($1::integer[], $2::integer[]) as w (listener_id, hour)
           join heard h on h.listener_id = w.listener_id and h.kind = any(array[1, 4, 5, 6]::smallint[]) and h.hour = w.hour",
        &ids,
        &hours
    )
    .fetch_all(db)
    .await?;
    let counted = rows.into_iter().filter_map(|row| {
        Some(((row.listener_id, row.hour, Kind::of(row.kind)?, row.subject_id), i64::from(row.plays)))
    });
    Ok(counted.collect())
}

async fn write_heard(db: &mut PgConnection, changes: &[Change]) -> sqlx::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let number = |of: fn(&Change) -> i32| changes.iter().map(of).collect::<Vec<i32>>();
    let kinds: Vec<i16> = changes.iter().map(|change| change.kind as i16).collect();
    let plays: Vec<i16> = changes.iter().map(|change| change.by.plays as i16).collect();
    sqlx::query!(
        "insert into heard as h (listener_id, kind, hour, subject_id, plays)
         select * from unnest($1::integer[], $2::smallint[], $3::integer[], $4::integer[], $5::smallint[])
         on conflict (listener_id, kind, hour, subject_id) do update set plays = h.plays + excluded.plays",
        &number(|change| change.listener.id),
        &kinds,
        &number(|change| change.hour),
        &number(|change| change.subject),
        &plays
    )
    .execute(&mut *db)
    .await?;
    if changes.iter().any(|change| change.by.plays < 0) {
        sqlx::query!(
            "delete from heard h using unnest($1::integer[], $2::smallint[], $3::integer[], $4::integer[])
               as c (listener_id, kind, hour, subject_id)
             where h.listener_id = c.listener_id and h.kind = c.kind and h.hour = c.hour
               and h.subject_id = c.subject_id and h.plays = 0",
            &number(|change| change.listener.id),
            &kinds,
            &number(|change| change.hour),
            &number(|change| change.subject)
        )
        .execute(db)
        .await?;
    }
    Ok(())
}

async fn count_liked(
    db: &mut PgConnection,
    listeners: &Listeners,
    wanted: BTreeSet<(String, String)>,
) -> sqlx::Result<Vec<Change>> {
    let wanted: BTreeSet<(String, String)> =
        wanted.into_iter().filter(|(did, _)| listeners.contains_key(did)).collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let truth = truth::liked(db, &wanted).await?;
    let named = wanted.iter().map(|(_, subject)| ((Kind::Track, subject.clone()), None)).collect();
    let subjects = Subjects::named(db, named).await?;
    let pairs = || {
        wanted.iter().filter_map(|pair| Some((pair, &listeners[&pair.0], subjects.id(Kind::Track, &pair.1)?)))
    };
    let (ids, tracks): (Vec<i32>, Vec<i32>) = pairs().map(|(_, listener, id)| (listener.id, id)).unzip();
    let rows = sqlx::query!(
        "select l.listener_id, l.subject_id, l.hour from unnest($1::integer[], $2::integer[]) as w (listener_id, subject_id)
           join liked l on l.listener_id = w.listener_id and l.subject_id = w.subject_id",
        &ids,
        &tracks
    )
    .fetch_all(&mut *db)
    .await?;
    let before: HashMap<(i32, i32), i32> =
        rows.into_iter().map(|row| ((row.listener_id, row.subject_id), row.hour)).collect();
    let (mut changes, mut now) = (Vec::new(), Vec::new());
    let (mut gone, mut new) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for (pair, listener, subject) in pairs() {
        let is = truth.get(pair).copied().flatten().filter(|_| listener.counts);
        let was = before.get(&(listener.id, subject)).copied();
        if is == was {
            continue;
        }
        let mut change = |hour, likes| {
            changes.push(Change {
                listener: listener.clone(),
                kind: Kind::Track,
                subject,
                hour,
                by: Amount { likes, ..Amount::default() },
            });
        };
        if let Some(hour) = was {
            change(hour, -1);
            gone.0.push(listener.id);
            gone.1.push(subject);
        }
        if let Some(hour) = is {
            change(hour, 1);
            new.0.push(listener.id);
            new.1.push(subject);
            now.push(hour);
        }
    }
    sqlx::query!(
        "delete from liked l using unnest($1::integer[], $2::integer[]) as g (listener_id, subject_id)
         where l.listener_id = g.listener_id and l.subject_id = g.subject_id",
        &gone.0,
        &gone.1
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "insert into liked (listener_id, subject_id, hour)
         select * from unnest($1::integer[], $2::integer[], $3::integer[])",
        &new.0,
        &new.1,
        &now
    )
    .execute(db)
    .await?;
    Ok(changes)
}

/// Of people who are gone for good nothing is kept, once nothing of theirs is counted; and of their things only what others
/// heard and like.
async fn forget(db: &mut PgConnection, dids: &[String]) -> sqlx::Result<()> {
    if dids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "delete from chart_listener l using actor a
          where l.name = any($1) and a.did = l.name and a.status = 'deleted'
            and not exists (select from heard h where h.listener_id = l.id)
            and not exists (select from liked k where k.listener_id = l.id)",
        dids
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        r#"delete from chart_subject s using actor a
          where a.did = any($1) and a.status = 'deleted'
            and s.kind = 1 and s.key > ('at://' || a.did || '/') collate "C" and s.key < ('at://' || a.did || '0') collate "C"
            and not exists (select from chart_member m where m.track_id = s.id)
            and not exists (select from chart_audience u
                             where u.period = any(array[0, 1, 2, 3]::smallint[]) and u.subject_id = s.id)"#,
        dids
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "delete from chart_subject s using actor a
          where a.did = any($1) and a.status = 'deleted' and s.kind = 2 and s.key = a.did
            and not exists (select from chart_member m where m.key_id = s.id)
            and not exists (select from chart_audience u
                             where u.period = any(array[0, 1, 2, 3]::smallint[]) and u.subject_id = s.id)",
        dids
    )
    .execute(db)
    .await?;
    Ok(())
}
