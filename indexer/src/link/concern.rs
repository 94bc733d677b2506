//! Whether an event of the network's stream names something of ours, told from its bytes alone.
//!
//! Nine of ten events are likes, posts and reposts that concern nobody here. They are told apart without reading the record:
//! by the texts that any mention must hold, and, where a post is named, by a look into the set of posts that share something.
//! What passes here is judged exactly by the door; nothing that it would keep may fail here.

use std::sync::{PoisonError, RwLock};

use foldhash::HashSet;
use foldhash::fast::FixedState;
use memchr::memmem::{self, Finder};
use std::hash::BuildHasher;

use super::POST;
use crate::record::Registry;
use crate::syntax::{AtUri, Tid};

/// So much older than its like a post may be and still not have been seen here: it comes from another host, whose stream may
/// be behind.
pub const EARLY_US: i64 = 10 * 60 * 1_000_000;
/// Mentions in one event that are looked at; one with more is judged by the door.
const MENTIONS_MAX: usize = 64;

/// What an event may be to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// Nothing.
    None,
    /// It may name something of ours.
    Ours,
    /// It names posts so young that they may turn out to share something of ours.
    Early(Vec<AtUri>),
}

/// A set of texts, of which only hashes are kept: 8 bytes for each. One text in billions is taken for another; then the
/// door is asked in vain.
#[derive(Debug, Default)]
struct Hashed {
    known: RwLock<HashSet<u64>>,
}

impl Hashed {
    fn hash(text: &str) -> u64 {
        FixedState::with_seed(0).hash_one(text)
    }

    fn contains(&self, text: &str) -> bool {
        let hash = Self::hash(text);
        self.known.read().unwrap_or_else(PoisonError::into_inner).contains(&hash)
    }

    fn extend(&self, texts: impl Iterator<Item = impl AsRef<str>>) {
        let hashes: Vec<u64> = texts.map(|text| Self::hash(text.as_ref())).collect();
        self.known.write().unwrap_or_else(PoisonError::into_inner).extend(hashes);
    }
}

/// What mentions are looked up in.
#[derive(Debug)]
pub struct Concerns {
    /// Of posts that share something.
    posts: Hashed,
    /// Everybody of whom something may be held.
    people: Hashed,
    /// In every at-uri of a record of ours: `/fm.plyr.`.
    namespace: Finder<'static>,
    pages: Vec<Finder<'static>>,
    scheme: Finder<'static>,
    escape: Finder<'static>,
}

impl Concerns {
    /// Nothing is known yet but what ours looks like.
    pub fn new(registry: &Registry) -> Self {
        let finder = |text: &str| Finder::new(text).into_owned();
        Concerns {
            posts: Hashed::default(),
            people: Hashed::default(),
            namespace: finder(&format!("/{}.", registry.namespace())),
            pages: registry.page_hosts().names().map(|host| finder(&format!("/{host}"))).collect(),
            scheme: finder("at://"),
            escape: finder("\\u00"),
        }
    }

    /// These posts share something.
    pub fn add_posts(&self, uris: impl Iterator<Item = impl AsRef<str>>) {
        self.posts.extend(uris);
    }

    /// Whether this post is one of them.
    pub fn knows_post(&self, uri: &str) -> bool {
        self.posts.contains(uri)
    }

    /// Of these people something may be held from now on.
    pub fn add_people(&self, dids: impl Iterator<Item = impl AsRef<str>>) {
        self.people.extend(dids);
    }

    /// Whether something of this person may be held.
    pub fn knows(&self, did: &str) -> bool {
        self.people.contains(did)
    }

    /// Whether a record, JSON or DAG-CBOR, may name something of ours, other than by way of a post.
    pub fn mentions_ours(&self, bytes: &[u8]) -> bool {
        self.namespace.find(bytes).is_some() || self.pages.iter().any(|page| page.find(bytes).is_some())
    }

    /// Looks at an event as it came: JSON of a Jetstream, or the frame of a commit, whose records are DAG-CBOR. `now_us` is
    /// when it happened, in microseconds since 1970.
    pub fn look(&self, bytes: &[u8], is_json: bool, now_us: impl Fn() -> i64) -> Concern {
        // Letters and slashes may be written otherwise in JSON; who does that is judged by the door.
        if is_json
            && (memmem::find(bytes, b"\\/").is_some()
                || self.escape.find_iter(bytes).any(|at| is_plain_escape(&bytes[at..])))
        {
            return Concern::Ours;
        }
        if self.mentions_ours(bytes) {
            return Concern::Ours;
        }
        let mut early = Vec::new();
        for (count, at) in self.scheme.find_iter(bytes).enumerate() {
            if count == MENTIONS_MAX {
                return Concern::Ours;
            }
            let text = if is_json { json_text(bytes, at) } else { cbor_text(bytes, at) };
            let Some(text) = text else { return Concern::Ours };
            // By its form first: that is cheap, and most are posts that are known to nobody here.
            let Some((_, key)) = text.split_once("/app.bsky.feed.post/") else { continue };
            if self.posts.contains(text) {
                return Concern::Ours;
            }
            if is_early(key, now_us())
                && let Ok(uri) = text.parse::<AtUri>()
                && uri.collection() == POST
            {
                early.push(uri);
            }
        }
        if early.is_empty() { Concern::None } else { Concern::Early(early) }
    }
}

