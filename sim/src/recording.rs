//! Frames recorded beforehand: signed commits of one record each, over many accounts, for measuring.

use std::thread;

use bytes::Bytes;

use crate::clock::{START_US, rfc3339};
use crate::dice::{Dice, digest, hash};
use crate::records::{KINDS, Kind, Making, Subject};
use crate::wire::{self, Cid, Commit, CommitBody, Frame, KeyForm, Leaf, Op, Signer, Tree, base32, tid};

/// What to record.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Accounts that write.
    pub accounts: usize,
    /// How many of a hundred have a P-256 key. Nearly all of the network's are K-256.
    pub p256_percent: usize,
    /// How many commits of a hundred delete a record.
    pub delete_percent: usize,
    /// Where the accounts' documents say their repos are.
    pub pds: String,
    /// Threads to work on; the outcome is the same whatever their number.
    pub threads: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            seed: 1,
            accounts: 1000,
            p256_percent: 0,
            delete_percent: 3,
            pds: "https://pds.example".into(),
            threads: thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// An account of a recording.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Its DID.
    pub did: String,
    /// Its public key as a multikey.
    pub multikey: String,
    /// Its DID document.
    pub document: serde_json::Value,
}

/// Makes frames without end. Account after account writes its first track, then whoever's turn it is writes what people
/// write: likes, comments and plays of those tracks, above all.
#[derive(Debug)]
pub struct Recorder {
    plan: Plan,
    accounts: Vec<Recorded>,
    tracks: Vec<Subject>,
    /// Accounts by thread: the nth is at place n / threads of shard n % threads.
    shards: Vec<Vec<Writer>>,
    done: usize,
}

#[derive(Debug)]
struct Writer {
    did: String,
    signer: Signer,
    tree: Tree,
    rev: Option<String>,
    paths: Vec<String>,
}

/// Between two commits.
const STEP_US: i64 = 200;

impl Recorder {
    /// Makes the accounts.
    pub fn new(plan: Plan) -> Self {
        let threads = plan.threads.max(1);
        let mut recorder =
            Recorder { accounts: Vec::new(), tracks: Vec::new(), shards: Vec::new(), done: 0, plan };
        recorder.shards.resize_with(threads, Vec::new);
        for number in 0..recorder.plan.accounts.max(1) {
            let secret = digest(&[b"recorded", &recorder.plan.seed.to_le_bytes(), &number.to_le_bytes()]);
            let signer = match number * 37 % 100 < recorder.plan.p256_percent {
                true => Signer::p256(&secret),
                false => Signer::k256(&secret),
            };
            let did = format!("did:plc:{}", base32(&secret[..15]));
            let handle = format!("recorded{number}.test");
            recorder.accounts.push(Recorded {
                document: wire::document(&did, &handle, &recorder.plan.pds, &signer, KeyForm::Multikey),
                multikey: signer.multikey(),
                did: did.clone(),
            });
            let track = first_track(&recorder.plan, number);
            recorder.tracks.push(Subject { uri: format!("at://{did}/{}", track.path), cid: track.cid });
            let (tree, paths) = (Tree::default(), Vec::new());
            recorder.shards[number % threads].push(Writer { did, signer, tree, rev: None, paths });
        }
        recorder
    }

    /// The accounts.
    pub fn accounts(&self) -> &[Recorded] {
        &self.accounts
    }

    /// The next frames, in the order of their sequence numbers.
    pub fn frames(&mut self, count: usize) -> Vec<Bytes> {
        let first = self.done as i64 + 1;
        self.commits(count).iter().zip(first..).map(|(frame, seq)| frame.at(seq)).collect()
    }

