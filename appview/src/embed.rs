//! Players for other pages, in a frame: `/embed/track/{id}`, `/embed/album/{artist}/{slug}`, `/embed/playlist/{owner}/{rkey}`,
//! `/embed/u/{artist}`. Each is one document without anything of the app: it may stand on a page a dozen times.

use std::sync::LazyLock;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use crate::actor::AtIdentifier;
use crate::card::head::escape;
use crate::card::{self, Card, Kind, Song};
use crate::error::Error;
use crate::{App, Options};

const STYLE: &str = include_str!("embed/page.css");
const SCRIPT: &str = include_str!("embed/list.js");

/// A note, where there is no picture.
const NOTE: &str = "<svg viewBox=\"0 0 24 24\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"1.6\" aria-hidden=\"true\">\
                    <path d=\"M9 18V5l11-2v13\"/><circle cx=\"6\" cy=\"18\" r=\"3\"/><circle cx=\"17\" cy=\"16\" r=\"3\"/></svg>";

/// The only style and the only script that may stand in a player, by their hashes.
static SOURCES: LazyLock<String> = LazyLock::new(|| {
    let hash = |text: &str| format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())));
    format!("style-src {}; script-src {}", hash(STYLE), hash(SCRIPT))
});

/// Which track of several, from 1.
#[derive(Debug, Deserialize)]
pub(crate) struct Chosen {
    n: Option<usize>,
}

type Choice = Result<Query<Chosen>, QueryRejection>;

/// `/embed/track/{id}`: the number that `/track/{id}` knows as well.
pub(crate) async fn track(State(app): State<App>, id: Result<Path<String>, PathRejection>) -> Response {
    let Ok(Path(id)) = id else { return missing(&app) };
    let found = async {
        let mut db = app.pool.acquire().await?;
        match card::target(&app, &mut db, &["track", &id]).await? {
            Some(uri) => card::track(&app, &mut db, &uri).await,
            None => Ok(None),
        }
    };
    answer(&app, found.await, 1)
}

/// `/embed/album/{did or handle}/{slug}`.
pub(crate) async fn album(
    State(app): State<App>,
    names: Result<Path<(String, String)>, PathRejection>,
    choice: Choice,
) -> Response {
    let names = names.ok().and_then(|Path((name, slug))| Some((AtIdentifier::try_from(name).ok()?, slug)));
    let Some((name, slug)) = names else { return missing(&app) };
    let found = async { card::album(&app, &mut *app.pool.acquire().await?, name, &slug).await };
    answer(&app, found.await, chosen(choice))
}

/// `/embed/playlist/{did or handle}/{rkey}`.
pub(crate) async fn playlist(
    State(app): State<App>,
    names: Result<Path<(String, String)>, PathRejection>,
    choice: Choice,
) -> Response {
    let Ok(Path((owner, rkey))) = names else { return missing(&app) };
    listed(&app, &["playlist", &owner, &rkey], choice).await
}

/// `/embed/playlist/{id}`.
pub(crate) async fn numbered_playlist(
    State(app): State<App>,
    id: Result<Path<String>, PathRejection>,
    choice: Choice,
) -> Response {
    let Ok(Path(id)) = id else { return missing(&app) };
    listed(&app, &["playlist", &id], choice).await
}

async fn listed(app: &App, parts: &[&str], choice: Choice) -> Response {
    let found = async {
        let mut db = app.pool.acquire().await?;
        match card::target(app, &mut db, parts).await? {
            Some(uri) => card::playlist(app, &mut db, &uri).await,
            None => Ok(None),
        }
    };
    answer(app, found.await, chosen(choice))
}

/// `/embed/u/{did or handle}`: what they published last.
pub(crate) async fn artist(
    State(app): State<App>,
    name: Result<Path<String>, PathRejection>,
    choice: Choice,
) -> Response {
    let name = name.ok().and_then(|Path(name)| AtIdentifier::try_from(name).ok());
    let Some(name) = name else { return missing(&app) };
    let found = async { card::artist(&app, &mut *app.pool.acquire().await?, name).await };
    answer(&app, found.await, chosen(choice))
}

