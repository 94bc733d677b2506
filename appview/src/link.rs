//! Links: what in the network names a thing of ours, for anybody who asks.
//!
//! The methods are those of the Constellation service (<https://constellation.microcosm.blue>), for the targets that are
//! indexed here. Other than there, only people who may be seen are listed and counted, and counts are kept, not taken.

pub(crate) mod older;

use axum::Json;
use axum::extract::State;
use indexer::link::names;
use indexer::syntax::Did;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::App;
use crate::error::Error;

/// Rows of hidden people that a page steps over before it ends.
const HIDDEN: i64 = 100;

/// What a subject names: a page stands for the record that it shows, a handle for who has it.
async fn target(app: &App, subject: &str) -> Result<String, Error> {
    let known = names::target(&mut *app.pool.acquire().await?, app.registry(), subject).await?;
    Ok(known.map_or_else(|| subject.to_owned(), String::from))
}

/// What is asked for: one place in the records of one collection that names one thing.
#[derive(Debug)]
struct Question {
    target: String,
    collection: String,
    path: String,
}

impl Question {
    /// Of a method's parameters; a page stands for the record that it shows.
    async fn new(app: &App, subject: &str, source: &str) -> Result<Self, Error> {
        let (collection, path) = source
            .split_once(':')
            .filter(|(collection, path)| !collection.is_empty() && !path.is_empty())
            .ok_or_else(|| Error::invalid_request("source: must be a collection, `:` and a path"))?;
        Question::of(app, subject, collection, path).await
    }

    async fn of(app: &App, subject: &str, collection: &str, path: &str) -> Result<Self, Error> {
        let target = target(app, subject).await?;
        Ok(Question { target, collection: collection.to_owned(), path: path.to_owned() })
    }

    /// How many records, and how many people.
    async fn totals(&self, db: &mut PgConnection) -> sqlx::Result<(i64, i64)> {
        let row = sqlx::query!(
            "select records, people from link_count where target = $1 and collection = $2 and path = $3",
            self.target,
            self.collection,
            self.path
        )
        .fetch_optional(db)
        .await?;
        Ok(row.map_or((0, 0), |row| (row.records, row.people)))
    }

    /// A page of the records, by their keys, newest first unless `reverse`. It may be short and not the last, where many people
    /// are hidden.
    async fn records(
        &self,
        db: &mut PgConnection,
        dids: &[Did],
        (reverse, after, limit): (bool, Option<Place>, usize),
    ) -> sqlx::Result<(Vec<LinkRecord>, Option<Place>)> {
        let dids: Vec<&str> = dids.iter().map(Did::as_str).collect();
        // Before every key, or behind every one.
        let begin = || Place { first: if reverse { "" } else { "\u{7f}" }.to_owned(), second: String::new() };
        let Place { first, second } = after.unwrap_or_else(begin);
        let window = limit as i64 + HIDDEN;
        // A range of one index; who may be seen is looked up row by row, so that the planner cannot begin with all the people
        // there are.
        macro_rules! page {
            ($compared:literal, $order:literal) => {
                sqlx::query_as!(
                    Seen,
                    r#"select rkey as first, did as second, (select active from actor where actor.did = l.did) as "seen?"
                       from link l
                       where target = $1 and collection = $2 and path = $3 and (rkey, did) "#
                        + $compared + " ($4, $5) order by " + $order + " limit $6",
                    self.target,
                    self.collection,
                    self.path,
                    first,
                    second,
                    window
                )
                .fetch_all(db)
                .await?
            };
            ($compared:literal, $order:literal, $dids:expr) => {
                sqlx::query_as!(
                    Seen,
                    r#"select rkey as first, did as second, (select active from actor where actor.did = l.did) as "seen?"
                       from link l
                       where target = $1 and collection = $2 and path = $3 and (rkey, did) "#
                        + $compared + " ($4, $5) and did = any($7) order by " + $order + " limit $6",
                    self.target,
                    self.collection,
                    self.path,
                    first,
                    second,
                    window,
                    $dids as &[&str]
                )
                .fetch_all(db)
                .await?
            };
        }
        let rows = match (reverse, dids.is_empty()) {
            (false, true) => page!("<", "rkey desc, did desc"),
            (true, true) => page!(">", "rkey, did"),
            (false, false) => page!("<", "rkey desc, did desc", &dids),
            (true, false) => page!(">", "rkey, did", &dids),
        };
        let (places, end) = seen(rows, window, limit);
        let record = |Place { first, second }| LinkRecord {
            did: second,
            collection: self.collection.clone(),
            rkey: first,
        };
        Ok((places.into_iter().map(record).collect(), end))
    }

