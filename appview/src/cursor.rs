//! Where a page ended: the sort key and URI of its last row, so that rows which share a key are neither
//! skipped nor repeated, and rows that arrive meanwhile move nothing.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, Utc};
use indexer::syntax::AtUri;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Longer texts are not ours: a URI has at most 2,048 + 317 + 512 bytes and three separators.
const MAX_TEXT_BYTES: usize = 2 * (1 + 8 + 3000);

/// A position in one kind of list, opaque to callers: hex of the list's tag, the key (8 bytes, big-endian)
/// and the URI.
///
/// The tag keeps a cursor of one list out of another, where its key would mean something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cursor<const TAG: u8> {
    key: i64,
    uri: AtUri,
}

/// Text that no page of this list ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct CursorError;

impl<const TAG: u8> Cursor<TAG> {
    /// The position of a row in a list by number.
    pub fn at(key: i64, uri: AtUri) -> Self {
        Cursor { key, uri }
    }

    /// The position of a row in a list by time.
    pub fn at_time(time: DateTime<Utc>, uri: AtUri) -> Self {
        Cursor { key: time.timestamp_micros(), uri }
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

    /// The URI of the row.
    pub fn uri(&self) -> &AtUri {
        &self.uri
    }
}

impl<const TAG: u8> fmt::Display for Cursor<TAG> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![TAG];
        bytes.extend_from_slice(&self.key.to_be_bytes());
        let uri = self.uri.as_str();
        bytes.extend_from_slice(uri.strip_prefix("at://").unwrap_or(uri).as_bytes());
        f.write_str(&hex::encode(bytes))
    }
}

impl<const TAG: u8> FromStr for Cursor<TAG> {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(CursorError);
        }
        let bytes = hex::decode(text).map_err(|_| CursorError)?;
        let (&tag, rest) = bytes.split_first().ok_or(CursorError)?;
        let (key, path) = rest.split_first_chunk::<8>().ok_or(CursorError)?;
        let path = std::str::from_utf8(path).map_err(|_| CursorError)?;
        let uri = format!("at://{path}").parse().map_err(|_| CursorError)?;
        if tag == TAG { Ok(Cursor { key: i64::from_be_bytes(*key), uri }) } else { Err(CursorError) }
    }
}

impl<const TAG: u8> TryFrom<String> for Cursor<TAG> {
    type Error = CursorError;
    fn try_from(text: String) -> Result<Self, CursorError> {
        text.parse()
    }
}

impl<const TAG: u8> From<Cursor<TAG>> for String {
    fn from(cursor: Cursor<TAG>) -> String {
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
