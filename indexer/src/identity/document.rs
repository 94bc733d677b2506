//! The part of a DID document that the network's accounts are made of.

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::proto::key::PublicKey;
use crate::syntax::{Did, Handle};

/// Handles kept of one document; the protocol uses the first.
const MAX_HANDLES: usize = 8;

/// What an account's DID document says, by <https://atproto.com/specs/did#did-documents>. Entries of no use to the
/// protocol, or malformed, are passed over: each part stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DidDocument {
    /// Whose document it is; checked against the DID that was asked for.
    pub did: Did,
    /// The handles it claims, in its order. A claim is worth nothing until the handle resolves to the DID.
    pub handles: Vec<Handle>,
    /// Where the account's repo lives: http or https, a bare origin. None when it names none, or an unusable one.
    pub pds: Option<Url>,
    /// The key that signs the repo's commits.
    pub signing_key: Option<VerificationKey>,
    /// The key with which the account signs as a labeler.
    pub label_key: Option<VerificationKey>,
}

/// A public key as it stands in the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKey {
    /// How [`VerificationKey::multibase`] is to be read.
    pub kind: KeyKind,
    /// `publicKeyMultibase`.
    pub multibase: String,
    /// What that is, if it is a key: decoded once, and not for every commit.
    pub key: Option<PublicKey>,
}

/// The forms in which documents hold keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `Multikey`: the curve stands in the key's own multicodec prefix, the point is compressed.
    Multikey,
    /// `EcdsaSecp256k1VerificationKey2019`: a bare K-256 point, usually uncompressed.
    Secp256k1,
    /// `EcdsaSecp256r1VerificationKey2019`: a bare P-256 point, usually uncompressed.
    P256,
}

#[derive(Deserialize)]
struct Raw {
    id: String,
    #[serde(default, rename = "alsoKnownAs")]
    also_known_as: Value,
    #[serde(default, rename = "verificationMethod")]
    verification_method: Value,
    #[serde(default)]
    service: Value,
}

impl DidDocument {
    /// Reads the JSON of a document. The error says what makes it unusable as a whole.
    pub fn parse(did: &Did, json: &[u8]) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if raw.id != did.as_str() {
            return Err("the document is of another DID".into());
        }
        let handles = entries(&raw.also_known_as).filter_map(|entry| {
            let handle = entry.as_str()?.strip_prefix("at://")?;
            Handle::normalized(handle).ok()
        });
        let key = |name: &str| find(&raw.verification_method, did, name).and_then(verification_key);
        let pds = find(&raw.service, did, "#atproto_pds").and_then(pds_url);
        Ok(DidDocument {
            did: did.clone(),
            handles: handles.take(MAX_HANDLES).collect(),
            pds,
            signing_key: key("#atproto"),
            label_key: key("#atproto_label"),
        })
    }
}

fn entries(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// The first entry with this fragment as its id, in full (`did:…#fragment`) or alone.
fn find<'a>(list: &'a Value, did: &Did, fragment: &str) -> Option<&'a Value> {
    entries(list).find(|entry| {
        let id = entry.get("id").and_then(Value::as_str).unwrap_or_default();
        id.strip_prefix(did.as_str()).unwrap_or(id) == fragment
    })
}

fn verification_key(method: &Value) -> Option<VerificationKey> {
    let name = method.get("type")?.as_str()?;
    let kind = match name {
        "Multikey" => KeyKind::Multikey,
        "EcdsaSecp256k1VerificationKey2019" => KeyKind::Secp256k1,
        "EcdsaSecp256r1VerificationKey2019" => KeyKind::P256,
        _ => return None,
    };
    let multibase = method.get("publicKeyMultibase")?.as_str()?.to_owned();
    let key = PublicKey::from_verification_method(name, &multibase).ok();
    Some(VerificationKey { kind, multibase, key })
}

