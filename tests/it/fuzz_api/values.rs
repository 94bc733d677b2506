//! Requests, lawful and not, from a seed.

use std::collections::BTreeMap;
use std::fmt;

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::{Map, Value, json};

use super::answer::Seen;
use super::operations::{Body, Operation, Parameter, Takes};
use crate::world::pds;

/// Cursors that are kept to be shown again, to whatever list.
const CURSORS: usize = 60;

/// Whom a request comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Nobody,
    Cookie,
    /// The cookie, from another's page.
    Foreign,
    Bearer,
    BadBearer,
    BadJwt,
}

/// A request of an operation.
#[derive(Debug)]
pub struct Request {
    /// Path and query, percent-encoded, perhaps wrongly so.
    pub target: String,
    pub who: Who,
    pub body: Body,
    pub is_head: bool,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |text: &str| text.chars().take(500).collect::<String>();
        write!(f, "{:?} {}", self.who, short(&self.target))?;
        match &self.body {
            Body::None => Ok(()),
            Body::Raw(kind, bytes) => write!(f, " {kind}: {}", short(&String::from_utf8_lossy(bytes))),
            Body::Form(fields) => {
                for (name, is_file, bytes) in fields {
                    let text = String::from_utf8_lossy(bytes);
                    let text = if *is_file { format!("({} bytes)", bytes.len()) } else { short(&text) };
                    write!(f, " {name}={text}")?;
                }
                Ok(())
            }
        }
    }
}

/// What is known to be there, by what it is, and the cursors of lists.
#[derive(Default)]
pub struct Known(BTreeMap<&'static str, Vec<String>>);

impl Known {
    pub fn add(&mut self, key: &'static str, value: &str) {
        let values = self.0.entry(key).or_default();
        if !values.iter().any(|known| known == value) {
            values.push(value.to_owned());
        }
    }

    /// Keeps the cursor of an answer.
    pub fn learn(&mut self, seen: &Seen) {
        if seen.status != 200 || self.0.get("cursor").is_some_and(|cursors| cursors.len() >= CURSORS) {
            return;
        }
        let body = seen.json().unwrap_or_default();
        for cursor in ["cursor", "next_cursor"].iter().filter_map(|name| body[name].as_str()) {
            self.add("cursor", cursor);
        }
    }

    fn one(&self, key: &str, rng: &mut StdRng) -> Option<String> {
        self.0.get(key)?.choose(rng).cloned()
    }

    fn any(&self, rng: &mut StdRng) -> String {
        let keys: Vec<&&str> = self.0.keys().collect();
        let key = keys.choose(rng).expect("something is known");
        self.one(key, rng).unwrap_or_default()
    }
}

/// What a parameter or field of this name names.
fn key(operation: &Operation, name: &str) -> &'static str {
    let path = operation.name.as_str();
    let is_list = path.contains("/lists/") || operation.id.contains(".list.");
    match name {
        "id" if path.contains("/tracks/comments/") => "comment_id",
        "id" if path.contains("/lists/") => "playlist_id",
        "id" if operation.id == "deleteTrack" => "own_track_id",
        "id" | "track_id" => "track_id",
        "did" | "authorDID" | "repo" => "did",
        "handle" | "actor" | "actors" | "artist_did" | "features" => "handle",
        "uri" if is_list => "list",
        "uri" | "uris" | "target" | "subject" | "track" | "service" => "uri",
        "url" | "image_url" | "return_to" => "url",
        "rkey" if operation.id == "fm.teal.feed.getPlay" => "play_rkey",
        "tag" | "tags" => "tag",
        "q" | "search" => "q",
        "cursor" => "cursor",
        "feed" => "feed",
        "rkey" => "rkey",
        "slug" => "slug",
        "cid" => "cid",
        "file_id" => "file_id",
        "page" => "page",
        "path" => "path",
        "source" => "source",
        "collection" => "collection",
        _ => "",
    }
}

