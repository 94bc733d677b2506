//! An event as each dialect writes it, names and order of fields included.

use std::fmt::Write;

use super::{Body, Event, Operation};

/// The dialect that counts: `{"$type":"message","payload":{…}}`, the payload's fields in the order of their names.
pub(super) fn v2(event: &Event, seq: u64) -> String {
    let mut fields = Fields::begin();
    match &event.body {
        Body::Commit(commit) => {
            fields.string("$type", &kind("commit"));
            if let Some(cid) = &commit.cid {
                fields.string("cid", cid);
            }
            fields.string("collection", &commit.collection).string("did", &event.did);
            fields.string("operation", commit.operation.as_str());
            if let Some(record) = &commit.record {
                fields.raw("record", record);
            }
            fields.string("rev", &commit.rev).string("rkey", &commit.rkey);
        }
        Body::Account(told) => {
            fields.string("$type", &kind("account")).raw("account", told).string("did", &event.did);
        }
        Body::Identity(told) => {
            fields.string("$type", &kind("identity")).string("did", &event.did).raw("identity", told);
        }
        Body::Sync(_) => {
            fields.string("$type", &kind("sync")).string("did", &event.did);
        }
    }
    fields.raw("seq", seq);
    if let Body::Sync(told) = &event.body {
        fields.raw("sync", told);
    }
    fields.string("time", &time(event.time_us));
    format!(r#"{{"$type":"message","payload":{}}}"#, fields.end())
}

/// A notice of the dialect that counts.
pub(super) fn info(name: &str, message: &str) -> String {
    let mut fields = Fields::begin();
    fields.string("$type", &kind("info")).string("message", message).string("name", name);
    format!(r#"{{"$type":"message","payload":{}}}"#, fields.end())
}

/// The last word of the dialect that counts.
pub(super) fn error(name: &str, message: &str) -> String {
    let mut fields = Fields::begin();
    fields.string("$type", "error").string("error", name).string("message", message);
    fields.end()
}

/// The dialect of times; none for what it does not show.
pub(super) fn v1(event: &Event, seq: u64) -> Option<String> {
    let mut fields = Fields::begin();
    fields.string("did", &event.did).raw("time_us", event.time_us).raw("cursor", seq);
    match &event.body {
        Body::Commit(commit) if !commit.is_replacement => {
            let mut inner = Fields::begin();
            inner.string("rev", &commit.rev).string("operation", commit.operation.as_str());
            inner.string("collection", &commit.collection).string("rkey", &commit.rkey);
            if let Some(record) = &commit.record {
                inner.raw("record", record);
            }
            if let Some(cid) = &commit.cid {
                inner.string("cid", cid);
            }
            fields.string("kind", "commit").raw("commit", inner.end());
        }
        Body::Identity(told) => {
            fields.string("kind", "identity").raw("identity", told);
        }
        Body::Account(told) => {
            fields.string("kind", "account").raw("account", told);
        }
        Body::Commit(_) | Body::Sync(_) => return None,
    }
    Some(fields.end())
}

fn kind(name: &str) -> String {
    format!("network.bsky.jetstream.subscribeEvents#{name}")
}

fn time(time_us: i64) -> String {
    let time = chrono::DateTime::from_timestamp_micros(time_us).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

impl Operation {
    /// The word of the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
        }
    }
}

/// A JSON object in the order written.
struct Fields(String);

impl Fields {
    fn begin() -> Self {
        Fields("{".to_owned())
    }

    fn raw(&mut self, key: &str, value: impl std::fmt::Display) -> &mut Self {
        let comma = if self.0.len() > 1 { "," } else { "" };
        // Writing to a string does not fail.
        write!(self.0, r#"{comma}"{key}":{value}"#).ok();
        self
    }

    fn string(&mut self, key: &str, value: &str) -> &mut Self {
        self.raw(key, serde_json::Value::from(value))
    }

    fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}
