//! Reading the repos of a host as a whole: at first contact, and where its stream had a hole.
//!
//! The host only tells which repos there are. Each is read from its account's own PDS and verified, so a repo that is
//! here already at the listed rev is skipped: an interrupted backfill continues where it was.

use std::collections::HashMap;

use futures_util::{StreamExt, stream};
use url::Url;

use crate::apply::batch::apply_all;
use crate::change::{Input, Status};
use crate::pds::{self, ListedRepo};
use crate::syntax::Did;
use crate::{Indexer, jobs};

/// Repos read at once.
const AT_ONCE: usize = 4;

/// How far a backfill has come.
#[derive(Debug, Default, Clone)]
pub struct Progress {
    /// Repos listed so far.
    pub listed: u64,
    /// Held already at the listed rev, hidden by the host, or without records of ours.
    pub skipped: u64,
    /// Read and applied.
    pub read: u64,
    /// Could not be had, and why. The first [`FAILURES_MAX`] are named; `failed` counts all.
    pub failures: Vec<(Did, String)>,
    /// Number of all that could not be had.
    pub failed: u64,
}

/// Failures named in a summary.
pub const FAILURES_MAX: usize = 1000;

enum Outcome {
    Skipped,
    Read,
    Failed(Did, String),
}

impl Progress {
    fn note(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Skipped => self.skipped += 1,
            Outcome::Read => self.read += 1,
            Outcome::Failed(did, why) => {
                self.failed += 1;
                if self.failures.len() < FAILURES_MAX {
                    self.failures.push((did, why));
                }
            }
        }
    }
}

/// Reads all repos that a host lists and that have records of ours. `report` hears of the progress after each repo.
pub async fn host(indexer: &Indexer, host: &Url, report: impl Fn(&Progress)) -> anyhow::Result<Progress> {
    let mut progress = Progress::default();
    let mut cursor = None;
    loop {
        let (repos, next, unreadable) = pds::list_repos(indexer, host, cursor.as_deref()).await?;
        if unreadable > 0 {
            tracing::warn!(%host, unreadable, "lines of listRepos that cannot be read");
        }
        progress.listed += repos.len() as u64;
        note_standings(indexer, &repos).await?;
        let held = held_revs(indexer, &repos).await?;
        let held = &held;
        let mut work = stream::iter(repos)
            .map(|repo| async move {
                match (repo.active, held.get(repo.did.as_str())) {
                    (false, _) => Outcome::Skipped,
                    (true, Some(rev)) if rev.as_str() >= repo.rev.as_str() => Outcome::Skipped,
                    (true, held) => read(indexer, repo.did, held.is_none()).await,
                }
            })
            .buffer_unordered(AT_ONCE);
        while let Some(outcome) = work.next().await {
            progress.note(outcome);
            report(&progress);
        }
        drop(work);
        if next.is_none() || next == cursor {
            return Ok(progress);
        }
        cursor = next;
    }
}

/// Reads these repos whatever we hold of them.
pub async fn repos(indexer: &Indexer, dids: Vec<Did>, report: impl Fn(&Progress)) -> Progress {
    let mut progress = Progress { listed: dids.len() as u64, ..Progress::default() };
    let mut work = stream::iter(dids).map(|did| read(indexer, did, false)).buffer_unordered(AT_ONCE);
    while let Some(outcome) = work.next().await {
        progress.note(outcome);
        report(&progress);
    }
    drop(work);
    progress
}

async fn read(indexer: &Indexer, did: Did, ask_first: bool) -> Outcome {
    if ask_first {
        match pds::concerns_us(indexer, &did).await {
            Ok(true) => {}
            Ok(false) => return Outcome::Skipped,
            // It was only to spare us the whole repo, which may be had all the same.
            Err(error) => tracing::debug!(%did, %error, "describeRepo"),
        }
    }
    match jobs::read_repo(indexer, &did).await {
        Ok(()) => Outcome::Read,
        Err(error) => Outcome::Failed(did, error.to_string()),
    }
}

/// Passes on what the host says of the standing of people we know, where that is news; it is confirmed like any host's word.
async fn note_standings(indexer: &Indexer, repos: &[ListedRepo]) -> sqlx::Result<()> {
    let dids: Vec<String> = repos.iter().map(|repo| repo.did.to_string()).collect();
    let known = sqlx::query!("select did, status from actor where did = any($1)", &dids)
        .fetch_all(&indexer.door.pool)
        .await?;
    let known: HashMap<String, String> = known.into_iter().map(|row| (row.did, row.status)).collect();
    let mut news = Vec::new();
    for repo in repos {
        let Some(status) = Status::read(repo.active, repo.status.as_deref()) else { continue };
        if known.get(repo.did.as_str()).is_some_and(|held| held != status.as_str()) {
            news.push(Input::Account { did: repo.did.clone(), status });
        }
    }
    apply_all(&indexer.door, news, None).await;
    Ok(())
}

/// The revs of those repos that we hold completely.
async fn held_revs(indexer: &Indexer, repos: &[ListedRepo]) -> sqlx::Result<HashMap<String, String>> {
    let dids: Vec<String> = repos.iter().map(|repo| repo.did.to_string()).collect();
    let rows = sqlx::query!(
        r#"select did, rev as "rev!" from repo where did = any($1) and state = 'synchronized' and rev is not null"#,
        &dids
    )
    .fetch_all(&indexer.door.pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.did, row.rev)).collect())
}
