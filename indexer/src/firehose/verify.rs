//! From a frame to what the door takes: signature, tree, rev.

use bytes::Bytes;
use chrono::Utc;
use std::time::{Duration, Instant};

use super::repos::unproven;
use crate::Indexer;
use crate::change::{Commit, Input, Op, Problem};
use crate::identity::IdentityError;
use crate::pds::{PdsError, signing_key};
use crate::proto::commit::rev_is_in_future;
use crate::proto::frame::Frame;
use crate::proto::key::PublicKey;
use crate::proto::verify::{self, CommitProblem, ProvenCommit};
use crate::sabotage;
use crate::syntax::{AtUri, Did, Tid};

/// For so long it is tried to learn an account's key before its event is kept aside, and not again for the account's next
/// ones. A directory that is down for longer must not hold up the stream for everybody: the repo is read as a whole later.
const KEY_PATIENCE: Duration = Duration::from_secs(10);
const HOPELESS: Duration = Duration::from_secs(60);

/// A host name has at most 253 characters; a longer DID could not be indexed.
const DID_MAX_BYTES: usize = 512;

/// Verifies an event. What cannot be verified is kept aside, and its repo is read as a whole.
pub(super) async fn verify(indexer: &Indexer, seq: i64, frame: &Frame, message: &Bytes) -> Vec<Input> {
    let Some(did) = frame.did() else { return Vec::new() };
    if did.as_str().len() > DID_MAX_BYTES {
        let detail = format!("a DID of more than {DID_MAX_BYTES} bytes");
        let bytes = message.clone();
        return vec![Input::Problem(Problem {
            kind: "DidTooLong",
            seq: Some(seq),
            did: None,
            uri: None,
            detail,
            bytes,
        })];
    }
    let rev = match frame {
        Frame::Commit(event) => Some(&event.rev),
        Frame::Sync(event) => Some(&event.rev),
        Frame::Identity(_) if !sabotage::is_on("identity-ignored") => {
            indexer.identity.invalidate(did).await;
            None
        }
        _ => None,
    };
    let Some(rev) = rev else { return unproven(frame).into_iter().collect() };
    match prove(indexer, did, rev, frame).await {
        Ok(input) => vec![input],
        Err(error) => {
            let mut inputs = aside(seq, did, name(&error), error.to_string(), message);
            inputs.extend(writes_ours(indexer, frame).then(|| Input::Begun { did: did.clone() }));
            inputs
        }
    }
}

/// Whether a commit says that it writes records for which a repo is followed.
fn writes_ours(indexer: &Indexer, frame: &Frame) -> bool {
    let Frame::Commit(event) = frame else { return false };
    event.ops.iter().any(|op| {
        let collection = op.path.split('/').next().unwrap_or_default();
        indexer.door.registry.get(collection).is_some_and(|collection| collection.tracks)
    })
}

/// An event is kept aside, and its repo is to be read as a whole.
pub(super) fn aside(seq: i64, did: &Did, kind: &'static str, detail: String, message: &Bytes) -> Vec<Input> {
    let problem =
        Problem { kind, seq: Some(seq), did: Some(did.clone()), uri: None, detail, bytes: message.clone() };
    vec![Input::Problem(problem), Input::Missed { did: did.clone() }]
}

fn name(error: &PdsError) -> &'static str {
    match error {
        PdsError::Unproven(problem) => problem.name(),
        PdsError::FutureRev(_) => "FutureRev",
        PdsError::Document(_) => "NoSigningKey",
        PdsError::Identity(_)
        | PdsError::Net(_)
        | PdsError::Spool(_)
        | PdsError::Database(_)
        | PdsError::Crowded
        | PdsError::Refused(_) => "IdentityUnknown",
    }
}

async fn prove(indexer: &Indexer, did: &Did, rev: &Tid, frame: &Frame) -> Result<Input, PdsError> {
    if rev_is_in_future(rev, Utc::now()) {
        return Err(PdsError::FutureRev(rev.clone()));
    }
    let key = key(indexer, did, false).await?;
    match check(indexer, did, frame, &key) {
        // The key may have been rotated since we looked.
        Err(CommitProblem::BadSignature(_)) if !sabotage::is_on("no-key-refresh") => {
            let key = self::key(indexer, did, true).await?;
            Ok(check(indexer, did, frame, &key)?)
        }
        other => Ok(other?),
    }
}

/// The account's key; waits for a directory that does not answer, but not for ever: nothing after this event can be
/// forgotten before it.
async fn key(indexer: &Indexer, did: &Did, fresh: bool) -> Result<PublicKey, PdsError> {
    let patience = if indexer.hopeless.left(did).is_some() { Duration::ZERO } else { KEY_PATIENCE };
    let key = key_within(indexer, did, fresh, patience).await;
    if matches!(&key, Err(PdsError::Identity(IdentityError::Unreachable(_)))) {
        indexer.hopeless.begin(did, HOPELESS);
    }
    key
}

async fn key_within(
    indexer: &Indexer,
    did: &Did,
    fresh: bool,
    patience: Duration,
) -> Result<PublicKey, PdsError> {
    let started = Instant::now();
    let mut attempt = 0;
    loop {
        let document =
            if fresh { indexer.identity.refresh(did).await } else { indexer.identity.document(did).await };
        match document {
            Ok(document) => return signing_key(&document),
            Err(error @ IdentityError::Unreachable(_)) if started.elapsed() < patience => {
                tracing::warn!(%did, %error, "cannot look up a signing key; trying again");
                attempt += 1;
                tokio::time::sleep(Duration::from_millis(250 << attempt.min(4))).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn check(indexer: &Indexer, did: &Did, frame: &Frame, key: &PublicKey) -> Result<Input, CommitProblem> {
    let registry = &indexer.door.registry;
    match frame {
        Frame::Commit(event) => {
            let proven = verify::verify_commit(event, key, |collection| registry.get(collection).is_some())?;
            Ok(Input::Commit(commit(proven)))
        }
        Frame::Sync(event) => {
            let head = verify::verify_sync(event, key)?;
            Ok(Input::Sync { did: head.did, rev: head.rev, data: head.data })
        }
        _ => Ok(Input::Identity { did: did.clone() }),
    }
}

fn commit(proven: ProvenCommit) -> Commit {
    let ProvenCommit { did, rev, since, prev_data, data, ops } = proven;
    let ops = ops
        .into_iter()
        .map(|op| {
            let uri = AtUri::new(&did, &op.collection, &op.rkey);
            let op = match op.op {
                verify::Op::Put { cid, bytes } => Op::Put { cid, value: Bytes::from(bytes) },
                verify::Op::Delete => Op::Delete,
            };
            (uri, op)
        })
        .collect();
    Commit { did, rev, since, prev_data, data, ops }
}
