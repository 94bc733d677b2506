//! CAR files, version 1: blocks of bytes, each under the hash of itself.
//!
//! Every block is hashed as it is read, so what [`Blocks::get`] answers is what the CID names, whoever delivered it.
//!
//! <https://ipld.io/specs/transport/car/carv1/>

use cid::Cid;
use cid::multihash::Multihash;
use sha2::{Digest, Sha256};

use super::cbor::{CborError, Reader};

/// Multicodec of DAG-CBOR: commits, tree nodes and records.
pub const DAG_CBOR: u64 = 0x71;
/// Multicodec of plain bytes: blobs.
pub const RAW: u64 = 0x55;
const SHA2_256: u64 = 0x12;
/// Version, codec and multihash head take a byte each, as does the digest's length.
pub(super) const CID_LEN: usize = 4 + 32;

/// A CID of the only form that blocks have here, in its binary form.
pub type BinaryCid = [u8; CID_LEN];

/// What the CIDs of commits, tree nodes and records begin with: version 1, DAG-CBOR, SHA-256 of 32 bytes.
const DAG_CBOR_HEAD: [u8; 4] = [1, DAG_CBOR as u8, SHA2_256 as u8, 32];

/// The CID that the network gives `data`: version 1, SHA-256.
pub fn cid_of(codec: u64, data: &[u8]) -> Cid {
    // 32 bytes always fit into the 64 of a multihash.
    Cid::new_v1(codec, Multihash::wrap(SHA2_256, &Sha256::digest(data)).unwrap_or_default())
}

/// The CID of DAG-CBOR with this SHA-256.
pub(super) fn cid_of_digest(digest: &[u8; 32]) -> Cid {
    Cid::new_v1(DAG_CBOR, Multihash::wrap(SHA2_256, digest).unwrap_or_default())
}

/// Whether `cid` is of the only form that commits, tree nodes and records have: version 1, DAG-CBOR, SHA-256.
pub fn names_dag_cbor(cid: &Cid) -> bool {
    cid.version() == cid::Version::V1
        && cid.codec() == DAG_CBOR
        && cid.hash().code() == SHA2_256
        && cid.hash().size() == 32
}

/// The CID of a block of DAG-CBOR, in its binary form.
pub fn binary_cid_of(block: &[u8]) -> BinaryCid {
    let mut binary = [0; CID_LEN];
    binary[..4].copy_from_slice(&DAG_CBOR_HEAD);
    binary[4..].copy_from_slice(&Sha256::digest(block));
    binary
}

/// A binary CID of the only form that commits, tree nodes and records have; as [`names_dag_cbor`].
pub fn as_dag_cbor(binary: &[u8]) -> Option<&BinaryCid> {
    binary.try_into().ok().filter(|_| binary.starts_with(&DAG_CBOR_HEAD))
}

/// How much of a CAR file is read before it is refused.
#[derive(Debug, Clone, Copy)]
pub struct CarLimits {
    /// Of the whole file.
    pub total_bytes: usize,
    /// Of one block.
    pub block_bytes: usize,
    /// Number of blocks, repeated ones counted each time.
    pub blocks: usize,
}

impl CarLimits {
    /// The blocks of one commit event: 2,000,000 bytes by the protocol.
    pub const COMMIT: Self = CarLimits { total_bytes: 2_000_000, block_bytes: 2_000_000, blocks: 20_000 };
    /// The blocks of a sync event, which hold a commit and no more: 10,000 bytes by the protocol.
    pub const SYNC: Self = CarLimits { total_bytes: 10_000, block_bytes: 10_000, blocks: 16 };
    /// One record with its proof.
    pub const RECORD: Self = CarLimits { total_bytes: 4 << 20, block_bytes: 2 << 20, blocks: 1_000 };
    /// A whole repo. The largest known are of some hundred megabytes.
    pub const REPO: Self = CarLimits { total_bytes: 512 << 20, block_bytes: 4 << 20, blocks: 10_000_000 };
}

/// Why bytes are not a CAR file whose blocks are what they are said to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CarError {
    /// More than a limit allows.
    #[error("too large: more than {0}")]
    TooLarge(&'static str),
    /// The bytes end inside the header or a block.
    #[error("ends in the middle of a block")]
    Truncated,
    /// A length in more bytes than it needs, or than a length can have.
    #[error("a length that is not a shortest varint")]
    BadLength,
    /// The header is not one of version 1 with at least one root.
    #[error("bad header: {0}")]
    BadHeader(CborError),
    /// The header is well-formed, but says what we cannot use.
    #[error("unsupported header: {0}")]
    UnsupportedHeader(&'static str),
    /// A block under a CID that is not version 1, DAG-CBOR or raw, SHA-256.
    #[error("a block under an unsupported CID")]
    UnsupportedCid,
    /// The block is not what its CID names.
    #[error("block {0} has other bytes than its CID says")]
    HashMismatch(Cid),
}

/// The blocks of a CAR file, borrowed from its bytes and found by CID.
#[derive(Debug)]
pub struct Blocks<'a> {
    root: Cid,
    /// In the order of their CIDs. A table of hashes would gain nothing: most files have ten blocks.
    blocks: Vec<(&'a BinaryCid, &'a [u8])>,
}

