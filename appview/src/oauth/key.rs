//! ES256 keys: of DPoP proofs, one for each grant, and of the client itself.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::secret::Secret;

/// A key that cannot be made, read or used. Why is nobody's business.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("an ES256 key cannot be made or read")]
pub(crate) struct KeyError;

/// A P-256 key pair that signs JWTs (RFC 7518 §3.4).
pub(crate) struct Key {
    pair: EcdsaKeyPair,
    pkcs8: Secret,
}

impl Key {
    pub fn generate() -> Result<Self, KeyError> {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        Self::read(&Secret::new(BASE64.encode(pkcs8.map_err(|_| KeyError)?)))
    }

    /// Reads what [`Key::secret`] gave.
    pub fn read(secret: &Secret) -> Result<Self, KeyError> {
        let pkcs8 = BASE64.decode(secret.as_str()).map_err(|_| KeyError)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8, &SystemRandom::new());
        Ok(Key { pair: pair.map_err(|_| KeyError)?, pkcs8: secret.clone() })
    }

    /// The private key, to be sealed: PKCS #8 in base64url.
    pub fn secret(&self) -> &Secret {
        &self.pkcs8
    }

    /// The public key as a JWK with its required members only.
    pub fn public_jwk(&self) -> Value {
        // Uncompressed: 4, x, y.
        let point = self.pair.public_key().as_ref();
        let (x, y) = (&point[1..33], &point[33..65]);
        json!({"kty": "EC", "crv": "P-256", "x": BASE64.encode(x), "y": BASE64.encode(y)})
    }

    /// The name of the public key: its JWK thumbprint (RFC 7638).
    pub fn thumbprint(&self) -> String {
        // serde_json sorts the members of an object, as the thumbprint wants them.
        BASE64.encode(Sha256::digest(self.public_jwk().to_string()))
    }

    /// A JWT in compact form. `header` lacks only `alg`.
    pub fn sign(&self, mut header: Value, claims: &Value) -> Result<String, KeyError> {
        header["alg"] = "ES256".into();
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| KeyError)?;
        Ok(format!("{signed}.{}", BASE64.encode(signature)))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.thumbprint())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    /// Checks a JWT by a public JWK, as whoever receives it does. Returns header and claims.
    pub fn verify(jwt: &str, jwk: &Value) -> Option<(Value, Value)> {
        let (signed, signature) = jwt.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let part = |name: &str| BASE64.decode(jwk[name].as_str()?).ok();
        let point = [vec![4], part("x")?, part("y")?].concat();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
        key.verify(signed.as_bytes(), &BASE64.decode(signature).ok()?).ok()?;
        let json = |text: &str| serde_json::from_slice(&BASE64.decode(text).ok()?).ok();
        Some((json(header)?, json(claims)?))
    }

    #[test]
    fn what_is_signed_verifies_by_the_public_key_alone() {
        let key = Key::generate().expect("a key");
        let jwt = key.sign(json!({"typ": "x"}), &json!({"a": 1})).expect("signed");
        let (header, claims) = verify(&jwt, &key.public_jwk()).expect("it verifies");
        assert_eq!((header, claims), (json!({"typ": "x", "alg": "ES256"}), json!({"a": 1})));
        let other = Key::generate().expect("a key");
        assert!(verify(&jwt, &other.public_jwk()).is_none());
        let again = Key::read(key.secret()).expect("the same key");
        assert_eq!(again.public_jwk(), key.public_jwk());
        assert_ne!(again.thumbprint(), other.thumbprint());
        assert!(key.public_jwk().get("d").is_none());
        assert!(!format!("{key:?} {:?}", key.secret()).contains(key.secret().as_str()));
    }

    #[test]
    fn the_thumbprint_is_that_of_the_canonical_form() {
        let key = Key::generate().expect("a key");
        let jwk = key.public_jwk();
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, jwk["x"], jwk["y"]);
        assert_eq!(key.thumbprint(), BASE64.encode(Sha256::digest(canonical)));
    }
}
