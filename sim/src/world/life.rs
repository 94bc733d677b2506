//! What happens to accounts.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Account, Body, Event, Home, Repo, World};
use crate::clock::rfc3339;
use crate::dice::digest;
use crate::truth::Standing;
use crate::wire::{self, KeyForm, Signer, base32};

impl World {
    /// Something happens to somebody.
    pub(super) fn live(&mut self) {
        match self.story.weighed(&[1.0, 2.0, 0.5, 0.4, 0.35, 0.9, 0.6, 0.7, 0.4, 0.15, 0.5, 0.2]) {
            0 => self.stand(Standing::Deactivated),
            1 => self.come_back(),
            2 => self.stand(Standing::Takendown),
            3 => self.stand(Standing::Suspended),
            4 => self.stand(Standing::Deleted),
            5 => self.migrate(),
            6 => self.rotate(),
            7 => self.rename(),
            8 => self.newcomer(),
            9 => self.lapse(),
            10 => self.sync_needlessly(),
            _ => self.say_unknown(),
        }
    }

    /// Somebody joins.
    pub(super) fn newcomer(&mut self) {
        self.tick();
        let number = self.accounts.len();
        let did = match self.addresses.web.get(number) {
            Some(authority) => format!("did:web:{}", authority.replace(':', "%3A")),
            None => {
                let id =
                    digest(&[b"account", &self.options.seed.to_le_bytes(), &(number as u64).to_le_bytes()]);
                format!("did:plc:{}", base32(&id[..15]))
            }
        };
        let key = self.key(number, 0);
        let form = if self.story.chance(0.3) { KeyForm::Point } else { KeyForm::Multikey };
        let host = self.story.below(self.hosts.len());
        let handle = format!("person{number}.sim.test");
        self.handles.insert(handle.clone(), number);
        self.by_did.insert(did.clone(), number);
        self.people.push(did.clone());
        let homes = [(host, Home::new(key.clone()))].into();
        self.accounts.push(Account { did, handle, key, form, host, homes, keys: 0 });
        self.hosts[host].accounts.insert(number);
        self.announce_identity(number);
        self.tell_standing(number, host, Standing::Active);
        let mut edits = Vec::new();
        for _ in 0..self.story.below(5) {
            edits.extend(self.create(number));
        }
        self.commit(number, edits);
    }

    /// The nth key of an account: every fourth on P-256.
    fn key(&mut self, who: usize, keys: u32) -> Signer {
        let seed = self.options.seed.to_le_bytes();
        let secret = digest(&[b"key", &seed, &(who as u64).to_le_bytes(), &keys.to_le_bytes()]);
        if self.story.chance(0.25) { Signer::p256(&secret) } else { Signer::k256(&secret) }
    }

    /// Somebody who is there is switched off, or leaves.
    fn stand(&mut self, standing: Standing) {
        let Some(who) = self.somebody(|account| account.standing() == Standing::Active) else { return };
        let host = self.accounts[who].host;
        if let Some(home) = self.accounts[who].homes.get_mut(&host) {
            home.standing = standing;
            if standing == Standing::Deleted {
                (home.repo, home.past) = (None, Default::default());
            }
        }
        self.tell_standing(who, host, standing);
    }

    /// Somebody who was switched off is there again, as they were.
    fn come_back(&mut self) {
        let is_off = |account: &Account| !matches!(account.standing(), Standing::Active | Standing::Deleted);
        let Some(who) = self.somebody(is_off) else { return };
        let host = self.accounts[who].host;
        if let Some(home) = self.accounts[who].homes.get_mut(&host) {
            home.standing = Standing::Active;
        }
        self.tell_standing(who, host, Standing::Active);
        self.tell_sync(who, host);
    }

    /// Somebody moves to another host, with a new key or the old one.
    fn migrate(&mut self) {
        let Some(who) = self.somebody(|account| account.standing() == Standing::Active) else { return };
        let from = self.accounts[who].host;
        let to = (from + 1 + self.story.below(self.hosts.len().saturating_sub(1))) % self.hosts.len();
        let takes_new_key = self.story.chance(0.5);
        if from == to {
            return;
        }
        if takes_new_key {
            self.new_key(who);
        }
        let account = &mut self.accounts[who];
        let Some(old) = account.homes.get_mut(&from) else { return };
        old.standing = Standing::Deactivated;
        old.past.clear();
        let mut home = Home::new(account.key.clone());
        home.repo = old.repo.clone();
        account.homes.insert(to, home);
        account.host = to;
        self.hosts[to].accounts.insert(who);
        // The old host says what is true there, sooner or later.
        let due = self.steps + if self.story.chance(0.5) { 0 } else { self.story.below(40) as u64 };
        self.belated.push_back((due, who, from));
        self.tell_standing(who, to, Standing::Active);
        self.announce_identity(who);
        self.recommit(who, to);
    }

    /// A commit that changes nothing but who has signed last; told as a commit or as a state.
    fn recommit(&mut self, who: usize, host: usize) {
        let as_commit = self.story.chance(0.5);
        let Some(written) = self.write(who, host, &[]) else { return };
        if as_commit {
            return self.keep_and_tell(who, host, written);
        }
        let repo = Repo { commit: written.body.commit, tree: written.tree };
        if let Some(home) = self.accounts[who].homes.get_mut(&host) {
            home.stand_at(repo, false);
        }
        self.tell_sync(who, host);
    }

