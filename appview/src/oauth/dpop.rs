//! Proofs that a token is used by whom it was given to (RFC 9449).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use moka::future::Cache;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::key::{Key, KeyError};
use super::secret::Secret;

/// Nonces held; a forgotten one costs one more request.
const NONCES_MAX: u64 = 20_000;
/// The longest nonce that is sent back.
const NONCE_MAX_BYTES: usize = 512;
/// The error by which a server asks for its nonce.
const USE_NONCE: &str = "use_dpop_nonce";

/// What a proof is for.
#[derive(Debug)]
pub(crate) struct Purpose<'a> {
    pub method: &'a str,
    pub url: &'a Url,
    /// What the server asked to find in the proof.
    pub nonce: Option<&'a str>,
    /// The token it goes with; none at the authorization server.
    pub access_token: Option<&'a Secret>,
}

/// The value of a `DPoP` header.
pub(crate) fn proof(key: &Key, purpose: &Purpose<'_>) -> Result<String, KeyError> {
    let mut claims = json!({
        "jti": Secret::random().as_str(),
        "htm": purpose.method,
        "htu": htu(purpose.url),
        "iat": chrono::Utc::now().timestamp(),
    });
    if let Some(nonce) = purpose.nonce {
        claims["nonce"] = nonce.into();
    }
    if let Some(token) = purpose.access_token {
        claims["ath"] = BASE64.encode(Sha256::digest(token.as_str())).into();
    }
    key.sign(json!({"typ": "dpop+jwt", "jwk": key.public_jwk()}), &claims)
}

/// The URL as proofs name it: without query and fragment.
fn htu(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

/// The nonces that servers gave last, by key and origin: each grant and each sign-in has a key of its own.
#[derive(Debug, Clone)]
pub(crate) struct Nonces(Cache<(String, String), String>);

impl Nonces {
    pub fn new() -> Self {
        Nonces(Cache::new(NONCES_MAX))
    }

    pub async fn get(&self, key: &Key, url: &Url) -> Option<String> {
        self.0.get(&(key.thumbprint(), url.origin().ascii_serialization())).await
    }

    /// Remembers the nonce of an answer. Returns whether it brought one.
    pub async fn learn(&self, key: &Key, url: &Url, headers: &HeaderMap) -> bool {
        let nonce = headers.get("dpop-nonce").and_then(|value| value.to_str().ok());
        let Some(nonce) = nonce.filter(|nonce| !nonce.is_empty() && nonce.len() <= NONCE_MAX_BYTES) else {
            return false;
        };
        self.0.insert((key.thumbprint(), url.origin().ascii_serialization()), nonce.to_owned()).await;
        true
    }
}

/// Whether an answer only asks for the nonce it brings: 400 at an authorization server, 401 at a resource.
pub(crate) fn wants_nonce(status: u16, headers: &HeaderMap, body: &[u8]) -> bool {
    if !matches!(status, 400 | 401) {
        return false;
    }
    let challenged = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.to_ascii_lowercase().contains(USE_NONCE)));
    let named = || {
        let body: Option<Value> = serde_json::from_slice(body).ok();
        body.is_some_and(|body| body["error"] == USE_NONCE)
    };
    challenged || named()
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::verify;
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn a_proof_says_what_it_is_for_and_verifies_by_its_own_key() {
        let key = Key::generate().expect("a key");
        let at = url("https://pds.example/xrpc/com.atproto.repo.putRecord?a=b&c=d#e");
        let token = Secret::new("the-token");
        let purpose = Purpose { method: "POST", url: &at, nonce: Some("n-1"), access_token: Some(&token) };
        let jwt = proof(&key, &purpose).expect("a proof");
        let (header, claims) = verify(&jwt, &key.public_jwk()).expect("it verifies");
        assert_eq!(header["typ"], "dpop+jwt");
        assert_eq!(header["jwk"], key.public_jwk());
        assert_eq!(claims["htm"], "POST");
        assert_eq!(claims["htu"], "https://pds.example/xrpc/com.atproto.repo.putRecord");
        assert_eq!(claims["nonce"], "n-1");
        assert_eq!(claims["ath"], BASE64.encode(Sha256::digest("the-token")));
        assert!((chrono::Utc::now().timestamp() - claims["iat"].as_i64().expect("a time")).abs() < 5);
        let again = proof(&key, &purpose).expect("a proof");
        let (_, other) = verify(&again, &key.public_jwk()).expect("it verifies");
        assert_ne!(claims["jti"], other["jti"], "each is for one request");
        let bare = Purpose { nonce: None, access_token: None, ..purpose };
        let (_, claims) =
            verify(&proof(&key, &bare).expect("a proof"), &key.public_jwk()).expect("it verifies");
        assert!(claims.get("ath").is_none() && claims.get("nonce").is_none());
    }

    #[test]
    fn a_wish_for_a_nonce_is_told_from_a_refusal() {
        let mut challenge = HeaderMap::new();
        let value = r#"DPoP error="use_dpop_nonce", error_description="…""#;
        challenge.insert(
            WWW_AUTHENTICATE,
            reqwest::header::HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
        );
        let mut ascii = HeaderMap::new();
        ascii.insert(WWW_AUTHENTICATE, r#"DPoP error="use_dpop_nonce""#.parse().expect("a value"));
        let none = HeaderMap::new();
        assert!(wants_nonce(401, &ascii, b""));
        assert!(wants_nonce(400, &none, br#"{"error":"use_dpop_nonce"}"#));
        assert!(!wants_nonce(400, &none, br#"{"error":"invalid_grant"}"#));
        assert!(!wants_nonce(401, &none, b"use_dpop_nonce"));
        assert!(!wants_nonce(200, &ascii, b""));
        assert!(!wants_nonce(401, &challenge, b""), "unreadable");
    }

    #[tokio::test]
    async fn nonces_belong_to_a_key_and_an_origin() {
        let (nonces, key, other) =
            (Nonces::new(), Key::generate().expect("a key"), Key::generate().expect("a key"));
        let mut headers = HeaderMap::new();
        assert!(!nonces.learn(&key, &url("https://a.example/x"), &headers).await);
        headers.insert("dpop-nonce", "n".parse().expect("a value"));
        assert!(nonces.learn(&key, &url("https://a.example/x"), &headers).await);
        assert_eq!(nonces.get(&key, &url("https://a.example/y?z")).await.as_deref(), Some("n"));
        assert_eq!(nonces.get(&key, &url("https://b.example/x")).await, None);
        assert_eq!(nonces.get(&other, &url("https://a.example/x")).await, None);
        headers.insert("dpop-nonce", "n".repeat(600).parse().expect("a value"));
        assert!(!nonces.learn(&key, &url("https://a.example/x"), &headers).await);
    }
}
