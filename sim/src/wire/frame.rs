//! Messages of `com.atproto.sync.subscribeRepos`, all but their sequence numbers.

use bytes::Bytes;

use super::car::car_bytes;
use super::value::{Value, head, link, text};
use super::{Cid, Commit};

/// A message; the place in its map where a host puts its own sequence number is open.
#[derive(Debug, Clone)]
pub struct Frame {
    head: Bytes,
    tail: Bytes,
}

impl Frame {
    /// The message with this sequence number.
    pub fn at(&self, seq: i64) -> Bytes {
        let mut out = Vec::with_capacity(self.head.len() + self.tail.len() + 9);
        out.extend_from_slice(&self.head);
        Value::Int(seq).encode_to(&mut out);
        out.extend_from_slice(&self.tail);
        out.into()
    }

    /// A message of the kind `t` with these fields beside `seq`.
    fn new(t: &'static str, mut fields: Vec<(&'static str, Value)>) -> Self {
        fields.sort_by_key(|(key, _)| (key.len(), *key));
        let mut frame = Vec::new();
        start(&mut frame, t, fields.len() + 1);
        let after = fields.partition_point(|(key, _)| (key.len(), *key) < (3, "seq"));
        let encode = |out: &mut Vec<u8>, fields: &[(&'static str, Value)]| {
            for (key, value) in fields {
                text(out, key);
                value.encode_to(out);
            }
        };
        encode(&mut frame, &fields[..after]);
        text(&mut frame, "seq");
        let mut tail = Vec::new();
        encode(&mut tail, &fields[after..]);
        Frame { head: frame.into(), tail: tail.into() }
    }
}

/// The header, and the head of the body's map.
fn start(out: &mut Vec<u8>, t: &'static str, fields: usize) {
    Value::map([("op", Value::Int(1)), ("t", Value::text(t))]).encode_to(out);
    head(out, 5, fields as u64);
}

/// One operation of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// `create`, `update` or `delete`.
    pub action: &'static str,
    /// Collection and record key.
    pub path: String,
    /// The record now.
    pub cid: Option<Cid>,
    /// The record before the commit.
    pub prev: Option<Cid>,
}

/// What a `#commit` says, open to being tampered with.
#[derive(Debug, Clone)]
pub struct CommitBody {
    /// Whose repo.
    pub did: String,
    /// The commit.
    pub commit: Commit,
    /// The rev before.
    pub since: Option<String>,
    /// The tree's root before.
    pub prev_data: Option<Cid>,
    /// The commit, tree nodes, records.
    pub blocks: Vec<(Cid, Bytes)>,
    /// Bytes that are missing at the end of the CAR file.
    pub cut_bytes: usize,
    /// What changed.
    pub ops: Vec<Op>,
    /// When, in RFC 3339.
    pub time: String,
}

/// A `#commit`.
pub fn commit(body: &CommitBody) -> Frame {
    let mut out = Vec::with_capacity(256);
    start(&mut out, "#commit", 12);
    text(&mut out, "ops");
    head(&mut out, 4, body.ops.len() as u64);
    for op in &body.ops {
        head(&mut out, 5, 3 + u64::from(op.prev.is_some()));
        text(&mut out, "cid");
        optional_link(&mut out, op.cid.as_ref());
        text(&mut out, "path");
        text(&mut out, &op.path);
        if let Some(prev) = &op.prev {
            text(&mut out, "prev");
            link(&mut out, prev);
        }
        text(&mut out, "action");
        text(&mut out, op.action);
    }
    text(&mut out, "rev");
    text(&mut out, &body.commit.rev);
    text(&mut out, "seq");

    let mut tail =
        Vec::with_capacity(512 + body.blocks.iter().map(|(_, block)| block.len() + 40).sum::<usize>());
    text(&mut tail, "repo");
    text(&mut tail, &body.did);
    text(&mut tail, "time");
    text(&mut tail, &body.time);
    text(&mut tail, "blobs");
    head(&mut tail, 4, 0);
    text(&mut tail, "since");
    match &body.since {
        Some(since) => text(&mut tail, since),
        None => tail.push(0xf6),
    }
    text(&mut tail, "blocks");
    car_bytes(&mut tail, &body.commit.cid, &body.blocks, body.cut_bytes);
    text(&mut tail, "commit");
    link(&mut tail, &body.commit.cid);
    text(&mut tail, "rebase");
    tail.push(0xf4);
    text(&mut tail, "tooBig");
    tail.push(0xf4);
    text(&mut tail, "prevData");
    optional_link(&mut tail, body.prev_data.as_ref());
    Frame { head: out.into(), tail: tail.into() }
}

fn optional_link(out: &mut Vec<u8>, cid: Option<&Cid>) {
    match cid {
        Some(cid) => link(out, cid),
        None => out.push(0xf6),
    }
}

/// A `#sync`: the repo stands at this commit, however it came there.
pub fn sync(did: &str, commit: &Commit, time: &str) -> Frame {
    let blocks = super::car(&commit.cid, &[(commit.cid, &commit.block)]);
    let fields = vec![
        ("did", Value::text(did.to_owned())),
        ("rev", Value::text(commit.rev.clone())),
        ("blocks", Value::Bytes(blocks)),
        ("time", Value::text(time.to_owned())),
    ];
    Frame::new("#sync", fields)
}

/// An `#identity`: the document or the handle may have changed.
pub fn identity(did: &str, handle: Option<&str>, time: &str) -> Frame {
    let mut fields = vec![("did", Value::text(did.to_owned())), ("time", Value::text(time.to_owned()))];
    fields.extend(handle.map(|handle| ("handle", Value::text(handle.to_owned()))));
    Frame::new("#identity", fields)
}

/// An `#account`; none is active.
pub fn account(did: &str, status: Option<&'static str>, time: &str) -> Frame {
    let mut fields = vec![
        ("did", Value::text(did.to_owned())),
        ("time", Value::text(time.to_owned())),
        ("active", Value::Bool(status.is_none())),
    ];
    fields.extend(status.map(|status| ("status", Value::text(status))));
    Frame::new("#account", fields)
}

/// A message of a kind that consumers of today do not know and must pass over.
pub fn unknown(did: &str, time: &str) -> Frame {
    let fields = vec![("did", Value::text(did.to_owned())), ("time", Value::text(time.to_owned()))];
    Frame::new("#handle", fields)
}

/// An `#info`: it has no sequence number.
pub fn info(name: &'static str, message: &'static str) -> Bytes {
    let header = Value::map([("op", Value::Int(1)), ("t", Value::text("#info"))]);
    let body = Value::map([("name", Value::text(name)), ("message", Value::text(message))]);
    [header.encode(), body.encode()].concat().into()
}

/// An error, after which the connection is closed.
pub fn error(name: &'static str, message: &'static str) -> Bytes {
    let header = Value::map([("op", Value::Int(-1))]);
    let body = Value::map([("error", Value::text(name)), ("message", Value::text(message))]);
    [header.encode(), body.encode()].concat().into()
}
