//! What happens: accounts, their repos and hosts, and what the streams tell of them.
//!
//! A world has no clock, socket or thread. [`World::step`] lets one thing happen and writes what is told of it into the
//! logs of hosts and relays; who serves a world reads those, and asks it for repos.

mod account;
mod event;
mod life;
mod log;
mod mischief;
mod relay;
#[cfg(test)]
mod tests;
mod told;
mod write;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use crate::dice::Dice;
use crate::options::Options;
use crate::records::Subject;
use crate::truth::Truth;

pub use account::{Account, Home, Repo};
pub use event::{Body, Event};
pub use log::Log;
pub use relay::{Jet, Known, Relay};

/// Where the world's servers are.
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    /// Origins of the hosts: `http://127.0.0.1:4001`.
    pub hosts: Vec<String>,
    /// `host:port` of the web servers of did:web accounts.
    pub web: Vec<String>,
}

/// A PDS.
#[derive(Debug, Default)]
pub struct Host {
    /// What it tells.
    pub log: Log,
    /// Accounts that it has, or had.
    pub accounts: BTreeSet<usize>,
}

/// Everything.
#[derive(Debug)]
pub struct World {
    options: Options,
    addresses: Addresses,
    clock_us: i64,
    steps: u64,
    /// Chance of what people do, and of what goes wrong: with and without faults, people do the same for as long as
    /// nothing of theirs is undone.
    story: Dice,
    mischief: Dice,
    /// Nothing of passing nature goes wrong now.
    is_calm: bool,
    accounts: Vec<Account>,
    by_did: HashMap<String, usize>,
    /// What handles resolve to.
    handles: BTreeMap<String, usize>,
    hosts: Vec<Host>,
    relays: Vec<Relay>,
    jets: Vec<Jet>,
    /// Tracks and posts to speak of, and everybody's DID.
    tracks: Vec<Subject>,
    posts: Vec<Subject>,
    people: Vec<String>,
    /// Accounts whose new key or handle has not been announced to everybody.
    unannounced: BTreeSet<usize>,
    /// Standings that hosts which accounts have left will tell, and when.
    belated: VecDeque<(u64, usize, usize)>,
}

impl World {
    /// A world at its beginning: everybody has an account and a first commit.
    pub fn new(options: Options, addresses: Addresses) -> Self {
        let log = || Log::new(options.window);
        let hosts = options.hosts.max(1);
        let mut world = World {
            clock_us: options.start_us,
            steps: 0,
            story: Dice::new(options.seed, "story"),
            mischief: Dice::new(options.seed, "mischief"),
            is_calm: true,
            accounts: Vec::new(),
            by_did: HashMap::new(),
            handles: BTreeMap::new(),
            hosts: (0..hosts).map(|_| Host { log: log(), accounts: BTreeSet::new() }).collect(),
            relays: (0..options.relays).map(|_| Relay::new(log(), hosts)).collect(),
            jets: (0..options.jetstreams).map(|_| Jet::new(hosts)).collect(),
            tracks: Vec::new(),
            posts: Vec::new(),
            people: Vec::new(),
            unannounced: BTreeSet::new(),
            belated: VecDeque::new(),
            addresses,
            options,
        };
        for _ in 0..world.options.accounts {
            world.newcomer();
        }
        world.deliver();
        world
    }

    /// Lets one thing happen.
    pub fn step(&mut self) {
        self.is_calm = false;
        self.steps += 1;
        if self.story.chance(self.options.life) {
            self.live();
        } else {
            self.write_something();
        }
        self.misbehave();
        self.tell_belated();
        self.deliver();
    }

    /// Ends all that goes wrong for a time and delivers what is on its way. What was lost stays lost.
    pub fn settle(&mut self) {
        self.is_calm = true;
        self.see_again();
        self.tell_belated();
        for who in std::mem::take(&mut self.unannounced) {
            self.announce_identity(who);
        }
        self.deliver();
    }

    /// Steps done so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Now, in microseconds since 1970.
    pub fn clock_us(&self) -> i64 {
        self.clock_us
    }

    /// Lets time pass until this moment; it never goes back.
    pub fn catch_up(&mut self, now_us: i64) {
        self.clock_us = self.clock_us.max(now_us);
    }

    /// Time passes, a little: nothing happens twice at one moment.
    fn tick(&mut self) -> i64 {
        self.clock_us += 1 + self.story.below(2 * self.options.step_us.max(1) as usize) as i64;
        self.clock_us
    }

    /// What is true now.
    pub fn truth(&self) -> Truth {
        let accounts = self.accounts.iter().map(|account| (account.did.clone(), self.truth_of(account)));
        Truth { accounts: accounts.collect() }
    }

    /// The options that it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Everybody.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The account with this DID.
    pub fn account(&self, did: &str) -> Option<&Account> {
        self.accounts.get(*self.by_did.get(did)?)
    }

    /// The hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The relays.
    pub fn relays(&self) -> &[Relay] {
        &self.relays
    }

    /// What the nth Jetstream has heard since it was last asked.
    pub fn take_heard(&mut self, jetstream: usize) -> Vec<std::sync::Arc<Event>> {
        self.jets.get_mut(jetstream).map(Jet::take).unwrap_or_default()
    }

    /// The DID that a handle resolves to.
    pub fn resolve(&self, handle: &str) -> Option<&str> {
        self.handles.get(handle).map(|who| self.accounts[*who].did.as_str())
    }
}
