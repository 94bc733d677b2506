//! `plyr audit`: what we hold against what the PDSes hold, for people to read.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use indexer::audit::numbers::{self, Wrong};
use indexer::audit::{self as looking, Difference, Drift, Finding};

use super::progress::Progress as Bar;
use super::{Database, indexer, registry};
use crate::config::Config;

/// Records named of one repo; the rest are counted.
const PRINTED_MAX: usize = 20;

/// Compares repos with their PDSes, says what differs and, if wanted, asks for those repos to be read anew.
pub async fn audit(config: Config, sample: Option<u32>, repair: bool) -> anyhow::Result<()> {
    let (config, database) = Database::open(config).await?;
    database.expect_migrated().await?;
    let indexer = indexer(&config, &database).await?;
    let dids = looking::choose(&indexer, sample).await?;
    let (all, bar) = (dids.len() as u64, Bar::new("repos"));
    let (mut same, mut unread, mut drifted) = (0, BTreeMap::<String, Vec<String>>::new(), Vec::new());
    {
        let mut findings = std::pin::pin!(looking::audit(&indexer, dids));
        let mut done = 0;
        while let Some((did, finding)) = findings.next().await {
            done += 1;
            match finding? {
                Finding::Same => same += 1,
                Finding::Unread(failure) => {
                    unread.entry(failure.reason).or_default().push(format!("{did}: {}", failure.detail));
                }
                Finding::Drift(drift) => drifted.push((did, drift)),
            }
            bar.at(done, Some(all), &format!("{same} the same, {} drifted", drifted.len()));
        }
    }
    bar.end();
    for (did, drift) in &drifted {
        println!("{}", told(did.as_str(), drift));
    }
    for (reason, repos) in &unread {
        println!("{reason}: {} repos could not be read", repos.len());
        repos.iter().take(PRINTED_MAX).for_each(|repo| println!("  {repo}"));
    }
    let unread: usize = unread.values().map(Vec::len).sum();
    println!(
        "{all} repos: {same} the same as at their PDS, {} drifted, {unread} could not be read",
        drifted.len()
    );
    if repair && !drifted.is_empty() {
        let dids: Vec<_> = drifted.iter().map(|(did, _)| did.clone()).collect();
        looking::repair(&indexer, &dids).await;
        println!("{} repos will be read anew by `plyr up` or `plyr work`", dids.len());
    }
    database.close().await;
    anyhow::ensure!(drifted.is_empty(), "{} repos drifted", drifted.len());
    Ok(())
}

/// Counts every number anew and says which are wrong.
pub async fn audit_counts(config: Config) -> anyhow::Result<()> {
    let (config, database) = Database::open(config).await?;
    database.expect_migrated().await?;
    let (registry, bar) = (registry(&config), Bar::new("records"));
    let numbers = numbers::count(&database.pool, &registry, |records| bar.at(records, None, "")).await?;
    bar.end();
    for Wrong { uri, name, counted, found } in &numbers.wrong {
        println!("{uri}\n  {name}: {found}, and the records say {counted}");
    }
    println!("{} records: {} numbers are not what they say", numbers.records, numbers.wrong_count);
    database.close().await;
    anyhow::ensure!(
        numbers.wrong_count == 0,
        "{} numbers drifted; `plyr rebuild` mends them",
        numbers.wrong_count
    );
    Ok(())
}

fn told(did: &str, drift: &Drift) -> String {
    let mut lines = vec![format!("{did} ({})", drift.state)];
    match &drift.revs {
        Some((here, there)) if here == there => {
            lines.push(format!("  another tree than the PDS's at the same rev {here}"));
        }
        Some((here, there)) => {
            let here = if here.is_empty() { "none" } else { here };
            lines.push(format!("  rev {here} here, {there} at the PDS"));
        }
        None => {}
    }
    for difference in [Difference::Missing, Difference::Extra, Difference::Differing] {
        let found = drift.records.iter().filter(|(_, found)| **found == difference);
        let found: Vec<&str> = found.map(|(uri, _)| uri.as_str()).collect();
        lines.extend(found.iter().take(PRINTED_MAX).map(|uri| format!("  {} {uri}", difference.as_str())));
        if found.len() > PRINTED_MAX {
            lines.push(format!("  and {} more {}", found.len() - PRINTED_MAX, difference.as_str()));
        }
    }
    lines.join("\n")
}