/// One request; `lawful` ones come from who is signed in, and are right in everything.
pub fn request(operation: &Operation, known: &Known, lawful: bool, rng: &mut StdRng) -> Request {
    let mut target = operation.paths.choose(rng).expect("a path").clone();
    let mut query: Vec<String> = Vec::new();
    for parameter in &operation.parameters {
        let value = |rng: &mut StdRng| encoded(operation, parameter, known, lawful, rng);
        if parameter.is_path {
            let value = Some(value(rng)).filter(|value| may_be_part(value)).unwrap_or_else(|| "x".to_owned());
            target = target.replace(&format!("{{{}}}", parameter.name), &value);
            continue;
        }
        let times = match (lawful, parameter.is_required) {
            (true, true) => 1,
            (true, false) => usize::from(parameter.name != "cursor" && rng.random_bool(0.3)),
            (false, true) => [0, 1, 1, 1, 1, 1, 1, 2][rng.random_range(0..8)],
            (false, false) => [0, 0, 1, 1, 1, 1, 2, 30][rng.random_range(0..8)],
        };
        let times = if parameter.schema["type"] != "array" { times.min(2) } else { times };
        for _ in 0..times {
            query.push(format!("{}={}", parameter.name, value(rng)));
        }
    }
    if !lawful && rng.random_bool(0.2) {
        query.push(["x=1", "&&", "=", "%00=1", "%FF", "limit[]=1", "a=%"][rng.random_range(0..7)].to_owned());
    }
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    let who = if lawful { Who::Cookie } else { who(rng) };
    let is_head = !lawful && operation.method == reqwest::Method::GET && rng.random_bool(0.03);
    Request { target, who, body: body(operation, known, lawful, rng), is_head }
}

fn who(rng: &mut StdRng) -> Who {
    match rng.random_range(0..20) {
        0..8 => Who::Nobody,
        8..13 => Who::Cookie,
        13..17 => Who::Bearer,
        17 => Who::Foreign,
        18 => Who::BadBearer,
        _ => Who::BadJwt,
    }
}

