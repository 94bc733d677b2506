//! Comparing revs: whether the repos that we follow stand at their PDSes where they stand here.
//!
//! A stream that was interrupted may have lost events without a word. Comparing is cheap, a number for each repo, and finds
//! every repo of which something is missing; those are read as a whole. It is done when a source's stream had a gap, and now
//! and then anyway. What a PDS states here is not proven: it only asks for a proof.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use sqlx::postgres::PgAdvisoryLock;
use sqlx::{Either, PgPool};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use url::Url;

use crate::apply::batch::apply_all;
use crate::change::{Input, Status};
use crate::identity::IdentityError;
use crate::pds::{self, PdsError};
use crate::sabotage;
use crate::syntax::Did;
use crate::{Indexer, job, jobs};

/// How often it is looked whether a comparison is owed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The least time between two comparisons; it grows as long as they fail.
const PAUSE_MIN: Duration = Duration::from_secs(30);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// How long the stream may take to bring what a PDS has already.
const STREAM_PATIENCE: Duration = Duration::from_secs(10);
/// From so many repos at one PDS on, its list is read; below, it is asked for each.
const MANY: usize = 50;
/// A page of the list is worth this many questions.
const WORTH_OF_A_PAGE: usize = 20;
/// So many repos that cannot be asked for, and half of all repos and of all hosts, are no news of them but of us.
const ALONE_MIN: usize = 20;
/// Questions under way; each host has its own limit besides.
const AT_ONCE: usize = 64;

/// A repo as we hold it.
#[derive(Debug, Clone)]
struct Held {
    did: Did,
    rev: String,
    is_active: bool,
}

/// What a comparison found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Repos that we follow and hold as whole.
    pub compared: usize,
    /// They stood elsewhere, and are to be read.
    pub behind: usize,
    /// Their PDS did not answer: they are to be read, for nobody knows.
    pub unknown: usize,
    /// Their PDS says that they are not to be seen; to be confirmed.
    pub absent: usize,
    /// They are hidden here, and their PDS shows them; to be confirmed, too.
    pub back: usize,
}

/// Compares when it is owed and every so often, until told to stop. Of all processes, one does it at a time.
pub async fn run(indexer: Indexer, every: Option<Duration>, stop: CancellationToken) -> anyhow::Result<()> {
    let lock = PgAdvisoryLock::new("plyr compare");
    // Who wants it more often than that wants it as often.
    let pause_min = every.map_or(PAUSE_MIN, |every| every.min(PAUSE_MIN));
    let mut pause = pause_min;
    loop {
        tokio::select! {
            _ = tokio::time::sleep(LOOK_EVERY) => {}
            _ = stop.cancelled() => return Ok(()),
        }
        match owed(&indexer.door.pool, every).await {
            Ok(false) => continue,
            Ok(true) => {}
            Err(error) => {
                warn!(%error, "cannot tell whether repos are to be compared");
                continue;
            }
        }
        let done = tokio::select! {
            done = in_turn(&indexer, &lock, pause_min.min(STREAM_PATIENCE)) => done,
            _ = stop.cancelled() => return Ok(()),
        };
        pause = match done {
            Ok(()) => pause_min,
            Err(error) => {
                warn!(error = format!("{error:#}"), "the comparison failed");
                (pause * 2).min(PAUSE_MAX)
            }
        };
        tokio::select! {
            _ = tokio::time::sleep(pause) => {}
            _ = stop.cancelled() => return Ok(()),
        }
    }
}

/// Whether any source's stream had a gap since its repos were last compared, or that was long ago.
pub async fn owed(pool: &PgPool, every: Option<Duration>) -> sqlx::Result<bool> {
    let every_s = every.map(|every| every.as_secs_f64());
    sqlx::query_scalar!(
        r#"select exists (select from source where compared_at is null or compared_at < compare_owed_at
             or compared_at < now() - make_interval(secs => $1)) as "owed!""#,
        every_s
    )
    .fetch_one(pool)
    .await
}

async fn in_turn(indexer: &Indexer, lock: &PgAdvisoryLock, patience: Duration) -> anyhow::Result<()> {
    let connection = indexer.door.pool.acquire().await?;
    let Either::Left(turn) = lock.try_acquire(connection).await? else { return Ok(()) };
    compare(indexer, patience).await?;
    turn.release_now().await?;
    Ok(())
}

