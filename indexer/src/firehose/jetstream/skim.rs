//! What an event is about, found by walking its structure and without reading the record: nearly all that an unfiltered
//! stream brings is of no concern here.
//!
//! The walk knows where strings end and how deep it is, so a field is found by its place and never by its looks: text
//! inside a record may say anything. Where it meets what it does not expect (an escape in a name, a field twice), it
//! gives up, and the whole message is parsed instead.

use std::borrow::Cow;

use memchr::memchr2;

use super::event::{Head, What};
use super::{Dialect, PAYLOAD_PREFIX};

/// The head of an event, when it is one of a known kind and written as servers write it.
pub(super) fn head(dialect: Dialect, message: &[u8]) -> Option<Head<'_>> {
    let mut walk = Walk { bytes: message, at: 0 };
    match dialect {
        Dialect::V2 => enveloped(&mut walk),
        Dialect::V1 => bare(&mut walk),
    }
}

fn enveloped<'a>(walk: &mut Walk<'a>) -> Option<Head<'a>> {
    let (mut kind, mut head) = (None, None);
    walk.object(|key, walk| match key {
        b"$type" => set(&mut kind, walk.string()?),
        b"payload" => set(&mut head, payload(walk)?),
        _ => walk.skip(),
    })?;
    head.filter(|_| kind == Some("message"))
}

fn payload<'a>(walk: &mut Walk<'a>) -> Option<Head<'a>> {
    let (mut kind, mut seq, mut did, mut collection, mut time) = (None, None, None, None, None);
    walk.object(|key, walk| match key {
        b"$type" => set(&mut kind, walk.string()?),
        b"seq" => set(&mut seq, walk.integer()?),
        b"did" => set(&mut did, walk.string()?),
        b"collection" => set(&mut collection, walk.string()?),
        b"time" => set(&mut time, walk.string()?),
        _ => walk.skip(),
    })?;
    let what = What::from_word(kind?.strip_prefix(PAYLOAD_PREFIX)?)?;
    found(what, seq?, did?, collection, Some(time?))
}

fn bare<'a>(walk: &mut Walk<'a>) -> Option<Head<'a>> {
    let (mut kind, mut time_us, mut did, mut collection) = (None, None, None, None);
    walk.object(|key, walk| match key {
        b"kind" => set(&mut kind, walk.string()?),
        b"time_us" => set(&mut time_us, walk.integer()?),
        b"did" => set(&mut did, walk.string()?),
        b"commit" => walk.object(|key, walk| match key {
            b"collection" => set(&mut collection, walk.string()?),
            _ => walk.skip(),
        }),
        _ => walk.skip(),
    })?;
    found(What::from_word(kind?)?, time_us?, did?, collection, None)
}

fn found<'a>(
    what: What,
    seq: i64,
    did: &'a str,
    collection: Option<&'a str>,
    time: Option<&'a str>,
) -> Option<Head<'a>> {
    let collection = if what == What::Commit { Some(Cow::Borrowed(collection?)) } else { None };
    Some(Head { what, seq, did: did.into(), collection, time: time.map(Cow::Borrowed) })
}

/// Notes a field; a second one of the same name is for the parser to judge.
fn set<T>(field: &mut Option<T>, value: T) -> Option<()> {
    if field.is_some() {
        return None;
    }
    *field = Some(value);
    Some(())
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Walks an object; `field` is called at each value and must consume it.
    fn object(&mut self, mut field: impl FnMut(&[u8], &mut Self) -> Option<()>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let key = self.plain()?;
            self.expect(b':')?;
            field(key, self)?;
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// The inside of a string without escapes.
    fn plain(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let rest = self.bytes.get(self.at..)?;
        let length = memchr2(b'"', b'\\', rest)?;
        if rest[length] != b'"' {
            return None;
        }
        self.at += length + 1;
        Some(&rest[..length])
    }

    fn string(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.plain()?).ok()
    }

    fn integer(&mut self) -> Option<i64> {
        self.peek()?;
        let digits = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        // Eighteen digits fit; what is longer, negative or not whole is for the parser.
        if !(1..=18).contains(&digits) || matches!(self.bytes.get(self.at + digits), Some(b'.' | b'e' | b'E'))
        {
            return None;
        }
        let number = self.bytes[self.at..self.at + digits].iter();
        self.at += digits;
        Some(number.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
    }

    /// Steps over a value, whatever it is.
    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => self.skip_string(),
            b'{' | b'[' => self.skip_container(),
            _ => {
                let rest = &self.bytes[self.at..];
                let length = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b']'))?;
                self.at += length;
                (length > 0).then_some(())
            }
        }
    }

    fn skip_string(&mut self) -> Option<()> {
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..)?;
            let length = memchr2(b'"', b'\\', rest)?;
            if rest[length] == b'"' {
                self.at += length + 1;
                return Some(());
            }
            self.at += length + 2;
        }
    }

    fn skip_container(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            let rest = self.bytes.get(self.at..)?;
            let length = rest.iter().position(|byte| STEPS[usize::from(*byte)])?;
            self.at += length;
            match rest[length] {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                _ => depth -= 1,
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

/// The bytes that matter between two values: quotes and brackets.
static STEPS: [bool; 256] = {
    let mut steps = [false; 256];
    let mut bytes: &[u8] = b"\"{}[]";
    while let [first, rest @ ..] = bytes {
        steps[*first as usize] = true;
        bytes = rest;
    }
    steps
};
