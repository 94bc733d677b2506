//! The table against the truth: one repo, random histories (commits lost, repeated, reordered; reports true and false;
//! mirrors that lag; answers that arrive late; a host restored from a backup). Once every check that was asked for has
//! been answered, what the table holds must be what the host holds.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cid::Cid;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::table::*;
use crate::change::Asked;
use crate::syntax::Tid;

type Values = BTreeMap<u8, Cid>;

fn tid(clock: i64) -> Tid {
    Tid::from_timestamp_us(clock, 0)
}

fn cid(of: &str) -> Cid {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(of);
    Cid::new_v1(0x71, cid::multihash::Multihash::wrap(0x12, &digest).expect("32 bytes fit"))
}

/// The host: the one truth.
#[derive(Clone)]
struct Host {
    rev: i64,
    since: i64,
    clock: i64,
    values: Values,
    snapshots: Vec<(i64, Values)>,
}

#[derive(Clone)]
enum Message {
    Live { rev: i64, since: i64, prev: Cid, data: Cid, ops: Vec<(u8, Option<Cid>)> },
    Report { rev: i64, key: u8, cid: Option<Cid> },
    Proof { key: u8, at: i64, cid: Option<Cid>, asked: Asked },
    Snapshot { at: i64, values: Values, authoritative: bool, asked: Asked },
}

fn root(values: &Values) -> Cid {
    cid(&format!("{values:?}"))
}

impl Host {
    fn new() -> Self {
        let values = Values::new();
        Host { rev: 1, since: 0, clock: 1, snapshots: vec![(1, values.clone())], values }
    }

    fn write(&mut self, rng: &mut StdRng) -> Message {
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

    fn restore(&mut self, rng: &mut StdRng) {
        let (rev, values) = self.snapshots[rng.random_range(0..self.snapshots.len())].clone();
        (self.rev, self.values) = (rev, values);
    }
}

#[derive(Default)]
struct Door {
    repo: Repo,
    rows: BTreeMap<u8, Row>,
    checks: std::collections::BTreeSet<u8>,
    resync: bool,
    clock: i64,
}

impl Door {
    fn now(&mut self) -> DateTime<Utc> {
        self.clock += 1;
        DateTime::from_timestamp(self.clock, 0).expect("small")
    }

    fn asked(&mut self) -> Asked {
        Asked { epoch: self.repo.epoch, seen_rev: self.repo.seen_rev.clone(), at: self.now() }
    }

    fn carry_out(&mut self, verdict: Verdict, key: u8, rev: &Tid, proven: bool, cid: Option<Cid>) {
        match verdict {
            Verdict::Stale => {}
            Verdict::Apply | Verdict::Refute => {
                let indexed_at = self.now();
                self.rows
                    .insert(key, Row { epoch: self.repo.epoch, rev: rev.clone(), proven, cid, indexed_at });
                if !proven {
                    self.checks.insert(key);
                }
            }
            Verdict::RaiseTrust => {
                if let Some(row) = self.rows.get_mut(&key) {
                    row.proven = true;
                }
            }
            Verdict::Conflict => {
                self.resync = true;
                self.checks.insert(key);
            }
            Verdict::Provisional => {
                self.checks.insert(key);
            }
        }
    }

    fn take(&mut self, message: &Message, clock: i64) {
        match message {
            Message::Live { rev, since, prev, data, ops } => {
                let (rev, since) = (tid(*rev), tid(*since));
                match follow(&mut self.repo, &rev, Some(&since), Some(prev), data) {
                    Chain::Replay => return,
                    Chain::Broken => self.resync = true,
                    Chain::Follows => {}
                }
                for (key, cid) in ops {
                    let verdict = decide(&self.repo, self.rows.get(key), &rev, true, cid.as_ref());
                    self.carry_out(verdict, *key, &rev, true, *cid);
                }
            }
            Message::Report { rev, key, cid } if *rev <= clock + 5 => {
                let rev = tid(*rev);
                let verdict = decide(&self.repo, self.rows.get(key), &rev, false, cid.as_ref());
                self.carry_out(verdict, *key, &rev, false, *cid);
            }
            Message::Report { .. } => {}
            Message::Proof { key, at, cid, asked } => {
                let at = tid(*at);
                if asked.epoch != self.repo.epoch || self.repo.rev.as_ref().is_some_and(|rev| at < *rev) {
                    self.checks.insert(*key);
                    return;
                }
                see(&mut self.repo, &at);
                let verdict = settle(&self.repo, self.rows.get(key), &at, cid.as_ref(), Some(asked));
                self.carry_out(verdict, *key, &at, true, *cid);
            }
            Message::Snapshot { at, values, authoritative, asked } => {
                self.snapshot(*at, values, *authoritative, asked)
            }
        }
    }

