//! OAuth as ATProto speaks it: pushed requests, PKCE, DPoP, and servers found from a person's DID.
//!
//! Only the protocol is here; what is kept of it is [`crate::session`]'s. <https://atproto.com/specs/oauth>

pub(crate) mod client;
pub(crate) mod dpop;
pub(crate) mod key;
pub(crate) mod scope;
pub(crate) mod secret;
pub(crate) mod server;
mod token;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use bytes::Bytes;
use indexer::net::{Answer, Net, NetError, Payload, Request, SendError};
use reqwest::Method;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use sha2::{Digest, Sha256};
use url::Url;
use url::form_urlencoded::Serializer;

use client::{Client, ClientKey};
use dpop::{Nonces, Purpose};
use key::{Key, KeyError};
use secret::Secret;
use server::{Server, Servers};
pub(crate) use token::Tokens;

/// For one request to an authorization server.
const TIMEOUT: Duration = Duration::from_secs(15);
/// For one by which a refresh token is used up: giving up on its answer gives up the grant.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(120);
/// The longest answer of one.
const ANSWER_CAP_BYTES: u64 = 64 * 1024;

/// Why a step of OAuth failed. Holds nothing that must not be logged.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum OauthError {
    /// No answer.
    #[error("no answer: {0}")]
    Send(SendError),
    /// The server said no.
    #[error("refused with status {status}: {error}")]
    Refused {
        status: u16,
        /// OAuth's name for it: `invalid_grant`.
        error: String,
    },
    /// The server does not speak the protocol.
    #[error("unusable: {0}")]
    Unusable(Arc<str>),
    /// Our own fault.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl OauthError {
    pub(crate) fn unusable(why: impl std::fmt::Display) -> Self {
        OauthError::Unusable(why.to_string().into())
    }

    /// Whether the grant itself is dead, and not only this request.
    pub(crate) fn ends_grant(&self) -> bool {
        matches!(self, OauthError::Refused { error, .. } if error == "invalid_grant")
    }
}

/// A sign-in that was announced, and what is needed to finish it.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Where the browser goes next.
    pub url: Url,
    pub state: Secret,
    pub verifier: Secret,
    pub key: Key,
}

/// Speaks with authorization servers.
#[derive(Debug)]
pub(crate) struct Oauth {
    net: Net,
    pub client: Client,
    pub servers: Servers,
    pub nonces: Nonces,
}

impl Oauth {
    pub fn new(net: Net, client: Client) -> Self {
        Oauth { servers: Servers::new(net.clone()), net, client, nonces: Nonces::new() }
    }

