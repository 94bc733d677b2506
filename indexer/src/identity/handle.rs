//! From a handle to the DID it stands for, by <https://atproto.com/specs/handle#handle-resolution>.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::{RData, RecordType};
use moka::future::Cache;
use serde::Deserialize;
use url::Url;

use super::{Identity, IdentityError, IdentityOptions};
use crate::net::NetError;
use crate::syntax::{Did, Handle};

/// How long an answer is remembered.
const TTL: Duration = Duration::from_secs(60);
/// The largest answer that is read; a DID has 2,048 bytes at most.
const ANSWER_CAP_BYTES: u64 = 4 * 1024;
/// Top-level domains that the protocol keeps out of handles. (`.test` is for development and may resolve there.)
const RESERVED: [&str; 8] = ["alt", "arpa", "example", "internal", "invalid", "local", "localhost", "onion"];

type Answer = Result<Option<Did>, IdentityError>;

/// Answers of the last minute; errors are not remembered.
#[derive(Debug)]
pub(super) struct Handles(Cache<Handle, Option<Did>>);

impl Handles {
    pub(super) fn new(options: &IdentityOptions) -> Self {
        Handles(Cache::builder().max_capacity(options.capacity).time_to_live(TTL).build())
    }

    pub(super) async fn get<F: Future<Output = Answer>>(
        &self,
        handle: &Handle,
        ask: impl Fn() -> F,
    ) -> Answer {
        self.0.try_get_with_by_ref(handle, ask()).await.map_err(|error: Arc<IdentityError>| (*error).clone())
    }

    pub(super) async fn refresh<F: Future<Output = Answer>>(
        &self,
        handle: &Handle,
        ask: impl Fn() -> F,
    ) -> Answer {
        let did = ask().await?;
        self.0.insert(handle.clone(), did.clone()).await;
        Ok(did)
    }
}

impl Identity {
    pub(super) async fn lookup_handle(&self, handle: &Handle) -> Answer {
        if handle.as_str().rsplit('.').next().is_some_and(|top| RESERVED.contains(&top)) {
            return Ok(None);
        }
        if let Some(resolver) = &self.shared.options.handle_resolver_url {
            return self.ask_resolver(resolver, handle).await;
        }
        let dns_error = match self.lookup_txt(handle).await {
            Ok(None) => None,
            Ok(Some(found)) => return Ok(found),
            Err(error) => Some(error),
        };
        match (self.lookup_well_known(handle).await?, dns_error) {
            // DNS has the first word: while it is silent, a web server's silence proves nothing.
            (None, Some(error)) => Err(error),
            (did, _) => Ok(did),
        }
    }

    /// The TXT record of `_atproto.<handle>`. None where there is none; Some(None) where several contradict each other.
    async fn lookup_txt(&self, handle: &Handle) -> Result<Option<Option<Did>>, IdentityError> {
        let name = format!("_atproto.{handle}.");
        let resolver = self.shared.net.resolver();
        // Its cache may hold what was true before the change we are asked about; ours bounds how often we ask.
        resolver.clear_lookup_cache(&*name, RecordType::TXT);
        let lookup = match resolver.txt_lookup(&*name).await {
            Ok(lookup) => lookup,
            Err(error) if error.is_no_records_found() => return Ok(None),
            Err(error) => {
                return Err(IdentityError::Unreachable(NetError::Io(format!("DNS: {name}: {error}").into())));
            }
        };
        let texts = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        });
        let mut dids: Vec<String> =
            texts.filter_map(|text| Some(text.strip_prefix("did=")?.trim().to_owned())).collect();
        dids.sort();
        dids.dedup();
        Ok(match &dids[..] {
            [] => None,
            [did] => Some(did.parse().ok()),
            _ => Some(None),
        })
    }

    async fn lookup_well_known(&self, handle: &Handle) -> Answer {
        let url = format!("https://{handle}/.well-known/atproto-did");
        let url: Url = url.parse().map_err(IdentityError::unusable)?;
        match self.shared.net.get_bytes(&url, ANSWER_CAP_BYTES).await {
            Ok(body) => Ok(std::str::from_utf8(&body).ok().and_then(|text| text.trim().parse().ok())),
            Err(error) => names_none(error),
        }
    }

    async fn ask_resolver(&self, resolver: &Url, handle: &Handle) -> Answer {
        #[derive(Deserialize)]
        struct Resolved {
            did: Did,
        }
        let mut url = resolver.clone();
        let mut path =
            url.path_segments_mut().map_err(|()| IdentityError::unusable("the handle resolver's URL"))?;
        path.pop_if_empty().extend(["xrpc", "com.atproto.identity.resolveHandle"]);
        drop(path);
        url.query_pairs_mut().clear().append_pair("handle", handle.as_str());
        match self.shared.net.get_json::<Resolved>(&url, ANSWER_CAP_BYTES).await {
            Ok(resolved) => Ok(Some(resolved.did)),
            // A service that answers nonsense is broken; a 400 is how it says that it found nothing.
            Err(NetError::Status(status)) if matches!(status.code, 400 | 404) => Ok(None),
            Err(error) => Err(IdentityError::Unreachable(error)),
        }
    }
}

/// What an unsuccessful answer of the handle's own host means: that it names no DID, or that nobody knows.
fn names_none(error: NetError) -> Answer {
    match error {
        NetError::Status(ref status) if !error.is_transient() && (400..500).contains(&status.code) => {
            Ok(None)
        }
        NetError::Refused(_)
        | NetError::TooLarge { .. }
        | NetError::Malformed(_)
        | NetError::NoSuchName(_) => Ok(None),
        NetError::Status(_) | NetError::Timeout | NetError::Resting(_) | NetError::Io(_) => {
            Err(IdentityError::Unreachable(error))
        }
    }
}
