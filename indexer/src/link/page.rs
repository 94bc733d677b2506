//! Pages of ours: which record an address in a post stands for.

use url::Url;

/// The hosts whose pages show things of ours.
#[derive(Debug, Clone, Default)]
pub struct PageHosts {
    hosts: Vec<(String, Option<u16>)>,
}

/// What a page shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// `/track/{did}/{rkey}`
    Track {
        /// The artist.
        did: String,
        /// Its record key.
        rkey: String,
    },
    /// `/u/{did}`
    Artist {
        /// The artist.
        did: String,
    },
}

impl PageHosts {
    /// Those of these addresses; what follows the host is of no matter, nor is it whether http or https is spoken.
    pub fn new<'a>(urls: impl IntoIterator<Item = &'a Url>) -> Self {
        let mut hosts: Vec<_> = urls
            .into_iter()
            .filter_map(|url| Some((url.host_str()?.to_ascii_lowercase(), url.port())))
            .collect();
        hosts.sort();
        hosts.dedup();
        PageHosts { hosts }
    }

    /// These and those.
    pub fn and(mut self, other: PageHosts) -> Self {
        self.hosts.extend(other.hosts);
        self.hosts.sort();
        self.hosts.dedup();
        self
    }

    /// The names of the hosts, for looking for them in text.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|(host, _)| host.as_str())
    }

    /// What an address shows, if it is a page of ours.
    pub fn page(&self, text: &str) -> Option<Page> {
        // As it is written: who looks for mentions looks for this text.
        let mentions = |host: &str| {
            text.match_indices(host)
                .any(|(at, _)| at.checked_sub(1).is_some_and(|at| text.as_bytes()[at] == b'/'))
        };
        if !self.hosts.iter().any(|(host, _)| mentions(host)) {
            return None;
        }
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let host = url.host_str()?;
        if !self.hosts.iter().any(|(known, port)| known == host && *port == url.port()) {
            return None;
        }
        let decoded: Vec<String> = url
            .path_segments()?
            .filter(|part| !part.is_empty())
            .map(|part| Some(percent_encoding::percent_decode_str(part).decode_utf8().ok()?.into_owned()))
            .collect::<Option<_>>()?;
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        match parts[..] {
            ["track", did, rkey] => Some(Page::Track { did: did.to_owned(), rkey: rkey.to_owned() }),
            ["u", did] => Some(Page::Artist { did: did.to_owned() }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_stands_for_what_it_shows() {
        let urls: Vec<Url> =
            ["https://plyr.example", "http://127.0.0.1:8080"].map(|url| url.parse().expect("a URL")).into();
        let hosts = PageHosts::new(&urls);
        let track = |did: &str| Some(Page::Track { did: did.into(), rkey: "3jz".into() });
        for (text, page) in [
            ("https://plyr.example/track/did:plc:x/3jz", track("did:plc:x")),
            ("http://plyr.example/track/did%3Aplc%3Ax/3jz/?t=12#here", track("did:plc:x")),
            ("http://127.0.0.1:8080/track/did:web:a%253A1/3jz", track("did:web:a%3A1")),
            ("https://plyr.example/u/did:plc:x", Some(Page::Artist { did: "did:plc:x".into() })),
            ("https://plyr.example:444/track/did:plc:x/3jz", None),
            ("https://plyr.example/track/did:plc:x", None),
            ("https://elsewhere.example/track/did:plc:x/3jz", None),
            ("https://elsewhere.example/?https://plyr.example/track/did:plc:x/3jz", None),
            ("ftp://plyr.example/track/did:plc:x/3jz", None),
            ("plyr.example/track/did:plc:x/3jz", None),
            ("https://PLYR.example/track/did:plc:x/3jz", None),
            ("https://plyr.example/track/%ff/3jz", None),
        ] {
            assert_eq!(hosts.page(text), page, "{text}");
        }
    }
}
