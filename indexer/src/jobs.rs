//! The jobs of the write side: meeting people, confirming their standing, reading repos anew, looking who liked a share.

mod backlinks;
mod doubt;
mod look_back;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::Utc;
use rand::Rng;

use crate::Indexer;
use crate::apply::FINISH_PATIENCE;
use crate::apply::account::{self, HandleNow, Pending};
use crate::apply::batch::apply_all;
use crate::change::{Input, Status};
use crate::identity::IdentityError;
use crate::job::{self, Handlers, Job, Outcome};
use crate::link::names;
use crate::net;
use crate::pds::{self, PdsError};
use crate::record::BSKY_PROFILE;
use crate::sabotage;
use crate::syntax::{AtUri, Did, Nsid, Rkey};

/// Handlers of this crate's kinds.
pub fn handlers(indexer: &Indexer) -> Handlers {
    let mut handlers = Handlers::new();
    macro_rules! handle {
        ($kind:expr, $key:ty, $function:path) => {
            let indexer = indexer.clone();
            handlers.insert(
                $kind,
                Arc::new(move |job: Job| {
                    let indexer = indexer.clone();
                    Box::pin(async move { $function(&indexer, &job.key.parse::<$key>()?).await })
                }),
            );
        };
    }
    handle!(job::MEET, Did, meet);
    handle!(job::GREET, Did, meet);
    handle!(job::ACCOUNT, Did, confirm_account);
    handle!(job::RESYNC, Did, resync);
    handle!(job::FINISH, Did, finish);
    let looking = indexer.clone();
    handlers.insert(
        job::LOOK_BACK,
        Arc::new(move |job: Job| {
            let indexer = looking.clone();
            Box::pin(async move { look_back::look_back(&indexer, &job).await })
        }),
    );
    let asking = indexer.clone();
    handlers.insert(
        job::BACKLINKS,
        Arc::new(move |job: Job| {
            let indexer = asking.clone();
            Box::pin(async move { backlinks::ask(&indexer, &job).await })
        }),
    );
    handle!(job::DOUBT, Did, doubt::doubt);
    handle!(job::DOUBT_ALL, String, doubt::doubt_all);
    handle!(job::PROVE, Did, prove);
    handle!(job::NAMED, String, named);
    handlers
}

/// Looks at a person's DID document and handle as they are now, and at their Bluesky profile if we never did.
async fn meet(indexer: &Indexer, did: &Did) -> anyhow::Result<Outcome> {
    // Asked anew: what brought us here may have happened after whatever we know.
    let document = match indexer.identity.renew(did).await {
        Ok(document) => document,
        // A directory that talks nonsense of somebody known says nothing of them.
        Err(error @ IdentityError::Unusable(_)) if account::doubt(&indexer.door, did).await? => {
            tracing::warn!(%did, %error, "what was known of a person stands");
            return Ok(Outcome::Done);
        }
        Err(IdentityError::Tombstoned) => {
            note_standing(indexer, did, &IdentityError::Tombstoned.into()).await;
            return Ok(Outcome::Done);
        }
        // Nobody to meet; their records, if any, speak for themselves.
        Err(error @ (IdentityError::NotFound | IdentityError::Unusable(_))) => {
            tracing::info!(%did, %error, "no identity");
            account::identify(&indexer.door, did, HandleNow::Is(None), None).await?;
            return Ok(Outcome::Done);
        }
        Err(error) => {
            account::doubt(&indexer.door, did).await?;
            return Err(error.into());
        }
    };
    let handle = indexer.identity.verified_handle(&document).await;
    let now = match &handle {
        Ok(handle) => HandleNow::Is(handle.as_ref()),
        Err(error) if error.is_transient() => HandleNow::Unknown,
        Err(_) => HandleNow::Is(None),
    };
    let origin = document.pds.as_ref().map(|pds| pds.origin().ascii_serialization());
    account::identify(&indexer.door, did, now, origin.as_deref()).await?;
    if document.pds.is_some() && document.signing_key.is_some() {
        fetch_profile(indexer, did).await.context("profile")?;
    }
    match handle {
        // Their own web server may be away: the rest of them is known, and the handle asked for again.
        Err(error) if error.is_transient() => Err(error).context("handle"),
        _ => Ok(Outcome::Done),
    }
}

/// Reads again what names something by a handle or page that came to mean something.
async fn named(indexer: &Indexer, name: &String) -> anyhow::Result<Outcome> {
    let records = names::tell(&indexer.door, name).await?;
    tracing::info!(name, records, "a name is known now");
    Ok(Outcome::Done)
}

