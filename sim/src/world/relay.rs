//! Relays and Jetstreams: they hear the hosts, each host in its order, and number anew what they heard.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::{Body, Event, Log, World};
use crate::truth::Standing;
use crate::wire::{Cid, Frame};

/// What a relay knows of a repo.
#[derive(Debug, Clone)]
pub struct Known {
    /// The newest rev heard of, and its commit.
    pub head: Option<(String, Cid)>,
    /// The standing heard of.
    pub standing: Standing,
}

/// A relay.
#[derive(Debug)]
pub struct Relay {
    /// What it tells.
    pub log: Log,
    /// What it knows, by DID.
    pub known: BTreeMap<String, Known>,
    expected: Vec<VecDeque<(Option<Frame>, Arc<Event>)>>,
    blind_until: u64,
}

/// What a Jetstream listens with.
#[derive(Debug)]
pub struct Jet {
    heard: Vec<Arc<Event>>,
    expected: Vec<VecDeque<Arc<Event>>>,
    blind_until: u64,
}

impl Relay {
    pub(super) fn new(log: Log, hosts: usize) -> Self {
        let expected = (0..hosts).map(|_| VecDeque::new()).collect();
        Relay { log, known: BTreeMap::new(), expected, blind_until: 0 }
    }

    pub(super) fn expect(&mut self, host: usize, frame: Option<Frame>, event: Arc<Event>) {
        self.expected[host].push_back((frame, event));
    }

    fn hear(&mut self, frame: Option<Frame>, event: &Event, steps: u64) {
        if steps < self.blind_until && concerns_plyr(event) {
            return;
        }
        self.log.push(frame);
        if event.is_lie {
            return;
        }
        let known = self.known.entry(event.did.clone());
        let known = known.or_insert(Known { head: None, standing: Standing::Active });
        match &event.body {
            Body::Commit { commit, .. } | Body::Sync { commit, .. } => {
                known.head = Some((commit.rev.clone(), commit.cid));
            }
            Body::Account(standing) => known.standing = *standing,
            Body::Identity { .. } | Body::Unknown => {}
        }
    }
}

impl Jet {
    pub(super) fn new(hosts: usize) -> Self {
        let expected = (0..hosts).map(|_| VecDeque::new()).collect();
        Jet { heard: Vec::new(), expected, blind_until: 0 }
    }

    pub(super) fn expect(&mut self, host: usize, event: Arc<Event>) {
        self.expected[host].push_back(event);
    }

    pub(super) fn take(&mut self) -> Vec<Arc<Event>> {
        std::mem::take(&mut self.heard)
    }

    fn hear(&mut self, event: Arc<Event>, steps: u64) {
        if steps >= self.blind_until || !concerns_plyr(&event) {
            self.heard.push(event);
        }
    }
}

fn concerns_plyr(event: &Event) -> bool {
    match &event.body {
        Body::Commit { ops, .. } => ops.iter().any(|(op, _)| op.path.starts_with("fm.plyr.")),
        _ => false,
    }
}

impl World {
    /// Relays and Jetstreams hear what was told, of some hosts later than of others.
    pub(super) fn deliver(&mut self) {
        let steps = self.steps;
        let rate = if self.is_calm { 0.0 } else { self.options.faults.reordering };
        for relay in &mut self.relays {
            for host in 0..relay.expected.len() {
                if rate > 0.0 && self.mischief.chance(rate) {
                    continue;
                }
                while let Some((frame, event)) = relay.expected[host].pop_front() {
                    relay.hear(frame, &event, steps);
                }
            }
        }
        for jet in &mut self.jets {
            for host in 0..jet.expected.len() {
                if rate > 0.0 && self.mischief.chance(rate) {
                    continue;
                }
                while let Some(event) = jet.expected[host].pop_front() {
                    jet.hear(event, steps);
                }
            }
        }
    }

    /// Nobody is blind any more.
    pub(super) fn see_again(&mut self) {
        self.relays.iter_mut().for_each(|relay| relay.blind_until = 0);
        self.jets.iter_mut().for_each(|jet| jet.blind_until = 0);
    }

    /// One of the relays or Jetstreams is blind to our collections for a while.
    pub(super) fn go_blind(&mut self) {
        let until = self.steps + 20 + self.mischief.below(80) as u64;
        let at = self.mischief.below(self.relays.len() + self.jets.len());
        match self.relays.get_mut(at) {
            Some(relay) => relay.blind_until = until,
            None => {
                let at = at - self.relays.len();
                if let Some(jet) = self.jets.get_mut(at) {
                    jet.blind_until = until;
                }
            }
        }
    }

    /// A Jetstream tells what nobody told it.
    pub(super) fn make_up(&mut self, event: Arc<Event>) {
        let at = self.mischief.below(self.jets.len());
        if let Some(jet) = self.jets.get_mut(at) {
            jet.heard.push(event);
        }
    }
}
