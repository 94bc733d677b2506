//! What people do to their records.

use std::sync::Arc;

use super::{Body, Event, Repo, World};
use crate::clock::rfc3339;
use crate::records::{self, KINDS, Made, Making, POST, Subject, TRACK};
use crate::truth::Standing;
use crate::wire::{self, Cid, Commit, CommitBody, Leaf, Op, Signer, Tree, tid};

/// Tracks that are spoken of.
const TRACKS: usize = 4000;
/// Posts that are spoken of: few, so that they are liked by many.
const POSTS: usize = 24;
/// Records that an account has before it deletes more than it writes.
const RECORDS: usize = 400;

/// A change to make to a repo.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    Put(Arc<Leaf>),
    Delete(String),
}

/// A commit that could be told, and the state that it makes.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) body: CommitBody,
    pub(super) tree: Tree,
    pub(super) leaves: Vec<Option<Arc<Leaf>>>,
}

impl World {
    /// Somebody writes something.
    pub(super) fn write_something(&mut self) {
        let Some(who) = self.somebody(|account| account.standing() == Standing::Active) else { return };
        let edits = match self.story.weighed(&[62.0, 12.0, 14.0, 6.0, 2.0, 2.0, 1.0]) {
            0 => self.create(who),
            1 => self.update(who),
            2 => self.delete(who),
            3 => self.several(who),
            4 => self.replace(who),
            5 => self.scrobble(),
            _ => Vec::new(),
        };
        self.commit(who, edits);
    }

    /// Somebody who may, the earlier ones more often than the later; none after looking for a while.
    pub(super) fn somebody(&mut self, may: impl Fn(&super::Account) -> bool) -> Option<usize> {
        for _ in 0..40 {
            let end = 1 + self.story.below(self.accounts.len());
            let who = self.story.below(end);
            if self.accounts.get(who).is_some_and(&may) {
                return Some(who);
            }
        }
        None
    }

    fn making(&mut self) -> Making<'_> {
        Making {
            dice: &mut self.story,
            now_us: self.clock_us,
            tracks: &self.tracks,
            posts: &self.posts,
            people: &self.people,
            public_url: &self.options.public_url,
        }
    }

    pub(super) fn create(&mut self, who: usize) -> Vec<Edit> {
        self.tick();
        let kind = records::any_kind(&mut self.story);
        let made = kind.make(&mut self.making());
        self.put(who, made)
    }

    /// The record, which breaks its lexicon at times.
    fn put(&mut self, who: usize, made: Made) -> Vec<Edit> {
        let breaks = self.story.chance(0.04);
        let made = if breaks { records::break_it(&mut self.story, made) } else { made };
        let is_track = made.path.starts_with(TRACK) && made.breaks.is_none();
        let leaf = Leaf::new(made.path, made.value.encode(), made.breaks);
        if is_track {
            let uri = format!("at://{}/{}", self.accounts[who].did, leaf.path);
            let subject = Subject { uri, cid: leaf.cid };
            if self.tracks.len() < TRACKS {
                self.tracks.push(subject);
            } else {
                let at = self.story.below(TRACKS);
                self.tracks[at] = subject;
            }
        }
        if leaf.path.starts_with(POST) {
            let uri = format!("at://{}/{}", self.accounts[who].did, leaf.path);
            let post = Subject { uri, cid: leaf.cid };
            match self.posts.iter().position(|known| known.uri == post.uri) {
                Some(at) => self.posts[at] = post,
                None if self.posts.len() < POSTS => self.posts.push(post),
                None => {
                    let at = self.story.below(POSTS);
                    self.posts[at] = post;
                }
            }
        }
        vec![Edit::Put(leaf)]
    }

    fn tree(&self, who: usize) -> Tree {
        let repo = self.accounts[who].home().and_then(|home| home.repo.as_ref());
        repo.map(|repo| repo.tree.clone()).unwrap_or_default()
    }

    fn some_leaf(&mut self, who: usize) -> Option<Arc<Leaf>> {
        let leaves = self.tree(who).leaves();
        self.story.pick(&leaves).cloned()
    }

    fn update(&mut self, who: usize) -> Vec<Edit> {
        self.tick();
        let Some(leaf) = self.some_leaf(who) else { return self.create(who) };
        let collection = leaf.path.split_once('/').map_or("", |(collection, _)| collection);
        let Some(kind) = records::kind_of(collection) else { return self.create(who) };
        let made = kind.make_at(&mut self.making(), leaf.path.clone());
        self.put(who, made)
    }

    fn delete(&mut self, who: usize) -> Vec<Edit> {
        match self.some_leaf(who) {
            Some(leaf) => vec![Edit::Delete(leaf.path.clone())],
            None => self.create(who),
        }
    }

    fn several(&mut self, who: usize) -> Vec<Edit> {
        let mut edits: Vec<Edit> = Vec::new();
        for _ in 0..self.story.between(2, 9) {
            let more = match self.story.weighed(&[6.0, 2.0, 3.0]) {
                0 => self.create(who),
                1 => self.update(who),
                _ => self.delete(who),
            };
            // Each path once: what happens to a path twice in one commit is another story.
            edits.extend(
                more.into_iter()
                    .filter(|edit| {
                        let path = |edit: &Edit| match edit {
                            Edit::Put(leaf) => leaf.path.clone(),
                            Edit::Delete(path) => path.clone(),
                        };
                        !edits.iter().any(|held| path(held) == path(edit))
                    })
                    .collect::<Vec<_>>(),
            );
        }
        edits
    }

    /// Deletes a record and creates it anew, in one commit.
    fn replace(&mut self, who: usize) -> Vec<Edit> {
        let Some(Edit::Put(leaf)) = self.update(who).pop() else { return Vec::new() };
        match self.tree(who).get(&leaf.path) {
            Some(_) => vec![Edit::Delete(leaf.path.clone()), Edit::Put(leaf)],
            None => vec![Edit::Put(leaf)],
        }
    }

    /// One play in both namespaces.
    fn scrobble(&mut self) -> Vec<Edit> {
        self.tick();
        let stable = KINDS[5].make(&mut self.making());
        let path = stable.path.replace("fm.teal.feed.play", "fm.teal.alpha.feed.play");
        let twin = Made { path, value: records::twin(&stable.value), breaks: None };
        [stable, twin].map(|made| Edit::Put(Leaf::new(made.path, made.value.encode(), None))).into()
    }

    /// Commits, and tells of it. Who has much to keep forgets something with it.
    pub(super) fn commit(&mut self, who: usize, mut edits: Vec<Edit>) {
        let tree = self.tree(who);
        let grows = edits.iter().any(|edit| matches!(edit, Edit::Put(_)));
        if grows && self.accounts[who].homes.len() == 1 && self.story.chance(0.2) && tree.len() > RECORDS {
            edits.extend(tree.leaves().first().map(|leaf| Edit::Delete(leaf.path.clone())));
        }
        let host = self.accounts[who].host;
        let Some(written) = self.write(who, host, &edits) else { return };
        self.keep_and_tell(who, host, written);
    }

    /// The next commit of a repo at a host, not yet kept.
    pub(super) fn write(&mut self, who: usize, host: usize, edits: &[Edit]) -> Option<Written> {
        self.tick();
        let now_us = self.clock_us;
        let account = &self.accounts[who];
        let home = account.homes.get(&host)?;
        let before = home.repo.clone();
        Some(write(&account.did, before.as_ref(), &home.key, &tid(now_us, host as u16), edits, now_us))
    }

    /// Makes a commit the head of its repo, and tells of it.
    pub(super) fn keep_and_tell(&mut self, who: usize, host: usize, written: Written) {
        let backs_up = self.story.chance(0.34);
        let repo = Repo { commit: written.body.commit.clone(), tree: written.tree.clone() };
        if let Some(home) = self.accounts[who].homes.get_mut(&host) {
            home.stand_at(repo, backs_up);
        }
        self.tell_commit(host, written, false);
    }

    /// Tells of a commit, true or not.
    pub(super) fn tell_commit(&mut self, host: usize, written: Written, is_lie: bool) {
        let Written { body, leaves, .. } = written;
        let event = Event {
            did: body.did.clone(),
            time_us: self.clock_us,
            frame: wire::commit(&body),
            body: Body::Commit {
                commit: body.commit.clone(),
                ops: body.ops.iter().cloned().zip(leaves).collect(),
            },
            is_lie,
        };
        self.tell(host, Arc::new(event), Some(&body));
    }
}

