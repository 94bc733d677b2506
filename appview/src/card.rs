//! What a page shows, in short: for whoever unfolds a link to it, plays it elsewhere, or reads it as a machine.

pub(crate) mod head;
mod ld;

use chrono::{DateTime, Utc};
use indexer::record::normalize_tags;
use indexer::syntax::{AtUri, Did};
use serde::Deserialize;
use sqlx::PgConnection;

use crate::actor::{AtIdentifier, ProfileViewBasic};
use crate::error::Error;
use crate::feed::{self, Position, Wanted};
use crate::options::path;
use crate::track::{self, TrackView};
use crate::{App, album, foreign, hydrate, list};

/// Tracks of a card, at most: the first of an album or a list, the newest of a person or a tag.
const TRACKS_MAX: usize = 50;

/// What kind of thing a page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Track,
    Album,
    Playlist,
    Artist,
    Tag,
}

/// What a page shows.
#[derive(Debug)]
pub(crate) struct Card {
    pub kind: Kind,
    /// What it is called.
    pub title: String,
    /// Who made it, in the words of the record where it is a track; empty where it is nobody's.
    pub by: String,
    /// Whose it is; nobody's where it is a tag.
    pub owner: Option<ProfileViewBasic>,
    /// What is said of it.
    pub text: Option<String>,
    /// The path of its page, of all that it has the one to be kept.
    pub path: String,
    /// The path of its player for other pages.
    pub embed: Option<String>,
    /// Its picture: our copy, or a foreign address.
    pub picture: Option<String>,
    /// A small form of it.
    pub thumbnail: Option<String>,
    /// Tracks of it.
    pub track_count: i64,
    /// The first of them; of a track, itself.
    pub songs: Vec<Song>,
    /// When it came to be, as it says.
    pub created_at: Option<DateTime<Utc>>,
}

/// A track as a card knows it.
#[derive(Debug)]
pub(crate) struct Song {
    pub title: String,
    pub artist: String,
    pub description: Option<String>,
    pub album: Option<String>,
    pub duration_s: Option<u32>,
    pub path: String,
    pub view: TrackView,
}

/// Of a track's record. It has been checked when it came.
#[derive(Debug, Deserialize)]
struct Told {
    title: String,
    artist: String,
    description: Option<String>,
    album: Option<String>,
    duration: Option<i64>,
}

impl Song {
    fn of(view: TrackView) -> Result<Song, Error> {
        let told: Told = serde_json::from_str(view.record.get()).map_err(Error::internal)?;
        let said = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Ok(Song {
            title: told.title,
            artist: told.artist,
            description: said(told.description),
            album: said(told.album),
            duration_s: told.duration.and_then(|seconds| u32::try_from(seconds).ok()).filter(|s| *s > 0),
            path: path(&["track", view.uri.authority(), view.uri.rkey()]),
            view,
        })
    }
}

/// What addresses call somebody: their handle, unless it has been refuted.
pub(crate) fn called(person: &ProfileViewBasic) -> &str {
    match person.handle.as_str() {
        "handle.invalid" => person.did.as_str(),
        handle => handle,
    }
}

/// The path of somebody's page.
pub(crate) fn page_of(person: &ProfileViewBasic) -> String {
    path(&["u", called(person)])
}

/// The record that a page of ours shows, by DID, handle, number or what was told of it.
pub(crate) async fn target(app: &App, db: &mut PgConnection, parts: &[&str]) -> sqlx::Result<Option<AtUri>> {
    let address = app.options.address(&path(parts));
    indexer::link::names::target(db, app.registry(), &address).await
}

/// A track that can be seen.
pub(crate) async fn track(app: &App, db: &mut PgConnection, uri: &AtUri) -> Result<Option<Card>, Error> {
    if uri.collection() != app.registry().track_collection() {
        return Ok(None);
    }
    let Some(song) = songs(app, db, std::slice::from_ref(uri)).await?.pop() else { return Ok(None) };
    Ok(Some(Card {
        kind: Kind::Track,
        title: song.title.clone(),
        by: song.artist.clone(),
        owner: Some(song.view.author.clone()),
        text: song.description.clone(),
        path: song.path.clone(),
        embed: Some(format!("embed/track/{}", song.view.id)),
        picture: song.view.cover.clone(),
        thumbnail: song.view.thumbnail.clone(),
        track_count: 1,
        created_at: Some(song.view.sort_at),
        songs: vec![song],
    }))
}

