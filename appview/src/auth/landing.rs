//! Where a sign-in ends: the page it began on, if that is ours or of a web app that the operator listed.

use axum::http::header::{ACCEPT, HOST, REFERER};
use axum::http::{HeaderMap, Uri};
use url::Url;

use crate::Options;
use crate::detail::Detail;
use crate::session::{SignInError, is_own_origin};

/// Longer is no page of ours.
pub(crate) const RETURN_TO_MAX_BYTES: usize = 2048;

/// Longer is no handle, and hardly a DID.
const ACCOUNT_MAX_CHARS: usize = 512;

/// The end of a sign-in.
#[derive(Debug)]
pub(super) struct Landing {
    /// Absolute; its origin is allowed.
    pub return_to: Url,
}

impl Landing {
    /// By the parameter, else by the page that sent the browser here.
    pub fn choose(options: &Options, return_to: Option<&str>, headers: &HeaderMap) -> Result<Self, Detail> {
        let refused = || Detail::bad_request("return_to: not a page of this server or of a listed web app");
        let return_to = match return_to.filter(|text| !text.is_empty()) {
            Some(text) if text.len() > RETURN_TO_MAX_BYTES => return Err(refused()),
            Some(text) => allowed(options, text).ok_or_else(refused)?,
            None => {
                let referer = headers.get(REFERER).and_then(|value| value.to_str().ok());
                let from = referer.and_then(|text| allowed(options, text));
                let from = from.filter(|from| from.origin() != options.public_url.origin());
                portal(from.as_ref()).unwrap_or_else(|| options.public_url.clone())
            }
        };
        Ok(Landing { return_to })
    }

    /// Where web apps expect a developer token: on the page that asked for it.
    pub fn of_developer(options: &Options, origin: Option<&str>) -> Self {
        let from = origin.and_then(|origin| allowed(options, origin));
        let return_to = portal(Some(from.as_ref().unwrap_or(&options.public_url)));
        Landing { return_to: return_to.unwrap_or_else(|| options.public_url.clone()) }
    }
}

fn portal(of: Option<&Url>) -> Option<Url> {
    of?.join("/portal").ok()
}

/// Text as an absolute URL on an allowed origin. The parser reads it as browsers do, slashes and all.
fn allowed(options: &Options, text: &str) -> Option<Url> {
    let url = options.public_url.join(text).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_plain && is_own_origin(&url.origin().ascii_serialization(), options)).then_some(url)
}

/// The same request at 127.0.0.1, where it came in by `localhost`: servers send browsers back to the address alone, and a
/// cookie of the name would not be there.
pub(super) fn by_address(options: &Options, headers: &HeaderMap, uri: &Uri) -> Option<Url> {
    let ours = &options.public_url;
    let host = headers.get(HOST)?.to_str().ok()?;
    let (name, port) = host.split_once(':').unwrap_or((host, "80"));
    let is_ours = name.eq_ignore_ascii_case("localhost")
        && ours.host_str() == Some("127.0.0.1")
        && ours.port_or_known_default().is_some_and(|own| port == own.to_string());
    let there = ours.join(uri.path_and_query()?.as_str()).ok()?;
    (is_ours && there.origin() == ours.origin()).then_some(there)
}

/// Whether another's page sends the browser here. The person has asked for nothing then: signing them in, perhaps at a
/// server that asks for no consent, would make them act as an account of that page's choice. Programs and older browsers
/// do not say where they come from.
pub(super) fn is_foreign(options: &Options, headers: &HeaderMap) -> bool {
    let is_told = headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    let from = || headers.get(REFERER)?.to_str().ok()?.parse::<Url>().ok();
    is_told && !from().is_some_and(|from| is_own_page(options, &from))
}

/// Of ours, of a listed web app, or of ours by the name `localhost`, which [`by_address`] sends on.
fn is_own_page(options: &Options, page: &Url) -> bool {
    let ours = &options.public_url;
    let is_by_name = ours.host_str() == Some("127.0.0.1")
        && page.host_str() == Some("localhost")
        && (page.scheme(), page.port_or_known_default()) == (ours.scheme(), ours.port_or_known_default());
    is_by_name || is_own_origin(&page.origin().ascii_serialization(), options)
}

/// The page that asks the person whether they want to sign in as this account.
pub(super) fn question(options: &Options, account: &str) -> Url {
    let account: String = account.chars().take(ACCOUNT_MAX_CHARS).collect();
    let mut url = options.public_url.clone();
    url.set_path("/");
    url.query_pairs_mut().clear().append_pair("sign_in", &account);
    url
}

