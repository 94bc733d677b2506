//! Repos, and the forms in which their hosts deliver them.

use std::collections::BTreeMap;

use bytes::Bytes;
use cid::Cid;

use super::{Signer, Tree, Value, car, cid, message};
use crate::syntax::{Did, Tid};

/// A change to make to a repo.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Put(String, Value),
    Delete(String),
}

/// One operation of a commit event.
#[derive(Debug, Clone)]
pub(crate) struct EventOp {
    pub(crate) action: &'static str,
    pub(crate) path: String,
    pub(crate) cid: Option<Cid>,
    pub(crate) prev: Option<Cid>,
}

/// A commit as its host announces it, open to being tampered with.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) did: Did,
    pub(crate) rev: Tid,
    pub(crate) since: Option<Tid>,
    pub(crate) prev_data: Option<Cid>,
    pub(crate) commit: Cid,
    /// The commit, the tree nodes around the changed paths, the new records.
    pub(crate) blocks: Vec<(Cid, Vec<u8>)>,
    pub(crate) ops: Vec<EventOp>,
}

impl Event {
    /// The fields of the message's body.
    pub(crate) fn body(&self, seq: i64) -> Vec<(&'static str, Value)> {
        let op = |op: &EventOp| {
            Value::Map(vec![
                ("action", Value::text(op.action)),
                ("path", Value::text(&op.path)),
                ("cid", Value::link(op.cid)),
                ("prev", Value::link(op.prev)),
            ])
        };
        vec![
            ("seq", Value::Int(seq)),
            ("repo", Value::text(&self.did)),
            ("rev", Value::text(&self.rev)),
            ("since", self.since.as_ref().map_or(Value::Null, Value::text)),
            ("commit", Value::Link(self.commit)),
            ("prevData", Value::link(self.prev_data)),
            ("blocks", Value::Bytes(car(&self.commit, &self.blocks))),
            ("ops", Value::List(self.ops.iter().map(op).collect())),
            ("blobs", Value::List(vec![])),
            ("rebase", Value::Bool(false)),
            ("tooBig", Value::Bool(false)),
            ("time", Value::text("2026-01-02T03:04:05.678Z")),
        ]
    }

    pub(crate) fn message(&self, seq: i64) -> Bytes {
        message("#commit", Value::Map(self.body(seq)))
    }
}

/// A repo and its account's key.
#[derive(Debug, Clone)]
pub(crate) struct Repo {
    pub(crate) did: Did,
    pub(crate) signer: Signer,
    records: BTreeMap<String, Vec<u8>>,
    tree: Tree,
    rev: Option<Tid>,
    commit: Vec<u8>,
}

impl Repo {
    /// An empty repo without a commit; [`Repo::apply`] makes the first.
    pub(crate) fn new(did: &str, signer: Signer) -> Self {
        let did = did.parse().expect("a DID");
        Repo { did, signer, records: BTreeMap::new(), tree: Tree::build(&[]), rev: None, commit: Vec::new() }
    }

    /// The CIDs of all records by path.
    pub(crate) fn entries(&self) -> Vec<(String, Cid)> {
        self.records.iter().map(|(path, bytes)| (path.clone(), cid(bytes))).collect()
    }

    pub(crate) fn data(&self) -> Cid {
        self.tree.root
    }

    /// Makes one commit of the edits, signed with the account's key.
    pub(crate) fn apply(&mut self, edits: &[Edit]) -> Event {
        let since = self.rev.clone();
        let prev_data = since.as_ref().map(|_| self.tree.root);
        let last_us = since.as_ref().map_or(1_767_225_600_000_000, Tid::timestamp_us);
        let rev = Tid::from_timestamp_us(last_us + 1, 0);
        let ops: Vec<EventOp> = edits.iter().map(|edit| self.edit(edit)).collect();
        self.tree = Tree::build(&self.entries());
        self.commit = self.sign_commit(&rev, |unsigned| self.signer.sign(unsigned));
        self.rev = Some(rev.clone());

        let mut blocks = vec![(cid(&self.commit), self.commit.clone())];
        blocks.extend(self.tree.nodes_around(ops.iter().map(|op| op.path.as_str())));
        blocks.extend(edits.iter().filter_map(|edit| match edit {
            Edit::Put(_, record) => Some((cid(&record.encode()), record.encode())),
            Edit::Delete(_) => None,
        }));
        Event { did: self.did.clone(), rev, since, prev_data, commit: cid(&self.commit), blocks, ops }
    }

    fn edit(&mut self, edit: &Edit) -> EventOp {
        let (path, now) = match edit {
            Edit::Put(path, record) => (path, Some(record.encode())),
            Edit::Delete(path) => (path, None),
        };
        let (new, prev) = (now.as_deref().map(cid), self.records.get(path).map(|bytes| cid(bytes)));
        match now {
            Some(bytes) => self.records.insert(path.clone(), bytes),
            None => self.records.remove(path),
        };
        let action = match (new, prev) {
            (None, _) => "delete",
            (_, None) => "create",
            _ => "update",
        };
        EventOp { action, path: path.clone(), cid: new, prev }
    }

    /// The commit block for the tree as it is, with whatever signature `sign` makes.
    pub(crate) fn sign_commit(&self, rev: &Tid, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut fields = self.commit_fields(rev);
        let signature = sign(&Value::Map(fields.clone()).encode());
        fields.push(("sig", Value::Bytes(signature)));
        Value::Map(fields).encode()
    }

    /// The commit's fields without the signature.
    pub(crate) fn commit_fields(&self, rev: &Tid) -> Vec<(&'static str, Value)> {
        vec![
            ("did", Value::text(&self.did)),
            ("version", Value::Int(3)),
            ("data", Value::Link(self.tree.root)),
            ("rev", Value::text(rev)),
            ("prev", Value::Null),
        ]
    }

    /// The newest commit's block.
    pub(crate) fn commit_block(&self) -> (Cid, Vec<u8>) {
        (cid(&self.commit), self.commit.clone())
    }

    /// Every block of the repo: commit, tree, records.
    pub(crate) fn blocks(&self) -> Vec<(Cid, Vec<u8>)> {
        let mut blocks = vec![self.commit_block()];
        blocks.extend(self.tree.nodes());
        blocks.extend(self.records.values().map(|bytes| (cid(bytes), bytes.clone())));
        blocks
    }

    /// What `com.atproto.sync.getRepo` answers.
    pub(crate) fn car(&self) -> Vec<u8> {
        car(&cid(&self.commit), &self.blocks())
    }

    /// What `com.atproto.sync.getRecord` answers: the record, or the proof that there is none.
    pub(crate) fn record_car(&self, path: &str) -> Vec<u8> {
        let mut blocks = vec![self.commit_block()];
        blocks.extend(self.tree.nodes_towards([path].into_iter()));
        blocks.extend(self.records.get(path).map(|bytes| (cid(bytes), bytes.clone())));
        car(&cid(&self.commit), &blocks)
    }

    /// The repo's state as a `#sync` event.
    pub(crate) fn sync_message(&self, seq: i64) -> Bytes {
        let commit = self.commit_block();
        let body = vec![
            ("seq", Value::Int(seq)),
            ("did", Value::text(&self.did)),
            ("rev", Value::text(self.rev.as_ref().expect("a commit"))),
            ("blocks", Value::Bytes(car(&commit.0, std::slice::from_ref(&commit)))),
            ("time", Value::text("2026-01-02T03:04:05.678Z")),
        ];
        message("#sync", Value::Map(body))
    }
}
