//! Text that must not show: tokens, verifiers, keys.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A credential. Serialised in full, so only into what is sealed or sent to its issuer; its debug form says nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

/// Characters of 32 bytes in base64url.
const RANDOM_CHARS: usize = 43;

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// 32 random bytes as 43 characters of base64url.
    pub fn random() -> Self {
        Secret(BASE64.encode(rand::random::<[u8; 32]>()))
    }

    /// Text that could be a [`Secret::random`] of ours.
    pub fn read(text: &str) -> Option<Self> {
        let is_ours = text.len() == RANDOM_CHARS
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        is_ours.then(|| Secret(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What we may keep of it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
