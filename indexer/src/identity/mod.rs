//! Who an account is: its DID document and its handle.
//!
//! Documents are cached with a true time to live, however often they are asked for. What makes one old usually
//! announces itself: an `#identity` event invalidates it, a signature that does not verify refreshes it. The time to
//! live bounds the rest, above all how long a host which an account has left may go on speaking with its old key. Ten
//! minutes keeps that short and still asks a directory only a few times an hour for each account that is active.

mod cache;
mod document;
mod handle;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use self::document::{DidDocument, KeyKind, VerificationKey};
use crate::net::{Net, NetError};
use crate::syntax::{Did, Handle};

/// The largest document that is read.
const DOCUMENT_CAP_BYTES: u64 = 64 * 1024;

/// Where identities are looked up, and how long answers hold.
#[derive(Debug, Clone)]
pub struct IdentityOptions {
    /// The PLC directory. From the configuration, so exempt it in the [`Net`] where it is private.
    pub plc_url: Url,
    /// A service to resolve handles with `com.atproto.identity.resolveHandle` instead of DNS and https.
    pub handle_resolver_url: Option<Url>,
    /// How long a document is believed.
    pub ttl: Duration,
    /// How long the answer holds that a DID has no document.
    pub missing_ttl: Duration,
    /// How long a host that could not be reached is left alone.
    pub unreachable_ttl: Duration,
    /// How long a document that was true may stand in while its directory or host gives no usable answer: an outage must
    /// not silence the accounts we know.
    pub stale_ttl: Duration,
    /// The least time between two refreshes of one DID.
    pub refresh_interval: Duration,
    /// The least time between any two fetches of one DID: however often it is invalidated, the next fetch waits.
    pub fetch_interval: Duration,
    /// Documents held.
    pub capacity: u64,
}

impl IdentityOptions {
    /// The defaults, with this PLC directory.
    pub fn new(plc_url: Url) -> Self {
        IdentityOptions {
            plc_url,
            handle_resolver_url: None,
            ttl: Duration::from_secs(10 * 60),
            missing_ttl: Duration::from_secs(60),
            unreachable_ttl: Duration::from_secs(5),
            stale_ttl: Duration::from_secs(6 * 60 * 60),
            refresh_interval: Duration::from_secs(4),
            fetch_interval: Duration::from_secs(1),
            capacity: 50_000,
        }
    }
}

/// Why an identity is not known. Only the first two say something about the account: what could not be asked is unknown,
/// not gone.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IdentityError {
    /// Its directory or host knows no such DID.
    #[error("no such DID")]
    NotFound,
    /// Its directory says that it was deactivated for good.
    #[error("the DID is tombstoned")]
    Tombstoned,
    /// The answer cannot be used, or must not be fetched.
    #[error("unusable: {0}")]
    Unusable(Arc<str>),
    /// Nobody answered, or not now.
    #[error("not reachable: {0}")]
    Unreachable(NetError),
}

impl IdentityError {
    /// Whether asking again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, IdentityError::Unreachable(_))
    }

    fn unusable(why: impl std::fmt::Display) -> Self {
        IdentityError::Unusable(why.to_string().into())
    }
}

impl From<NetError> for IdentityError {
    fn from(error: NetError) -> Self {
        match error {
            NetError::Status(status) if status.code == 404 => IdentityError::NotFound,
            NetError::Status(status) if status.code == 410 => IdentityError::Tombstoned,
            NetError::Refused(_) | NetError::TooLarge { .. } | NetError::Malformed(_) => {
                IdentityError::unusable(error)
            }
            // Whatever else a host answers (403 of its edge, 429, 500) is about us or about now, not about the account.
            NetError::Status(_)
            | NetError::Timeout
            | NetError::Resting(_)
            | NetError::NoSuchName(_)
            | NetError::Io(_) => IdentityError::Unreachable(error),
        }
    }
}

/// Resolves DIDs and handles. Clones share their caches.
#[derive(Debug, Clone)]
pub struct Identity {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    net: Net,
    options: IdentityOptions,
    documents: cache::Documents,
    handles: handle::Handles,
}

impl Identity {
    /// An empty cache in front of the network.
    pub fn new(net: Net, options: IdentityOptions) -> Self {
        let documents = cache::Documents::new(&options);
        let handles = handle::Handles::new(&options);
        Identity { shared: Arc::new(Shared { net, options, documents, handles }) }
    }

