//! What there is to be found, for search engines: `/sitemap.xml`, <https://www.sitemaps.org/protocol.html>; and the same as JSON, as
//! web apps of the HTTP API know it.
//!
//! A track stands on the page of its number, for ever. Artists, albums and playlists stand in the order of their names: what comes
//! and goes between two looks may move one across the edge of a page, and crawlers look again.

use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use moka::future::Cache;
use serde_json::{Value, json};
use sqlx::PgConnection;

use crate::detail::Detail;
use crate::error::{Error, shared};
use crate::options::path;
use crate::{App, stats, web};

/// Addresses of one page; the protocol allows five times as many.
const PAGE: i64 = 10_000;
/// Of each kind, in the answer that has no pages.
const DATA_MAX: i64 = 10_000;
/// Crawlers and caches ask again after an hour.
const CACHE: &str = "public, max-age=3600";
/// What each answer reads is far more than any other reads, so that it is made once a minute at most; and bytes of all that are kept.
const TTL: Duration = Duration::from_secs(60);
const KEPT_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Answers of the last moment, by their names. Those who ask at once share one.
#[derive(Debug, Clone)]
pub(crate) struct Answers(Cache<String, Bytes>);

impl Default for Answers {
    fn default() -> Self {
        let weight =
            |name: &String, answer: &Bytes| u32::try_from(name.len() + answer.len()).unwrap_or(u32::MAX);
        Answers(Cache::builder().max_capacity(KEPT_MAX_BYTES).weigher(weight).time_to_live(TTL).build())
    }
}

impl Answers {
    async fn get(
        &self,
        name: String,
        make: impl Future<Output = Result<String, Error>>,
    ) -> Result<Bytes, Error> {
        self.0.try_get_with(name, async { make.await.map(Bytes::from) }).await.map_err(shared)
    }
}

/// An address, and when something about it changed last.
struct Entry {
    parts: Vec<String>,
    at: DateTime<Utc>,
}

/// `/sitemap.xml`: the pages that have something on them.
pub(crate) async fn index(State(app): State<App>) -> Result<Response, Error> {
    app.sitemap.get("index".to_owned(), index_text(&app)).await.map(xml)
}

async fn index_text(app: &App) -> Result<String, Error> {
    let stats = stats::stats(app).await?;
    // Up to the last number given. Comments have numbers, too: a page may hold none of a track.
    let tracks = sqlx::query_scalar!(
        r#"select n as "n!"
             from generate_series(1, (select coalesce(max(id) - 1, 0) / $1 + 1 from public_id)) as n
            where exists (select from public_id where kind = 'track' and id > (n - 1) * $1 and id <= n * $1)"#,
        PAGE
    )
    .fetch_all(&mut *app.pool.acquire().await?)
    .await?;
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<sitemapindex xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    let mut add = |kind: &str, n: i64| {
        let address = app.options.address(&format!("sitemap/{kind}/{n}.xml"));
        text.push_str(&format!("<sitemap><loc>{address}</loc></sitemap>\n"));
    };
    tracks.into_iter().for_each(|n| add("tracks", n));
    let rest =
        [("artists", stats.artist_count), ("albums", stats.album_count), ("playlists", stats.playlist_count)];
    for (kind, count) in rest {
        // One more than are full: the numbers are a moment old.
        (1..=count / PAGE + 1).for_each(|n| add(kind, n));
    }
    text.push_str("</sitemapindex>\n");
    Ok(text)
}

/// `/sitemap/{kind}/{n}.xml`.
pub(crate) async fn page(
    State(app): State<App>,
    names: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let Some((kind, n)) = names.ok().and_then(|Path((kind, file))| Some((kind, number(&file)?))) else {
        return Ok(web::missing(&app, &headers));
    };
    if !["tracks", "artists", "albums", "playlists"].contains(&kind.as_str()) {
        return Ok(web::missing(&app, &headers));
    }
    app.sitemap.get(format!("{kind}/{n}"), page_text(&app, &kind, (n - 1) * PAGE)).await.map(xml)
}

async fn page_text(app: &App, kind: &str, before: i64) -> Result<String, Error> {
    let mut db = app.pool.acquire().await?;
    let entries = match kind {
        "tracks" => tracks(&mut db, before).await?,
        "artists" => artists(&mut db, before).await?,
        "albums" => albums(&mut db, before).await?,
        _ => playlists(&mut db, before).await?,
    };
    drop(db);
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n",
    );
    for entry in entries {
        let parts: Vec<&str> = entry.parts.iter().map(String::as_str).collect();
        // Nothing in it means anything in XML: whatever could is percent-encoded.
        let address = app.options.address(&path(&parts));
        let day = day(entry.at);
        text.push_str(&format!("<url><loc>{address}</loc><lastmod>{day}</lastmod></url>\n"));
    }
    text.push_str("</urlset>\n");
    Ok(text)
}

/// The number of a page, from 1.
fn number(file: &str) -> Option<i64> {
    let digits = file.strip_suffix(".xml").filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok().filter(|n| (1..=1_000_000).contains(n))
}

fn day(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d").to_string()
}

