//! Locking the repos that a transaction concerns, and reading what is stored of them.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Door;
use super::account::uris_of;
use super::effects::Effects;
use super::table::{Repo, RepoState, Resync, Row};
use super::world::{Found, Held, World};
use crate::change::{Input, Local, Proof, RepoSnapshot, Report, Status};
use crate::job;
use crate::syntax::{AtUri, Did, Tid};

/// Which records are to be read: some by name, and all of some ranges.
#[derive(Default)]
struct Wanted {
    uris: BTreeSet<String>,
    /// After this one, up to that one.
    ranges: Vec<(String, String)>,
}

impl<'a> World<'a> {
    /// Locks and reads. Repos and people that the inputs prove to have something of ours are made known first.
    pub(super) async fn load(
        door: &'a Door,
        db: &mut PgConnection,
        inputs: &[Input],
        source: Option<&Arc<str>>,
    ) -> sqlx::Result<Self> {
        let mut world = World::new(door, source.cloned());
        let dids: BTreeSet<Did> = inputs.iter().filter_map(did_of).collect();
        world.lock(db, &dids.iter().map(Did::to_string).collect::<Vec<_>>()).await?;
        world.refer(db, inputs).await?;
        let (mut followed, mut others) = (BTreeSet::new(), BTreeSet::new());
        for (did, follows) in inputs.iter().filter_map(|input| world.met_by(input)) {
            if follows {
                followed.insert(did)
            } else {
                others.insert(did)
            };
        }
        let others: Vec<String> = others.difference(&followed).cloned().collect();
        let followed: Vec<String> = followed.into_iter().collect();
        let met = meet(db, &followed, true).await?;
        let greeted = meet(db, &others, false).await?;
        let new = [followed, others].concat();
        if !new.is_empty() {
            world.lock(db, &new).await?;
        }
        let inactive = world.repos.iter().filter(|(_, held)| held.status != Some(Status::Active));
        world.effects = Effects::new(inactive.map(|(did, _)| did.to_string()).collect::<HashSet<_>>());
        for did in met {
            world.effects.job(job::MEET, did);
        }
        for did in greeted {
            world.effects.job(job::GREET, did);
        }
        let wanted = world.wanted(inputs);
        world.read_rows(db, wanted).await?;
        Ok(world)
    }

    /// Whom we do not know yet, or do not follow, and an input shows to have something of ours; and whether they are to be
    /// followed.
    fn met_by(&self, input: &Input) -> Option<(String, bool)> {
        let did = did_of(input)?;
        let known = self.repos.get(&did);
        if known.is_some_and(|held| held.followed) {
            return None;
        }
        let follows = match input {
            Input::Commit(commit) => commit.ops.iter().any(|(uri, _)| self.tracks(uri)),
            Input::Snapshot(snapshot) => snapshot.records.iter().any(|(uri, ..)| self.tracks(uri)),
            Input::Report(report) => self.tracks(&report.uri),
            Input::Local(_) => true,
            _ => false,
        };
        (follows || known.is_none() && self.is_concerned(input)).then(|| (did.into(), follows))
    }

    fn wanted(&self, inputs: &[Input]) -> Wanted {
        let mut wanted = Wanted::default();
        let read: HashSet<&Did> = inputs
            .iter()
            .filter_map(
                |input| if let Input::Snapshot(snapshot) = input { Some(&snapshot.did) } else { None },
            )
            .collect();
        for input in inputs {
            match input {
                Input::Proof(Proof { uri, .. })
                | Input::Local(Local { uri, .. })
                | Input::Report(Report { uri, .. }) => {
                    wanted.uris.insert(uri.to_string());
                }
                // A replay changes nothing, unless something before it in this batch may bring the repo back.
                Input::Commit(commit) if read.contains(&commit.did) || !self.is_replay(commit) => {
                    wanted.uris.extend(commit.ops.iter().map(|(uri, _)| uri.to_string()));
                }
                Input::Snapshot(RepoSnapshot { did, after, upto, .. }) => {
                    let (start, end) = uris_of(did);
                    let start = after.as_ref().map_or(start, AtUri::to_string);
                    wanted.ranges.push((start, upto.as_ref().map_or(end, AtUri::to_string)));
                }
                _ => {}
            }
        }
        wanted
    }

