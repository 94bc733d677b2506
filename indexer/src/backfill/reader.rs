//! Fetching, proving and applying, many repos at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use url::Url;

use super::ledger::{Ledger, Outcome, Task};
use super::{Failure, Progress, listing};
use crate::Indexer;
use crate::apply::batch::apply_all;
use crate::change::{Input, RepoSnapshot};
use crate::jobs;
use crate::pds::{self, PdsError};
use crate::syntax::Did;

/// Repos under way at once: being asked for, or waiting for their hosts or for the door. Each may hold a megabyte.
const UNDER_WAY: usize = 64;
/// Attempts at one repo; what cannot be had then is left to whoever asked.
const ATTEMPTS_MAX: i32 = 5;
/// Without any repo being done for so long, those left are given up: everybody rests, or nobody answers.
const STANDSTILL: Duration = Duration::from_secs(30 * 60);
/// How often it is looked whether one that had to wait is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Transactions at once.
const APPLIERS: usize = 2;
/// Records of one transaction: what is waiting is put together up to this.
const BATCH_RECORDS: usize = 1000;
/// Pages of a list that are read before what is under way is looked after.
const PAGES_AT_ONCE: usize = 50;
/// Attempts at one page of a list.
const PAGE_ATTEMPTS: u32 = 5;

/// A small repo on its way through the door; who sent it hears whether all of it was taken.
type Small = (RepoSnapshot, oneshot::Sender<bool>);

/// Reads everything that the ledger lists, and what `host` goes on to list.
pub(super) async fn read_all(
    indexer: &Indexer,
    mut ledger: Ledger,
    host: Option<&Url>,
    report: impl Fn(&Progress),
) -> anyhow::Result<Progress> {
    let (door, mut appliers) = start_appliers(indexer);
    let mut tasks: JoinSet<(Did, Outcome)> = JoinSet::new();
    let mut under_way: HashSet<String> = HashSet::new();
    let mut done_at = Instant::now();
    loop {
        let mut pages = 0;
        while under_way.len() < UNDER_WAY && pages < PAGES_AT_ONCE {
            pages += 1;
            let free = UNDER_WAY - under_way.len();
            let mine: Vec<String> = under_way.iter().cloned().collect();
            let next = ledger.next(free, &mine).await?;
            for task in &next {
                under_way.insert(task.did.to_string());
                let (indexer, door, task) = (indexer.clone(), door.clone(), task.clone());
                let always = host.is_none();
                tasks.spawn(async move {
                    let outcome = read(&indexer, &door, &task, always).await;
                    (task.did, outcome)
                });
            }
            if next.len() == free || ledger.progress.is_listed {
                break;
            }
            let Some(host) = host else { break };
            patiently_list(indexer, host, &mut ledger).await?;
            report(&ledger.progress);
        }
        if tasks.is_empty() && (ledger.progress.is_listed || host.is_none()) {
            // Everything left waits for its time.
            let Some(due) = ledger.due().await? else { break };
            tokio::time::sleep(due.max(Duration::from_millis(50))).await;
        }
        let mut ended = Vec::new();
        // Some that waited may be due while all that is under way takes its time.
        if let Ok(Some(first)) = tokio::time::timeout(LOOK_EVERY, tasks.join_next()).await {
            ended.push(first?);
        }
        while let Some(more) = tasks.try_join_next() {
            ended.push(more?);
        }
        for (did, outcome) in &mut ended {
            under_way.remove(did.as_str());
            match outcome {
                Outcome::Again(..) if done_at.elapsed() > STANDSTILL => {
                    let detail = "nobody has answered for half an hour".to_owned();
                    *outcome = Outcome::Failed(Failure { reason: "Busy".to_owned(), detail });
                }
                Outcome::Again(..) => {}
                _ => done_at = Instant::now(),
            }
        }
        if ended.is_empty() {
            continue;
        }
        ledger.settle(ended).await?;
        report(&ledger.progress);
    }
    drop(door);
    while let Some(ended) = appliers.join_next().await {
        ended?;
    }
    Ok(ledger.end().await?)
}

async fn patiently_list(indexer: &Indexer, host: &Url, ledger: &mut Ledger) -> anyhow::Result<()> {
    let mut attempt = 0;
    loop {
        let error = match listing::list_page(indexer, host, ledger).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let pds_error = error.downcast_ref::<PdsError>();
        attempt += 1;
        if attempt >= PAGE_ATTEMPTS || !pds_error.is_some_and(PdsError::is_transient) {
            return Err(error.context(format!("the list of {host}")));
        }
        let pause = pause(attempt as i32).max(pds_error.and_then(PdsError::retry_after).unwrap_or_default());
        tracing::warn!(%host, error = %format!("{error:#}"), seconds = pause.as_secs_f64(), "cannot list; trying again");
        tokio::time::sleep(pause).await;
    }
}

