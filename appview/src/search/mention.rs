//! `parts.page.mention.search`: what editors of documents offer to mention.

use axum::Json;
use axum::extract::State;
use indexer::search::KINDS;
use indexer::search::text::Folded;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::find::{Question, find};
use super::{Found, http, kind_of, shown};
use crate::error::Error;
use crate::xrpc::Params;
use crate::{App, Options};

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
    let kinds = scope.as_deref().and_then(kind_of).map_or(KINDS.to_vec(), |kind| vec![kind]);
    let typed = Folded::of(&search);
    let mut db = app.pool.acquire().await?;
    let mut hits = find(&mut db, &Question { typed: &typed, kinds: &kinds, limit: limit.into() }).await?;
    hits.truncate(limit.into());
    let found = shown(&app, &mut db, None, &hits).await?;
    Ok(Json(Mentions { results: found.iter().map(|found| mention(&app.options, found)).collect() }))
}

/// A part of a path.
fn part(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn mention(options: &Options, found: &Found) -> Mention {
    let of = |kind: &'static str, scope: &'static str, label: &'static str, path: String, name: &str| {
        let page = options.address(&path);
        let embed = Embed {
            src: options.address(&format!("embed/{}", path.trim_start_matches("u/"))),
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
            let mention = of("track", "tracks", "Tracks", format!("track/{}", track.id), &title);
            Mention { description: by(track.author.name()), icon: track.cover.clone(), ..mention }
        }
        Found::Artist { artist, .. } => {
            let mention = of("artist", "artists", "Artists", format!("u/{}", artist.handle), artist.name());
            let description = format!("@{}", artist.handle);
            Mention { description, icon: artist.avatar.clone(), embed: None, ..mention }
        }
        Found::Album { album, .. } => {
            let author = &album.author;
            let path = format!("u/{}/album/{}", author.handle, part(&album.slug));
            let src = options.address(&format!("embed/album/{}/{}", author.handle, part(&album.slug)));
            let mut mention = of("album", "albums", "Albums", path, &album.title);
            mention.embed.iter_mut().for_each(|embed| embed.src.clone_from(&src));
            Mention { description: by(author.name()), icon: album.cover.clone(), ..mention }
        }
        Found::Playlist { playlist, .. } => {
            let author = &playlist.author;
            let name = http::name(playlist.record.get()).unwrap_or_default();
            let path = format!("playlist/{}/{}", author.did, part(playlist.uri.rkey()));
            let description = format!("by {} · {} tracks", author.name(), playlist.item_count);
            Mention {
                description,
                icon: playlist.cover.clone(),
                ..of("playlist", "playlists", "Playlists", path, &name)
            }
        }
        Found::Tag { tag, .. } => {
            let mention = of("tag", "tags", "Tags", format!("tag/{}", part(&tag.tag)), &tag.tag);
            Mention { description: format!("{} tracks", tag.track_count), embed: None, ..mention }
        }
    }
}
