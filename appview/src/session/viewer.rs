//! From a request to who sends it.

use axum::extract::{FromRequestParts, MatchedPath, OptionalFromRequestParts};
use axum::http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use url::Url;

use super::row::Found;
use super::{Credential, SessionId, SignedIn, Viewer};
use crate::detail::Detail;
use crate::error::Error;
use crate::oauth::secret::Secret;
use crate::{App, Options, limit, service};

/// The cookie that holds a session's token.
pub(crate) const COOKIE_NAME: &str = "session_id";

/// Why it is not known who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nobody {
    /// There is no credential.
    Absent,
    /// It is of no session.
    Unknown,
    /// Its session ended with the grant behind it.
    Ended,
    /// A page that is not ours sent the cookie along.
    Foreign,
    /// It is of an account that is switched off, taken down or gone.
    Inactive,
}

impl Nobody {
    fn text(self) -> &'static str {
        match self {
            Nobody::Absent => "not authenticated - login required",
            Nobody::Unknown => "invalid or expired session",
            Nobody::Ended => "session_expired",
            Nobody::Foreign => "this request does not come from a page of ours",
            Nobody::Inactive => "the account is not active",
        }
    }
}

impl From<Nobody> for Error {
    fn from(nobody: Nobody) -> Self {
        match nobody {
            Nobody::Foreign => Error::forbidden(nobody.text()),
            _ => Error::auth_missing(nobody.text()),
        }
    }
}

/// Who sent a request, found out once and left with it for all who ask.
#[derive(Debug, Clone)]
pub(crate) struct Met(pub Result<Viewer, Nobody>);

impl Viewer {
    /// Whether they come with a token of their PDS.
    pub(crate) fn is_forwarded(&self) -> bool {
        matches!(self.by, Credential::Service(_))
    }

    /// Required before something is changed for them, or shown that nobody else may see: a token of their PDS is good for one
    /// such call, the one it names.
    pub(crate) async fn confide(&self, app: &App) -> Result<(), Error> {
        match &self.by {
            Credential::Session(_) => Ok(()),
            Credential::Service(pass) => service::claim(app.sessions.pool(), pass).await,
        }
    }
}

impl From<SignedIn> for Viewer {
    fn from(SignedIn { did, session }: SignedIn) -> Self {
        Viewer { did, by: Credential::Session(session) }
    }
}

impl FromRequestParts<App> for Viewer {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        found(parts, app).await.and_then(|met| Ok(met?)).map_err(|error| refusal(parts, error))
    }
}

impl OptionalFromRequestParts<App> for Viewer {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Option<Self>, Response> {
        found(parts, app).await.map(Result::ok).map_err(|error| refusal(parts, error))
    }
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Detail;
    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Detail> {
        let Viewer { did, by } = found(parts, app).await?.map_err(Error::from)?;
        match by {
            Credential::Session(session) => Ok(SignedIn { did, session }),
            Credential::Service(_) => Err(Error::from(Nobody::Absent).into()),
        }
    }
}

async fn found(parts: &Parts, app: &App) -> Result<Result<Viewer, Nobody>, Error> {
    match parts.extensions.get::<Met>() {
        Some(met) => Ok(met.0.clone()),
        None => meet(parts, app).await,
    }
}

/// In the form of errors that the path has.
fn refusal(parts: &Parts, error: Error) -> Response {
    match nsid(parts) {
        Some(_) => error.into_response(),
        None => Detail::from(error).into_response(),
    }
}

/// Which XRPC method is called, if it is one that we have.
fn nsid(parts: &Parts) -> Option<&str> {
    let route = parts.extensions.get::<MatchedPath>()?.as_str().strip_prefix("/xrpc/")?;
    (!route.starts_with(['_', '{'])).then_some(route)
}

/// Finds out who sent a request.
///
/// A token of ours has no dots in it, so that what has some is a service token: it is taken for XRPC methods only, and
/// whoever shows a bad one there is told so, even where nobody need be known. Of ours the cookie counts first, then the bearer
/// token, and one that is not known is as good as none.
pub(crate) async fn meet(parts: &Parts, app: &App) -> Result<Result<Viewer, Nobody>, Error> {
    let bearer = bearer(&parts.headers);
    if let (Some(text), Some(nsid)) = (bearer.filter(|text| text.contains('.')), nsid(parts)) {
        let from = limit::stranger(parts, &app.options);
        let token = app.service.accept(&app.sessions.indexer().identity, text, nsid, from).await?;
        let (did, by) = (token.issuer.clone(), Credential::Service(token.into()));
        return Ok(Ok(Viewer { did, by }));
    }
    let mut nobody = Nobody::Absent;
    let cookie = cookie(&parts.headers, COOKIE_NAME).map(|token| (token, true));
    let bearer = bearer.map(|token| (token, false));
    for (token, is_cookie) in cookie.into_iter().chain(bearer) {
        // Never ours, by its form: worth no question.
        let Some(token) = Secret::read(token) else {
            nobody = Nobody::Unknown;
            continue;
        };
        let session = SessionId::of(&token);
        match app.sessions.find(&mut *app.pool.acquire().await?, &session).await? {
            Found::Live(_) if is_cookie && !may_act(&parts.method, &parts.headers, &app.options) => {
                return Ok(Err(Nobody::Foreign));
            }
            Found::Live(held) => return Ok(Ok(SignedIn { did: held.did, session }.into())),
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