    /// The document of a DID: `did:plc` from the PLC directory, `did:web` from its host. Many callers at once share one
    /// request.
    pub async fn document(&self, did: &Did) -> Result<Arc<DidDocument>, IdentityError> {
        self.shared.documents.get(did, || self.fetch(did)).await
    }

    /// What [`Identity::document`] would answer without asking anybody, for who has to count what they ask.
    pub async fn cached(&self, did: &Did) -> Option<Result<Arc<DidDocument>, IdentityError>> {
        self.shared.documents.cached(did).await
    }

    /// The document as it is now, for when the cached one failed to explain something: a signature above all. At most
    /// once in [`IdentityOptions::refresh_interval`] for each DID; in between, the last answer is given again, so that a
    /// stream of bad signatures is not a stream of requests.
    pub async fn refresh(&self, did: &Did) -> Result<Arc<DidDocument>, IdentityError> {
        self.shared.documents.refresh(did, || self.fetch(did)).await
    }

    /// The document as it is from this moment on, for what cannot be taken back: nothing that was asked for earlier is an
    /// answer, whichever process was told of a change. Callers who ask at once may still share a request begun after them.
    pub async fn renew(&self, did: &Did) -> Result<Arc<DidDocument>, IdentityError> {
        self.shared.documents.renew(did, || self.fetch(did)).await
    }

    /// Forgets the document because it is known to be old; requests on their way do not bring it back. Call it on every
    /// `#identity` event.
    pub async fn invalidate(&self, did: &Did) {
        self.shared.documents.invalidate(did).await;
    }

    /// The DID a handle stands for, remembered for a minute. None when its domain was asked and names none.
    pub async fn resolve_handle(&self, handle: &Handle) -> Result<Option<Did>, IdentityError> {
        self.shared.handles.get(handle, || self.lookup_handle(handle)).await
    }

    /// The handle of a document where it holds both ways: the document claims it, and it resolves to the DID now. None
    /// when there is none to show.
    pub async fn verified_handle(&self, document: &DidDocument) -> Result<Option<Handle>, IdentityError> {
        let Some(handle) = document.handles.first() else { return Ok(None) };
        let did = self.shared.handles.refresh(handle, || self.lookup_handle(handle)).await?;
        let agrees = did.as_ref() == Some(&document.did) || crate::sabotage::is_on("handle-one-way");
        Ok(agrees.then(|| handle.clone()))
    }

    async fn fetch(&self, did: &Did) -> Result<Arc<DidDocument>, IdentityError> {
        let url = self.document_url(did)?;
        let json = match self.shared.net.get_bytes(&url, DOCUMENT_CAP_BYTES).await {
            // Only the directory keeps tombstones; a web host that says so may be parked for an hour.
            Err(NetError::Status(status)) if status.code == 410 && !did.as_str().starts_with("did:plc:") => {
                return Err(IdentityError::NotFound);
            }
            answer => answer?,
        };
        DidDocument::parse(did, &json).map(Arc::new).map_err(IdentityError::unusable)
    }

    /// Where a DID's document is.
    fn document_url(&self, did: &Did) -> Result<Url, IdentityError> {
        let (method, id) = did.as_str()["did:".len()..].split_once(':').unwrap_or_default();
        match method {
            "plc" if id.len() == 24 && id.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')) => {
                let mut url = self.shared.options.plc_url.clone();
                let mut path =
                    url.path_segments_mut().map_err(|()| IdentityError::unusable("the PLC URL"))?;
                path.pop_if_empty().push(did.as_str());
                drop(path);
                Ok(url)
            }
            "web" => self.web_url(id),
            _ => Err(IdentityError::unusable("neither did:plc nor did:web")),
        }
    }

    /// `did:web:host` or `did:web:host%3Aport`; accounts have no paths. Plain http only for what the operator listed.
    fn web_url(&self, id: &str) -> Result<Url, IdentityError> {
        let host = percent_encoding::percent_decode_str(id).decode_utf8().map_err(IdentityError::unusable)?;
        if id.contains(':')
            || host.contains(['/', '\\', '?', '#', '@', '%'])
            || host.contains(char::is_whitespace)
        {
            return Err(IdentityError::unusable("not a did:web of a host"));
        }
        let at = |scheme: &str| format!("{scheme}://{host}/.well-known/did.json").parse::<Url>();
        let plain = at("http").map_err(IdentityError::unusable)?;
        if plain.port().is_some() && self.shared.net.is_exempt(&plain) {
            return Ok(plain);
        }
        at("https").map_err(IdentityError::unusable)
    }
}
