//! `plyr lexicons`: what records and methods may say, told and published.

mod repo;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, IsTerminal, Write};

use anyhow::Context;
use indexer::lexicon::{Source, source, sources};
use serde_json::{Value, json};

use crate::config::{APP_PASSWORD, Config, Lexicons, Password, Publish};
use repo::{Repo, SCHEMA, Stored};

/// What begins so is ours to say. Records may be renamed by PLYR_NAMESPACE; what they mean is said here all the same.
const OURS: &str = "fm.plyr.";
/// A line of the standard input that is longer is no password.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// Lists, shows or publishes.
pub async fn lexicons(config: Config, ask: Lexicons) -> anyhow::Result<()> {
    match ask {
        Lexicons::List { all } => list(all),
        Lexicons::Show(nsid) => {
            let found = source(nsid.as_str()).with_context(|| {
                format!("there is no lexicon {nsid}; `plyr lexicons list --all` names all")
            })?;
            print(&found.text)
        }
        Lexicons::Publish(ask) => publish(&config, ask).await,
    }
}

fn ours() -> impl Iterator<Item = Source> {
    sources().filter(|source| source.nsid.starts_with(OURS))
}

fn list(all: bool) -> anyhow::Result<()> {
    let mut lines = String::new();
    for source in sources().filter(|source| all || source.nsid.starts_with(OURS)) {
        let description = source.description().unwrap_or("What other lexicons share.");
        lines += &format!("{:38} {:14} {description}\n", source.nsid, source.kind());
    }
    print(lines.as_bytes())
}

/// To the standard output. That a reader has had enough, as `head` has, is no failure.
fn print(text: &[u8]) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// What is to be done about one lexicon.
#[derive(Debug, PartialEq)]
enum Step {
    Create(Value),
    /// In the place of the version with this CID.
    Update(Value, String),
    Keep,
    /// It is in the repo, in our namespace, and not ours any more.
    Stale(String),
}

/// Compares what is ours with what is in the repo. What is there of other namespaces is none of our business.
fn plan(ours: impl Iterator<Item = Source>, mut stored: BTreeMap<String, Stored>) -> BTreeMap<String, Step> {
    let mut steps = BTreeMap::new();
    for source in ours {
        let mut record = source.json;
        record["$type"] = json!(SCHEMA);
        let step = match stored.remove(&source.nsid) {
            None => Step::Create(record),
            Some(there) if there.value == record => Step::Keep,
            Some(there) => Step::Update(record, there.cid),
        };
        steps.insert(source.nsid, step);
    }
    let stale = stored.into_iter().filter(|(nsid, _)| nsid.starts_with(OURS));
    steps.extend(stale.map(|(nsid, there)| (nsid, Step::Stale(there.cid))));
    steps
}

async fn publish(config: &Config, ask: Publish) -> anyhow::Result<()> {
    let mut repo = Repo::find(config, &ask).await?;
    println!("{} at {}", repo.did, repo.pds);
    let steps = plan(ours(), repo.lexicons().await?);
    let is_work = |step: &Step| match step {
        Step::Create(_) | Step::Update(..) => true,
        Step::Stale(_) => ask.prune,
        Step::Keep => false,
    };
    let does_write = !ask.dry_run && steps.values().any(is_work);
    if does_write {
        let password = match ask.password.clone() {
            Some(password) => password,
            None => tokio::task::spawn_blocking(read_password).await??,
        };
        repo.sign_in(&password).await?;
    }
    let done = take(&repo, &ask, steps).await;
    if does_write {
        repo.sign_out().await;
    }
    done?;
    print_dns(repo.did.as_str());
    Ok(())
}

/// Takes the steps, or in a dry run tells of them.
async fn take(repo: &Repo, ask: &Publish, steps: BTreeMap<String, Step>) -> anyhow::Result<()> {
    let [mut created, mut updated, mut unchanged, mut removed] = [0u32; 4];
    for (nsid, step) in steps {
        let said = match step {
            Step::Keep => {
                unchanged += 1;
                "unchanged"
            }
            Step::Stale(_) if !ask.prune => "not ours any more; --prune removes it",
            Step::Create(record) => {
                if !ask.dry_run {
                    repo.put(&nsid, record, None).await?;
                }
                created += 1;
                "created"
            }
            Step::Update(record, cid) => {
                if !ask.dry_run {
                    repo.put(&nsid, record, Some(&cid)).await?;
                }
                updated += 1;
                "updated"
            }
            Step::Stale(cid) => {
                if !ask.dry_run {
                    repo.delete(&nsid, &cid).await?;
                }
                removed += 1;
                "removed"
            }
        };
        println!("{nsid:38} {said}");
    }
    let would = if ask.dry_run { "nothing was done; would be: " } else { "" };
    println!("{would}{created} created, {updated} updated, {unchanged} unchanged, {removed} removed");
    Ok(())
}

/// What leads others from a name to the repo.
fn print_dns(did: &str) {
    let domains: BTreeSet<String> = ours().map(|source| source.authority()).collect();
    println!("\nOthers find them by these DNS records, one for each group of names:");
    for domain in domains {
        println!("  {:28} TXT \"did={did}\"", format!("_lexicon.{domain}"));
    }
}

/// From the terminal, unseen, or a line of the standard input.
fn read_password() -> anyhow::Result<Password> {
    let mut line = String::new();
    if std::io::stdin().is_terminal() {
        let terminal = console::Term::stderr();
        terminal.write_str("App password: ")?;
        line = terminal.read_secure_line()?;
    } else {
        let stdin = std::io::stdin().lock();
        std::io::Read::take(stdin, PASSWORD_BYTES_MAX).read_line(&mut line)?;
    }
    let password = line.trim();
    anyhow::ensure!(
        !password.is_empty(),
        "no password: set {APP_PASSWORD} to an app password of the account, or give it on the standard input"
    );
    Ok(Password(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_decides_what_is_done() {
        let there = |value: Value| Stored { cid: "bafy".to_owned(), value };
        let as_record = |nsid: &str| {
            let mut record = source(nsid).expect("a lexicon").json;
            record["$type"] = json!(SCHEMA);
            record
        };
        let mut other = as_record("fm.plyr.like");
        other["description"] = json!("by hand");
        let stored = [
            ("fm.plyr.track", there(as_record("fm.plyr.track"))),
            ("fm.plyr.like", there(other)),
            ("fm.plyr.gone", there(json!({}))),
            ("com.example.theirs", there(json!({}))),
        ];
        let stored = stored.map(|(nsid, there)| (nsid.to_owned(), there)).into();
        let steps = plan(ours(), stored);
        assert_eq!(steps["fm.plyr.track"], Step::Keep);
        assert_eq!(steps["fm.plyr.like"], Step::Update(as_record("fm.plyr.like"), "bafy".to_owned()));
        assert_eq!(steps["fm.plyr.gone"], Step::Stale("bafy".to_owned()));
        assert_eq!(steps["fm.plyr.list"], Step::Create(as_record("fm.plyr.list")));
        assert_eq!(steps.len(), ours().count() + 1, "theirs is not touched");
    }
}
