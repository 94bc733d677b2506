//! `multipart/form-data` (RFC 7578) as a stream: a field's bytes are handed on as they come in, nothing else is held but
//! one piece of the body and one field's headers. Those have a limit: nothing bounds them in the ready-made parser.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use memchr::memmem;

/// Of one field.
const HEADERS_MAX_BYTES: usize = 8 * 1024;
/// A client that sends nothing for so long is gone.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// How fast a client has to be, so that a trickle does not hold a place for hours.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Waiting that costs nothing.
    free: Duration,
    /// On average, from then on.
    min_bytes_per_s: u64,
}

const PACE: Pace = Pace { free: Duration::from_secs(60), min_bytes_per_s: 64 * 1024 };

/// Why a form cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    /// It is no form, or one that is cut or broken.
    #[error("{0}")]
    Malformed(&'static str),
    /// More bytes than the whole may have.
    #[error("the request is larger than allowed")]
    TooLarge,
    /// The client hung up, or fell silent.
    #[error("{0}")]
    Gone(String),
}

/// What a field's headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The field's name.
    pub name: String,
    /// Whether it is a file.
    pub is_file: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// Before the first delimiter, or in a field that is not wanted to its end.
    Content,
    /// A delimiter was read.
    Delimiter,
    /// Behind the last.
    End,
}

/// A form that is being read.
pub(crate) struct Multipart<S> {
    body: S,
    delimiter: memmem::Finder<'static>,
    held: BytesMut,
    at: At,
    left_bytes: u64,
    pace: Pace,
    came_bytes: u64,
    /// For the client alone: the disk's slowness is not theirs.
    waited: Duration,
}

impl<S, E> Multipart<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::fmt::Display,
{
    /// A form of at most `max_bytes`, as its headers announce it.
    pub fn new(headers: &HeaderMap, body: S, max_bytes: u64) -> Result<Self, FormError> {
        let boundary = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).and_then(boundary_of);
        let boundary = boundary.ok_or(FormError::Malformed("not multipart/form-data with a boundary"))?;
        let delimiter = memmem::Finder::new(&format!("\r\n--{boundary}")).into_owned();
        // The first delimiter has no line before it.
        Ok(Multipart {
            body,
            delimiter,
            held: BytesMut::from(&b"\r\n"[..]),
            at: At::Content,
            left_bytes: max_bytes,
            pace: PACE,
            came_bytes: 0,
            waited: Duration::ZERO,
        })
    }

    /// The next field; what is left of the last one is passed over.
    pub async fn next(&mut self) -> Result<Option<Part>, FormError> {
        while self.at == At::Content {
            self.chunk().await?;
        }
        if self.at == At::End {
            return Ok(None);
        }
        self.fill(2).await?;
        if self.held.starts_with(b"--") {
            self.at = At::End;
            return Ok(None);
        }
        let end = loop {
            let found = memmem::find(&self.held, b"\r\n\r\n");
            // As long as they come in one piece as in many.
            if found.unwrap_or(self.held.len()) > HEADERS_MAX_BYTES {
                return Err(FormError::Malformed("a field's headers are too long"));
            }
            match found {
                Some(end) => break end,
                None => self.more().await?,
            }
        };
        let headers = self.held.split_to(end + 4);
        self.at = At::Content;
        let headers = String::from_utf8_lossy(&headers);
        let disposition = headers.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case("content-disposition").then(|| value.trim())
        });
        let part = disposition.and_then(part_of);
        part.map(Some).ok_or(FormError::Malformed("a field without a name"))
    }

    /// The next piece of the field; none at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, FormError> {
        if self.at != At::Content {
            return Ok(None);
        }
        loop {
            match self.delimiter.find(&self.held) {
                Some(0) => {
                    let _ = self.held.split_to(self.delimiter.needle().len());
                    self.at = At::Delimiter;
                    return Ok(None);
                }
                Some(end) => return Ok(Some(self.held.split_to(end).freeze())),
                None => {}
            }
            // What could be the beginning of a delimiter stays.
            let sure = self.held.len().saturating_sub(self.delimiter.needle().len() - 1);
            if sure > 0 {
                return Ok(Some(self.held.split_to(sure).freeze()));
            }
            self.more().await?;
        }
    }

    async fn fill(&mut self, length: usize) -> Result<(), FormError> {
        while self.held.len() < length {
            self.more().await?;
        }
        Ok(())
    }

    async fn more(&mut self) -> Result<(), FormError> {
        let began = Instant::now();
        let Ok(next) = tokio::time::timeout(IDLE_MAX, self.body.next()).await else {
            return Err(FormError::Gone(format!("nothing came for {} seconds", IDLE_MAX.as_secs())));
        };
        self.waited += began.elapsed();
        let piece = next.ok_or(FormError::Malformed("the form ends in the middle"))?;
        let piece = piece.map_err(|error| FormError::Gone(error.to_string()))?;
        self.left_bytes = self.left_bytes.checked_sub(piece.len() as u64).ok_or(FormError::TooLarge)?;
        self.came_bytes += piece.len() as u64;
        let counted_s = self.waited.saturating_sub(self.pace.free).as_secs_f64();
        if (self.came_bytes as f64) < counted_s * self.pace.min_bytes_per_s as f64 {
            let least_kb = self.pace.min_bytes_per_s / 1024;
            return Err(FormError::Gone(format!("too slow: at least {least_kb} kB a second have to come")));
        }
        self.held.extend_from_slice(&piece);
        Ok(())
    }
}

/// The boundary of a `Content-Type`: 1 to 70 characters.
fn boundary_of(content_type: &str) -> Option<String> {
    let (kind, rest) = content_type.split_once(';')?;
    let boundary =
        kind.trim().eq_ignore_ascii_case("multipart/form-data").then(|| parameter(rest, "boundary"))??;
    let lawful =
        (1..=70).contains(&boundary.len()) && boundary.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    lawful.then_some(boundary)
}

fn part_of(disposition: &str) -> Option<Part> {
    let (kind, rest) = disposition.split_once(';')?;
    let is_file = parameter(rest, "filename").or_else(|| parameter(rest, "filename*")).is_some();
    kind.trim().eq_ignore_ascii_case("form-data").then_some(())?;
    Some(Part { name: parameter(rest, "name")?, is_file })
}

/// One of `; name=value; other="a \" quoted; one"`.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_start_matches([';', ' ', '\t']).trim();
        let after = after.trim_start();
        let (value, remainder) = match after.strip_prefix('"') {
            Some(quoted) => quoted_string(quoted),
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim().to_owned(), &after[end..])
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = remainder;
    }
    None
}

/// A quoted string whose opening quote has been read, and what follows it.
fn quoted_string(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &text[index + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
#[path = "multipart_tests.rs"]
mod tests;
