//! Who is asking, and how we act for them at their PDS.
//!
//! A session is a row whose name is the hash of a token that its browser or program holds, and whose content is the grant of
//! one sign-in: tokens and the key they are bound to, sealed. A person has as many as they signed in, each by itself.

mod call;
mod failure;
mod keys;
mod list;
mod refresh;
mod row;
mod seal;
mod signin;
mod unclaimed;
mod viewer;

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use indexer::Indexer;
use indexer::net::NetError;
use indexer::syntax::Did;
use moka::future::Cache;
use sqlx::PgPool;
use tokio::sync::{Mutex, OnceCell};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use url::Url;

use crate::detail::Detail;
use crate::oauth::Oauth;
use crate::oauth::client::{Client, ClientKey};
use crate::oauth::scope;
use crate::service::Pass;
pub(crate) use failure::SignInError;
pub use seal::{SecretKey, SecretKeyError};
pub(crate) use signin::{Callback, Developer, Flow};
pub(crate) use unclaimed::Unclaimed;
pub(crate) use viewer::{COOKIE_NAME, Met, Nobody, cookie, is_own_origin, meet};

/// Life of a session whose grant anybody could have asked for, and of one that needs our key.
const LIFE_PUBLIC: TimeDelta = TimeDelta::days(14);
const LIFE_CONFIDENTIAL: TimeDelta = TimeDelta::days(180);
/// Sessions whose refreshes are kept in order within this process.
const FLIGHTS_MAX: u64 = 10_000;

/// Names a session: the SHA-256 of the token that its browser or client holds. The token itself is kept nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 32]);

/// Who asks. As an extractor it refuses with 401 who is not known; `Option<Viewer>` lets anybody pass.
///
/// A request that may change something and carries the cookie must come from a page of ours (its `Origin`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    /// Who.
    pub did: Did,
    /// By what we know.
    by: Credential,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Credential {
    /// A cookie or a token of ours: they signed in here.
    Session(SessionId),
    /// A token of their PDS: only XRPC takes these.
    Service(Pass),
}

/// Somebody who signed in here, so that we can act for them at their PDS. As an extractor it refuses with 401 who did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// Who.
    pub did: Did,
    /// By which of their sessions.
    pub session: SessionId,
}

/// Sessions and the grants behind them. Clones share everything.
#[derive(Debug, Clone)]
pub struct Sessions {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    indexer: Indexer,
    /// None where nobody can sign in.
    oauth: Option<Oauth>,
    scope: String,
    sealer: seal::Sealer,
    keys: OnceCell<Vec<ClientKey>>,
    flights: Cache<SessionId, Arc<Mutex<refresh::Flight>>>,
    tasks: TaskTracker,
}

/// A call of an XRPC method of the person's own PDS, as that person.
#[derive(Debug, Clone)]
pub struct PdsRequest<'a> {
    /// The method: `com.atproto.repo.putRecord`.
    pub nsid: &'a str,
    /// A procedure's input; a query has none.
    pub body: PdsBody<'a>,
    /// Query parameters.
    pub query: &'a [(&'a str, &'a str)],
    /// For one attempt, the whole answer included.
    pub timeout: Duration,
}

/// What is sent along.
#[derive(Debug, Clone)]
pub enum PdsBody<'a> {
    /// Nothing: a query (GET).
    None,
    /// A procedure's JSON (POST).
    Json(&'a serde_json::Value),
    /// A file, streamed (POST). Sent again from its start where a nonce or a fresh token asks for it.
    File {
        /// Where it lies.
        path: &'a Path,
        /// Its `Content-Type`.
        mime: &'a str,
        /// Its length.
        size_bytes: u64,
        /// Counts what of it went out in the current attempt, in bytes.
        sent_bytes: &'a AtomicU64,
    },
}

/// What the PDS answered: any status, once the credentials were accepted.
#[derive(Debug, Clone)]
pub struct PdsAnswer {
    /// HTTP status.
    pub status: u16,
    /// At most 1 MiB.
    pub body: Bytes,
}

/// Why there is no answer of the PDS.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The grant is gone: revoked, replayed, expired, or the session was ended.
    #[error("session_expired")]
    SessionExpired,
    /// The grant does not cover the method or the collection.
    #[error("scope_upgrade_required")]
    ScopeMissing,
    /// Nothing was sent: the PDS or its authorization server could not be found or reached.
    #[error("not sent: {0}")]
    Unsent(#[source] anyhow::Error),
    /// It was sent, perhaps, and what came of it is not known.
    #[error("no answer: {0}")]
    Unanswered(#[source] NetError),
    /// Our own database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<CallError> for Detail {
    fn from(error: CallError) -> Self {
        match error {
            CallError::SessionExpired => Detail::unauthorized("session_expired"),
            CallError::ScopeMissing => Detail::forbidden("scope_upgrade_required"),
            CallError::Unsent(error) => Detail::upstream("your PDS could not be reached", error),
            CallError::Unanswered(error) => Detail::upstream("your PDS did not answer", error),
            CallError::Database(error) => error.into(),
        }
    }
}

impl Sessions {
    /// What we may keep of something that shall be known again, but by nobody without our key.
    pub(crate) fn fingerprint(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 16] {
        self.shared.sealer.fingerprint(purpose, parts)
    }

    /// Sessions of the server at `public_url`, for records in `namespace`. Connects to nothing yet.
    pub fn new(indexer: Indexer, public_url: &Url, namespace: &str, key: &SecretKey) -> Self {
        let scope = scope::wanted(namespace);
        let oauth = Client::new(public_url, &scope).map(|client| Oauth::new(indexer.net.clone(), client));
        let flights = Cache::builder().max_capacity(FLIGHTS_MAX).time_to_idle(Duration::from_secs(300));
        let shared = Shared {
            indexer,
            oauth,
            scope,
            sealer: seal::Sealer::new(key),
            keys: OnceCell::new(),
            flights: flights.build(),
            tasks: TaskTracker::new(),
        };
        Sessions { shared: Arc::new(shared) }
    }

    /// What they work with.
    pub(crate) fn indexer(&self) -> &Indexer {
        &self.shared.indexer
    }

    /// Whether people can sign in at all: not where the public URL is plain http off loopback.
    pub fn are_possible(&self) -> bool {
        self.shared.oauth.is_some()
    }

    /// How long a session lasts.
    pub(crate) fn life(&self) -> TimeDelta {
        match self.oauth().is_some_and(|oauth| oauth.client.is_confidential) {
            true => LIFE_CONFIDENTIAL,
            false => LIFE_PUBLIC,
        }
    }

    /// Runs what must come to its end, also when whoever asked for it has gone away. A stop waits for it.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.shared.tasks.spawn(task)
    }

    /// Waits, at most so long, for what was begun and must come to its end: a refresh whose answer is lost is a lost grant.
    pub async fn settle(&self, patience: Duration) {
        let tasks = &self.shared.tasks;
        tasks.close();
        if tokio::time::timeout(patience, tasks.wait()).await.is_err() {
            tracing::warn!(tasks = tasks.len(), "stopping in the middle of a write or a refresh");
        }
    }

    pub(crate) fn oauth(&self) -> Option<&Oauth> {
        self.shared.oauth.as_ref()
    }

    fn pool(&self) -> &PgPool {
        &self.shared.indexer.door.pool
    }
}
