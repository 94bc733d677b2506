//! Writing what was decided: records, their projections, the repos, what was kept aside, and the effects.
//!
//! A statement for each table, however many rows it gets.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::met::Met;
use super::world::{Held, World, Write};
use crate::copy::{self, Rows, Target};
use crate::link::names::{self, Names};
use crate::record::{self, KINDS, Kind, RecordProblem, Row};
use crate::syntax::{AtUri, Did};
use crate::{job, problem, sabotage, source};

/// The columns of `record` that a new row gives.
pub const RECORDS: Target = copy::into!(record: uri, did, collection, rkey, epoch, rev, proven, reported_by, cid, value,
    problem, problem_detail, first_seen_at, indexed_at);

/// Record rows that are replaced.
#[derive(Default)]
struct Columns {
    uri: Vec<String>,
    epoch: Vec<i32>,
    rev: Vec<String>,
    proven: Vec<bool>,
    reported_by: Vec<Option<String>>,
    cid: Vec<Option<String>>,
    value: Vec<Option<Bytes>>,
    problem: Vec<Option<&'static str>>,
    detail: Vec<Option<String>>,
}

/// What becomes of the projections of one kind.
#[derive(Default)]
struct Projections {
    gone: Vec<String>,
    rows: Vec<Row>,
}

