//! From a PDS to its authorization server, each link checked.
//!
//! <https://atproto.com/specs/oauth#authorization-servers>

use std::sync::Arc;
use std::time::Duration;

use indexer::net::{Net, NetError, Payload, Request, SendError};
use moka::future::Cache;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::OauthError;

/// Metadata is a page of JSON.
const METADATA_CAP_BYTES: u64 = 64 * 1024;
/// For one document.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server's metadata is believed.
const TTL: Duration = Duration::from_secs(5 * 60);
/// Servers remembered.
const SERVERS_MAX: u64 = 10_000;

/// An authorization server that can do what the protocol demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// Its name, which is its origin.
    pub issuer: String,
    /// Where people are sent.
    pub authorization: Url,
    /// Where codes and refresh tokens become tokens.
    pub token: Url,
    /// Where requests are announced.
    pub par: Url,
    /// Where tokens are ended; not every server has one.
    pub revocation: Option<Url>,
}

#[derive(Deserialize)]
struct Resource {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
}

/// Only what is looked at. Lists that are absent hold nothing.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    pushed_authorization_request_endpoint: Url,
    revocation_endpoint: Option<Url>,
    #[serde(default)]
    response_types_supported: Vec<String>,
    #[serde(default)]
    grant_types_supported: Vec<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    dpop_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
    protected_resources: Option<Vec<String>>,
}

/// Finds authorization servers, and remembers them for a short time.
#[derive(Debug)]
pub(crate) struct Servers {
    net: Net,
    by_pds: Cache<Url, Arc<Server>>,
}

impl Servers {
    pub fn new(net: Net) -> Self {
        let by_pds = Cache::builder().max_capacity(SERVERS_MAX).time_to_live(TTL).build();
        Servers { net, by_pds }
    }

    /// The server that signs people of this PDS in.
    pub async fn of(&self, pds: &Url) -> Result<Arc<Server>, OauthError> {
        let found = self.by_pds.try_get_with_by_ref(pds, self.discover(pds)).await;
        found.map_err(|error: Arc<OauthError>| (*error).clone())
    }

    /// The same as it is now, for when something hangs on it.
    pub async fn of_now(&self, pds: &Url) -> Result<Arc<Server>, OauthError> {
        let server = self.discover(pds).await?;
        self.by_pds.insert(pds.clone(), server.clone()).await;
        Ok(server)
    }

    async fn discover(&self, pds: &Url) -> Result<Arc<Server>, OauthError> {
        let resource: Resource = self.fetch(pds, "/.well-known/oauth-protected-resource").await?;
        let issuer = issuer_of(&resource, pds)?;
        let metadata: Metadata = self.fetch(&issuer, "/.well-known/oauth-authorization-server").await?;
        let server = check(metadata, &origin(&issuer), pds)?;
        // The browser is sent there, past our guard.
        let may_visit = |url: &Url| url.scheme() == "https" || self.net.is_exempt(url);
        if !may_visit(&server.authorization) {
            return Err(OauthError::unusable("the authorization endpoint is not https"));
        }
        Ok(Arc::new(server))
    }

