//! `GET /oembed`: how other pages show what a page of ours shows, <https://oembed.com>.

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use url::Url;

use crate::actor::AtIdentifier;
use crate::card::head::escape;
use crate::card::{self, Card, Kind};
use crate::cover::THUMBNAIL_PX;
use crate::detail::{Detail, number, query};
use crate::{App, Options};

/// How wide a frame is, unless asked otherwise, and at most; in pixels.
pub(crate) const WIDTH: i64 = 400;
const WIDTH_MAX: i64 = 800;
/// How high one is with one track: that is also all it needs.
const TRACK_HEIGHT: i64 = 165;
/// How high one is with several, unless asked otherwise, and at most.
pub(crate) const LIST_HEIGHT: i64 = 380;
const LIST_HEIGHT_MAX: i64 = 600;
/// Whoever asks for more gets what there is.
pub(crate) const ASKED_MAX: i64 = 1_000_000;
/// What clients of the API take a cover for; they show it in a square.
const COVER_PX: u32 = 300;

#[derive(Debug, Deserialize)]
struct Asked {
    url: Option<String>,
    maxwidth: Option<String>,
    maxheight: Option<String>,
    format: Option<String>,
}

/// `GET /oembed?url&maxwidth?&maxheight?&format=json`.
pub(crate) async fn oembed(State(app): State<App>, RawQuery(asked): RawQuery) -> Result<Json<Value>, Detail> {
    let asked: Asked = query(asked)?;
    if asked.format.is_some_and(|format| format != "json") {
        return Err(Detail::new(StatusCode::NOT_IMPLEMENTED, "only json format is supported"));
    }
    let width = number("maxwidth", asked.maxwidth.as_deref(), WIDTH, 1..=ASKED_MAX)?.min(WIDTH_MAX);
    let height = number("maxheight", asked.maxheight.as_deref(), LIST_HEIGHT, 1..=ASKED_MAX)?;
    let url = asked.url.ok_or_else(|| Detail::invalid("query", "url", "Field required"))?;
    let parts = parts(&app.options, &url).ok_or_else(invalid)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let mut db = app.pool.acquire().await?;
    let card = find(&app, &mut db, &parts).await?;
    let height = match card.kind {
        Kind::Track => height.min(TRACK_HEIGHT),
        _ => height.min(LIST_HEIGHT_MAX),
    };
    Ok(Json(described(&app.options, &card, width, height)))
}

fn invalid() -> Detail {
    Detail::not_found("invalid track URL")
}

/// The parts of the path of an address, if it is at a host of ours, or at that of a web app that the operator listed: those have
/// the same pages.
fn parts(options: &Options, text: &str) -> Option<Vec<String>> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let ours = [&options.public_url].into_iter().chain(&options.web_origins);
    let at = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
    // Links are written with either scheme.
    let same = |own: &Url| {
        at(own) == at(&url) || (own.host() == url.host() && own.port().is_none() && url.port().is_none())
    };
    ours.into_iter().any(same).then_some(())?;
    // A server under a path of its host.
    let base = options.public_url.path().trim_end_matches('/');
    let path = url.path().strip_prefix(base).unwrap_or(url.path());
    let decoded =
        |part: &str| Some(percent_encoding::percent_decode_str(part).decode_utf8().ok()?.into_owned());
    path.split('/').filter(|part| !part.is_empty()).map(decoded).collect()
}

async fn find(app: &App, db: &mut PgConnection, parts: &[&str]) -> Result<Card, Detail> {
    let artist = |name: &str| AtIdentifier::try_from(name.to_owned());
    let missing = |what: &str| Detail::not_found(format!("{what} not found"));
    // A player for other pages is of the same thing as the page.
    let parts = match *parts {
        ["embed", "album", name, slug] => &["u", name, "album", slug],
        ["embed", "u", _, "album", _] => return Err(invalid()),
        ["embed", ref rest @ ..] => rest,
        _ => parts,
    };
    match *parts {
        ["track", _] | ["track", _, _] => {
            let uri = card::target(app, db, parts).await?.ok_or_else(|| missing("track"))?;
            card::track(app, db, &uri).await?.ok_or_else(|| missing("track"))
        }
        ["playlist", _] | ["playlist", _, _] => {
            let uri = card::target(app, db, parts).await?.ok_or_else(|| missing("playlist"))?;
            card::playlist(app, db, &uri).await?.ok_or_else(|| missing("playlist"))
        }
        ["u", name] => {
            let name = artist(name).map_err(|_| missing("artist"))?;
            card::artist(app, db, name).await?.ok_or_else(|| missing("artist"))
        }
        ["u", name, "album", slug] => {
            let name = artist(name).map_err(|_| missing("album"))?;
            card::album(app, db, name, slug).await?.ok_or_else(|| missing("album"))
        }
        _ => Err(invalid()),
    }
}

fn described(options: &Options, card: &Card, width: i64, height: i64) -> Value {
    let title = match card.kind {
        Kind::Track => format!("{} - {}", card.title, card.by),
        Kind::Album | Kind::Playlist => format!("\"{}\" by {}", card.title, card.by),
        Kind::Artist | Kind::Tag => card.title.clone(),
    };
    let frame = card.embed.as_ref().map(|embed| options.address(embed)).unwrap_or_default();
    let html = format!(
        "<iframe src=\"{}\" width=\"{width}\" height=\"{height}\" title=\"{}\" frameborder=\"0\" loading=\"lazy\" \
         allow=\"autoplay\" style=\"border-radius: 8px;\"></iframe>",
        escape(&frame),
        escape(&title)
    );
    let picture = match &card.thumbnail {
        Some(small) => Some((small, THUMBNAIL_PX)),
        None => card.picture.as_ref().map(|cover| (cover, COVER_PX)),
    };
    let (thumbnail, side) = picture.unzip();
    json!({
        "version": "1.0",
        "type": "rich",
        "provider_name": "plyr",
        "provider_url": options.public_url.as_str().trim_end_matches('/'),
        "title": title,
        "author_name": card.owner.as_ref().map(|owner| owner.name()),
        "author_url": card.owner.as_ref().map(|owner| options.address(&card::page_of(owner))),
        "width": width,
        "height": height,
        "html": html,
        "thumbnail_url": thumbnail,
        "thumbnail_width": side,
        "thumbnail_height": side,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_ours_are_looked_at() {
        let mut options = Options::new("https://plyr.example".parse().expect("a URL"));
        options.web_origins = vec!["http://app.example:8080".parse().expect("a URL")];
        let parts = |url: &str| parts(&options, url).map(|parts| parts.join("|"));
        for (url, found) in [
            ("https://plyr.example/track/12", Some("track|12")),
            ("http://plyr.example/track/12/?x#y", Some("track|12")),
            ("https://plyr.example/u/a.example/album/%C3%A9t%C3%A9", Some("u|a.example|album|été")),
            ("http://app.example:8080/track/12", Some("track|12")),
            ("http://app.example/track/12", None),
            ("https://plyr.example:444/track/12", None),
            ("https://evil.example/track/12", None),
            ("https://plyr.example.evil.example/track/12", None),
            ("https://plyr.example@evil.example/track/12", None),
            ("https://evil.example/?https://plyr.example/track/12", None),
            ("ftp://plyr.example/track/12", None),
            ("https://plyr.example/track/%ff", None),
            ("track/12", None),
        ] {
            assert_eq!(parts(url).as_deref(), found, "{url}");
        }
    }
}
