//! A whole repo, read from the account's current PDS and handed out a stretch at a time.

use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use cid::Cid;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::{PdsError, asked, endpoint, signing_key};
use crate::Indexer;
use crate::change::{Asked, RepoSnapshot};
use crate::identity::DidDocument;
use crate::net::{Body, NetError};
use crate::proto::commit::rev_is_in_future;
use crate::proto::repo_file::{Intake, Limits, Records, RepoFile};
use crate::proto::verify::{CommitProblem, ProvenHead};
use crate::sabotage;
use crate::syntax::{AtUri, Did, Tid};

/// Records of one stretch at most: what one transaction should hold.
const STRETCH_RECORDS: usize = 500;
/// A stretch ends with the record that reaches this.
const STRETCH_BYTES: usize = 2 << 20;
/// A body must bring this much in each of these spans. A host that drips would keep a place from others.
const RATE_BYTES_MIN: u64 = 64 << 10;
const RATE_SPAN: Duration = Duration::from_secs(20);
/// From this size on a repo takes one of few places: its index takes memory.
const LARGE_BYTES: u64 = 8 << 20;
static LARGE_AT_ONCE: Semaphore = Semaphore::const_new(4);
/// Whoever has one of them must be quicker: others wait for it.
const LARGE_RATE_BYTES_MIN: u64 = 1 << 20;
/// A repo that was found to be large takes its place before it is asked for, and so keeps none at its host meanwhile.
const LARGE_REMEMBERED: Duration = Duration::from_secs(60 * 60);
/// Whoever is wanted elsewhere waits no longer for it.
const LARGE_WAITED: Duration = Duration::from_secs(2);

/// A repo that is here and proven as a whole.
#[derive(Debug)]
pub struct WholeRepo {
    did: Did,
    /// The commit it was read at.
    pub rev: Tid,
    /// MST root at `rev`.
    pub data: Cid,
    asked: Asked,
    records: Records,
    after: Option<AtUri>,
    is_begun: bool,
    /// Its place among the large ones, which its index takes until the end.
    _large: Option<SemaphorePermit<'static>>,
}

impl WholeRepo {
    /// The next stretch. The first begins with the repo and the last ends with it; an empty repo is one empty stretch.
    pub fn stretch(&mut self) -> Result<Option<RepoSnapshot>, PdsError> {
        if self.is_begun && self.records.is_at_end() {
            return Ok(None);
        }
        self.is_begun = true;
        let most = if sabotage::is_on("short-stretches") { 3 } else { STRETCH_RECORDS };
        let records = self.records.stretch(most, STRETCH_BYTES)?;
        let records: Vec<_> = records
            .into_iter()
            .map(|record| {
                let uri = AtUri::new(&self.did, &record.collection, &record.rkey);
                (uri, record.cid, Bytes::from(record.bytes))
            })
            .collect();
        let last = records.last().map(|(uri, ..)| uri.clone());
        let upto = last.filter(|_| !self.records.is_at_end());
        let after = std::mem::replace(&mut self.after, upto.clone());
        Ok(Some(RepoSnapshot {
            did: self.did.clone(),
            rev: self.rev.clone(),
            data: self.data,
            records,
            after,
            upto,
            authoritative: true,
            asked: self.asked.clone(),
        }))
    }

    /// Whether every stretch has been handed out.
    pub fn is_at_end(&self) -> bool {
        self.is_begun && self.records.is_at_end()
    }
}

/// Reads a whole repo from the account's current PDS: the records of indexed collections in it, and proof that there are
/// no others.
pub async fn open_repo(indexer: &Indexer, did: &Did) -> Result<WholeRepo, PdsError> {
    let document = indexer.identity.document(did).await?;
    let read = read_from(indexer, did, &document).await;
    // What speaks for the account's having moved is looked into: the host that it left may answer for long.
    let is_doubtful = match &read {
        Ok(repo) => repo.asked.seen_rev.as_ref().is_some_and(|seen| repo.rev < *seen),
        Err(PdsError::Unproven(CommitProblem::BadSignature(_))) => true,
        Err(error) => error.status().is_some(),
    };
    if !is_doubtful {
        return read;
    }
    let fresh = indexer.identity.refresh(did).await?;
    if fresh.pds == document.pds { read } else { read_from(indexer, did, &fresh).await }
}

