//! What happens here: `fm.plyr.feed.getActivity`, a walk down one index of each kind of thing at once, newest first.
//!
//! Whose moment is in the future comes when that is. What was added to a playlist when, no record says: a list that changes is
//! written anew as a whole.

pub(crate) mod http;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, NaiveDate, Utc};
use indexer::syntax::{AtUri, Did};
use moka::future::Cache;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::actor::ProfileViewBasic;
use crate::cursor::Cursor;
use crate::error::{Error, shared, stored};
use crate::feed::Position;
use crate::hydrate::PAGE_MAX_BYTES;
use crate::list::{self, ListView};
use crate::pool::Pool;
use crate::session::Viewer;
use crate::track::{self, TrackView};
use crate::xrpc::Params;
use crate::{App, hydrate};

/// How often a page of which nothing can be shown is passed over before it is answered as it is.
const EMPTY_MAX: usize = 4;
/// Days that are counted, and of each day what there is of one kind, at most.
pub(crate) const DAYS: i64 = 30;
const OF_DAY_MAX: i64 = 2_000;
/// How old their numbers may be.
const DAYS_TTL: Duration = Duration::from_secs(60);

/// Where a page ended: the moment of its last event, and the record that the event is.
pub(crate) type ActivityCursor = Cursor<b'e'>;

/// One of the objects of `fm.plyr.feed.getActivity`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event {
    #[serde(flatten)]
    pub what: What,
    /// The record that it is.
    pub uri: AtUri,
    /// Whose.
    pub actor: ProfileViewBasic,
    /// When, as the record says, or first seen if that is earlier.
    pub created_at: DateTime<Utc>,
}

/// What happened.
#[derive(Debug, Serialize)]
#[serde(tag = "$type")]
pub(crate) enum What {
    #[serde(rename = "fm.plyr.feed.getActivity#trackLiked")]
    Liked { track: Box<TrackView> },
    #[serde(rename = "fm.plyr.feed.getActivity#trackPublished")]
    Published { track: Box<TrackView> },
    #[serde(rename = "fm.plyr.feed.getActivity#trackCommented", rename_all = "camelCase")]
    Commented { track: Box<TrackView>, text: String, timestamp_ms: i64 },
    #[serde(rename = "fm.plyr.feed.getActivity#personJoined")]
    Joined {},
    #[serde(rename = "fm.plyr.feed.getActivity#playlistCreated")]
    Playlist { list: Box<ListView> },
    #[serde(rename = "fm.plyr.feed.getActivity#albumReleased")]
    Album { list: Box<ListView> },
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetActivity {
    limit: u8,
    cursor: Option<ActivityCursor>,
}

/// A page of events, and where it ends if more follow.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    pub events: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<ActivityCursor>,
}

/// `fm.plyr.feed.getActivity`.
pub(crate) async fn get_activity(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: Params<GetActivity>,
) -> Result<Json<Page>, Error> {
    let from = Position::after(params.0.cursor)?;
    let mut db = app.pool.acquire().await?;
    page(&app, &mut db, viewer.as_ref(), from, params.0.limit.into()).await.map(Json)
}

/// At most `limit` events. One that cannot be shown takes a place too, so that a page costs the same whatever is hidden; but none is
/// empty while more follow, unless very much is.
pub(crate) async fn page(
    app: &App,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    mut from: Position,
    limit: usize,
) -> Result<Page, Error> {
    let mut cursor = None;
    for _ in 0..EMPTY_MAX {
        let mut rows = skeleton(db, &from, limit as i64 + 1).await?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let (events, covered) = events(app, db, viewer, &rows).await?;
        let last = rows[..covered].last().filter(|_| more || covered < rows.len());
        let Some(last) = last else { return Ok(Page { events, cursor: None }) };
        from = Position { time: Some(last.at), uri: Some(last.uri.to_string()) };
        cursor = Some(Cursor::at_time(last.at, last.uri.clone()));
        if !events.is_empty() {
            return Ok(Page { events, cursor });
        }
    }
    Ok(Page { events: Vec::new(), cursor })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Liked,
    Published,
    Commented,
    Joined,
    Playlist,
    Album,
}

#[derive(Debug)]
struct Row {
    kind: Kind,
    uri: AtUri,
    did: Did,
    /// The track.
    subject: Option<AtUri>,
    /// A comment, and to which moment of the track.
    said: Option<(String, i64)>,
    at: DateTime<Utc>,
}

