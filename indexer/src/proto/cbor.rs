//! DAG-CBOR, checked before it is decoded.
//!
//! serde_ipld_dagcbor is strict where it decodes, but it skips fields it was not asked for without a look, and takes a
//! CID with bytes after it for that CID. [`item_len`] closes both gaps in one pass: a loop, not a recursion, so depth
//! cannot cost stack; and every length is compared with what is there, so none can cost memory.
//!
//! <https://ipld.io/specs/codecs/dag-cbor/spec/>

mod reader;

use serde::Deserialize;

pub(super) use reader::Reader;

/// Arrays, maps and tags inside each other, at most. Nodes and commits need four; the decoder itself refuses near 128.
pub const DEPTH_MAX: usize = 64;

/// Why bytes are not the DAG-CBOR they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    /// The bytes end inside an item.
    #[error("ends in the middle of an item")]
    Truncated,
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX}")]
    TooDeep,
    /// Bytes follow the one item there should be.
    #[error("bytes after the item")]
    Trailing,
    /// CBOR that DAG-CBOR excludes, or no CBOR at all.
    #[error("not canonical DAG-CBOR: {0}")]
    NotCanonical(&'static str),
    /// Canonical, but not the fields or types expected. The text is the decoder's, cut to a readable length.
    #[error("unexpected shape: {0}")]
    Shape(String),
}

/// Decodes exactly one item, checked by [`item_len`] first. Text and bytes can be borrowed from `bytes`.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, CborError> {
    if item_len(bytes)? != bytes.len() {
        return Err(CborError::Trailing);
    }
    // The message can quote a hostile string of any length.
    serde_ipld_dagcbor::from_slice(bytes)
        .map_err(|error| CborError::Shape(error.to_string().chars().take(200).collect()))
}

/// The length in bytes of the first item of `bytes`, which is canonical DAG-CBOR throughout.
///
/// Checked: shortest heads, definite lengths, text in UTF-8, map keys that are text, unique and in order (length, then
/// bytes), no tag but 42 and a whole CID with nothing after it in it, no floats but finite 64-bit ones.
pub fn item_len(bytes: &[u8]) -> Result<usize, CborError> {
    let mut reader = Reader::new(bytes);
    let mut levels = [Level::CLOSED; DEPTH_MAX];
    let mut depth = 0;
    loop {
        if let Some(level) = reader.item()? {
            *levels.get_mut(depth).ok_or(CborError::TooDeep)? = level;
            depth += 1;
        }
        loop {
            let Some(level) = depth.checked_sub(1).map(|top| &mut levels[top]) else {
                return Ok(reader.at());
            };
            if level.items_left == 0 {
                depth -= 1;
                continue;
            }
            level.items_left -= 1;
            if level.is_map {
                reader.map_key(&mut level.last_key)?;
            }
            break;
        }
    }
}

/// The length in bytes of the first item, canonical or not: any depth, nothing looked at but heads. None when it ends
/// early or is not CBOR of definite length.
pub(super) fn item_len_leniently(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes);
    let mut items_left = 1u64;
    while items_left > 0 {
        let (head, _) = reader.head().ok()?;
        items_left -= 1;
        match head.major {
            2 | 3 => drop(reader.take(head.argument).ok()?),
            4 => items_left = items_left.checked_add(head.argument)?,
            5 => items_left = items_left.checked_add(head.argument.checked_mul(2)?)?,
            6 => items_left += 1,
            _ => {}
        }
    }
    Some(reader.at())
}

/// An integer or text among the entries of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    /// A whole number from 0 to 2^63 - 1.
    Integer(i64),
    /// Text.
    Text(&'a str),
}

/// Calls `visit` with the integer and text entries of the map that `bytes` begins with, until something in the way
/// cannot even be skipped: for what can still be said of bytes that [`decode`] refused.
pub(super) fn scalars_leniently<'a>(bytes: &'a [u8], mut visit: impl FnMut(&'a str, Scalar<'a>)) {
    let mut reader = Reader::new(bytes);
    let Some(count) = reader.head_of(5) else { return };
    for _ in 0..count {
        let Some((key, value)) = reader.entry_leniently() else { return };
        if let Some(value) = value {
            visit(key, value);
        }
    }
}

/// An array or map that is being read.
#[derive(Clone, Copy)]
struct Level<'a> {
    items_left: u64,
    is_map: bool,
    last_key: Option<&'a [u8]>,
}

impl Level<'_> {
    const CLOSED: Self = Level { items_left: 0, is_map: false, last_key: None };
}

#[cfg(test)]
mod tests;
