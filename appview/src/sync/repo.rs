//! One repo: which state of it is held, and what proves that.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::syntax::Did;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::App;
use crate::actor::AtIdentifier;
use crate::error::{Error, shared};
use crate::xrpc::Params;

/// The answer of `fm.plyr.sync.getRepoStatus`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RepoStatus {
    did: String,
    state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rev: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    synced_rev: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resync_rev: Option<String>,
    epoch: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen_rev: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending_since: Option<DateTime<Utc>>,
    collections: Vec<CollectionCount>,
    total: i64,
    problems: i64,
    unproven: i64,
}

#[derive(Debug, Serialize)]
struct CollectionCount {
    collection: String,
    records: i64,
    problems: i64,
    unproven: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetRepoStatus {
    did: AtIdentifier,
}

/// `fm.plyr.sync.getRepoStatus`.
pub(crate) async fn get_repo_status(
    State(app): State<App>,
    Params(params): Params<GetRepoStatus>,
) -> Result<Json<Arc<RepoStatus>>, Error> {
    let missing = || Error::declared("RepoNotFound", "nothing is known of such a repo");
    let did = match params.did {
        AtIdentifier::Did(did) => did,
        handle => handle.did(&mut *app.pool.acquire().await?).await?.ok_or_else(missing)?,
    };
    let read = async { read(&mut *app.pool.acquire().await?, &did).await };
    let answer = app.status.repos.try_get_with_by_ref(&did, read).await.map_err(shared)?;
    answer.map(Json).ok_or_else(missing)
}

async fn read(db: &mut PgConnection, did: &Did) -> Result<Option<Arc<RepoStatus>>, Error> {
    let repo = sqlx::query!(
        r#"select repo.did, state, rev, data_root, verified_at, synced_rev, resync_rev, epoch, seen_rev,
                  status as "status?", pending_status, pending_since
             from repo
             left join actor using (did)
            where repo.did = $1"#,
        did.as_str()
    )
    .fetch_optional(&mut *db)
    .await?;
    let Some(repo) = repo else { return Ok(None) };
    let collections = sqlx::query_as!(
        CollectionCount,
        r#"select collection, count(cid) as "records!", count(problem) as "problems!",
                  count(*) filter (where not proven) as "unproven!"
             from record
            where did = $1
            group by collection
           having count(cid) > 0 or count(*) filter (where not proven) > 0
            order by collection"#,
        did.as_str()
    )
    .fetch_all(db)
    .await?;
    let sum = |part: fn(&CollectionCount) -> i64| collections.iter().map(part).sum();
    Ok(Some(Arc::new(RepoStatus {
        did: repo.did,
        state: repo.state,
        rev: repo.rev,
        root: repo.data_root,
        verified_at: repo.verified_at,
        synced_rev: repo.synced_rev,
        resync_rev: repo.resync_rev,
        epoch: repo.epoch,
        seen_rev: repo.seen_rev,
        status: repo.status,
        pending_status: repo.pending_status,
        pending_since: repo.pending_since,
        total: sum(|count| count.records),
        problems: sum(|count| count.problems),
        unproven: sum(|count| count.unproven),
        collections,
    })))
}
