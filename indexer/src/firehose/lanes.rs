//! Parallel across DIDs, in order within one.
//!
//! A lane is the queue of one DID's events and the task that verifies them one after another; it lives as long as it has
//! work. A shard is a task that applies what the lanes of its DIDs have verified, as many as are ready in one transaction.

mod queue;

use std::hash::BuildHasher;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use foldhash::HashMap;
use foldhash::fast::RandomState;
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::jetstream::{DELETION_WAITS, Dialect, Touched};
use super::told::Told;
use super::verify;
use super::watermark::Watermark;
use crate::Indexer;
use crate::apply::batch::apply_from;
use crate::change::{Cursor, Input, Problem};
use crate::memory::{Forgotten, Memory};
use crate::sabotage;
use crate::source;
use crate::syntax::Did;
use queue::{Event, Queue};

/// Transactions at once.
const SHARDS: usize = 4;
/// Events of one transaction at most: the more wait, the larger it gets, and the less each costs.
const BATCH_MAX: usize = 2048;
/// A transaction takes no more once its events have so many bytes.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// While more than this is in flight, in units of [`UNIT_BYTES`], a transaction waits for others to join it: whoever comes
/// now waits for all before it in any case, and together they wait less.
const CROWD_UNITS: usize = IN_FLIGHT_UNITS / 8;
/// For so long at most, and not for longer than this without any that joins.
const CROWD_WAITS: Duration = Duration::from_millis(300);
const CROWD_PAUSE: Duration = Duration::from_millis(10);
/// What may be in flight, in units of [`UNIT_BYTES`].
const IN_FLIGHT_UNITS: usize = 40 * 1024;
const UNIT_BYTES: usize = 1024;
/// What one lane may hold: an account whose key cannot be had must not take everybody's room.
const LANE_BYTES_MAX: usize = 4 << 20;
/// Records that one commit may change.
const COMMIT_OPS_MAX: usize = 200;
/// How often a cursor that moved without transactions (events of no concern) is saved.
const SAVE_EVERY: Duration = Duration::from_secs(1);
const QUIET_TICKS_MAX: u32 = 5;

/// How long the end waits for what is in flight, and then for the cursor.
const GRACE: Duration = Duration::from_secs(8);

/// An event verified.
struct Verified {
    place: u64,
    inputs: Vec<Input>,
    room: OwnedSemaphorePermit,
}

/// The lanes and shards of one source.
pub(super) struct Lanes {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    saver: tokio::task::AbortHandle,
    /// Cancelled when a shard ends, which it does only by a panic: nothing of its DIDs would ever be applied again.
    pub broken: CancellationToken,
    /// Cancelled when the database has forgotten what it was told last: all is to be read again from the saved cursor.
    pub forgotten: CancellationToken,
}

struct Shared {
    indexer: Indexer,
    source: source::Key,
    memory: Memory,
    forgotten: CancellationToken,
    queues: Mutex<HashMap<Did, Queue>>,
    watermark: Mutex<Watermark>,
    /// Held while the cursor is saved beside a transaction.
    saving: tokio::sync::Mutex<()>,
    room: Arc<Semaphore>,
    shards: Vec<mpsc::Sender<Verified>>,
    hasher: RandomState,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    pub fn start(indexer: Indexer, source: source::Key, memory: Memory) -> Self {
        let (shards, receivers): (Vec<_>, Vec<_>) = (0..SHARDS).map(|_| mpsc::channel(BATCH_MAX)).unzip();
        let shared = Arc::new(Shared {
            indexer,
            source,
            memory,
            forgotten: CancellationToken::new(),
            queues: Mutex::default(),
            watermark: Mutex::default(),
            saving: tokio::sync::Mutex::default(),
            room: Arc::new(Semaphore::new(IN_FLIGHT_UNITS)),
            shards,
            hasher: RandomState::default(),
        });
        let mut tasks = JoinSet::new();
        let broken = CancellationToken::new();
        for receiver in receivers {
            let (shared, ended) = (shared.clone(), broken.clone().drop_guard());
            tasks.spawn(async move {
                let _ended = ended;
                shard(shared, receiver).await;
            });
        }
        let saver = tasks.spawn(save_now_and_then(shared.clone()));
        let forgotten = shared.forgotten.clone();
        Lanes { shared, tasks, saver, broken, forgotten }
    }

