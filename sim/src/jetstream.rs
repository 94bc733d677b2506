//! A Jetstream: what happened in the world as JSON, one event per record, in both dialects that are spoken today.
//!
//! [`Jetstream::push`] is all that feeds it. What it says on the wire (names and order of fields, cursors, filters,
//! dictionaries, refusals) follows the servers of the network; what they do in bad hours it does when told to.

mod dictionary;
mod filter;
mod server;
mod wire;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How a Jetstream begins.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens; port 0 for a free one.
    pub listen: SocketAddr,
    /// The number of its first event.
    pub first_seq: u64,
    /// How often it asks a subscriber for a sign of life.
    pub ping_every: Duration,
    /// Whether it says that a cursor lies in its future, as newer servers do.
    pub tells_of_future_cursors: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            first_seq: 1,
            ping_every: Duration::from_secs(30),
            tells_of_future_cursors: true,
        }
    }
}

/// A running Jetstream, ended by being dropped.
#[derive(Debug)]
pub struct Jetstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    log: Mutex<Log>,
    /// The number that the next event gets.
    next: watch::Sender<u64>,
    /// Moves on when all connections are to end.
    generation: watch::Sender<u64>,
    /// Which of its dictionaries it gives and takes.
    dictionary: AtomicU64,
    subscribers: AtomicU64,
}

#[derive(Debug, Default)]
struct Log {
    entries: Vec<Arc<Entry>>,
    /// Nothing before this is there any more.
    floor: u64,
    /// Collections that begin so are not delivered.
    hidden: Vec<String>,
    /// What is said as all connections end.
    last_words: Option<String>,
}

/// An event as it is sent.
#[derive(Debug)]
struct Entry {
    seq: u64,
    v1: Option<String>,
    v2: String,
    event: Event,
}

impl Event {
    /// As the newer dialect says it.
    pub fn modern(&self, seq: u64) -> String {
        wire::v2(self, seq)
    }

    /// As the older dialect says it; none where it says nothing.
    pub fn legacy(&self, seq: u64) -> Option<String> {
        wire::v1(self, seq)
    }
}

impl Jetstream {
    /// Starts one that nothing has happened to yet.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let log = Log { floor: options.first_seq, ..Log::default() };
        let shared = Arc::new(Shared {
            next: watch::Sender::new(options.first_seq),
            generation: watch::Sender::new(0),
            dictionary: AtomicU64::new(0),
            subscribers: AtomicU64::new(0),
            options,
            log: Mutex::new(log),
        });
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(listener, shared.clone(), stop.clone()));
        Ok(Jetstream { address, shared, stop })
    }

    /// Host and port, as URLs name it.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Tells of an event. Returns the number it got.
    pub fn push(&self, event: Event) -> u64 {
        let mut log = self.shared.log();
        let seq = *self.shared.next.borrow();
        let (v1, v2) = (wire::v1(&event, seq), wire::v2(&event, seq));
        log.entries.push(Arc::new(Entry { seq, v1, v2, event }));
        self.shared.next.send_replace(seq + 1);
        seq
    }

    /// The number that the next event gets.
    pub fn next_seq(&self) -> u64 {
        *self.shared.next.borrow()
    }

    /// Counts on without an event, as if some had been lost.
    pub fn skip(&self, events: u64) {
        let _log = self.shared.log();
        self.shared.next.send_modify(|next| *next += events);
    }

    /// Forgets what is older than the retention: events with a smaller number.
    pub fn forget_before(&self, seq: u64) {
        let mut log = self.shared.log();
        log.floor = seq;
        log.entries.retain(|entry| entry.seq >= seq);
    }

    /// Goes blind: collections whose names begin so are delivered no more. None cures it, and what was not delivered is
    /// in the log all the same.
    pub fn hide(&self, prefixes: &[&str]) {
        self.shared.log().hidden = prefixes.iter().map(|prefix| (*prefix).to_owned()).collect();
    }

    /// Ends all connections.
    pub fn disconnect(&self) {
        self.shared.log().last_words = None;
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// Ends all connections with an error, e.g. `ConsumerTooSlow`. The dialect of times has no word for that.
    pub fn fail(&self, error: &str, message: &str) {
        self.shared.log().last_words = Some(wire::error(error, message));
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// Compresses by another dictionary from now on; the one before is not known any more.
    pub fn change_dictionary(&self) {
        self.shared.dictionary.fetch_xor(1, Ordering::Relaxed);
    }

    /// Ends it, before it is dropped. Another may then begin at its address.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Connections that are open.
    pub fn subscribers(&self) -> u64 {
        self.shared.subscribers.load(Ordering::Relaxed)
    }
}

impl Drop for Jetstream {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thing that happened, as the relay that feeds a Jetstream tells it.
#[derive(Debug, Clone)]
pub struct Event {
    /// Whose.
    pub did: String,
    /// When the Jetstream saw it, in microseconds since 1970: the cursor of the older dialect. Events are pushed in the
    /// order of these; two may share one.
    pub time_us: i64,
    /// What.
    pub body: Body,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Body {
    /// One record changed.
    Commit(Commit),
    /// The event of subscribeRepos as JSON: `{did, handle?, seq, time}`.
    Identity(serde_json::Value),
    /// The event of subscribeRepos as JSON: `{active, did, seq, status?, time}`.
    Account(serde_json::Value),
    /// The event of subscribeRepos as JSON: `{blocks: {$bytes}, did, rev, seq, time}`. Only the newer dialect shows it.
    Sync(serde_json::Value),
}

/// One record changed.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The commit that did it.
    pub rev: String,
    /// How.
    pub operation: Operation,
    /// NSID of the collection.
    pub collection: String,
    /// Key within it.
    pub rkey: String,
    /// CID of the record; none when it was deleted.
    pub cid: Option<String>,
    /// The record in the JSON form of the data model; none when it was deleted.
    pub record: Option<serde_json::Value>,
    /// It follows a `#sync`, standing for a record that the repo holds now. Only the newer dialect shows it.
    pub is_replacement: bool,
}

/// How a record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Create,
    /// It was replaced.
    Update,
    /// It is gone.
    Delete,
}
