//! Somebody whose keys a test holds: they are in the directory, and no PDS signs for them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};
use sim::wire::{Cid, Signer, Value, base32, to_json};

use super::network::Network;
use super::pds;

/// An account of the real directory.
pub struct Holder {
    pub did: String,
    pub key: Signer,
    plc: String,
    rotation: Signer,
    last: Cid,
}

impl Holder {
    pub async fn k256(network: &Network) -> Holder {
        Holder::register(network, Signer::k256(&secret())).await
    }

    pub async fn p256(network: &Network) -> Holder {
        Holder::register(network, Signer::p256(&secret())).await
    }

    async fn register(network: &Network, key: Signer) -> Holder {
        let rotation = Signer::k256(&secret());
        let operation = signed(&rotation, &key, None);
        let bytes = operation.encode();
        let did = format!("did:plc:{}", &base32(&Sha256::digest(&bytes))[..24]);
        let plc = network.plc.clone();
        let holder = Holder { did, key, plc, rotation, last: Cid::of(&bytes) };
        holder.post(&operation).await;
        holder
    }

    /// Takes another key of the same curve in place of the one they have.
    pub async fn rotate(&mut self) {
        self.key = match self.key {
            Signer::K256(_) => Signer::k256(&secret()),
            Signer::P256(_) => Signer::p256(&secret()),
        };
        let operation = signed(&self.rotation, &self.key, Some(&self.last.to_string()));
        self.post(&operation).await;
        self.last = Cid::of(&operation.encode());
    }

    async fn post(&self, operation: &Value) {
        let request = pds::http().post(format!("{}/{}", self.plc, self.did));
        let response =
            request.json(&to_json(&operation.encode())).send().await.expect("the directory answers");
        let (status, body) = (response.status(), response.text().await.expect("a body"));
        assert!(status.is_success(), "{status} {body}");
    }

    /// The claims of a good token, to be changed.
    pub fn claims(&self, audience: &str, method: &str) -> Json {
        claims(&self.did, audience, method)
    }

    /// Signs claims as they are.
    pub fn sign(&self, claims: &Json) -> String {
        self.sign_as(&header(&self.key), claims)
    }

    /// The same with another header.
    pub fn sign_as(&self, header: &Json, claims: &Json) -> String {
        signed_as(&self.key, header, claims)
    }

    /// The same with the signature's other form.
    pub fn sign_high_s(&self, claims: &Json) -> String {
        let text = unsigned(&header(&self.key), claims);
        format!("{text}.{}", BASE64.encode(self.key.sign_high_s(text.as_bytes())))
    }
}

/// A good token of whoever has this key: somebody calls a method of a service.
pub fn token(did: &str, key: &Signer, audience: &str, method: &str) -> String {
    signed_as(key, &header(key), &claims(did, audience, method))
}

fn claims(did: &str, audience: &str, method: &str) -> Json {
    let now_s = chrono::Utc::now().timestamp();
    let jti = BASE64.encode(secret());
    json!({"iss": did, "aud": audience, "lxm": method, "iat": now_s, "exp": now_s + 600, "jti": jti})
}

fn header(key: &Signer) -> Json {
    let algorithm = match key {
        Signer::K256(_) => "ES256K",
        Signer::P256(_) => "ES256",
    };
    json!({"typ": "JWT", "alg": algorithm})
}

fn signed_as(key: &Signer, header: &Json, claims: &Json) -> String {
    let text = unsigned(header, claims);
    format!("{text}.{}", BASE64.encode(key.sign(text.as_bytes())))
}

fn unsigned(header: &Json, claims: &Json) -> String {
    format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()))
}

fn secret() -> [u8; 32] {
    rand::random()
}

/// A PLC operation. <https://web.plc.directory/spec/v0.1/did-plc>
fn signed(rotation: &Signer, key: &Signer, prev: Option<&str>) -> Value {
    let did_key = |key: &Signer| Value::text(format!("did:key:{}", key.multikey()));
    let operation = Value::map([
        ("type", Value::text("plc_operation")),
        ("verificationMethods", Value::map([("atproto", did_key(key))])),
        ("rotationKeys", Value::List(vec![did_key(rotation)])),
        ("alsoKnownAs", Value::List(Vec::new())),
        ("services", Value::map([])),
        ("prev", prev.map_or(Value::Null, |prev| Value::text(prev.to_owned()))),
    ]);
    let signature = BASE64.encode(rotation.sign(&operation.encode()));
    operation.with("sig", Value::text(signature))
}
