//! `plyr backfill`: reads many repos, says how far it is, and in the end what could not be had and why.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use indexer::backfill::{self as reading, Failure, Progress, Since};
use indexer::firehose::Kind;
use indexer::syntax::Did;
use url::Url;

use super::progress::Progress as Bar;
use super::{Database, indexer};
use crate::config::Config;

/// Failures that are printed; a file takes them all.
const PRINTED_MAX: usize = 1000;

/// Reads whole repos: those named, or all of a host, or all of every upstream.
pub async fn backfill(
    config: Config,
    from: Option<Url>,
    dids: Vec<Did>,
    anew: bool,
    failures: Option<PathBuf>,
) -> anyhow::Result<()> {
    let (config, database) = Database::open(config).await?;
    database.expect_migrated().await?;
    let indexer = indexer(&config, &database).await?;
    let since = if anew { Since::Anew } else { Since::Any };
    let hosts = match from {
        Some(host) => vec![host],
        None if dids.is_empty() => config
            .upstreams
            .iter()
            .filter(|upstream| upstream.kind == Kind::Repos)
            .map(|upstream| upstream.http_url.clone())
            .collect(),
        None => Vec::new(),
    };
    let mut outcomes = Vec::new();
    if !dids.is_empty() {
        let bar = Bar::new("repos");
        outcomes.push(reading::repos(&indexer, dids, since, |state| show(&bar, state)).await?);
        bar.end();
    }
    for host in hosts {
        let bar = Bar::new("repos");
        let read = reading::host_since(&indexer, &host, since, |state| show(&bar, state)).await;
        bar.end();
        outcomes.push(read.with_context(|| format!("{host}"))?);
    }
    let mut named = Vec::new();
    for outcome in outcomes {
        println!("{}", summary(&outcome));
        named.extend(outcome.failures);
    }
    tell(&named, failures)?;
    database.close().await;
    let faults = named.iter().filter(|(_, failure)| !failure.is_final()).count();
    anyhow::ensure!(faults == 0, "{faults} repos could not be had");
    Ok(())
}

fn show(bar: &Bar, state: &Progress) {
    let more = if state.is_listed { "" } else { ", still listing" };
    bar.at(state.done(), Some(state.listed), &format!("{} read, {} failed{more}", state.read, state.failed));
}

fn summary(outcome: &Progress) -> String {
    let Progress { listed, read, skipped, failed, .. } = outcome;
    let mut text = String::new();
    if let Some(since) = outcome.continues {
        let since = since.format("%Y-%m-%d %H:%M:%S UTC");
        writeln!(text, "continued what was begun at {since} (--anew begins from the beginning)").ok();
    }
    write!(
        text,
        "{listed} repos listed: {read} read, {skipped} skipped (held already, hidden, or without records of ours), {failed} failed"
    )
    .ok();
    if outcome.is_cut {
        write!(
            text,
            "\nthe host's list led back to where it had been and was read no further: it may name more"
        )
        .ok();
    }
    text
}

/// Who could not be had, by reason: printed, or all of them into a file.
fn tell(named: &[(Did, Failure)], file: Option<PathBuf>) -> anyhow::Result<()> {
    let mut groups: BTreeMap<&str, Vec<(&Did, &Failure)>> = BTreeMap::new();
    for (did, failure) in named {
        groups.entry(&failure.reason).or_default().push((did, failure));
    }
    let mut printed = 0;
    for (reason, group) in &groups {
        println!("{reason}: {} repos", group.len());
        for (did, failure) in group {
            if file.is_none() && printed < PRINTED_MAX {
                printed += 1;
                println!("  {did}: {}", failure.detail);
            }
        }
    }
    if let Some(file) = file {
        let lines: String = named
            .iter()
            .map(|(did, failure)| format!("{did}\t{}\t{}\n", failure.reason, failure.detail))
            .collect();
        std::fs::write(&file, lines).with_context(|| format!("--failures {}", file.display()))?;
        println!("{} of them are named in {}", named.len(), file.display());
    } else if named.len() > printed {
        println!("{} more; --failures FILE names them all", named.len() - printed);
    }
    Ok(())
}
