//! Records as their authors signed them, of whom we follow: `com.atproto.repo.getRecord`, `com.atproto.repo.listRecords`; and who
//! somebody is: `com.atproto.identity.resolveHandle`.

use axum::Json;
use axum::extract::State;
use indexer::syntax::{AtUri, Did, Handle, Nsid, Rkey};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::PgConnection;

use crate::actor::{self, AtIdentifier};
use crate::error::{Error, stored};
use crate::xrpc::Params;
use crate::{App, hydrate};

/// Rows that one page looks at: some were deleted, and their names are kept.
const WINDOW: i64 = 1000;

/// `com.atproto.repo.listRecords#record`.
#[derive(Debug, Serialize)]
pub struct RecordView {
    /// Its name.
    uri: AtUri,
    /// Its version.
    cid: String,
    /// What it says.
    value: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetRecord {
    repo: AtIdentifier,
    collection: Nsid,
    rkey: Rkey,
    cid: Option<String>,
}

/// `com.atproto.repo.getRecord`.
pub(crate) async fn get_record(
    State(app): State<App>,
    params: Params<GetRecord>,
) -> Result<Json<RecordView>, Error> {
    let GetRecord { repo, collection, rkey, cid } = params.0;
    let missing = || Error::declared("RecordNotFound", "no such record is held here");
    let mut db = app.pool.acquire().await?;
    let did = actor::find(&mut db, repo).await?.ok_or_else(missing)?;
    let uri = AtUri::new(&did, &collection, &rkey);
    let mut records = views(&mut db, vec![uri]).await?.0;
    // Of what a record said before, nothing is kept.
    records.pop().filter(|record| cid.is_none_or(|cid| cid == record.cid)).map(Json).ok_or_else(missing)
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListRecords {
    repo: AtIdentifier,
    collection: Nsid,
    limit: u8,
    cursor: Option<Rkey>,
    #[serde(default)]
    reverse: bool,
}

#[derive(Debug, Serialize)]
pub(crate) struct Records {
    records: Vec<RecordView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// `com.atproto.repo.listRecords`: by their keys, the last first.
pub(crate) async fn list_records(
    State(app): State<App>,
    params: Params<ListRecords>,
) -> Result<Json<Records>, Error> {
    let ListRecords { repo, collection, limit, cursor, reverse } = params.0;
    let limit = usize::from(limit);
    let held = app.registry().get(collection.as_str());
    if held.is_none_or(|collection| collection.refers) {
        return Err(Error::invalid_request("collection: none of which this server holds whole repos"));
    }
    let missing = || Error::declared("RepoNotFound", "no such repo is held here");
    let mut db = app.pool.acquire().await?;
    let did = actor::find(&mut db, repo).await?.ok_or_else(missing)?;
    let (keys, end) = keys(&mut db, &did, &collection, cursor, reverse, limit).await?;
    let uris: Vec<AtUri> = keys.iter().map(|key| stored(key)).collect::<Result<_, Error>>()?;
    let asked = uris.len();
    let (records, covered) = views(&mut db, uris).await?;
    let end = if covered < asked { keys.get(covered.saturating_sub(1)).cloned() } else { end };
    let cursor = end.and_then(|uri| uri.rsplit('/').next().map(str::to_owned));
    Ok(Json(Records { records, cursor }))
}

/// The names of a page of records, and the one where it ends if there are more.
async fn keys(
    db: &mut PgConnection,
    did: &Did,
    collection: &Nsid,
    cursor: Option<Rkey>,
    reverse: bool,
    limit: usize,
) -> Result<(Vec<String>, Option<String>), Error> {
    let first = format!("at://{did}/{collection}/");
    let last = format!("at://{did}/{collection}0");
    let at = cursor.map(|rkey| format!("{first}{rkey}"));
    let (from, upto) = if reverse { (at.unwrap_or(first), last) } else { (first, at.unwrap_or(last)) };
    let rows = sqlx::query!(
        r#"select uri as "uri!", lives as "lives!" from (
             (select uri, value is not null as lives from record where $4 and uri > $1 and uri < $2 order by uri limit $3)
             union all
             (select uri, value is not null from record where not $4 and uri > $1 and uri < $2 order by uri desc limit $3)) as r
            order by case when $4 then uri end, uri desc"#,
        from,
        upto,
        WINDOW,
        reverse
    )
    .fetch_all(db)
    .await?;
    let (mut keys, mut end) = (Vec::new(), None);
    let is_window_full = rows.len() as i64 == WINDOW;
    let last = rows.last().map(|row| row.uri.clone());
    for row in rows.into_iter().filter(|row| row.lives) {
        if keys.len() == limit {
            end = keys.last().cloned();
            break;
        }
        keys.push(row.uri);
    }
    let end = end.or_else(|| last.filter(|_| is_window_full));
    Ok((keys, end))
}

/// The records, and how many of `uris` that covers.
async fn views(db: &mut PgConnection, uris: Vec<AtUri>) -> Result<(Vec<RecordView>, usize), Error> {
    let (mut records, covered) = hydrate::records(db, &uris).await?;
    let views = uris.into_iter().filter_map(|uri| {
        let record = records.remove(uri.as_str())?;
        Some(RecordView { cid: record.cid, value: record.json, uri })
    });
    Ok((views.collect(), covered))
}

#[derive(Debug, Deserialize)]
pub(crate) struct ResolveHandle {
    handle: Handle,
}

#[derive(Debug, Serialize)]
pub(crate) struct Resolved {
    did: Did,
}

/// `com.atproto.identity.resolveHandle`, of whom we know: nobody else is asked.
pub(crate) async fn resolve_handle(
    State(app): State<App>,
    params: Params<ResolveHandle>,
) -> Result<Json<Resolved>, Error> {
    let mut db = app.pool.acquire().await?;
    let did = AtIdentifier::Handle(params.0.handle).did(&mut db).await?;
    let missing = || Error::declared("HandleNotFound", "nobody known here has this handle");
    did.map(|did| Json(Resolved { did })).ok_or_else(missing)
}
