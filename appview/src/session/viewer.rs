//! From a request to who sends it.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use url::Url;

use super::row::Found;
use super::{SessionId, Viewer};
use crate::detail::Detail;
use crate::oauth::secret::Secret;
use crate::{App, Options};

/// The cookie that holds a session's token.
pub(crate) const COOKIE_NAME: &str = "session_id";

/// Why nobody is signed in.
#[derive(Debug)]
enum Nobody {
    /// There is no credential.
    Absent,
    /// It is of no session.
    Unknown,
    /// Its session ended with the grant behind it.
    Ended,
    /// A page that is not ours sent the cookie along.
    Foreign,
}

impl From<Nobody> for Detail {
    fn from(nobody: Nobody) -> Self {
        match nobody {
            Nobody::Absent => Detail::unauthorized("not authenticated - login required"),
            Nobody::Unknown => Detail::unauthorized("invalid or expired session"),
            Nobody::Ended => Detail::unauthorized("session_expired"),
            Nobody::Foreign => Detail::forbidden("this request does not come from a page of ours"),
        }
    }
}

impl FromRequestParts<App> for Viewer {
    type Rejection = Detail;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Detail> {
        look(parts, app).await?.map_err(Detail::from)
    }
}

impl OptionalFromRequestParts<App> for Viewer {
    type Rejection = Detail;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Detail> {
        Ok(look(parts, app).await?.ok())
    }
}

/// The cookie first, then the bearer token.
async fn look(parts: &Parts, app: &App) -> sqlx::Result<Result<Viewer, Nobody>> {
    let mut nobody = Nobody::Absent;
    let cookie = cookie(&parts.headers, COOKIE_NAME).map(|token| (token, true));
    let bearer = bearer(&parts.headers).map(|token| (token, false));
    for (token, is_cookie) in cookie.into_iter().chain(bearer) {
        // Never ours, by its form: worth no question.
        let Some(token) = Secret::read(token) else {
            nobody = Nobody::Unknown;
            continue;
        };
        let session = SessionId::of(&token);
        match app.sessions.find(&app.pool, &session).await? {
            Found::Live(_) if is_cookie && !may_act(&parts.method, &parts.headers, &app.options) => {
                return Ok(Err(Nobody::Foreign));
            }
            Found::Live(held) => return Ok(Ok(Viewer { did: held.did, session })),
            Found::Ended => nobody = Nobody::Ended,
            Found::Nothing => nobody = Nobody::Unknown,
        }
    }
    Ok(Err(nobody))
}

/// Whether a request that carries the cookie may change something: browsers add the cookie whoever asks.
fn may_act(method: &Method, headers: &HeaderMap, options: &Options) -> bool {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    match headers.get(ORIGIN) {
        Some(origin) => origin.to_str().is_ok_and(|origin| is_own_origin(origin, options)),
        None => headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin"),
    }
}

/// Whether an `Origin` is ours or of a web app that the operator listed.
pub(crate) fn is_own_origin(origin: &str, options: &Options) -> bool {
    let same = |url: &Url| url.origin().ascii_serialization() == origin;
    same(&options.public_url) || options.web_origins.iter().any(same)
}

/// The value of a cookie, unless it is empty.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, value)| *key == name && !value.is_empty()).map(|(_, value)| value.trim_matches('"'))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn credentials_are_found_among_others() {
        let found = headers(&[
            ("cookie", "a=b; session_id=x"),
            ("cookie", "signed_in=1"),
            ("authorization", "bearer  y "),
        ]);
        assert_eq!(cookie(&found, "session_id"), Some("x"));
        assert_eq!(cookie(&found, "signed_in"), Some("1"));
        assert_eq!(cookie(&found, "session"), None);
        assert_eq!(bearer(&found), Some("y"));
        assert_eq!(cookie(&headers(&[("cookie", "session_id=; xsession_id=z")]), "session_id"), None);
        assert_eq!(bearer(&headers(&[("authorization", "Basic y")])), None);
    }

    #[test]
    fn the_cookie_acts_only_for_pages_of_ours() {
        let mut options = Options::new("https://plyr.example".parse().expect("a URL"));
        options.web_origins = vec!["https://app.example:8443".parse().expect("a URL")];
        let may = |pairs: &[(&'static str, &str)]| may_act(&Method::POST, &headers(pairs), &options);
        assert!(may(&[("origin", "https://plyr.example")]));
        assert!(may(&[("origin", "https://app.example:8443")]));
        assert!(may(&[("sec-fetch-site", "same-origin")]));
        for foreign in
            ["https://app.example", "http://plyr.example", "https://plyr.example.evil.example", "null", ""]
        {
            assert!(!may(&[("origin", foreign), ("sec-fetch-site", "same-origin")]), "{foreign}");
        }
        for site in ["same-site", "cross-site", "none"] {
            assert!(!may(&[("sec-fetch-site", site)]), "{site}");
        }
        assert!(!may(&[]));
        assert!(may_act(&Method::GET, &headers(&[("origin", "https://evil.example")]), &options));
    }
}
