//! The JSON form of the data model: links are `{"$link": cid}`, bytes `{"$bytes": base64}`.

use cid::multibase::{self, Base};
use cid::{Cid, Version};
use ipld_core::ipld::Ipld;
use serde_json::{Map, Number, Value};

use super::{DagProblem, MAX_DEPTH, MAX_VALUES};

/// Integers up to here are exact in a double, so JSON libraries may have written them as `5.0`.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// A CID's text is some 59 characters; decoding base 58 costs the square of the length.
const MAX_CID_CHARS: usize = 256;

/// The JSON form of a value that [`super::decode`] or [`from_json`] gave.
///
/// Total, so a number that neither would give (a float, an integer beyond 64 bits) becomes null where JSON has no exact
/// form for it. Nothing is escaped: a map that holds the key `$link` itself cannot be told from a link.
pub fn to_json(value: &Ipld) -> Value {
    match value {
        Ipld::Null => Value::Null,
        Ipld::Bool(flag) => Value::Bool(*flag),
        Ipld::Integer(number) => Number::from_i128(*number).map_or(Value::Null, Value::Number),
        Ipld::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        Ipld::String(text) => Value::String(text.clone()),
        Ipld::Bytes(bytes) => single("$bytes", Base::Base64.encode(bytes)),
        Ipld::List(items) => Value::Array(items.iter().map(to_json).collect()),
        Ipld::Map(entries) => {
            Value::Object(entries.iter().map(|(key, value)| (key.clone(), to_json(value))).collect())
        }
        Ipld::Link(cid) => single("$link", cid.to_string()),
    }
}

fn single(key: &str, text: String) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), Value::String(text))]))
}

/// The value that JSON stands for, within the limits of [`super::decode`]. Padded base64 is read too.
pub fn from_json(json: &Value) -> Result<Ipld, DagProblem> {
    let mut values = MAX_VALUES;
    convert(json, MAX_DEPTH, &mut values)
}

fn convert(json: &Value, depth: usize, values: &mut usize) -> Result<Ipld, DagProblem> {
    *values = values.checked_sub(1).ok_or(DagProblem::TooManyValues)?;
    Ok(match json {
        Value::Null => Ipld::Null,
        Value::Bool(flag) => Ipld::Bool(*flag),
        Value::Number(number) => Ipld::Integer(integer(number)?),
        Value::String(text) => Ipld::String(text.clone()),
        Value::Array(items) => {
            let depth = depth.checked_sub(1).ok_or(DagProblem::TooDeep)?;
            Ipld::List(items.iter().map(|item| convert(item, depth, values)).collect::<Result<_, _>>()?)
        }
        Value::Object(entries) => {
            if let Some(link) = entries.get("$link") {
                return only(entries, link).and_then(parse_cid).map(Ipld::Link).ok_or(DagProblem::Link);
            }
            if let Some(bytes) = entries.get("$bytes") {
                return only(entries, bytes).and_then(base64).map(Ipld::Bytes).ok_or(DagProblem::Bytes);
            }
            let depth = depth.checked_sub(1).ok_or(DagProblem::TooDeep)?;
            *values = values.checked_sub(entries.len()).ok_or(DagProblem::TooManyValues)?;
            let entry = |(key, value): (&String, &Value)| Ok((key.clone(), convert(value, depth, values)?));
            Ipld::Map(entries.iter().map(entry).collect::<Result<_, _>>()?)
        }
    })
}

/// The text of a one-key object's value.
fn only<'a>(entries: &Map<String, Value>, value: &'a Value) -> Option<&'a str> {
    if entries.len() == 1 { value.as_str() } else { None }
}

fn integer(number: &Number) -> Result<i128, DagProblem> {
    if let Some(exact) = number.as_i64() {
        return Ok(exact.into());
    }
    match number.as_f64() {
        Some(double) if number.is_f64() && double.fract() == 0.0 && double.abs() <= MAX_SAFE_INTEGER => {
            Ok(double as i128)
        }
        _ if number.is_f64() => Err(DagProblem::Float),
        _ => Err(DagProblem::IntegerRange),
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    Base::Base64.decode(text.trim_end_matches('=')).ok()
}

/// Reads a CID as text: version 1, any multibase, nothing around it.
///
/// (`Cid::try_from(&str)` is not this: it also finds one inside a path, and ignores what follows one.)
pub fn parse_cid(text: &str) -> Option<Cid> {
    if text.len() > MAX_CID_CHARS {
        return None;
    }
    let (_, binary) = multibase::decode(text).ok()?;
    binary_cid(&binary)
}

/// Reads the binary form of a CID: version 1, nothing after it.
pub(super) fn binary_cid(binary: &[u8]) -> Option<Cid> {
    let cid = Cid::try_from(binary).ok()?;
    (cid.version() == Version::V1 && cid.encoded_len() == binary.len()).then_some(cid)
}
