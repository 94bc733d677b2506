//! The older paths of the same questions: `/links` and what is below it. Paths in records begin with a dot here.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use indexer::syntax::Did;
use serde::Serialize;
use sqlx::PgConnection;
use url::form_urlencoded;

use super::{BacklinkDids, LinkRecord, Place, Question, Total};
use crate::App;
use crate::error::Error;

pub(crate) const LIMIT: usize = 100;
pub(crate) const LIMIT_MAX: usize = 1000;
/// People whose links are asked for.
pub(crate) const DIDS_MAX: usize = 100;
/// Places that one thing is named at: more than there are collections and paths that can.
const PLACES_MAX: i64 = 500;

/// The parameters, each as often as it was given.
struct Asked(Vec<(String, String)>);

impl Asked {
    fn new(query: Option<String>) -> Self {
        let query = query.unwrap_or_default();
        // What the database cannot hold names nothing there.
        Asked(
            form_urlencoded::parse(query.as_bytes())
                .filter(|(_, value)| !value.contains('\0'))
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        )
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn one(&self, name: &str) -> Result<&str, Error> {
        let missing = || Error::invalid_request(format!("{name}: is required"));
        self.all(name).next().filter(|text| !text.is_empty()).ok_or_else(missing)
    }

    async fn question(&self, app: &App) -> Result<Question, Error> {
        let path = self.one("path")?;
        let path =
            path.strip_prefix('.').ok_or_else(|| Error::invalid_request("path: must begin with a dot"))?;
        Question::of(app, self.one("target")?, self.one("collection")?, path).await
    }

    fn limit(&self) -> Result<usize, Error> {
        let Some(text) = self.all("limit").next() else { return Ok(LIMIT) };
        let number = text.parse().ok().filter(|number| (1..=LIMIT_MAX).contains(number));
        number.ok_or_else(|| Error::invalid_request(format!("limit: must be a number from 1 to {LIMIT_MAX}")))
    }

    fn cursor(&self) -> Result<Option<Place>, Error> {
        let text = self.all("cursor").next().filter(|text| !text.is_empty());
        let place = text.map(|text| Place::try_from(text.to_owned())).transpose();
        place.map_err(|why| Error::invalid_request(format!("cursor: {why}")))
    }

    fn dids(&self) -> Result<Vec<Did>, Error> {
        let wrong = |text: &str| Error::invalid_request(format!("did: not a DID: {text:.100}"));
        let dids: Vec<Did> =
            self.all("did").map(|text| text.parse().map_err(|_| wrong(text))).collect::<Result<_, _>>()?;
        if dids.len() > DIDS_MAX {
            return Err(Error::invalid_request(format!("did: at most {DIDS_MAX} of them")));
        }
        Ok(dids)
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Links {
    total: i64,
    linking_records: Vec<LinkRecord>,
    cursor: Option<Place>,
}

/// `/links`: the records that name something at a path.
pub(crate) async fn links(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Links>, Error> {
    let asked = Asked::new(query);
    let question = asked.question(&app).await?;
    let (dids, page) = (asked.dids()?, (false, asked.cursor()?, asked.limit()?));
    let mut db = app.pool.acquire().await?;
    let (total, _) = question.totals(&mut db).await?;
    let (linking_records, cursor) = question.records(&mut db, &dids, page).await?;
    Ok(Json(Links { total, linking_records, cursor }))
}

/// `/links/distinct-dids`: the people whose records name something at a path.
pub(crate) async fn distinct_dids(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<BacklinkDids>, Error> {
    let asked = Asked::new(query);
    let question = asked.question(&app).await?;
    let (cursor, limit) = (asked.cursor()?, asked.limit()?);
    let mut db = app.pool.acquire().await?;
    let (_, total) = question.totals(&mut db).await?;
    let (linking_dids, cursor) = question.dids(&mut db, cursor, limit).await?;
    Ok(Json(BacklinkDids { total, linking_dids, cursor }))
}

/// `/links/count`: how many records.
pub(crate) async fn count(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Total>, Error> {
    let question = Asked::new(query).question(&app).await?;
    let (total, _) = question.totals(&mut *app.pool.acquire().await?).await?;
    Ok(Json(Total { total }))
}

/// `/links/count/distinct-dids`: how many people.
pub(crate) async fn count_distinct_dids(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Total>, Error> {
    let question = Asked::new(query).question(&app).await?;
    let (_, total) = question.totals(&mut *app.pool.acquire().await?).await?;
    Ok(Json(Total { total }))
}

/// By collection and path.
#[derive(Debug, Serialize)]
pub(crate) struct Everywhere<T> {
    links: BTreeMap<String, BTreeMap<String, T>>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Numbers {
    records: i64,
    distinct_dids: i64,
}

/// `/links/all`: how many records and people, wherever they name something.
pub(crate) async fn all(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Everywhere<Numbers>>, Error> {
    Ok(Json(everywhere(&app, query, |numbers| numbers).await?))
}

/// `/links/all/count`: how many records.
pub(crate) async fn all_count(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Everywhere<i64>>, Error> {
    Ok(Json(everywhere(&app, query, |numbers| numbers.records).await?))
}

async fn everywhere<T>(
    app: &App,
    query: Option<String>,
    shown: impl Fn(Numbers) -> T,
) -> Result<Everywhere<T>, Error> {
    let asked = Asked::new(query);
    let target = asked.one("target")?;
    let target = super::target(app, target).await?;
    let mut links: BTreeMap<String, BTreeMap<String, T>> = BTreeMap::new();
    for row in counts(&mut *app.pool.acquire().await?, &target).await? {
        let (collection, path, numbers) = row;
        links.entry(collection).or_default().insert(format!(".{path}"), shown(numbers));
    }
    Ok(Everywhere { links })
}

async fn counts(db: &mut PgConnection, target: &str) -> sqlx::Result<Vec<(String, String, Numbers)>> {
    let rows = sqlx::query!(
        "select collection, path, records, people from link_count
          where target = $1 and records > 0 order by collection, path limit $2",
        target,
        PLACES_MAX
    )
    .fetch_all(db)
    .await?;
    let numbers = |records, people| Numbers { records, distinct_dids: people };
    Ok(rows.into_iter().map(|row| (row.collection, row.path, numbers(row.records, row.people))).collect())
}