    /// The same without numbers, for a stream that gives them its own.
    pub fn commits(&mut self, count: usize) -> Vec<Frame> {
        let (from, upto) = (self.done, self.done + count);
        self.done = upto;
        let (plan, tracks, threads) = (&self.plan, &self.tracks, self.shards.len());
        let made: Vec<Vec<(usize, Frame)>> = thread::scope(|scope| {
            let work = self.shards.iter_mut().enumerate().map(|(shard, writers)| {
                scope.spawn(move || {
                    let own = (from..upto).map(|turn| (turn, whose(plan, turn)));
                    own.filter(|(_, account)| account % threads == shard)
                        .map(|(turn, account)| {
                            (turn, writers[account / threads].write(plan, tracks, account, turn))
                        })
                        .collect()
                })
            });
            let work: Vec<_> = work.collect();
            work.into_iter().map(|thread| thread.join().expect("a thread that does not panic")).collect()
        });
        let mut made: Vec<(usize, Frame)> = made.into_iter().flatten().collect();
        made.sort_unstable_by_key(|(turn, _)| *turn);
        made.into_iter().map(|(_, frame)| frame).collect()
    }
}

/// Whose turn it is: everybody once, then anybody.
fn whose(plan: &Plan, turn: usize) -> usize {
    let accounts = plan.accounts.max(1);
    match turn < accounts {
        true => turn,
        false => (hash(&[&plan.seed.to_le_bytes(), &turn.to_le_bytes()]) % accounts as u64) as usize,
    }
}

fn first_track(plan: &Plan, account: usize) -> std::sync::Arc<Leaf> {
    let mut dice = Dice::new(plan.seed ^ account as u64, "first track");
    let now_us = START_US + account as i64 * STEP_US;
    leaf(&KINDS[0], &mut dice, now_us, &[])
}

fn leaf(kind: &Kind, dice: &mut Dice, now_us: i64, tracks: &[Subject]) -> std::sync::Arc<Leaf> {
    let public_url = "https://plyr.example";
    let made = kind.make(&mut Making { dice, now_us, tracks, posts: &[], people: &[], public_url });
    Leaf::new(made.path, made.value.encode(), None)
}

impl Writer {
    fn write(&mut self, plan: &Plan, tracks: &[Subject], account: usize, turn: usize) -> Frame {
        let now_us = START_US + turn as i64 * STEP_US;
        let mut dice = Dice::new(plan.seed ^ turn as u64, "turn");
        let (prev_data, before) = (self.tree.root(), self.tree.clone());
        let (mut blocks, op);
        if self.rev.is_some() && self.paths.len() > 1 && dice.below(100) < plan.delete_percent {
            let path = self.paths.swap_remove(dice.between(1, self.paths.len()));
            self.tree = before.remove(&path);
            (blocks, op) = (Vec::new(), self.op("delete", path, None, &before));
        } else {
            let leaf = match self.rev {
                None => first_track(plan, account),
                // Likes, comments and plays; the profiles and statuses of one name would only ever be updates.
                Some(_) => {
                    leaf(&KINDS[[1, 1, 1, 1, 1, 2, 5, 5, 6, 0][dice.below(10)]], &mut dice, now_us, tracks)
                }
            };
            self.tree = before.put(leaf.clone());
            self.paths.push(leaf.path.clone());
            blocks = vec![(leaf.cid, leaf.bytes.clone())];
            op = self.op("create", leaf.path.clone(), Some(leaf.cid), &before);
        }
        blocks.extend(self.tree.nodes_towards([op.path.as_str()]));
        let commit = Commit::new(&self.did, &tid(now_us, 1), &self.tree.root(), &self.signer);
        blocks.push((commit.cid, commit.block.clone()));
        let since = self.rev.replace(commit.rev.clone());
        wire::commit(&CommitBody {
            did: self.did.clone(),
            prev_data: since.is_some().then_some(prev_data),
            since,
            commit,
            blocks,
            cut_bytes: 0,
            ops: vec![op],
            time: rfc3339(now_us),
        })
    }

    fn op(&self, action: &'static str, path: String, cid: Option<Cid>, before: &Tree) -> Op {
        let prev = before.get(&path).map(|leaf| leaf.cid);
        Op { action, path, cid, prev }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let record = |threads, parts: &[usize]| {
            let plan = Plan { accounts: 7, p256_percent: 30, delete_percent: 20, threads, ..Plan::default() };
            let mut recorder = Recorder::new(plan);
            parts.iter().flat_map(|count| recorder.frames(*count)).collect::<Vec<Bytes>>()
        };
        let frames = record(1, &[200]);
        assert_eq!(frames, record(3, &[50, 150]));
        assert!(frames.iter().all(|frame| frame.len() > 300 && frame.len() < 20_000));
    }
}
