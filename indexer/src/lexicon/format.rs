//! The string formats of the Lexicon language.

use super::datetime::parse_datetime;
use super::schema::Format;
use crate::dag::parse_cid;
use crate::syntax::{Did, Handle, Nsid, Rkey, Tid};

/// The longest URI of either kind, in bytes.
const MAX_URI_BYTES: usize = 8_192;

impl Format {
    /// Whether text has this format.
    pub(super) fn matches(self, text: &str) -> bool {
        match self {
            Format::AtIdentifier => is_authority(text),
            Format::AtUri => is_at_uri(text),
            Format::Cid => parse_cid(text).is_some(),
            Format::Datetime => parse_datetime(text).is_some(),
            Format::Did => text.parse::<Did>().is_ok(),
            Format::Handle => text.parse::<Handle>().is_ok(),
            Format::Language => is_language(text),
            Format::Nsid => text.parse::<Nsid>().is_ok(),
            Format::RecordKey => text.parse::<Rkey>().is_ok(),
            Format::Tid => text.parse::<Tid>().is_ok(),
            Format::Uri => is_uri(text),
        }
    }

    /// What to call it in a problem, with its article.
    pub(super) fn name(self) -> &'static str {
        match self {
            Format::AtIdentifier => "a DID or a handle",
            Format::AtUri => "an AT URI",
            Format::Cid => "a CID",
            Format::Datetime => "a datetime with a time zone",
            Format::Did => "a DID",
            Format::Handle => "a handle",
            Format::Language => "a language tag",
            Format::Nsid => "an NSID",
            Format::RecordKey => "a record key",
            Format::Tid => "a TID",
            Format::Uri => "a URI",
        }
    }
}

fn is_authority(text: &str) -> bool {
    text.parse::<Did>().is_ok() || text.parse::<Handle>().is_ok()
}

/// `at://authority[/collection[/rkey]]`, without query or fragment. Wider than [`crate::syntax::AtUri`], which names one
/// record of one DID.
fn is_at_uri(text: &str) -> bool {
    let Some(path) = text.strip_prefix("at://").filter(|_| text.len() <= MAX_URI_BYTES) else { return false };
    let mut parts = path.split('/');
    parts.next().is_some_and(is_authority)
        && parts.next().is_none_or(|collection| collection.parse::<Nsid>().is_ok())
        && parts.next().is_none_or(|rkey| rkey.parse::<Rkey>().is_ok())
        && parts.next().is_none()
}

/// A scheme, a colon, and something without white space or control characters: any URI or IRI, nothing about its parts.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':').filter(|_| text.len() <= MAX_URI_BYTES) else {
        return false;
    };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
        && !rest.is_empty()
        && !rest.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// A language tag by its shape (RFC 5646): subtags of 1 to 8 letters or digits, the first a language, `i` or `x`.
fn is_language(text: &str) -> bool {
    let mut subtags = text.split('-');
    let first = subtags.next().unwrap_or_default();
    let is_first = match first.len() {
        1 => matches!(first, "i" | "I" | "x" | "X") && text.len() > 2,
        length => (2..=8).contains(&length),
    };
    text.len() <= 128
        && is_first
        && first.bytes().all(|b| b.is_ascii_alphabetic())
        && subtags.all(|tag| (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric()))
}
