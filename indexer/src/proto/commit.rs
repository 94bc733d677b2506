//! Commits: the signed statement of what a repo holds at a revision.
//!
//! <https://atproto.com/specs/repository#commit-objects>

use chrono::{DateTime, TimeDelta, Utc};
use cid::Cid;
use serde::{Deserialize, Deserializer, Serialize};

use super::car;
use super::cbor::{self, CborError};
use super::key::{BadSignature, PublicKey};
use crate::sabotage;
use crate::syntax::{Did, Tid};

/// How far a rev may be ahead of our clock.
pub const REV_LEAD_MAX: TimeDelta = TimeDelta::minutes(5);

/// Whether `rev` lies further ahead of `now` than clocks disagree. Such a rev would outrank every honest one after it.
pub fn rev_is_in_future(rev: &Tid, now: DateTime<Utc>) -> bool {
    !sabotage::is_on("ignore-future-rev")
        && rev.timestamp_us() > now.timestamp_micros().saturating_add(REV_LEAD_MAX.num_seconds() * 1_000_000)
}

/// A commit as its block states it. Nothing is proven until [`SignedCommit::verify`] says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCommit {
    /// Whose repo it is.
    pub did: Did,
    /// The revision: greater than that of every commit before it.
    pub rev: Tid,
    /// The root of the tree of records.
    pub data: Cid,
    /// The commit before it; null in practice.
    pub prev: Option<Cid>,
    signature: Vec<u8>,
    unsigned: Vec<u8>,
}

/// Why a block is not a commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Not the DAG-CBOR of a commit: fields missing, unknown or of another type.
    #[error("a commit that is {0}")]
    Cbor(#[from] CborError),
    /// Another version of the repository format than 3.
    #[error("a commit of version {0}")]
    Version(i64),
    /// A field that is not what it is named.
    #[error("a commit with a bad {0}")]
    BadField(&'static str),
    /// The fields do not encode to the same bytes again, so the signature would be over others.
    #[error("a commit in another than its one encoding")]
    NotCanonical,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCommit<'a> {
    did: &'a str,
    rev: &'a str,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    sig: Option<&'a serde_bytes::Bytes>,
    data: Cid,
    #[serde(deserialize_with = "nullable")]
    prev: Option<Cid>,
    version: i64,
}

/// Named, so that serde takes the field to be required: null must be written, not left out.
fn nullable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cid>, D::Error> {
    Option::deserialize(deserializer)
}

impl SignedCommit {
    /// Decodes a commit block. Its one encoding is insisted on, since the signature is over the encoding without `sig`.
    pub fn decode(block: &[u8]) -> Result<Self, CommitError> {
        let mut wire: WireCommit<'_> = cbor::decode(block)?;
        if wire.version != 3 {
            return Err(CommitError::Version(wire.version));
        }
        let did = wire.did.parse().map_err(|_| CommitError::BadField("did"))?;
        let rev = wire.rev.parse().map_err(|_| CommitError::BadField("rev"))?;
        if !car::names_dag_cbor(&wire.data) {
            return Err(CommitError::BadField("data"));
        }
        if encode(&wire)? != block {
            return Err(CommitError::NotCanonical);
        }
        let signature = wire.sig.take().ok_or(CommitError::BadField("sig"))?.to_vec();
        let unsigned = encode(&wire)?;
        Ok(SignedCommit { did, rev, data: wire.data, prev: wire.prev, signature, unsigned })
    }

    /// What is signed: the encoding of the commit without its signature.
    pub fn unsigned_bytes(&self) -> &[u8] {
        &self.unsigned
    }

    /// The signature: 64 bytes if it is any.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Checks the signature with the key that the account's DID document names.
    pub fn verify(&self, key: &PublicKey) -> Result<(), BadSignature> {
        key.verify(&self.unsigned, &self.signature)
    }
}

fn encode(wire: &WireCommit<'_>) -> Result<Vec<u8>, CommitError> {
    serde_ipld_dagcbor::to_vec(wire).map_err(|_| CommitError::NotCanonical)
}

#[cfg(test)]
mod tests;
