//! How a source is doing: noted at every event in memory, told once a second to the database and the metrics.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::{Counter, Gauge};
use sqlx::PgPool;
use tokio::time::Instant;

use crate::source;

/// How often it is told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Times are read off an event no more often than this: thousands come in a second.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Comparisons are owed no more often than this; what comes sooner is owed at the end of it.
const OWE_EVERY: Duration = Duration::from_secs(30);

/// That nothing changed is said too, so that others know the reader to be alive.
const ALIVE_EVERY: Duration = Duration::from_secs(20);

const KINDS: [&str; 8] = ["commit", "sync", "identity", "account", "info", "error", "unknown", "unreadable"];

/// The health of one source.
pub(super) struct Health {
    key: Arc<str>,
    state: Mutex<State>,
    events: [Counter; KINDS.len()],
    connected: Gauge,
    lag_seconds: Gauge,
    gaps: Counter,
}

#[derive(Default)]
struct State {
    now: source::Health,
    told: source::Health,
    looked_at: Option<Instant>,
    owed_at: Option<Instant>,
    told_at: Option<Instant>,
    owes: bool,
    has_begun: bool,
}

impl Health {
    pub fn new(key: &Arc<str>) -> Self {
        let source = || key.to_string();
        Health {
            key: key.clone(),
            state: Mutex::default(),
            events: KINDS
                .map(|kind| metrics::counter!("plyr_events_total", "source" => source(), "kind" => kind)),
            connected: metrics::gauge!("plyr_source_connected", "source" => source()),
            lag_seconds: metrics::gauge!("plyr_source_lag_seconds", "source" => source()),
            gaps: metrics::counter!("plyr_source_gaps_total", "source" => source()),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is the first connection of this process.
    pub fn begins(&self) -> bool {
        !std::mem::replace(&mut self.state().has_begun, true)
    }

    pub fn connected(&self, is_pds: bool) {
        let mut state = self.state();
        (state.now.connected, state.now.is_pds) = (true, is_pds);
        self.connected.set(1.0);
    }

    pub fn disconnected(&self) {
        self.state().now.connected = false;
        self.connected.set(0.0);
    }

    /// Counts an event of a kind.
    pub fn count(&self, kind: &'static str) {
        if let Some(index) = KINDS.iter().position(|known| *known == kind) {
            self.events[index].increment(1);
        }
    }

    /// An event came, which happened when it says.
    pub fn heard(&self, at: impl FnOnce() -> Option<DateTime<Utc>>) {
        let now = Instant::now();
        let mut state = self.state();
        if state.looked_at.is_none_or(|looked_at| now - looked_at > LOOK_EVERY) {
            state.looked_at = Some(now);
            state.now.heard_at = Some(Utc::now());
            if let Some(at) = at() {
                state.now.event_at = Some(at);
            }
        }
    }

    /// An event of a collection of ours came.
    pub fn heard_ours(&self, collection: &str, at: Option<DateTime<Utc>>) {
        let now = Utc::now();
        // What anybody's clock says counts up to now and no further.
        let at = at.unwrap_or(now).min(now);
        let mut state = self.state();
        state.now.ours_at = Some(now);
        let namespace = namespace(collection);
        match state.now.ours.get_mut(namespace) {
            Some(newest) => *newest = at.max(*newest),
            None => {
                state.now.ours.insert(namespace.to_owned(), at);
            }
        }
    }

    /// Something is missing. Whether a comparison is owed at once, and not only later together with others.
    pub fn gap(&self) -> bool {
        self.gaps.increment(1);
        let mut state = self.state();
        state.now.new_gaps += 1;
        let is_due = state.owed_at.is_none_or(|owed_at| owed_at.elapsed() > OWE_EVERY);
        state.owes = !is_due;
        if is_due {
            state.owed_at = Some(Instant::now());
        }
        is_due
    }

    /// Tells how the source is doing, for ever.
    pub async fn keep(self: Arc<Self>, pool: PgPool) {
        let mut ticks = tokio::time::interval(TELL_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(at) = self.state().now.event_at {
                // Grows while nothing comes: a stream that stands still is one that lags.
                self.lag_seconds.set((Utc::now() - at).num_milliseconds() as f64 / 1000.0);
            }
            let is_due = {
                let state = self.state();
                state.owes && state.owed_at.is_none_or(|owed_at| owed_at.elapsed() > OWE_EVERY)
            };
            self.tell(&pool, is_due).await;
        }
    }

    /// Tells the last of it.
    pub async fn save(&self, pool: &PgPool) {
        let owes = self.state().owes;
        if tokio::time::timeout(super::SAVE_MAX, self.tell(pool, owes)).await.is_err() {
            tracing::warn!(source = &*self.key, "how the stream was doing could not be saved");
        }
    }

    async fn tell(&self, pool: &PgPool, owes: bool) {
        if owes {
            match source::owe_compare(pool, &self.key).await {
                Ok(()) => {
                    let mut state = self.state();
                    (state.owes, state.owed_at) = (false, Some(Instant::now()));
                }
                Err(error) => tracing::warn!(%error, "cannot note that a comparison is owed"),
            }
        }
        let (now, is_told) = {
            let state = self.state();
            let is_recent = state.told_at.is_some_and(|told_at| told_at.elapsed() < ALIVE_EVERY);
            (state.now.clone(), state.now == state.told && is_recent)
        };
        if is_told {
            return;
        }
        match source::save_health(pool, &self.key, &now).await {
            Ok(()) => {
                let mut state = self.state();
                state.now.new_gaps -= now.new_gaps;
                state.told_at = Some(Instant::now());
                state.told = source::Health { new_gaps: 0, ..now };
            }
            Err(error) => tracing::warn!(%error, "cannot save how a stream is doing"),
        }
    }
}

/// The first two parts of an NSID: who names the collection.
pub(super) fn namespace(collection: &str) -> &str {
    let mut dots = collection.match_indices('.');
    dots.nth(1).map_or(collection, |(at, _)| &collection[..at])
}
