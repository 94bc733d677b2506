//! The door: the only code that changes what we believe about the network.
//!
//! Every source speaks [`Input`]; many inputs share one transaction. Its order, which every transaction keeps so that no
//! two wait for each other: repos are locked (by DID), records decided on by the [`table`] and written (by URI),
//! projections replaced, jobs enqueued, one notification sent, numbers moved, the source's cursor saved.
//!
//! A projection is deleted by its URI and inserted anew: create, update, replay and rebuild are the same code.

pub mod account;
pub mod batch;
pub mod effects;
pub mod hear;
mod load;
mod met;
#[cfg(test)]
mod model;
pub mod player;
pub mod rebuild;
mod refer;
pub mod reread;
mod settle;
pub mod table;
mod world;
mod write;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::HashSet;
use sqlx::{PgConnection, PgPool};

use crate::change::{Cursor, Input, RepoSnapshot};
use crate::link::concern::Concerns;
use crate::link::names;
use crate::record::Registry;
use crate::sabotage;
use crate::syntax::{AtUri, Did};
use met::{Met, Refreshed};
pub(crate) use settle::FINISH_PATIENCE;
use world::World;
pub use write::RECORDS;

/// What the door needs: a database, the collections, and which repos it follows.
#[derive(Debug)]
pub struct Door {
    /// Read and write; with [`pool::options`](crate::pool::options).
    pub pool: PgPool,
    /// The indexed collections.
    pub registry: Registry,
    /// What of the whole network's stream is to be looked at.
    pub concerns: Concerns,
    tracked: RwLock<HashSet<Did>>,
    refreshed: tokio::sync::Mutex<Refreshed>,
    /// By which it knows its own notes among those of other processes.
    id: u64,
    /// Whether the network's stream is read here.
    hears: AtomicBool,
}

impl Door {
    /// Opens the door on a migrated database.
    pub async fn open(pool: PgPool, registry: Registry) -> sqlx::Result<Self> {
        let door = Door::unopened(pool, registry);
        if let Some(host) = door.registry.page_hosts().own_host() {
            names::adopt(&door.pool, &host).await?;
        }
        door.refresh_tracked().await?;
        Ok(door)
    }

    /// A door that has not looked at its database, and so knows of no repo that it follows.
    pub fn unopened(pool: PgPool, registry: Registry) -> Self {
        let concerns = Concerns::new(&registry);
        Door {
            pool,
            registry,
            concerns,
            tracked: RwLock::default(),
            refreshed: Refreshed::never(),
            id: rand::random(),
            hears: AtomicBool::new(false),
        }
    }

    /// Whether this repo is followed: all its commits matter, not only those that touch collections of ours.
    pub fn is_tracked(&self, did: &Did) -> bool {
        self.tracked.read().unwrap_or_else(PoisonError::into_inner).contains(did)
    }

    /// Follows a repo before anything of it is applied.
    pub fn expect(&self, did: &Did) {
        self.track(std::iter::once(did));
    }

    fn track<'a>(&self, dids: impl Iterator<Item = &'a Did>) {
        let missing: Vec<Did> = dids.filter(|did| !self.is_tracked(did)).cloned().collect();
        if !missing.is_empty() {
            self.concerns.add_people(missing.iter());
            self.tracked.write().unwrap_or_else(PoisonError::into_inner).extend(missing);
        }
    }
}

/// Applies what a source says and saves how far it has come, or nothing of both.
pub async fn apply(door: &Door, inputs: &[Input], cursor: Option<&Cursor>) -> sqlx::Result<()> {
    transact(door, inputs, cursor.map(|cursor| &cursor.source), cursor, true).await
}

/// Applies inputs inside a transaction of the caller's, who commits it: what we wrote ourselves closes its intent in the
/// same step. The caller's own locks come after those of the door.
pub async fn apply_within(door: &Door, db: &mut PgConnection, inputs: &[Input]) -> sqlx::Result<()> {
    let met = write(door, db, inputs, None).await?;
    // Known a moment early where the transaction fails: that only asks for more than is needed.
    met.tell(door);
    Ok(())
}

async fn write(
    door: &Door,
    db: &mut PgConnection,
    inputs: &[Input],
    source: Option<&Arc<str>>,
) -> sqlx::Result<Met> {
    let mut world = World::load(door, db, inputs, source).await?;
    for input in inputs {
        world.take(input);
    }
    world.write(db).await
}

/// The records of a repo that are kept, whatever is held of it now: of other people's collections, only what names something
/// of ours.
pub(crate) async fn kept(door: &Door, snapshot: &RepoSnapshot) -> sqlx::Result<HashSet<AtUri>> {
    let mut world = World::new(door, None);
    let snapshot = [Input::Snapshot(snapshot.clone())];
    world.refer(&mut *door.pool.acquire().await?, &snapshot).await?;
    let [Input::Snapshot(snapshot)] = snapshot else { return Ok(HashSet::default()) };
    let kept = snapshot.records.into_iter().map(|(uri, ..)| uri).filter(|uri| world.keeps(uri));
    Ok(kept.collect())
}

/// Whether the database would take these inputs.
async fn rehearse(door: &Door, inputs: &[Input], source: Option<&Arc<str>>) -> sqlx::Result<()> {
    transact(door, inputs, source, None, false).await
}

/// Every statement finds its rows by keys that come in arrays: one plan fits all lengths, and making it anew each time costs
/// more than it could save.
macro_rules! begin {
    ($more:literal) => {
        concat!("begin; set local plan_cache_mode = force_generic_plan; set local jit = off", $more)
    };
}
const BEGIN: &str = begin!("");
/// The same for those who would notice that a crash has taken something back.
const BEGIN_UNWAITING: &str = begin!("; set local synchronous_commit = off");

async fn transact(
    door: &Door,
    inputs: &[Input],
    source: Option<&Arc<str>>,
    cursor: Option<&Cursor>,
    commit: bool,
) -> sqlx::Result<()> {
    let waits = cursor.is_none_or(|cursor| cursor.memory.is_none());
    let mut tx = door.pool.begin_with(if waits { BEGIN } else { BEGIN_UNWAITING }).await?;
    let met = write(door, &mut tx, inputs, source).await?;
    if let Some(cursor) = cursor {
        // Whatever is behind is saved before long, even when nothing more comes.
        crate::source::advance(&mut tx, cursor, !inputs.is_empty()).await?;
    }
    if commit {
        sabotage::point("apply-before-commit");
        tx.commit().await?;
        sabotage::point("apply-after-commit");
        met.tell(door);
    } else {
        tx.rollback().await?;
    }
    Ok(())
}