/// Whether a person looks at the answer.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// The page that says what happened, at the origin where the sign-in would have ended.
pub(super) fn failed(return_to: &Url, error: &SignInError) -> Url {
    let mut url = return_to.clone();
    url.set_path("/");
    url.set_fragment(None);
    url.query_pairs_mut().clear().append_pair("auth_error", error.code());
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> Options {
        let mut options = Options::new("http://127.0.0.1:3000".parse().expect("a URL"));
        options.web_origins = vec!["https://app.example".parse().expect("a URL")];
        options
    }

    fn choose(return_to: Option<&str>, referer: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(REFERER, referer.parse().expect("a value"));
        Landing::choose(&options(), return_to, &headers).ok().map(|landing| landing.return_to.into())
    }

    #[test]
    fn people_return_to_allowed_pages_only() {
        for (return_to, expected) in [
            ("/track/x/y?z=1#t", "http://127.0.0.1:3000/track/x/y?z=1#t"),
            ("http://127.0.0.1:3000/upload", "http://127.0.0.1:3000/upload"),
            ("https://app.example/library", "https://app.example/library"),
            ("//127.0.0.1:3000/x", "http://127.0.0.1:3000/x"),
        ] {
            assert_eq!(choose(Some(return_to), "").as_deref(), Some(expected), "{return_to}");
        }
        for evil in [
            "//evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "https://app.example.evil.example",
            "https://u:p@app.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "http://127.0.0.1:3001/",
            "\t//evil.example",
        ] {
            assert_eq!(choose(Some(evil), ""), None, "{evil}");
        }
    }

    #[test]
    fn without_a_wish_the_page_one_comes_from_decides() {
        assert_eq!(choose(None, "https://app.example/x").as_deref(), Some("https://app.example/portal"));
        for other in ["https://evil.example/", "http://127.0.0.1:3000/upload", "", "nonsense"] {
            assert_eq!(choose(Some(""), other).as_deref(), Some("http://127.0.0.1:3000/"), "{other}");
        }
    }

    #[test]
    fn only_our_pages_start_a_sign_in() {
        let is_foreign = |site: &'static str, referer: &'static str| {
            let pairs = [("sec-fetch-site", site), ("referer", referer)];
            let pairs = pairs.into_iter().filter(|(_, value)| *value != "absent");
            let pairs =
                pairs.map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")));
            super::is_foreign(&options(), &HeaderMap::from_iter(pairs))
        };
        for site in ["same-origin", "none", "absent"] {
            assert!(!is_foreign(site, "absent") && !is_foreign(site, "https://evil.example/"), "{site}");
        }
        for site in ["cross-site", "same-site", "", "new-word"] {
            for own in ["https://app.example/", "http://127.0.0.1:3000/x", "http://localhost:3000/"] {
                assert!(!is_foreign(site, own), "{site} {own}");
            }
            for other in [
                "absent",
                "",
                "/",
                "https://evil.example/?https://app.example/",
                "https://app.example.evil.example/",
                "https://app.example@evil.example/",
                "http://localhost:3001/",
                "https://localhost:3000/",
                "http://127.0.0.1:3001/",
            ] {
                assert!(is_foreign(site, other), "{site} {other}");
            }
        }
        assert_eq!(
            question(&options(), "evil.example&auth_error=x#y").as_str(),
            "http://127.0.0.1:3000/?sign_in=evil.example%26auth_error%3Dx%23y"
        );
    }

    #[test]
    fn by_localhost_one_goes_to_the_address() {
        let there = |host: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().expect("a value"));
            by_address(&options(), &headers, &Uri::from_static("/auth/start?handle=a")).map(String::from)
        };
        assert_eq!(there("localhost:3000").as_deref(), Some("http://127.0.0.1:3000/auth/start?handle=a"));
        for other in ["127.0.0.1:3000", "localhost:3001", "localhost", "evil.example:3000"] {
            assert_eq!(there(other), None, "{other}");
        }
    }

    #[test]
    fn failures_land_at_the_origin_with_a_code() {
        let at: Url = "https://app.example/library?x=y#z".parse().expect("a URL");
        assert_eq!(
            failed(&at, &SignInError::AccessDenied).as_str(),
            "https://app.example/?auth_error=access_denied"
        );
    }
}
