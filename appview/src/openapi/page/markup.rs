//! Schemas as text and tables.

use serde_json::Value;

pub(super) use crate::card::head::escape;

/// How long a text may be whose bytes are counted.
const BYTES: &str = "maxBytes";

/// A schema of a lexicon in the words of JSON Schema: `maxLength` limits the bytes of a text there, and the items of a list.
/// <https://atproto.com/specs/lexicon#string>
pub(super) fn of_lexicon(schema: &Value) -> Value {
    match schema {
        Value::Object(map) => {
            let lengths = match schema["type"].as_str() {
                Some("array") => "maxItems",
                Some("string") => BYTES,
                _ => "maxLength",
            };
            let key = |key: &String| if key == "maxLength" { lengths.to_owned() } else { key.clone() };
            map.iter().map(|(name, value)| (key(name), of_lexicon(value))).collect()
        }
        Value::Array(list) => list.iter().map(of_lexicon).collect(),
        other => other.clone(),
    }
}

/// A name as it is typed.
pub(super) fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// Prose in which names stand between backticks.
pub(super) fn rich(text: &str) -> String {
    let parts = text.split('`').enumerate();
    parts.map(|(place, part)| if place % 2 == 1 { code(part) } else { escape(part) }).collect()
}

/// A line of a table.
#[derive(Debug)]
pub(super) struct Field {
    name: String,
    kind: String,
    about: String,
    note: String,
}

impl Field {
    /// Of a schema: what is not required says so, where that is worth a word.
    pub(super) fn new(name: String, schema: &Value, is_required: bool) -> Self {
        let about = schema["description"].as_str().map(rich).unwrap_or_default();
        let limits = limits(schema);
        let note = if is_required { String::new() } else { "may be missing".to_owned() };
        let about = [about, limits].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
        Field { name, kind: type_of(schema), about, note }
    }

    /// Where it stands, in place of whether it must.
    pub(super) fn at(self, place: &str) -> Self {
        let note = if self.note.is_empty() { format!("{place}, required") } else { place.to_owned() };
        Field { note, ..self }
    }

    /// A field of what stands above it.
    pub(super) fn row_within(&self) -> String {
        self.row().replacen("<tr>", "<tr class=\"within\">", 1)
    }

    /// A line of HTML.
    pub(super) fn row(&self) -> String {
        let Field { name, kind, about, note } = self;
        let note = if note.is_empty() { String::new() } else { format!(" <i>{note}</i>") };
        format!("<tr><td>{}{note}</td><td>{kind}</td><td>{about}</td></tr>\n", code(name))
    }
}

/// A table of them; nothing of none.
pub(super) fn table(rows: &[Field]) -> String {
    let lines: String = rows.iter().map(Field::row).collect();
    if rows.is_empty() { lines } else { format!("<table>{lines}</table>\n") }
}

/// The fields of an object and of those within; of a shape with a name none, as it is told where it stands.
pub(super) fn fields(schema: &Value, under: &str) -> Vec<Field> {
    if schema["type"] == "array" {
        return fields(&schema["items"], &format!("{}[].", under.trim_end_matches('.')));
    }
    let required = schema["required"].as_array();
    let mut rows = Vec::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let is_required = required.is_some_and(|names| names.iter().any(|it| it == name));
        let name = format!("{under}{name}");
        let within = fields(field, &format!("{name}."));
        rows.push(Field::new(name, field, is_required));
        rows.extend(within);
    }
    rows
}

/// What a value is, in a few words.
pub(super) fn type_of(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next()) {
        return format!("<a href=\"#shape-{name}\">{name}</a>");
    }
    // A lexicon's.
    if let Some(name) = schema["ref"].as_str() {
        return code(name);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return any.iter().map(type_of).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", type_of(&schema["items"])),
        Value::String(kind) => match schema["format"].as_str().filter(|format| *format != "int64") {
            Some(format) => format!("{kind} <i>{format}</i>"),
            None => kind.clone(),
        },
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    }
}

fn limits(schema: &Value) -> String {
    let mut said = Vec::new();
    let shown = |value: &Value| value.as_str().map_or_else(|| code(&value.to_string()), code);
    for key in ["enum", "knownValues"] {
        let words = schema[key].as_array().map(|words| words.iter().map(shown).collect::<Vec<_>>());
        said.extend(words.map(|words| format!("One of {}.", words.join(", "))));
    }
    match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(i64::MAX)) => said.push(format!("From {least}.")),
        (Some(least), Some(most)) => said.push(format!("From {least} to {most}.")),
        (Some(least), None) => said.push(format!("From {least}.")),
        (None, Some(most)) => said.push(format!("At most {most}.")),
        (None, None) => {}
    }
    let items = [
        ("maxLength", "characters"),
        (BYTES, "bytes of UTF-8"),
        ("maxGraphemes", "graphemes"),
        ("maxItems", "items"),
    ];
    for (key, what) in items {
        said.extend(schema[key].as_u64().map(|most| format!("At most {most} {what}.")));
    }
    let default = Some(&schema["default"]).filter(|value| !value.is_null() && *value != "");
    said.extend(default.map(|value| format!("Default {}.", shown(value))));
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_told() {
        let schema = json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 50});
        assert_eq!(limits(&schema), "From 1 to 100. Default <code>50</code>.");
        let lexicon = json!({"type": "array", "maxLength": 5, "items": {"type": "string", "maxLength": 9}});
        let lexicon = of_lexicon(&lexicon);
        assert_eq!(limits(&lexicon), "At most 5 items.");
        assert_eq!(limits(&lexicon["items"]), "At most 9 bytes of UTF-8.");
        let lists =
            json!({"type": "array", "items": {"type": "object", "properties": {"x": {"type": "string"}}}});
        let whole = json!({"properties": {"a": lists}, "required": ["a"]});
        let names: Vec<String> = fields(&whole, "").into_iter().map(|field| field.name).collect();
        assert_eq!(names, ["a", "a[].x"]);
    }
}
