//! Commits: the signed block at the root of a repo.

use bytes::Bytes;

use super::value::{bytes, head, link, text};
use super::{Cid, Signer};

/// A signed commit's block and its CID.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Its revision.
    pub rev: String,
    /// CID of the block.
    pub cid: Cid,
    /// The block.
    pub block: Bytes,
}

/// A commit to the tree with this root, with whatever signature `sign` makes.
pub fn sign_commit(did: &str, rev: &str, data: &Cid, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Commit {
    let signature = sign(&encode(did, rev, data, None));
    let block = encode(did, rev, data, Some(&signature));
    Commit { rev: rev.to_owned(), cid: Cid::of(&block), block: block.into() }
}

impl Commit {
    /// A commit as it should be.
    pub fn new(did: &str, rev: &str, data: &Cid, signer: &Signer) -> Self {
        sign_commit(did, rev, data, |unsigned| signer.sign(unsigned))
    }
}

fn encode(did: &str, rev: &str, data: &Cid, signature: Option<&[u8; 64]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    head(&mut out, 5, 5 + u64::from(signature.is_some()));
    text(&mut out, "did");
    text(&mut out, did);
    text(&mut out, "rev");
    text(&mut out, rev);
    if let Some(signature) = signature {
        text(&mut out, "sig");
        bytes(&mut out, signature);
    }
    text(&mut out, "data");
    link(&mut out, data);
    text(&mut out, "prev");
    out.push(0xf6);
    text(&mut out, "version");
    out.push(3);
    out
}
