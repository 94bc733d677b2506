//! Locking the repos that a transaction concerns, and reading what is stored of them.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::PgConnection;

use super::Door;
use super::effects::Effects;
use super::table::{Repo, RepoState, Row};
use super::world::{Held, World};
use crate::change::{Input, Status};
use crate::job;
use crate::syntax::{AtUri, Did, Tid};

impl<'a> World<'a> {
    /// Locks and reads. Repos and people that the inputs prove to have something of ours are made known first.
    pub(super) async fn load(door: &'a Door, db: &mut PgConnection, inputs: &[Input]) -> sqlx::Result<Self> {
        let mut world = World::new(door);
        let mut dids: BTreeSet<String> = BTreeSet::new();
        let mut new: BTreeSet<String> = BTreeSet::new();
        let (mut uris, mut whole) = (BTreeSet::new(), Vec::new());
        for input in inputs {
            match input {
                Input::Proof(proof) => {
                    dids.insert(proof.uri.did().into());
                    uris.insert(proof.uri.to_string());
                }
                Input::Local(local) => {
                    dids.insert(local.uri.did().into());
                    new.insert(local.uri.did().into());
                    uris.insert(local.uri.to_string());
                }
                Input::Report(report) => {
                    dids.insert(report.uri.did().into());
                    new.insert(report.uri.did().into());
                    uris.insert(report.uri.to_string());
                }
                _ => {}
            }
            let Some(did) = input.did() else { continue };
            dids.insert(did.to_string());
            match input {
                Input::Commit(commit) => {
                    if !commit.ops.is_empty() {
                        new.insert(did.to_string());
                    }
                    uris.extend(commit.ops.iter().map(|(uri, _)| uri.to_string()));
                }
                Input::Snapshot(snapshot) => {
                    let tracks =
                        |uri: &AtUri| door.registry.get(uri.collection()).is_some_and(|known| known.tracks);
                    if snapshot.records.iter().any(|(uri, ..)| tracks(uri)) {
                        new.insert(did.to_string());
                    }
                    whole.push(did.to_string());
                }
                _ => {}
            }
        }
        let met = meet(db, &new.into_iter().collect::<Vec<_>>()).await?;
        world.lock(db, &dids.into_iter().collect::<Vec<_>>()).await?;
        let inactive = world.repos.iter().filter(|(_, held)| held.status != Some(Status::Active));
        world.effects = Effects::new(inactive.map(|(did, _)| did.to_string()).collect::<HashSet<_>>());
        for did in met {
            world.effects.job(job::MEET, did);
        }
        world.read_rows(db, &uris.into_iter().collect::<Vec<_>>(), &whole).await?;
        Ok(world)
    }

    async fn lock(&mut self, db: &mut PgConnection, dids: &[String]) -> sqlx::Result<()> {
        let rows = sqlx::query!(
            "select did, epoch, rev, seen_rev, trail, data_root, state, synced_rev from repo
             where did = any($1) order by did for update",
            dids
        )
        .fetch_all(&mut *db)
        .await?;
        // A statement of its own, after the wait for the locks: whoever held them may have changed a status.
        let people = sqlx::query!("select did, status, pending_status from actor where did = any($1)", dids)
            .fetch_all(db)
            .await?;
        let mut people: HashMap<String, (String, Option<String>)> =
            people.into_iter().map(|row| (row.did, (row.status, row.pending_status))).collect();
        for row in rows {
            let tid = |text: Option<String>| text.and_then(|text| text.parse::<Tid>().ok());
            let repo = Repo {
                epoch: row.epoch,
                rev: tid(row.rev),
                trail: row.trail.into_iter().filter_map(|text| text.parse().ok()).collect(),
                seen_rev: tid(row.seen_rev),
                data: row.data_root.and_then(|text| text.parse().ok()),
                state: RepoState::from_word(&row.state),
                synced_rev: tid(row.synced_rev),
            };
            let Some((status, pending)) = people.remove(&row.did) else { continue };
            let status = Status::from_word(&status);
            let pending = pending.as_deref().and_then(Status::from_word);
            if let Ok(did) = row.did.parse::<Did>() {
                self.repos.insert(did, Held { repo, status, pending, ..Held::default() });
            }
        }
        Ok(())
    }

    async fn read_rows(
        &mut self,
        db: &mut PgConnection,
        uris: &[String],
        whole: &[String],
    ) -> sqlx::Result<()> {
        if uris.is_empty() && whole.is_empty() {
            return Ok(());
        }
        let rows = sqlx::query!(
            "select uri, epoch, rev, proven, cid, first_seen_at, indexed_at from record where uri = any($1)
             union
             select uri, epoch, rev, proven, cid, first_seen_at, indexed_at from record where did = any($2)",
            uris,
            whole
        )
        .fetch_all(db)
        .await?;
        for row in rows {
            let (Some(uri), Some(rev)) = (row.uri, row.rev) else { continue };
            let (Ok(uri), Ok(rev)) = (uri.parse::<AtUri>(), rev.parse()) else { continue };
            let cid = row.cid.and_then(|cid| cid.parse().ok());
            let indexed_at = row.indexed_at.unwrap_or(self.now);
            let (epoch, proven) = (row.epoch.unwrap_or_default(), row.proven.unwrap_or_default());
            self.first_seen.insert(uri.clone(), row.first_seen_at.unwrap_or(self.now));
            self.rows.insert(uri, Row { epoch, rev, proven, cid, indexed_at });
        }
        Ok(())
    }
}

/// Makes people and their repos known. Returns those who were not.
pub(super) async fn meet(db: &mut PgConnection, dids: &[String]) -> sqlx::Result<Vec<String>> {
    if dids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query!(
        r#"insert into repo (did) select * from unnest($1::text[]) as d (did) order by did collate "C"
           on conflict do nothing"#,
        dids
    )
    .execute(&mut *db)
    .await?;
    sqlx::query_scalar!(
        r#"insert into actor (did) select * from unnest($1::text[]) as d (did) order by did collate "C"
           on conflict do nothing returning did"#,
        dids
    )
    .fetch_all(db)
    .await
}