async fn read_from(indexer: &Indexer, did: &Did, document: &DidDocument) -> Result<WholeRepo, PdsError> {
    let url = endpoint(document, "com.atproto.sync.getRepo", &[("did", did.as_str())])?;
    let large = if indexer.large.left(did).is_some() { Some(large_place(indexer).await?) } else { None };
    let (asked, file) = {
        let _turn = indexer.net.turn(&url).await?;
        let asked = asked(indexer, did).await?;
        let limits = Limits::default();
        let (_, body) = indexer.net.get_stream(&url, limits.total_bytes).await?;
        (asked, take_in(indexer, did, body, limits, large).await?)
    };
    let (file, _large) = file;
    let head = prove(indexer, did, document, &file).await?;
    if rev_is_in_future(&head.rev, Utc::now()) {
        return Err(PdsError::FutureRev(head.rev));
    }
    let registry = &indexer.door.registry;
    // Walking a large tree must not hold up what else this thread would do.
    let records = tokio::task::block_in_place(|| {
        file.records(&head.data, |collection| registry.get(collection).is_some())
    })?;
    let ProvenHead { rev, data, .. } = head;
    Ok(WholeRepo { did: did.clone(), rev, data, asked, records, after: None, is_begun: false, _large })
}

/// A place among the large ones, in the order in which it was asked for.
async fn large_place(indexer: &Indexer) -> Result<SemaphorePermit<'static>, PdsError> {
    let wait = if indexer.net.is_hurried() { LARGE_WAITED } else { Duration::MAX };
    let place = tokio::time::timeout(wait, LARGE_AT_ONCE.acquire()).await;
    place.ok().and_then(Result::ok).ok_or(PdsError::Crowded)
}

async fn take_in(
    indexer: &Indexer,
    did: &Did,
    mut body: Body,
    limits: Limits,
    mut large: Option<SemaphorePermit<'static>>,
) -> Result<(RepoFile, Option<SemaphorePermit<'static>>), PdsError> {
    let mut intake = Intake::new(indexer.net.spool_dir(), limits);
    let mut size_bytes = 0;
    let (mut span_began, mut span_bytes) = (Instant::now(), 0);
    while let Some(piece) = body.chunk().await? {
        size_bytes += piece.len() as u64;
        span_bytes += piece.len() as u64;
        intake.push(&piece)?;
        if span_began.elapsed() >= RATE_SPAN {
            let wanted = if large.is_some() { LARGE_RATE_BYTES_MIN } else { RATE_BYTES_MIN };
            if span_bytes < wanted {
                return Err(NetError::Timeout.into());
            }
            (span_began, span_bytes) = (Instant::now(), 0);
        }
        if size_bytes > LARGE_BYTES && large.is_none() {
            indexer.large.begin(did, LARGE_REMEMBERED);
            large = Some(LARGE_AT_ONCE.try_acquire().map_err(|_| PdsError::Crowded)?);
            // From here on it must be quick.
            (span_began, span_bytes) = (Instant::now(), 0);
        }
    }
    Ok((intake.finish()?, large))
}

/// With the key looked up anew if the known one does not fit.
async fn prove(
    indexer: &Indexer,
    did: &Did,
    document: &DidDocument,
    file: &RepoFile,
) -> Result<ProvenHead, PdsError> {
    match file.head(did, &signing_key(document)?) {
        Err(CommitProblem::BadSignature(_)) => {
            let fresh = indexer.identity.refresh(did).await?;
            Ok(file.head(did, &signing_key(&fresh)?)?)
        }
        other => Ok(other?),
    }
}
