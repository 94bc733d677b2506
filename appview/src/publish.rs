//! Writing to people's repos: the only caller of a PDS's record writes.
//!
//! ```text
//! wish ─► intent (committed) ─► PDS ─► the door, as Local, and the intent settled in one transaction
//!                                └─ no answer ─► the repo itself is asked, with proof
//! ```
//!
//! Wishes for the same thing share one row of `intent` and count its generation. One process at a time writes it to the
//! PDS, always the newest; whoever wished an older generation is answered with what became of the newest. So a double tap
//! is one record, and racing taps end in the last intention. What a dead process began, a job brings to its end.

mod drive;
mod execute;
mod intent;
mod lease;
mod pds;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use chrono::Utc;
use cid::Cid;
use indexer::change::{Input, Op as Change};
use indexer::job::{Handler, Job};
use indexer::syntax::{AtUri, Did, Nsid, Rkey, Tid};
use indexer::{Indexer, dag};
use moka::future::Cache;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::detail::Detail;
use crate::session::{CallError, Sessions, SignedIn};
use intent::{Op, Wish};

/// How long a request waits for its wish to be settled.
const PATIENCE: Duration = Duration::from_secs(50);
/// How often an edit is made anew on a version that came in between.
const EDITS_MAX: usize = 4;

/// Writes of one person at once. Their PDS puts them one after the other anyway, and so does the door, where each that waits
/// holds a connection: one person's hundred must not be everybody's wait.
const WRITES_AT_ONCE: usize = 4;
/// People whose turns are remembered; who has none has nothing under way.
const TURNS_MAX: u64 = 50_000;

/// Writes records. Clones share everything.
#[derive(Debug, Clone)]
pub struct Publisher {
    indexer: Indexer,
    sessions: Sessions,
    turns: Cache<Did, Arc<Semaphore>>,
}

/// A record as it stands on the PDS and here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its name.
    pub uri: AtUri,
    /// Its version.
    pub cid: Cid,
}

/// What became of a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The record stands.
    Written(Written),
    /// It is gone.
    Gone,
}

/// Why a write is not known to stand.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The grant is gone, does not reach so far, or nothing could be sent.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The PDS said no.
    #[error("the PDS refused it: {message}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The error's name: `InvalidRequest`.
        error: String,
        /// For people.
        message: String,
    },
    /// Another version stands there than the one it was made from.
    #[error("it was changed meanwhile")]
    Conflict,
    /// What came of it is not known yet. A job goes on asking and settles it.
    #[error("not confirmed yet")]
    Unsettled,
    /// There is no such record.
    #[error("no such record")]
    Missing,
    /// What was to be written breaks its lexicon: the field and why.
    #[error("{0}")]
    Unlawful(String),
    /// Our own fault.
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for PublishError {
    fn from(error: sqlx::Error) -> Self {
        PublishError::Call(CallError::Database(error))
    }
}

impl From<PublishError> for Detail {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Call(error) => error.into(),
            PublishError::Refused { message, error, status } => {
                let text = format!("your PDS refused it: {message}");
                Detail::upstream(text, anyhow::anyhow!("{status} {error}: {message}"))
            }
            PublishError::Conflict => Detail::new(StatusCode::CONFLICT, "it was changed elsewhere meanwhile"),
            PublishError::Unsettled => Detail::coded(
                StatusCode::SERVICE_UNAVAILABLE,
                "unsettled",
                "your PDS has not confirmed it yet; it is being asked again",
            )
            .later(3),
            PublishError::Missing => Detail::not_found("no such record"),
            PublishError::Unlawful(problem) => Detail::invalid("body", "record", problem),
            PublishError::Internal(error) => Detail::internal(error),
        }
    }
}

/// The name of a record that is yet to be written: a TID of now as its key, never the same twice in a process.
pub fn reserve(did: &Did, collection: &Nsid) -> AtUri {
    static LAST_US: AtomicI64 = AtomicI64::new(0);
    let now_us = Utc::now().timestamp_micros();
    let before = LAST_US.fetch_max(now_us, Ordering::Relaxed);
    let time_us = if before >= now_us { LAST_US.fetch_add(1, Ordering::Relaxed) + 1 } else { now_us };
    // Two processes share the microsecond; ten random bits keep them apart.
    let tid = Tid::from_timestamp_us(time_us, rand::random::<u16>());
    match tid.as_str().parse::<Rkey>() {
        Ok(rkey) => AtUri::new(did, collection, &rkey),
        // Thirteen characters of the alphabet of TIDs are a record key.
        Err(_) => unreachable!("a TID is a record key"),
    }
}

/// `createdAt` of now. To the microsecond, so that no two versions of a record are the same by accident.
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

impl Publisher {
    /// Writes through these sessions and their door.
    pub fn new(sessions: Sessions) -> Self {
        let turns = Cache::builder().max_capacity(TURNS_MAX).time_to_idle(Duration::from_secs(300)).build();
        Publisher { indexer: sessions.indexer().clone(), sessions, turns }
    }

    /// Waits until this person may begin another write.
    async fn turn(&self, did: &Did) -> Option<OwnedSemaphorePermit> {
        let turns = self.turns.get_with_by_ref(did, async { Arc::new(Semaphore::new(WRITES_AT_ONCE)) }).await;
        turns.acquire_owned().await.ok()
    }

