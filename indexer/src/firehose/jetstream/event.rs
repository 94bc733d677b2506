//! An event as JSON, and what it says to the door.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Dialect, PAYLOAD_PREFIX, skim};
use crate::change::{Input, Op, Problem, Report, Status};
use crate::dag::{self, DagProblem};
use crate::proto::commit::rev_is_in_future;
use crate::syntax::{AtUri, Did, Tid};

/// A host name has at most 253 characters; a longer DID could not be indexed.
const DID_MAX_BYTES: usize = 512;

/// The kinds of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// One record changed.
    Commit,
    /// A DID document or handle may have changed.
    Identity,
    /// A host's opinion of an account.
    Account,
    /// A repo stands elsewhere than its commits led.
    Sync,
}

impl What {
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "commit" => What::Commit,
            "identity" => What::Identity,
            "account" => What::Account,
            "sync" => What::Sync,
            _ => return None,
        })
    }

    /// The word of the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            What::Commit => "commit",
            What::Identity => "identity",
            What::Account => "account",
            What::Sync => "sync",
        }
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head<'a> {
    /// Its kind.
    pub what: What,
    /// Its place in the stream: `seq`, or `time_us` in the older dialect.
    pub seq: i64,
    /// Whose.
    pub did: Cow<'a, str>,
    /// Of a commit, the collection.
    pub collection: Option<Cow<'a, str>>,
    pub(super) time: Option<Cow<'a, str>>,
}

impl Head<'_> {
    /// When it happened, as the host says.
    pub fn time(&self) -> Option<DateTime<Utc>> {
        match &self.time {
            Some(text) => Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()),
            None => DateTime::from_timestamp_micros(self.seq),
        }
    }
}

/// What a message is.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Something happened.
    Event(Head<'a>),
    /// A notice about the stream.
    Info {
        /// Its name.
        name: String,
        /// For an operator.
        message: String,
    },
    /// Why the stream ends now.
    Error {
        /// Its name.
        name: String,
        /// For an operator.
        message: String,
    },
    /// Of a kind not known here, with its place where it has one.
    Unknown(Option<i64>),
}

/// Why a message is none.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON, or not of the form.
    #[error("not an event: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A field that every event of its kind has.
    #[error("no {0}")]
    Missing(&'static str),
}

/// What a message is, read as far as that takes.
pub fn message(dialect: Dialect, bytes: &[u8]) -> Result<Message<'_>, Unreadable> {
    match skim::head(dialect, bytes) {
        Some(head) => Ok(Message::Event(head)),
        None => Ok(match parse(dialect, bytes)? {
            Parsed::Event(event) => Message::Event(event.head),
            Parsed::Other(other) => other,
        }),
    }
}

/// What an event says to the door. What cannot be read is kept aside, and its repo is to be read as a whole.
pub fn inputs(dialect: Dialect, bytes: &Bytes) -> Vec<Input> {
    let (seq, did, event) = match parse(dialect, bytes) {
        Ok(Parsed::Event(event)) => match event.head.did.parse::<Did>() {
            Ok(did) if did.as_str().len() <= DID_MAX_BYTES => (event.head.seq, did, event),
            _ => return aside(Some(event.head.seq), None, "BadDid", event.head.did.into_owned(), bytes),
        },
        Ok(Parsed::Other(_)) => return Vec::new(),
        Err(error) => return aside(None, None, "EventMalformed", error.to_string(), bytes),
    };
    match event.head.what {
        What::Identity => vec![Input::Identity { did }],
        What::Sync if crate::sabotage::is_on("jetstream-sync-ignored") => Vec::new(),
        What::Sync => vec![Input::Missed { did }],
        What::Account => {
            let status = event.account.and_then(|said| Status::read(said.active, said.status.as_deref()));
            status.map(|status| Input::Account { did, status }).into_iter().collect()
        }
        What::Commit => {
            let Some(change) = event.change else { return Vec::new() };
            match report(&did, change) {
                Ok(report) => vec![Input::Report(report)],
                Err((kind, detail)) => aside(Some(seq), Some(did), kind, detail, bytes),
            }
        }
    }
}

/// Collection, record key, rev and operation of a commit's event.
pub(super) fn touched(dialect: Dialect, bytes: &[u8]) -> Option<(String, String, String, String)> {
    let Ok(Parsed::Event(Event { change: Some(change), .. })) = parse(dialect, bytes) else { return None };
    Some((change.collection, change.rkey, change.rev, change.operation))
}

fn aside(
    seq: Option<i64>,
    did: Option<Did>,
    kind: &'static str,
    detail: String,
    bytes: &Bytes,
) -> Vec<Input> {
    let missed = did.clone().map(|did| Input::Missed { did });
    let problem = Input::Problem(Problem { kind, seq, did, uri: None, detail, bytes: bytes.clone() });
    std::iter::once(problem).chain(missed).collect()
}

