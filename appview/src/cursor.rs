//! Where a page ended: the sort key and the name of its last row, so that rows which share a key are neither
//! skipped nor repeated, and rows that arrive meanwhile move nothing.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Utc};
use indexer::syntax::AtUri;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Longer texts are not ours: a URI has at most 2,048 + 317 + 512 bytes and three separators.
const MAX_TEXT_BYTES: usize = 2 * (1 + 8 + 3000);

/// What a row is called in a cursor, beside its key.
pub trait Name: Sized {
    /// As text that [`Name::from_text`] reads.
    fn text(&self) -> &str;
    /// None where it is no such name.
    fn from_text(text: &str) -> Option<Self>;
}

impl Name for AtUri {
    fn text(&self) -> &str {
        self.as_str().strip_prefix("at://").unwrap_or(self.as_str())
    }
    fn from_text(text: &str) -> Option<Self> {
        format!("at://{text}").parse().ok()
    }
}

impl Name for String {
    fn text(&self) -> &str {
        self
    }
    fn from_text(text: &str) -> Option<Self> {
        // The database knows no such text.
        (!text.contains('\0')).then(|| text.to_owned())
    }
}

/// A position in one kind of list, opaque to callers: hex of the list's tag, the key (8 bytes, big-endian)
/// and the name of the row, normally its URI.
///
/// The tag keeps a cursor of one list out of another, where its key would mean something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String", bound(serialize = "N: Name + Clone", deserialize = "N: Name"))]
pub struct Cursor<const TAG: u8, N = AtUri> {
    key: i64,
    name: N,
}

/// Text that no page of this list ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct CursorError;

impl<const TAG: u8, N> Cursor<TAG, N> {
    /// The position of a row in a list by number.
    pub fn at(key: i64, name: N) -> Self {
        Cursor { key, name }
    }

    /// The position of a row in a list by time.
    pub fn at_time(time: DateTime<Utc>, name: N) -> Self {
        Cursor { key: time.timestamp_micros(), name }
    }

    /// The key, in a list by number.
    pub fn key(&self) -> i64 {
        self.key
    }

    /// The key, in a list by time. 400 when no row could stand there: only a forged cursor says so.
    pub fn time(&self) -> Result<DateTime<Utc>, Error> {
        DateTime::from_timestamp_micros(self.key)
            .filter(|time| (0..=9999).contains(&time.year()))
            .ok_or_else(|| Error::invalid_request(format!("cursor: {CursorError}")))
    }

    /// What the row is called.
    pub fn name(&self) -> &N {
        &self.name
    }
}

impl<const TAG: u8> Cursor<TAG> {
    /// The URI of the row.
    pub fn uri(&self) -> &AtUri {
        &self.name
    }
}

impl<const TAG: u8, N: Name> fmt::Display for Cursor<TAG, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![TAG];
        bytes.extend_from_slice(&self.key.to_be_bytes());
        bytes.extend_from_slice(self.name.text().as_bytes());
        f.write_str(&hex::encode(bytes))
    }
}

impl<const TAG: u8, N: Name> FromStr for Cursor<TAG, N> {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(CursorError);
        }
        let bytes = hex::decode(text).map_err(|_| CursorError)?;
        let (&tag, rest) = bytes.split_first().ok_or(CursorError)?;
        let (key, name) = rest.split_first_chunk::<8>().ok_or(CursorError)?;
        let name = std::str::from_utf8(name).ok().and_then(N::from_text).ok_or(CursorError)?;
        if tag == TAG { Ok(Cursor { key: i64::from_be_bytes(*key), name }) } else { Err(CursorError) }
    }
}

impl<const TAG: u8, N: Name> TryFrom<String> for Cursor<TAG, N> {
    type Error = CursorError;
    fn try_from(text: String) -> Result<Self, CursorError> {
        text.parse()
    }
}

impl<const TAG: u8, N: Name> From<Cursor<TAG, N>> for String {
    fn from(cursor: Cursor<TAG, N>) -> String {
        cursor.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const URI: &str = "at://did:plc:abc/fm.plyr.track/3jzfcijpj2z2a";

    proptest! {
        #[test]
        fn a_cursor_comes_back_as_it_went(key: i64, rkey in "[a-zA-Z0-9_:~-]{1,40}") {
            let uri: AtUri = format!("at://did:web:a.example/fm.plyr.track/{rkey}").parse().expect("valid");
            let cursor = Cursor::<b't'>::at(key, uri);
            prop_assert_eq!(cursor.to_string().parse::<Cursor<b't'>>(), Ok(cursor));
        }

        #[test]
        fn so_does_one_with_another_name(key: i64, name in "[^\0]{0,60}") {
            let cursor = Cursor::<b'g', String>::at(key, name);
            prop_assert_eq!(cursor.to_string().parse::<Cursor<b'g', String>>(), Ok(cursor));
        }

        #[test]
        fn any_text_is_a_cursor_or_refused(text in ".*") {
            let _ = text.parse::<Cursor<b't'>>();
        }

        #[test]
        fn any_bytes_are_a_cursor_or_refused(bytes: Vec<u8>) {
            if let Ok(cursor) = hex::encode(&bytes).parse::<Cursor<b't'>>() {
                let _ = cursor.time();
                prop_assert_eq!(cursor.to_string(), hex::encode(&bytes));
            }
        }
    }

    #[test]
    fn a_cursor_belongs_to_one_list_and_to_time_that_can_be() {
        let uri: AtUri = URI.parse().expect("valid");
        let text = Cursor::<b't'>::at(5, uri.clone()).to_string();
        assert!(text.parse::<Cursor<b'l'>>().is_err());
        assert!(text[..20].parse::<Cursor<b't'>>().is_err());
        assert!(text.to_uppercase().parse::<Cursor<b't'>>().is_ok());
        assert!("0".repeat(10_000).parse::<Cursor<b't'>>().is_err());
        assert!(Cursor::<b't'>::at(i64::MAX, uri.clone()).time().is_err());
        assert!(Cursor::<b't'>::at(i64::MIN, uri.clone()).time().is_err());
        let time = DateTime::from_timestamp_micros(1_700_000_000_000_001).expect("valid");
        assert_eq!(Cursor::<b't'>::at_time(time, uri).time().ok(), Some(time));
    }
}
