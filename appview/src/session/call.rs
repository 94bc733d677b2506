//! A call at somebody's PDS, as that person.

use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use indexer::net::{Answer, Payload, Request, SendError};
use indexer::syntax::Did;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use url::Url;

use super::row::Held;
use super::{CallError, PdsAnswer, PdsBody, PdsRequest, SessionId, Sessions};
use crate::oauth::dpop::{self, Purpose};
use crate::oauth::{Oauth, scope, sensitive};

/// The longest answer of a PDS.
const ANSWER_CAP_BYTES: u64 = 1024 * 1024;
/// A file longer than this goes out only once a short request has shown that the PDS takes nonce and token.
const UNTRIED_MAX_BYTES: u64 = 256 * 1024;

impl Sessions {
    /// One call at the PDS of the session's owner: signed with its DPoP key, with a fresh token, again where the PDS asks
    /// for a nonce, and once more after a refresh where it takes the token for stale.
    pub async fn call(&self, session: &SessionId, request: &PdsRequest<'_>) -> Result<PdsAnswer, CallError> {
        if matches!(request.body, PdsBody::File { size_bytes, .. } if size_bytes > UNTRIED_MAX_BYTES) {
            let trial = PdsRequest {
                nsid: "com.atproto.server.getSession",
                body: PdsBody::None,
                query: &[],
                timeout: request.timeout,
            };
            // Whatever it says of the person: only nonce and token were to be tried.
            match self.call_once_fresh(session, &trial).await {
                Ok(_) | Err(CallError::ScopeMissing) => {}
                Err(error) => return Err(error),
            }
        }
        self.call_once_fresh(session, request).await
    }

    async fn call_once_fresh(
        &self,
        session: &SessionId,
        request: &PdsRequest<'_>,
    ) -> Result<PdsAnswer, CallError> {
        let oauth = self.oauth().ok_or(CallError::SessionExpired)?;
        let mut refused = None;
        loop {
            let held = self.fresh(session, refused).await?;
            if !is_covered(&held.grant.scope, request) {
                return Err(CallError::ScopeMissing);
            }
            let pds = self.pds_of(&held.did, false).await.map_err(CallError::Unsent)?;
            let answer = send(self, oauth, &held, &pds, request).await?;
            match answer.status {
                401 if refused.is_none() => refused = Some(held.version),
                // New tokens were refused too: this PDS does not want us.
                401 => return Err(CallError::SessionExpired),
                403 if lacks_scope(&answer) => return Err(CallError::ScopeMissing),
                status => return Ok(PdsAnswer { status, body: answer.body }),
            }
        }
    }

    /// Where the repo of a person is, as their DID document says now or, if that will do, said lately.
    pub(super) async fn pds_of(&self, did: &Did, now: bool) -> anyhow::Result<Arc<Url>> {
        let identity = &self.shared.indexer.identity;
        let document = if now { identity.refresh(did).await } else { identity.document(did).await };
        let document = document.context("the DID document")?;
        Ok(Arc::new(document.pds.clone().context("the DID document names no PDS")?))
    }
}

/// Sends it, and again if the PDS only wants its nonce in the proof.
async fn send(
    sessions: &Sessions,
    oauth: &Oauth,
    held: &Held,
    pds: &Url,
    request: &PdsRequest<'_>,
) -> Result<Answer, CallError> {
    let url = indexer::pds::xrpc(pds, request.nsid, request.query)
        .ok_or_else(|| CallError::Unsent(anyhow::anyhow!("not a method: {}", request.nsid)))?;
    let mut has_retried = false;
    loop {
        let request = signed(oauth, held, &url, request).await.map_err(CallError::Unsent)?;
        let answer = sessions.shared.indexer.net.send(request).await.map_err(|error| match error {
            SendError::Unsent(error) => CallError::Unsent(error.into()),
            SendError::Unanswered(error) => CallError::Unanswered(error),
        })?;
        let has_nonce = oauth.nonces.learn(&held.key, &url, &answer.headers).await;
        if !has_nonce || has_retried || !dpop::wants_nonce(answer.status, &answer.headers, &answer.body) {
            return Ok(answer);
        }
        has_retried = true;
    }
}

async fn signed<'a>(
    oauth: &Oauth,
    held: &Held,
    url: &'a Url,
    request: &PdsRequest<'a>,
) -> anyhow::Result<Request<'a>> {
    let (method, mime, payload) = match request.body {
        PdsBody::None => (Method::GET, None, Payload::None),
        PdsBody::Json(json) => {
            (Method::POST, Some("application/json"), Payload::Bytes(Bytes::from(serde_json::to_vec(json)?)))
        }
        PdsBody::File { path, mime, size_bytes, sent_bytes } => {
            (Method::POST, Some(mime), Payload::File { path, size_bytes, sent_bytes })
        }
    };
    let nonce = oauth.nonces.get(&held.key, url).await;
    let token = &held.grant.access_token;
    let purpose =
        Purpose { method: method.as_str(), url, nonce: nonce.as_deref(), access_token: Some(token) };
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(AUTHORIZATION, sensitive(format!("DPoP {}", token.as_str()))?);
    headers.insert("dpop", sensitive(dpop::proof(&held.key, &purpose)?)?);
    if let Some(mime) = mime {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(mime)?);
    }
    Ok(Request { method, url, headers, payload, timeout: request.timeout, cap_bytes: ANSWER_CAP_BYTES })
}

/// Whether the grant reaches so far: where it does not, the PDS need not be asked.
fn is_covered(granted: &str, request: &PdsRequest<'_>) -> bool {
    let (collection, mime) = match request.body {
        PdsBody::Json(json) => (json["collection"].as_str().unwrap_or_default(), ""),
        PdsBody::File { mime, .. } => ("", mime),
        PdsBody::None => ("", ""),
    };
    scope::allows(granted, request.nsid, collection, mime)
}

/// Whether a 403 is about the grant, and not about what was asked for.
fn lacks_scope(answer: &Answer) -> bool {
    let challenged = answer
        .headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .any(|value| value.to_str().is_ok_and(|value| value.contains("insufficient_scope")));
    let body: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let error = body.as_ref().and_then(|body| body["error"].as_str()).unwrap_or_default();
    challenged
        || matches!(error, "ScopeMissingError" | "ScopeMissing" | "InsufficientScope" | "insufficient_scope")
}
