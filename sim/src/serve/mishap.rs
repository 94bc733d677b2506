//! What goes wrong with an answer. It goes wrong a few times for each question and host, then no more: whoever keeps
//! asking is answered in the end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use super::Answer;
use crate::dice::Dice;
use crate::options::Faults;

/// Questions of one kind to one host after which nothing goes wrong with it any more.
const TROUBLED: u32 = 3;
/// Connections of a stream that end in trouble, for each host.
const TROUBLED_STREAMS: u32 = 12;
/// For how long nobody says anything.
const SILENCE: Duration = Duration::from_secs(20);

/// What has gone wrong so far, and will.
#[derive(Debug)]
pub(crate) struct Mishaps {
    seed: u64,
    faults: Faults,
    asked: Mutex<HashMap<String, u32>>,
    /// Nothing goes wrong for the time being.
    pub(crate) is_calm: AtomicBool,
}

/// How the connection of a stream ends, and what it is like until then.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct StreamMishap {
    /// It ends after so many frames.
    pub(super) reset_after: Option<usize>,
    /// It falls silent after so many frames.
    pub(super) silent_after: Option<usize>,
    /// It says something that is no frame after so many frames.
    pub(super) garbage_after: Option<usize>,
    /// It takes its time for each frame.
    pub(super) pause: Duration,
}

enum Mishap {
    Slow(Duration),
    Silent,
    Error,
    RateLimit,
    Reset,
    Truncated,
    WrongBytes,
}

impl Mishaps {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Mishaps { seed, faults, asked: Mutex::default(), is_calm: AtomicBool::new(true) }
    }

    pub(super) fn is_calm(&self) -> bool {
        self.is_calm.load(Ordering::Relaxed)
    }

    /// How often this has been asked before.
    fn count(&self, what: &str) -> u32 {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let times = asked.entry(what.to_owned()).or_default();
        *times += 1;
        *times - 1
    }

    fn befalls(&self, server: &str, uri: &Uri) -> Option<Mishap> {
        if self.is_calm() || self.faults == Faults::none() {
            return None;
        }
        let question = format!("{server} {uri}");
        let times = self.count(&question);
        if times >= TROUBLED {
            return None;
        }
        let mut dice = Dice::new(self.seed ^ u64::from(times) << 32, &question);
        let faults = &self.faults;
        let slow = Duration::from_millis(dice.between(200, 2000) as u64);
        let possible = [
            (faults.slow_hosts, Mishap::Slow(slow)),
            (faults.silent_hosts, Mishap::Silent),
            (faults.server_errors, Mishap::Error),
            (faults.rate_limits, Mishap::RateLimit),
            (faults.resets, Mishap::Reset),
            (faults.truncated_cars * 5.0, Mishap::Truncated),
            (faults.wrong_bytes * 5.0, Mishap::WrongBytes),
        ];
        possible.into_iter().find_map(|(rate, mishap)| dice.chance(rate).then_some(mishap))
    }

    /// Answers, or does not.
    pub(super) async fn answer(
        &self,
        server: &str,
        uri: &Uri,
        stop: &CancellationToken,
        answer: impl FnOnce() -> Answer,
    ) -> Response {
        let error = |status: StatusCode, name: &str| {
            (status, axum::Json(serde_json::json!({"error": name, "message": "so it goes"}))).into_response()
        };
        match self.befalls(server, uri) {
            None => answer().into_response(),
            Some(Mishap::Slow(pause)) => {
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = stop.cancelled() => {}
                }
                answer().into_response()
            }
            Some(Mishap::Silent) => {
                self.keep_silent(stop).await;
                broken_off(Bytes::new())
            }
            Some(Mishap::Error) => error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
            Some(Mishap::RateLimit) => {
                let mut response = error(StatusCode::TOO_MANY_REQUESTS, "RateLimitExceeded");
                response.headers_mut().insert("retry-after", axum::http::HeaderValue::from_static("1"));
                response
            }
            Some(Mishap::Reset) => broken_off(Bytes::from_static(b"{")),
            Some(Mishap::Truncated) => match answer() {
                Answer::Car(mut car) => {
                    car.truncate(car.len() * 2 / 3);
                    Answer::Car(car).into_response()
                }
                other => other.into_response(),
            },
            Some(Mishap::WrongBytes) => match answer() {
                Answer::Car(mut car) => {
                    // In the last block, which is a record where there is one.
                    if let Some(byte) = car.last_mut() {
                        *byte ^= 1;
                    }
                    Answer::Car(car).into_response()
                }
                other => other.into_response(),
            },
        }
    }

    /// Until it is calm again, and no longer than anybody would wait.
    pub(super) async fn keep_silent(&self, stop: &CancellationToken) {
        let silence = async {
            let until = tokio::time::Instant::now() + SILENCE;
            while !self.is_calm() && tokio::time::Instant::now() < until {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            () = silence => {}
            () = stop.cancelled() => {}
        }
    }

    /// What the next connection of a stream will go through.
    pub(super) fn of_stream(&self, server: &str) -> StreamMishap {
        let mut mishap = StreamMishap::default();
        let question = format!("{server} stream");
        if self.faults == Faults::none() || self.is_calm() {
            return mishap;
        }
        let times = self.count(&question);
        if times >= TROUBLED_STREAMS {
            return mishap;
        }
        let mut dice = Dice::new(self.seed ^ u64::from(times) << 32, &question);
        let after = dice.between(1, 300);
        // There are few connections and each lives long: what befalls one frame in many befalls many of them.
        let often = |rate: f64| (rate * 20.0).min(0.5);
        mishap.reset_after = dice.chance(often(self.faults.resets)).then_some(after);
        mishap.silent_after = dice.chance(often(self.faults.silent_hosts)).then_some(after / 2);
        mishap.garbage_after = dice.chance(often(self.faults.garbage * 5.0)).then_some(after / 3);
        if dice.chance(self.faults.slow_hosts) {
            mishap.pause = Duration::from_millis(dice.between(1, 20) as u64);
        }
        mishap
    }
}

/// An answer that breaks off after these bytes.
fn broken_off(bytes: Bytes) -> Response {
    let failed = || std::io::Error::other("the connection is reset");
    let parts = stream::iter([Ok(bytes), Err(failed())]);
    Response::new(Body::from_stream(parts))
}
