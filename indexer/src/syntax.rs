//! The names of the network as types: [`Did`], [`Handle`], [`Nsid`], [`Rkey`], [`AtUri`], [`Tid`].
//!
//! Each is checked once, where text enters, by the syntax the AT Protocol specifications give; afterwards the type is the
//! proof. All compare and sort by their bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Text that is not what it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}: {text:?}")]
pub struct SyntaxError {
    what: &'static str,
    text: String,
}

impl SyntaxError {
    fn new(what: &'static str, text: &str) -> Self {
        // A hostile string may be megabytes long: an error is for reading.
        let text =
            if text.chars().count() > 128 { text.chars().take(128).collect() } else { text.to_owned() };
        SyntaxError { what, text }
    }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = SyntaxError;
            fn from_str(text: &str) -> Result<Self, SyntaxError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok($name(text.into())) } else { Err(SyntaxError::new($what, text)) }
            }
        }
        impl TryFrom<String> for $name {
            type Error = SyntaxError;
            fn try_from(text: String) -> Result<Self, SyntaxError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0.into()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

text_type!(
    /// A decentralised identifier, e.g. `did:plc:ewvi7nxzyoun6zhxrhs64oiz`; at most 2,048 bytes.
    Did, "DID", is_did
);
text_type!(
    /// A handle: a DNS name, kept in lower case by [`Handle::normalized`]; at most 253 bytes.
    Handle, "handle", is_handle
);
text_type!(
    /// A namespaced identifier, e.g. `fm.plyr.track`; at most 317 bytes.
    Nsid, "NSID", is_nsid
);
text_type!(
    /// A record key; 1 to 512 bytes.
    Rkey, "record key", is_rkey
);
text_type!(
    /// A timestamp identifier: 13 characters that sort as time does. Revs and most record keys are TIDs.
    Tid, "TID", is_tid
);

impl Handle {
    /// Parses a handle after lower-casing it, as handles compare without case.
    pub fn normalized(text: &str) -> Result<Self, SyntaxError> {
        text.to_ascii_lowercase().parse()
    }
}

/// The alphabet of TIDs: base 32 whose characters sort as their values do.
const TID_ALPHABET: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

impl Tid {
    /// Microseconds since 1970-01-01 UTC.
    pub fn timestamp_us(&self) -> i64 {
        let bits = self.0.bytes().fold(0u64, |bits, byte| {
            let digit = match byte {
                b'2'..=b'7' => byte - b'2',
                b'a'..=b'z' => byte - b'a' + 6,
                _ => 0,
            };
            (bits << 5) | u64::from(digit)
        });
        (bits >> 10) as i64 & ((1 << 53) - 1)
    }

    /// The TID of a moment and a clock identifier (0 to 1,023). Times before 1970 become 1970.
    pub fn from_timestamp_us(timestamp_us: i64, clock: u16) -> Self {
        let bits = ((timestamp_us.max(0) as u64 & ((1 << 53) - 1)) << 10) | u64::from(clock & 0x3ff);
        let text: String =
            (0..13).rev().map(|place| TID_ALPHABET[(bits >> (place * 5)) as usize & 31] as char).collect();
        Tid(text.into())
    }
}

/// `at://did/collection/rkey`: one record. The authority is always a DID here; a URI with a handle is not an identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AtUri {
    text: Box<str>,
    collection_at: u16,
    rkey_at: u16,
}

impl AtUri {
    /// Joins the three parts.
    pub fn new(did: &Did, collection: &Nsid, rkey: &Rkey) -> Self {
        let collection_at = 5 + did.0.len() + 1;
        let rkey_at = collection_at + collection.0.len() + 1;
        AtUri {
            text: format!("at://{did}/{collection}/{rkey}").into(),
            collection_at: collection_at as u16,
            rkey_at: rkey_at as u16,
        }
    }

    /// The whole URI.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whose repo it is in.
    pub fn did(&self) -> Did {
        Did(self.authority().into())
    }

    /// The same as text.
    pub fn authority(&self) -> &str {
        &self.text[5..self.collection_at as usize - 1]
    }

    /// The collection's NSID as text.
    pub fn collection(&self) -> &str {
        &self.text[self.collection_at as usize..self.rkey_at as usize - 1]
    }

    /// The record key as text.
    pub fn rkey(&self) -> &str {
        &self.text[self.rkey_at as usize..]
    }
}

