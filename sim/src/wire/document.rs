//! DID documents.

use serde_json::{Value, json};

use super::{Signer, base58};

/// How a document holds its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// `Multikey`: the curve stands in the key, the point is compressed.
    Multikey,
    /// `EcdsaSecp256k1VerificationKey2019` or `EcdsaSecp256r1VerificationKey2019`: the bare point, uncompressed.
    Point,
}

/// The document of an account.
pub fn document(did: &str, handle: &str, pds: &str, key: &Signer, form: KeyForm) -> Value {
    let (kind, id, multibase) = match (form, key) {
        (KeyForm::Multikey, _) => ("Multikey", format!("{did}#atproto"), key.multikey()),
        (KeyForm::Point, Signer::K256(_)) => {
            ("EcdsaSecp256k1VerificationKey2019", "#atproto".to_owned(), point(key))
        }
        (KeyForm::Point, Signer::P256(_)) => {
            ("EcdsaSecp256r1VerificationKey2019", "#atproto".to_owned(), point(key))
        }
    };
    json!({
        "@context": [
            "https://www.w3.org/ns/did/v1",
            "https://w3id.org/security/multikey/v1",
            "https://w3id.org/security/suites/secp256k1-2019/v1"
        ],
        "id": did,
        "alsoKnownAs": [format!("at://{handle}")],
        "verificationMethod": [{"id": id, "type": kind, "controller": did, "publicKeyMultibase": multibase}],
        "service": [{"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": pds}]
    })
}

fn point(key: &Signer) -> String {
    format!("z{}", base58(&key.point(false)))
}