/// What happened last before a moment, whether it can be shown or not; but of somebody's likes of one track only the first.
async fn skeleton(db: &mut PgConnection, from: &Position, limit: i64) -> Result<Vec<Row>, Error> {
    let rows = sqlx::query!(
        r#"select kind as "kind!", uri as "uri!", did as "did!", subject_uri, at as "at!",
                  body, moment as "moment_ms",
                  (kind = 'like'
                   and (select true from reaction as older
                         where older.subject_uri = happened.subject_uri and older.did = happened.did and verb = 'like'
                           and source = 'plyr' and older.sort_at < happened.at limit 1) is not null) as "again!"
             from (select * from (
                   (select 'like' as kind, uri, did, subject_uri, sort_at as at, null as body, null::bigint as moment from reaction
                     where verb = 'like' and source = 'plyr'
                       and (sort_at, uri) < (coalesce($1, 'infinity'::timestamptz), coalesce($2, ''))
                     order by sort_at desc, uri desc limit $3)
                   union all
                   (select 'track', uri, did, uri, sort_at, null, null from track
                     where (sort_at, uri) < (coalesce($1, 'infinity'::timestamptz), coalesce($2, ''))
                     order by sort_at desc, uri desc limit $3)
                   union all
                   (select 'comment', uri, did, subject_uri, created_at, body, timestamp_ms from comment
                     where (created_at, uri) < (coalesce($1, 'infinity'::timestamptz), coalesce($2, '')) and created_at <= now()
                     order by created_at desc, uri desc limit $3)
                   union all
                   (select 'join', uri, did, null, created_at, null, null from profile
                     where (created_at, uri) < (coalesce($1, 'infinity'::timestamptz), coalesce($2, '')) and created_at <= now()
                     order by created_at desc, uri desc limit $3)
                   union all
                   (select list_type, uri, did, null, sort_at, null, null from list
                     where list_type in ('album', 'playlist')
                       and (sort_at, uri) < (coalesce($1, 'infinity'::timestamptz), coalesce($2, ''))
                     order by sort_at desc, uri desc limit $3)) as each
                    order by at desc, uri desc
                    limit $3) as happened
            order by at desc, uri desc"#,
        from.time,
        from.uri,
        limit
    )
    .fetch_all(db)
    .await?;
    let rows = rows.into_iter().map(|row| {
        let kind = match row.kind.as_str() {
            "like" => Kind::Liked,
            "track" => Kind::Published,
            "comment" => Kind::Commented,
            "join" => Kind::Joined,
            "album" => Kind::Album,
            _ => Kind::Playlist,
        };
        // Nothing to be found by: it takes its place and is left out.
        let subject = row.subject_uri.filter(|_| !row.again);
        let subject = subject.as_deref().map(stored).transpose()?;
        let said = row.body.zip(row.moment_ms);
        Ok(Row { kind, uri: stored(&row.uri)?, did: stored(&row.did)?, subject, said, at: row.at })
    });
    rows.collect()
}

/// What rows are about, found for all of them at once.
struct Found {
    people: HashMap<Did, ProfileViewBasic>,
    tracks: HashMap<AtUri, TrackView>,
    lists: HashMap<AtUri, ListView>,
}

/// Those of the rows that can be shown until they fill a page, and how many of the rows that covers.
async fn events(
    app: &App,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    rows: &[Row],
) -> Result<(Vec<Event>, usize), Error> {
    let dids: Vec<Did> = rows.iter().map(|row| row.did.clone()).collect();
    let people = hydrate::people(&app.options, db, &dids).await?;
    let shown = |row: &&Row| people.contains_key(&row.did);
    let tracks = once(rows.iter().filter(shown).filter_map(|row| row.subject.as_ref()));
    let is_list = |row: &&Row| matches!(row.kind, Kind::Album | Kind::Playlist);
    let lists = once(rows.iter().filter(shown).filter(is_list).map(|row| &row.uri));
    let (track_views, tracks_covered) = track::views(&app.options, db, viewer, &tracks).await?;
    let (list_views, lists_covered) = list::views(app, db, &lists).await?;
    let beyond = [tracks.get(tracks_covered), lists.get(lists_covered)];
    let found = Found {
        people,
        tracks: track_views.into_iter().map(|view| (view.uri.clone(), view)).collect(),
        lists: list_views.into_iter().map(|view| (view.uri.clone(), view)).collect(),
    };
    let (mut events, mut size_bytes) = (Vec::with_capacity(rows.len()), 0);
    for (place, row) in rows.iter().enumerate() {
        // The first that a full page had no room for.
        if beyond.iter().flatten().any(|uri| **uri == row.uri || row.subject.as_ref() == Some(*uri)) {
            return Ok((events, place));
        }
        let Some(event) = event(&found, row) else { continue };
        // What happened to one track twice is shown twice.
        size_bytes += event.what.record_bytes();
        if size_bytes > PAGE_MAX_BYTES && !events.is_empty() {
            return Ok((events, place));
        }
        events.push(event);
    }
    Ok((events, rows.len()))
}