/// The commit that makes these edits.
pub(super) fn write(
    did: &str,
    before: Option<&Repo>,
    key: &Signer,
    rev: &str,
    edits: &[Edit],
    now_us: i64,
) -> Written {
    let old = before.map(|repo| repo.tree.clone()).unwrap_or_default();
    let (mut tree, mut ops, mut leaves) = (old.clone(), Vec::new(), Vec::new());
    for edit in edits {
        let (path, leaf) = match edit {
            Edit::Put(leaf) => (&leaf.path, Some(leaf.clone())),
            Edit::Delete(path) => (path, None),
        };
        let action = match (&leaf, tree.get(path)) {
            (None, _) => "delete",
            (Some(_), None) => "create",
            (Some(_), Some(_)) => "update",
        };
        tree = match &leaf {
            Some(leaf) => tree.put(leaf.clone()),
            None => tree.remove(path),
        };
        // What was there before the commit, though an op before this one may have deleted it.
        let prev = old.get(path).map(|leaf| leaf.cid);
        ops.push(Op { action, path: path.clone(), cid: leaf.as_ref().map(|leaf| leaf.cid), prev });
        leaves.push(leaf);
    }
    let commit = Commit::new(did, rev, &tree.root(), key);
    let body = CommitBody {
        did: did.to_owned(),
        since: before.map(|repo| repo.commit.rev.clone()),
        prev_data: before.map(|_| old.root()),
        blocks: blocks(&commit, &tree, &ops, &leaves),
        commit,
        cut_bytes: 0,
        ops,
        time: rfc3339(now_us),
    };
    Written { body, tree, leaves }
}

/// The commit, what proves its changes and what undoes them, and the new records.
fn blocks(
    commit: &Commit,
    tree: &Tree,
    ops: &[Op],
    leaves: &[Option<Arc<Leaf>>],
) -> Vec<(Cid, bytes::Bytes)> {
    let mut blocks = vec![(commit.cid, commit.block.clone())];
    blocks.extend(tree.nodes_towards(ops.iter().map(|op| op.path.as_str())));
    for leaf in leaves.iter().flatten() {
        if !blocks.iter().any(|(cid, _)| *cid == leaf.cid) {
            blocks.push((leaf.cid, leaf.bytes.clone()));
        }
    }
    blocks
}