fn xml(text: Bytes) -> Response {
    ([(CACHE_CONTROL, CACHE), (CONTENT_TYPE, "application/xml; charset=utf-8")], text).into_response()
}

/// `/sitemap-data`: the newest tracks, and the first artists and albums.
pub(crate) async fn data(State(app): State<App>) -> Result<Response, Detail> {
    let body = app.sitemap.get("data".to_owned(), data_text(&app)).await?;
    Ok(([(CACHE_CONTROL, CACHE), (CONTENT_TYPE, "application/json")], body).into_response())
}

async fn data_text(app: &App) -> Result<String, Error> {
    let mut db = app.pool.acquire().await?;
    let tracks = sqlx::query!(
        r#"select id as "id!", sort_at as "at!"
             from (select uri, track.sort_at from track join actor on actor.did = track.did and actor.active
                    order by track.sort_at desc, track.uri desc limit $1) as newest
             join public_id on kind = 'track' and public_id.uri = newest.uri
            order by sort_at desc, newest.uri desc"#,
        DATA_MAX
    )
    .fetch_all(&mut *db)
    .await?;
    let tracks: Vec<Value> = tracks.iter().map(|row| json!({"id": row.id, "updated": day(row.at)})).collect();
    let artists = artists(&mut db, 0).await?;
    let artists: Vec<Value> =
        artists.iter().map(|entry| json!({"handle": entry.parts[1], "updated": day(entry.at)})).collect();
    let albums = albums(&mut db, 0).await?;
    let albums = albums
        .iter()
        .map(|entry| json!({"handle": entry.parts[1], "slug": entry.parts[3], "updated": day(entry.at)}));
    let albums: Vec<Value> = albums.collect();
    Ok(json!({"tracks": tracks, "artists": artists, "albums": albums}).to_string())
}

fn entry<const N: usize>(parts: [&str; N], at: DateTime<Utc>) -> Entry {
    Entry { parts: parts.map(str::to_owned).to_vec(), at }
}

async fn tracks(db: &mut PgConnection, before: i64) -> Result<Vec<Entry>, Error> {
    let rows = sqlx::query!(
        r#"select record.did as "did!", record.rkey as "rkey!", record.indexed_at as "at!"
             from public_id
             join track on track.uri = public_id.uri
             join record on record.uri = track.uri
             join actor on actor.did = track.did and actor.active
            where kind = 'track' and id > $1 and id <= $1 + $2
            order by id"#,
        before,
        PAGE
    )
    .fetch_all(db)
    .await?;
    Ok(rows.iter().map(|row| entry(["track", &row.did, &row.rkey], row.at)).collect())
}

/// Those who have published something.
async fn artists(db: &mut PgConnection, before: i64) -> Result<Vec<Entry>, Error> {
    let rows = sqlx::query!(
        r#"select coalesce(handle, actor.did) as "name!", newest.sort_at as "at!"
             from (select did, max(sort_at) as sort_at from track group by did) as newest
             join actor on actor.did = newest.did and actor.active
            order by newest.did
           offset $1
            limit $2"#,
        before,
        PAGE
    )
    .fetch_all(db)
    .await?;
    Ok(rows.iter().map(|row| entry(["u", &row.name], row.at)).collect())
}

async fn albums(db: &mut PgConnection, before: i64) -> Result<Vec<Entry>, Error> {
    let rows = sqlx::query!(
        r#"select coalesce(handle, actor.did) as "name!", a.slug as "slug!", changed_at as "at!"
             from (select * from told_album order by id offset $1 limit $2) as a
             join actor on actor.did = a.did
            where a.list_uri is not null
               or exists (select from album_slug b
                           where b.album = a.id
                             and exists (select from track t where t.did = b.did and t.album_base = b.base)
                             and b.album = (select c.album from album_slug c join album o on o.id = c.album
                                             where c.did = b.did and c.base = b.base
                                             order by o.slug = c.slug desc, c.n limit 1))
            order by a.id"#,
        before,
        PAGE
    )
    .fetch_all(db)
    .await?;
    Ok(rows.iter().map(|row| entry(["u", &row.name, "album", &row.slug], row.at)).collect())
}

async fn playlists(db: &mut PgConnection, before: i64) -> Result<Vec<Entry>, Error> {
    let rows = sqlx::query!(
        r#"select record.did as "did!", record.rkey as "rkey!", coalesce(list.updated_at, list.sort_at) as "at!"
             from list
             join record on record.uri = list.uri
             join actor on actor.did = list.did and actor.active
            where list_type = 'playlist'
            order by list.uri
           offset $1
            limit $2"#,
        before,
        PAGE
    )
    .fetch_all(db)
    .await?;
    Ok(rows.iter().map(|row| entry(["playlist", &row.did, &row.rkey], row.at)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_numbers() {
        for (file, n) in [
            ("1.xml", Some(1)),
            ("1000000.xml", Some(1_000_000)),
            ("0.xml", None),
            ("1000001.xml", None),
            ("99999999999999999999.xml", None),
            ("-1.xml", None),
            ("+1.xml", None),
            (".xml", None),
            ("1", None),
        ] {
            assert_eq!(number(file), n, "{file}");
        }
    }
}