/// The album of somebody's that addresses call so, or ever called so.
pub(crate) async fn album(
    app: &App,
    db: &mut PgConnection,
    artist: AtIdentifier,
    slug: &str,
) -> Result<Option<Card>, Error> {
    let Some(album::Owned { did, album: Some(id) }) = album::find(db, &artist, slug).await? else {
        return Ok(None);
    };
    let Some((view, row)) = album::one(app, db, id).await? else { return Ok(None) };
    let uris = album::tracks(db, &did, &row, None, TRACKS_MAX as i64).await?;
    let uris: Vec<AtUri> = uris.into_iter().map(|(_, uri)| uri).collect();
    let songs = songs(app, db, &uris).await?;
    let who = called(&view.author);
    Ok(Some(Card {
        kind: Kind::Album,
        by: view.author.name().to_owned(),
        text: None,
        path: path(&["u", who, "album", &view.slug]),
        embed: Some(path(&["embed", "album", who, &view.slug])),
        picture: view.cover,
        thumbnail: None,
        track_count: view.track_count,
        songs,
        created_at: view.created_at,
        title: view.title,
        owner: Some(view.author),
    }))
}

/// A playlist of somebody's who can be seen.
pub(crate) async fn playlist(app: &App, db: &mut PgConnection, uri: &AtUri) -> Result<Option<Card>, Error> {
    let found = list::http::rows(db, &[uri.as_str().to_owned()]).await?.pop();
    let Some(row) = found else { return Ok(None) };
    let did: Did = crate::error::stored(&row.did)?;
    let Some(owner) = person(app, db, &did).await? else { return Ok(None) };
    let uris = list::http::tracks(db, uri.as_str(), TRACKS_MAX as i64).await?;
    let parts = [uri.authority(), uri.rkey()];
    Ok(Some(Card {
        kind: Kind::Playlist,
        title: row.title().to_owned(),
        by: owner.name().to_owned(),
        owner: Some(owner),
        text: None,
        path: path(&["playlist", parts[0], parts[1]]),
        embed: Some(path(&["embed", "playlist", parts[0], parts[1]])),
        picture: row.pictures.iter().find_map(|picture| foreign::picture(&app.options, picture)),
        thumbnail: None,
        track_count: row.items,
        songs: songs(app, db, &uris).await?,
        created_at: Some(row.created_at),
    }))
}

/// Somebody who can be seen, with what they published last.
pub(crate) async fn artist(
    app: &App,
    db: &mut PgConnection,
    artist: AtIdentifier,
) -> Result<Option<Card>, Error> {
    let Some(owner) = hydrate::person(&app.options, db, &artist).await? else { return Ok(None) };
    let did = owner.did.clone();
    let told = sqlx::query!(
        r#"select (select count(*) from track where did = $1) as "tracks!",
                  (select bio from profile where did = $1) as bio"#,
        did.as_str()
    )
    .fetch_one(&mut *db)
    .await?;
    let newest =
        feed::of_actor(db, &did, &Position::default(), &Wanted::default(), TRACKS_MAX as i64).await?;
    let uris: Vec<AtUri> = newest.into_iter().map(|place| place.track).collect();
    let who = called(&owner).to_owned();
    Ok(Some(Card {
        kind: Kind::Artist,
        title: owner.name().to_owned(),
        by: String::new(),
        text: told.bio.filter(|bio| !bio.trim().is_empty()),
        path: path(&["u", &who]),
        embed: Some(path(&["embed", "u", &who])),
        picture: owner.avatar.clone(),
        thumbnail: None,
        track_count: told.tracks,
        songs: songs(app, db, &uris).await?,
        created_at: None,
        owner: Some(owner),
    }))
}

/// A tag that tracks have.
pub(crate) async fn tag(app: &App, db: &mut PgConnection, name: &str) -> Result<Option<Card>, Error> {
    let tags = normalize_tags(vec![name.replace('\0', "")]);
    let Some(tag) = tags.first().cloned() else { return Ok(None) };
    let count = sqlx::query_scalar!("select tracks from tag_count where tag = $1 and tracks > 0", tag)
        .fetch_optional(&mut *db)
        .await?;
    let Some(track_count) = count else { return Ok(None) };
    let wanted = Wanted { tags, hidden: Vec::new() };
    let newest = feed::latest(db, &Position::default(), &wanted, TRACKS_MAX as i64).await?;
    let uris: Vec<AtUri> = newest.into_iter().map(|place| place.track).collect();
    let songs = songs(app, db, &uris).await?;
    Ok(Some(Card {
        kind: Kind::Tag,
        path: path(&["tag", &tag]),
        title: tag,
        by: String::new(),
        owner: None,
        text: None,
        embed: None,
        picture: songs.iter().find_map(|song| song.view.cover.clone()),
        thumbnail: None,
        track_count,
        songs,
        created_at: None,
    }))
}

async fn person(app: &App, db: &mut PgConnection, did: &Did) -> Result<Option<ProfileViewBasic>, Error> {
    Ok(hydrate::people(&app.options, db, std::slice::from_ref(did)).await?.remove(did))
}

async fn songs(app: &App, db: &mut PgConnection, uris: &[AtUri]) -> Result<Vec<Song>, Error> {
    let (views, _) = track::views(&app.options, db, None, uris).await?;
    views.into_iter().map(Song::of).collect()
}
