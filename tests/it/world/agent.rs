//! An HTTP client that a person holds, as a browser: it keeps cookies by host, and shows redirects instead of following.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Request, RequestBuilder, Url};
use serde_json::Value;

use super::pds;

/// What was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub line: String,
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: String = self.body.chars().take(600).collect();
        write!(f, "{} answered {} {body}", self.line, self.status)?;
        if let Some(location) = self.headers.get(LOCATION) {
            write!(f, " location: {location:?}")?;
        }
        Ok(())
    }
}

impl Answer {
    /// Its JSON; the test fails with the whole answer where there is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// Its JSON, when all is well.
    pub fn good(&self) -> Value {
        assert_eq!(self.status, 200, "{self}");
        self.json()
    }

    /// Where it redirects to.
    pub fn location(&self) -> Url {
        assert!((300..400).contains(&self.status), "no redirect: {self}");
        let location = self.headers.get(LOCATION).unwrap_or_else(|| panic!("no location: {self}"));
        self.url.join(location.to_str().expect("ASCII")).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// The whole `Set-Cookie` of this name.
    pub fn set_cookie(&self, name: &str) -> Option<String> {
        let lines = self.headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().expect("ASCII"));
        lines.filter(|line| line.starts_with(&format!("{name}="))).map(str::to_owned).next_back()
    }
}

/// One parameter of a URL's query.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The same URL with another value of a parameter, or without it.
pub fn with_parameter(url: &Url, name: &str, value: Option<&str>) -> Url {
    let pairs: Vec<_> = url.query_pairs().filter(|(key, _)| key != name).collect();
    let mut changed = url.clone();
    changed.query_pairs_mut().clear().extend_pairs(&pairs).extend_pairs(value.map(|value| (name, value)));
    changed
}

/// One browser.
pub struct Agent {
    pub http: reqwest::Client,
    // By host, whatever the port: that is how browsers keep them.
    jar: Mutex<BTreeMap<String, BTreeMap<String, String>>>,
}

impl Agent {
    pub fn new() -> Agent {
        pds::rustls_provider();
        Agent::with(reqwest::Client::builder())
    }

    /// With settings of its own: other roots, other addresses.
    pub fn with(http: reqwest::ClientBuilder) -> Agent {
        let http = http.no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Agent { http, jar: Mutex::default() }
    }

    /// The request with the host's cookies, for who sends it in another way.
    pub fn dressed(&self, request: RequestBuilder) -> Request {
        let mut request = request.build().expect("a request");
        if let Some(cookies) = self.cookies(request.url().host_str().expect("a host")) {
            request.headers_mut().insert(COOKIE, cookies.parse().expect("ASCII"));
        }
        request
    }

    /// Sends with the host's cookies, and keeps those it sets.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let request = self.dressed(request);
        let url = request.url().clone();
        let host = url.host_str().expect("a host").to_owned();
        let line = format!("{} {url}", request.method());
        let response = self.http.execute(request).await.unwrap_or_else(|error| panic!("{line}: {error:?}"));
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for line in headers.get_all(SET_COOKIE) {
            self.keep(&host, line.to_str().expect("ASCII"));
        }
        let body = response.text().await.unwrap_or_else(|error| panic!("{line}: {error:?}"));
        Answer { line, url, status, headers, body }
    }

    fn cookies(&self, host: &str) -> Option<String> {
        let jar = self.jar.lock().expect("no panic inside");
        let cookies = jar.get(host)?.iter().map(|(name, value)| format!("{name}={value}"));
        Some(cookies.collect::<Vec<_>>().join("; ")).filter(|cookies| !cookies.is_empty())
    }

    fn keep(&self, host: &str, line: &str) {
        let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
        let (name, value) = pair.split_once('=').expect("a cookie");
        let ended = attributes.split(';').any(|attribute| attribute.trim().eq_ignore_ascii_case("max-age=0"));
        let mut jar = self.jar.lock().expect("no panic inside");
        let cookies = jar.entry(host.to_owned()).or_default();
        match ended {
            true => cookies.remove(name),
            false => cookies.insert(name.to_owned(), value.to_owned()),
        };
    }

    /// A cookie as it stands.
    pub fn cookie(&self, host: &str, name: &str) -> Option<String> {
        self.jar.lock().expect("no panic inside").get(host)?.get(name).cloned()
    }

    /// Puts a cookie in, as somebody with hands on the browser could.
    pub fn set_cookie(&self, host: &str, name: &str, value: &str) {
        self.keep(host, &format!("{name}={value}"));
    }

    pub fn forget_cookies(&self) {
        self.jar.lock().expect("no panic inside").clear();
    }
}
