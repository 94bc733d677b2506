//! One event that was kept aside.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Outcome;
use crate::apply::apply;
use crate::change::{Cursor, Input};
use crate::source::NO_CURSOR;
use crate::syntax::{AtUri, Did, Tid};
use crate::{Indexer, firehose, job, jobs, pds};

/// What reading the account's repo as a whole brought: once is enough for all that was kept aside of it.
#[derive(Default)]
pub(super) struct Whole(Option<Result<(), String>>);

impl Whole {
    async fn read(&mut self, indexer: &Indexer, did: &Did) -> Outcome {
        if self.0.is_none() {
            self.0 = Some(jobs::read_repo(indexer, did).await.map_err(|error| error.to_string()));
        }
        match &self.0 {
            Some(Err(why)) => Outcome::Failed(format!("the repo cannot be read: {why}")),
            _ => Outcome::Resynced,
        }
    }
}

struct Row {
    kind: String,
    source: Option<String>,
    did: Option<String>,
    uri: Option<String>,
    detail: String,
    bytes: Option<Vec<u8>>,
}

/// Tries it, and deletes it or notes why not.
pub(super) async fn again(indexer: &Indexer, id: i64, whole: &mut Whole) -> sqlx::Result<Outcome> {
    let pool = &indexer.door.pool;
    let row =
        sqlx::query_as!(Row, "select kind, source, did, uri, detail, bytes from problem where id = $1", id)
            .fetch_optional(pool)
            .await?;
    // Somebody else has settled it meanwhile.
    let Some(row) = row else { return Ok(Outcome::Settled) };
    let outcome = settle(indexer, row, whole).await?;
    match &outcome {
        Outcome::Failed(why) => {
            sqlx::query!(
                "update problem set attempts = attempts + 1, tried_at = now(), detail = $2 where id = $1",
                id,
                why.replace('\0', "\u{fffd}")
            )
            .execute(pool)
            .await?;
        }
        _ => {
            sqlx::query!("delete from problem where id = $1", id).execute(pool).await?;
        }
    }
    Ok(outcome)
}

async fn settle(indexer: &Indexer, row: Row, whole: &mut Whole) -> sqlx::Result<Outcome> {
    let did = row.did.as_deref().and_then(|did| did.parse::<Did>().ok());
    if row.kind == "UnfitBlob"
        && let Some((cid, _)) = row.detail.split_once(':')
    {
        let jobs = BTreeSet::from([(job::BLOB, cid.to_owned())]);
        job::enqueue(&mut *indexer.door.pool.acquire().await?, &jobs).await?;
        return Ok(Outcome::Queued);
    }
    if let Some(uri) = row.uri.as_deref().and_then(|uri| uri.parse::<AtUri>().ok()) {
        return prove(indexer, &uri, whole).await;
    }
    let bytes = Bytes::from(row.bytes.unwrap_or_default());
    if let Some(source) = row.source.filter(|_| !bytes.is_empty())
        && let Some(inputs) = firehose::again(indexer, &source, &bytes).await
    {
        let cursor = Cursor { source: source.into(), seq: NO_CURSOR, memory: None };
        return take(indexer, inputs, &cursor, whole).await;
    }
    match did {
        Some(did) => Ok(whole.read(indexer, &did).await),
        None => Ok(Outcome::Failed("its bytes are gone, and nobody knows whose it was".into())),
    }
}

/// The record as it is now in its repo, with proof.
async fn prove(indexer: &Indexer, uri: &AtUri, whole: &mut Whole) -> sqlx::Result<Outcome> {
    let (Ok(collection), Ok(rkey)) = (uri.collection().parse(), uri.rkey().parse()) else {
        return Ok(Outcome::Failed("its URI names no record".into()));
    };
    let proof = match pds::get_record(indexer, &uri.did(), &collection, &rkey).await {
        Ok(proof) => proof,
        Err(error) => return Ok(Outcome::Failed(format!("its proof cannot be had: {error}"))),
    };
    let cid = proof.op.cid().map(|cid| cid.to_string());
    let outcome = applied(indexer, &[Input::Proof(proof)], None).await?;
    let held = sqlx::query_scalar!("select cid from record where uri = $1", uri.as_str())
        .fetch_optional(&indexer.door.pool)
        .await?;
    Ok(match outcome {
        // Nobody was known of that name, or the answer was overtaken.
        Outcome::Settled if held.flatten() != cid => whole.read(indexer, &uri.did()).await,
        outcome => outcome,
    })
}

/// What an event says, if it can be read now.
async fn take(
    indexer: &Indexer,
    inputs: Vec<Input>,
    cursor: &Cursor,
    whole: &mut Whole,
) -> sqlx::Result<Outcome> {
    let problem = inputs.iter().find_map(|input| match input {
        Input::Problem(problem) => Some(format!("{}: {}", problem.kind, problem.detail)),
        _ => None,
    });
    if let Some(problem) = problem {
        return Ok(Outcome::Failed(problem));
    }
    for input in &inputs {
        let (did, rev) = match input {
            Input::Commit(commit) => (&commit.did, &commit.rev),
            Input::Sync { did, rev, .. } => (did, rev),
            _ => continue,
        };
        match place(indexer, did, rev).await? {
            Place::Whole => return Ok(Outcome::Settled),
            Place::Passed => return Ok(whole.read(indexer, did).await),
            Place::New => {}
        }
    }
    applied(indexer, &inputs, Some(cursor)).await
}

enum Place {
    /// What we hold is whole at this rev or a later one.
    Whole,
    /// The chain went on without it: the door would take it for a replay.
    Passed,
    /// Not there yet.
    New,
}

async fn place(indexer: &Indexer, did: &Did, rev: &Tid) -> sqlx::Result<Place> {
    let row = sqlx::query!("select rev, synced_rev, state from repo where did = $1", did.as_str())
        .fetch_optional(&indexer.door.pool)
        .await?;
    let Some(row) = row else { return Ok(Place::New) };
    let reaches = |held: Option<String>| held.is_some_and(|held| held.as_str() >= rev.as_str());
    Ok(match (reaches(row.synced_rev), reaches(row.rev), row.state == "synchronized") {
        (true, _, true) => Place::Whole,
        (_, true, _) => Place::Passed,
        _ => Place::New,
    })
}

/// Through the door, as the word of that source, whose place does not move by it. What is refused is not kept aside a
/// second time.
async fn applied(indexer: &Indexer, inputs: &[Input], cursor: Option<&Cursor>) -> sqlx::Result<Outcome> {
    match apply(&indexer.door, inputs, cursor).await {
        Ok(()) => Ok(Outcome::Settled),
        Err(error @ sqlx::Error::Database(_)) => {
            Ok(Outcome::Failed(format!("the database refused it: {error}")))
        }
        Err(error) => Err(error),
    }
}