/// Each of them once, in the order in which it comes first.
fn once<'a>(uris: impl Iterator<Item = &'a AtUri>) -> Vec<AtUri> {
    let mut named = HashSet::new();
    uris.filter(|uri| named.insert(*uri)).cloned().collect()
}

/// A row as it is shown; nothing where somebody or something of it may not be seen.
fn event(found: &Found, row: &Row) -> Option<Event> {
    let actor = found.people.get(&row.did)?.clone();
    let track = || Some(Box::new(found.tracks.get(row.subject.as_ref()?)?.clone()));
    let list = || Some(Box::new(found.lists.get(&row.uri)?.clone()));
    let what = match row.kind {
        Kind::Liked => What::Liked { track: track()? },
        Kind::Published => What::Published { track: track()? },
        Kind::Commented => {
            let (text, timestamp_ms) = row.said.clone()?;
            What::Commented { track: track()?, text, timestamp_ms }
        }
        Kind::Joined => What::Joined {},
        Kind::Playlist => What::Playlist { list: list()? },
        Kind::Album => What::Album { list: list()? },
    };
    Some(Event { what, uri: row.uri.clone(), actor, created_at: row.at })
}

impl What {
    /// What the records in it take.
    fn record_bytes(&self) -> usize {
        match self {
            What::Liked { track } | What::Published { track } | What::Commented { track, .. } => {
                track.record.get().len()
            }
            What::Playlist { list } | What::Album { list } => list.record.get().len(),
            What::Joined {} => 0,
        }
    }
}

/// How much happened on one day, by UTC.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Day {
    pub date: NaiveDate,
    pub count: i64,
}

/// The last days as they were counted a moment ago. Those who ask at once share one answer.
#[derive(Debug, Clone)]
pub(crate) struct Days(Cache<(), Arc<Vec<Day>>>);

impl Default for Days {
    fn default() -> Self {
        Days(Cache::builder().max_capacity(1).time_to_live(DAYS_TTL).build())
    }
}

/// The last [`DAYS`] days, today last.
pub(crate) async fn days(app: &App) -> Result<Arc<Vec<Day>>, Error> {
    let count = async { count(&app.pool).await.map(Arc::new) };
    app.days.0.try_get_with((), count).await.map_err(shared)
}

/// Counts what active people did, of each kind up to a number that no graph needs to exceed: so it costs no more the more happens.
async fn count(pool: &Pool) -> Result<Vec<Day>, Error> {
    let days = sqlx::query_as!(
        Day,
        r#"select day::date as "date!",
                  (select count(*) from (select from reaction r join actor a on a.did = r.did and a.active
                                          where verb = 'like' and source = 'plyr' and sort_at >= begins and sort_at < ends
                                          limit $2) as likes)
                + (select count(*) from (select from track t join actor a on a.did = t.did and a.active
                                          where sort_at >= begins and sort_at < ends limit $2) as tracks)
                + (select count(*) from (select from comment c join actor a on a.did = c.did and a.active
                                          where created_at >= begins and created_at < ends and created_at <= now()
                                          limit $2) as comments)
                + (select count(*) from (select from profile p join actor a on a.did = p.did and a.active
                                          where created_at >= begins and created_at < ends and created_at <= now()
                                          limit $2) as joins)
                + (select count(*) from (select from list l join actor a on a.did = l.did and a.active
                                          where list_type in ('album', 'playlist') and sort_at >= begins and sort_at < ends
                                          limit $2) as lists) as "count!"
             from generate_series((now() at time zone 'utc')::date - ($1::integer - 1),
                                  (now() at time zone 'utc')::date, interval '1 day') as day,
                  lateral (select day at time zone 'utc' as begins, (day + interval '1 day') at time zone 'utc' as ends) as bounds
            order by day"#,
        DAYS as i32,
        OF_DAY_MAX
    );
    Ok(days.fetch_all(&mut *pool.acquire().await?).await?)
}
