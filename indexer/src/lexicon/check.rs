//! The interpreter: a value of the data model against a definition.

use ipld_core::ipld::Ipld;
use unicode_segmentation::UnicodeSegmentation;

use super::catalog::{Catalog, absolute};
use super::schema::{Array, Boolean, Bytes, Integer, Object, RecordKey, Schema, Text, Union};
use super::violation::{Violation, quoted};
use crate::syntax::{Nsid, Rkey, Tid};

/// Checks a value. Fields that the definition does not name are legal, whatever they hold.
pub(super) fn check(catalog: &Catalog, schema: &Schema, value: &Ipld) -> Result<(), Violation> {
    match schema {
        Schema::Object(object) => check_object(catalog, object, value),
        Schema::Array(array) => check_array(catalog, array, value),
        Schema::String(text) => check_text(text, value),
        Schema::Integer(integer) => check_integer(integer, value),
        Schema::Boolean(boolean) => check_boolean(boolean, value),
        Schema::Bytes(bytes) => check_bytes(bytes, value),
        Schema::CidLink(_) if matches!(value, Ipld::Link(_)) => Ok(()),
        Schema::CidLink(_) => Err(mismatch("a link", value)),
        Schema::Blob(blob) => super::blob::check_blob(blob, value),
        // References were resolved when the files were read.
        Schema::Ref(reference) => match catalog.schema(&reference.target) {
            Some(schema) => check(catalog, schema, value),
            None => Err(Violation::new(format!("no lexicon has {}", reference.target))),
        },
        Schema::Union(union) => check_union(catalog, union, value),
        Schema::Unknown(_) => match value {
            Ipld::Map(entries) if entries.get("$type") != Some(&Ipld::String("blob".to_owned())) => Ok(()),
            _ => Err(mismatch("an object", value)),
        },
    }
}

/// Checks that a record key is of the kind its collection has.
pub(super) fn check_rkey(key: &RecordKey, rkey: &str) -> Result<(), Violation> {
    let (matches, wanted) = match key {
        RecordKey::Tid => (rkey.parse::<Tid>().is_ok(), "a TID"),
        RecordKey::Nsid => (rkey.parse::<Nsid>().is_ok(), "an NSID"),
        RecordKey::Any => (rkey.parse::<Rkey>().is_ok(), "a record key"),
        RecordKey::Literal(literal) => (rkey == literal, literal.as_str()),
    };
    if matches {
        return Ok(());
    }
    Err(Violation::new(format!("the record key must be {wanted}, is {}", quoted(rkey))))
}

fn check_object(catalog: &Catalog, object: &Object, value: &Ipld) -> Result<(), Violation> {
    let Ipld::Map(entries) = value else { return Err(mismatch("an object", value)) };
    if let Some(missing) = object.required.iter().find(|name| !entries.contains_key(*name)) {
        return Err(Violation::new("is required").under(missing));
    }
    for (name, schema) in &object.properties {
        match entries.get(name) {
            None => {}
            Some(Ipld::Null) if object.nullable.contains(name) => {}
            Some(value) => check(catalog, schema, value).map_err(|violation| violation.under(name))?,
        }
    }
    Ok(())
}

fn check_array(catalog: &Catalog, array: &Array, value: &Ipld) -> Result<(), Violation> {
    let Ipld::List(items) = value else { return Err(mismatch("an array", value)) };
    within(items.len(), array.min_length, array.max_length, "items")?;
    for (index, item) in items.iter().enumerate() {
        check(catalog, &array.items, item).map_err(|violation| violation.at(index))?;
    }
    Ok(())
}

fn check_text(rule: &Text, value: &Ipld) -> Result<(), Violation> {
    let Ipld::String(text) = value else { return Err(mismatch("a string", value)) };
    within(text.len(), rule.min_length, rule.max_length, "bytes")?;
    if rule.min_graphemes.is_some() || rule.max_graphemes.is_some() {
        // Enough to know on which side of the limits the text is.
        let enough = rule.max_graphemes.max(rule.min_graphemes).unwrap_or(0).saturating_add(1);
        let counted = text.graphemes(true).take(enough).count();
        within(counted, rule.min_graphemes, rule.max_graphemes, "characters")?;
    }
    if let Some(format) = rule.format.filter(|format| !format.matches(text)) {
        return Err(Violation::new(format!("must be {}, is {}", format.name(), quoted(text))));
    }
    one_of(text, rule.options.as_deref(), rule.constant.as_ref())
}

