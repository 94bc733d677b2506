//! The jobs that run in this process.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;
use tracing::warn;

use super::Job;

/// A job's row and the number of our claim to it.
pub(super) type Ticket = (i64, i64);

/// What runs. Clones share everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Bench(Arc<Mutex<BTreeMap<Ticket, Running>>>);

#[derive(Debug)]
struct Running {
    kind: String,
    abort: Option<AbortHandle>,
}

/// A job's place, given up however its task ends.
#[derive(Debug)]
pub(super) struct Place {
    bench: Bench,
    ticket: Ticket,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.bench.lock().remove(&self.ticket);
    }
}

impl Bench {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Ticket, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take_place(&self, job: &Job) -> Place {
        let ticket = (job.id, job.claim);
        self.lock().insert(ticket, Running { kind: job.kind.clone(), abort: None });
        Place { bench: self.clone(), ticket }
    }

    pub(super) fn set_abort(&self, ticket: Ticket, abort: AbortHandle) {
        if let Some(running) = self.lock().get_mut(&ticket) {
            running.abort = Some(abort);
        }
    }

    /// How many of each kind.
    pub(super) fn kinds(&self) -> HashMap<String, usize> {
        let mut kinds = HashMap::new();
        for running in self.lock().values() {
            *kinds.entry(running.kind.clone()).or_default() += 1;
        }
        kinds
    }

    pub(super) fn claims(&self) -> Vec<Ticket> {
        self.lock().keys().copied().collect()
    }

    /// Stops those of `claims` that are not among `ours`: another worker has them.
    pub(super) fn stop_lost(&self, claims: &[Ticket], ours: &[Ticket]) {
        let bench = self.lock();
        for ticket in claims.iter().filter(|ticket| !ours.contains(ticket)) {
            // One that has just ended is not lost.
            if let Some(Running { kind, abort: Some(abort) }) = bench.get(ticket)
                && !abort.is_finished()
            {
                warn!(kind, job = ticket.0, "a claim was lost; stopping the job here");
                abort.abort();
            }
        }
    }
}
