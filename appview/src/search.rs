//! Search: `fm.plyr.search.query`, `fm.plyr.search.searchTracks`, `fm.plyr.actor.searchActors`.

mod find;
pub(crate) mod http;
pub(crate) mod mention;
mod score;
mod slip;

use std::collections::{BTreeSet, HashMap};

use axum::Json;
use axum::extract::State;
use indexer::search::text::Folded;
use indexer::search::{KINDS, Kind};
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::actor::ProfileViewBasic;
use crate::album::{self, AlbumView};
use crate::cursor::Cursor;
use crate::error::{Error, stored};
use crate::list::{self, ListView};
use crate::session::Viewer;
use crate::tag::{self, TagView};
use crate::track::{self, TrackView};
use crate::xrpc::Params;
use crate::{App, hydrate};
use find::{Hit, Question, find};

/// Things of a kind that pages reach: who looks further asks better.
const REACH: usize = 250;

/// One thing found, as `fm.plyr.search.defs` has it. `relevance` is of a thousand.
#[derive(Debug, Serialize)]
#[serde(tag = "$type")]
pub enum Found {
    /// `#trackResult`.
    #[serde(rename = "fm.plyr.search.defs#trackResult")]
    Track {
        /// How well it fits.
        relevance: u16,
        /// The track.
        track: Box<TrackView>,
    },
    /// `#artistResult`.
    #[serde(rename = "fm.plyr.search.defs#artistResult")]
    Artist {
        /// How well it fits.
        relevance: u16,
        /// Who it is.
        artist: ProfileViewBasic,
    },
    /// `#albumResult`.
    #[serde(rename = "fm.plyr.search.defs#albumResult")]
    Album {
        /// How well it fits.
        relevance: u16,
        /// The album.
        album: Box<AlbumView>,
    },
    /// `#playlistResult`.
    #[serde(rename = "fm.plyr.search.defs#playlistResult")]
    Playlist {
        /// How well it fits.
        relevance: u16,
        /// The list.
        playlist: Box<ListView>,
    },
    /// `#tagResult`.
    #[serde(rename = "fm.plyr.search.defs#tagResult")]
    Tag {
        /// How well it fits.
        relevance: u16,
        /// The tag.
        tag: TagView,
    },
}

/// What may be looked for, as parameters name it.
fn kind_of(name: &str) -> Option<Kind> {
    Some(match name {
        "tracks" => Kind::Track,
        "artists" => Kind::Artist,
        "albums" => Kind::Album,
        "playlists" => Kind::Playlist,
        "tags" => Kind::Tag,
        _ => return None,
    })
}

#[derive(Debug, Deserialize)]
pub(crate) struct Query {
    q: String,
    #[serde(default)]
    types: Vec<String>,
    limit: u8,
}

#[derive(Debug, Serialize)]
pub(crate) struct Results {
    results: Vec<Found>,
}

/// `fm.plyr.search.query`: tracks, artists, albums, playlists, tags, the best first.
pub(crate) async fn query(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: Params<Query>,
) -> Result<Json<Results>, Error> {
    let Query { q, types, limit } = params.0;
    let mut kinds: BTreeSet<Kind> = types.iter().filter_map(|name| kind_of(name)).collect();
    if types.is_empty() {
        kinds.extend(KINDS);
    }
    let typed = Folded::of(&q);
    let mut db = app.pool.acquire().await?;
    let hits = find(&mut db, &Question { typed: &typed, kinds: &kinds, limit: limit.into() }).await?;
    Ok(Json(Results { results: shown(&app, &mut db, viewer.as_ref(), &hits).await? }))
}

