//! The host of the model, and what comes from it.

use std::collections::BTreeMap;

use cid::Cid;
use rand::Rng;
use rand::rngs::StdRng;

use crate::change::Asked;
use crate::syntax::{AtUri, Tid};

pub(super) type Values = BTreeMap<u8, Cid>;

pub(super) fn tid(clock: i64) -> Tid {
    Tid::from_timestamp_us(clock, 0)
}

pub(super) fn cid(of: &str) -> Cid {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(of);
    Cid::new_v1(0x71, cid::multihash::Multihash::wrap(0x12, &digest).expect("32 bytes fit"))
}

/// The host: the one truth.
#[derive(Clone)]
pub(super) struct Host {
    pub(super) rev: i64,
    pub(super) since: i64,
    pub(super) clock: i64,
    pub(super) values: Values,
    pub(super) snapshots: Vec<(i64, Values)>,
}

#[derive(Clone)]
pub(super) enum Message {
    Live { rev: i64, since: i64, prev: Cid, data: Cid, ops: Vec<(u8, Option<Cid>)> },
    Report { rev: i64, key: u8, cid: Option<Cid> },
    Proof { key: u8, at: i64, cid: Option<Cid>, asked: Asked },
    Snapshot(Snapshot),
    Announced { rev: i64, data: Cid },
    Missed,
}

/// A whole repo, and where it is cut into stretches.
#[derive(Clone)]
pub(super) struct Snapshot {
    pub(super) at: i64,
    pub(super) values: Values,
    pub(super) cuts: Vec<u8>,
    pub(super) authoritative: bool,
    pub(super) asked: Asked,
}

impl Snapshot {
    pub(super) fn stretches(&self) -> usize {
        self.cuts.len() + 1
    }

    /// After which key a stretch begins, and with which it ends.
    pub(super) fn range(&self, index: usize) -> (Option<u8>, Option<u8>) {
        (index.checked_sub(1).map(|before| self.cuts[before]), self.cuts.get(index).copied())
    }
}

pub(super) fn uri(key: u8) -> AtUri {
    format!("at://did:web:one.test/fm.plyr.track/{key}").parse().expect("a URI")
}

pub(super) fn root(values: &Values) -> Cid {
    cid(&format!("{values:?}"))
}

impl Host {
    pub(super) fn new() -> Self {
        let values = Values::new();
        Host { rev: 1, since: 0, clock: 1, snapshots: vec![(1, values.clone())], values }
    }

    pub(super) fn write(&mut self, rng: &mut StdRng) -> Message {
        self.clock += rng.random_range(1..4);
        self.since = std::mem::replace(&mut self.rev, self.clock);
        let prev = root(&self.values);
        let mut ops: Vec<(u8, Option<Cid>)> = Vec::new();
        for _ in 0..rng.random_range(1..3) {
            let key = rng.random_range(0..5);
            if ops.iter().any(|(other, _)| *other == key) {
                continue;
            }
            if self.values.contains_key(&key) && rng.random_bool(0.4) {
                self.values.remove(&key);
                ops.push((key, None));
            } else {
                let value = cid(&format!("{key}@{}", self.rev));
                self.values.insert(key, value);
                ops.push((key, Some(value)));
            }
        }
        self.snapshots.push((self.rev, self.values.clone()));
        Message::Live { rev: self.rev, since: self.since, prev, data: root(&self.values), ops }
    }

    pub(super) fn restore(&mut self, rng: &mut StdRng) {
        let (rev, values) = self.snapshots[rng.random_range(0..self.snapshots.len())].clone();
        (self.rev, self.values) = (rev, values);
    }
}