    /// Announces a sign-in (RFC 9126). `login_hint` is who is expected to come.
    pub async fn begin(
        &self,
        server: &Server,
        client_key: Option<&ClientKey>,
        login_hint: &str,
    ) -> Result<Begun, OauthError> {
        let (state, verifier, key) = (Secret::random(), Secret::random(), Key::generate()?);
        let challenge = BASE64.encode(Sha256::digest(verifier.as_str()));
        let fields = [
            ("response_type", "code"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("state", state.as_str()),
            ("redirect_uri", &self.client.redirect_uri),
            ("scope", &self.client.scope),
            ("login_hint", login_hint),
        ];
        let answer = self.post(server, &server.par, (client_key, &key), &fields, TIMEOUT).await?;
        #[derive(serde::Deserialize)]
        struct Announced {
            request_uri: String,
        }
        let announced: Announced =
            serde_json::from_slice(&answer.body).map_err(|_| OauthError::unusable("its answer to PAR"))?;
        let mut url = server.authorization.clone();
        url.query_pairs_mut()
            .append_pair("client_id", &self.client.id)
            .append_pair("request_uri", &announced.request_uri);
        Ok(Begun { url, state, verifier, key })
    }

    /// Turns the code of a callback into tokens.
    pub async fn exchange(
        &self,
        server: &Server,
        client_key: Option<&ClientKey>,
        (key, verifier, code): (&Key, &Secret, &Secret),
    ) -> Result<Tokens, OauthError> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", &self.client.redirect_uri),
            ("code_verifier", verifier.as_str()),
        ];
        let answer = self.post(server, &server.token, (client_key, key), &fields, TIMEOUT).await?;
        Tokens::read(&answer.body)
    }

    /// Turns a refresh token into new tokens; the old one is worth nothing afterwards.
    pub async fn refresh(
        &self,
        server: &Server,
        client_key: Option<&ClientKey>,
        (key, refresh_token): (&Key, &Secret),
    ) -> Result<Tokens, OauthError> {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh_token.as_str())];
        let answer = self.post(server, &server.token, (client_key, key), &fields, REFRESH_TIMEOUT).await?;
        Tokens::read(&answer.body)
    }

    /// Ends a grant at its server (RFC 7009), where the server can.
    pub async fn revoke(
        &self,
        server: &Server,
        client_key: Option<&ClientKey>,
        (key, token): (&Key, &Secret),
    ) -> Result<(), OauthError> {
        let Some(url) = &server.revocation else { return Ok(()) };
        self.post(server, url, (client_key, key), &[("token", token.as_str())], TIMEOUT).await.map(|_| ())
    }

    /// A form to an endpoint of a server, again where it asks for a nonce. Any answer but success is an error.
    async fn post(
        &self,
        server: &Server,
        url: &Url,
        (client_key, key): (Option<&ClientKey>, &Key),
        fields: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Answer, OauthError> {
        let mut asked_for_nonce = false;
        loop {
            // A new assertion each time: they too are for one use.
            let credentials = self.client.credentials(client_key, &server.issuer)?;
            let form =
                Serializer::new(String::new()).extend_pairs(&credentials).extend_pairs(fields).finish();
            let nonce = self.nonces.get(key, url).await;
            let purpose = Purpose { method: "POST", url, nonce: nonce.as_deref(), access_token: None };
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            headers.insert("dpop", sensitive(dpop::proof(key, &purpose)?)?);
            let request = Request {
                method: Method::POST,
                url,
                headers,
                payload: Payload::Bytes(Bytes::from(form)),
                timeout,
                cap_bytes: ANSWER_CAP_BYTES,
            };
            let answer = self.net.send(request).await.map_err(OauthError::Send)?;
            let has_nonce = self.nonces.learn(key, url, &answer.headers).await;
            if (200..300).contains(&answer.status) {
                return Ok(answer);
            }
            if has_nonce
                && !asked_for_nonce
                && dpop::wants_nonce(answer.status, &answer.headers, &answer.body)
            {
                asked_for_nonce = true;
                continue;
            }
            return Err(refusal(&answer));
        }
    }
}

/// What an unsuccessful answer says. A server that is only out of order has said nothing about the grant.
fn refusal(answer: &Answer) -> OauthError {
    if matches!(answer.status, 408 | 425 | 429 | 500..) {
        let why = NetError::Io(format!("status {}", answer.status).into());
        return OauthError::Send(SendError::Unanswered(why));
    }
    let body: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let error = body.as_ref().and_then(|body| body["error"].as_str()).unwrap_or_default();
    // Its description may repeat what we sent; its name cannot, where it is one of OAuth's.
    let is_name = error.len() <= 64 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let error = if is_name && !error.is_empty() { error } else { "unknown" };
    OauthError::Refused { status: answer.status, error: error.to_owned() }
}

/// A header that no debug output shows.
pub(crate) fn sensitive(value: String) -> Result<HeaderValue, OauthError> {
    let mut value =
        HeaderValue::try_from(value).map_err(|_| OauthError::unusable("a token that is no header"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_invalid_grant_ends_a_grant() {
        let answered = |status: u16, body: &str| {
            refusal(&Answer {
                status,
                headers: HeaderMap::new(),
                body: Bytes::copy_from_slice(body.as_bytes()),
            })
        };
        assert!(answered(400, r#"{"error":"invalid_grant","error_description":"x"}"#).ends_grant());
        assert!(!answered(400, r#"{"error":"invalid_client"}"#).ends_grant());
        assert!(!answered(503, r#"{"error":"invalid_grant"}"#).ends_grant());
        assert!(!answered(400, "<html>").ends_grant());
        let hostile = answered(400, r#"{"error":"token eyJhbGciOi"}"#).to_string();
        assert_eq!(hostile, "refused with status 400: unknown");
    }
}