/// The visible ones of these, in their order.
async fn shown(
    app: &App,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    hits: &[Hit],
) -> Result<Vec<Found>, Error> {
    let keys = |kind: Kind| hits.iter().filter(move |hit| hit.kind == kind).map(|hit| hit.key.as_str());
    let uris = |kind: Kind| keys(kind).map(stored).collect::<Result<Vec<AtUri>, Error>>();
    let (tracks, _) = match uris(Kind::Track)? {
        uris if uris.is_empty() => (Vec::new(), 0),
        uris => track::views(&app.options, db, viewer, &uris).await?,
    };
    let mut tracks: HashMap<String, TrackView> =
        tracks.into_iter().map(|view| (view.uri.to_string(), view)).collect();
    let (lists, _) = match uris(Kind::Playlist)? {
        uris if uris.is_empty() => (Vec::new(), 0),
        uris => list::views(app, db, &uris).await?,
    };
    let mut lists: HashMap<String, ListView> =
        lists.into_iter().map(|view| (view.uri.to_string(), view)).collect();
    let dids = keys(Kind::Artist).map(stored).collect::<Result<Vec<Did>, Error>>()?;
    let mut people = match dids.is_empty() {
        true => HashMap::new(),
        false => hydrate::people(&app.options, db, &dids).await?,
    };
    let ids = keys(Kind::Album).map(stored).collect::<Result<Vec<Uuid>, Error>>()?;
    let mut albums = match ids.is_empty() {
        true => HashMap::new(),
        false => album::several(app, db, &ids).await?,
    };
    let names: Vec<&str> = keys(Kind::Tag).collect();
    let mut tags = match names.is_empty() {
        true => HashMap::new(),
        false => tag::several(db, &names).await?,
    };
    let found = hits.iter().filter_map(|Hit { kind, key, relevance, .. }| {
        let relevance = (relevance * 1000.0).round() as u16;
        Some(match kind {
            Kind::Track => Found::Track { relevance, track: Box::new(tracks.remove(key)?) },
            Kind::Artist => Found::Artist { relevance, artist: people.remove(&key.parse::<Did>().ok()?)? },
            Kind::Album => Found::Album { relevance, album: Box::new(albums.remove(&key.parse().ok()?)?) },
            Kind::Playlist => Found::Playlist { relevance, playlist: Box::new(lists.remove(key)?) },
            Kind::Tag => Found::Tag { relevance, tag: tags.remove(key)? },
        })
    });
    Ok(found.collect())
}

/// How many were passed, and what was looked for.
type FoundCursor = Cursor<b'f', String>;

#[derive(Debug, Deserialize)]
pub(crate) struct OfOneKind {
    q: String,
    limit: u8,
    cursor: Option<FoundCursor>,
}

/// A page of what is found of a kind.
struct Page {
    hits: Vec<Hit>,
    /// What was looked for, and how many were passed.
    name: String,
    passed: usize,
    has_more: bool,
}

impl Page {
    /// Where the next one begins, if only so many of this one found room.
    fn next(self, covered: usize) -> Option<FoundCursor> {
        let more = self.has_more || covered < self.hits.len();
        more.then(|| Cursor::at((self.passed + covered) as i64, self.name))
    }
}

async fn page(db: &mut PgConnection, kind: Kind, asked: OfOneKind) -> Result<Page, Error> {
    let OfOneKind { q, limit, cursor } = asked;
    let typed = Folded::of(&q);
    let name = typed.name();
    // A cursor of another question means nothing here.
    let passed = match cursor {
        Some(cursor) if *cursor.name() == name => usize::try_from(cursor.key()).unwrap_or(REACH).min(REACH),
        Some(_) => return Err(Error::invalid_request("cursor: of another search")),
        None => 0,
    };
    // Each page is cut from the same whole.
    let hits = find(db, &Question { typed: &typed, kinds: &[kind].into(), limit: REACH }).await?;
    let has_more = hits.len() > passed + usize::from(limit);
    Ok(Page { hits: hits.into_iter().skip(passed).take(limit.into()).collect(), name, passed, has_more })
}

#[derive(Debug, Serialize)]
pub(crate) struct Tracks {
    tracks: Vec<TrackView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<FoundCursor>,
}

/// `fm.plyr.search.searchTracks`.
pub(crate) async fn search_tracks(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: Params<OfOneKind>,
) -> Result<Json<Tracks>, Error> {
    let mut db = app.pool.acquire().await?;
    let page = page(&mut db, Kind::Track, params.0).await?;
    let uris = page.hits.iter().map(|hit| stored(&hit.key)).collect::<Result<Vec<AtUri>, Error>>()?;
    let (tracks, covered) = track::views(&app.options, &mut db, viewer.as_ref(), &uris).await?;
    Ok(Json(Tracks { tracks, cursor: page.next(covered) }))
}

#[derive(Debug, Serialize)]
pub(crate) struct Actors {
    actors: Vec<ProfileViewBasic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<FoundCursor>,
}

/// `fm.plyr.actor.searchActors`.
pub(crate) async fn search_actors(
    State(app): State<App>,
    params: Params<OfOneKind>,
) -> Result<Json<Actors>, Error> {
    let mut db = app.pool.acquire().await?;
    let page = page(&mut db, Kind::Artist, params.0).await?;
    let dids = page.hits.iter().map(|hit| stored(&hit.key)).collect::<Result<Vec<Did>, Error>>()?;
    let mut people = hydrate::people(&app.options, &mut db, &dids).await?;
    let actors = dids.iter().filter_map(|did| people.remove(did)).collect();
    Ok(Json(Actors { actors, cursor: page.next(dids.len()) }))
}