    /// A page of the people, by their DIDs.
    async fn dids(
        &self,
        db: &mut PgConnection,
        after: Option<Place>,
        limit: usize,
    ) -> sqlx::Result<(Vec<String>, Option<Place>)> {
        let window = limit as i64 + HIDDEN;
        let rows = sqlx::query_as!(
            Seen,
            r#"select did as first, '' as "second!", (select active from actor where actor.did = l.did) as "seen?"
               from (select distinct did from link
                      where target = $1 and collection = $2 and path = $3 and did > $4
                      order by did limit $5) as l
               order by did"#,
            self.target,
            self.collection,
            self.path,
            after.map(|place| place.first).unwrap_or_default(),
            window
        )
        .fetch_all(db)
        .await?;
        let (places, end) = seen(rows, window, limit);
        Ok((places.into_iter().map(|place| place.first).collect(), end))
    }
}

/// A row, and whether its person may be seen.
struct Seen {
    first: String,
    second: String,
    seen: Option<bool>,
}

/// Those that may be seen, at most `limit`, and where to go on, of a window that had room for so many.
fn seen(rows: Vec<Seen>, window: i64, limit: usize) -> (Vec<Place>, Option<Place>) {
    let mut more = rows.len() as i64 == window;
    let (mut places, mut last) = (Vec::with_capacity(limit), None);
    for Seen { first, second, seen } in rows {
        let place = Place { first, second };
        if seen == Some(true) {
            if places.len() == limit {
                more = true;
                break;
            }
            places.push(place.clone());
        }
        last = Some(place);
    }
    (places, last.filter(|_| more))
}

/// Where a page ended; opaque to callers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Place {
    first: String,
    second: String,
}

impl TryFrom<String> for Place {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || "not a cursor of this list".to_owned();
        let bytes = hex::decode(text).map_err(|_| wrong())?;
        let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(wrong)?;
        let (first, second) = text.split_once(' ').ok_or_else(wrong)?;
        Ok(Place { first: first.to_owned(), second: second.to_owned() })
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        hex::encode(format!("{} {}", place.first, place.second))
    }
}

/// `blue.microcosm.links.getBacklinks#linkRecord`.
#[derive(Debug, Serialize)]
pub(crate) struct LinkRecord {
    did: String,
    collection: String,
    rkey: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetBacklinks {
    subject: String,
    source: String,
    #[serde(default)]
    did: Vec<Did>,
    limit: u8,
    reverse: bool,
    cursor: Option<Place>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Backlinks {
    total: i64,
    records: Vec<LinkRecord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Place>,
}

/// `blue.microcosm.links.getBacklinks`: the records that name something, newest first.
pub(crate) async fn get_backlinks(
    State(app): State<App>,
    params: crate::xrpc::Params<GetBacklinks>,
) -> Result<Json<Backlinks>, Error> {
    let GetBacklinks { subject, source, did, limit, reverse, cursor } = params.0;
    let question = Question::new(&app, &subject, &source).await?;
    let mut db = app.pool.acquire().await?;
    let (total, _) = question.totals(&mut db).await?;
    let (records, cursor) = question.records(&mut db, &did, (reverse, cursor, limit.into())).await?;
    Ok(Json(Backlinks { total, records, cursor }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetBacklinksCount {
    subject: String,
    source: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Total {
    total: i64,
}

/// `blue.microcosm.links.getBacklinksCount`: how many records name something.
pub(crate) async fn get_backlinks_count(
    State(app): State<App>,
    params: crate::xrpc::Params<GetBacklinksCount>,
) -> Result<Json<Total>, Error> {
    let question = Question::new(&app, &params.0.subject, &params.0.source).await?;
    let (total, _) = question.totals(&mut *app.pool.acquire().await?).await?;
    Ok(Json(Total { total }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetBacklinkDids {
    subject: String,
    source: String,
    limit: u8,
    cursor: Option<Place>,
}

#[derive(Debug, Serialize)]
pub(crate) struct BacklinkDids {
    total: i64,
    linking_dids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Place>,
}

/// `blue.microcosm.links.getBacklinkDids`: the people whose records name something.
pub(crate) async fn get_backlink_dids(
    State(app): State<App>,
    params: crate::xrpc::Params<GetBacklinkDids>,
) -> Result<Json<BacklinkDids>, Error> {
    let GetBacklinkDids { subject, source, limit, cursor } = params.0;
    let question = Question::new(&app, &subject, &source).await?;
    let mut db = app.pool.acquire().await?;
    let (_, total) = question.totals(&mut db).await?;
    let (linking_dids, cursor) = question.dids(&mut db, cursor, limit.into()).await?;
    Ok(Json(BacklinkDids { total, linking_dids, cursor }))
}
