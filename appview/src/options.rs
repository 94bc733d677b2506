//! What an operator decides about serving.

use axum::http::HeaderName;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::limit::Rates;

/// How to serve. [`Options::new`] gives what most want.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where people reach this server. Absolute URLs in views begin with it.
    pub public_url: Url,
    /// The permanent host of sound and images, when it is another: URLs in views begin with it, and requests
    /// for bytes that come in under any other name are redirected there. It answers the same paths, `audio/…`
    /// and `media/…`.
    pub media_url: Option<Url>,
    /// Origins of web apps, besides our own, that may call with credentials.
    pub web_origins: Vec<Url>,
    /// Prefix of the records' NSIDs, e.g. `fm.plyr`.
    pub namespace: String,
    /// The newest migration in this binary: an older database is not ready to be read.
    pub schema_version: i64,
    /// The largest audio that may be uploaded, in MiB.
    pub upload_max_mb: u64,
    /// What one person may upload within 24 hours, in MiB.
    pub upload_day_mb: u64,
    /// What uploads leave free on the disk of the store, in MiB.
    pub free_min_mb: u64,
    /// Connections to the database for readers.
    pub pool_connections_max: u32,
    /// Pages that may listen to `/live` at once.
    pub live_streams_max: usize,
    /// TCP connections at once; more wait to be accepted.
    pub connections_max: usize,
    /// How often somebody may do something.
    pub rates: Rates,
    /// The header in which a proxy in front of us says who calls; only where there is one, or anybody could say anything.
    pub client_address_header: Option<HeaderName>,
}

impl Options {
    /// Serves at `public_url`, bytes included.
    pub fn new(public_url: Url) -> Self {
        Options {
            public_url,
            media_url: None,
            web_origins: Vec::new(),
            namespace: "fm.plyr".to_owned(),
            schema_version: 0,
            upload_max_mb: 1536,
            upload_day_mb: 10_240,
            free_min_mb: 2048,
            pool_connections_max: 16,
            live_streams_max: 6000,
            connections_max: 8000,
            rates: Rates::default(),
            client_address_header: None,
        }
    }

    /// A path of ours as an absolute URL.
    pub(crate) fn address(&self, path: &str) -> String {
        join(&self.public_url, path)
    }

    /// A path of the host of sound and images as an absolute URL.
    pub(crate) fn media_address(&self, path: &str) -> String {
        join(self.media_url.as_ref().unwrap_or(&self.public_url), path)
    }

    /// Where a sound can be fetched.
    pub(crate) fn audio_url(&self, file_id: &str) -> String {
        self.media_address(&format!("audio/{file_id}"))
    }

    /// The file id in an address that [`Options::audio_url`] gives, or gave when another host served the bytes.
    pub(crate) fn file_id_in(&self, url: &Url) -> Option<String> {
        if !self.is_ours(url) || url.query().is_some() {
            return None;
        }
        let (rest, file_id) = url.path().rsplit_once('/')?;
        (rest.ends_with("/audio") && crate::audio::is_file_id(file_id)).then(|| file_id.to_owned())
    }

    /// Where an image can be fetched.
    pub(crate) fn image_url(&self, cid: &str) -> String {
        self.media_address(&format!("media/{cid}"))
    }

    /// Whether a URL is on a host of ours.
    pub(crate) fn is_ours(&self, url: &Url) -> bool {
        let ours = [Some(&self.public_url), self.media_url.as_ref()];
        ours.into_iter().flatten().any(|own| own.origin() == url.origin())
    }
}

/// What stands in a part of a path as it is; all else would mean something there, or in markup.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');

/// A path of these parts, each whatever text it may be.
pub(crate) fn path(parts: &[&str]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| encode(part)).collect();
    parts.join("/")
}

/// Text as it stands in a part of a path or in a query.
pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

fn join(base: &Url, path: &str) -> String {
    format!("{}/{path}", base.as_str().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_path_stay_apart() {
        assert_eq!(path(&["track", "did:web:a%3A1", "3jz"]), "track/did:web:a%253A1/3jz");
        assert_eq!(path(&["tag", "ac/dc & <été>"]), "tag/ac%2Fdc%20%26%20%3C%C3%A9t%C3%A9%3E");
    }

    #[test]
    fn addresses_begin_with_the_host_that_answers_them() {
        let mut options = Options::new("http://127.0.0.1:3000".parse().expect("a URL"));
        assert_eq!(options.audio_url("ab"), "http://127.0.0.1:3000/audio/ab");
        options.media_url = Some("https://media.example/plyr/".parse().expect("a URL"));
        assert_eq!(options.audio_url("ab"), "https://media.example/plyr/audio/ab");
        assert_eq!(options.image_url("bafy"), "https://media.example/plyr/media/bafy");
        assert_eq!(options.address("track/x"), "http://127.0.0.1:3000/track/x");
        assert!(options.is_ours(&"http://127.0.0.1:3000/x".parse().expect("a URL")));
        assert!(!options.is_ours(&"http://127.0.0.1:3001/x".parse().expect("a URL")));
        let file_id = |url: &str| options.file_id_in(&url.parse().expect("a URL"));
        assert_eq!(file_id(&options.audio_url("0123456789abcdef")).as_deref(), Some("0123456789abcdef"));
        assert_eq!(
            file_id("http://127.0.0.1:3000/audio/0123456789abcdef").as_deref(),
            Some("0123456789abcdef")
        );
        for foreign in [
            "https://elsewhere.example/audio/0123456789abcdef",
            "http://127.0.0.1:3000/audio/x",
            "http://127.0.0.1:3000/",
        ] {
            assert_eq!(file_id(foreign), None, "{foreign}");
        }
    }
}