fn pds_url(service: &Value) -> Option<Url> {
    if service.get("type")?.as_str()? != "AtprotoPersonalDataServer" {
        return None;
    }
    let url: Url = service.get("serviceEndpoint")?.as_str()?.parse().ok()?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none();
    bare.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did() -> Did {
        "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().expect("a DID")
    }

    fn parse(json: Value) -> DidDocument {
        DidDocument::parse(&did(), json.to_string().as_bytes()).expect("a document")
    }

    #[test]
    fn both_forms_of_documents_are_read() {
        let new = parse(serde_json::json!({
            "@context": ["https://www.w3.org/ns/did/v1"], "id": did(),
            "alsoKnownAs": ["https://example.com", "at://Alice.Test", "at://not a handle", "at://second.test"],
            "verificationMethod": [
                {"id": format!("{}#atproto_label", did()), "type": "Multikey", "publicKeyMultibase": "zOther"},
                {"id": format!("{}#atproto", did()), "type": "Multikey", "publicKeyMultibase": "zQ3sh"}],
            "service": [
                {"id": "#bsky_notif", "type": "BskyNotificationService", "serviceEndpoint": "https://n.example"},
                {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://pds.example:8443"}]
        }));
        assert_eq!(new.handles.iter().map(Handle::as_str).collect::<Vec<_>>(), ["alice.test", "second.test"]);
        assert_eq!(new.pds.expect("a PDS").as_str(), "https://pds.example:8443/");
        let key = VerificationKey { kind: KeyKind::Multikey, multibase: "zQ3sh".into(), key: None };
        assert_eq!(new.signing_key, Some(key));
        assert_eq!(new.label_key.expect("a labeler's key").multibase, "zOther");

        for (name, kind) in [
            ("EcdsaSecp256k1VerificationKey2019", KeyKind::Secp256k1),
            ("EcdsaSecp256r1VerificationKey2019", KeyKind::P256),
        ] {
            let old = parse(serde_json::json!({
                "id": did(),
                "verificationMethod": [{"id": "#atproto", "type": name, "publicKeyMultibase": "zRKg"}],
                "service": [{"id": format!("{}#atproto_pds", did()), "type": "AtprotoPersonalDataServer",
                             "serviceEndpoint": "http://localhost:2583"}]
            }));
            assert_eq!(old.signing_key, Some(VerificationKey { kind, multibase: "zRKg".into(), key: None }));
            assert_eq!(old.pds.expect("a PDS").as_str(), "http://localhost:2583/");
        }
    }

    #[test]
    fn what_is_malformed_is_passed_over() {
        let empty = parse(serde_json::json!({"id": did()}));
        assert_eq!((empty.handles.len(), empty.pds, empty.signing_key), (0, None, None));
        let odd = parse(serde_json::json!({
            "id": did(), "alsoKnownAs": "at://alice.test", "verificationMethod": [1, {"id": 2}, {"id": "#atproto"}],
            "service": {"id": "#atproto_pds"}
        }));
        assert_eq!((odd.handles.len(), odd.pds, odd.signing_key), (0, None, None));
        let many = parse(serde_json::json!({"id": did(), "alsoKnownAs": vec!["at://alice.test"; 1000]}));
        assert_eq!(many.handles.len(), MAX_HANDLES);
        for endpoint in [
            "ftp://pds.example",
            "https://u:p@pds.example",
            "https://pds.example/path",
            "https://pds.example?q",
            "https://pds.example#f",
            "pds.example",
            "",
            "javascript:alert(1)",
        ] {
            let service = serde_json::json!([
                {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": endpoint}]);
            assert_eq!(parse(serde_json::json!({"id": did(), "service": service})).pds, None, "{endpoint}");
        }
        for bad in ["", "[]", "{}", r#"{"id":"did:plc:z72i7hdynmk6r22z27h6tvur"}"#, r#"{"id":7}"#] {
            assert!(DidDocument::parse(&did(), bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