/// Growing, and never the same for two.
fn pause(attempts: i32) -> Duration {
    Duration::from_secs(1 << attempts.clamp(0, 6)).mul_f64(rand::rng().random_range(0.5..1.0))
}

async fn read(indexer: &Indexer, door: &mpsc::Sender<Small>, task: &Task, always: bool) -> Outcome {
    let Task { did, attempts, .. } = task;
    match try_read(indexer, door, task, always).await {
        Ok(true) => Outcome::Read,
        Ok(false) => Outcome::Skipped,
        // Nobody was asked.
        Err(error) if error.is_of_ours() => {
            let rest = error.retry_after().unwrap_or_default();
            Outcome::Again(rest + Duration::from_millis(rand::rng().random_range(0..2000)), false)
        }
        Err(error) if error.is_transient() && *attempts + 1 < ATTEMPTS_MAX => {
            tracing::debug!(%did, %error, attempts, "a repo could not be had; trying again");
            Outcome::Again(pause(*attempts).max(error.retry_after().unwrap_or_default()), true)
        }
        Err(error) => {
            jobs::note_standing(indexer, did, &error).await;
            Outcome::Failed(Failure::of(&error))
        }
    }
}

/// Reads and applies a repo. False when there was no need to.
async fn try_read(
    indexer: &Indexer,
    door: &mpsc::Sender<Small>,
    task: &Task,
    always: bool,
) -> Result<bool, PdsError> {
    let did = &task.did;
    if !always && !is_wanted(indexer, task).await? {
        return Ok(false);
    }
    let mut repo = pds::open_repo(indexer, did).await?;
    let Some(first) = repo.stretch()? else { return Ok(true) };
    crate::sabotage::point("backfill-read");
    if repo.is_at_end() {
        let (told, hears) = oneshot::channel();
        // They end only after us.
        door.send((first, told)).await.ok();
        return if hears.await.unwrap_or(false) { Ok(true) } else { Err(PdsError::Refused(1)) };
    }
    let mut refused = apply_all(&indexer.door, vec![Input::Snapshot(first)]).await.len();
    while let Some(stretch) = repo.stretch()? {
        refused += apply_all(&indexer.door, vec![Input::Snapshot(stretch)]).await.len();
    }
    if refused > 0 { Err(PdsError::Refused(refused)) } else { Ok(true) }
}

/// Whether a listed repo is worth reading: it stands elsewhere than what we hold of it, or is new and has records of ours.
async fn is_wanted(indexer: &Indexer, task: &Task) -> Result<bool, PdsError> {
    let held = sqlx::query_scalar!(
        r#"select rev as "rev?" from repo where did = $1 and state = 'synchronized'"#,
        task.did.as_str()
    )
    .fetch_optional(&indexer.door.pool)
    .await?;
    match held.flatten() {
        Some(rev) => Ok(pds::latest_commit(indexer, &task.did).await?.rev.as_str() != rev),
        None if task.is_known => Ok(true),
        None => match pds::concerns_us(indexer, &task.did).await {
            Err(error) if error.is_transient() || error.status().is_some() => Err(error),
            // It was only to spare us the whole repo, which may be had all the same.
            Err(error) => {
                tracing::debug!(did = %task.did, %error, "describeRepo");
                Ok(true)
            }
            known => known,
        },
    }
}

fn start_appliers(indexer: &Indexer) -> (mpsc::Sender<Small>, JoinSet<()>) {
    let (sender, receiver) = mpsc::channel(UNDER_WAY);
    let receiver = Arc::new(Mutex::new(receiver));
    let mut appliers = JoinSet::new();
    for _ in 0..APPLIERS {
        appliers.spawn(apply_small(indexer.clone(), receiver.clone()));
    }
    (sender, appliers)
}

/// Applies what is waiting, many repos in one transaction.
async fn apply_small(indexer: Indexer, waiting: Arc<Mutex<mpsc::Receiver<Small>>>) {
    loop {
        let (mut inputs, mut told, mut records) = (Vec::new(), Vec::new(), 0);
        {
            let mut waiting = waiting.lock().await;
            let mut next = waiting.recv().await;
            while let Some((snapshot, sender)) = next {
                records += snapshot.records.len() + 1;
                told.push((snapshot.did.clone(), sender));
                inputs.push(Input::Snapshot(snapshot));
                next = if records < BATCH_RECORDS { waiting.try_recv().ok() } else { None };
            }
        }
        if inputs.is_empty() {
            return;
        }
        let refused = apply_all(&indexer.door, inputs).await;
        for (did, sender) in told {
            sender.send(!refused.contains(&did)).ok();
        }
    }
}
