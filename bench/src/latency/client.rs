//! Who looks whether it can be seen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::sign::Sign;
use crate::caller::Caller;

/// From the beginning of one round to that of the next, unless an answer takes longer: short beside what is measured, long
/// beside the work of a query.
const EVERY: Duration = Duration::from_millis(4);
/// What one query may ask for.
const AT_ONCE: usize = 100;

/// A frame that was sent.
pub struct Awaited {
    pub sign: Sign,
    pub sent: Instant,
}

/// What was sent and is not seen yet, the oldest first.
#[derive(Default)]
pub struct Board {
    awaited: Mutex<Vec<Awaited>>,
    is_over: AtomicBool,
}

impl Board {
    /// Notes that a frame leaves.
    pub fn add(&self, awaited: Awaited) {
        self.awaited().push(awaited);
    }

    fn awaited(&self) -> MutexGuard<'_, Vec<Awaited>> {
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was found.
#[derive(Default)]
pub struct Seen {
    /// From each frame's leaving to the arrival of the first answer that shows it.
    pub took: Vec<Duration>,
    /// From each round to the next, while anything was awaited.
    pub rounds: Vec<Duration>,
}

/// A client at work.
pub struct Client {
    board: Arc<Board>,
    task: JoinHandle<anyhow::Result<Seen>>,
}

impl Client {
    /// Starts to look.
    pub fn start(caller: Caller, board: Arc<Board>) -> Self {
        Client { task: tokio::spawn(look(caller, board.clone())), board }
    }

    /// Looks until everything is seen; what is not seen in time is an error.
    pub async fn finish(self, patience: Duration) -> anyhow::Result<Seen> {
        self.board.is_over.store(true, Ordering::Relaxed);
        match tokio::time::timeout(patience, self.task).await {
            Ok(seen) => seen?,
            Err(_) => {
                let awaited = self.board.awaited();
                let first = awaited.first().map(|awaited| &awaited.sign);
                anyhow::bail!("{} frames are not visible, the first {first:?}", awaited.len())
            }
        }
    }
}

async fn look(mut caller: Caller, board: Arc<Board>) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut previous = None;
    loop {
        let began = Instant::now();
        let uris: Vec<String> = {
            let awaited = board.awaited();
            let mut uris: Vec<String> =
                awaited.iter().take(AT_ONCE).map(|awaited| awaited.sign.uri.clone()).collect();
            uris.sort_unstable();
            uris.dedup();
            uris
        };
        if uris.is_empty() {
            if board.is_over.load(Ordering::Relaxed) {
                return Ok(seen);
            }
            previous = None;
        } else {
            seen.rounds.extend(previous.replace(began).map(|previous| began - previous));
            let body = caller.get(&question(&uris)).await?;
            let now = Instant::now();
            let answer: Value = serde_json::from_slice(&body)?;
            let tracks = answer["tracks"].as_array().map(Vec::as_slice).unwrap_or_default();
            board.awaited().retain(|awaited| {
                let is_visible = tracks.iter().any(|track| shows(track, &awaited.sign));
                if is_visible {
                    seen.took.push(now - awaited.sent);
                }
                !is_visible
            });
        }
        tokio::time::sleep_until((began + EVERY).into()).await;
    }
}

fn shows(track: &Value, sign: &Sign) -> bool {
    let reaches = |(field, count): (&str, i64)| track[field].as_i64().is_some_and(|now| now >= count);
    track["uri"] == *sign.uri && sign.count.is_none_or(reaches)
}

/// The path that asks for these tracks.
pub fn question(uris: &[impl AsRef<str>]) -> String {
    let params: Vec<String> = uris.iter().map(|uri| format!("uris={}", uri.as_ref())).collect();
    format!("/xrpc/fm.plyr.feed.getTracks?{}", params.join("&"))
}
