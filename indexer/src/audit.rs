//! Holding what we have against what there is: every record of a repo as its PDS has it now, proven, against our rows.

pub mod numbers;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};

use crate::Indexer;
use crate::apply::{self, batch::apply_all};
use crate::backfill::Failure;
use crate::change::{Input, RepoSnapshot};
use crate::pds::{self, PdsError};
use crate::syntax::Did;

/// How often a repo that differs is looked at again before that is drift: what is on its way arrives in seconds.
const LOOKS: u32 = 3;
/// Between two looks.
const PAUSE: Duration = Duration::from_secs(4);
/// Repos looked at at once.
const AT_ONCE: usize = 16;
/// Differences that are named of one repo.
pub const NAMED_MAX: usize = 1000;

/// What became of one repo.
#[derive(Debug)]
pub enum Finding {
    /// Rev, root and every record are the same.
    Same,
    /// They are not.
    Drift(Drift),
    /// There was nothing to hold against.
    Unread(Failure),
}

/// How a repo differs from what its PDS has, several times in a row.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Drift {
    /// Our rev, and the PDS's, where they differ; or both the same, where the roots do.
    pub revs: Option<(String, String)>,
    /// What our repo row says of itself.
    pub state: String,
    /// By URI; at most [`NAMED_MAX`].
    pub records: BTreeMap<String, Difference>,
}

/// How a record differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The PDS has it, we have not.
    Missing,
    /// We have it, the PDS has not.
    Extra,
    /// Both have one, and not the same.
    Differing,
}

impl Difference {
    /// One word.
    pub fn as_str(self) -> &'static str {
        match self {
            Difference::Missing => "missing",
            Difference::Extra => "extra",
            Difference::Differing => "differing",
        }
    }
}

/// The repos to look at: so many at random, or all. Only people whom their PDS shows.
pub async fn choose(indexer: &Indexer, sample: Option<u32>) -> sqlx::Result<Vec<Did>> {
    let registry = &indexer.door.registry;
    let tracks = |nsid: &&str| registry.get(nsid).is_some_and(|collection| collection.tracks);
    let tracking: Vec<&str> = registry.nsids().filter(tracks).collect();
    let dids = sqlx::query_scalar!(
        "select r.did from repo r join actor a on a.did = r.did
         where a.active and a.followed_at is not null and (r.state <> 'unknown'
           or exists (select from record where record.did = r.did and collection = any($2)))
         order by random() limit $1",
        sample.map(i64::from),
        &tracking as &[&str]
    )
    .fetch_all(&indexer.door.pool)
    .await?;
    Ok(dids.into_iter().filter_map(|did| did.parse().ok()).collect())
}

/// Looks at repos, many at once, in no order.
pub fn audit(indexer: &Indexer, dids: Vec<Did>) -> impl Stream<Item = (Did, anyhow::Result<Finding>)> + '_ {
    stream::iter(dids)
        .map(move |did| async move {
            let finding = one(indexer, &did).await;
            (did, finding)
        })
        .buffer_unordered(AT_ONCE)
}

/// Doubts these repos: each is read anew by a job, whatever its row says of itself.
pub async fn repair(indexer: &Indexer, dids: &[Did]) {
    let doubts = dids.iter().map(|did| Input::Missed { did: did.clone() }).collect();
    apply_all(&indexer.door, doubts).await;
}

async fn one(indexer: &Indexer, did: &Did) -> anyhow::Result<Finding> {
    let mut drift: Option<Drift> = None;
    let mut first_there = None;
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let (now, there) = match look_at(indexer, did).await {
            Ok(now) => now,
            Err(PdsError::Database(error)) => return Err(error.into()),
            Err(error) => return Ok(Finding::Unread(Failure::of(&error))),
        };
        // A rev that was here in time is no drift, even if the PDS has gone on since.
        let first_there = first_there.get_or_insert(there);
        let lasting = Drift {
            revs: now.revs.filter(|(here, there)| here <= first_there || here >= there),
            state: now.state,
            records: match drift {
                None => now.records,
                Some(before) => both(before.records, &now.records),
            },
        };
        if lasting.revs.is_none() && lasting.records.is_empty() {
            return Ok(Finding::Same);
        }
        drift = Some(lasting);
    }
    Ok(drift.map_or(Finding::Same, Finding::Drift))
}

fn both(
    before: BTreeMap<String, Difference>,
    now: &BTreeMap<String, Difference>,
) -> BTreeMap<String, Difference> {
    before.into_iter().filter(|(uri, difference)| now.get(uri) == Some(difference)).collect()
}

/// One look: how we differ now, and the PDS's rev.
async fn look_at(indexer: &Indexer, did: &Did) -> Result<(Drift, String), PdsError> {
    let mut repo = pds::patiently(|| pds::open_repo(indexer, did)).await?;
    let mut drift = Drift::default();
    while let Some(stretch) = repo.stretch()? {
        compare(indexer, &stretch, &mut drift.records).await?;
    }
    let row = sqlx::query!("select rev, data_root, state from repo where did = $1", did.as_str())
        .fetch_optional(&indexer.door.pool)
        .await?;
    let there = repo.rev.to_string();
    if let Some(row) = row {
        let here = row.rev.unwrap_or_default();
        if here != there || row.data_root != Some(repo.data.to_string()) {
            drift.revs = Some((here, there.clone()));
        }
        drift.state = row.state;
    }
    Ok((drift, there))
}

async fn compare(
    indexer: &Indexer,
    stretch: &RepoSnapshot,
    found: &mut BTreeMap<String, Difference>,
) -> sqlx::Result<()> {
    let rows = sqlx::query!(
        r#"select uri, cid as "cid!" from record
           where did = $1 and cid is not null and uri > $2 and ($3::text is null or uri <= $3)"#,
        stretch.did.as_str(),
        stretch.after.as_ref().map_or("", |uri| uri.as_str()),
        stretch.upto.as_ref().map(|uri| uri.as_str())
    )
    .fetch_all(&indexer.door.pool)
    .await?;
    let mut held: BTreeMap<String, String> = rows.into_iter().map(|row| (row.uri, row.cid)).collect();
    let mut missing = BTreeSet::new();
    let kept = apply::kept(&indexer.door, stretch).await?;
    for (uri, cid, _) in &stretch.records {
        match held.remove(uri.as_str()) {
            // Of no concern here.
            None if !kept.contains(uri) => {}
            None => drop(missing.insert(uri.to_string())),
            Some(held) if held != cid.to_string() => note(found, uri.to_string(), Difference::Differing),
            Some(_) => {}
        }
    }
    held.into_keys().for_each(|uri| note(found, uri, Difference::Extra));
    // What the database itself refused was kept aside by name: that is known, and no drift.
    let asked: Vec<String> = missing.iter().cloned().collect();
    let aside = sqlx::query_scalar!(
        r#"select distinct uri as "uri!" from problem where kind = 'Refused' and did = $1 and uri = any($2)"#,
        stretch.did.as_str(),
        &asked
    )
    .fetch_all(&indexer.door.pool)
    .await?;
    aside.iter().for_each(|uri| {
        missing.remove(uri);
    });
    missing.into_iter().for_each(|uri| note(found, uri, Difference::Missing));
    Ok(())
}

fn note(found: &mut BTreeMap<String, Difference>, uri: String, difference: Difference) {
    if found.len() < NAMED_MAX {
        found.insert(uri, difference);
    }
}
