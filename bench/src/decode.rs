//! Verified decode: from the bytes of a frame to proven operations, against the hashes and the signature check alone.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use indexer::proto::car::{Blocks, CarLimits, binary};
use indexer::proto::commit::SignedCommit;
use indexer::proto::frame::{CommitFrame, Frame};
use indexer::proto::key::PublicKey;
use indexer::proto::mst::Node;
use indexer::proto::verify::{Op, verify_commit};
use sha2::{Digest, Sha256};
use sim::recording::{Plan, Recorded, Recorder};

use crate::report::{Line, Report, processor_time};

/// Accounts, and records that each has before anything is measured: repos of all the sizes there are.
const REPOS: [(usize, usize); 4] = [(150, 60), (60, 300), (12, 1_500), (3, 5_000)];
/// Commits measured of each of these groups.
const COMMITS: usize = 4_000;
/// Each measurement is repeated, turn by turn with the other, and the least disturbed counts.
const ROUNDS: usize = 7;

/// Measures.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    if !report.wants("decode") {
        return Ok(());
    }
    let (frames, keys) = recorded()?;
    let bare = frames.iter().map(|frame| Bare::of(frame, &keys)).collect::<anyhow::Result<Vec<_>>>()?;
    let (mut decode_us, mut bare_us) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        decode_us = decode_us.min(timed_us(frames.len(), || decode(&frames, &keys))?);
        bare_us = bare_us.min(timed_us(frames.len(), || check(&bare))?);
    }
    let core = decode_us * 1_000.0 / 1_000_000.0;
    let ratio = decode_us / bare_us;
    report.add(Line {
        what: "Verified decode: CAR, CIDs, inversion, signature".into(),
        measured: format!("{core:.3} core per 1,000 commits/s"),
        against: format!("{ratio:.2} × the {bare_us:.1} µs of its hashes and signature check"),
        goal: "≤ 0.06 core, ≤ 1.6 ×".into(),
        is_met: core <= 0.06 && ratio <= 1.6,
    });
    Ok(())
}

/// Microseconds of a core that the hashes and signature check of one of these commits take, by a sample of them.
pub(crate) fn bare_us(recorder: &Recorder, frames: &[Bytes]) -> anyhow::Result<f64> {
    let keys = keys_of(recorder)?;
    // Of a deletion not every node that it changed is known from the frame alone.
    let bare: Vec<Bare> =
        frames.iter().take(COMMITS).filter_map(|frame| Bare::of(frame, &keys).ok()).collect();
    anyhow::ensure!(bare.len() > COMMITS / 2, "{} commits of {COMMITS} to check", bare.len());
    let mut least_us = f64::MAX;
    for _ in 0..ROUNDS {
        least_us = least_us.min(timed_us(bare.len(), || check(&bare))?);
    }
    Ok(least_us)
}

type Keys = HashMap<String, PublicKey>;

fn keys_of(recorder: &Recorder) -> anyhow::Result<Keys> {
    let key = |account: &Recorded| Ok((account.did.clone(), PublicKey::from_multikey(&account.multikey)?));
    recorder.accounts().iter().map(key).collect()
}

/// Frames of likes, plays, comments and tracks, one record each, as a stream brings them; and the accounts' keys.
fn recorded() -> anyhow::Result<(Vec<Bytes>, Keys)> {
    let (mut frames, mut keys) = (Vec::new(), Keys::new());
    for (seed, (accounts, records)) in REPOS.into_iter().enumerate() {
        let plan = Plan { seed: seed as u64, accounts, p256_percent: 5, ..Plan::default() };
        let mut recorder = Recorder::new(plan);
        keys.extend(keys_of(&recorder)?);
        recorder.frames(accounts * records);
        frames.extend(recorder.frames(COMMITS));
    }
    Ok((frames, keys))
}