/// Compares all repos that we follow, asks for those that stand elsewhere to be read, and notes that it was done.
pub async fn compare(indexer: &Indexer, patience: Duration) -> anyhow::Result<Summary> {
    let pool = &indexer.door.pool;
    // What becomes owed from now on, this comparison does not answer.
    let began_at = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(pool).await?;
    let started = Instant::now();
    let held = held(pool).await?;
    let mut summary = Summary { compared: held.values().map(Vec::len).sum(), ..Summary::default() };
    let mut suspects = Vec::new();
    let mut due = Vec::new();
    let mut hosts: HashMap<String, bool> = HashMap::new();
    for (pds, did, told) in ask(indexer, held).await {
        if let Some(pds) = pds {
            *hosts.entry(pds).or_default() |= !matches!(told, Told::Nothing);
        }
        match told {
            Told::Same => {}
            Told::Rev(rev) => suspects.push((did, rev)),
            Told::Absent => summary.absent += 1,
            Told::Back => summary.back += 1,
            Told::Nothing => {
                summary.unknown += 1;
                due.push(did);
            }
        }
    }
    let behind = still_elsewhere(indexer, suspects, patience).await?;
    summary.behind = behind.len();
    job::enqueue_resyncs(pool, &behind).await.context("asking for repos to be read")?;
    // It is not they who are away then. Hosts are counted too, for one of them may have any number of repos.
    let silent = hosts.values().filter(|has_answered| !**has_answered).count();
    anyhow::ensure!(
        summary.unknown < ALONE_MIN || summary.unknown * 2 < summary.compared || silent * 2 < hosts.len(),
        "{silent} of {} hosts with {} repos cannot be asked",
        hosts.len(),
        summary.unknown
    );
    job::enqueue_resyncs(pool, &due).await.context("asking for repos to be read")?;
    compared(pool, began_at).await?;
    let Summary { compared, behind, unknown, absent, back } = summary;
    info!(
        compared,
        behind,
        unknown,
        absent,
        back,
        seconds = started.elapsed().as_secs(),
        "compared with the PDSes"
    );
    metrics::histogram!("plyr_compare_seconds").record(started.elapsed().as_secs_f64());
    for (found, count) in
        [("compared", compared), ("behind", behind), ("unknown", unknown), ("absent", absent), ("back", back)]
    {
        metrics::counter!("plyr_compare_repos_total", "found" => found).increment(count as u64);
    }
    metrics::gauge!("plyr_compare_behind").set(behind as f64);
    Ok(summary)
}

async fn compared(pool: &PgPool, began_at: DateTime<Utc>) -> sqlx::Result<()> {
    sqlx::query!("update source set compared_at = $1", began_at).execute(pool).await?;
    Ok(())
}

/// The repos that we follow and take to be whole, by the origin of their PDS as last seen, and those of hidden people, whose
/// return may have passed unheard. Those in another state are owed a reading already.
async fn held(pool: &PgPool) -> sqlx::Result<HashMap<Option<String>, Vec<Held>>> {
    let rows = sqlx::query!(
        r#"select r.did, coalesce(r.rev, '') as "rev!", a.pds as "pds?", a.active as "active!"
           from repo r join actor a on a.did = r.did
           where a.active and r.state = 'synchronized' and r.rev is not null
              or not a.active and a.status <> 'deleted'"#
    )
    .fetch_all(pool)
    .await?;
    let mut held: HashMap<Option<String>, Vec<Held>> = HashMap::new();
    for row in rows {
        let Ok(did) = row.did.parse() else { continue };
        // No list tells of the hidden.
        let pds = row.pds.filter(|_| row.active);
        held.entry(pds).or_default().push(Held { did, rev: row.rev, is_active: row.active });
    }
    Ok(held)
}

/// What is said of a repo.
#[derive(Debug)]
enum Told {
    Same,
    Rev(String),
    Absent,
    Back,
    Nothing,
}

