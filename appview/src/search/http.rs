//! Search by the HTTP API: `/search`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{RawQuery, State};
use indexer::search::text::{Folded, is_word_by_itself};
use indexer::search::{KINDS, Kind};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::find::{Question, find};
use super::{Found, kind_of, shown};
use crate::detail::{Detail, number, query};
use crate::{App, card, list};

/// Of each kind, unless asked for fewer or more, and at most.
pub(crate) const RESULTS: i64 = 20;
pub(crate) const RESULTS_MAX: i64 = 50;
/// Characters of a question.
pub(crate) const Q_MAX: usize = 100;

#[derive(Debug, Deserialize)]
struct Asked {
    q: Option<String>,
    #[serde(rename = "type")]
    kinds: Option<String>,
    limit: Option<String>,
}

/// `GET /search/`. The counts are those of what is in the answer.
pub(crate) async fn search(State(app): State<App>, RawQuery(asked): RawQuery) -> Result<Json<Value>, Detail> {
    let Asked { q, kinds, limit } = query(asked)?;
    let q = q.ok_or_else(|| Detail::invalid("query", "q", "Field required"))?;
    let limit = number("limit", limit.as_deref(), RESULTS, 1..=RESULTS_MAX)?;
    let length = q.trim().chars().count();
    if length < 2 && !q.chars().any(is_word_by_itself) {
        return Err(Detail::invalid("query", "q", "String should have at least 2 characters"));
    }
    if length > Q_MAX {
        return Err(Detail::invalid("query", "q", format!("String should have at most {Q_MAX} characters")));
    }
    // Kinds that this server does not know find nothing.
    let kinds: BTreeSet<Kind> = match &kinds {
        Some(names) => names.split(',').filter_map(|name| kind_of(name.trim())).collect(),
        None => KINDS.into(),
    };
    let typed = Folded::of(&q);
    let mut db = app.pool.acquire().await?;
    let question = Question { typed: &typed, kinds: &kinds, limit: limit as usize };
    let hits = find(&mut db, &question).await?;
    let found = shown(&app, &mut db, None, &hits).await?;
    let results: Vec<Value> = found.iter().map(item).collect();
    let count = |kind: &str| results.iter().filter(|item| item["type"] == kind).count();
    let counts = json!({"tracks": count("track"), "artists": count("artist"), "albums": count("album"),
                        "playlists": count("playlist"), "tags": count("tag")});
    Ok(Json(json!({"results": results, "counts": counts})))
}

fn item(found: &Found) -> Value {
    let of = |relevance: &u16| f64::from(*relevance) / 1000.0;
    match found {
        Found::Track { relevance, track } => json!({
            "type": "track", "id": track.id, "title": title(track.record.get()).unwrap_or_default(),
            "artist_handle": card::called(&track.author), "artist_display_name": track.author.name(),
            "image_url": track.cover, "relevance": of(relevance)}),
        Found::Artist { relevance, artist } => json!({
            "type": "artist", "did": artist.did, "handle": card::called(artist), "display_name": artist.name(),
            "avatar_url": artist.avatar, "relevance": of(relevance)}),
        Found::Album { relevance, album } => json!({
            "type": "album", "id": album.id, "title": album.title, "slug": album.slug,
            "artist_handle": card::called(&album.author), "artist_display_name": album.author.name(),
            "image_url": album.cover, "relevance": of(relevance)}),
        Found::Playlist { relevance, playlist } => {
            let (handle, name) = (card::called(&playlist.author), name(playlist.record.get()));
            json!({"type": "playlist", "id": playlist.id, "name": list::title(name.as_deref()), "owner_handle": handle,
                   "owner_display_name": playlist.author.name(), "image_url": playlist.cover,
                   "track_count": playlist.item_count, "relevance": of(relevance)})
        }
        Found::Tag { relevance, tag } => json!({
            "type": "tag", "id": tag_id(&tag.tag), "name": tag.tag, "track_count": tag.track_count, "relevance": of(relevance)}),
    }
}

/// A number for a tag, which has none but its name: always the same one.
fn tag_id(tag: &str) -> u32 {
    Sha256::digest(tag).iter().take(4).fold(0, |id, byte| id << 8 | u32::from(*byte)) >> 1
}

pub(super) fn title(record: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Titled {
        title: String,
    }
    serde_json::from_str::<Titled>(record).ok().map(|record| record.title)
}

pub(super) fn name(record: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Called {
        name: String,
    }
    serde_json::from_str::<Called>(record).ok().map(|record| record.name)
}
