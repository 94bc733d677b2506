//! Accounts' secret keys.

use cid::multibase::Base;
use k256::ecdsa::signature::Signer as _;

use crate::proto::key::PublicKey;

/// An account's secret key.
#[derive(Debug, Clone)]
pub(crate) enum Signer {
    K256(k256::ecdsa::SigningKey),
    P256(p256::ecdsa::SigningKey),
}

impl Signer {
    pub(crate) fn k256(seed: u8) -> Self {
        Signer::K256(k256::ecdsa::SigningKey::from_slice(&[seed; 32]).expect("a scalar"))
    }

    pub(crate) fn p256(seed: u8) -> Self {
        Signer::P256(p256::ecdsa::SigningKey::from_slice(&[seed; 32]).expect("a scalar"))
    }

    /// The public key's point in SEC 1 form, compressed or not.
    pub(crate) fn point(&self, compressed: bool) -> Vec<u8> {
        match self {
            Signer::K256(key) => key.verifying_key().to_encoded_point(compressed).as_bytes().to_vec(),
            Signer::P256(key) => key.verifying_key().to_encoded_point(compressed).as_bytes().to_vec(),
        }
    }

    pub(crate) fn multikey(&self) -> String {
        let multicodec = match self {
            Signer::K256(_) => [0xe7, 0x01],
            Signer::P256(_) => [0x80, 0x24],
        };
        cid::multibase::encode(Base::Base58Btc, [multicodec.as_slice(), &self.point(true)].concat())
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::from_multikey(&self.multikey()).expect("a key")
    }

    /// Signs as the network does, with the lower s.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Signer::K256(key) => {
                let signature: k256::ecdsa::Signature = key.sign(message);
                signature.normalize_s().unwrap_or(signature).to_vec()
            }
            Signer::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.normalize_s().unwrap_or(signature).to_vec()
            }
        }
    }

    /// The other valid ECDSA signature of the same message, with the higher s.
    pub(crate) fn sign_high_s(&self, message: &[u8]) -> Vec<u8> {
        let low = self.sign(message);
        match self {
            Signer::K256(_) => {
                let (r, s) = k256::ecdsa::Signature::from_slice(&low).expect("a signature").split_scalars();
                k256::ecdsa::Signature::from_scalars(r, -s).expect("a signature").to_vec()
            }
            Signer::P256(_) => {
                let (r, s) = p256::ecdsa::Signature::from_slice(&low).expect("a signature").split_scalars();
                p256::ecdsa::Signature::from_scalars(r, -s).expect("a signature").to_vec()
            }
        }
    }
}
