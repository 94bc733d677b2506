//! What a record, a query and a view may say: the Lexicon language, interpreted.
//!
//! The definitions are the JSON files under `lexicons/` at the root of the repository, embedded in the binary. What they
//! say is what is checked, by the rules of the language: lengths in bytes of UTF-8 or in graphemes, unions open unless
//! closed, unknown fields legal everywhere. What a record must have *to be of use* (audio to play, a URI that names one
//! record) is for the projections.

mod blob;
mod catalog;
mod check;
mod datetime;
mod format;
mod params;
mod permission;
mod schema;
mod source;
#[cfg(test)]
mod tests;
mod violation;

use std::sync::LazyLock;

use ipld_core::ipld::Ipld;
use serde_json::{Map, Value};

use catalog::{CATALOG, Catalog};
pub use datetime::{parse_datetime, parse_datetime_or_unix};
pub use source::{Source, source, sources};
pub use violation::Violation;

/// Checks a record by the lexicon `schema`.
///
/// `collection` is the collection it stands in, and what its `$type` must say. The two differ where the operator renamed
/// the namespace: `fm.plyr.stg.track` is checked by `fm.plyr.track`. `rkey` must be of the kind the lexicon asks for.
pub fn check_record(schema: &str, collection: &str, rkey: &str, value: &Ipld) -> Result<(), Violation> {
    check_record_in(&CATALOG, schema, collection, rkey, value)
}

fn check_record_in(
    catalog: &Catalog,
    schema: &str,
    collection: &str,
    rkey: &str,
    value: &Ipld,
) -> Result<(), Violation> {
    let Some(record) = catalog.record(schema) else {
        return Err(Violation::new(format!("no record lexicon is named {}", violation::quoted(schema))));
    };
    check::check_rkey(&record.key, rkey)?;
    let Ipld::Map(entries) = value else { return Err(check::mismatch("an object", value)) };
    match entries.get("$type") {
        Some(Ipld::String(kind)) if kind == collection => {}
        Some(other) => return Err(check::mismatch(&format!("{collection:?}"), other).under("$type")),
        None => return Err(Violation::new("is required").under("$type")),
    }
    check::check(catalog, &record.record, value)
}

/// Reads the query string of a request (what follows the `?`) by the parameters that the lexicon of `query` declares.
///
/// Values are percent-decoded and typed, defaults are filled in, parameters that the lexicon does not know are left out.
/// A scalar given twice is a violation; an array is given by repeating its name. The violation's path is the
/// parameter's name, or empty where the query string as a whole is beyond the limits.
pub fn parse_params(query: &str, raw_query: &str) -> Result<Map<String, Value>, Violation> {
    match CATALOG.query(query) {
        None => Err(Violation::new(format!("no query is named {}", violation::quoted(query)))),
        Some(query) => match &query.parameters {
            Some(params) => params::parse(&CATALOG, params, raw_query),
            None => Ok(Map::new()),
        },
    }
}

/// Checks an answer by the output that the lexicon of `query` declares. Meant for tests: our own answers are ours to get
/// right.
pub fn check_output(query: &str, body: &Value) -> Result<(), Violation> {
    let Some(query) = CATALOG.query(query) else {
        return Err(Violation::new(format!("no query is named {}", violation::quoted(query))));
    };
    let Some(output) = &query.output else { return Err(Violation::new("the query has no output")) };
    let value = crate::dag::from_json(body).map_err(|problem| Violation::new(problem.to_string()))?;
    check::check(&CATALOG, &output.schema, &value)
}

/// Checks the body of a request by the input that the lexicon of `procedure` declares.
pub fn check_input(procedure: &str, body: &Value) -> Result<(), Violation> {
    let Some(procedure) = CATALOG.query(procedure) else {
        return Err(Violation::new(format!("no procedure is named {}", violation::quoted(procedure))));
    };
    let Some(input) = &procedure.input else { return Err(Violation::new("the procedure has no input")) };
    let value = crate::dag::from_json(body).map_err(|problem| Violation::new(problem.to_string()))?;
    check::check(&CATALOG, &input.schema, &value)
}

/// The NSIDs of all queries and procedures, for a router to serve.
pub fn methods() -> impl Iterator<Item = &'static str> {
    LazyLock::force(&CATALOG).methods()
}

/// The NSIDs of all records.
pub fn records() -> impl Iterator<Item = &'static str> {
    LazyLock::force(&CATALOG).records()
}

/// The names of the errors that a query declares beside those that every query may answer with.
pub fn errors(query: &str) -> impl Iterator<Item = &'static str> {
    let errors = LazyLock::force(&CATALOG).query(query).map_or(&[][..], |query| &query.errors);
    errors.iter().map(|error| error.name.as_str())
}
