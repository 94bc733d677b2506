//! Accounts' secret keys.

use k256::ecdsa::signature::Signer as _;

use super::base58;

/// An account's secret key, of either curve.
#[derive(Debug, Clone)]
pub enum Signer {
    /// secp256k1
    K256(k256::ecdsa::SigningKey),
    /// NIST P-256
    P256(p256::ecdsa::SigningKey),
}

/// Not zero and below the order of either curve.
fn scalar(secret: &[u8; 32]) -> [u8; 32] {
    let mut scalar = *secret;
    scalar[0] &= 0x7f;
    scalar[31] |= 1;
    scalar
}

impl Signer {
    /// The K-256 key of a secret.
    pub fn k256(secret: &[u8; 32]) -> Self {
        Signer::K256(k256::ecdsa::SigningKey::from_slice(&scalar(secret)).expect("a number below the order"))
    }

    /// The P-256 key of a secret.
    pub fn p256(secret: &[u8; 32]) -> Self {
        Signer::P256(p256::ecdsa::SigningKey::from_slice(&scalar(secret)).expect("a number below the order"))
    }

    /// The public key's point in SEC 1 form, compressed or not.
    pub fn point(&self, compressed: bool) -> Vec<u8> {
        match self {
            Signer::K256(key) => key.verifying_key().to_encoded_point(compressed).as_bytes().to_vec(),
            Signer::P256(key) => key.verifying_key().to_encoded_point(compressed).as_bytes().to_vec(),
        }
    }

    /// The public key as a multikey: multicodec and compressed point in base58.
    pub fn multikey(&self) -> String {
        let multicodec = match self {
            Signer::K256(_) => [0xe7, 0x01],
            Signer::P256(_) => [0x80, 0x24],
        };
        format!("z{}", base58(&[multicodec.as_slice(), &self.point(true)].concat()))
    }

    /// Signs as the network does, with the lower s.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        match self {
            Signer::K256(key) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                signature.normalize_s().unwrap_or(signature).to_bytes().into()
            }
            Signer::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.normalize_s().unwrap_or(signature).to_bytes().into()
            }
        }
    }

    /// The other valid ECDSA signature of the same message, with the higher s: the network refuses it.
    pub fn sign_high_s(&self, message: &[u8]) -> [u8; 64] {
        match self {
            Signer::K256(key) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                let (r, s) = signature.normalize_s().unwrap_or(signature).split_scalars();
                k256::ecdsa::Signature::from_scalars(r, -s)
                    .map_or([0; 64], |signature| signature.to_bytes().into())
            }
            Signer::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                let (r, s) = signature.normalize_s().unwrap_or(signature).split_scalars();
                p256::ecdsa::Signature::from_scalars(r, -s)
                    .map_or([0; 64], |signature| signature.to_bytes().into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k256::ecdsa::signature::Verifier as _;

    use super::*;

    #[test]
    fn the_multikey_of_the_specification() {
        // did:key of the W3C's did:key specification, secp256k1, secret in hex.
        let hex = "9085d2bef69286a6cbb51623c8fa258629945cd55ca705cc4e66700396894e0c";
        let secret: Vec<u8> =
            (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex")).collect();
        let key = Signer::K256(k256::ecdsa::SigningKey::from_slice(&secret).expect("a key"));
        assert_eq!(key.multikey(), "zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme");
    }

    #[test]
    fn both_signatures_are_the_same_but_for_their_s() {
        for signer in [Signer::k256(&[7; 32]), Signer::p256(&[7; 32])] {
            let (low, high) = (signer.sign(b"x"), signer.sign_high_s(b"x"));
            assert_eq!(low[..32], high[..32]);
            assert!(low[32] < 0x80 && high[32] >= 0x7f && low[32..] != high[32..]);
            let verified = match &signer {
                Signer::K256(key) => key
                    .verifying_key()
                    .verify(b"x", &k256::ecdsa::Signature::from_slice(&low).expect("a signature"))
                    .is_ok(),
                Signer::P256(key) => key
                    .verifying_key()
                    .verify(b"x", &p256::ecdsa::Signature::from_slice(&high).expect("a signature"))
                    .is_ok(),
            };
            assert!(verified);
            assert_eq!((signer.point(true).len(), signer.point(false).len()), (33, 65));
        }
    }
}
