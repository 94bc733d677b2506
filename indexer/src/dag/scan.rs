//! One pass over DAG-CBOR bytes that builds nothing and does not recurse.

use super::json::binary_cid;
use super::{DagProblem, MAX_DEPTH, MAX_VALUES};

/// The tag of a link; the data model has no other.
const LINK_TAG: u64 = 42;

/// Checks the limits of [`super`] and that the heads add up to exactly one value.
pub(super) fn scan(bytes: &[u8]) -> Result<(), DagProblem> {
    let mut reader = Reader { bytes, at: 0 };
    // How many values each open container still waits for; a map's keys count like its values.
    let mut open: Vec<u64> = Vec::with_capacity(MAX_DEPTH);
    let mut values = 0;
    loop {
        values += 1;
        if values > MAX_VALUES {
            return Err(DagProblem::TooManyValues);
        }
        if let Some(items) = reader.value()? {
            if open.len() == MAX_DEPTH {
                return Err(DagProblem::TooDeep);
            }
            open.push(items);
        } else if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        // A container that is full is itself one value of the container around it.
        while open.last() == Some(&0) {
            open.pop();
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
        }
        if open.is_empty() {
            break;
        }
    }
    if reader.at == bytes.len() { Ok(()) } else { Err(malformed("bytes after the value")) }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads one scalar (`None`) or the head of a container (how many values are in it).
    fn value(&mut self) -> Result<Option<u64>, DagProblem> {
        let (major, info, argument) = self.head()?;
        match major {
            // Unsigned n, and negative -1 - n: both fit 64 signed bits when n does.
            0 | 1 if i64::try_from(argument).is_err() => Err(DagProblem::IntegerRange),
            0 | 1 => Ok(None),
            2 | 3 => self.take(argument).map(|_| None),
            4 => Ok(Some(argument)),
            5 => argument.checked_mul(2).map(Some).ok_or_else(|| malformed("a map too long to be one")),
            6 if argument == LINK_TAG => self.link().map(|()| None),
            6 => Err(malformed("a tag other than 42")),
            _ => match info {
                20..=22 => Ok(None),
                25..=27 => Err(DagProblem::Float),
                _ => Err(malformed("a simple value other than true, false and null")),
            },
        }
    }

    /// A byte string: zero, then exactly one binary CID.
    fn link(&mut self) -> Result<(), DagProblem> {
        let (2, _, length) = self.head()? else { return Err(DagProblem::Link) };
        let Some((0, binary)) = self.take(length)?.split_first() else { return Err(DagProblem::Link) };
        binary_cid(binary).map(|_| ()).ok_or(DagProblem::Link)
    }

    /// Major type, additional information, and the argument they lead to.
    fn head(&mut self) -> Result<(u8, u8, u64), DagProblem> {
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..=23 => u64::from(info),
            24..=27 => self.take(1 << (info - 24))?.iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte)),
            _ => return Err(malformed("an indefinite length or a reserved head")),
        };
        Ok((major, info, argument))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], DagProblem> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let taken = end.and_then(|end| self.bytes.get(self.at..end)).ok_or_else(|| malformed("cut short"))?;
        self.at += taken.len();
        Ok(taken)
    }
}

fn malformed(what: &str) -> DagProblem {
    DagProblem::Malformed(what.to_owned())
}
