//! Documents by DID: each fetched once for all who wait, and no more often than its state allows.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use moka::Expiry;
use moka::future::{Cache, CacheBuilder};

use super::{DidDocument, IdentityError, IdentityOptions};
use crate::syntax::Did;

type Answer = Result<Arc<DidDocument>, IdentityError>;

/// An answer and the moment the question was put: what it says may be older than its arrival, but not than that.
#[derive(Debug, Clone)]
struct Entry {
    asked_at: Instant,
    answer: Answer,
    /// An older document, given because none could be had now.
    is_stand_in: bool,
}

impl Entry {
    fn is_before(&self, moment: Option<Instant>) -> bool {
        moment.is_some_and(|moment| self.asked_at < moment)
    }
}

type ByDid<V> = Cache<Did, V, RandomState>;

fn built<V: Clone + Send + Sync + 'static>(cache: CacheBuilder<Did, V, Cache<Did, V>>) -> ByDid<V> {
    cache.build_with_hasher(RandomState::default())
}

#[derive(Debug)]
pub(super) struct Documents {
    /// What is believed now.
    current: ByDid<Entry>,
    /// The last document of each DID that was true, for when it cannot be had.
    last_good: ByDid<Entry>,
    /// The refreshes of the last few seconds.
    refreshed: ByDid<Entry>,
    /// From when on an answer must be to be believed. Kept for as long as an older answer could stand in `current`, as a
    /// request on its way may put one there after the invalidation.
    not_before: ByDid<Instant>,
    /// When each DID was last fetched.
    fetched: ByDid<Instant>,
    fetch_interval: Duration,
}

impl Documents {
    pub(super) fn new(options: &IdentityOptions) -> Self {
        let sized = || Cache::builder().max_capacity(options.capacity);
        let expiry = ByAnswer {
            ttl: options.ttl,
            missing_ttl: options.missing_ttl,
            unreachable_ttl: options.unreachable_ttl,
        };
        let instants = |ttl| built(Cache::builder().max_capacity(options.capacity).time_to_live(ttl));
        Documents {
            current: built(sized().expire_after(expiry)),
            last_good: built(sized().time_to_live(options.stale_ttl)),
            refreshed: built(sized().time_to_live(options.refresh_interval)),
            not_before: instants(options.ttl.max(options.missing_ttl) + Duration::from_secs(60)),
            fetched: instants(options.fetch_interval),
            fetch_interval: options.fetch_interval,
        }
    }

    /// The cached answer, or the one fetched now.
    pub(super) async fn get<F: Future<Output = Answer>>(&self, did: &Did, fetch: impl Fn() -> F) -> Answer {
        // Taken once: invalidations that come while we wait are for those who ask after us.
        let not_before = self.not_before.get(did).await;
        loop {
            let ask = async { self.or_stand_in(did, self.ask(did, &fetch).await).await };
            let slot = self.current.entry_by_ref(did);
            let entry = slot.or_insert_with_if(ask, |entry| entry.is_before(not_before)).await.into_value();
            // Too old only if another caller's request, begun before the invalidation, has just been shared with us.
            if !entry.is_before(not_before) {
                return entry.answer;
            }
        }
    }

    /// The cached answer, if there is one.
    pub(super) async fn cached(&self, did: &Did) -> Option<Answer> {
        let entry = self.current.get(did).await?;
        let is_old = entry.is_before(self.not_before.get(did).await);
        (!is_old).then_some(entry.answer)
    }

    /// The answer fetched now, unless that was done within the refresh interval.
    pub(super) async fn refresh<F: Future<Output = Answer>>(
        &self,
        did: &Did,
        fetch: impl Fn() -> F,
    ) -> Answer {
        let not_before = self.not_before.get(did).await;
        let ask = async {
            let entry = self.ask(did, &fetch).await;
            // An outage says nothing about the document we have.
            if !matches!(&entry.answer, Err(error) if error.is_transient()) {
                self.not_before.insert(did.clone(), entry.asked_at).await;
                self.current.insert(did.clone(), entry.clone()).await;
            }
            entry
        };
        let slot = self.refreshed.entry_by_ref(did);
        slot.or_insert_with_if(ask, |entry| entry.is_before(not_before)).await.into_value().answer
    }

    /// The answer to a question put from now on. The last document goes on standing in for `get`.
    pub(super) async fn renew<F: Future<Output = Answer>>(&self, did: &Did, fetch: impl Fn() -> F) -> Answer {
        self.not_before.insert(did.clone(), Instant::now()).await;
        self.refresh(did, fetch).await
    }

    pub(super) async fn invalidate(&self, did: &Did) {
        self.not_before.insert(did.clone(), Instant::now()).await;
        self.current.invalidate(did).await;
        self.last_good.invalidate(did).await;
    }

    async fn ask<F: Future<Output = Answer>>(&self, did: &Did, fetch: impl Fn() -> F) -> Entry {
        if let Some(last) = self.fetched.get(did).await {
            tokio::time::sleep(self.fetch_interval.saturating_sub(last.elapsed())).await;
        }
        let asked_at = Instant::now();
        self.fetched.insert(did.clone(), asked_at).await;
        let entry = Entry { asked_at, answer: fetch().await, is_stand_in: false };
        match &entry.answer {
            Ok(_) if !entry.is_before(self.not_before.get(did).await) => {
                self.last_good.insert(did.clone(), entry.clone()).await;
            }
            Err(IdentityError::NotFound | IdentityError::Tombstoned) => self.last_good.invalidate(did).await,
            _ => {}
        }
        entry
    }

    /// The last good document in place of an answer that says nothing about the account.
    async fn or_stand_in(&self, did: &Did, entry: Entry) -> Entry {
        let says_nothing =
            matches!(entry.answer, Err(IdentityError::Unreachable(_) | IdentityError::Unusable(_)));
        match self.last_good.get(did).await {
            Some(last) if says_nothing => {
                tracing::warn!(%did, error = ?entry.answer.err(), "using an older DID document");
                Entry { answer: last.answer, is_stand_in: true, ..entry }
            }
            _ => entry,
        }
    }
}

/// How long an entry lives depends on what it says.
struct ByAnswer {
    ttl: Duration,
    missing_ttl: Duration,
    unreachable_ttl: Duration,
}

impl Expiry<Did, Entry> for ByAnswer {
    fn expire_after_create(&self, _: &Did, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(match &entry.answer {
            _ if entry.is_stand_in => self.unreachable_ttl,
            Ok(_) => self.ttl,
            Err(error) if error.is_transient() => self.unreachable_ttl,
            Err(_) => self.missing_ttl,
        })
    }

    fn expire_after_update(
        &self,
        did: &Did,
        entry: &Entry,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(did, entry, now)
    }
}
