//! What a thief of the database must not have, sealed with a key that is not in it.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// The form of what is sealed; another one would begin with another byte.
const FORM: u8 = 1;
const NONCE_BYTES: usize = 24;

/// The key that seals sessions: 32 bytes, written as base64 or hex. Its debug form says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; 32]);

/// Text that is not a [`SecretKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 32 bytes in base64 or hex; `openssl rand -base64 32` makes one")]
pub struct SecretKeyError;

impl SecretKey {
    /// A new one.
    pub fn random() -> Self {
        SecretKey(rand::random())
    }

    /// The key as it is configured, in hex.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl FromStr for SecretKey {
    type Err = SecretKeyError;
    fn from_str(text: &str) -> Result<Self, SecretKeyError> {
        let text = text.trim();
        let bytes = match text.len() {
            64 => hex::decode(text).map_err(|_| SecretKeyError)?,
            _ => {
                let text = text.trim_end_matches('=');
                let standard = STANDARD_NO_PAD.decode(text);
                standard.or_else(|_| URL_SAFE_NO_PAD.decode(text)).map_err(|_| SecretKeyError)?
            }
        };
        bytes.try_into().map(SecretKey).map_err(|_| SecretKeyError)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(…)")
    }
}

/// What is sealed, and where it belongs: it opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// What for: the table.
    pub purpose: &'static str,
    /// The row's key.
    pub id: &'a [u8],
    /// Whose it is; empty where it is ours.
    pub did: &'a str,
}

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [self.purpose.as_bytes(), self.id, self.did.as_bytes()] {
            // With its length, so that no two places read the same.
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// Seals and opens (XChaCha20-Poly1305: nonces may be drawn at random for ever).
pub(super) struct Sealer(XChaCha20Poly1305, SecretKey);

impl Sealer {
    pub fn new(key: &SecretKey) -> Self {
        Sealer(XChaCha20Poly1305::new(&key.0.into()), key.clone())
    }

    /// What we may keep of something that shall be known again, but by nobody without the key.
    pub(super) fn fingerprint(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 16] {
        let mut hash = Sha256::new_with_prefix(self.1.0);
        for part in std::iter::once(purpose.as_bytes()).chain(parts.iter().copied()) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hash.finalize()[..16]);
        short
    }

    pub fn seal<T: Serialize>(&self, place: &Place<'_>, value: &T) -> anyhow::Result<Vec<u8>> {
        let plain = serde_json::to_vec(value)?;
        let nonce: [u8; NONCE_BYTES] = rand::random();
        let payload = Payload { msg: &plain, aad: &place.bytes() };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| anyhow::anyhow!("cannot seal a {}", place.purpose))?;
        Ok([&[FORM][..], &nonce, &sealed].concat())
    }

    /// None for what was changed, moved, or sealed with another key.
    pub fn open<T: DeserializeOwned>(&self, place: &Place<'_>, sealed: &[u8]) -> Option<T> {
        let rest = sealed.strip_prefix(&[FORM])?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_BYTES)?;
        let payload = Payload { msg: sealed, aad: &place.bytes() };
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let plain = self.0.decrypt(&XNonce::from(nonce), payload).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACE: Place<'static> = Place { purpose: "session", id: &[1, 2], did: "did:plc:a" };

    #[test]
    fn what_is_sealed_opens_in_its_place_with_its_key_only() {
        let sealer = Sealer::new(&SecretKey::random());
        let sealed = sealer.seal(&PLACE, &"swordfish").expect("sealed");
        assert!(!sealed.windows(9).any(|nine| nine == b"swordfish"));
        assert_eq!(sealer.open::<String>(&PLACE, &sealed).as_deref(), Some("swordfish"));
        for elsewhere in [
            Place { purpose: "flow", ..PLACE },
            Place { id: &[1, 3], ..PLACE },
            Place { did: "did:plc:b", ..PLACE },
            Place { id: &[1], did: "\u{2}did:plc:a", ..PLACE },
        ] {
            assert_eq!(sealer.open::<String>(&elsewhere, &sealed), None, "{elsewhere:?}");
        }
        assert_eq!(Sealer::new(&SecretKey::random()).open::<String>(&PLACE, &sealed), None);
        let again = sealer.seal(&PLACE, &"swordfish").expect("sealed");
        assert_ne!(sealed, again, "a nonce is for one use");
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_noticed(at in 0usize..60, flip in 1u8..) {
            let sealer = Sealer::new(&SecretKey::random());
            let mut sealed = sealer.seal(&PLACE, &"swordfish").expect("sealed");
            let at = at % sealed.len();
            sealed[at] ^= flip;
            prop_assert_eq!(sealer.open::<String>(&PLACE, &sealed), None);
            prop_assert_eq!(sealer.open::<String>(&PLACE, &sealed[..at]), None);
        }
    }

    #[test]
    fn keys_are_read_in_the_forms_people_write() {
        let key = SecretKey([0xfb; 32]);
        let (standard, url_safe) = (STANDARD_NO_PAD.encode(key.0), URL_SAFE_NO_PAD.encode(key.0));
        assert_ne!(standard, url_safe);
        let padded = format!("{standard}=\n");
        for text in [&key.to_hex(), &key.to_hex().to_uppercase(), &standard, &padded, &url_safe] {
            assert_eq!(text.parse(), Ok(key.clone()), "{text}");
        }
        for bad in ["", "x", &standard[1..], &key.to_hex()[2..], &format!("{standard}aa"), "€"] {
            assert_eq!(bad.parse::<SecretKey>(), Err(SecretKeyError), "{bad}");
        }
        assert!(!format!("{key:?}").contains("fb"));
    }
}