    async fn fetch<T: DeserializeOwned>(&self, host: &Url, path: &str) -> Result<T, OauthError> {
        let url = host.join(path).map_err(OauthError::unusable)?;
        let request = Request {
            method: Method::GET,
            url: &url,
            headers: HeaderMap::new(),
            payload: Payload::None,
            timeout: TIMEOUT,
            cap_bytes: METADATA_CAP_BYTES,
        };
        // A redirect would let the host name somebody else's document as its own.
        let answer = self.net.send(request).await.map_err(|error| match error.into_inner() {
            error @ (NetError::Refused(_) | NetError::TooLarge { .. }) => OauthError::unusable(error),
            error => OauthError::Send(SendError::Unsent(error)),
        })?;
        match answer.status {
            200 => serde_json::from_slice(&answer.body)
                .map_err(|error| OauthError::unusable(format!("{path}: {error}"))),
            408 | 425 | 429 | 500.. => {
                let why = format!("{path}: status {}", answer.status).into();
                Err(OauthError::Send(SendError::Unsent(NetError::Io(why))))
            }
            status => Err(OauthError::unusable(format!("{path}: status {status}"))),
        }
    }
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The one server that the PDS names for itself.
fn issuer_of(resource: &Resource, pds: &Url) -> Result<Url, OauthError> {
    if resource.resource.trim_end_matches('/') != origin(pds) {
        return Err(OauthError::unusable("the PDS's metadata is of another resource"));
    }
    let [issuer] = &resource.authorization_servers[..] else {
        return Err(OauthError::unusable("the PDS does not name one authorization server"));
    };
    let url: Url = issuer.parse().map_err(OauthError::unusable)?;
    if issuer.trim_end_matches('/') != origin(&url) {
        return Err(OauthError::unusable("the issuer is not a bare origin"));
    }
    Ok(url)
}

fn check(metadata: Metadata, issuer: &str, pds: &Url) -> Result<Server, OauthError> {
    if metadata.issuer != issuer {
        return Err(OauthError::unusable("the server calls itself by another name than its own"));
    }
    if metadata
        .protected_resources
        .is_some_and(|of| !of.iter().any(|one| one.trim_end_matches('/') == origin(pds)))
    {
        return Err(OauthError::unusable("the server does not know the PDS"));
    }
    let has = |list: &[String], item: &str| list.iter().any(|one| one == item);
    for (present, feature) in [
        (has(&metadata.response_types_supported, "code"), "response type code"),
        (has(&metadata.grant_types_supported, "authorization_code"), "authorization codes"),
        (has(&metadata.grant_types_supported, "refresh_token"), "refresh tokens"),
        (has(&metadata.code_challenge_methods_supported, "S256"), "PKCE by S256"),
        (has(&metadata.token_endpoint_auth_methods_supported, "none"), "public clients"),
        (has(&metadata.token_endpoint_auth_methods_supported, "private_key_jwt"), "private_key_jwt"),
        (has(&metadata.dpop_signing_alg_values_supported, "ES256"), "DPoP by ES256"),
        (has(&metadata.scopes_supported, "atproto"), "the scope atproto"),
        (metadata.authorization_response_iss_parameter_supported, "iss in its answers"),
        (metadata.client_id_metadata_document_supported, "clients by their metadata"),
    ] {
        if !present {
            return Err(OauthError::unusable(format!("the server lacks {feature}")));
        }
    }
    Ok(Server {
        issuer: metadata.issuer,
        authorization: metadata.authorization_endpoint,
        token: metadata.token_endpoint,
        par: metadata.pushed_authorization_request_endpoint,
        revocation: metadata.revocation_endpoint,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn good() -> Value {
        json!({
            "issuer": "https://as.example",
            "authorization_endpoint": "https://as.example/a",
            "token_endpoint": "https://as.example/t",
            "pushed_authorization_request_endpoint": "https://as.example/p",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
            "dpop_signing_alg_values_supported": ["ES256K", "ES256"],
            "scopes_supported": ["atproto"],
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": true,
        })
    }

    fn read(json: Value) -> Result<Server, OauthError> {
        let pds = "https://pds.example".parse().expect("a URL");
        let metadata = serde_json::from_value(json).map_err(OauthError::unusable)?;
        check(metadata, "https://as.example", &pds)
    }

    #[test]
    fn a_server_must_have_all_that_the_protocol_needs() {
        assert!(read(good()).is_ok());
        let mut with = good();
        with["protected_resources"] = json!(["https://pds.example/"]);
        assert!(read(with.clone()).is_ok());
        with["protected_resources"] = json!(["https://other.example"]);
        assert!(read(with).is_err());
        for key in good().as_object().expect("an object").keys() {
            let mut without = good();
            without.as_object_mut().expect("an object").remove(key);
            assert!(read(without).is_err(), "{key}");
        }
        let mut other = good();
        other["issuer"] = "https://as.example/".into();
        assert!(read(other).is_err(), "another name");
    }

    #[test]
    fn a_pds_names_one_server_by_its_origin() {
        let pds: Url = "https://pds.example".parse().expect("a URL");
        let issuer = |resource: &str, servers: &[&str]| {
            let authorization_servers = servers.iter().map(|server| (*server).to_owned()).collect();
            issuer_of(&Resource { resource: resource.into(), authorization_servers }, &pds)
        };
        assert!(issuer("https://pds.example", &["https://as.example"]).is_ok());
        assert!(issuer("https://other.example", &["https://as.example"]).is_err());
        assert!(issuer("https://pds.example", &[]).is_err());
        assert!(issuer("https://pds.example", &["https://a.example", "https://b.example"]).is_err());
        for bad in ["https://as.example/path", "as.example", "https://as.example?x", "https://u@as.example"] {
            assert!(issuer("https://pds.example", &[bad]).is_err(), "{bad}");
        }
    }
}
