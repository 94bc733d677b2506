//! CIDs: the hash of a block, and what it holds.

use std::fmt;

use sha2::{Digest, Sha256};

use super::base32;

/// A CIDv1 with SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid {
    codec: u8,
    digest: [u8; 32],
}

impl Cid {
    /// Of a block of DAG-CBOR.
    pub fn of(block: &[u8]) -> Self {
        Cid { codec: 0x71, digest: Sha256::digest(block).into() }
    }

    /// Of a blob.
    pub fn of_blob(bytes: &[u8]) -> Self {
        Cid { codec: 0x55, digest: Sha256::digest(bytes).into() }
    }

    /// The binary form.
    pub fn to_bytes(self) -> [u8; 36] {
        let mut bytes = [0; 36];
        bytes[..4].copy_from_slice(&[1, self.codec, 0x12, 0x20]);
        bytes[4..].copy_from_slice(&self.digest);
        bytes
    }

    /// From the binary form, if it is one of these.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [1, codec, 0x12, 0x20, digest @ ..] => {
                Some(Cid { codec: *codec, digest: digest.try_into().ok()? })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", base32(&self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The empty map, whose CID everybody knows.
    #[test]
    fn a_known_block_has_its_known_name() {
        let cid = Cid::of(&[0xa0]);
        assert_eq!(cid.to_string(), "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua");
        assert_eq!(Cid::from_bytes(&cid.to_bytes()), Some(cid));
    }
}