/// Asks for all of them. Each answer with the PDS as last seen, where that is known.
async fn ask(
    indexer: &Indexer,
    held: HashMap<Option<String>, Vec<Held>>,
) -> Vec<(Option<String>, Did, Told)> {
    let mut told = Vec::new();
    let mut single = Vec::new();
    for (pds, mut repos) in held {
        if let Some(url) = pds.as_ref().and_then(|pds| pds.parse::<Url>().ok())
            && repos.len() >= MANY
        {
            let (found, rest) = look_up(indexer, &url, repos).await;
            told.extend(found.into_iter().map(|(did, found)| (pds.clone(), did, found)));
            repos = rest;
        }
        single.extend(repos.into_iter().map(|repo| (pds.clone(), repo)));
    }
    let asked = stream::iter(single).map(|(pds, repo)| async move {
        let told = match pds::patiently(|| pds::latest_commit(indexer, &repo.did)).await {
            Ok(_) if sabotage::is_on("compare-finds-nothing") => Told::Same,
            Ok(_) if !repo.is_active => {
                let news = Input::Account { did: repo.did.clone(), status: Status::Active };
                apply_all(&indexer.door, vec![news]).await;
                Told::Back
            }
            Ok(latest) if latest.rev.as_str() == repo.rev => Told::Same,
            Ok(latest) => Told::Rev(latest.rev.to_string()),
            Err(error) if error.status().is_some() => {
                jobs::note_standing(indexer, &repo.did, &error).await;
                Told::Absent
            }
            // Nobody's repo: there is nothing to read.
            Err(PdsError::Identity(IdentityError::NotFound)) => Told::Absent,
            Err(error) => {
                tracing::debug!(did = %repo.did, %error, "cannot compare");
                Told::Nothing
            }
        };
        (pds, repo.did, told)
    });
    told.extend(asked.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await);
    told
}

/// Reads the list of a PDS as long as that is less than asking for each. Returns what it told, and the repos that it did not.
async fn look_up(indexer: &Indexer, pds: &Url, repos: Vec<Held>) -> (Vec<(Did, Told)>, Vec<Held>) {
    let mut missing: HashMap<Did, String> = repos.into_iter().map(|repo| (repo.did, repo.rev)).collect();
    let mut told = Vec::new();
    let (mut cursor, mut pages) = (None, missing.len() / WORTH_OF_A_PAGE);
    while pages > 0 && !missing.is_empty() {
        pages -= 1;
        let (listed, next, _) = match pds::list_repos(indexer, pds, cursor.as_deref()).await {
            Ok(page) => page,
            Err(error) => {
                tracing::debug!(%pds, %error, "listRepos");
                break;
            }
        };
        for repo in listed.into_iter().filter(|repo| repo.active) {
            let Some(rev) = missing.remove(&repo.did) else { continue };
            let same = repo.rev.as_str() == rev;
            told.push((repo.did, if same { Told::Same } else { Told::Rev(repo.rev.to_string()) }));
        }
        if next.is_none() || next == cursor {
            break;
        }
        cursor = next;
    }
    (told, missing.into_iter().map(|(did, rev)| Held { did, rev, is_active: true }).collect())
}

/// Of repos that stood elsewhere, those that still do once the stream had time to bring what their PDSes had then.
async fn still_elsewhere(
    indexer: &Indexer,
    suspects: Vec<(Did, String)>,
    patience: Duration,
) -> anyhow::Result<Vec<Did>> {
    if suspects.is_empty() {
        return Ok(Vec::new());
    }
    tokio::time::sleep(patience).await;
    let dids: Vec<String> = suspects.iter().map(|(did, _)| did.to_string()).collect();
    let rows = sqlx::query!("select did, rev from repo where did = any($1) and rev is not null", &dids)
        .fetch_all(&indexer.door.pool)
        .await?;
    let now: HashMap<String, String> = rows.into_iter().filter_map(|row| Some((row.did, row.rev?))).collect();
    let now = &now;
    let checked = stream::iter(suspects).map(|(did, rev)| async move {
        let held = now.get(did.as_str()).map_or("", String::as_str);
        let behind = match held.cmp(&rev) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => false,
            // Newer here than there a moment ago: the PDS has it too, or was set back.
            std::cmp::Ordering::Greater => match pds::patiently(|| pds::latest_commit(indexer, &did)).await {
                Ok(latest) => latest.rev.as_str() < held,
                Err(_) => true,
            },
        };
        behind.then_some(did)
    });
    Ok(checked.buffer_unordered(AT_ONCE).filter_map(|did| async { did }).collect().await)
}
