//! The query string of a request, read by the parameters its lexicon declares.

use std::collections::HashMap;

use ipld_core::ipld::Ipld;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::catalog::Catalog;
use super::check::check;
use super::schema::{Params, Schema};
use super::violation::{Violation, quoted};
use crate::dag::to_json;

/// The longest query string read. A hundred AT URIs, percent-encoded, take some 15 kB.
const MAX_QUERY_BYTES: usize = 65_536;

/// The most parameters read, those that no lexicon knows included.
const MAX_PAIRS: usize = 1_000;

/// Reads the parameters of a query. The result holds what was given and declared, and the declared defaults.
pub(super) fn parse(catalog: &Catalog, params: &Params, raw: &str) -> Result<Map<String, Value>, Violation> {
    let mut given = group(params, raw)?;
    let mut parsed = Map::new();
    for (name, schema) in &params.properties {
        let value = match given.remove(name.as_str()) {
            Some(texts) => Some(read(catalog, schema, &texts).map_err(|violation| violation.under(name))?),
            None => default(schema),
        };
        match value {
            Some(value) => drop(parsed.insert(name.clone(), to_json(&value))),
            None if params.required.contains(name) => return Err(Violation::new("is required").under(name)),
            None => {}
        }
    }
    Ok(parsed)
}

/// The declared parameters that are given, each with its values in order.
fn group<'a>(params: &'a Params, raw: &str) -> Result<HashMap<&'a str, Vec<String>>, Violation> {
    if raw.len() > MAX_QUERY_BYTES {
        return Err(Violation::new(format!("the query string must have at most {MAX_QUERY_BYTES} bytes")));
    }
    let mut given: HashMap<&str, Vec<String>> = HashMap::new();
    for (index, (name, text)) in form_urlencoded::parse(raw.as_bytes()).enumerate() {
        if index == MAX_PAIRS {
            return Err(Violation::new(format!("there must be at most {MAX_PAIRS} parameters")));
        }
        // Unknown parameters belong to clients newer than this server.
        if let Some((name, _)) = params.properties.get_key_value(name.as_ref()) {
            given.entry(name).or_default().push(text.into_owned());
        }
    }
    Ok(given)
}

fn read(catalog: &Catalog, schema: &Schema, texts: &[String]) -> Result<Ipld, Violation> {
    let value = match (schema, texts) {
        (Schema::Array(array), _) => {
            let items = texts.iter().enumerate();
            let items = items.map(|(index, text)| scalar(&array.items, text).map_err(|v| v.at(index)));
            Ipld::List(items.collect::<Result<_, _>>()?)
        }
        (_, [text]) => scalar(schema, text)?,
        _ => return Err(Violation::new("must be given once")),
    };
    check(catalog, schema, &value)?;
    Ok(value)
}

fn scalar(schema: &Schema, text: &str) -> Result<Ipld, Violation> {
    let is_not = |what| Violation::new(format!("must be {what}, is {}", quoted(text)));
    match schema {
        Schema::Integer(_) => match text.parse::<i64>() {
            Ok(number) if !text.starts_with('+') => Ok(Ipld::Integer(number.into())),
            _ => Err(is_not("an integer")),
        },
        Schema::Boolean(_) => match text {
            "true" => Ok(Ipld::Bool(true)),
            "false" => Ok(Ipld::Bool(false)),
            _ => Err(is_not("true or false")),
        },
        // It would only fail later, in the database.
        _ if text.contains('\0') => Err(Violation::new("must not contain U+0000")),
        _ => Ok(Ipld::String(text.to_owned())),
    }
}

fn default(schema: &Schema) -> Option<Ipld> {
    match schema {
        Schema::String(text) => text.default.clone().map(Ipld::String),
        Schema::Integer(integer) => integer.default.map(|number| Ipld::Integer(number.into())),
        Schema::Boolean(boolean) => boolean.default.map(Ipld::Bool),
        _ => None,
    }
}