impl FromStr for AtUri {
    type Err = SyntaxError;
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        let error = || SyntaxError::new("AT URI", text);
        let rest = text.strip_prefix("at://").ok_or_else(error)?;
        let mut parts = rest.splitn(3, '/');
        let mut next = || parts.next().ok_or_else(error);
        let (did, collection, rkey) = (next()?, next()?, next()?);
        match (did.parse(), collection.parse(), rkey.parse()) {
            (Ok(did), Ok(collection), Ok(rkey)) => Ok(AtUri::new(&did, &collection, &rkey)),
            _ => Err(error()),
        }
    }
}

impl TryFrom<String> for AtUri {
    type Error = SyntaxError;
    fn try_from(text: String) -> Result<Self, SyntaxError> {
        text.parse()
    }
}

impl From<AtUri> for String {
    fn from(uri: AtUri) -> String {
        uri.text.into()
    }
}

impl fmt::Display for AtUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn is_did(text: &str) -> bool {
    let Some((method, id)) = text.strip_prefix("did:").and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    text.len() <= 2048
        && !method.is_empty()
        && method.bytes().all(|b| b.is_ascii_lowercase())
        && !id.is_empty()
        && !id.ends_with([':', '%'])
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:%-".contains(&b))
}

fn is_handle(text: &str) -> bool {
    let labels: Vec<&str> = text.split('.').collect();
    text.len() <= 253
        && labels.len() >= 2
        && labels.iter().all(|label| is_dns_label(label))
        && labels.last().is_some_and(|tld| tld.as_bytes()[0].is_ascii_alphabetic())
}

fn is_dns_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_nsid(text: &str) -> bool {
    let segments: Vec<&str> = text.split('.').collect();
    let Some((name, authority)) = segments.split_last() else { return false };
    text.len() <= 317
        && authority.len() >= 2
        && authority.iter().all(|label| is_dns_label(label))
        && authority[0].as_bytes()[0].is_ascii_alphabetic()
        && (1..=63).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphabetic()
        && name.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_rkey(text: &str) -> bool {
    (1..=512).contains(&text.len())
        && text != "."
        && text != ".."
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:~-".contains(&b))
}

fn is_tid(text: &str) -> bool {
    text.len() == 13
        && text.bytes().all(|b| TID_ALPHABET.contains(&b))
        // 13 times 5 bits are 65: the top one must be zero.
        && text.as_bytes()[0] <= b'j'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tids_carry_time_and_sort_as_it() {
        let tid: Tid = "3jzfcijpj2z2a".parse().expect("the specification's own example");
        assert_eq!(Tid::from_timestamp_us(tid.timestamp_us(), 0).as_str()[..11], tid.as_str()[..11]);
        assert!(Tid::from_timestamp_us(1_000, 5) < Tid::from_timestamp_us(1_001, 0));
        assert_eq!(Tid::from_timestamp_us(1_700_000_000_000_001, 7).timestamp_us(), 1_700_000_000_000_001);
        for bad in ["", "3jzfcijpj2z21", "3jzfcijpj2z2aa", "zzzzzzzzzzzzz", "3JZFCIJPJ2Z2A"] {
            assert!(bad.parse::<Tid>().is_err(), "{bad}");
        }
    }

    #[test]
    fn uris_split_into_what_they_were_joined_from() {
        let uri: AtUri = "at://did:plc:abc/fm.plyr.track/3jzfcijpj2z2a".parse().expect("valid");
        assert_eq!(
            (uri.did().as_str(), uri.collection(), uri.rkey()),
            ("did:plc:abc", "fm.plyr.track", "3jzfcijpj2z2a")
        );
        for bad in [
            "at://alice.test/fm.plyr.track/x",
            "at://did:plc:a/fm.plyr.track",
            "at://did:plc:a/fm/x",
            "https://x/y/z",
        ] {
            assert!(bad.parse::<AtUri>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_keep_to_their_syntax() {
        for good in ["did:plc:x", "did:web:localhost%3A2583", "did:web:a.b:c"] {
            assert!(good.parse::<Did>().is_ok(), "{good}");
        }
        for bad in ["did:", "did:plc:", "DID:plc:x", "did:plc:a b", "did:plc:a%", "did:plc:\u{0}"] {
            assert!(bad.parse::<Did>().is_err(), "{bad}");
        }
        assert!("alice.test".parse::<Handle>().is_ok());
        for bad in ["alice", "a..b", "-a.b", "a.1", "ä.de"] {
            assert!(bad.parse::<Handle>().is_err(), "{bad}");
        }
        assert!("fm.plyr.track".parse::<Nsid>().is_ok() && "fm.plyr".parse::<Nsid>().is_err());
        for bad in [".", "..", "", "a/b", "ä"] {
            assert!(bad.parse::<Rkey>().is_err(), "{bad}");
        }
    }
}
