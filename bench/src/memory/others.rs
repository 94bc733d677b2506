//! What passes by and is nobody's concern here: signed commits of likes and posts elsewhere, and now and then somebody's
//! new handle or standing.

use sim::dice::Dice;
use sim::records::{Making, kind_of};
use sim::wire::{self, Commit, CommitBody, Frame, Leaf, Op, Signer, Tree, base32, tid};

use bytes::Bytes;
use memchr::memmem;

/// Commits made beforehand, by so many people, of so many records each.
const PEOPLE: usize = 40;
const RECORDS: usize = 100;
/// One event of so many is no commit.
const STANDINGS: u64 = 100;
const TIME: &str = "2026-01-02T03:04:05.678Z";
const START_US: i64 = 1_760_000_000_000_000;

/// Frames without end, each of another person: whoever remembers strangers grows.
pub struct Others {
    commits: Vec<Recorded>,
    told: u64,
}

struct Recorded {
    frame: Frame,
    /// Where its DID begins, from the end.
    did_at: usize,
}

impl Others {
    /// Records them.
    pub fn new() -> Self {
        let commits = (0..PEOPLE).flat_map(person).collect();
        Others { commits, told: 0 }
    }

    /// The next one.
    pub fn next(&mut self, seq: i64) -> Bytes {
        let did = did(self.told);
        self.told += 1;
        match self.told % STANDINGS {
            0 if self.told.is_multiple_of(2 * STANDINGS) => wire::account(&did, None, TIME).at(seq),
            0 => wire::identity(&did, Some("somebody.example"), TIME).at(seq),
            _ => {
                let recorded = &self.commits[self.told as usize % self.commits.len()];
                let mut frame = Vec::from(recorded.frame.at(seq));
                // Nobody looks at a stranger's signature, so its commit may bear another name.
                let at = frame.len() - recorded.did_at;
                frame[at..at + did.len()].copy_from_slice(did.as_bytes());
                frame.into()
            }
        }
    }
}

fn did(number: u64) -> String {
    let mut bytes = [0; 15];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[8..15].copy_from_slice(&number.to_be_bytes()[1..]);
    format!("did:plc:{}", base32(&bytes))
}

/// One repo, grown record by record.
fn person(number: usize) -> Vec<Recorded> {
    let signer = Signer::k256(&[number as u8 + 1; 32]);
    let did = did(u64::MAX - number as u64);
    let (mut tree, mut since) = (Tree::default(), None);
    let mut dice = Dice::new(number as u64, "others");
    let kinds = ["app.bsky.feed.like", "app.bsky.feed.like", "app.bsky.feed.post"].map(kind_of);
    let mut recorded = Vec::new();
    for turn in 0..RECORDS {
        let Some(kind) = kinds[turn % kinds.len()] else { continue };
        let now_us = START_US + turn as i64 * 1_000;
        let mut making = Making {
            dice: &mut dice,
            now_us,
            tracks: &[],
            posts: &[],
            people: std::slice::from_ref(&did),
            public_url: "https://plyr.example",
        };
        let leaf = loop {
            let made = kind.make(&mut making);
            let leaf = Leaf::new(made.path, made.value.encode(), None);
            let names_ours = |text: &[u8]| memchr::memmem::find(&leaf.bytes, text).is_some();
            if !names_ours(b"/fm.plyr.") && !names_ours(b"/plyr.example") {
                break leaf;
            }
        };
        let prev_data = tree.root();
        tree = tree.put(leaf.clone());
        let commit = Commit::new(&did, &tid(now_us, 1), &tree.root(), &signer);
        let mut blocks = vec![(leaf.cid, leaf.bytes.clone())];
        blocks.extend(tree.nodes_towards([leaf.path.as_str()]));
        blocks.push((commit.cid, commit.block.clone()));
        let rev = commit.rev.clone();
        let frame = wire::commit(&CommitBody {
            did: did.clone(),
            prev_data: since.is_some().then_some(prev_data),
            since: since.replace(rev),
            commit,
            blocks,
            cut_bytes: 0,
            ops: vec![Op { action: "create", path: leaf.path.clone(), cid: Some(leaf.cid), prev: None }],
            time: TIME.to_owned(),
        });
        let bytes = frame.at(0);
        if let Some(at) = memmem::find(&bytes, did.as_bytes()) {
            recorded.push(Recorded { frame, did_at: bytes.len() - at });
        }
    }
    recorded
}