/// Whether a post, JSON or DAG-CBOR, may quote a record: most that name a post only answer it.
pub fn quotes(bytes: &[u8]) -> bool {
    memmem::find(bytes, b"app.bsky.embed.record").is_some()
}

/// Whether a post with this key may not have been seen by then.
pub fn is_early(rkey: &str, now_us: i64) -> bool {
    rkey.parse::<Tid>().is_ok_and(|tid| tid.timestamp_us() > now_us - EARLY_US)
}

/// Whether `\u00XX` hides a letter, digit or mark that our names have.
fn is_plain_escape(bytes: &[u8]) -> bool {
    let digits = bytes.get(4..6).and_then(|digits| std::str::from_utf8(digits).ok());
    let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
    byte.is_none_or(|byte| byte.is_ascii_alphanumeric() || b"/.:-_~%".contains(&byte))
}

/// The string in JSON that begins at this place, as far as it is written without escapes.
fn json_text(bytes: &[u8], at: usize) -> Option<&str> {
    let end = memchr::memchr2(b'"', b'\\', &bytes[at..])?;
    // One that is escaped further on was looked for already.
    std::str::from_utf8(&bytes[at..at + end]).ok()
}

/// The text in CBOR that begins at this place: its length stands before it.
/// <https://www.rfc-editor.org/rfc/rfc8949#section-3>
fn cbor_text(bytes: &[u8], at: usize) -> Option<&str> {
    let before = |back: usize| at.checked_sub(back).and_then(|at| bytes.get(at)).copied();
    let length = match (before(1)?, before(2), before(3)) {
        (low, Some(high), Some(0x79)) if usize::from(high) << 8 | usize::from(low) >= 0x100 => {
            usize::from(high) << 8 | usize::from(low)
        }
        (length, Some(0x78), _) if length >= 24 => usize::from(length),
        (head @ 0x60..=0x77, ..) => usize::from(head - 0x60),
        // In the middle of a longer text: as far as it goes.
        _ => return Some(plain_text(&bytes[at..])),
    };
    std::str::from_utf8(bytes.get(at..at + length)?).ok()
}

/// What at the beginning of these bytes may be of a URI.
fn plain_text(bytes: &[u8]) -> &str {
    let is_of_uri = |byte: &u8| byte.is_ascii_alphanumeric() || b"/.:-_~%".contains(byte);
    let length = bytes.iter().position(|byte| !is_of_uri(byte)).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..length]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn concerns() -> Concerns {
        let registry = Registry::new("fm.plyr", "https://plyr.example".parse().expect("a URL"));
        Concerns::new(&registry)
    }

    const POST_URI: &str = "at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.post/3jzfcijpj2z2a";

    fn json(uri: &str) -> Vec<u8> {
        format!(r#"{{"record":{{"subject":{{"cid":"bafy","uri":"{uri}"}}}}}}"#).into_bytes()
    }

    fn cbor(uri: &str) -> Vec<u8> {
        let value = Ipld::Map(
            [("uri".to_owned(), Ipld::String(uri.to_owned())), ("createdAt".into(), Ipld::Null)].into(),
        );
        let mut bytes = b"frame ".to_vec();
        bytes.extend(crate::dag::encode(&value).expect("encodes").1);
        bytes
    }
    use ipld_core::ipld::Ipld;

    #[test]
    fn what_names_ours_is_seen_in_either_form() {
        let concerns = concerns();
        let post_us = "3jzfcijpj2z2a".parse::<Tid>().expect("a TID").timestamp_us();
        let late = post_us + EARLY_US;
        for (bytes, is_json) in [(json(POST_URI), true), (cbor(POST_URI), false)] {
            assert_eq!(concerns.look(&bytes, is_json, || late), Concern::None);
            let early = Concern::Early(vec![POST_URI.parse().expect("a URI")]);
            assert_eq!(concerns.look(&bytes, is_json, || late - 1), early);
        }
        for ours in [
            "at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/fm.plyr.track/3jzfcijpj2z2a",
            "https://plyr.example/track/x/y",
        ] {
            assert_eq!(concerns.look(&json(ours), true, || late), Concern::Ours, "{ours}");
            assert_eq!(concerns.look(&cbor(ours), false, || late), Concern::Ours, "{ours}");
        }
        concerns.add_posts([POST_URI].into_iter());
        assert_eq!(concerns.look(&json(POST_URI), true, || late), Concern::Ours);
        assert_eq!(concerns.look(&cbor(POST_URI), false, || late), Concern::Ours);
    }

    #[test]
    fn a_name_written_with_escapes_is_left_to_the_door() {
        let concerns = concerns();
        let escaped = POST_URI.replace("post", "p\\u006fst");
        assert_eq!(concerns.look(&json(&escaped), true, || i64::MAX), Concern::Ours);
        assert_eq!(concerns.look(&json(&POST_URI.replace('/', "\\/")), true, || i64::MAX), Concern::Ours);
        let text = json("at://x\\u003cy");
        assert_eq!(concerns.look(&text, true, || i64::MAX), Concern::None);
    }

    #[test]
    fn nothing_that_comes_can_break_it() {
        let concerns = concerns();
        for bytes in
            [&b"at://"[..], b"\x78at://", b"\x79\xff\xffat://", b"\x7fat://", b"at://\xff\xfe", b"\\u00"]
        {
            concerns.look(bytes, true, || 0);
            concerns.look(bytes, false, || 0);
        }
    }
}