    async fn lock(&mut self, db: &mut PgConnection, dids: &[String]) -> sqlx::Result<()> {
        let rows = sqlx::query!(
            "select did, epoch, rev, seen_rev, trail, data_root, state, synced_rev, resync_rev, resync_upto,
                    resync_held, resync_lost
             from repo where did = any($1) order by did for update",
            dids
        )
        .fetch_all(&mut *db)
        .await?;
        // A statement of its own, after the wait for the locks: whoever held them may have changed a status.
        let people = sqlx::query!(
            r#"select did, status, pending_status, followed_at is not null as "followed!", member_at is not null as "is_member!"
                 from actor where did = any($1)"#,
            dids
        )
            .fetch_all(db)
            .await?;
        let mut people: HashMap<String, (String, Option<String>, [bool; 2])> = people
            .into_iter()
            .map(|row| (row.did, (row.status, row.pending_status, [row.followed, row.is_member])))
            .collect();
        for row in rows {
            let tid = |text: Option<String>| text.and_then(|text| text.parse::<Tid>().ok());
            let resync = tid(row.resync_rev).zip(row.resync_upto.and_then(|upto| upto.parse().ok()));
            let repo = Repo {
                epoch: row.epoch,
                rev: tid(row.rev),
                trail: row.trail.into_iter().filter_map(|text| text.parse().ok()).collect(),
                seen_rev: tid(row.seen_rev),
                data: row.data_root.and_then(|text| text.parse().ok()),
                state: RepoState::from_word(&row.state),
                synced_rev: tid(row.synced_rev),
                resync: resync.map(|(rev, upto)| Resync {
                    rev,
                    upto,
                    held: row.resync_held.max(0) as usize,
                    lost: row.resync_lost.max(0) as usize,
                }),
            };
            let Some((status, pending, [followed, is_member])) = people.remove(&row.did) else { continue };
            let status = Status::from_word(&status);
            let pending = pending.as_deref().and_then(Status::from_word);
            if let Ok(did) = row.did.parse::<Did>() {
                self.repos
                    .insert(did, Held { repo, status, pending, followed, is_member, ..Held::default() });
            }
        }
        Ok(())
    }

    async fn read_rows(&mut self, db: &mut PgConnection, wanted: Wanted) -> sqlx::Result<()> {
        let Wanted { uris, ranges } = wanted;
        if !uris.is_empty() {
            let rows = sqlx::query_as!(
                Stored,
                r#"select uri, epoch, rev, proven, reported_by, cid, first_seen_at, indexed_at,
                          value is not null as "lives!"
                   from record where uri = any($1)"#,
                &uris.into_iter().collect::<Vec<_>>()
            )
            .fetch_all(&mut *db)
            .await?;
            rows.into_iter().for_each(|row| self.note(row));
        }
        // One by one, so that no plan can be made of them that walks the whole table.
        for (after, upto) in ranges {
            let rows = sqlx::query_as!(
                Stored,
                r#"select uri, epoch, rev, proven, reported_by, cid, first_seen_at, indexed_at,
                          value is not null as "lives!"
                   from record where uri > $1 and uri <= $2"#,
                after,
                upto
            )
            .fetch_all(&mut *db)
            .await?;
            rows.into_iter().for_each(|row| self.note(row));
        }
        Ok(())
    }

    fn note(&mut self, row: Stored) {
        let (Ok(uri), Ok(rev)) = (row.uri.parse::<AtUri>(), row.rev.parse()) else { return };
        let cid = row.cid.and_then(|cid| cid.parse().ok());
        let found = Found { first_seen_at: row.first_seen_at, lives: row.lives };
        self.found.insert(uri.clone(), found);
        let reported_by = row.reported_by.map(Arc::from);
        let (epoch, proven, indexed_at) = (row.epoch, row.proven, row.indexed_at);
        self.rows.insert(uri, Row { epoch, rev, proven, reported_by, cid, indexed_at });
    }
}

/// A row of `record`, without what nothing is decided by.
struct Stored {
    uri: String,
    epoch: i32,
    rev: String,
    proven: bool,
    reported_by: Option<String>,
    cid: Option<String>,
    first_seen_at: DateTime<Utc>,
    indexed_at: DateTime<Utc>,
    lives: bool,
}

/// Whose it is, as far as that is known.
fn did_of(input: &Input) -> Option<Did> {
    match input {
        Input::Proof(Proof { uri, .. })
        | Input::Local(Local { uri, .. })
        | Input::Report(Report { uri, .. }) => Some(uri.did()),
        input => input.did().cloned(),
    }
}

/// Makes people and their repos known, and from now on followed if they are to be. Returns those for whom that is new.
pub(super) async fn meet(db: &mut PgConnection, dids: &[String], follows: bool) -> sqlx::Result<Vec<String>> {
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
        r#"insert into actor (did, followed_at) select did, case when $2 then now() end
           from unnest($1::text[]) as d (did) order by did collate "C"
           on conflict (did) do update set followed_at = now() where actor.followed_at is null and $2
           returning did"#,
        dids,
        follows
    )
    .fetch_all(db)
    .await
}
