//! `parts.page.mention.search`: what editors of documents offer to mention.

use axum::Json;
use axum::extract::State;
use indexer::search::KINDS;
use indexer::search::text::Folded;
use serde::{Deserialize, Serialize};

use super::find::{Question, find};
use super::{Found, http, kind_of, shown};
use crate::error::Error;
use crate::options::path;
use crate::xrpc::Params;
use crate::{App, Options, card};

#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    search: String,
    scope: Option<String>,
    limit: u8,
}

#[derive(Debug, Serialize)]
pub(crate) struct Mentions {
    results: Vec<Mention>,
}

/// `parts.page.mention.search#result`. It is named by its page.
#[derive(Debug, Serialize)]
struct Mention {
    uri: String,
    href: String,
    name: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
    labels: [Label; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    embed: Option<Embed>,
    subscope: Subscope,
}

#[derive(Debug, Serialize)]
struct Label {
    text: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Embed {
    src: String,
    aspect_ratio: AspectRatio,
}

#[derive(Debug, Serialize)]
struct AspectRatio {
    width: u8,
    height: u8,
}

#[derive(Debug, Serialize)]
struct Subscope {
    scope: &'static str,
    label: &'static str,
}

/// The handler. Which service is asked makes no difference: there is one.
pub(crate) async fn search(State(app): State<App>, params: Params<Asked>) -> Result<Json<Mentions>, Error> {
    let Asked { search, scope, limit } = params.0;
    let kinds = scope.as_deref().and_then(kind_of).map_or(KINDS.into(), |kind| [kind].into());
    let typed = Folded::of(&search);
    let mut db = app.pool.acquire().await?;
    let mut hits = find(&mut db, &Question { typed: &typed, kinds: &kinds, limit: limit.into() }).await?;
    hits.truncate(limit.into());
    let found = shown(&app, &mut db, None, &hits).await?;
    Ok(Json(Mentions { results: found.iter().map(|found| mention(&app.options, found)).collect() }))
}

fn mention(options: &Options, found: &Found) -> Mention {
    let of = |kind: &'static str, scope: &'static str, label: &'static str, path: String, name: &str| {
        let page = options.address(&path);
        let embed = Embed {
            src: options.address(&format!("embed/{path}")),
            aspect_ratio: AspectRatio { width: 16, height: 9 },
        };
        Mention {
            uri: page.clone(),
            href: page,
            name: name.to_owned(),
            description: String::new(),
            icon: None,
            labels: [Label { text: kind }],
            embed: Some(embed),
            subscope: Subscope { scope, label },
        }
    };
    let by = |name: &str| format!("by {name}");
    match found {
        Found::Track { track, .. } => {
            let title = http::title(track.record.get()).unwrap_or_default();
            let mention = of("track", "tracks", "Tracks", path(&["track", &track.id.to_string()]), &title);
            Mention { description: by(track.author.name()), icon: track.cover.clone(), ..mention }
        }
        Found::Artist { artist, .. } => {
            let name = card::called(artist);
            let mention = of("artist", "artists", "Artists", path(&["u", name]), artist.name());
            let description = format!("@{name}");
            Mention { description, icon: artist.avatar.clone(), embed: None, ..mention }
        }
        Found::Album { album, .. } => {
            let author = &album.author;
            let artist = card::called(author);
            let src = options.address(&path(&["embed", "album", artist, &album.slug]));
            let mut mention =
                of("album", "albums", "Albums", path(&["u", artist, "album", &album.slug]), &album.title);
            mention.embed.iter_mut().for_each(|embed| embed.src.clone_from(&src));
            Mention { description: by(author.name()), icon: album.cover.clone(), ..mention }
        }
        Found::Playlist { playlist, .. } => {
            let author = &playlist.author;
            let name = http::name(playlist.record.get()).unwrap_or_default();
            let description = format!("by {} · {} tracks", author.name(), playlist.item_count);
            Mention {
                description,
                icon: playlist.cover.clone(),
                ..of(
                    "playlist",
                    "playlists",
                    "Playlists",
                    path(&["playlist", author.did.as_str(), playlist.uri.rkey()]),
                    &name,
                )
            }
        }
        Found::Tag { tag, .. } => {
            let mention = of("tag", "tags", "Tags", path(&["tag", &tag.tag]), &tag.tag);
            Mention { description: format!("{} tracks", tag.track_count), embed: None, ..mention }
        }
    }
}