/// Proves and applies the Bluesky profile of a person whose profile we hold nothing of.
async fn fetch_profile(indexer: &Indexer, did: &Did) -> anyhow::Result<()> {
    let (collection, rkey): (Nsid, Rkey) = (BSKY_PROFILE.parse()?, "self".parse()?);
    let known = sqlx::query_scalar!(
        r#"select exists (select from record where did = $1 and collection = $2) as "known!""#,
        did.as_str(),
        BSKY_PROFILE
    )
    .fetch_one(&indexer.door.pool)
    .await?;
    if known {
        return Ok(());
    }
    match pds::get_record(indexer, did, &collection, &rkey).await {
        Ok(proof) => {
            apply_all(&indexer.door, vec![Input::Proof(proof)]).await;
            Ok(())
        }
        // An account that is switched off shows no profile.
        Err(error) if error.status().is_some() => {
            note_standing(indexer, did, &error).await;
            Ok(())
        }
        // Some hosts say so without a proof, and there is none who has one.
        Err(error) if error.name() == "RecordNotFound" => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Asks the account's current PDS for its standing, and believes no other host. Unknown is not gone: without an answer
/// nothing changes, and the question is asked again for as long as it takes.
async fn confirm_account(indexer: &Indexer, did: &Did) -> anyhow::Result<Outcome> {
    let Some(pending) = account::pending(&indexer.door, did).await? else { return Ok(Outcome::Done) };
    let is_called_deleted = [pending.status, pending.confirmed].contains(&Status::Deleted);
    // Asked anew: an account that has just moved must not be judged by the host that it left.
    let status = match indexer.identity.renew(did).await {
        _ if sabotage::is_on("account-believed-unconfirmed") => Some(pending.status),
        Err(IdentityError::Tombstoned) => Some(Status::Deleted),
        Err(error) => return Ok(ask_again(did, pending, &error.into())),
        Ok(document) => match pds::get_repo_status(indexer, &document).await {
            Ok(status) => status,
            Err(error) => match error.status() {
                // A host that lost its data says so too: only together with an event is it a deletion.
                Some(Status::Deleted) if is_called_deleted => Some(Status::Deleted),
                // Somebody else says that it is not to be seen, and it cannot be: hidden, and nothing erased.
                Some(Status::Deleted) if pending.status != Status::Active => Some(pending.status),
                _ if sabotage::is_on("unknown-is-gone") => Some(Status::Deleted),
                Some(Status::Deleted) | None => return Ok(ask_again(did, pending, &error)),
                standing => standing,
            },
        },
    };
    let settled = account::confirm(&indexer.door, did, pending, status).await?;
    Ok(if settled { Outcome::Done } else { Outcome::Later(Duration::ZERO) })
}

/// Between two questions about an account whose host does not answer.
const ASK_AGAIN_MIN: Duration = Duration::from_secs(5);
const ASK_AGAIN_MAX: Duration = Duration::from_secs(600);

/// The longer it has been unknown, the less often it is asked; but it never dies.
fn ask_again(did: &Did, pending: Pending, error: &PdsError) -> Outcome {
    let age = (Utc::now() - pending.since).to_std().unwrap_or_default();
    let pause = (age / 4).clamp(ASK_AGAIN_MIN, ASK_AGAIN_MAX);
    tracing::info!(%did, %error, said = pending.status.as_str(), pause_s = pause.as_secs(), "a standing is not known");
    metrics::counter!("plyr_standings_unknown_total").increment(1);
    Outcome::Later(pause)
}

/// Reads a repo from the account's PDS and settles every record against it. When the PDS refuses because of the account's
/// standing, that is noted, to be confirmed.
pub async fn read_repo(indexer: &Indexer, did: &Did) -> Result<(), PdsError> {
    let read = read_and_apply(indexer, did).await;
    let outcome = match &read {
        Ok(()) => "done",
        // Nobody was asked.
        Err(error) if error.is_of_ours() => "later",
        Err(_) => "failed",
    };
    metrics::counter!("plyr_resyncs_total", "outcome" => outcome).increment(1);
    if let Err(error) = &read {
        note_standing(indexer, did, error).await;
    }
    read
}

async fn read_and_apply(indexer: &Indexer, did: &Did) -> Result<(), PdsError> {
    let mut repo = pds::open_repo(indexer, did).await?;
    let mut refused = 0;
    while let Some(stretch) = repo.stretch()? {
        refused += apply_all(&indexer.door, vec![Input::Snapshot(stretch)]).await.len();
        sabotage::point("stretch-applied");
    }
    if refused > 0 { Err(PdsError::Refused(refused)) } else { Ok(()) }
}

/// A PDS that refuses because of the account's standing says something of it, to be confirmed.
pub async fn note_standing(indexer: &Indexer, did: &Did, error: &PdsError) {
    let status = match (error, error.status()) {
        // That a host knows no such repo says less than the account's own event would: it may have lost its data. So the
        // account is hidden, and nothing erased.
        (PdsError::Net(_), Some(Status::Deleted)) => Status::Deactivated,
        (_, Some(status)) => status,
        (_, None) => return,
    };
    apply_all(&indexer.door, vec![Input::Account { did: did.clone(), status }]).await;
}

/// A reading that took longer than this is not repeated before others had so many times that long.
const QUICK: Duration = Duration::from_secs(2);
const OTHERS: u32 = 3;
/// So many times the longest that a reading may take.
const SLOW_MAX: Duration = Duration::from_secs(45 * 60);

async fn resync(indexer: &Indexer, did: &Did) -> anyhow::Result<Outcome> {
    // Anybody can have their own repo read again, at any time, by breaking its chain.
    if let Some(rest) = indexer.slow.left(did) {
        return Ok(Outcome::Later(rest));
    }
    let started = Instant::now();
    let hurried = Indexer { net: indexer.net.hurried(), ..indexer.clone() };
    let read = read_repo(&hurried, did).await;
    if started.elapsed() > QUICK && !matches!(&read, Err(error) if error.is_of_ours()) {
        indexer.slow.begin(did, (started.elapsed() * OTHERS).min(SLOW_MAX));
    }
    match read {
        Ok(()) => Ok(Outcome::Done),
        Err(error) if error.status().is_some() => refused(indexer, did, error).await,
        Err(PdsError::Identity(IdentityError::NotFound)) => Ok(Outcome::Done),
        Err(error) => later(error),
    }
}

/// Somebody's standing is another job's, and their return brings the whole repo. Where they were away for a moment and nobody ever
/// saw it, nothing brings it: it is asked for again, with growing pauses.
async fn refused(indexer: &Indexer, did: &Did, error: PdsError) -> anyhow::Result<Outcome> {
    if is_away(indexer, did).await? { Ok(Outcome::Done) } else { Err(error.into()) }
}

/// Whether nothing of somebody is shown now: if they come back, what was not read of them is asked for.
async fn is_away(indexer: &Indexer, did: &Did) -> sqlx::Result<bool> {
    let active = sqlx::query_scalar!(r#"select active as "active!" from actor where did = $1"#, did.as_str())
        .fetch_optional(&indexer.door.pool)
        .await?;
    Ok(active != Some(true))
}

/// Reads a repo anew whose reading stopped in the middle: whoever read it may have been told to end.
async fn finish(indexer: &Indexer, did: &Did) -> anyhow::Result<Outcome> {
    let rests = sqlx::query_scalar!(
        r#"select resync_at < now() - make_interval(secs => $2) as "rests!" from repo
           where did = $1 and state = 'resyncing'"#,
        did.as_str(),
        FINISH_PATIENCE.as_secs_f64()
    )
    .fetch_optional(&indexer.door.pool)
    .await?;
    match rests {
        None => {}
        Some(false) => return Ok(Outcome::Later(FINISH_PATIENCE)),
        Some(true) => job::enqueue_resyncs(&indexer.door.pool, std::slice::from_ref(did)).await?,
    }
    Ok(Outcome::Done)
}

/// A host that wants to be left alone is, through no fault of the job; anything else is tried again with growing pauses.
fn later(error: PdsError) -> anyhow::Result<Outcome> {
    match error.retry_after() {
        // Not all at once, when its rest is over.
        Some(rest) => {
            Ok(Outcome::Later(rest.min(net::REST_MAX) + Duration::from_secs(rand::rng().random_range(0..10))))
        }
        None => Err(error.into()),
    }
}

/// More unproven records than this, and the repo is read as a whole.
const PROOFS_MAX: usize = 16;

/// Proves what somebody reported of a repo: our own writes whose echo does not come, and what no other source proves.
async fn prove(indexer: &Indexer, did: &Did) -> anyhow::Result<Outcome> {
    let open = sqlx::query_scalar!(
        "select uri from record where did = $1 and not proven order by indexed_at limit $2",
        did.as_str(),
        PROOFS_MAX as i64 + 1
    )
    .fetch_all(&indexer.door.pool)
    .await?;
    metrics::counter!("plyr_echoes_missed_total").increment(open.len() as u64);
    if open.len() > PROOFS_MAX {
        return resync(indexer, did).await;
    }
    for uri in open {
        let uri: AtUri = uri.parse()?;
        match pds::get_record(indexer, did, &uri.collection().parse()?, &uri.rkey().parse()?).await {
            Ok(proof) => {
                apply_all(&indexer.door, vec![Input::Proof(proof)]).await;
            }
            Err(error) if error.status().is_some() => return refused(indexer, did, error).await,
            Err(error) if error.is_transient() => return later(error),
            // Some hosts prove no absence. What the whole repo holds they must.
            Err(error) => {
                tracing::info!(%did, %uri, %error, "no proof of a record; reading the whole repo");
                return resync(indexer, did).await;
            }
        }
    }
    Ok(Outcome::Done)
}