impl<'a> Blocks<'a> {
    /// Reads a whole file. A block may come twice; bytes after the last block are an error.
    pub fn read(car: &'a [u8], limits: &CarLimits) -> Result<Self, CarError> {
        if car.len() > limits.total_bytes {
            return Err(CarError::TooLarge("the bytes of a file"));
        }
        let mut rest = car;
        let root = root_of(section(&mut rest)?)?;
        let mut blocks = Vec::new();
        while !rest.is_empty() {
            let (cid, data) =
                section(&mut rest)?.split_first_chunk::<CID_LEN>().ok_or(CarError::UnsupportedCid)?;
            if blocks.len() == limits.blocks {
                return Err(CarError::TooLarge("the number of blocks"));
            }
            if data.len() > limits.block_bytes {
                return Err(CarError::TooLarge("the bytes of a block"));
            }
            check_block(cid, data)?;
            blocks.push((cid, data));
        }
        blocks.sort_unstable_by_key(|(cid, _)| *cid);
        blocks.dedup_by_key(|(cid, _)| *cid);
        Ok(Blocks { root, blocks })
    }

    /// The first root: the commit, in the files of the network.
    pub fn root(&self) -> &Cid {
        &self.root
    }

    /// The bytes that `cid` names, when the file has them.
    pub fn get(&self, cid: &Cid) -> Option<&'a [u8]> {
        Some(self.block(self.place(&binary(cid)?)?))
    }

    /// Where among the different blocks the one is that a binary CID names.
    pub fn place(&self, cid: &BinaryCid) -> Option<usize> {
        self.blocks.binary_search_by_key(&cid, |(cid, _)| *cid).ok()
    }

    /// The bytes of the block at a place that [`Self::place`] answered; none elsewhere.
    pub fn block(&self, place: usize) -> &'a [u8] {
        self.blocks.get(place).map_or(&[], |(_, block)| *block)
    }

    /// How many different blocks there are.
    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Whether there is no block.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }
}

/// The binary form of a CID, when that has the length that blocks' CIDs have.
pub fn binary(cid: &Cid) -> Option<BinaryCid> {
    let mut binary = [0; CID_LEN];
    (cid.encoded_len() == CID_LEN && cid.write_bytes(binary.as_mut_slice()).is_ok()).then_some(binary)
}

/// The first root that a header names.
pub(super) fn root_of(header: &[u8]) -> Result<Cid, CarError> {
    let (root, version) = read_header(header).map_err(CarError::BadHeader)?;
    if version != 1 {
        return Err(CarError::UnsupportedHeader("not version 1"));
    }
    root.ok_or(CarError::UnsupportedHeader("no root"))
}

/// The first root and the version.
fn read_header(header: &[u8]) -> Result<(Option<Cid>, u64), CborError> {
    const SHAPE: &str = "not the fields of a CAR header";
    let mut reader = Reader::new(header);
    reader.literal(b"\xa2\x65roots", SHAPE)?;
    let mut first = None;
    for _ in 0..reader.canonical(4, SHAPE)? {
        let root = reader.cid()?;
        first = first.or_else(|| Cid::try_from(root).ok());
    }
    reader.literal(b"\x67version", SHAPE)?;
    let version = reader.canonical(0, SHAPE)?;
    reader.end()?;
    Ok((first, version))
}

pub(super) fn check_block(cid: &[u8], data: &[u8]) -> Result<(), CarError> {
    if crate::sabotage::is_on("skip-block-hash") {
        return Ok(());
    }
    let (head, digest) = cid.split_at(4);
    let [1, codec, 0x12, 32] = *head else { return Err(CarError::UnsupportedCid) };
    if ![DAG_CBOR, RAW].contains(&u64::from(codec)) {
        return Err(CarError::UnsupportedCid);
    }
    if Sha256::digest(data)[..] != *digest {
        return Err(CarError::HashMismatch(Cid::try_from(cid).unwrap_or_default()));
    }
    Ok(())
}

/// Takes a length and as many bytes off the front.
fn section<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], CarError> {
    let (len, head_len) = length(rest)?.ok_or(CarError::Truncated)?;
    let len = usize::try_from(len).map_err(|_| CarError::Truncated)?;
    let (section, after) = rest[head_len..].split_at_checked(len).ok_or(CarError::Truncated)?;
    *rest = after;
    Ok(section)
}

/// The length that `bytes` begin with, and how many bytes state it; none when they end too early.
pub(super) fn length(bytes: &[u8]) -> Result<Option<(u64, usize)>, CarError> {
    let mut len = 0u64;
    for (place, &byte) in bytes.iter().enumerate() {
        // Nine bytes carry 63 bits, the most a varint may have; a zero at the end would be superfluous.
        if place == 9 || (byte == 0 && place > 0) {
            return Err(CarError::BadLength);
        }
        len |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Ok(Some((len, place + 1)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