    /// Makes a thing be (`record` given) or not be, for wishes that toggle: one record per person and subject, whoever wrote
    /// it. `verb` names the kind of wish, e.g. `like`; `fresh` is a reserved name, used where the wish has none yet.
    pub async fn toggle(
        &self,
        by: &SignedIn,
        verb: &str,
        subject: &AtUri,
        fresh: &AtUri,
        record: Option<&Value>,
    ) -> Result<Settled, PublishError> {
        let value = record.map(|record| self.encode(fresh, record)).transpose()?;
        let op = if value.is_some() { Op::Create } else { Op::Delete };
        let action = format!("{verb} {subject}");
        self.settle(Wish { by, action: &action, op, uri: fresh, value, swap_cid: None }).await
    }

    /// Puts a new record under a reserved name. The same call again, after a crash too, is the same record. `action` names
    /// the wish, e.g. `upload <id>`: two wishes of one name within ten seconds are one.
    pub async fn create(
        &self,
        by: &SignedIn,
        action: &str,
        uri: &AtUri,
        record: &Value,
    ) -> Result<Written, PublishError> {
        let value = Some(self.encode(uri, record)?);
        match self.settle(Wish { by, action, op: Op::Create, uri, value, swap_cid: None }).await? {
            Settled::Written(written) => Ok(written),
            Settled::Gone => Err(PublishError::Missing),
        }
    }

    /// Changes fields of a record and puts it back: what other programs wrote into it stays. `change` is called again where
    /// another version came in between.
    pub async fn edit(
        &self,
        by: &SignedIn,
        uri: &AtUri,
        change: impl Fn(&mut Map<String, Value>),
    ) -> Result<Written, PublishError> {
        for _ in 0..EDITS_MAX {
            let (held, mut record) = self.held(uri).await?;
            change(&mut record);
            let value = Some(self.encode(uri, &Value::Object(record))?);
            let wish = Wish { by, action: uri.as_str(), op: Op::Update, uri, value, swap_cid: Some(held) };
            match self.settle(wish).await {
                Ok(Settled::Written(written)) => return Ok(written),
                Ok(Settled::Gone) => return Err(PublishError::Missing),
                Err(PublishError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Err(PublishError::Conflict)
    }

    /// Deletes a record. One that is gone already is deleted.
    pub async fn delete(&self, by: &SignedIn, uri: &AtUri) -> Result<(), PublishError> {
        let wish = Wish { by, action: uri.as_str(), op: Op::Delete, uri, value: None, swap_cid: None };
        self.settle(wish).await.map(drop)
    }

    /// The handler of [`indexer::job::INTENT`].
    pub fn handler(&self) -> Handler {
        let publisher = self.clone();
        Arc::new(move |job: Job| {
            let publisher = publisher.clone();
            Box::pin(async move { drive::resume(&publisher, &job.key).await })
        })
    }

    async fn settle(&self, wish: Wish<'_>) -> Result<Settled, PublishError> {
        let (did, action) = (wish.by.did.clone(), wish.action.to_owned());
        let generation = intent::utter(&self.indexer.door.pool, &wish).await?;
        drive::until_settled(self, &did, &action, generation).await
    }

    /// The bytes of a record of ours, which must be lawful: what we write, everybody has to read.
    fn encode(&self, uri: &AtUri, record: &Value) -> Result<(Cid, Bytes), PublishError> {
        let unlawful = |error: &dyn std::fmt::Display| PublishError::Unlawful(error.to_string());
        let value = dag::from_json(record).map_err(|error| unlawful(&error))?;
        let (cid, bytes) = dag::encode(&value).map_err(|error| unlawful(&error))?;
        let registry = &self.indexer.door.registry;
        registry.read(uri, &bytes, Utc::now()).map_err(|problem| unlawful(&problem.detail))?;
        Ok((cid, bytes.into()))
    }

    /// A record as stored, to be edited.
    async fn held(&self, uri: &AtUri) -> Result<(Cid, Map<String, Value>), PublishError> {
        let row = sqlx::query!(
            r#"select cid as "cid!", value as "value!" from record where uri = $1 and value is not null"#,
            uri.as_str()
        )
        .fetch_optional(&self.indexer.door.pool)
        .await?
        .ok_or(PublishError::Missing)?;
        let cid = row.cid.parse().map_err(anyhow::Error::from)?;
        match dag::to_json(&dag::decode(&row.value).map_err(anyhow::Error::from)?) {
            Value::Object(record) => Ok((cid, record)),
            _ => Err(PublishError::Internal(anyhow::anyhow!("{uri} is no object"))),
        }
    }
}

/// What the door is told of a write that the PDS acknowledged.
fn local(uri: &AtUri, rev: Tid, op: Change) -> Input {
    Input::Local(indexer::change::Local { uri: uri.clone(), rev, op })
}

/// A problem as the `intent` row keeps it, and as the waiting request is told.
fn problem(status: u16, error: &str, message: &str) -> Value {
    json!({"status": status, "error": error, "message": message})
}
