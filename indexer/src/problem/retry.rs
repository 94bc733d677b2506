//! Trying again what was kept aside, after its cause was mended.
//!
//! | what | how |
//! |---|---|
//! | an event whose bytes are here | read, verified and applied by the same code as when it came |
//! | an event that the repo has passed | the repo is read as a whole, unless it was since |
//! | a record that the database refused, or two at one rev | its proof is fetched and applied |
//! | an event whose bytes are gone | the repo is read as a whole: that holds whatever the event said |
//! | a blob that was unfit | asked for again, by a job |
//! | a record without a projection | projected anew from its bytes |
//!
//! What is settled is deleted: the table is what is left to do, and its history is in the log and the counters. A row that
//! stayed would have to be left out of every count, and would keep bytes of people who have left. What fails stays, with
//! the new reason.

mod event;

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};

use super::list::{Filter, Id};
use crate::Indexer;
use crate::apply::reread::reread;
use crate::syntax::{AtUri, Did};

/// Accounts at once.
const AT_ONCE: usize = 6;
/// Records of one transaction.
const RECORDS_MAX: usize = 500;
/// Those that still fail, named in a summary.
pub const NAMED_MAX: usize = 1000;

/// Which are tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// These.
    Ids(Vec<Id>),
    /// All that the filter lets through.
    Filter(Filter),
}

/// What became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// To be tried in all.
    pub all: u64,
    /// Applied, or known to be accounted for.
    pub settled: u64,
    /// Of those, by reading the whole repo.
    pub resynced: u64,
    /// Left to a job.
    pub queued: u64,
    /// Failed again.
    pub failed: u64,
    /// Why, for the first [`NAMED_MAX`].
    pub failures: Vec<(Id, String)>,
}

impl Summary {
    /// How many were tried so far.
    pub fn done(&self) -> u64 {
        self.settled + self.queued + self.failed
    }

    fn note(&mut self, id: Id, outcome: Outcome) {
        match outcome {
            Outcome::Settled => self.settled += 1,
            Outcome::Resynced => {
                self.settled += 1;
                self.resynced += 1;
            }
            Outcome::Queued => self.queued += 1,
            Outcome::Failed(why) => {
                self.failed += 1;
                if self.failures.len() < NAMED_MAX {
                    self.failures.push((id, why));
                }
            }
        }
    }
}

enum Outcome {
    Settled,
    Resynced,
    Queued,
    Failed(String),
}

/// What is to be tried of one account, or of nobody known.
#[derive(Default)]
struct Work {
    events: Vec<i64>,
    records: Vec<String>,
}

/// Tries them again. `report` hears of the progress after each account.
pub async fn retry(indexer: &Indexer, wanted: &Wanted, report: impl Fn(&Summary)) -> sqlx::Result<Summary> {
    let work = collect(indexer, wanted).await?;
    let all = work.values().map(|work| (work.events.len() + work.records.len()) as u64).sum();
    let mut summary = Summary { all, ..Summary::default() };
    let mut trying = stream::iter(work)
        .map(|(did, work)| async move { of_one(indexer, did.and_then(|did| did.parse().ok()), work).await })
        .buffer_unordered(AT_ONCE);
    while let Some(outcomes) = trying.next().await {
        for (id, outcome) in outcomes? {
            summary.note(id, outcome);
        }
        report(&summary);
    }
    drop(trying);
    Ok(summary)
}

async fn collect(indexer: &Indexer, wanted: &Wanted) -> sqlx::Result<BTreeMap<Option<String>, Work>> {
    let mut work: BTreeMap<Option<String>, Work> = BTreeMap::new();
    let (filter, ids) = match wanted {
        Wanted::Ids(ids) => (Filter::default(), Some(ids)),
        Wanted::Filter(filter) => (filter.clone(), None),
    };
    let (mut numbers, mut uris) = (Vec::new(), Vec::new());
    for id in ids.into_iter().flatten() {
        match id {
            Id::Event(number) => numbers.push(*number),
            Id::Record(uri) => uris.push(uri.to_string()),
        }
    }
    // In the order in which they came.
    let events = sqlx::query!(
        r#"select id, did from problem
           where (not $1 or id = any($2)) and ($3::text is null or kind = $3) and ($4::text is null or did = $4)
             and ($5::text is null or source = $5) and ($6::timestamptz is null or created_at >= $6)
           order by id"#,
        ids.is_some(),
        &numbers,
        filter.kind,
        filter.did.as_ref().map(|did| did.as_str()),
        filter.source,
        filter.since
    )
    .fetch_all(&indexer.door.pool)
    .await?;
    for event in events {
        work.entry(event.did).or_default().events.push(event.id);
    }
    if filter.source.is_some() {
        return Ok(work);
    }
    let records = sqlx::query!(
        r#"select uri, did from record
           where problem is not null and value is not null and (not $1 or uri = any($2))
             and ($3::text is null or problem = $3) and ($4::text is null or did = $4)
             and ($5::timestamptz is null or indexed_at >= $5)"#,
        ids.is_some(),
        &uris,
        filter.kind,
        filter.did.as_ref().map(|did| did.as_str()),
        filter.since
    )
    .fetch_all(&indexer.door.pool)
    .await?;
    for record in records {
        work.entry(Some(record.did)).or_default().records.push(record.uri);
    }
    Ok(work)
}

async fn of_one(indexer: &Indexer, did: Option<Did>, work: Work) -> sqlx::Result<Vec<(Id, Outcome)>> {
    let mut outcomes = Vec::new();
    if let Some(did) = &did {
        for uris in work.records.chunks(RECORDS_MAX) {
            outcomes.extend(records(indexer, did, uris).await);
        }
    }
    let mut whole = event::Whole::default();
    for id in work.events {
        outcomes.push((Id::Event(id), event::again(indexer, id, &mut whole).await?));
    }
    Ok(outcomes)
}

/// Reads records anew; where the database refuses that, each alone.
async fn records(indexer: &Indexer, did: &Did, uris: &[String]) -> Vec<(Id, Outcome)> {
    match reread(&indexer.door, did, uris).await {
        Ok(still) => {
            let still: BTreeMap<AtUri, String> = still
                .into_iter()
                .map(|(uri, problem)| (uri, format!("{}: {}", problem.name, problem.detail)))
                .collect();
            let outcome = |uri: &AtUri| still.get(uri).cloned().map_or(Outcome::Settled, Outcome::Failed);
            let uris = uris.iter().filter_map(|uri| uri.parse::<AtUri>().ok());
            uris.map(|uri| (Id::Record(uri.clone()), outcome(&uri))).collect()
        }
        Err(_) if uris.len() > 1 => {
            let mut outcomes = Vec::new();
            for uri in uris {
                outcomes.extend(Box::pin(records(indexer, did, std::slice::from_ref(uri))).await);
            }
            outcomes
        }
        Err(error) => {
            let uris = uris.iter().filter_map(|uri| uri.parse::<AtUri>().ok());
            uris.map(|uri| (Id::Record(uri), Outcome::Failed(format!("the database refused it: {error}"))))
                .collect()
        }
    }
}
