//! The jobs of the write side: meeting people, confirming their standing, reading repos anew.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::Indexer;
use crate::apply::account;
use crate::apply::batch::apply_all;
use crate::change::{Input, Status};
use crate::identity::IdentityError;
use crate::job::{self, Handlers, Job, Outcome};
use crate::pds::{self, PdsError};
use crate::record::BSKY_PROFILE;
use crate::syntax::{Did, Nsid, Rkey};

/// Handlers of this crate's kinds.
pub fn handlers(indexer: &Indexer) -> Handlers {
    let mut handlers = Handlers::new();
    macro_rules! handle {
        ($kind:expr, $function:path) => {
            let indexer = indexer.clone();
            handlers.insert(
                $kind,
                Arc::new(move |job: Job| {
                    let indexer = indexer.clone();
                    Box::pin(async move { $function(&indexer, &job.key.parse::<Did>()?).await })
                }),
            );
        };
    }
    handle!(job::MEET, meet);
    handle!(job::ACCOUNT, confirm_account);
    handle!(job::RESYNC, resync);
    handlers
}

/// Looks at a person's DID document and handle as they are now, and at their Bluesky profile if we never did.
async fn meet(indexer: &Indexer, did: &Did) -> anyhow::Result<Outcome> {
    let document = match indexer.identity.refresh(did).await {
        Ok(document) => document,
        // Nobody to meet; their records, if any, speak for themselves.
        Err(error @ (IdentityError::NotFound | IdentityError::Tombstoned | IdentityError::Unusable(_))) => {
            tracing::info!(%did, %error, "no identity");
            account::identify(&indexer.door, did, None, None).await?;
            return Ok(Outcome::Done);
        }
        Err(error) => return Err(error.into()),
    };
    let handle = match indexer.identity.verified_handle(&document).await {
        Err(error) if error.is_transient() => return Err(error).context("handle"),
        other => other.ok().flatten(),
    };
    let origin = document.pds.as_ref().map(|pds| pds.origin().ascii_serialization());
    account::identify(&indexer.door, did, handle.as_ref(), origin.as_deref()).await?;
    let (collection, rkey): (Nsid, Rkey) = (BSKY_PROFILE.parse()?, "self".parse()?);
    let known = sqlx::query_scalar!(
        r#"select exists (select from record where did = $1 and collection = $2) as "known!""#,
        did.as_str(),
        BSKY_PROFILE
    )
    .fetch_one(&indexer.door.pool)
    .await?;
    if known || document.pds.is_none() || document.signing_key.is_none() {
        return Ok(Outcome::Done);
    }
    match pds::get_record(indexer, did, &collection, &rkey).await {
        Ok(proof) => apply_all(&indexer.door, vec![Input::Proof(proof)], None).await,
        // An account that is switched off shows no profile; its status is another job's.
        Err(error) if error.status().is_some() => {}
        Err(error) => return Err(error).context("profile"),
    }
    Ok(Outcome::Done)
}

/// Asks the account's current PDS for its standing, and believes no other host. Unknown is not gone: without an answer
/// nothing changes, and the question is asked again.
async fn confirm_account(indexer: &Indexer, did: &Did) -> anyhow::Result<Outcome> {
    let pending = sqlx::query_scalar!("select pending_status from actor where did = $1", did.as_str())
        .fetch_optional(&indexer.door.pool)
        .await?
        .flatten()
        .and_then(|word| Status::from_word(&word));
    let Some(pending) = pending else { return Ok(Outcome::Done) };
    let status = match indexer.identity.refresh(did).await {
        Err(IdentityError::Tombstoned) => Some(Status::Deleted),
        Err(error) => return Err(error.into()),
        Ok(document) => match pds::get_repo_status(indexer, &document).await {
            Ok(status) => status,
            // A host that lost its data says so too: only together with the account's own event is it a deletion.
            Err(error) if error.status() == Some(Status::Deleted) && pending == Status::Deleted => {
                Some(Status::Deleted)
            }
            Err(error) => return Err(error.into()),
        },
    };
    match status {
        Some(status) => account::confirm(&indexer.door, did, status).await?,
        None => return Ok(Outcome::Later(Duration::from_secs(60))),
    }
    Ok(Outcome::Done)
}

/// Reads a repo from the account's PDS and settles every record against it. When the PDS refuses because of the account's
/// standing, that is noted, to be confirmed.
pub async fn read_repo(indexer: &Indexer, did: &Did) -> Result<(), PdsError> {
    let read = pds::get_repo(indexer, did).await;
    let outcome = if read.is_ok() { "done" } else { "failed" };
    metrics::counter!("plyr_resyncs_total", "outcome" => outcome).increment(1);
    match read {
        Ok(snapshot) => {
            apply_all(&indexer.door, vec![Input::Snapshot(snapshot)], None).await;
            Ok(())
        }
        Err(error) => {
            if let Some(status) = error.status() {
                apply_all(&indexer.door, vec![Input::Account { did: did.clone(), status }], None).await;
            }
            Err(error)
        }
    }
}

async fn resync(indexer: &Indexer, did: &Did) -> anyhow::Result<Outcome> {
    match read_repo(indexer, did).await {
        Ok(()) => Ok(Outcome::Done),
        // Its standing is another job's; should it come back, its events or its next commit say so.
        Err(error) if error.status().is_some() => Ok(Outcome::Done),
        Err(PdsError::Identity(IdentityError::NotFound | IdentityError::Tombstoned)) => Ok(Outcome::Done),
        Err(error) => Err(error.into()),
    }
}
