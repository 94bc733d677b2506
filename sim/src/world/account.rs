//! Accounts and where they live.

use std::collections::{BTreeMap, VecDeque};

use super::{Addresses, World};
use crate::truth::{self, Standing};
use crate::wire::{self, Commit, KeyForm, Signer, Tree, to_json};

/// Backups that a host has of a repo.
const PAST: usize = 6;

/// Somebody.
#[derive(Debug)]
pub struct Account {
    /// Its DID.
    pub did: String,
    /// The handle that its document claims.
    pub handle: String,
    /// The key in its document.
    pub key: Signer,
    /// How the document holds the key.
    pub form: KeyForm,
    /// Its PDS.
    pub host: usize,
    /// Where it lives and where it lived.
    pub homes: BTreeMap<usize, Home>,
    /// Keys made for it so far.
    pub(super) keys: u32,
}

/// What one host has of an account.
#[derive(Debug)]
pub struct Home {
    /// What the host says of it.
    pub standing: Standing,
    /// Its repo; none once it is deleted.
    pub repo: Option<Repo>,
    /// The key that this host signs with.
    pub(super) key: Signer,
    /// Backups.
    pub(super) past: VecDeque<Repo>,
}

/// A repo as it stands after a commit. A clone costs next to nothing.
#[derive(Debug, Clone)]
pub struct Repo {
    /// Its newest commit.
    pub commit: Commit,
    /// Its records.
    pub tree: Tree,
}

impl Account {
    /// What its PDS has of it.
    pub fn home(&self) -> Option<&Home> {
        self.homes.get(&self.host)
    }

    /// What its PDS says of it.
    pub fn standing(&self) -> Standing {
        self.home().map_or(Standing::Deleted, |home| home.standing)
    }

    /// Its DID document.
    pub fn document(&self, addresses: &Addresses) -> serde_json::Value {
        let pds = addresses.hosts.get(self.host).map_or("", String::as_str);
        wire::document(&self.did, &self.handle, pds, &self.key, self.form)
    }
}

impl Home {
    pub(super) fn new(key: Signer) -> Self {
        Home { standing: Standing::Active, repo: None, key, past: VecDeque::new() }
    }

    /// Takes a commit; now and then the state before it is backed up.
    pub(super) fn stand_at(&mut self, repo: Repo, backs_up: bool) {
        let before = self.repo.replace(repo);
        if let Some(before) = before.filter(|_| backs_up) {
            if self.past.len() == PAST {
                self.past.pop_front();
            }
            self.past.push_back(before);
        }
    }
}

impl World {
    /// Whose records of a collection name something at a path: (DID, record key).
    pub fn linking(&self, subject: &str, collection: &str, path: &str) -> Vec<(String, String)> {
        let pointer = format!("/{}", path.replace('.', "/"));
        let prefix = format!("{collection}/");
        let mut linking = Vec::new();
        for account in &self.accounts {
            let tree = account.home().and_then(|home| home.repo.as_ref()).map(|repo| &repo.tree);
            for leaf in tree.map(Tree::leaves).unwrap_or_default() {
                let Some(rkey) = leaf.path.strip_prefix(&prefix) else { continue };
                if to_json(&leaf.bytes).pointer(&pointer).is_some_and(|named| named == subject) {
                    linking.push((account.did.clone(), rkey.to_owned()));
                }
            }
        }
        linking
    }

    /// The document of a DID.
    pub fn document(&self, did: &str) -> Option<serde_json::Value> {
        Some(self.account(did)?.document(&self.addresses))
    }

    pub(super) fn truth_of(&self, account: &Account) -> truth::Account {
        let resolves = self.handles.get(&account.handle).map(|who| self.accounts[*who].did.as_str());
        let repo = account.home().and_then(|home| home.repo.as_ref()).map(|repo| truth::Repo {
            rev: repo.commit.rev.clone(),
            root: repo.tree.root().to_string(),
            records: repo
                .tree
                .leaves()
                .iter()
                .map(|leaf| {
                    let record = truth::Record {
                        cid: leaf.cid.to_string(),
                        bytes: leaf.bytes.to_vec(),
                        json: to_json(&leaf.bytes),
                    };
                    (leaf.path.clone(), record)
                })
                .collect(),
        });
        truth::Account {
            did: account.did.clone(),
            handle: (resolves == Some(&account.did)).then(|| account.handle.clone()),
            pds: self.addresses.hosts.get(account.host).cloned().unwrap_or_default(),
            standing: account.standing(),
            repo,
        }
    }
}
