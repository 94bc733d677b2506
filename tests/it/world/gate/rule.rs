//! What happens to which request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

/// What happens to a request on its way to the PDS, or to its answer on the way back.
#[derive(Clone, Debug)]
pub enum Act {
    Pass,
    DelayRequest(Duration),
    DelayAnswer(Duration),
    /// The PDS never hears of it; the connection closes.
    LoseRequest,
    /// The PDS has done it; the connection closes.
    LoseAnswer,
    /// The PDS hears it twice, one after the other; the second answer goes back.
    Twice,
    HoldRequest(Hold),
    HoldAnswer(Hold),
    /// The PDS never hears of it; this is answered.
    Answer(u16, Value),
    /// The PDS never hears of it; the answer is to come again after so many seconds.
    Busy(u16, u64),
    /// Of the answer only so many bytes arrive, and say that they are all.
    Cut(usize),
}

/// Stops what comes until it is released.
#[derive(Clone, Debug)]
pub struct Hold {
    arrived: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

impl Default for Hold {
    fn default() -> Self {
        Hold { arrived: watch::Sender::new(0), released: watch::Sender::new(false) }
    }
}

impl Hold {
    /// Waits until something is held.
    pub async fn arrived(&self) {
        let mut arrived = self.arrived.subscribe();
        let came = tokio::time::timeout(crate::world::PATIENCE, arrived.wait_for(|count| *count > 0)).await;
        came.expect("what is to be held never came").expect("the sender is ours");
    }

    pub fn release(&self) {
        self.released.send_replace(true);
    }

    async fn wait(&self) {
        self.arrived.send_modify(|count| *count += 1);
        self.released.subscribe().wait_for(|released| *released).await.expect("the sender is ours");
    }
}

/// An act, for the next so many requests that have all the parts.
#[derive(Clone)]
pub struct Rule {
    parts: Vec<String>,
    left: Arc<AtomicUsize>,
    pub act: Act,
}

impl Rule {
    pub fn new(times: usize, parts: &[&str], act: Act) -> Rule {
        let parts = parts.iter().map(|part| (*part).to_owned()).collect();
        Rule { parts, left: Arc::new(times.into()), act }
    }

    /// Whether this request is one of its.
    pub fn take(&self, line: &str, body: &str) -> bool {
        let meant = self.parts.iter().all(|part| line.contains(part) || body.contains(part));
        let take = |left: usize| left.checked_sub(1);
        meant && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// It was none after all.
    pub fn give_back(&self) {
        self.left.fetch_add(1, Ordering::Relaxed);
    }
}

impl Act {
    /// On the way to the PDS. An error closes the connection.
    pub async fn before(&self, line: &str) -> Result<(), String> {
        match self {
            Act::DelayRequest(delay) => tokio::time::sleep(*delay).await,
            Act::HoldRequest(hold) => hold.wait().await,
            Act::LoseRequest => return Err(format!("lost on purpose: {line}")),
            _ => {}
        }
        Ok(())
    }

    /// On the way back. An error closes the connection.
    pub async fn after(&self, line: &str) -> Result<(), String> {
        match self {
            Act::DelayAnswer(delay) => tokio::time::sleep(*delay).await,
            Act::HoldAnswer(hold) => hold.wait().await,
            Act::LoseAnswer => return Err(format!("its answer lost on purpose: {line}")),
            _ => {}
        }
        Ok(())
    }
}
