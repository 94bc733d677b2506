//! Items, one after another.

use cid::Cid;

use super::{CborError, Level, Scalar, item_len, item_len_leniently};

/// The first byte of an item, and the number that it or the bytes after it give.
pub(super) struct Head {
    pub(super) major: u8,
    pub(super) argument: u64,
}

/// Bytes on their way to being items. What it reads is canonical, or an error.
pub(in crate::proto) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(in crate::proto) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, at: 0 }
    }

    /// Passes over bytes that must be exactly these: `what` otherwise.
    pub(in crate::proto) fn literal(&mut self, literal: &[u8], what: &str) -> Result<(), CborError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if rest.starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        Err(if literal.starts_with(rest) { CborError::Truncated } else { CborError::Shape(what.to_owned()) })
    }

    /// Whether the next item is null, which is passed over.
    pub(in crate::proto) fn null(&mut self) -> bool {
        let is_null = self.bytes.get(self.at) == Some(&0xf6);
        self.at += usize::from(is_null);
        is_null
    }

    /// The number in the head of an item that must be of this major type.
    pub(in crate::proto) fn canonical(&mut self, major: u8, what: &str) -> Result<u64, CborError> {
        match self.shortest_head()? {
            head if head.major == major => Ok(head.argument),
            _ => Err(CborError::Shape(what.to_owned())),
        }
    }

    /// A number of 64 bits with a sign.
    pub(in crate::proto) fn integer(&mut self, what: &str) -> Result<i64, CborError> {
        let Head { major, argument } = self.shortest_head()?;
        let number = i64::try_from(argument).ok().filter(|_| major < 2);
        let number = number.ok_or_else(|| CborError::Shape(what.to_owned()))?;
        Ok(if major == 0 { number } else { !number })
    }

    /// Text.
    pub(in crate::proto) fn text(&mut self, what: &str) -> Result<&'a str, CborError> {
        let len = self.canonical(3, what)?;
        let text = self.take(len)?;
        std::str::from_utf8(text).map_err(|_| CborError::NotCanonical("text that is not UTF-8"))
    }

    /// The next key of a map, after the last one.
    pub(in crate::proto) fn key(&mut self, last: &mut Option<&'a str>) -> Result<&'a str, CborError> {
        let key = self.text("a map key that is not text")?;
        if last.is_some_and(|last| (last.len(), last) >= (key.len(), key)) {
            return Err(CborError::NotCanonical("map keys out of order"));
        }
        *last = Some(key);
        Ok(key)
    }

    /// Passes over any item.
    pub(in crate::proto) fn skip(&mut self) -> Result<(), CborError> {
        self.at += item_len(self.bytes.get(self.at..).unwrap_or_default())?;
        Ok(())
    }

    /// How many bytes have been read.
    pub(in crate::proto) fn at(&self) -> usize {
        self.at
    }

    /// A byte string.
    pub(in crate::proto) fn byte_string(&mut self) -> Result<&'a [u8], CborError> {
        let len = self.canonical(2, "not a byte string")?;
        self.take(len)
    }

    /// A link, as the binary CID it holds.
    pub(in crate::proto) fn cid(&mut self) -> Result<&'a [u8], CborError> {
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
    pub(in crate::proto) fn end(&self) -> Result<(), CborError> {
        if self.at == self.bytes.len() { Ok(()) } else { Err(CborError::Trailing) }
    }

    pub(super) fn take(&mut self, len: u64) -> Result<&'a [u8], CborError> {
        let len = usize::try_from(len).map_err(|_| CborError::Truncated)?;
        let end = self.at.checked_add(len).ok_or(CborError::Truncated)?;
        let taken = self.bytes.get(self.at..end).ok_or(CborError::Truncated)?;
        self.at = end;
        Ok(taken)
    }

    /// A head, and whether it was the shortest possible.
    pub(super) fn head(&mut self) -> Result<(Head, bool), CborError> {
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
    pub(super) fn head_of(&mut self, major: u8) -> Option<u64> {
        self.head().ok().filter(|(head, _)| head.major == major).map(|(head, _)| head.argument)
    }

    /// A key and its value, if that is a number or text.
    pub(super) fn entry_leniently(&mut self) -> Option<(&'a str, Option<Scalar<'a>>)> {
        let key_len = self.head_of(3)?;
        let key = std::str::from_utf8(self.take(key_len).ok()?).ok()?;
        let value = self.bytes.get(self.at..)?;
        self.at += item_len_leniently(value)?;
        let mut value = Reader::new(value);
        let (head, _) = value.head().ok()?;
        let scalar = match head.major {
            0 => i64::try_from(head.argument).ok().map(Scalar::Integer),
            3 => std::str::from_utf8(value.take(head.argument).ok()?).ok().map(Scalar::Text),
            _ => None,
        };
        Some((key, scalar))
    }

    pub(super) fn shortest_head(&mut self) -> Result<Head, CborError> {
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
    pub(super) fn item(&mut self) -> Result<Option<Level<'a>>, CborError> {
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

    pub(super) fn map_key(&mut self, last: &mut Option<&'a [u8]>) -> Result<(), CborError> {
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
