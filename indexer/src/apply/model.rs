//! The table against the truth: one repo, random histories (commits lost, repeated, reordered; reports true and false;
//! mirrors that lag; answers that arrive late; a host restored from a backup). Once every check that was asked for has
//! been answered, what the table holds must be what the host holds.

mod host;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use cid::Cid;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::table::*;
use crate::change::Asked;
use crate::syntax::Tid;
use host::{Host, Message, Snapshot, Values, cid, root, tid, uri};

#[derive(Default)]
struct Door {
    repo: Repo,
    rows: BTreeMap<u8, Row>,
    checks: std::collections::BTreeSet<u8>,
    resync: bool,
    clock: i64,
}

fn row(epoch: i32, rev: Tid, proven: bool, cid: Option<Cid>, indexed_at: DateTime<Utc>) -> Row {
    Row { epoch, rev, proven, reported_by: None, cid, indexed_at }
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
            Verdict::Stale | Verdict::Diverge => {}
            Verdict::Apply | Verdict::Refute => {
                let indexed_at = self.now();
                self.rows.insert(key, row(self.repo.epoch, rev.clone(), proven, cid, indexed_at));
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
                doubt(&mut self.repo);
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
                    let (uri, cid_ref) = (uri(*key), cid.as_ref());
                    let change = Change { uri: &uri, rev: &rev, proven: true, cid: cid_ref };
                    let verdict = decide(&self.repo, self.rows.get(key), change);
                    self.carry_out(verdict, *key, &rev, true, *cid);
                }
            }
            Message::Report { rev, key, cid } if *rev <= clock + 5 => {
                let rev = tid(*rev);
                let change = Change { uri: &uri(*key), rev: &rev, proven: false, cid: cid.as_ref() };
                let verdict = decide(&self.repo, self.rows.get(key), change);
                self.carry_out(verdict, *key, &rev, false, *cid);
            }
            Message::Report { .. } => {}
            Message::Proof { key, at, cid, asked } => {
                let at = tid(*at);
                if asked.epoch != self.repo.epoch || self.repo.rev.as_ref().is_some_and(|rev| at < *rev) {
                    self.resync |= asked.seen_rev.as_ref().is_some_and(|seen| at < *seen);
                    self.checks.insert(*key);
                    return;
                }
                see(&mut self.repo, &at);
                let verdict = settle(&self.repo, self.rows.get(key), &at, cid.as_ref(), Some(asked));
                self.carry_out(verdict, *key, &at, true, *cid);
            }
            Message::Snapshot(snapshot) => {
                (0..snapshot.stretches()).for_each(|at| self.stretch(snapshot, at))
            }
            Message::Announced { rev, data } => {
                let known = self.repo.state != RepoState::Unknown;
                self.resync |= known && announce(&mut self.repo, &tid(*rev), data) == Chain::Broken;
            }
            Message::Missed => {
                if self.repo.state != RepoState::Unknown {
                    doubt(&mut self.repo);
                }
                self.resync = true;
            }
        }
    }

    fn stretch(&mut self, snapshot: &Snapshot, index: usize) {
        let Snapshot { at, values, authoritative, asked, .. } = snapshot;
        let (at, data, (after, upto)) = (tid(*at), root(values), snapshot.range(index));
        let (after_uri, upto_uri) = (after.map(uri), upto.map(uri));
        let authoritative = *authoritative;
        let (after_uri, upto_uri) = (after_uri.as_ref(), upto_uri.as_ref());
        let stretch =
            Stretch { at: &at, data: &data, after: after_uri, upto: upto_uri, authoritative, asked };
        let reading = scope(&mut self.repo, &stretch);
        if reading == Scope::Discard {
            self.resync |= self.repo.state != RepoState::Synchronized;
            return;
        }
        let mut keys: std::collections::BTreeSet<u8> =
            self.rows.keys().chain(values.keys()).copied().collect();
        keys.retain(|key| after.is_none_or(|after| *key > after) && upto.is_none_or(|upto| *key <= upto));
        for key in keys {
            let rests = |row: &Row| row.cid.is_none() && row.proven && row.epoch == self.repo.epoch;
            if !values.contains_key(&key) && self.rows.get(&key).is_some_and(rests) {
                continue;
            }
            let authority = authoritative.then_some(asked);
            let verdict = settle(&self.repo, self.rows.get(&key), &at, values.get(&key), authority);
            self.carry_out(verdict, key, &at, true, values.get(&key).copied());
        }
        complete(&mut self.repo, &stretch, 0, 0);
    }

    fn values(&self) -> Values {
        self.rows.iter().filter_map(|(key, row)| Some((*key, row.cid?))).collect()
    }
}

