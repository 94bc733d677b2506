//! Commits: the signed statement of what a repo holds at a revision.
//!
//! <https://atproto.com/specs/repository#commit-objects>

use chrono::{DateTime, TimeDelta, Utc};
use cid::Cid;

use super::car;
use super::cbor::{CborError, Reader};
use super::key::{BadSignature, PublicKey};
use super::mst;
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
    Version(u64),
    /// A field that is not what it is named.
    #[error("a commit with a bad {0}")]
    BadField(&'static str),
}

impl SignedCommit {
    /// Decodes a commit block from its one encoding, in which every field has its place: the signature is over the same
    /// bytes without the field `sig`.
    pub fn decode(block: &[u8]) -> Result<Self, CommitError> {
        const SHAPE: &str = "not the fields of a commit";
        let mut reader = Reader::new(block);
        let fields = reader.canonical(5, SHAPE)?;
        reader.literal(b"\x63did", SHAPE)?;
        let did = reader.text(SHAPE)?;
        reader.literal(b"\x63rev", SHAPE)?;
        let rev = reader.text(SHAPE)?;
        if fields == 5 && reader.literal(b"\x64data", SHAPE).is_ok() {
            return Err(CommitError::BadField("sig"));
        }
        let before_sig = reader.at();
        reader.literal(b"\x63sig", SHAPE)?;
        let signature = reader.byte_string()?.to_vec();
        let after_sig = reader.at();
        reader.literal(b"\x64data", SHAPE)?;
        let data = reader.cid()?;
        reader.literal(b"\x64prev", SHAPE)?;
        let prev = if reader.null() { None } else { Some(reader.cid()?) };
        reader.literal(b"\x67version", SHAPE)?;
        let version = reader.canonical(0, SHAPE)?;
        reader.end()?;
        if fields != 6 {
            return Err(CborError::Shape(SHAPE.to_owned()).into());
        }
        if version != 3 {
            return Err(CommitError::Version(version));
        }
        let data = car::as_dag_cbor(data).ok_or(CommitError::BadField("data"))?;
        // A map of five, with all but the sixth.
        let unsigned = [&[0xa5], &block[1..before_sig], &block[after_sig..]].concat();
        Ok(SignedCommit {
            did: did.parse().map_err(|_| CommitError::BadField("did"))?,
            rev: rev.parse().map_err(|_| CommitError::BadField("rev"))?,
            data: mst::decoded(data),
            prev: prev.map(|prev| Cid::try_from(prev).unwrap_or_default()),
            signature,
            unsigned,
        })
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

#[cfg(test)]
mod tests;
