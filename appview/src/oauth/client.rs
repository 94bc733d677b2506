//! Who we are to authorization servers.
//!
//! A server with a public https address is a confidential client: its id is the URL of its metadata, and it signs that it
//! is itself. One on loopback, for development, is the client that the protocol lets anybody be, and proves nothing.
//! <https://atproto.com/specs/oauth#clients>

use serde_json::{Value, json};
use url::{Host, Url};

use super::key::{Key, KeyError};
use super::secret::Secret;

/// Where the metadata of a confidential client is.
pub(crate) const METADATA_PATH: &str = "oauth-client-metadata.json";
/// Where its public keys are.
pub(crate) const JWKS_PATH: &str = ".well-known/jwks.json";
/// Where authorization servers send people back to.
const CALLBACK_PATH: &str = "auth/callback";
/// An assertion is used at once.
const ASSERTION_LIFE_S: i64 = 60;

/// A key of the client and its name in the published set.
#[derive(Debug)]
pub(crate) struct ClientKey {
    pub kid: String,
    pub key: Key,
}

/// Our identity.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub id: String,
    pub redirect_uri: String,
    /// Everything that is ever asked for.
    pub scope: String,
    /// Whether it proves itself by a key.
    pub is_confidential: bool,
    public_url: Url,
}

impl Client {
    /// None where the public URL is neither https nor http on a loopback address: no server would send anybody back there.
    pub fn new(public_url: &Url, scope: &str) -> Option<Self> {
        let at = |path: &str| format!("{}/{path}", public_url.as_str().trim_end_matches('/'));
        let redirect_uri = at(CALLBACK_PATH);
        let is_confidential = public_url.scheme() == "https";
        let id = match is_confidential {
            true => at(METADATA_PATH),
            false if is_loopback(public_url) => {
                let mut id = Url::parse("http://localhost").ok()?;
                id.query_pairs_mut().append_pair("redirect_uri", &redirect_uri).append_pair("scope", scope);
                // A bare origin before the query, as the protocol writes it.
                id.as_str().replacen("localhost/?", "localhost?", 1)
            }
            false => return None,
        };
        let (scope, public_url) = (scope.to_owned(), public_url.clone());
        Some(Client { id, redirect_uri, scope, is_confidential, public_url })
    }

    /// The document behind the id of a confidential client.
    pub fn metadata(&self) -> Option<Value> {
        let at = |path: &str| format!("{}/{path}", self.public_url.as_str().trim_end_matches('/'));
        self.is_confidential.then(|| {
            json!({
                "client_id": self.id,
                "client_name": "plyr",
                "client_uri": at(""),
                "application_type": "web",
                "grant_types": ["authorization_code", "refresh_token"],
                "response_types": ["code"],
                "redirect_uris": [self.redirect_uri],
                "scope": self.scope,
                "dpop_bound_access_tokens": true,
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_signing_alg": "ES256",
                "jwks_uri": at(JWKS_PATH),
            })
        })
    }

    /// What shows an authorization server that it is us (RFC 7523), beside the client's id.
    pub fn credentials(
        &self,
        key: Option<&ClientKey>,
        issuer: &str,
    ) -> Result<Vec<(&'static str, String)>, KeyError> {
        let mut fields = vec![("client_id", self.id.clone())];
        if let Some(ClientKey { kid, key }) = key {
            let now = chrono::Utc::now().timestamp();
            let claims = json!({
                "iss": self.id, "sub": self.id, "aud": issuer, "jti": Secret::random().as_str(),
                "iat": now, "exp": now + ASSERTION_LIFE_S,
            });
            let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
            fields.push(("client_assertion_type", kind.to_owned()));
            fields.push(("client_assertion", key.sign(json!({"kid": kid, "typ": "JWT"}), &claims)?));
        }
        Ok(fields)
    }
}

/// The public half of the client's keys (RFC 7517).
pub(crate) fn jwks<'a>(keys: impl Iterator<Item = &'a ClientKey>) -> Value {
    let keys = keys.map(|ClientKey { kid, key }| {
        let mut jwk = key.public_jwk();
        jwk["kid"] = kid.as_str().into();
        jwk["alg"] = "ES256".into();
        jwk["use"] = "sig".into();
        jwk
    });
    json!({"keys": keys.collect::<Vec<_>>()})
}

/// `localhost` does not count: redirects of the loopback client go to an address.
fn is_loopback(url: &Url) -> bool {
    url.scheme() == "http"
        && match url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            Some(Host::Domain(_)) | None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::verify;
    use super::*;

    fn client(url: &str) -> Option<Client> {
        Client::new(&url.parse().expect("a URL"), "atproto blob:*/*")
    }

    #[test]
    fn on_loopback_everybody_is_the_same_client() {
        let client = client("http://127.0.0.1:3000").expect("a client");
        assert_eq!(
            client.id,
            "http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%3A3000%2Fauth%2Fcallback\
             &scope=atproto+blob%3A*%2F*"
        );
        assert_eq!(client.redirect_uri, "http://127.0.0.1:3000/auth/callback");
        assert!(!client.is_confidential && client.metadata().is_none());
        for elsewhere in ["http://localhost:3000", "http://192.168.0.7:3000", "http://plyr.example"] {
            assert!(self::client(elsewhere).is_none(), "{elsewhere}");
        }
    }

    #[test]
    fn a_public_server_publishes_itself_and_signs() {
        let client = client("https://plyr.example").expect("a client");
        let metadata = client.metadata().expect("confidential");
        assert_eq!(metadata["client_id"], "https://plyr.example/oauth-client-metadata.json");
        assert_eq!(metadata["jwks_uri"], "https://plyr.example/.well-known/jwks.json");
        assert_eq!(metadata["redirect_uris"][0], "https://plyr.example/auth/callback");
        let key = ClientKey { kid: "k".into(), key: Key::generate().expect("a key") };
        let fields = client.credentials(Some(&key), "https://pds.example").expect("signed");
        let (_, assertion) = fields.iter().find(|(name, _)| *name == "client_assertion").expect("there");
        let published = jwks(std::iter::once(&key));
        let (header, claims) = verify(assertion, &published["keys"][0]).expect("it verifies");
        assert_eq!((&header["kid"], &published["keys"][0]["kid"]), (&"k".into(), &"k".into()));
        assert_eq!(claims["aud"], "https://pds.example");
        assert_eq!((&claims["iss"], &claims["sub"]), (&metadata["client_id"], &metadata["client_id"]));
        assert!(published["keys"][0].get("d").is_none());
    }
}
