//! What was answered, and whether that is described.

use std::collections::BTreeMap;
use std::fmt;

use jsonschema::Validator;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

/// An answer.
pub struct Seen {
    pub status: u16,
    pub kind: String,
    /// Empty of a stream of events, which does not end.
    pub body: String,
    pub has_location: bool,
}

impl Seen {
    pub async fn of(request: RequestBuilder) -> Result<Seen, reqwest::Error> {
        let response = request.send().await?;
        let text = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let (status, kind) = (response.status().as_u16(), text("content-type"));
        let has_location = !text("location").is_empty();
        let is_stream = kind.starts_with("text/event-stream");
        let body = if is_stream { Vec::new() } else { response.bytes().await?.to_vec() };
        Ok(Seen { status, kind, body: String::from_utf8_lossy(&body).into_owned(), has_location })
    }

    pub fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body: String = self.body.chars().take(400).collect();
        write!(f, "{} {} {body}", self.status, self.kind)
    }
}

/// What is described of one status.
pub struct Told {
    kind: Option<String>,
    schema: Option<Validator>,
    leads: bool,
}

/// What may be answered.
pub enum Judge {
    Described(BTreeMap<u16, Told>),
    Lexicon(String),
}

impl Judge {
    /// Of the responses of an operation.
    pub fn of(responses: &Value, components: &Value) -> Judge {
        let told = responses.as_object().expect("responses").iter().map(|(status, told)| {
            let content = told["content"].as_object().and_then(|content| content.iter().next());
            let schema = content.filter(|(kind, _)| *kind == "application/json").map(|(_, it)| &it["schema"]);
            let schema = schema.map(|schema| validator(schema, components));
            let leads = told["headers"]["Location"].is_object();
            let told = Told { kind: content.map(|(kind, _)| kind.clone()), schema, leads };
            (status.parse().expect("a status"), told)
        });
        Judge::Described(told.collect())
    }

    /// What is wrong with an answer.
    pub fn judge(&self, seen: &Seen, is_head: bool) -> Result<(), String> {
        if seen.status >= 500 && seen.status != 501 {
            return Err("a failure of ours".to_owned());
        }
        match self {
            Judge::Described(told) => {
                let told = told.get(&seen.status).ok_or("a status that is not described")?;
                if is_head { Ok(()) } else { told.judge(seen) }
            }
            Judge::Lexicon(_) if is_head => Ok(()),
            Judge::Lexicon(nsid) => by_lexicon(nsid, seen),
        }
    }
}

impl Told {
    fn judge(&self, seen: &Seen) -> Result<(), String> {
        if self.leads && !seen.has_location {
            return Err("leads nowhere".to_owned());
        }
        let Some(kind) = &self.kind else {
            return if seen.body.is_empty() {
                Ok(())
            } else {
                Err("a body that is not described".to_owned())
            };
        };
        if !seen.kind.starts_with(kind.trim_end_matches('*')) {
            return Err(format!("not {kind}"));
        }
        let Some(schema) = &self.schema else { return Ok(()) };
        let body = seen.json().ok_or("not JSON")?;
        let wrong = schema.iter_errors(&body).next();
        wrong.map_or(Ok(()), |error| Err(format!("{error} at {}", error.instance_path())))
    }
}

/// The error that a method declares, or one that all have.
fn by_lexicon(nsid: &str, seen: &Seen) -> Result<(), String> {
    let body = seen.json().ok_or("not JSON")?;
    if seen.status == 200 {
        return indexer::lexicon::check_output(nsid, &body).map_err(|why| why.to_string());
    }
    let name = body["error"].as_str().ok_or("an error without a name")?;
    if !body["message"].is_string() {
        return Err("an error without a message".to_owned());
    }
    let is_lawful = match seen.status {
        400 => name == "InvalidRequest" || indexer::lexicon::errors(nsid).any(|declared| declared == name),
        401 => true,
        403 => name == "Forbidden",
        429 => name == "RateLimitExceeded",
        _ => false,
    };
    if is_lawful { Ok(()) } else { Err("an error that is not declared".to_owned()) }
}

/// Stricter than what is published: fields that are not described are refused, as they should be.
fn validator(schema: &Value, components: &Value) -> Validator {
    let mut whole = json!({"allOf": [schema], "components": components});
    strict(&mut whole);
    jsonschema::options().should_validate_formats(true).build(&whole).expect("a schema")
}

fn strict(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.contains_key("properties") && map.get("type").is_some_and(|kind| kind == "object") {
                map.insert("additionalProperties".into(), false.into());
            }
            map.values_mut().for_each(strict);
        }
        Value::Array(list) => list.iter_mut().for_each(strict),
        _ => {}
    }
}