fn history(seed: u64) -> (Values, Values) {
    let rng = &mut StdRng::seed_from_u64(seed);
    let (mut host, mut door, mut pending) = (Host::new(), Door::default(), Vec::new());
    // Readers with the stretch that each applies next; one that dies leaves what it has applied.
    let mut readers: Vec<(Snapshot, usize)> = Vec::new();
    for _ in 0..rng.random_range(20..60) {
        step(rng, &mut host, &mut door, &mut pending);
        if let Some(Message::Snapshot(_)) = pending.last()
            && let Some(Message::Snapshot(snapshot)) = pending.pop()
        {
            readers.push((snapshot, 0));
        }
        read_on(rng, &mut door, &mut readers);
    }
    while !pending.is_empty() {
        let message = pending.swap_remove(rng.random_range(0..pending.len()));
        door.take(&message, host.clock);
        read_on(rng, &mut door, &mut readers);
    }
    for _ in 0..8 {
        let current = Some(tid(host.rev));
        let asked = door.asked();
        let behind = door.repo.rev != current || door.repo.seen_rev != current;
        if std::mem::take(&mut door.resync) || behind || door.repo.state != RepoState::Synchronized {
            let (at, values) = (host.rev, host.values.clone());
            let cuts = cuts(rng);
            let whole = Snapshot { at, values, cuts, authoritative: true, asked };
            door.take(&Message::Snapshot(whole), host.clock);
        }
        for key in std::mem::take(&mut door.checks) {
            let asked = door.asked();
            let (at, cid) = (host.rev, host.values.get(&key).copied());
            door.take(&Message::Proof { key, at, cid, asked }, host.clock);
        }
    }
    (door.values(), host.values)
}

fn cuts(rng: &mut StdRng) -> Vec<u8> {
    (0..5).filter(|_| rng.random_bool(0.3)).collect()
}

/// Lets one of the readers apply its next stretches, or die.
fn read_on(rng: &mut StdRng, door: &mut Door, readers: &mut Vec<(Snapshot, usize)>) {
    if readers.is_empty() || rng.random_bool(0.4) {
        return;
    }
    let which = rng.random_range(0..readers.len());
    if rng.random_bool(0.1) {
        readers.remove(which);
        // The sweep finds what it left.
        door.resync = true;
        return;
    }
    let (snapshot, next) = &mut readers[which];
    if *next == 0 && rng.random_bool(0.2) {
        // Two read the same, and cut it differently.
        let same = Snapshot { cuts: cuts(rng), ..snapshot.clone() };
        readers.push((same, 0));
        return;
    }
    // Now and then one is lost on the way.
    if rng.random_bool(0.95) {
        door.stretch(snapshot, *next);
    }
    *next += 1;
    if *next == snapshot.stretches() {
        readers.remove(which);
    }
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
        47 => pending.push(Message::Announced { rev: host.rev, data: root(&host.values) }),
        48 => pending.push(Message::Missed),
        49..57 => {
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
            let cuts = cuts(rng);
            let snapshot = Message::Snapshot(Snapshot { at, values, cuts, authoritative, asked });
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
