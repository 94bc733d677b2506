//! Who we are to other services, and whom they ask us for.
//!
//! A person's PDS forwards what their client asks of us (`atproto-proxy: did:web:HOST#plyr_appview`) with a token that it
//! signs with the person's own key. So anybody on the network is known here without ever signing in, and the token says
//! who, to whom, what for and for how long: <https://atproto.com/specs/xrpc#inter-service-authentication-jwt>.

mod token;
mod used;

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use indexer::identity::{DidDocument, Identity, IdentityError};
use indexer::syntax::Did;
use serde_json::json;
use url::{Host, Url};

use crate::App;
use crate::error::Error;
use crate::limit::{Limit, Rate};
pub(crate) use token::{BadToken, Role, Token};
pub use used::sweep;
pub(crate) use used::{Pass, claim};

/// The entries of our document, with their types: clients of ours, Bluesky's feeds, and editors that look for something to mention
/// each forward their requests by one of their own.
pub(crate) const ENTRIES: [(&str, &str); 3] = [
    ("plyr_appview", "PlyrAppView"),
    ("bsky_fg", "BskyFeedGenerator"),
    ("mention_search", "MentionSearchService"),
];

/// Documents looked up because a token names somebody whose document is not at hand, or whose key does not fit. Whoever
/// sends tokens chooses the names, so that this is bounded for each address, from which a whole PDS may call, and for all together:
/// the directory is not theirs to press, and nobody shuts out the others.
const LOOKUPS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(600).unwrap();
const LOOKUPS_OF_ALL_PER_MINUTE: NonZeroU32 = NonZeroU32::new(6000).unwrap();
/// Of these, for a key that does not fit: of one person.
const REFRESHES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// Our side of it. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// None where nobody could find us by it.
    did: Option<String>,
    lookups: Limit,
    lookups_of_all: Limit,
    refreshes: Limit,
}

impl Service {
    pub fn new(public_url: &Url) -> Self {
        let shared = Shared {
            did: did(public_url),
            lookups: Limit::new(Rate::per_minute(LOOKUPS_PER_MINUTE)),
            lookups_of_all: Limit::new(Rate::per_minute(LOOKUPS_OF_ALL_PER_MINUTE)),
            refreshes: Limit::new(Rate::per_minute(REFRESHES_PER_MINUTE)),
        };
        Service { shared: Arc::new(shared) }
    }

    /// Our DID, where others can find its document.
    pub fn did(&self) -> Option<&str> {
        self.shared.did.as_deref()
    }

    /// Reads and proves a token for a call of `nsid`, that came `from` an address if that says anything.
    pub async fn accept(
        &self,
        identity: &Identity,
        text: &str,
        nsid: &str,
        from: Option<String>,
    ) -> Result<Token, Error> {
        let accepted = match Token::read(text, self.shared.did.as_deref(), nsid, Utc::now().timestamp()) {
            Ok(token) => self.prove(identity, &token, text, from).await.map(|()| token),
            Err(bad) => Err(bad.into()),
        };
        let outcome = accepted.as_ref().map_or_else(Error::name, |_| "accepted");
        metrics::counter!("plyr_service_tokens_total", "outcome" => outcome).increment(1);
        accepted
    }

    /// Holds the signature against the key in the issuer's document; once more against the document as it is now, if it may
    /// have changed since we read it.
    async fn prove(
        &self,
        identity: &Identity,
        token: &Token,
        text: &str,
        from: Option<String>,
    ) -> Result<(), Error> {
        let did = &token.issuer;
        let Some(cached) = identity.cached(did).await else {
            self.may_look_up(from)?;
            let document = identity.document(did).await.map_err(|error| unknown(did, error))?;
            return verify(token, text, &document);
        };
        let document = cached.map_err(|error| unknown(did, error))?;
        let Err(bad) = verify(token, text, &document) else { return Ok(()) };
        // A key that does not fit may be an old one of theirs; or anybody's nonsense, again and again.
        if self.shared.refreshes.take(did.as_str()).is_err() {
            return Err(bad);
        }
        self.may_look_up(from)?;
        let document = identity.refresh(did).await.map_err(|error| unknown(did, error))?;
        verify(token, text, &document)
    }

    fn may_look_up(&self, from: Option<String>) -> Result<(), Error> {
        let own = from.map_or(Ok(0), |from| self.shared.lookups.take(from));
        match own.and_then(|_| self.shared.lookups_of_all.take("all")) {
            Ok(_) => Ok(()),
            Err(_) => Err(Error::overloaded("too many callers are looked up now")),
        }
    }
}

fn verify(token: &Token, text: &str, document: &DidDocument) -> Result<(), Error> {
    let key = match token.role {
        Role::Account => &document.signing_key,
        Role::Labeler => &document.label_key,
    };
    let key = key.as_ref().and_then(|key| key.key.as_ref());
    let key = key.ok_or(BadToken::Issuer("its document names no key to sign with"))?;
    Ok(token.verify(text, key)?)
}

/// That nobody could be asked says nothing about the token.
fn unknown(did: &Did, error: IdentityError) -> Error {
    match error {
        IdentityError::Unreachable(_) => {
            Error::unreachable("the key of the token's issuer cannot be looked up now", error)
        }
        IdentityError::NotFound | IdentityError::Tombstoned | IdentityError::Unusable(_) => {
            tracing::debug!(%did, %error, "a token of nobody");
            BadToken::Issuer("it cannot be resolved").into()
        }
    }
}

/// `did:web:HOST`. Only where others can find its document: on https by a name, or on this machine, for which the network
/// has one name. <https://atproto.com/specs/did#blessed-did-methods>
fn did(public_url: &Url) -> Option<String> {
    let host = match public_url.host()? {
        Host::Domain("localhost") => "localhost",
        Host::Domain(name) if public_url.scheme() == "https" => name,
        Host::Ipv4(address) if address.is_loopback() => "localhost",
        Host::Ipv6(address) if address.is_loopback() => "localhost",
        Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => return None,
    };
    let port = public_url.port().map(|port| format!("%3A{port}")).unwrap_or_default();
    Some(format!("did:web:{host}{port}"))
}

/// `GET /.well-known/did.json`.
pub(crate) async fn document(State(app): State<App>) -> Result<Response, Error> {
    let missing = || Error::not_found("this server has no DID: its public URL is not on https");
    let did = app.service.shared.did.as_deref().ok_or_else(missing)?;
    let origin = app.options.public_url.origin().ascii_serialization();
    let document = json!({
        "@context": ["https://www.w3.org/ns/did/v1"],
        "id": did,
        "service": ENTRIES.map(|(id, kind)| json!({"id": format!("#{id}"), "type": kind, "serviceEndpoint": origin})),
    });
    Ok(([(CACHE_CONTROL, "public, max-age=300")], Json(document)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_did_is_where_it_can_be_found() {
        for (url, wanted) in [
            ("https://plyr.example", Some("did:web:plyr.example")),
            ("https://Plyr.example:443/", Some("did:web:plyr.example")),
            ("https://plyr.example:8443", Some("did:web:plyr.example%3A8443")),
            ("http://localhost:3000", Some("did:web:localhost%3A3000")),
            // Addresses are no names.
            ("http://127.0.0.1:3000", Some("did:web:localhost%3A3000")),
            ("http://[::1]:3000", Some("did:web:localhost%3A3000")),
            ("http://plyr.example", None),
            ("http://192.168.0.7:3000", None),
            ("https://192.0.2.7", None),
        ] {
            assert_eq!(did(&url.parse().expect("a URL")).as_deref(), wanted, "{url}");
        }
    }
}
