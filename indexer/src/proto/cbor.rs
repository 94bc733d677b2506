//! DAG-CBOR, checked before it is decoded.
//!
//! serde_ipld_dagcbor is strict where it decodes, but it skips fields it was not asked for without a look, and takes a
//! CID with bytes after it for that CID. [`item_len`] closes both gaps in one pass: a loop, not a recursion, so depth
//! cannot cost stack; and every length is compared with what is there, so none can cost memory.
//!
//! <https://ipld.io/specs/codecs/dag-cbor/spec/>

use cid::Cid;
use serde::Deserialize;

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
    let mut reader = Reader { bytes, at: 0 };
    let mut levels = [Level::CLOSED; DEPTH_MAX];
    let mut depth = 0;
    loop {
        if let Some(level) = reader.item()? {
            *levels.get_mut(depth).ok_or(CborError::TooDeep)? = level;
            depth += 1;
        }
        loop {
            let Some(level) = depth.checked_sub(1).map(|top| &mut levels[top]) else {
                return Ok(reader.at);
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
    let mut reader = Reader { bytes, at: 0 };
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
    Some(reader.at)
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
    let mut reader = Reader { bytes, at: 0 };
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

/// The first byte of an item, and the number that it or the bytes after it give.
struct Head {
    major: u8,
    argument: u64,
}

/// Bytes on their way to being items. What it reads is canonical, or an error.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// Passes over bytes that must be exactly these: `what` otherwise.
    pub(super) fn literal(&mut self, literal: &[u8], what: &str) -> Result<(), CborError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        Err(if literal.starts_with(rest) { CborError::Truncated } else { CborError::Shape(what.to_owned()) })
    }

    /// Whether the next item is null, which is passed over.
    pub(super) fn null(&mut self) -> bool {
        let is_null = self.bytes.get(self.at) == Some(&0xf6);
        self.at += usize::from(is_null);
        is_null
    }

    /// The number in the head of an item that must be of this major type.
    pub(super) fn canonical(&mut self, major: u8, what: &str) -> Result<u64, CborError> {
        match self.shortest_head()? {
            head if head.major == major => Ok(head.argument),
            _ => Err(CborError::Shape(what.to_owned())),
        }
    }

    /// A number of 64 bits with a sign.
    pub(super) fn integer(&mut self, what: &str) -> Result<i64, CborError> {
        let Head { major, argument } = self.shortest_head()?;
        let number = i64::try_from(argument).ok().filter(|_| major < 2);
        let number = number.ok_or_else(|| CborError::Shape(what.to_owned()))?;
        Ok(if major == 0 { number } else { !number })
    }

    /// Text.
    pub(super) fn text(&mut self, what: &str) -> Result<&'a str, CborError> {
        let len = self.canonical(3, what)?;
        let text = self.take(len)?;
        std::str::from_utf8(text).map_err(|_| CborError::NotCanonical("text that is not UTF-8"))
    }

    /// The next key of a map, after the last one.
    pub(super) fn key(&mut self, last: &mut Option<&'a str>) -> Result<&'a str, CborError> {
        let key = self.text("a map key that is not text")?;
        if last.is_some_and(|last| (last.len(), last) >= (key.len(), key)) {
            return Err(CborError::NotCanonical("map keys out of order"));
        }
        *last = Some(key);
        Ok(key)
    }

    /// Passes over any item.
    pub(super) fn skip(&mut self) -> Result<(), CborError> {
        self.at += item_len(self.bytes.get(self.at..).unwrap_or_default())?;
        Ok(())
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// A byte string.
    pub(super) fn byte_string(&mut self) -> Result<&'a [u8], CborError> {
        let len = self.canonical(2, "not a byte string")?;
        self.take(len)
    }

    /// A link, as the binary CID it holds.
    pub(super) fn cid(&mut self) -> Result<&'a [u8], CborError> {
        const HEAD: &[u8] = &[0xd8, 0x2a, 0x58, 0x25, 0x00, 0x01, 0x71, 0x12, 0x20];
        // Nearly every link there is, and needs no further look.
        if self.bytes.get(self.at..).unwrap_or_default().starts_with(HEAD) {
            self.at += 5;
            return self.take(36);
        }
        match self.canonical(6, "not a link")? {
            42 => self.link(),
            _ => Err(CborError::NotCanonical("a tag other than 42")),
        }
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), CborError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(CborError::Trailing) }
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], CborError> {
        let len = usize::try_from(len).map_err(|_| CborError::Truncated)?;
        let end = self.at.checked_add(len).ok_or(CborError::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(CborError::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    /// A head, and whether it was the shortest possible.
    fn head(&mut self) -> Result<(Head, bool), CborError> {
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 0x1f);
        let (len, least) = match info {
            0..=23 => return Ok((Head { major, argument: u64::from(info) }, true)),
            24 => (1, 24),
            25 => (2, 1 << 8),
            26 => (4, 1 << 16),
            27 => (8, 1 << 32),
            _ => return Err(CborError::NotCanonical("a length that is reserved or indefinite")),
        };
        let argument = self.take(len)?.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
        // In the major type of simple values the bytes are a float, not a number.
        Ok((Head { major, argument }, major == 7 || argument >= least))
    }

    /// The number in a head of one major type, however written.
    fn head_of(&mut self, major: u8) -> Option<u64> {
        self.head().ok().filter(|(head, _)| head.major == major).map(|(head, _)| head.argument)
    }

    /// A key and its value, if that is a number or text.
    fn entry_leniently(&mut self) -> Option<(&'a str, Option<Scalar<'a>>)> {
        let key_len = self.head_of(3)?;
        let key = std::str::from_utf8(self.take(key_len).ok()?).ok()?;
        let value = self.bytes.get(self.at..)?;
        self.at += item_len_leniently(value)?;
        let mut value = Reader { bytes: value, at: 0 };
        let (head, _) = value.head().ok()?;
        let scalar = match head.major {
            0 => i64::try_from(head.argument).ok().map(Scalar::Integer),
            3 => std::str::from_utf8(value.take(head.argument).ok()?).ok().map(Scalar::Text),
            _ => None,
        };
        Some((key, scalar))
    }

    fn shortest_head(&mut self) -> Result<Head, CborError> {
        match self.head()? {
            (head, true) => Ok(head),
            _ => Err(CborError::NotCanonical("a number not in its shortest form")),
        }
    }

    fn text_of(&mut self, len: u64) -> Result<&'a [u8], CborError> {
        let text = self.take(len)?;
        std::str::from_utf8(text).map_err(|_| CborError::NotCanonical("text that is not UTF-8"))?;
        Ok(text)
    }

    /// One item; an array or map is only opened.
    fn item(&mut self) -> Result<Option<Level<'a>>, CborError> {
        let start = self.at;
        let head = self.shortest_head()?;
        let opened = |is_map| Ok(Some(Level { items_left: head.argument, is_map, last_key: None }));
        match head.major {
            0 | 1 => {}
            2 => drop(self.take(head.argument)?),
            3 => drop(self.text_of(head.argument)?),
            4 => return opened(false),
            5 => return opened(true),
            6 if head.argument == 42 => drop(self.link()?),
            6 => return Err(CborError::NotCanonical("a tag other than 42")),
            _ => match self.bytes[start] {
                0xf4..=0xf6 => {}
                0xfb if f64::from_bits(head.argument).is_finite() => {}
                _ => return Err(CborError::NotCanonical("a simple value other than false, true and null")),
            },
        }
        Ok(None)
    }

    /// What tag 42 encloses: a byte string of a zero and a whole binary CID.
    fn link(&mut self) -> Result<&'a [u8], CborError> {
        let head = self.shortest_head()?;
        if head.major == 2
            && let [0, binary @ ..] = self.take(head.argument)?
            && Cid::try_from(binary).is_ok_and(|cid| cid.encoded_len() == binary.len())
        {
            return Ok(binary);
        }
        Err(CborError::NotCanonical("a link that is not a CID"))
    }

    fn map_key(&mut self, last: &mut Option<&'a [u8]>) -> Result<(), CborError> {
        let head = self.shortest_head()?;
        if head.major != 3 {
            return Err(CborError::NotCanonical("a map key that is not text"));
        }
        let key = self.text_of(head.argument)?;
        if last.is_some_and(|last| (last.len(), last) >= (key.len(), key)) {
            return Err(CborError::NotCanonical("map keys out of order"));
        }
        *last = Some(key);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