fn chosen(choice: Choice) -> usize {
    choice.ok().and_then(|Query(choice)| choice.n).unwrap_or(1)
}

fn answer(app: &App, found: Result<Option<Card>, Error>, n: usize) -> Response {
    match found {
        Ok(Some(card)) => html(app, StatusCode::OK, &page(&app.options, &card, n)),
        Ok(None) => missing(app),
        Err(error) => {
            let status = error.status();
            drop(error.into_response());
            notice(app, status, "not now", "plyr cannot answer right now.")
        }
    }
}

/// A few words of ours in place of a player.
pub(crate) fn notice(app: &App, status: StatusCode, title: &str, text: &str) -> Response {
    html(app, status, &document(title, "", &format!("<main><p>{}</p></main>", escape(text))))
}

fn missing(app: &App) -> Response {
    let home = escape(&app.options.address(""));
    let body = format!(
        "<main><p>nothing here: it does not exist, or no longer does. <a href=\"{home}\" target=\"_blank\" \
         rel=\"noopener\">to the music</a></p></main>"
    );
    html(app, StatusCode::NOT_FOUND, &document("nothing here", "", &body))
}

fn html(app: &App, status: StatusCode, text: &str) -> Response {
    let policy = match HeaderValue::try_from(policy(&app.options)) {
        Ok(policy) => policy,
        Err(error) => return Error::internal(error).into_response(),
    };
    // A minute, as a page with many of them is opened by many at once.
    let cache = if status == StatusCode::OK { "public, max-age=60" } else { "no-store" };
    let headers = [(CACHE_CONTROL, HeaderValue::from_static(cache)), (CONTENT_SECURITY_POLICY, policy)];
    (status, headers, [(CONTENT_TYPE, "text/html; charset=utf-8")], text.to_owned()).into_response()
}

/// Any page may frame it; it may do nothing but show our pictures and play sound.
fn policy(options: &Options) -> String {
    let origin = |url: &Url| url.origin().ascii_serialization();
    let ours = [Some(&options.public_url), options.media_url.as_ref()];
    let ours: Vec<String> = ours.into_iter().flatten().map(origin).collect();
    let ours = ours.join(" ");
    format!(
        "default-src 'none'; img-src 'self' {ours}; media-src 'self' https: {ours}; {}; base-uri 'none'; \
         form-action 'none'; frame-ancestors *",
        *SOURCES
    )
}

fn document(title: &str, class: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n\
         <meta name=\"color-scheme\" content=\"dark light\" />\n<meta name=\"robots\" content=\"noindex\" />\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body class=\"{class}\">\n{body}\n</body>\n</html>\n",
        escape(title)
    )
}

fn page(options: &Options, card: &Card, n: usize) -> String {
    let title = match card.by.as_str() {
        "" => card.title.clone(),
        by => format!("{} · {by}", card.title),
    };
    let audible: Vec<&Song> = card.songs.iter().filter(|song| song.view.audio.is_some()).collect();
    let current = audible.get(n.saturating_sub(1)).or(audible.first()).copied();
    let is_one = card.kind == Kind::Track;
    let mut body = main(options, card, current);
    if !is_one {
        body.push_str(&rows(card, current));
        body.push_str(&format!("<script>{SCRIPT}</script>"));
    }
    document(&title, if is_one { "one" } else { "" }, &body)
}

