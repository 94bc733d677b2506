//! The three writes of a PDS, and what its answers mean.

use std::time::Duration;

use chrono::Utc;
use cid::Cid;
use indexer::syntax::{AtUri, Tid};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::session::{CallError, PdsAnswer, PdsBody, PdsRequest, SessionId, Sessions};

/// A write that takes longer has no answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15);
/// No rev lies further ahead of our clock.
const FUTURE_MAX_US: i64 = 5 * 60 * 1_000_000;

/// What a PDS says to a write.
#[derive(Debug)]
pub(super) enum Answer {
    /// It is in the repo, by this commit.
    Committed { rev: Tid, cid: Option<Cid> },
    /// It stood so before.
    Unchanged,
    /// Another version stands there.
    Mismatch,
    /// No.
    Refused { status: u16, error: String, message: String },
    /// It may have been written or not.
    Unknown,
}

/// Which version a write takes the place of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Swap {
    /// None: the record must not exist.
    Absent,
    /// This one.
    Version(Cid),
    /// Any.
    Whatever,
}

/// `com.atproto.repo.putRecord`. A create as well: `createRecord` says nothing useful of a name that is taken.
pub(super) async fn put(
    sessions: &Sessions,
    session: &SessionId,
    uri: &AtUri,
    record: &Value,
    swap: Swap,
) -> Result<Answer, CallError> {
    let mut input = input(uri);
    input["record"] = record.clone();
    match swap {
        Swap::Absent => input["swapRecord"] = Value::Null,
        Swap::Version(cid) => input["swapRecord"] = Value::String(cid.to_string()),
        Swap::Whatever => {}
    }
    write(sessions, session, "com.atproto.repo.putRecord", &input).await
}

/// `com.atproto.repo.deleteRecord`.
pub(super) async fn delete(
    sessions: &Sessions,
    session: &SessionId,
    uri: &AtUri,
    swap: Swap,
) -> Result<Answer, CallError> {
    let mut input = input(uri);
    if let Swap::Version(cid) = swap {
        input["swapRecord"] = Value::String(cid.to_string());
    }
    write(sessions, session, "com.atproto.repo.deleteRecord", &input).await
}

fn input(uri: &AtUri) -> Value {
    json!({"repo": uri.did().as_str(), "collection": uri.collection(), "rkey": uri.rkey()})
}

async fn write(
    sessions: &Sessions,
    session: &SessionId,
    nsid: &str,
    input: &Value,
) -> Result<Answer, CallError> {
    let request = PdsRequest { nsid, body: PdsBody::Json(input), query: &[], timeout: WRITE_TIMEOUT };
    match sessions.call(session, &request).await {
        Ok(answer) => Ok(read(&answer)),
        Err(CallError::Unanswered(error)) => {
            tracing::warn!(nsid, %error, "a write has no answer");
            Ok(Answer::Unknown)
        }
        Err(error) => Err(error),
    }
}

#[derive(Deserialize)]
struct Success {
    cid: Option<String>,
    commit: Option<Commit>,
}

#[derive(Deserialize)]
struct Commit {
    rev: Tid,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Failure {
    error: String,
    message: String,
}

fn read(answer: &PdsAnswer) -> Answer {
    if (200..300).contains(&answer.status) {
        let Ok(success) = serde_json::from_slice::<Success>(&answer.body) else { return Answer::Unknown };
        let latest_us = Utc::now().timestamp_micros() + FUTURE_MAX_US;
        return match success.commit {
            // A rev that lies in the future would make every later one look old.
            Some(Commit { rev }) if rev.timestamp_us() > latest_us => Answer::Unknown,
            Some(Commit { rev }) => {
                Answer::Committed { rev, cid: success.cid.and_then(|cid| cid.parse().ok()) }
            }
            None => Answer::Unchanged,
        };
    }
    let Failure { error, message } = serde_json::from_slice(&answer.body).unwrap_or_default();
    match (answer.status, error.as_str()) {
        (400, "InvalidSwap") => Answer::Mismatch,
        // A server that broke, or one in front of it that did not wait, may have written it all the same.
        (408 | 500.., _) => Answer::Unknown,
        (status, _) => Answer::Refused { status, error, message: message.chars().take(300).collect() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Answer {
        read(&PdsAnswer { status, body: body.into() })
    }

    #[test]
    fn answers_are_read_for_what_they_prove() {
        let committed = answer(200, r#"{"cid":"x","commit":{"cid":"y","rev":"3l4xyzabcde2a"},"extra":1}"#);
        assert!(matches!(committed, Answer::Committed { cid: None, .. }), "{committed:?}");
        assert!(matches!(answer(200, r#"{"uri":"at://x"}"#), Answer::Unchanged));
        assert!(matches!(answer(200, "{}"), Answer::Unchanged));
        assert!(matches!(answer(200, "<html>"), Answer::Unknown));
        // Year 2200.
        assert!(matches!(answer(200, r#"{"commit":{"rev":"bzzzzzzzzzzzz"}}"#), Answer::Unknown));
        assert!(matches!(answer(400, r#"{"error":"InvalidSwap"}"#), Answer::Mismatch));
        assert!(matches!(answer(502, "bad gateway"), Answer::Unknown));
        assert!(matches!(answer(429, "{}"), Answer::Refused { status: 429, .. }));
    }
}