fn decode(frames: &[Bytes], keys: &Keys) -> anyhow::Result<()> {
    for frame in frames {
        let event = commit(frame)?;
        let key = keys.get(event.repo.as_str()).context("a key")?;
        let proven = verify_commit(&event, key, |collection| collection.starts_with("fm."))?;
        if !matches!(proven.ops[..], [ref op] if !matches!(op.op, Op::Put { ref bytes, .. } if bytes.is_empty()))
        {
            bail!("another commit than was recorded");
        }
    }
    Ok(())
}

fn commit(frame: &Bytes) -> anyhow::Result<Box<CommitFrame>> {
    match Frame::decode(frame)? {
        Frame::Commit(event) => Ok(event),
        other => bail!("not a commit: {other:?}"),
    }
}

/// What no verifier of a commit can do without.
struct Bare {
    /// Its blocks, and again the nodes from the root to the record: undoing the operation makes others of their size.
    hashed: Vec<Vec<u8>>,
    unsigned: Vec<u8>,
    signature: Vec<u8>,
    key: BareKey,
}

enum BareKey {
    K256(secp256k1::PublicKey),
    P256(Vec<u8>),
}

impl Bare {
    fn of(frame: &Bytes, keys: &Keys) -> anyhow::Result<Self> {
        let event = commit(frame)?;
        let blocks = Blocks::read(&event.blocks, &CarLimits::COMMIT)?;
        let mut hashed: Vec<Vec<u8>> = (0..blocks.len()).map(|at| blocks.block(at).to_vec()).collect();
        let block = blocks.get(&event.commit).context("a commit")?;
        let commit = SignedCommit::decode(block)?;
        let path = event.ops.first().context("an operation")?.path.as_bytes();
        let mut at = Some(commit.data);
        while let Some(cid) = at {
            let block = blocks.get(&cid).with_context(|| format!("node {:?}", binary(&cid)))?;
            hashed.push(block.to_vec());
            at = below(&Node::decode(block)?, path);
        }
        let key = match keys.get(event.repo.as_str()).context("a key")? {
            PublicKey::K256(key) => BareKey::K256(*key),
            PublicKey::P256(point) => BareKey::P256(point.as_ref().to_vec()),
        };
        let (unsigned, signature) = (commit.unsigned_bytes().to_vec(), commit.signature().to_vec());
        Ok(Bare { hashed, unsigned, signature, key })
    }
}

/// The subtree that a path not in the node lies in.
fn below(node: &Node<'_>, path: &[u8]) -> Option<cid::Cid> {
    let (mut below, mut key) = (node.left, Vec::new());
    for entry in &node.entries {
        entry.rebuild_key(&mut key);
        match key.as_slice().cmp(path) {
            std::cmp::Ordering::Less => below = entry.right,
            std::cmp::Ordering::Equal => return None,
            std::cmp::Ordering::Greater => break,
        }
    }
    below
}

fn check(bare: &[Bare]) -> anyhow::Result<()> {
    let secp256k1 = secp256k1::Secp256k1::verification_only();
    let mut mixed = 0;
    for bare in bare {
        for block in &bare.hashed {
            mixed ^= Sha256::digest(block)[0];
        }
        match &bare.key {
            BareKey::K256(key) => {
                let digest = secp256k1::Message::from_digest(Sha256::digest(&bare.unsigned).into());
                let signature = secp256k1::ecdsa::Signature::from_compact(&bare.signature)?;
                secp256k1.verify_ecdsa(digest, &signature, key)?;
            }
            BareKey::P256(point) => {
                let key =
                    ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point);
                key.verify(&bare.unsigned, &bare.signature)
                    .map_err(|_| anyhow::anyhow!("a bad signature"))?;
            }
        }
    }
    std::hint::black_box(mixed);
    Ok(())
}

/// Microseconds of processor time for each of so many.
fn timed_us(count: usize, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let before = processor_time();
    work()?;
    let taken: Duration = processor_time() - before;
    Ok(taken.as_secs_f64() * 1_000_000.0 / count as f64)
}