    /// Puts an event into its lane; waits while too much is in flight.
    pub async fn dispatch(&self, seq: i64, did: Did, told: Told, mut message: Bytes) {
        let waiting = lock(&self.shared.queues).get(&did).map_or(0, |queue| queue.bytes);
        let fits = waiting + message.len() <= LANE_BYTES_MAX.max(message.len());
        let told = Some(told).filter(|told| fits || !told.is_in_repo());
        if told.is_none() {
            message = Bytes::new();
        }
        let Some(room) = self.shared.make_room(message.len()).await else { return };
        let place = lock(&self.shared.watermark).begin(seq);
        let event = Event { place, seq, told, message, _room: room };
        let mut queues = lock(&self.shared.queues);
        if let Some(queue) = queues.get_mut(&did) {
            queue.push(event);
        } else {
            queues.insert(did.clone(), Queue::of(event));
            tokio::spawn(lane(self.shared.clone(), did));
        }
    }

    /// An event that concerns nothing here.
    pub fn pass(&self, seq: i64) {
        lock(&self.shared.watermark).pass(seq);
    }

    /// An event that could not be read is kept aside in its turn.
    pub async fn unreadable(&self, problem: Problem) {
        let Some(room) = self.shared.make_room(problem.bytes.len()).await else { return };
        let place = {
            let mut watermark = lock(&self.shared.watermark);
            // Without a seq of its own it goes with the event before it, so that the cursor waits for it too.
            let seq = problem.seq.or(watermark.newest()).unwrap_or(0);
            watermark.begin(seq)
        };
        let door = &self.shared.indexer.door;
        let missed = problem
            .did
            .clone()
            .filter(|did| door.concerns.knows(did.as_str()))
            .map(|did| Input::Missed { did });
        let inputs = std::iter::once(Input::Problem(problem)).chain(missed).collect();
        self.shared.shards[0].send(Verified { place, inputs, room }).await.ok();
    }

    /// Waits until everything in flight is applied.
    pub async fn drain(&self) {
        self.shared.room.acquire_many(IN_FLIGHT_UNITS as u32).await.ok();
    }

    /// Forgets how far the source was, once everything in flight is applied: its sequence numbers begin anew. A cursor that
    /// is being saved meanwhile is saved before this returns, and none of the old ones after it.
    pub async fn forget(&self) {
        if let Ok(_all) = self.shared.room.acquire_many(IN_FLIGHT_UNITS as u32).await {
            let _saved = self.shared.saving.lock().await;
            *lock(&self.shared.watermark) = Watermark::default();
        }
    }

    /// Ends without a word: what is in flight is read again.
    pub async fn abandon(mut self) {
        self.tasks.shutdown().await;
    }

    /// Waits until everything in flight is applied and the cursor saved.
    pub async fn finish(mut self) {
        let settle = async {
            let all = self.shared.room.acquire_many(IN_FLIGHT_UNITS as u32);
            if tokio::time::timeout(GRACE, all).await.is_err() {
                tracing::warn!("events still in flight at the end; they will be read again");
            }
            self.saver.abort();
            if tokio::time::timeout(GRACE, self.shared.save()).await.is_err() {
                tracing::warn!("the cursor could not be saved; some events will be read again");
            }
        };
        tokio::select! {
            () = settle => {}
            _ = self.forgotten.cancelled() => {}
        }
        self.tasks.shutdown().await;
    }
}

impl Shared {
    async fn make_room(&self, size_bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = (size_bytes / UNIT_BYTES + 1).min(IN_FLIGHT_UNITS) as u32;
        self.room.clone().acquire_many_owned(units).await.ok()
    }

    fn shard_of(&self, did: &Did) -> &mpsc::Sender<Verified> {
        &self.shards[self.hasher.hash_one(did) as usize % self.shards.len()]
    }

    /// The next event for a transaction that has been gathered since then.
    async fn next(&self, ready: &mut mpsc::Receiver<Verified>, since: Instant) -> Option<Verified> {
        if let Ok(next) = ready.try_recv() {
            return Some(next);
        }
        let in_flight = IN_FLIGHT_UNITS - self.room.available_permits();
        if in_flight < CROWD_UNITS || since.elapsed() > CROWD_WAITS {
            return None;
        }
        tokio::time::timeout(CROWD_PAUSE, ready.recv()).await.ok().flatten()
    }

    fn cursor(&self, seq: i64) -> Cursor {
        Cursor { source: self.source.clone(), seq, memory: Some(self.memory.clone()) }
    }

    /// Never returns where the database has forgotten something: nothing more is to be counted as finished.
    async fn apply(&self, inputs: Vec<Input>, cursor: &Cursor) {
        if let Err(Forgotten) = apply_from(&self.indexer.door, inputs, Some(cursor)).await {
            self.forgotten.cancel();
            std::future::pending::<()>().await;
        }
    }