/// Empty parts and dots make another path, and these words are paths of their own.
fn may_be_part(value: &str) -> bool {
    let dots = value.to_lowercase().replace("%2e", ".");
    !["", ".", "..", "me"].contains(&dots.as_str()) && !value.contains(['?', '#', '/', '\\'])
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A value as it stands in a path or a query.
fn encoded(
    operation: &Operation,
    parameter: &Parameter,
    known: &Known,
    lawful: bool,
    rng: &mut StdRng,
) -> String {
    const WRONG: [&str; 9] = ["%00", "a%00b", "%FF", "%C3%28", "%", "%zz", "%ED%A0%80", "a+b", "%2e%2E%2f"];
    let schema = &parameter.schema;
    let schema = if schema["type"] == "array" { &schema["items"] } else { schema };
    if !lawful && rng.random_bool(0.12) {
        return WRONG.choose(rng).expect("one").to_string();
    }
    let value = match lawful || rng.random_bool(0.45) {
        true => good(schema, key(operation, &parameter.name), known, rng),
        false => bad(schema, key(operation, &parameter.name), known, rng),
    };
    encode(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// What a schema allows.
fn good(schema: &Value, key: &str, known: &Known, rng: &mut StdRng) -> Value {
    let words = ["enum", "knownValues"].iter().find_map(|name| schema[name].as_array());
    if let Some(word) = words.and_then(|words| words.choose(rng)) {
        return word.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds[0].as_str(),
        kind => kind.as_str(),
    };
    if let Some(value) = known.one(key, rng) {
        let number = value.parse::<i64>().ok().filter(|_| kind == Some("integer"));
        return number.map_or(value.into(), Value::from);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return good(&any[0], key, known, rng);
    }
    match kind {
        Some("integer") => {
            let least = schema["minimum"].as_i64().unwrap_or(0);
            let most = schema["maximum"].as_i64().unwrap_or(100);
            rng.random_range(least..=most.min(least.saturating_add(400))).into()
        }
        Some("boolean") => rng.random_bool(0.5).into(),
        Some("array") => json!([good(&schema["items"], key, known, rng)]),
        Some("object") => object(schema, known, rng),
        _ => ["described", "first", "a word"].choose(rng).copied().into(),
    }
}

fn object(schema: &Value, known: &Known, rng: &mut StdRng) -> Value {
    let none = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&none);
    let fields = properties.iter().map(|(name, schema)| (name.clone(), good(schema, "", known, rng)));
    Value::Object(fields.collect())
}

/// What it may well not allow.
fn bad(schema: &Value, key: &str, known: &Known, rng: &mut StdRng) -> Value {
    match rng.random_range(0..10) {
        0 => known.any(rng).into(),
        1 | 2 => number(schema, rng).into(),
        3 => long(schema, rng).into(),
        4 | 5 if known.one(key, rng).is_some() => {
            forged(&known.one(key, rng).unwrap_or_default(), rng).into()
        }
        4 | 5 => forged(&known.one("cursor", rng).unwrap_or_default(), rng).into(),
        _ => odd(rng).into(),
    }
}

/// At the edges, and beyond.
fn number(schema: &Value, rng: &mut StdRng) -> String {
    let least = i128::from(schema["minimum"].as_i64().unwrap_or(0));
    let most = i128::from(schema["maximum"].as_i64().unwrap_or(100));
    let edges = [
        least - 1,
        least,
        least + 1,
        most - 1,
        most,
        most + 1,
        0,
        -1,
        i128::from(i32::MAX),
        i128::from(i32::MAX) + 1,
        i128::from(i32::MIN),
        i128::from(i64::MAX),
        i128::from(i64::MAX) + 1,
        i128::from(i64::MIN),
        i128::from(u64::MAX),
        i128::MAX,
    ];
    match rng.random_range(0..8) {
        0 => ["1.5", "1e3", "0x10", "+1", " 1", "1 ", "NaN", "٣", "-0", "1_000"]
            .choose(rng)
            .expect("one")
            .to_string(),
        _ => edges.choose(rng).expect("one").to_string(),
    }
}

fn long(schema: &Value, rng: &mut StdRng) -> String {
    let most = schema["maxLength"].as_u64().unwrap_or(300) as usize;
    let length = *[most.saturating_sub(1), most, most + 1, 3000, 6000].choose(rng).expect("one");
    let letter = ["a", "é", "日", "🎵", "%", " ", "a\u{301}"].choose(rng).expect("one");
    letter.repeat(length.min(12_000 / letter.len() / 3))
}

/// Something that is there, not quite.
fn forged(value: &str, rng: &mut StdRng) -> String {
    let letters: Vec<char> = value.chars().collect();
    if letters.is_empty() {
        return String::new();
    }
    let at = rng.random_range(0..letters.len());
    let mut changed = letters.clone();
    match rng.random_range(0..8) {
        0 => changed.truncate(at),
        1 => changed[at] = *['0', 'f', '/', ' ', 'é', '8', ':'].choose(rng).expect("one"),
        2 => drop(changed.remove(at)),
        3 => changed.extend(['0', '0']),
        4 => changed.extend(letters.clone()),
        5 => changed = value.to_uppercase().chars().collect(),
        // The key of a cursor, eight bytes after the tag of its list.
        6 if letters.len() > 18 => {
            let edges = [
                "7fffffffffffffff",
                "8000000000000000",
                "ffffffffffffffff",
                "0000000000000000",
                "00ffffffffffffff",
            ];
            let key = edges.choose(rng).expect("one");
            changed.splice(2..18, key.chars());
        }
        // Its tag.
        _ => {
            drop(changed.splice(..2.min(letters.len()), format!("{:02x}", rng.random_range(0..256)).chars()))
        }
    }
    changed.into_iter().collect()
}

fn odd(rng: &mut StdRng) -> String {
    const ODD: [&str; 45] = [
        "",
        " ",
        "\0",
        "a\0b",
        "\u{feff}",
        "\u{202e}abc",
        "a\u{301}\u{301}\u{301}",
        "🎵",
        "ß",
        "%",
        "_",
        "\\",
        "'",
        "\"",
        "<b>",
        "' or 1=1 --",
        "{}",
        "[]",
        "[[[[",
        "null",
        "true",
        "false",
        "None",
        "me",
        "../../etc/passwd",
        "did:",
        "did:plc:",
        "did:plc:ewvi7nxzyoun6zhxrhs64oiz",
        "did:web:127.0.0.1",
        "did:web:x%3A1",
        "at://",
        "at://did:plc:nobody/fm.plyr.track/1",
        "at://x/y/z/w",
        "at://nobody.test/fm.plyr.track/self",
        "https://plyr.example/track/1",
        "http://[::1",
        "http://x.example/a\0b",
        "nobody.test",
        "handle.invalid",
        "2020-01-01T00:00:00Z",
        "-100000-01-01T00:00:00Z",
        "294277-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "infinity",
        "00000000-0000-0000-0000-000000000000",
    ];
    ODD.choose(rng).expect("one").to_string()
}

fn body(operation: &Operation, known: &Known, lawful: bool, rng: &mut StdRng) -> Body {
    match &operation.takes {
        Takes::Nothing if lawful || rng.random_bool(0.9) => Body::None,
        Takes::Nothing => Body::Raw("application/json".into(), b"{\"x\": [".to_vec()),
        Takes::Json(schema) => json_body(operation, schema, known, lawful, rng),
        Takes::Form(schema) => form(operation, schema, known, lawful, rng),
    }
}

fn json_body(operation: &Operation, schema: &Value, known: &Known, lawful: bool, rng: &mut StdRng) -> Body {
    let raw = |text: String| Body::Raw("application/json".into(), text.into_bytes());
    if !lawful {
        match rng.random_range(0..14) {
            0 => return raw("[".repeat(3000)),
            1 => {
                return raw(["", "null", "[]", "1", "\"x\"", "{", "{}", "{\"text\": \"\\ud800\"}"]
                    [rng.random_range(0..8)]
                .into());
            }
            2 => return Body::Raw("text/plain".into(), b"{}".to_vec()),
            3 => return Body::Raw("application/json".into(), vec![0xff, 0xfe, 0]),
            4 => return Body::None,
            5 => return raw(format!("{{\"x\": \"{}\"}}", "a".repeat(70_000))),
            _ => {}
        }
    }
    let mut fields = Map::new();
    for (name, schema) in schema["properties"].as_object().expect("properties") {
        if !lawful && rng.random_bool(0.1) {
            continue;
        }
        let key = key(operation, name);
        let value = match lawful || rng.random_bool(0.7) {
            true => good(schema, key, known, rng),
            false => match rng.random_range(0..6) {
                0 => [Value::Null, json!(1), json!(-1.5), json!(1e300), json!({}), json!([[]]), json!(true)]
                    [rng.random_range(0..7)]
                .clone(),
                1 => serde_json::from_str(&number(schema, rng)).unwrap_or(Value::Null),
                _ => bad(schema, key, known, rng),
            },
        };
        fields.insert(name.clone(), value);
    }
    if !lawful && rng.random_bool(0.2) {
        fields.insert("unknown\0".into(), json!({"deep": [1, {"x": null}]}));
    }
    raw(Value::Object(fields).to_string())
}

fn form(operation: &Operation, schema: &Value, known: &Known, lawful: bool, rng: &mut StdRng) -> Body {
    if !lawful {
        let odd = ["multipart/form-data", "multipart/form-data; boundary=x", "application/json", ""];
        match rng.random_range(0..8) {
            0 => return Body::Raw((*odd.choose(rng).expect("one")).to_owned(), b"--x\r\n\r\n".to_vec()),
            1 => return Body::None,
            _ => {}
        }
    }
    let mut fields = Vec::new();
    for (name, schema) in schema["properties"].as_object().expect("properties") {
        let is_file = schema["contentMediaType"].is_string();
        let times =
            if lawful { usize::from(name != "image") } else { [0, 1, 1, 1, 1, 2][rng.random_range(0..6)] };
        for _ in 0..times {
            let bytes = match (is_file, lawful || rng.random_bool(0.5)) {
                // Never the same sound twice.
                (true, true) => pds::wav(rng.random_range(100..4000), 1),
                (true, false) => odd_bytes(rng),
                (false, true) => text(&good(schema, key(operation, name), known, rng)),
                (false, false) => text(&bad(schema, key(operation, name), known, rng)),
            };
            fields.push((name.clone(), is_file, bytes));
        }
    }
    Body::Form(fields)
}

fn text(value: &Value) -> Vec<u8> {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned).into_bytes()
}

fn odd_bytes(rng: &mut StdRng) -> Vec<u8> {
    let mut bytes = pds::wav(440, 1);
    match rng.random_range(0..4) {
        0 => Vec::new(),
        1 => b"not a sound".to_vec(),
        2 => {
            bytes.truncate(rng.random_range(0..60));
            bytes
        }
        _ => {
            for _ in 0..20 {
                let at = rng.random_range(0..44);
                bytes[at] = rng.random();
            }
            bytes
        }
    }
}
