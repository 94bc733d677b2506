//! Bringing a wish to its end: by the request that uttered it, by another that waits for the same, or by a job.

use std::time::Duration;

use anyhow::Context;
use indexer::apply::apply_within;
use indexer::apply::batch::apply_all;
use indexer::job::Outcome;
use indexer::syntax::{AtUri, Did};
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::execute::{Verdict, execute};
use super::intent::{self, Intent, Standing};
use super::lease::{self, Doubt};
use super::{PATIENCE, PublishError, Publisher, Settled, Written};
use crate::session::CallError;

/// The longest pause between two looks at what another is doing.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A transaction that met another on its way is tried so often.
const TRIES: usize = 5;

/// Writes the newest wish, or waits for whoever does, until this generation or a later one is settled.
pub(super) async fn until_settled(
    publisher: &Publisher,
    did: &Did,
    action: &str,
    generation: i64,
) -> Result<Settled, PublishError> {
    let pool = &publisher.indexer.door.pool;
    let (deadline, mut pause) = (Instant::now() + PATIENCE, Duration::from_millis(10));
    loop {
        let standing = intent::standing(pool, did, action).await?.ok_or(PublishError::Missing)?;
        if standing.settled >= generation {
            return answer(standing);
        }
        let turn = tokio::time::timeout_at(deadline, publisher.turn(did)).await;
        let turn = turn.map_err(|_| PublishError::Unsettled)?;
        if let Some(intent) = lease::lease(pool, did, action).await? {
            let writer = publisher.clone();
            // A task of its own: what has begun ends, also when the person has gone away.
            let settled = publisher.sessions.spawn(async move {
                let _turn = turn;
                carry_out(&writer, &intent, false).await
            });
            match settled.await.context("the task").flatten() {
                Ok(true) => continue,
                Ok(false) => return Err(PublishError::Unsettled),
                // The wish stands, and a job will look after it.
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), %did, action, "a wish could not be carried out");
                    return Err(PublishError::Unsettled);
                }
            }
        }
        drop(turn);
        if Instant::now() > deadline {
            return Err(PublishError::Unsettled);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LOOK_EVERY);
    }
}

/// What the newest settled wish came to. Whoever wished something older is told the same: that is how things stand.
fn answer(standing: Standing) -> Result<Settled, PublishError> {
    match standing.outcome.as_deref() {
        Some("written") => {
            let uri: AtUri = standing.uri.parse().map_err(anyhow::Error::from)?;
            let cid = standing.cid.context("a written record has a CID")?;
            Ok(Settled::Written(Written { uri, cid: cid.parse().map_err(anyhow::Error::from)? }))
        }
        Some("gone") => Ok(Settled::Gone),
        Some("conflict") => Err(PublishError::Conflict),
        _ => Err(refusal(standing.problem.unwrap_or_default())),
    }
}

fn refusal(problem: serde_json::Value) -> PublishError {
    let text = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    match text("error").as_str() {
        "session_expired" => CallError::SessionExpired.into(),
        "scope_upgrade_required" => CallError::ScopeMissing.into(),
        "unsent" => CallError::Unsent(anyhow::anyhow!(text("message"))).into(),
        error => PublishError::Refused {
            status: problem["status"].as_u64().and_then(|status| status.try_into().ok()).unwrap_or(500),
            error: error.to_owned(),
            message: text("message"),
        },
    }
}

/// Writes one wish to the PDS and applies what came of it. False: nothing is known yet, a job goes on.
async fn carry_out(publisher: &Publisher, intent: &Intent, is_job: bool) -> anyhow::Result<bool> {
    let pool = &publisher.indexer.door.pool;
    let beat = AbortOnDropHandle::new(tokio::spawn(beat(pool.clone(), intent.clone())));
    let (inputs, verdict) = execute(publisher, intent).await?;
    let end = match verdict {
        Verdict::Done(end) => end,
        Verdict::Undecided { unanswered } => {
            if !inputs.is_empty() {
                apply_all(&publisher.indexer.door, inputs).await;
            }
            lease::release(pool, intent, unanswered, is_job).await?;
            metrics::counter!("plyr_intents_total", "outcome" => "undecided").increment(1);
            return Ok(false);
        }
    };
    let mut tries = 0;
    loop {
        let attempt = async {
            let mut tx = pool.begin().await?;
            apply_within(&publisher.indexer.door, &mut tx, &inputs).await?;
            lease::finish(&mut tx, intent, &end).await?;
            tx.commit().await
        };
        match attempt.await {
            Ok(()) => break,
            Err(error) if tries < TRIES => {
                tries += 1;
                tracing::warn!(%error, uri = %end.uri, "a write of ours could not be applied; trying again");
                tokio::time::sleep(Duration::from_millis(50 << tries)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    drop(beat);
    metrics::counter!("plyr_intents_total", "outcome" => end.outcome).increment(1);
    Ok(true)
}

/// Keeps the lease while a PDS thinks.
async fn beat(pool: PgPool, intent: Intent) {
    loop {
        tokio::time::sleep(lease::BEAT).await;
        if let Err(error) = lease::renew(&pool, &intent).await {
            tracing::warn!(%error, action = intent.action, "cannot renew the claim to a wish");
        }
    }
}

/// The job: brings to its end what a process left behind, and looks once more at what may have landed late.
pub(super) async fn resume(publisher: &Publisher, key: &str) -> anyhow::Result<Outcome> {
    let (did, action) = key.split_once(' ').context("the job's key")?;
    let did: Did = did.parse()?;
    let pool = &publisher.indexer.door.pool;
    let doubt = lease::doubt(pool, &did, action).await?;
    loop {
        match lease::lease(pool, &did, action).await? {
            Some(intent) if carry_out(publisher, &intent, true).await? => {}
            Some(_) => anyhow::bail!("the PDS has not answered yet"),
            None if intent::is_open(pool, &did, action).await? => {
                return Ok(Outcome::Later(Duration::from_secs(5)));
            }
            None => break,
        }
    }
    Ok(match doubt {
        Doubt::For(left) => Outcome::Later(left + Duration::from_secs(1)),
        Doubt::None | Doubt::Over => Outcome::Done,
    })
}
