//! What a record gives only an address for: sound and pictures on hosts that are not ours.

use url::Url;

use crate::Options;

/// Bytes of an address: no longer one is handed on.
const URL_MAX_BYTES: usize = 2048;

/// An address that pages may be sent to: on a foreign host, encrypted, without a name and a password in it.
pub(crate) fn url(options: &Options, text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= URL_MAX_BYTES)?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    (is_plain && url.has_host() && url.scheme() == "https" && !options.is_ours(&url)).then_some(url)
}

/// What the database gives as a picture, by its function of that name: the CID of our copy, or an address.
pub(crate) fn picture(options: &Options, text: &str) -> Option<String> {
    match text.contains(':') {
        false => Some(options.image_url(text)),
        true => url(options, text).map(|_| text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_sent_to_foreign_hosts_that_encrypt() {
        let options = Options::new("https://plyr.example".parse().expect("a URL"));
        assert!(url(&options, "https://sound.example/a.mp3?b#c").is_some());
        for refused in [
            "http://sound.example/a.mp3",
            "https://me@sound.example/a.mp3",
            "https://me:secret@sound.example/a.mp3",
            "https://plyr.example/audio/0123456789abcdef",
            "ftp://sound.example/a.mp3",
            "data:audio/wav;base64,AA==",
            "javascript:alert(1)",
            "https://",
            "a.mp3",
            "",
        ] {
            assert_eq!(url(&options, refused), None, "{refused}");
        }
        assert!(url(&options, &format!("https://sound.example/{}", "a".repeat(2026))).is_some());
        assert_eq!(url(&options, &format!("https://sound.example/{}", "a".repeat(2027))), None);
        assert_eq!(picture(&options, "bafkrei").as_deref(), Some("https://plyr.example/media/bafkrei"));
        assert_eq!(picture(&options, "https://x.example/a.png").as_deref(), Some("https://x.example/a.png"));
        assert_eq!(picture(&options, "http://x.example/a.png"), None);
    }
}