fn check_integer(rule: &Integer, value: &Ipld) -> Result<(), Violation> {
    let number = match value {
        Ipld::Integer(number) => i64::try_from(*number).map_err(|_| mismatch("a 64-bit integer", value))?,
        _ => return Err(mismatch("an integer", value)),
    };
    if let Some(minimum) = rule.minimum.filter(|&minimum| number < minimum) {
        return Err(Violation::new(format!("must be at least {minimum}, is {number}")));
    }
    if let Some(maximum) = rule.maximum.filter(|&maximum| number > maximum) {
        return Err(Violation::new(format!("must be at most {maximum}, is {number}")));
    }
    one_of(&number, rule.options.as_deref(), rule.constant.as_ref())
}

fn check_boolean(rule: &Boolean, value: &Ipld) -> Result<(), Violation> {
    let Ipld::Bool(flag) = value else { return Err(mismatch("a boolean", value)) };
    one_of(flag, None, rule.constant.as_ref())
}

fn check_bytes(rule: &Bytes, value: &Ipld) -> Result<(), Violation> {
    let Ipld::Bytes(bytes) = value else { return Err(mismatch("bytes", value)) };
    within(bytes.len(), rule.min_length, rule.max_length, "bytes")
}

fn check_union(catalog: &Catalog, union: &Union, value: &Ipld) -> Result<(), Violation> {
    let Ipld::Map(entries) = value else { return Err(mismatch("an object", value)) };
    let kind = match entries.get("$type") {
        Some(Ipld::String(kind)) if !kind.is_empty() => kind,
        Some(other) => return Err(mismatch("a type's name", other).under("$type")),
        None => return Err(Violation::new("is required in a union").under("$type")),
    };
    let target = absolute("", kind);
    match union.refs.iter().find(|listed| **listed == target).and_then(|listed| catalog.schema(listed)) {
        Some(schema) => check(catalog, schema, value),
        None if union.closed => {
            Err(Violation::new(format!("{} is none of this union", quoted(kind))).under("$type"))
        }
        None => Ok(()),
    }
}

/// Checks a count against limits, either of which may be absent.
fn within(count: usize, least: Option<usize>, most: Option<usize>, what: &str) -> Result<(), Violation> {
    match (least, most) {
        (Some(least), _) if count < least => {
            Err(Violation::new(format!("must have at least {least} {what}, has {count}")))
        }
        (_, Some(most)) if count > most => Err(Violation::new(format!("must have at most {most} {what}"))),
        _ => Ok(()),
    }
}

fn one_of<T: PartialEq + std::fmt::Debug>(
    value: &T,
    options: Option<&[T]>,
    constant: Option<&T>,
) -> Result<(), Violation> {
    if let Some(constant) = constant.filter(|constant| *constant != value) {
        return Err(Violation::new(format!("must be {constant:?}")));
    }
    match options {
        Some(options) if !options.contains(value) => {
            Err(Violation::new(format!("must be one of {options:?}")))
        }
        _ => Ok(()),
    }
}

/// A value of another kind than wanted.
pub(super) fn mismatch(wanted: &str, value: &Ipld) -> Violation {
    let kind = match value {
        Ipld::Null => "null".to_owned(),
        Ipld::Bool(_) => "a boolean".to_owned(),
        Ipld::Integer(number) => format!("the integer {number}"),
        Ipld::Float(_) => "a floating-point number".to_owned(),
        Ipld::String(text) => format!("the string {}", quoted(text)),
        Ipld::Bytes(_) => "bytes".to_owned(),
        Ipld::List(_) => "an array".to_owned(),
        Ipld::Map(_) => "an object".to_owned(),
        Ipld::Link(_) => "a link".to_owned(),
    };
    Violation::new(format!("must be {wanted}, is {kind}"))
}
