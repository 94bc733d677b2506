//! Writing what was decided: records, their projections, the repos, what was kept aside, and the effects.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::table;
use super::world::World;
use crate::change::Op;
use crate::record::{self, KINDS, Kind, RecordProblem, Row};
use crate::syntax::{AtUri, Did};
use crate::{change, problem, sabotage, source};

/// A record row, ready to be written.
#[derive(Default)]
struct Columns {
    uri: Vec<String>,
    did: Vec<String>,
    collection: Vec<String>,
    rkey: Vec<String>,
    epoch: Vec<i32>,
    rev: Vec<String>,
    proven: Vec<bool>,
    reported_by: Vec<Option<String>>,
    cid: Vec<Option<String>>,
    value: Vec<Option<Vec<u8>>>,
    problem: Vec<Option<String>>,
    detail: Vec<Option<String>>,
}

impl World<'_> {
    /// Writes all. Returns whose repos it concerned.
    pub(super) async fn write(mut self, db: &mut PgConnection) -> sqlx::Result<Vec<Did>> {
        let writes = std::mem::take(&mut self.writes);
        let mut columns = Columns::default();
        let mut projections: BTreeMap<Kind, (Vec<String>, Vec<Row>)> = BTreeMap::new();
        for (uri, write) in writes {
            let op = match (write.row.cid, write.value) {
                (Some(cid), Some(value)) => Op::Put { cid, value },
                _ => Op::Delete,
            };
            let first_seen_at = self.first_seen.get(&uri).copied().unwrap_or(self.now);
            let read = match &op {
                Op::Put { value, .. } => self.door.registry.read(&uri, value, first_seen_at).map(Some),
                Op::Delete => Ok(None),
            };
            let problem = match (read, self.door.registry.get(uri.collection())) {
                (Err(problem), None) => Some(problem),
                (Ok(_), None) => None,
                (read, Some(collection)) => {
                    let (uris, rows) = projections.entry(collection.kind).or_default();
                    uris.push(uri.to_string());
                    match read {
                        Ok(row) => {
                            rows.extend(row);
                            None
                        }
                        Err(problem) => Some(problem),
                    }
                }
            };
            columns.push(&uri, &write.row, op, problem);
        }
        columns.upsert(db, self.now).await?;
        if sabotage::is_on("no-tombstone") {
            sqlx::query("delete from record where cid is null").execute(&mut *db).await?;
        }
        self.raise_trust(db).await?;
        for kind in KINDS {
            if let Some((uris, rows)) = projections.remove(&kind) {
                record::project(db, kind, &uris, rows, &mut self.effects).await?;
            }
        }
        self.write_repos(db).await?;
        problem::keep(db, self.source.as_deref(), &self.problems).await?;
        source::count_divergences(db, &self.divergent).await?;
        self.effects.carry_out(db).await?;
        Ok(self.repos.into_keys().collect())
    }

    async fn raise_trust(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        if self.raised.is_empty() {
            return Ok(());
        }
        let uris: Vec<String> = self.raised.iter().map(AtUri::to_string).collect();
        sqlx::query!("update record set proven = true, reported_by = null where uri = any($1)", &uris)
            .execute(db)
            .await?;
        Ok(())
    }

    async fn write_repos(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        for (did, held) in self.repos.iter().filter(|(_, held)| held.changed) {
            let repo = &held.repo;
            let trail: Vec<String> = repo.trail.iter().map(|rev| rev.to_string()).collect();
            sqlx::query!(
                "update repo set epoch = $2, rev = $3, seen_rev = $4, trail = $5, data_root = $6, state = $7,
                                 synced_rev = $8, verified_at = case when $9 then $10 else verified_at end,
                                 resync_rev = $11, resync_upto = $12, resync_held = $13, resync_lost = $14,
                                 resync_at = case when $15 then $10 else resync_at end
                 where did = $1",
                did.as_str(),
                repo.epoch,
                repo.rev.as_ref().map(|rev| rev.as_str()),
                repo.seen_rev.as_ref().map(|rev| rev.as_str()),
                &trail,
                repo.data.map(|cid| cid.to_string()),
                repo.state.as_str(),
                repo.synced_rev.as_ref().map(|rev| rev.as_str()),
                held.verified,
                self.now,
                repo.resync.as_ref().map(|resync| resync.rev.as_str()),
                repo.resync.as_ref().map(|resync| resync.upto.as_str()),
                repo.resync.as_ref().map_or(0, |resync| resync.held as i32),
                repo.resync.as_ref().map_or(0, |resync| resync.lost as i32),
                held.read
            )
            .execute(&mut *db)
            .await?;
        }
        for (did, status) in &self.pending {
            let status: &change::Status = status;
            sqlx::query!(
                "update actor set pending_status = $2, pending_since = $3 where did = $1",
                did.as_str(),
                status.as_str(),
                self.now
            )
            .execute(&mut *db)
            .await?;
        }
        Ok(())
    }
}

impl Columns {
    fn push(&mut self, uri: &AtUri, row: &table::Row, op: Op, problem: Option<RecordProblem>) {
        let (cid, value) = match op {
            Op::Put { cid, value } => (Some(cid.to_string()), Some(value.to_vec())),
            Op::Delete => (None, None),
        };
        let (problem, detail) = problem.map(|problem| (problem.name.to_owned(), problem.detail)).unzip();
        if let Some(problem) = &problem {
            metrics::counter!("plyr_record_problems_total", "problem" => problem.clone()).increment(1);
        }
        self.uri.push(uri.to_string());
        self.did.push(uri.did().into());
        self.collection.push(uri.collection().to_owned());
        self.rkey.push(uri.rkey().to_owned());
        self.epoch.push(row.epoch);
        self.rev.push(row.rev.to_string());
        self.proven.push(row.proven);
        self.reported_by.push(row.reported_by.as_deref().map(str::to_owned));
        self.cid.push(cid);
        self.value.push(value);
        self.problem.push(problem);
        // What is wrong may quote what the database cannot hold.
        self.detail.push(detail.map(|detail: String| detail.replace('\0', "\u{fffd}")));
    }

    async fn upsert(&self, db: &mut PgConnection, now: chrono::DateTime<chrono::Utc>) -> sqlx::Result<()> {
        if self.uri.is_empty() {
            return Ok(());
        }
        // The locks on the repos make the decision in memory and this write one step.
        sqlx::query!(
            "insert into record (uri, did, collection, rkey, epoch, rev, proven, reported_by, cid, value, problem,
                                 problem_detail, first_seen_at, indexed_at)
             select *, $13, $13
             from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::integer[], $6::text[], $7::boolean[],
                         $8::text[], $9::text[], $10::bytea[], $11::text[], $12::text[])
             on conflict (uri) do update set
               epoch = excluded.epoch, rev = excluded.rev, proven = excluded.proven,
               reported_by = excluded.reported_by, cid = excluded.cid, value = excluded.value, problem = excluded.problem, problem_detail = excluded.problem_detail,
               indexed_at = excluded.indexed_at",
            &self.uri,
            &self.did,
            &self.collection,
            &self.rkey,
            &self.epoch,
            &self.rev,
            &self.proven,
            &self.reported_by as &[Option<String>],
            &self.cid as &[Option<String>],
            &self.value as &[Option<Vec<u8>>],
            &self.problem as &[Option<String>],
            &self.detail as &[Option<String>],
            now
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
