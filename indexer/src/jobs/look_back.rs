//! Who liked a post before it was known to share something of ours.
//!
//! Likes that were seen come from our own notes; older ones from a service that knows who links to what. Neither is believed:
//! each like is asked for at its author's PDS. Whoever is asked about is made known before that, so that what they take back
//! meanwhile is heard.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::Indexer;
use crate::apply::account;
use crate::apply::batch::apply_all;
use crate::change::{Input, Op};
use crate::job::Outcome;
use crate::link::{LIKE, REPOST};
use crate::pds::{self, PdsError, xrpc};
use crate::syntax::{AtUri, Did, Nsid, Rkey};

/// Likes of one post that are asked for in one go; the job goes on with the rest.
const AT_ONCE: i64 = 500;
/// Links that a service tells of on one page, and pages that are read.
const PAGE: &str = "100";
const PAGES_MAX: usize = 1000;
const PAGE_BYTES_MAX: u64 = 1 << 20;

/// Asks for every like and repost of a post that is told of and that we do not hold.
pub(super) async fn look_back(indexer: &Indexer, post: &AtUri) -> anyhow::Result<Outcome> {
    let mut unknown = None;
    if let Some(service) = &indexer.backlinks {
        for collection in [LIKE, REPOST] {
            // What we noted ourselves is asked for all the same.
            unknown = note_told(indexer, service, post, collection).await.err().or(unknown);
        }
    }
    loop {
        let awaited = sqlx::query_scalar!(
            "select a.uri from awaited_link a left join actor p on p.did = split_part(a.uri, '/', 3)
             where a.target = $1 and coalesce(p.active, true) order by a.seen_at limit $2",
            post.as_str(),
            AT_ONCE
        )
        .fetch_all(&indexer.door.pool)
        .await?;
        let asked = awaited.len();
        let mut settled = 0;
        for uri in awaited {
            match look(indexer, &uri.parse()?).await {
                Ok(true) => {
                    settled += 1;
                    sqlx::query!("delete from awaited_link where uri = $1", uri)
                        .execute(&indexer.door.pool)
                        .await?;
                }
                Ok(false) => {}
                Err(error) => unknown = Some(error),
            }
        }
        if asked == 0 || settled == 0 {
            break;
        }
    }
    match unknown {
        Some(error) => super::later(error),
        None => Ok(Outcome::Done),
    }
}

/// Whether it is known now what a like is. Fails where that may be asked again.
async fn look(indexer: &Indexer, uri: &AtUri) -> Result<bool, PdsError> {
    if is_held(indexer, uri).await? {
        return Ok(true);
    }
    let did = uri.did();
    account::acquaint(&indexer.door, &did).await?;
    let (Ok(collection), Ok(rkey)) = (uri.collection().parse::<Nsid>(), uri.rkey().parse::<Rkey>()) else {
        return Ok(true);
    };
    match pds::get_record(indexer, &did, &collection, &rkey).await {
        Ok(proof) => {
            let is_absent = proof.op == Op::Delete;
            apply_all(&indexer.door, vec![Input::Proof(proof)]).await;
            // It may have come to nothing: the account went back to an older state meanwhile.
            Ok(is_absent || is_held(indexer, uri).await?)
        }
        // Who is not to be seen now may come back: the note stays until then.
        Err(error) if error.status().is_some() => {
            super::note_standing(indexer, &did, &error).await;
            Ok(false)
        }
        Err(error) if error.is_transient() => Err(error),
        // No such person, or no such record and no proof of it.
        Err(error) => {
            tracing::info!(%uri, %error, "no proof of a like");
            Ok(true)
        }
    }
}

async fn is_held(indexer: &Indexer, uri: &AtUri) -> sqlx::Result<bool> {
    sqlx::query_scalar!(r#"select exists (select from record where uri = $1) as "held!""#, uri.as_str())
        .fetch_one(&indexer.door.pool)
        .await
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

/// Notes what a service tells of and we do not hold.
async fn note_told(
    indexer: &Indexer,
    service: &url::Url,
    post: &AtUri,
    collection: &str,
) -> Result<(), PdsError> {
    let source = format!("{collection}:subject.uri");
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
            _ => break,
        }
    }
    Ok(())
}
