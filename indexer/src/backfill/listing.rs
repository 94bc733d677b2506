//! Which repos there are: what a host lists, a page at a time.
//!
//! Relays and directories list by collection, and that is asked first: it names only the repos that concern us. A host that
//! does not know the question, as a bare PDS, lists all of its repos; of those that are strangers to us each one's PDS is
//! asked, before it is read, whether there is anything in it.

use std::collections::HashMap;

use url::Url;

use super::ledger::{Ledger, Listing};
use crate::Indexer;
use crate::apply::batch::apply_all;
use crate::change::{Input, Status};
use crate::pds::{self, ListedRepo};
use crate::syntax::Did;

/// Lists the next page into the ledger.
pub(super) async fn list_page(indexer: &Indexer, host: &Url, ledger: &mut Ledger) -> anyhow::Result<()> {
    match ledger.listing.clone() {
        Listing::New => {
            let first = collections(indexer).into_iter().next().unwrap_or_default();
            by_collection(indexer, host, ledger, first, None).await
        }
        Listing::Collections { collection, cursor } => {
            by_collection(indexer, host, ledger, collection, cursor).await
        }
        Listing::Repos { cursor } => all_repos(indexer, host, ledger, cursor).await,
        Listing::Done => Ok(()),
    }
}

/// The collections that make a repo tracked, in an order that stays.
fn collections(indexer: &Indexer) -> Vec<String> {
    let registry = &indexer.door.registry;
    let tracks = |nsid: &&str| registry.get(nsid).is_some_and(|collection| collection.tracks);
    let mut nsids: Vec<String> = registry.nsids().filter(tracks).map(str::to_owned).collect();
    nsids.sort();
    nsids
}

async fn by_collection(
    indexer: &Indexer,
    host: &Url,
    ledger: &mut Ledger,
    collection: String,
    cursor: Option<String>,
) -> anyhow::Result<()> {
    let Some((dids, next)) =
        pds::list_repos_by_collection(indexer, host, &collection, cursor.as_deref()).await?
    else {
        tracing::info!(%host, "the host does not list repos by collection; asking for all of them");
        ledger.listing = Listing::Repos { cursor: None };
        return Ok(());
    };
    let following = collections(indexer).into_iter().find(|name| *name > collection);
    let next = next.map(|next| Listing::Collections { collection, cursor: Some(next) });
    let next = match (next.filter(|next| ledger.leads_on(next)), following) {
        (Some(next), _) => next,
        (None, Some(following)) => Listing::Collections { collection: following, cursor: None },
        (None, None) => Listing::Done,
    };
    Ok(ledger.page(&dids, true, 0, next).await?)
}

async fn all_repos(
    indexer: &Indexer,
    host: &Url,
    ledger: &mut Ledger,
    cursor: Option<String>,
) -> anyhow::Result<()> {
    let (repos, next, unreadable) = pds::list_repos(indexer, host, cursor.as_deref()).await?;
    if unreadable > 0 {
        tracing::warn!(%host, unreadable, "lines of listRepos that cannot be read");
    }
    note_standings(indexer, &repos).await?;
    let held = held_revs(indexer, &repos).await?;
    let is_held =
        |repo: &ListedRepo| held.get(repo.did.as_str()).is_some_and(|rev| rev.as_str() >= repo.rev.as_str());
    let total = repos.len();
    let wanted: Vec<Did> =
        repos.into_iter().filter(|repo| repo.active && !is_held(repo)).map(|repo| repo.did).collect();
    let next = next.map(|next| Listing::Repos { cursor: Some(next) });
    let next = next.filter(|next| ledger.leads_on(next)).unwrap_or(Listing::Done);
    Ok(ledger.page(&wanted, false, (total - wanted.len()) as u64, next).await?)
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
    apply_all(&indexer.door, news).await;
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
