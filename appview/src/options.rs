//! What an operator decides about serving.

use url::Url;

/// How to serve. [`Options::new`] gives what most want.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where people reach this server. Absolute URLs in views begin with it.
    pub public_url: Url,
    /// The permanent host of sound and images, when it is another: URLs in views begin with it, and requests
    /// for bytes that come in under any other name are redirected there. It answers the same paths, `audio/…`
    /// and `media/…`.
    pub media_url: Option<Url>,
    /// Prefix of the records' NSIDs, e.g. `fm.plyr`.
    pub namespace: String,
    /// The newest migration in this binary: an older database is not ready to be read.
    pub schema_version: i64,
    /// Connections to the database for readers.
    pub pool_connections_max: u32,
    /// Pages that may listen to `/live` at once.
    pub live_streams_max: usize,
    /// TCP connections at once; more wait to be accepted.
    pub connections_max: usize,
}

impl Options {
    /// Serves at `public_url`, bytes included.
    pub fn new(public_url: Url) -> Self {
        Options {
            public_url,
            media_url: None,
            namespace: "fm.plyr".to_owned(),
            schema_version: 0,
            pool_connections_max: 16,
            live_streams_max: 1000,
            connections_max: 2000,
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

fn join(base: &Url, path: &str) -> String {
    format!("{}/{path}", base.as_str().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