    /// The document names another key from now on. No backup can be used that the old one signed.
    fn new_key(&mut self, who: usize) {
        let keys = self.accounts[who].keys + 1;
        let key = self.key(who, keys);
        let account = &mut self.accounts[who];
        (account.key, account.keys) = (key, keys);
    }

    fn rotate(&mut self) {
        let Some(who) = self.somebody(|account| account.standing() == Standing::Active) else { return };
        self.new_key(who);
        let account = &mut self.accounts[who];
        let (host, key) = (account.host, account.key.clone());
        if let Some(home) = account.homes.get_mut(&host) {
            home.key = key;
            home.past.clear();
        }
        self.announce_or_not(who);
        self.recommit(who, host);
    }

    fn rename(&mut self) {
        let Some(who) = self.somebody(|account| account.standing() != Standing::Deleted) else { return };
        self.tick();
        let name = format!(
            "{}{}.sim.test",
            ["nova", "lark", "moss", "flint"][self.story.below(4)],
            self.clock_us % 10_000_019
        );
        let old = std::mem::replace(&mut self.accounts[who].handle, name.clone());
        self.handles.remove(&old);
        self.handles.insert(name, who);
        self.announce_or_not(who);
    }

    /// Two take each other's handle.
    pub(super) fn swap_handles(&mut self) {
        let there = |account: &Account| account.standing() == Standing::Active;
        let (Some(a), Some(b)) = (self.somebody(there), self.somebody(there)) else { return };
        if a == b {
            return;
        }
        self.tick();
        let of_a = self.accounts[a].handle.clone();
        let of_b = std::mem::replace(&mut self.accounts[b].handle, of_a.clone());
        self.accounts[a].handle = of_b.clone();
        self.handles.insert(of_a, b);
        self.handles.insert(of_b, a);
        self.announce_or_not(a);
        self.announce_or_not(b);
    }

    /// Somebody's handle resolves to nobody any more.
    fn lapse(&mut self) {
        let Some(who) = self.somebody(|account| account.standing() == Standing::Active) else { return };
        self.tick();
        self.handles.remove(&self.accounts[who].handle.clone());
        self.announce_or_not(who);
    }

    /// A host restores a repo to what it was, and may or may not say so.
    pub(super) fn restore(&mut self) {
        let has_past = |account: &Account| {
            account.standing() == Standing::Active && account.home().is_some_and(|home| !home.past.is_empty())
        };
        let Some(who) = self.somebody(has_past) else { return };
        let host = self.accounts[who].host;
        let thrown = self.story.roll() as usize;
        let Some(home) = self.accounts[who].homes.get_mut(&host) else { return };
        let at = thrown % home.past.len();
        home.repo = home.past.get(at).cloned();
        home.past.truncate(at);
        match thrown / 64 % 3 {
            0 => {}
            1 => self.tell_sync(who, host),
            _ => self.recommit(who, host),
        }
    }

    fn sync_needlessly(&mut self) {
        let Some(who) = self.somebody(|account| account.standing() == Standing::Active) else { return };
        self.tell_sync(who, self.accounts[who].host);
    }

    fn say_unknown(&mut self) {
        let Some(who) = self.somebody(|_| true) else { return };
        let now = rfc3339(self.tick());
        let frame = wire::unknown(&self.accounts[who].did, &now);
        self.tell_plainly(who, self.accounts[who].host, Body::Unknown, frame, false);
    }

    /// What hosts say late of accounts that have left them.
    pub(super) fn tell_belated(&mut self) {
        let all = std::mem::take(&mut self.belated);
        let (due, later): (VecDeque<_>, VecDeque<_>) =
            all.into_iter().partition(|(due, _, _)| self.is_calm || *due <= self.steps);
        self.belated = later;
        for (_, who, host) in due {
            if self.accounts[who].host != host {
                self.tell_standing(who, host, Standing::Deactivated);
            }
        }
    }

    /// Announces a new key or handle, or forgets to.
    fn announce_or_not(&mut self, who: usize) {
        let silent = self.mischief.chance(self.options.faults.silent_identities);
        if silent && !self.is_calm {
            self.unannounced.insert(who);
        } else {
            self.announce_identity(who);
        }
    }

    pub(super) fn announce_identity(&mut self, who: usize) {
        let now = rfc3339(self.tick());
        let account = &self.accounts[who];
        let handle = account.handle.clone();
        let frame = wire::identity(&account.did, Some(&handle), &now);
        self.tell_plainly(who, account.host, Body::Identity { handle: Some(handle) }, frame, false);
    }

    pub(super) fn tell_standing(&mut self, who: usize, host: usize, standing: Standing) {
        let now = rfc3339(self.tick());
        let frame = wire::account(&self.accounts[who].did, standing.word(), &now);
        self.tell_plainly(who, host, Body::Account(standing), frame, false);
    }

    fn tell_sync(&mut self, who: usize, host: usize) {
        let now = rfc3339(self.tick());
        let account = &self.accounts[who];
        let Some(repo) = account.homes.get(&host).and_then(|home| home.repo.clone()) else { return };
        let frame = wire::sync(&account.did, &repo.commit, &now);
        self.tell_plainly(who, host, Body::Sync { commit: repo.commit, tree: repo.tree }, frame, false);
    }

    pub(super) fn tell_plainly(
        &mut self,
        who: usize,
        host: usize,
        body: Body,
        frame: wire::Frame,
        is_lie: bool,
    ) {
        let did = self.accounts[who].did.clone();
        self.tell(host, Arc::new(Event { did, time_us: self.clock_us, body, frame, is_lie }), None);
    }
}
