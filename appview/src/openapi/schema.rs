//! What a value may be: JSON Schema, as OpenAPI 3.1 takes it, in few words.

use serde_json::{Map, Value, json};

/// A schema. Begun by one of the functions of this module.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    value: Value,
    is_optional: bool,
}

impl Schema {
    fn new(value: Value) -> Self {
        Schema { value, is_optional: false }
    }

    fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.value[key] = value.into();
        self
    }

    /// A field that may be missing.
    pub(crate) fn optional(self) -> Self {
        Schema { is_optional: true, ..self }
    }

    /// It may be null as well.
    pub(crate) fn or_null(mut self) -> Self {
        let about = self.value["description"].take();
        let kind = self.value["type"].take();
        if let Some(map) = self.value.as_object_mut() {
            map.retain(|_, value| !value.is_null());
        }
        if kind.is_string() && self.value.get("enum").is_none() {
            self.value["type"] = json!([kind, "null"]);
        } else {
            if kind.is_string() {
                self.value["type"] = kind;
            }
            self.value = json!({"anyOf": [self.value, {"type": "null"}]});
        }
        if about.is_string() { self.with("description", about) } else { self }
    }

    /// What stands for a missing parameter.
    pub(crate) fn default(self, value: impl Into<Value>) -> Self {
        self.with("default", value)
    }

    /// Of a number, both ends included.
    pub(crate) fn within(self, range: std::ops::RangeInclusive<i64>) -> Self {
        self.with("minimum", *range.start()).with("maximum", *range.end())
    }

    /// Of a text in characters, or of a list in items.
    pub(crate) fn at_most(self, length: usize) -> Self {
        let key = if self.value["type"] == "array" { "maxItems" } else { "maxLength" };
        self.with(key, length)
    }

    /// The same from below.
    pub(crate) fn at_least(self, length: usize) -> Self {
        let key = if self.value["type"] == "array" { "minItems" } else { "minLength" };
        self.with(key, length)
    }

    /// A regular expression that all of a text fits.
    pub(crate) fn pattern(self, pattern: &str) -> Self {
        self.with("pattern", pattern)
    }

    /// What it says in this place.
    pub(crate) fn about(self, text: &str) -> Self {
        self.with("description", text)
    }

    /// One that is lawful.
    pub(crate) fn example(self, value: impl Into<Value>) -> Self {
        let value = value.into();
        self.with("examples", json!([value]))
    }

    /// As it stands in the document.
    pub(crate) fn into_value(self) -> Value {
        self.value
    }
}

fn typed(kind: &str, about: &str) -> Schema {
    Schema::new(json!({"type": kind, "description": about}))
}

/// Text.
pub(crate) fn text(about: &str) -> Schema {
    typed("string", about)
}

/// A whole number of 64 bits.
pub(crate) fn integer(about: &str) -> Schema {
    typed("integer", about).with("format", "int64")
}

/// Any number.
pub(crate) fn number(about: &str) -> Schema {
    typed("number", about)
}

/// True or false.
pub(crate) fn boolean(about: &str) -> Schema {
    typed("boolean", about)
}

/// One of a few words.
pub(crate) fn word(words: &[&str], about: &str) -> Schema {
    text(about).with("enum", words)
}

/// An absolute address.
pub(crate) fn url(about: &str) -> Schema {
    text(about).with("format", "uri")
}

/// The name of a record.
pub(crate) fn at_uri(about: &str) -> Schema {
    text(about).pattern("^at://")
}

/// Who somebody is for good.
pub(crate) fn did(about: &str) -> Schema {
    text(about).pattern("^did:")
}

/// A moment, by RFC 3339.
pub(crate) fn time(about: &str) -> Schema {
    text(about).with("format", "date-time")
}

/// A day of UTC.
pub(crate) fn day(about: &str) -> Schema {
    text(about).with("format", "date")
}

/// A UUID.
pub(crate) fn uuid(about: &str) -> Schema {
    text(about).with("format", "uuid")
}

/// A file in a form.
pub(crate) fn file(about: &str) -> Schema {
    text(about).with("contentMediaType", "application/octet-stream")
}

/// Always null here, until this server knows better; of another type elsewhere.
pub(crate) fn unknown(kind: &str, about: &str) -> Schema {
    Schema::new(json!({"type": [kind, "null"], "description": format!("{about} Always null here.")}))
}

/// A list of such.
pub(crate) fn list(of: Schema, about: &str) -> Schema {
    typed("array", about).with("items", of.value)
}

/// An object whose keys are not known beforehand.
pub(crate) fn map(of: Schema, about: &str) -> Schema {
    typed("object", about).with("additionalProperties", of.value)
}

/// Any object.
pub(crate) fn anything(about: &str) -> Schema {
    typed("object", about)
}

/// One of the shapes that have a name.
pub(crate) fn named(name: &str) -> Schema {
    Schema::new(json!({"$ref": format!("#/components/schemas/{name}")}))
}

/// Any of several.
pub(crate) fn any_of<const N: usize>(schemas: [Schema; N]) -> Schema {
    Schema::new(json!({"anyOf": schemas.map(Schema::into_value).to_vec()}))
}

/// An object with these fields; all are always there, but those that are optional.
pub(crate) fn object<const N: usize>(about: &str, fields: [(&str, Schema); N]) -> Schema {
    let names = fields.iter().filter(|(_, schema)| !schema.is_optional).map(|(name, _)| *name);
    let required: Vec<&str> = names.collect();
    let properties: Map<String, Value> =
        fields.into_iter().map(|(name, schema)| (name.to_owned(), schema.value)).collect();
    typed("object", about).with("required", required).with("properties", properties)
}

/// The fields of an object, and these.
pub(crate) fn extended<const N: usize>(base: Schema, about: &str, fields: [(&str, Schema); N]) -> Schema {
    let mut whole = base.about(about);
    for (name, schema) in fields {
        if let Some(required) = whole.value["required"].as_array_mut().filter(|_| !schema.is_optional) {
            required.push(name.into());
        }
        whole.value["properties"][name] = schema.value;
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_null_says_so() {
        let text = text("a").at_most(3).or_null().into_value();
        assert_eq!(text, json!({"type": ["string", "null"], "description": "a", "maxLength": 3}));
        let chosen = word(&["x"], "a").or_null().into_value();
        let choice = json!({"type": "string", "enum": ["x"]});
        assert_eq!(chosen, json!({"anyOf": [choice, {"type": "null"}], "description": "a"}));
        let shape = named("X").about("a").or_null().into_value();
        let reference = json!({"$ref": "#/components/schemas/X"});
        assert_eq!(shape, json!({"anyOf": [reference, {"type": "null"}], "description": "a"}));
        let whole = extended(object("", [("a", integer("").optional())]), "b", [("c", boolean(""))]);
        assert_eq!(whole.into_value()["required"], json!(["c"]));
    }
}