type Refusal = (&'static str, String);

/// A change of a record, its CID checked by encoding the record as it was signed.
fn report(did: &Did, change: Change<'_>) -> Result<Report, Refusal> {
    let path = format!("at://{did}/{}/{}", change.collection, change.rkey);
    let uri: AtUri = path.parse().map_err(|_| ("BadField", format!("not a record's URI: {path}")))?;
    let rev: Tid = change.rev.parse().map_err(|_| ("BadField", format!("not a rev: {}", change.rev)))?;
    if rev_is_in_future(&rev, Utc::now()) {
        return Err(("FutureRev", format!("rev {rev} lies in the future")));
    }
    let op = match change.operation.as_str() {
        "create" | "update" => put(&change)?,
        "delete" => Op::Delete,
        other => return Err(("BadField", format!("not an operation: {other}"))),
    };
    Ok(Report { uri, rev, op })
}

fn put(change: &Change<'_>) -> Result<Op, Refusal> {
    let record = change.record.ok_or_else(|| ("CidMismatch", "a record without its value".to_owned()))?;
    let json: serde_json::Value = serde_json::from_str(record.get())
        .map_err(|error| ("EventMalformed", format!("the record is not JSON: {error}")))?;
    let outside = |problem: DagProblem| (problem.name(), problem.to_string());
    let (cid, value) = dag::encode(&dag::from_json(&json).map_err(outside)?).map_err(outside)?;
    let named = change.cid.as_deref().and_then(dag::parse_cid);
    if named != Some(cid) && !crate::sabotage::is_on("report-cid-not-checked") {
        let named = change.cid.as_deref().unwrap_or("none");
        return Err(("CidMismatch", format!("the record's CID is {cid}, the event says {named}")));
    }
    Ok(Op::Put { cid, value: Bytes::from(value) })
}

enum Parsed<'a> {
    Event(Event<'a>),
    Other(Message<'a>),
}

struct Event<'a> {
    head: Head<'static>,
    change: Option<Change<'a>>,
    account: Option<Opinion>,
}

#[derive(Deserialize)]
struct Change<'a> {
    rev: String,
    operation: String,
    collection: String,
    rkey: String,
    cid: Option<String>,
    #[serde(borrow)]
    record: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Opinion {
    active: bool,
    status: Option<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "$type")]
    kind: String,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    error: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Payload {
    #[serde(rename = "$type")]
    kind: String,
    seq: Option<i64>,
    did: Option<String>,
    time: Option<String>,
    account: Option<Opinion>,
    name: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Bare<'a> {
    kind: String,
    time_us: Option<i64>,
    did: Option<String>,
    #[serde(borrow)]
    commit: Option<&'a RawValue>,
    account: Option<Opinion>,
}

fn parse(dialect: Dialect, bytes: &[u8]) -> Result<Parsed<'_>, Unreadable> {
    match dialect {
        Dialect::V2 => enveloped(bytes),
        Dialect::V1 => bare(bytes),
    }
}

fn enveloped(bytes: &[u8]) -> Result<Parsed<'_>, Unreadable> {
    let envelope: Envelope<'_> = serde_json::from_slice(bytes)?;
    match (envelope.kind.as_str(), envelope.payload) {
        ("message", Some(raw)) => {
            let payload: Payload = serde_json::from_str(raw.get())?;
            let name = payload.kind.strip_prefix(PAYLOAD_PREFIX).unwrap_or_default();
            let Some(what) = What::from_word(name) else {
                return Ok(Parsed::Other(match (name, payload.name) {
                    ("info", Some(name)) => {
                        Message::Info { name, message: payload.message.unwrap_or_default() }
                    }
                    _ => Message::Unknown(payload.seq),
                }));
            };
            let seq = payload.seq.ok_or(Unreadable::Missing("seq"))?;
            let time = Some(payload.time.ok_or(Unreadable::Missing("time"))?.into());
            let did = payload.did.ok_or(Unreadable::Missing("did"))?;
            let raw = (what == What::Commit).then_some(raw);
            event(what, seq, did, time, raw, payload.account)
        }
        ("error", _) => Ok(Parsed::Other(Message::Error {
            name: envelope.error.unwrap_or_default(),
            message: envelope.message.unwrap_or_default(),
        })),
        _ => Ok(Parsed::Other(Message::Unknown(None))),
    }
}

fn bare(bytes: &[u8]) -> Result<Parsed<'_>, Unreadable> {
    let event: Bare<'_> = serde_json::from_slice(bytes)?;
    let Some(what) = What::from_word(&event.kind) else {
        return Ok(Parsed::Other(Message::Unknown(event.time_us)));
    };
    let seq = event.time_us.ok_or(Unreadable::Missing("time_us"))?;
    let did = event.did.ok_or(Unreadable::Missing("did"))?;
    if what == What::Commit && event.commit.is_none() {
        return Err(Unreadable::Missing("commit"));
    }
    self::event(what, seq, did, None, event.commit, event.account)
}

fn event<'a>(
    what: What,
    seq: i64,
    did: String,
    time: Option<Cow<'static, str>>,
    change: Option<&'a RawValue>,
    account: Option<Opinion>,
) -> Result<Parsed<'a>, Unreadable> {
    let change: Option<Change<'a>> = change.map(|raw| serde_json::from_str(raw.get())).transpose()?;
    let collection = change.as_ref().map(|change| Cow::Owned(change.collection.clone()));
    let head = Head { what, seq, did: did.into(), collection, time };
    Ok(Parsed::Event(Event { head, change, account }))
}