    fn snapshot(&mut self, at: i64, values: &Values, authoritative: bool, asked: &Asked) {
        let at = tid(at);
        let reading = scope(&mut self.repo, &at, authoritative, asked);
        if reading == Scope::Discard {
            self.resync = true;
            return;
        }
        let keys: std::collections::BTreeSet<u8> = self.rows.keys().chain(values.keys()).copied().collect();
        for key in keys {
            let rests = |row: &Row| row.cid.is_none() && row.proven && row.epoch == self.repo.epoch;
            if !values.contains_key(&key) && self.rows.get(&key).is_some_and(rests) {
                continue;
            }
            let authority = authoritative.then_some(asked);
            let verdict = settle(&self.repo, self.rows.get(&key), &at, values.get(&key), authority);
            self.carry_out(verdict, key, &at, true, values.get(&key).copied());
        }
        complete(&mut self.repo, &at, &root(values));
    }

    fn values(&self) -> Values {
        self.rows.iter().filter_map(|(key, row)| Some((*key, row.cid?))).collect()
    }
}

fn history(seed: u64) -> (Values, Values) {
    let rng = &mut StdRng::seed_from_u64(seed);
    let (mut host, mut door, mut pending) = (Host::new(), Door::default(), Vec::new());
    for _ in 0..rng.random_range(20..60) {
        step(rng, &mut host, &mut door, &mut pending);
    }
    while !pending.is_empty() {
        let message = pending.swap_remove(rng.random_range(0..pending.len()));
        door.take(&message, host.clock);
    }
    for _ in 0..8 {
        let current = Some(tid(host.rev));
        let asked = door.asked();
        let behind = door.repo.rev != current || door.repo.seen_rev != current;
        if std::mem::take(&mut door.resync) || behind || door.repo.state != RepoState::Synchronized {
            door.snapshot(host.rev, &host.values, true, &asked);
        }
        for key in std::mem::take(&mut door.checks) {
            let asked = door.asked();
            let (at, cid) = (host.rev, host.values.get(&key).copied());
            door.take(&Message::Proof { key, at, cid, asked }, host.clock);
        }
    }
    (door.values(), host.values)
}

fn step(rng: &mut StdRng, host: &mut Host, door: &mut Door, pending: &mut Vec<Message>) {
    match rng.random_range(0..100) {
        0..40 => {
            let live = host.write(rng);
            if let Message::Live { rev, ops, .. } = &live {
                for (key, cid) in ops {
                    for _ in 0..[0, 1, 1, 2][rng.random_range(0..4)] {
                        pending.push(Message::Report { rev: *rev, key: *key, cid: *cid });
                    }
                }
            }
            let copies = usize::from(rng.random_bool(0.75)) + usize::from(rng.random_bool(0.15));
            pending.extend(std::iter::repeat_n(live, copies));
        }
        40..42 => host.restore(rng),
        42..47 => {
            let rev = (host.clock + rng.random_range(-5..5)).max(1);
            let lie = rng.random_bool(0.5).then(|| cid("lie"));
            pending.push(Message::Report { rev, key: rng.random_range(0..5), cid: lie });
        }
        47..57 => {
            // Asked now; the answer may arrive much later.
            door.resync = false;
            let asked = door.asked();
            let authoritative = rng.random_bool(0.7);
            let (at, values) = if authoritative {
                (host.rev, host.values.clone())
            } else {
                let recent = host.snapshots.len().saturating_sub(4)..host.snapshots.len();
                host.snapshots[rng.random_range(recent)].clone()
            };
            let snapshot = Message::Snapshot { at, values, authoritative, asked };
            if rng.random_bool(0.5) { door.take(&snapshot, host.clock) } else { pending.push(snapshot) }
        }
        57..63 => {
            if let Some(key) = door.checks.pop_first() {
                let asked = door.asked();
                pending.push(Message::Proof {
                    key,
                    at: host.rev,
                    cid: host.values.get(&key).copied(),
                    asked,
                });
            }
        }
        _ => {
            for _ in 0..rng.random_range(1..5) {
                if !pending.is_empty() {
                    let at = if rng.random_bool(0.6) { 0 } else { rng.random_range(0..pending.len()) };
                    door.take(&pending.remove(at), host.clock);
                }
            }
        }
    }
}

#[test]
fn every_history_ends_in_the_truth() {
    let histories = std::env::var("PLYR_MODEL_HISTORIES").ok().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let wrong: Vec<u64> = (0..histories)
        .filter(|seed| {
            let (held, truth) = history(*seed);
            held != truth
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {histories} histories ended wrong, e.g. seeds {:?}",
        wrong.len(),
        &wrong[..wrong.len().min(8)]
    );
}
