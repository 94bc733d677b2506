//! Pages of ours: which record an address in a post stands for.

use url::Url;

use super::reference::Name;
use crate::album;
use crate::syntax::Handle;

/// The hosts whose pages show things of ours.
#[derive(Debug, Clone, Default)]
pub struct PageHosts {
    hosts: Vec<Host>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Host {
    name: String,
    port: Option<u16>,
    /// Its numbers are those that we gave.
    is_own: bool,
}

/// What a page shows, as its address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// `/track/{did or handle}/{rkey}`
    Track {
        /// The artist.
        artist: String,
        /// Its record key.
        rkey: String,
    },
    /// `/u/{did or handle}`
    Artist {
        /// Who.
        artist: String,
    },
    /// `/playlist/{did or handle}/{rkey}`
    Playlist {
        /// Whose.
        owner: String,
        /// Its record key.
        rkey: String,
    },
    /// `/track/{number}`, `/playlist/{id}`, `/u/{did or handle}/album/{slug}`: which record has to be looked up.
    Unsaid(Name),
}

impl PageHosts {
    /// That of this server's own address; what follows the host is of no matter, nor is it whether http or https is spoken.
    pub fn own(url: &Url) -> Self {
        PageHosts { hosts: host(url, true).into_iter().collect() }
    }

    /// And those of these addresses.
    pub fn and<'a>(mut self, urls: impl IntoIterator<Item = &'a Url>) -> Self {
        for host in urls.into_iter().filter_map(|url| host(url, false)) {
            if !self.hosts.iter().any(|known| (&known.name, known.port) == (&host.name, host.port)) {
                self.hosts.push(host);
            }
        }
        self
    }

    /// This server's own, with its port where it says one.
    pub fn own_host(&self) -> Option<String> {
        let host = self.hosts.iter().find(|host| host.is_own)?;
        Some(host.port.map_or_else(|| host.name.clone(), |port| format!("{}:{port}", host.name)))
    }

    /// The names of the hosts, for looking for them in text.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.hosts.iter().map(|host| host.name.as_str())
    }

    /// What an address shows, if it is a page of ours.
    pub fn page(&self, text: &str) -> Option<Shown> {
        // As it is written: who looks for mentions looks for this text.
        let mentions = |host: &Host| {
            text.match_indices(&host.name)
                .any(|(at, _)| at.checked_sub(1).is_some_and(|at| text.as_bytes()[at] == b'/'))
        };
        if !self.hosts.iter().any(mentions) {
            return None;
        }
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let name = url.host_str()?;
        let host = self.hosts.iter().find(|host| host.name == name && host.port == url.port())?;
        let decoded: Vec<String> = url
            .path_segments()?
            .filter(|part| !part.is_empty())
            .map(|part| Some(percent_encoding::percent_decode_str(part).decode_utf8().ok()?.into_owned()))
            .collect::<Option<_>>()?;
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        // U+0000 fits into no row.
        let unsaid = |text: String| (!text.contains('\0')).then(|| Shown::Unsaid(Name::from_text(text)));
        let at_host = |path: String| match (host.is_own, host.port) {
            (true, _) => unsaid(format!("/{path}")),
            (false, Some(port)) => unsaid(format!("{name}:{port}/{path}")),
            (false, None) => unsaid(format!("{name}/{path}")),
        };
        match parts[..] {
            ["track", artist, rkey] => {
                Some(Shown::Track { artist: artist.to_owned(), rkey: rkey.to_owned() })
            }
            ["u", artist] => Some(Shown::Artist { artist: artist.to_owned() }),
            ["track", number] => {
                let is_digits = number.bytes().all(|byte| byte.is_ascii_digit());
                let number: i64 = number.parse().ok().filter(|number| is_digits && *number > 0)?;
                at_host(format!("track/{number}"))
            }
            ["playlist", owner, rkey] => {
                Some(Shown::Playlist { owner: owner.to_owned(), rkey: rkey.to_owned() })
            }
            ["playlist", _] => at_host(parts.join("/")),
            // An album is called by its name, and that means the same wherever its page is.
            ["u", artist, "album", name] => {
                let slug = Some(album::in_address(name)).filter(|slug| !slug.is_empty())?;
                let artist = match artist.starts_with("did:") {
                    true => artist.to_owned(),
                    false => Handle::normalized(artist).ok()?.into(),
                };
                unsaid(format!("/u/{artist}/album/{slug}"))
            }
            _ => None,
        }
    }
}

fn host(url: &Url, is_own: bool) -> Option<Host> {
    Some(Host { name: url.host_str()?.to_ascii_lowercase(), port: url.port(), is_own })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_stands_for_what_it_shows() {
        let [own, port, other] = ["https://plyr.example", "http://127.0.0.1:8080", "https://other.example"]
            .map(|url| url.parse::<Url>().expect("a URL"));
        let hosts = PageHosts::own(&own).and([&port, &own, &other]);
        let track = |artist: &str| Some(Shown::Track { artist: artist.into(), rkey: "3jz".into() });
        let artist = |artist: &str| Some(Shown::Artist { artist: artist.into() });
        let unsaid = |name: &str| Some(Shown::Unsaid(Name::from_text(name)));
        for (text, page) in [
            ("https://plyr.example/track/did:plc:x/3jz", track("did:plc:x")),
            ("http://plyr.example/track/did%3Aplc%3Ax/3jz/?t=12#here", track("did:plc:x")),
            ("http://127.0.0.1:8080/track/did:web:a%253A1/3jz", track("did:web:a%3A1")),
            ("https://plyr.example/track/alice.example/3jz", track("alice.example")),
            ("https://plyr.example/u/did:plc:x", artist("did:plc:x")),
            ("https://other.example/u/alice.example/", artist("alice.example")),
            ("https://plyr.example/track/12", unsaid("/track/12")),
            ("https://plyr.example/track/did:plc:x/../012/", unsaid("/track/12")),
            ("https://plyr.example/track/didi.example/3jz", track("didi.example")),
            ("https://plyr.example/track/+12", None),
            ("https://other.example/track/12?x", unsaid("other.example/track/12")),
            ("http://127.0.0.1:8080/track/12", unsaid("127.0.0.1:8080/track/12")),
            (
                "https://other.example/u/Alice.example/album/First%20Light",
                unsaid("/u/alice.example/album/first-light"),
            ),
            ("https://plyr.example/u/did:plc:x/album/%C3%89t%C3%A9/", unsaid("/u/did:plc:x/album/été")),
            ("https://plyr.example/u/did:plc:x/album/!", None),
            ("https://plyr.example/u/nobody/album/x", None),
            ("https://plyr.example/playlist/5f1c", unsaid("/playlist/5f1c")),
            ("https://other.example/playlist/5f1c", unsaid("other.example/playlist/5f1c")),
            (
                "https://plyr.example/playlist/did:plc:x/3jz?n=2",
                Some(Shown::Playlist { owner: "did:plc:x".into(), rkey: "3jz".into() }),
            ),
            ("https://plyr.example/track/-1", None),
            ("https://plyr.example/playlist/%00", None),
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
