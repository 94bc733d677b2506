//! Values of the AT Protocol data model, in its two encodings: DAG-CBOR (what is signed) and JSON (what is shown).
//!
//! The bytes of a record are proven against its CID before they come here, so this is about what may be *held*: no
//! floats, no integers beyond 64 bits, no nesting or number of values that would cost out of proportion to the bytes.

mod json;
mod scan;
#[cfg(test)]
pub(crate) mod tests;

use cid::Cid;
use ipld_core::ipld::Ipld;

pub use json::{from_json, parse_cid, to_json};

/// Containers inside one another, the outermost included. The reference implementations stop at the same depth.
pub const MAX_DEPTH: usize = 32;

/// Values in one piece of data: containers, their keys and their items. A value of one byte may take 1.5 kB of memory
/// once decoded, so the bytes alone are no bound.
pub const MAX_VALUES: usize = 65_536;

/// Why bytes or JSON are not a value of the data model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DagProblem {
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} containers")]
    TooDeep,
    /// More than [`MAX_VALUES`] values.
    #[error("more than {MAX_VALUES} values")]
    TooManyValues,
    /// A floating-point number: the data model has none.
    #[error("a floating-point number")]
    Float,
    /// An integer outside the signed 64-bit range.
    #[error("an integer beyond 64 bits")]
    IntegerRange,
    /// A link that is not exactly one CID, or a JSON object that mixes `$link` with other keys.
    #[error("a link that is not a CID")]
    Link,
    /// A JSON `$bytes` that is not base64, or an object that mixes it with other keys.
    #[error("$bytes that are not base64")]
    Bytes,
    /// Not DAG-CBOR in its one canonical form: truncated, trailing bytes, an indefinite length, keys that are
    /// unordered or not text, a tag other than 42, a longer head than needed.
    #[error("not canonical DAG-CBOR: {0}")]
    Malformed(String),
}

impl DagProblem {
    /// The problem's name, as kept beside a record that has it.
    pub fn name(&self) -> &'static str {
        match self {
            DagProblem::TooDeep => "TooDeep",
            DagProblem::TooManyValues => "TooManyValues",
            DagProblem::Float => "Float",
            DagProblem::IntegerRange => "IntegerRange",
            DagProblem::Link => "BadLink",
            DagProblem::Bytes => "BadBytes",
            DagProblem::Malformed(_) => "BadCbor",
        }
    }
}

/// Decodes one DAG-CBOR value that fills `bytes`.
///
/// Only the canonical form is read: the libraries that write repos emit no other, and a value that several byte strings
/// could stand for would not survive an edit unchanged. The caller limits the length of `bytes`.
pub fn decode(bytes: &[u8]) -> Result<Ipld, DagProblem> {
    // The decoder below recurses (to 128 containers) and holds floats and 128-bit integers; the scan does neither.
    scan::scan(bytes)?;
    serde_ipld_dagcbor::from_slice(bytes).map_err(|error| DagProblem::Malformed(error.to_string()))
}

/// Encodes a value in its one canonical form, with the CID that it has as a record.
pub fn encode(value: &Ipld) -> Result<(Cid, Vec<u8>), DagProblem> {
    let bytes =
        serde_ipld_dagcbor::to_vec(value).map_err(|error| DagProblem::Malformed(error.to_string()))?;
    scan::scan(&bytes)?;
    Ok((crate::proto::car::cid_of(crate::proto::car::DAG_CBOR, &bytes), bytes))
}

/// Whether any string or key holds U+0000, which is legal in the data model and which Postgres refuses in text and jsonb.
pub fn contains_nul(value: &Ipld) -> bool {
    match value {
        Ipld::String(text) => text.contains('\0'),
        Ipld::List(items) => items.iter().any(contains_nul),
        Ipld::Map(entries) => entries.iter().any(|(key, value)| key.contains('\0') || contains_nul(value)),
        _ => false,
    }
}
