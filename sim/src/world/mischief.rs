//! Lies, and accidents that are nobody's intention but truly happen.

use std::sync::Arc;

use super::write::{Edit, Written, write};
use super::{Body, Event, World};
use crate::dice::digest;
use crate::records::{Making, any_kind};
use crate::truth::Standing;
use crate::wire::{self, Cid, Leaf, Op, Signer, sign_commit, tid};

/// Forty years.
const FAR_US: i64 = 40 * 365 * 86_400 * 1_000_000;

impl World {
    /// Whatever goes wrong in this step besides what is told of it.
    pub(super) fn misbehave(&mut self) {
        let faults = self.options.faults.clone();
        if self.mischief.chance(faults.forged_signatures) {
            self.forge(|_, rev, data, did| {
                let rogue = Signer::k256(&digest(&[b"rogue", did.as_bytes()]));
                sign_commit(did, rev, data, |unsigned| rogue.sign(unsigned))
            });
        }
        if self.mischief.chance(faults.high_s) {
            self.forge(|key, rev, data, did| {
                sign_commit(did, rev, data, |unsigned| key.sign_high_s(unsigned))
            });
        }
        if self.mischief.chance(faults.future_revs) {
            let rev = tid(self.clock_us + FAR_US, 0);
            self.forge(|key, _, data, did| sign_commit(did, &rev, data, |unsigned| key.sign(unsigned)));
        }
        if self.mischief.chance(faults.account_lies) {
            self.lie_about_account();
        }
        if self.mischief.chance(faults.stale_hosts) {
            self.commit_at_old_host();
        }
        if self.mischief.chance(faults.restores) {
            self.restore();
        }
        if self.mischief.chance(faults.handle_swaps) {
            self.swap_handles();
        }
        if self.mischief.chance(faults.blind_sources) {
            self.go_blind();
        }
        if self.mischief.chance(faults.lying_jetstreams) {
            self.lie_to_jetstreams();
        }
    }

    fn anybody(&mut self, may: impl Fn(&super::Account) -> bool) -> Option<usize> {
        for _ in 0..40 {
            let who = self.mischief.below(self.accounts.len());
            if self.accounts.get(who).is_some_and(&may) {
                return Some(who);
            }
        }
        None
    }

    /// A record that nobody wrote.
    fn made_up(&mut self) -> Arc<Leaf> {
        let kind = any_kind(&mut self.mischief);
        let now_us = self.tick();
        let made = kind.make(&mut Making {
            dice: &mut self.mischief,
            now_us,
            tracks: &self.tracks,
            posts: &self.posts,
            people: &self.people,
            public_url: &self.options.public_url,
        });
        Leaf::new(made.path, made.value.with("forged", crate::wire::Value::Bool(true)).encode(), None)
    }

    /// An event of a commit that would continue somebody's repo, but for its signature or rev.
    fn forge(&mut self, sign: impl FnOnce(&Signer, &str, &Cid, &str) -> wire::Commit) {
        let is_there = |account: &super::Account| account.standing() == Standing::Active;
        let Some(who) = self.anybody(is_there) else { return };
        let leaf = self.made_up();
        let host = self.accounts[who].host;
        let Some(mut written) = self.write(who, host, &[Edit::Put(leaf)]) else { return };
        let body = &mut written.body;
        let rev = body.commit.rev.clone();
        let commit = sign(&self.accounts[who].key, &rev, &written.tree.root(), &body.did);
        body.blocks[0] = (commit.cid, commit.block.clone());
        body.commit = commit;
        self.tell_commit(host, written, true);
    }

    /// A host that an account does not live at tells of its standing what is not so.
    fn lie_about_account(&mut self) {
        const ALL: [Standing; 5] = [
            Standing::Active,
            Standing::Deactivated,
            Standing::Suspended,
            Standing::Takendown,
            Standing::Deleted,
        ];
        let Some(who) = self.anybody(|_| true) else { return };
        let false_ones = ALL.map(|standing| (standing != self.accounts[who].standing()).then_some(standing));
        let false_ones: Vec<Standing> = false_ones.into_iter().flatten().collect();
        let Some(standing) = self.mischief.pick(&false_ones).copied() else { return };
        let host = self.mischief.below(self.hosts.len());
        if host == self.accounts[who].host {
            return;
        }
        let now = crate::clock::rfc3339(self.tick());
        let frame = wire::account(&self.accounts[who].did, standing.word(), &now);
        self.tell_plainly(who, host, Body::Account(standing), frame, true);
    }

    /// A host that somebody has left commits to what it still has of them, with the key it still has.
    fn commit_at_old_host(&mut self) {
        let has_moved =
            |account: &super::Account| account.homes.len() > 1 && account.standing() != Standing::Deleted;
        let Some(who) = self.anybody(has_moved) else { return };
        let old: Vec<usize> = self.accounts[who]
            .homes
            .keys()
            .copied()
            .filter(|host| *host != self.accounts[who].host)
            .collect();
        let Some(host) = self.mischief.pick(&old).copied() else { return };
        let leaf = self.made_up();
        let Some(written) = self.write(who, host, &[Edit::Put(leaf)]) else { return };
        let repo = super::Repo { commit: written.body.commit.clone(), tree: written.tree.clone() };
        if let Some(home) = self.accounts[who].homes.get_mut(&host) {
            home.stand_at(repo, false);
        }
        self.tell_commit(host, written, true);
    }

    fn lie_to_jetstreams(&mut self) {
        let is_there = |account: &super::Account| account.standing() == Standing::Active;
        let Some(who) = self.anybody(is_there).filter(|_| !self.jets.is_empty()) else { return };
        let mut leaf = Some(self.made_up());
        let repo = self.accounts[who].home().and_then(|home| home.repo.clone());
        let Some(repo) = repo else { return };
        let held = repo.tree.leaves();
        let held = self.mischief.pick(&held).cloned();
        let (action, path) = match (self.mischief.below(3), held) {
            (0, Some(held)) => {
                leaf = None;
                ("delete", held.path.clone())
            }
            // What one record says, said of another; of the same kind, or it would give itself away.
            (1, Some(held)) => {
                let bytes = crate::wire::Value::map([
                    (
                        "$type",
                        crate::wire::Value::text(held.path.split_once('/').map_or("", |p| p.0).to_owned()),
                    ),
                    ("forged", crate::wire::Value::Bool(true)),
                ]);
                leaf = Some(Leaf::new(held.path.clone(), bytes.encode(), Some("made up")));
                ("update", held.path.clone())
            }
            _ => ("create", leaf.as_ref().map(|leaf| leaf.path.clone()).unwrap_or_default()),
        };
        let did = self.accounts[who].did.clone();
        let key = self.accounts[who].key.clone();
        let rev = tid(self.clock_us, 9);
        let Written { body, .. } = write(&did, Some(&repo), &key, &rev, &[], self.clock_us);
        let op = Op { action, path, cid: leaf.as_ref().map(|leaf| leaf.cid), prev: None };
        let event = Event {
            did,
            time_us: self.clock_us,
            frame: wire::commit(&body),
            body: Body::Commit { commit: body.commit, ops: vec![(op, leaf)] },
            is_lie: true,
        };
        self.make_up(Arc::new(event));
    }
}
