//! Public keys of accounts and the signatures made with them.
//!
//! Both curves of the network: K-256 (secp256k1) and P-256. Signatures are 64 bytes, r then s, over the SHA-256 of the
//! message, and s must be in the lower half of the curve's order: of the two forms that every ECDSA signature has, only
//! one is valid here, so nobody can alter a commit's bytes and keep it signed.
//!
//! <https://atproto.com/specs/cryptography>

use std::sync::LazyLock;

use cid::multibase::Base;
use secp256k1::{Message, Secp256k1, VerifyOnly};
use sha2::{Digest, Sha256};

use crate::sabotage;

/// A key that signs for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// secp256k1, called ES256K in JWTs.
    K256(secp256k1::PublicKey),
    /// NIST P-256, called ES256 in JWTs: a point that is on the curve.
    P256(P256Point),
}

/// A point of P-256 in uncompressed SEC 1 form, checked to lie on the curve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct P256Point([u8; 65]);

impl AsRef<[u8]> for P256Point {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The signature is not the key's for these bytes, or not in the one form allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// Why text is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a `did:key:`, or a verification method of another type.
    #[error("a kind of key that is not known here")]
    UnknownKind,
    /// Not base58btc with its `z` in front, or longer than any key.
    #[error("not base58btc multibase")]
    BadMultibase,
    /// The multicodec names another curve or another kind of thing.
    #[error("a curve that is not known here")]
    UnknownCurve,
    /// No point of the curve.
    #[error("not a point of the curve")]
    BadPoint,
}

/// Multicodec of a compressed secp256k1 key, as varint.
const SECP256K1_PUB: [u8; 2] = [0xe7, 0x01];
/// Multicodec of a compressed P-256 key, as varint.
const P256_PUB: [u8; 2] = [0x80, 0x24];
/// Half the order of P-256, rounded down: the greatest s allowed.
const P256_HALF_ORDER: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde,
    0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];
/// An uncompressed point makes 90 characters. Base58 takes time with the square of its length.
const MULTIBASE_LEN_MAX: usize = 128;

static SECP256K1: LazyLock<Secp256k1<VerifyOnly>> = LazyLock::new(Secp256k1::verification_only);

impl PublicKey {
    /// Reads a `did:key:z…`, as PLC operations and JWT issuers carry it.
    pub fn from_did_key(text: &str) -> Result<Self, KeyError> {
        Self::from_multikey(text.strip_prefix("did:key:").ok_or(KeyError::UnknownKind)?)
    }

    /// Reads a Multikey: multibase of a multicodec and a compressed point.
    pub fn from_multikey(multibase: &str) -> Result<Self, KeyError> {
        let bytes = base58(multibase)?;
        match bytes.split_first_chunk::<2>() {
            Some((&SECP256K1_PUB, point)) if point.len() == 33 => k256(point),
            Some((&P256_PUB, point)) if point.len() == 33 => p256(point),
            Some((&SECP256K1_PUB | &P256_PUB, _)) => Err(KeyError::BadPoint),
            _ => Err(KeyError::UnknownCurve),
        }
    }

    /// Reads a `verificationMethod` of a DID document: its `type` and `publicKeyMultibase`.
    ///
    /// Besides `Multikey` the two older types, whose multibase is the bare point, compressed or not.
    pub fn from_verification_method(kind: &str, multibase: &str) -> Result<Self, KeyError> {
        match kind {
            "Multikey" => Self::from_multikey(multibase),
            "EcdsaSecp256k1VerificationKey2019" => k256(&base58(multibase)?),
            "EcdsaSecp256r1VerificationKey2019" => p256(&base58(multibase)?),
            _ => Err(KeyError::UnknownKind),
        }
    }

    /// Checks a signature over the SHA-256 of `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        match self {
            PublicKey::K256(key) => {
                // The library refuses a high s itself.
                let mut signature =
                    secp256k1::ecdsa::Signature::from_compact(signature).map_err(|_| BadSignature)?;
                if sabotage::is_on("accept-high-s") {
                    signature.normalize_s();
                }
                let digest = Message::from_digest(Sha256::digest(message).into());
                SECP256K1.verify_ecdsa(digest, &signature, key).map_err(|_| BadSignature)
            }
            PublicKey::P256(P256Point(point)) => {
                let (_, s) = signature.split_at_checked(32).ok_or(BadSignature)?;
                if s.len() != 32 || s > P256_HALF_ORDER.as_slice() && !sabotage::is_on("accept-high-s") {
                    return Err(BadSignature);
                }
                ring::signature::UnparsedPublicKey::new(&ring::signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signature)
                    .map_err(|_| BadSignature)
            }
        }
    }
}

fn base58(multibase: &str) -> Result<Vec<u8>, KeyError> {
    let digits = multibase.strip_prefix('z').ok_or(KeyError::BadMultibase)?;
    if digits.len() > MULTIBASE_LEN_MAX {
        return Err(KeyError::BadMultibase);
    }
    Base::Base58Btc.decode(digits).map_err(|_| KeyError::BadMultibase)
}

/// SEC 1 knows a third, "hybrid" form, which nothing in the network has.
fn has_known_form(point: &[u8]) -> bool {
    matches!((point.first(), point.len()), (Some(2 | 3), 33) | (Some(4), 65))
}

fn k256(point: &[u8]) -> Result<PublicKey, KeyError> {
    let key = Some(point).filter(|point| has_known_form(point));
    key.and_then(|point| secp256k1::PublicKey::from_slice(point).ok())
        .map(PublicKey::K256)
        .ok_or(KeyError::BadPoint)
}

fn p256(point: &[u8]) -> Result<PublicKey, KeyError> {
    use p256::elliptic_curve::sec1::ToEncodedPoint;

    let key = Some(point).filter(|point| has_known_form(point));
    // ring takes only the uncompressed form.
    key.and_then(|point| p256::PublicKey::from_sec1_bytes(point).ok())
        .and_then(|key| key.to_encoded_point(false).as_bytes().try_into().ok())
        .map(|point| PublicKey::P256(P256Point(point)))
        .ok_or(KeyError::BadPoint)
}

#[cfg(test)]
mod tests;
