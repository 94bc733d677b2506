//! What a service that knows who links to what tells of a post: likes, reposts and quotes of before it was known to share something
//! of ours. <https://constellation.microcosm.blue/>
//!
//! It is believed in nothing: what it tells of is noted, and asked for at its authors' PDSs by another job. This one ends when the
//! service has told all, and is tried again until then.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use crate::Indexer;
use crate::job::{self, Job, Outcome};
use crate::link::{LIKE, POST, QUOTES, REPOST};
use crate::pds::{PdsError, xrpc};
use crate::syntax::{AtUri, Did, Nsid, Rkey};

/// Links that the service tells of on one page, and pages that are read.
const PAGE: &str = "100";
const PAGES_MAX: usize = 1000;
const PAGE_BYTES_MAX: u64 = 1 << 20;
/// From this attempt on a service that does not answer is asked every so often, for as long as it takes.
const ATTEMPTS: i32 = 8;
const AGAIN: Duration = Duration::from_secs(3600);

/// Notes every like, repost and quote of a post that the service tells of.
pub(super) async fn ask(indexer: &Indexer, job: &Job) -> anyhow::Result<Outcome> {
    let Some(service) = &indexer.backlinks else { return Ok(Outcome::Done) };
    let post = &job.key.parse::<AtUri>()?;
    let sources = [(LIKE, "subject.uri"), (REPOST, "subject.uri"), (POST, QUOTES[0]), (POST, QUOTES[1])];
    let mut failed = None;
    for (collection, path) in sources {
        // What it says of one is of use, whatever becomes of the others.
        failed = note(indexer, service, post, collection, path).await.err().or(failed);
    }
    // Also of what was noted by an attempt that died.
    let jobs = BTreeSet::from([(job::LOOK_BACK, post.to_string())]);
    job::enqueue(&mut *indexer.door.pool.acquire().await?, &jobs).await?;
    match failed {
        // Away for long is not away for ever.
        Some(error) if error.is_transient() && job.attempts >= ATTEMPTS => {
            tracing::warn!(%post, %error, "the backlink service does not answer");
            Ok(Outcome::Later(AGAIN))
        }
        Some(error) => Err(error.into()),
        None => Ok(Outcome::Done),
    }
}

/// `blue.microcosm.links.getBacklinks`
#[derive(Deserialize)]
struct Page {
    cursor: Option<String>,
    #[serde(alias = "linking_records")]
    records: Vec<LinkingRecord>,
}

#[derive(Deserialize)]
struct LinkingRecord {
    did: Did,
    collection: Nsid,
    rkey: Rkey,
}

/// Notes what it tells of and we do not hold.
async fn note(
    indexer: &Indexer,
    service: &url::Url,
    post: &AtUri,
    collection: &str,
    path: &str,
) -> Result<(), PdsError> {
    let source = format!("{collection}:{path}");
    let (mut cursor, mut seen): (Option<String>, BTreeSet<String>) = (None, BTreeSet::new());
    for _ in 0..PAGES_MAX {
        let mut query = vec![("subject", post.as_str()), ("source", source.as_str()), ("limit", PAGE)];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let url = xrpc(service, "blue.microcosm.links.getBacklinks", &query)
            .ok_or(PdsError::Document("service"))?;
        let page: Page = indexer.net.get_json(&url, PAGE_BYTES_MAX).await?;
        let uris: Vec<String> = page
            .records
            .iter()
            .filter(|record| record.collection.as_str() == collection)
            .map(|record| AtUri::new(&record.did, &record.collection, &record.rkey).into())
            .collect();
        sqlx::query!(
            "insert into awaited_link (uri, target) select uri, $2 from unnest($1::text[]) as told (uri)
             where not exists (select from record where record.uri = told.uri collate \"C\")
             order by uri on conflict do nothing",
            &uris,
            post.as_str()
        )
        .execute(&indexer.door.pool)
        .await?;
        match page.cursor {
            Some(next) if seen.insert(next.clone()) => cursor = Some(next),
            _ => return Ok(()),
        }
    }
    tracing::warn!(%post, source, PAGES_MAX, "more links to a post than are asked about");
    Ok(())
}