impl World<'_> {
    /// Writes all. Returns whom and what it made known.
    pub(super) async fn write(mut self, db: &mut PgConnection) -> sqlx::Result<Met> {
        let writes = std::mem::take(&mut self.writes);
        // The lock on a repo keeps others from its records: one that was not found is inserted without another look.
        let mut names = Names::default();
        let valued = writes.iter().filter_map(|(uri, write)| {
            let first_seen_at = self.found.get(uri).map_or(self.now, |found| found.first_seen_at);
            Some(names::Held { uri, value: write.value.as_deref()?, first_seen_at })
        });
        let valued: Vec<_> = valued.collect();
        let mut reads = names.read_all(db, &self.door.registry, &valued, true).await?.into_iter();
        let (mut new, mut known) = (Rows::into(RECORDS), Columns::default());
        let mut projections: BTreeMap<Kind, Projections> = BTreeMap::new();
        for (uri, write) in writes {
            let found = self.found.get(&uri);
            let read = write.value.as_ref().and_then(|_| reads.next());
            let (row, problem) = match read.transpose() {
                Ok(row) => (row, None),
                Err(problem) => (None, Some(problem)),
            };
            if let Some(collection) = self.door.registry.get(uri.collection()) {
                let of_kind = projections.entry(collection.kind).or_default();
                // A repo read as a whole mends what we hold of it, whatever its rows say of themselves.
                let is_read = || self.repos.get(&uri.did()).is_some_and(|held| held.read);
                if found.is_some_and(|found| found.lives) || is_read() {
                    of_kind.gone.push(uri.to_string());
                }
                of_kind.rows.extend(row);
            }
            if let Some(problem) = &problem {
                metrics::counter!("plyr_record_problems_total", "problem" => problem.name).increment(1);
            }
            if found.is_some() {
                known.push(&uri, write, problem);
            } else {
                add(&mut new, &uri, &write, problem, self.now);
            }
        }
        let mut met = Met::default();
        for row in projections.values().flat_map(|of_kind| &of_kind.rows) {
            // Also one that shares what means nothing yet: it may come to.
            if let Row::Post(post) = row {
                met.posts.push(post.uri.clone());
            }
        }
        let changes = projections.iter().map(|(kind, of_kind)| (*kind, &*of_kind.gone, &*of_kind.rows));
        let awaited = self.awaited.keys().map(|(_, post)| post.as_str());
        record::take_turns(db, changes, awaited).await?;
        new.write(db).await?;
        known.update(db, self.now).await?;
        for name in names.write(db, &known.uri.iter().map(String::as_str).collect::<Vec<_>>()).await? {
            self.effects.job(job::NAMED, name.as_str());
        }
        if sabotage::is_on("no-tombstone") {
            sqlx::query("delete from record where cid is null").execute(&mut *db).await?;
        }
        self.raise_trust(db).await?;
        for kind in KINDS {
            if let Some(Projections { gone, rows }) = projections.remove(&kind) {
                record::project(db, kind, &gone, rows, &mut self.effects).await?;
            }
        }
        self.write_awaited(db).await?;
        self.write_doubts(db).await?;
        self.write_repos(db).await?;
        self.write_pending(db).await?;
        problem::keep(db, self.source.as_deref(), &self.problems).await?;
        source::count_divergences(db, &self.divergent).await?;
        self.effects.carry_out(db).await?;
        let door = self.door;
        for (did, held) in self.repos {
            if held.followed { met.followed.push(did) } else { met.others.push(did) }
        }
        if met.is_news(door) {
            door.tell_others(db).await?;
        }
        Ok(met)
    }

    async fn raise_trust(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        if self.raised.is_empty() {
            return Ok(());
        }
        let uris: Vec<&str> = self.raised.iter().map(AtUri::as_str).collect();
        sqlx::query!(
            "update record set proven = true, reported_by = null where uri = any($1)",
            &uris as &[&str]
        )
        .execute(db)
        .await?;
        Ok(())
    }

    async fn write_repos(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        let changed: Vec<(&Did, &Held)> = self.repos.iter().filter(|(_, held)| held.changed).collect();
        if changed.is_empty() {
            return Ok(());
        }
        fn column<'a, T>(rows: &[(&'a Did, &'a Held)], of: impl Fn(&'a Held) -> T) -> Vec<T> {
            rows.iter().map(|(_, held)| of(held)).collect()
        }
        // An array of arrays must be rectangular, so each trail travels as text.
        let trail = |held: &Held| {
            let revs: Vec<&str> = held.repo.trail.iter().map(|rev| rev.as_str()).collect();
            format!("{{{}}}", revs.join(","))
        };
        sqlx::query!(
            r#"update repo set epoch = new.epoch, rev = new.rev, seen_rev = new.seen_rev, trail = new.trail::text[],
                               data_root = new.data_root, state = new.state, synced_rev = new.synced_rev,
                               verified_at = case when new.verified then $15 else repo.verified_at end,
                               resync_rev = new.resync_rev, resync_upto = new.resync_upto,
                               resync_held = new.resync_held, resync_lost = new.resync_lost,
                               resync_at = case when new.read then $15 else repo.resync_at end
               from unnest($1::text[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                           $8::text[], $9::boolean[], $10::text[], $11::text[], $12::integer[], $13::integer[],
                           $14::boolean[])
                 as new (did, epoch, rev, seen_rev, trail, data_root, state, synced_rev, verified, resync_rev,
                         resync_upto, resync_held, resync_lost, read)
               where repo.did = new.did collate "C""#,
            &changed.iter().map(|(did, _)| did.as_str()).collect::<Vec<_>>() as &[&str],
            &column(&changed, |held| held.repo.epoch),
            &column(&changed, |held| held.repo.rev.as_ref().map(|rev| rev.as_str())) as &[Option<&str>],
            &column(&changed, |held| held.repo.seen_rev.as_ref().map(|rev| rev.as_str())) as &[Option<&str>],
            &column(&changed, trail),
            &column(&changed, |held| held.repo.data.map(|cid| cid.to_string())) as &[Option<String>],
            &column(&changed, |held| held.repo.state.as_str()) as &[&str],
            &column(&changed, |held| held.repo.synced_rev.as_ref().map(|rev| rev.as_str())) as &[Option<&str>],
            &column(&changed, |held| held.verified),
            &column(&changed, |held| Some(held.repo.resync.as_ref()?.rev.as_str())) as &[Option<&str>],
            &column(&changed, |held| Some(held.repo.resync.as_ref()?.upto.as_str())) as &[Option<&str>],
            &column(&changed, |held| held.repo.resync.as_ref().map_or(0, |resync| resync.held as i32)),
            &column(&changed, |held| held.repo.resync.as_ref().map_or(0, |resync| resync.lost as i32)),
            &column(&changed, |held| held.read),
            self.now
        )
        .execute(db)
        .await?;
        Ok(())
    }

    async fn write_pending(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let dids: Vec<&str> = self.pending.keys().map(Did::as_str).collect();
        let statuses: Vec<&str> = self.pending.values().map(|status| status.as_str()).collect();
        sqlx::query!(
            r#"update actor set pending_status = new.status, pending_since = $3
               from unnest($1::text[], $2::text[]) as new (did, status) where actor.did = new.did collate "C""#,
            &dids as &[&str],
            &statuses as &[&str],
            self.now
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// Adds a row of `record`.
fn add(rows: &mut Rows, uri: &AtUri, write: &Write, problem: Option<RecordProblem>, now: DateTime<Utc>) {
    let Write { row, value } = write;
    let (problem, detail) = told(problem);
    rows.row().field(uri.as_str()).field(uri.authority()).field(uri.collection()).field(uri.rkey());
    rows.field(row.epoch).field(row.rev.as_str()).field(row.proven).field(row.reported_by.as_deref());
    rows.field(row.cid.map(|cid| cid.to_string())).field(value.as_deref()).field(problem).field(detail);
    rows.field(now).field(now);
}

/// A problem as its two columns tell it.
fn told(problem: Option<RecordProblem>) -> (Option<&'static str>, Option<String>) {
    problem.map(|problem| (problem.name, problem.detail)).unzip()
}

impl Columns {
    fn push(&mut self, uri: &AtUri, write: Write, problem: Option<RecordProblem>) {
        let Write { row, value } = write;
        let (problem, detail) = told(problem);
        self.uri.push(uri.to_string());
        self.epoch.push(row.epoch);
        self.rev.push(row.rev.into());
        self.proven.push(row.proven);
        self.reported_by.push(row.reported_by.as_deref().map(str::to_owned));
        self.cid.push(row.cid.map(|cid| cid.to_string()));
        self.value.push(value);
        self.problem.push(problem);
        self.detail.push(detail);
    }

    async fn update(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        if self.uri.is_empty() {
            return Ok(());
        }
        let value: Vec<Option<&[u8]>> = self.value.iter().map(Option::as_deref).collect();
        sqlx::query!(
            r#"update record set epoch = new.epoch, rev = new.rev, proven = new.proven, reported_by = new.reported_by,
                                 cid = new.cid, value = new.value, problem = new.problem,
                                 problem_detail = new.problem_detail, indexed_at = $10
               from unnest($1::text[], $2::integer[], $3::text[], $4::boolean[], $5::text[], $6::text[], $7::bytea[],
                           $8::text[], $9::text[])
                 as new (uri, epoch, rev, proven, reported_by, cid, value, problem, problem_detail)
               where record.uri = new.uri collate "C""#,
            &self.uri,
            &self.epoch,
            &self.rev,
            &self.proven,
            &self.reported_by as &[Option<String>],
            &self.cid as &[Option<String>],
            &value as &[Option<&[u8]>],
            &self.problem as &[Option<&str>],
            &self.detail as &[Option<String>],
            now
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