/// The picture, the names, and what plays.
fn main(options: &Options, card: &Card, current: Option<&Song>) -> String {
    let link = |path: &str, text: &str| {
        let (to, text) = (escape(&options.address(path)), escape(text));
        format!("<a href=\"{to}\" target=\"_blank\" rel=\"noopener\">{text}</a>")
    };
    // Who only looks at a page shall not be known to a host that is not ours: the policy says so, too.
    let is_ours = |url: &&String| Url::parse(url).is_ok_and(|url| options.is_ours(&url));
    let art = card.picture.as_ref().filter(is_ours).map_or_else(
        || NOTE.to_owned(),
        |url| format!("<img src=\"{}\" alt=\"\" width=\"84\" height=\"84\" />", escape(url)),
    );
    // Where it leads is said by the title beside it.
    let art = format!(
        "<a class=\"art\" href=\"{}\" target=\"_blank\" rel=\"noopener\" tabindex=\"-1\" aria-hidden=\"true\">{art}</a>",
        escape(&options.address(&card.path))
    );
    let by = match (&card.owner, card.kind) {
        (Some(owner), Kind::Artist) => escape(&format!("@{}", card::called(owner))),
        (Some(owner), _) => {
            let length =
                current.filter(|_| card.kind == Kind::Track).and_then(|song| song.duration_s).map(length);
            let length = length.map(|length| format!(" · {length}")).unwrap_or_default();
            format!("{}{length}", link(&card::page_of(owner), owner.name()))
        }
        (None, _) => String::new(),
    };
    let now = match (card.kind, current) {
        (Kind::Track, _) | (_, None) => String::new(),
        (_, Some(song)) => format!("<p class=\"now\" aria-live=\"polite\">{}</p>", escape(&song.title)),
    };
    let sound = match current.and_then(|song| Some((song, song.view.audio.as_ref()?))) {
        Some((song, url)) => format!(
            "<audio controls controlslist=\"nodownload noplaybackrate\" preload=\"none\" src=\"{}\" aria-label=\"{}\"></audio>",
            escape(url),
            escape(&song.title)
        ),
        None => "<p class=\"still\">its sound cannot be had here.</p>".to_owned(),
    };
    format!(
        "<main>{art}<div class=\"words\"><div class=\"top\"><h1>{}</h1><a class=\"mark\" href=\"{}\" target=\"_blank\" \
         rel=\"noopener\">plyr</a></div><p class=\"by\">{by}</p>{now}</div>{sound}</main>",
        link(&card.path, &card.title),
        escape(&options.address(""))
    )
}

/// The tracks, those that can be heard as links to this document with that one chosen.
fn rows(card: &Card, current: Option<&Song>) -> String {
    let (mut rows, mut n) = (String::from("<ol>"), 0);
    for (song, position) in card.songs.iter().zip(1..) {
        let length = song.duration_s.map(length).unwrap_or_default();
        let words = format!(
            "<span class=\"n\">{position}</span><span class=\"title\">{}</span><span class=\"length\">{length}</span>",
            escape(&song.title)
        );
        let Some(audio) = &song.view.audio else {
            rows.push_str(&format!("<li><span class=\"row\">{words}</span></li>"));
            continue;
        };
        n += 1;
        let is_current = current.is_some_and(|current| std::ptr::eq(current, song));
        let mark = if is_current { " aria-current=\"true\"" } else { "" };
        rows.push_str(&format!(
            "<li><a href=\"?n={n}\" data-audio=\"{}\"{mark}>{words}</a></li>",
            escape(audio)
        ));
    }
    rows.push_str("</ol>");
    rows
}

/// `3:07`, `1:02:03`.
fn length(seconds: u32) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_player_may_be_framed_and_do_nothing_else() {
        let mut options = Options::new("https://plyr.example/".parse().expect("a URL"));
        options.media_url = Some("https://media.example/x".parse().expect("a URL"));
        let policy = policy(&options);
        assert!(
            policy.starts_with("default-src 'none';") && policy.ends_with("frame-ancestors *"),
            "{policy}"
        );
        assert!(policy.contains("img-src 'self' https://plyr.example https://media.example;"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("style-src 'sha256-") && policy.contains("script-src 'sha256-"), "{policy}");
    }

    #[test]
    fn nothing_in_the_style_or_the_script_ends_its_element() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains("</") && !text.contains("<!--"), "{text}");
        }
        assert_eq!([7, 187, 3723].map(length), ["0:07", "3:07", "1:02:03"]);
    }
}