    async fn save(&self) {
        let _turn = self.saving.lock().await;
        let mark = lock(&self.watermark).mark();
        if let Some(seq) = mark {
            self.apply(Vec::new(), &self.cursor(seq)).await;
            sabotage::point("cursor-saved");
        }
    }
}

/// Verifies one DID's events in order, until there are none.
async fn lane(shared: Arc<Shared>, did: Did) {
    let shard = shared.shard_of(&did).clone();
    loop {
        let event = {
            let mut queues = lock(&shared.queues);
            match queues.get_mut(&did).and_then(Queue::pop) {
                Some(event) => event,
                None => {
                    queues.remove(&did);
                    return;
                }
            }
        };
        let inputs = match &event.told {
            Some(Told::Json { dialect, .. }) if is_retold(&shared, &did, *dialect, &event.message).await => {
                Vec::new()
            }
            Some(told) => {
                let verified = AssertUnwindSafe(told.inputs(&shared.indexer, event.seq, &event.message))
                    .catch_unwind()
                    .await;
                // One event that breaks our own code must not cost its account all that follow.
                verified.unwrap_or_else(|_| {
                    verify::aside(event.seq, &did, "Panicked", "see the log".into(), &event.message)
                })
            }
            None if sabotage::is_on("full-lane-forgotten") => Vec::new(),
            None => vec![Input::Missed { did: did.clone() }],
        };
        if shard.send(Verified { place: event.place, inputs, room: event._room }).await.is_err() {
            return;
        }
    }
}

/// Whether the same commit says something else of the same record later: see [`Touched`].
async fn is_retold(shared: &Shared, did: &Did, dialect: Dialect, message: &Bytes) -> bool {
    let Some(touched) = Touched::read(dialect, message) else { return false };
    let mut following = following(shared, did);
    // What follows of another commit would have come after the rest of this one.
    if touched.is_deletion && following.last().is_none_or(|message| touched.is_of_one_commit_with(message)) {
        tokio::time::sleep(DELETION_WAITS).await;
        following = self::following(shared, did);
    }
    following.iter().any(|message| touched.is_retold_by(dialect, message))
}

/// What waits in a lane, as far as it may be of one commit.
fn following(shared: &Shared, did: &Did) -> Vec<Bytes> {
    let queues = lock(&shared.queues);
    let waiting = queues.get(did).into_iter().flat_map(|queue| &queue.events);
    waiting.take(COMMIT_OPS_MAX).map(|event| event.message.clone()).collect()
}

/// Applies what is ready, in the order in which it became ready.
async fn shard(shared: Arc<Shared>, mut ready: mpsc::Receiver<Verified>) {
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while let Some(first) = ready.recv().await {
        let (since, mut units) = (Instant::now(), first.room.num_permits());
        batch.push(first);
        while batch.len() < BATCH_MAX
            && units * UNIT_BYTES < BATCH_BYTES_MAX
            && let Some(next) = shared.next(&mut ready, since).await
        {
            units += next.room.num_permits();
            batch.push(next);
        }
        let places: Vec<u64> = batch.iter().map(|event| event.place).collect();
        let inputs: Vec<Input> =
            batch.iter_mut().flat_map(|event| std::mem::take(&mut event.inputs)).collect();
        // The source goes with it from the first batch on: it is who said all this.
        let mark = lock(&shared.watermark).mark_with(&places);
        let cursor = shared.cursor(mark.unwrap_or(source::NO_CURSOR));
        metrics::histogram!("plyr_batch_inputs").record(inputs.len() as f64);
        let started = Instant::now();
        if sabotage::is_on("cursor-before-data") {
            shared.apply(Vec::new(), &cursor).await;
        }
        shared.apply(inputs, &cursor).await;
        metrics::histogram!("plyr_apply_seconds").record(started.elapsed().as_secs_f64());
        lock(&shared.watermark).finish(places);
        // Dropping the events makes room for others.
        batch.clear();
    }
}

async fn save_now_and_then(shared: Arc<Shared>) {
    let (mut saved, mut quiet_ticks) = (None, 0);
    let mut ticks = tokio::time::interval(SAVE_EVERY);
    loop {
        ticks.tick().await;
        let mark = lock(&shared.watermark).mark();
        quiet_ticks += 1;
        // Now and then all the same: a crash is to be noticed however quiet the stream is.
        if mark != saved || quiet_ticks == QUIET_TICKS_MAX {
            shared.save().await;
            (saved, quiet_ticks) = (mark, 0);
        }
        if let Err(error) = shared.indexer.door.refresh_tracked_if_old().await {
            tracing::warn!(%error, "cannot read whom we follow");
        }
    }
}
