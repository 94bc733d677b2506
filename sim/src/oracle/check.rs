//! Does a record keep to its lexicon? The rules that a simulated world breaks, written down once more.
//!
//! Lengths are bytes; graphemes are counted as characters, for the simulated people write none that are made of several.

use serde_json::Value;

use super::project::{Kind, datetime};
use crate::truth::Record;

/// A larger record is kept without a projection.
const VALUE_MAX_BYTES: usize = 256 * 1024;
/// Containers inside one another; the reference implementations stop there.
const DEPTH_MAX: usize = 32;

type Checked = Result<(), String>;

/// Why a record has no projection, where it has none.
pub(super) fn check(kind: Kind, collection: &str, rkey: &str, record: &Record) -> Checked {
    if record.bytes.len() > VALUE_MAX_BYTES {
        return Err("too large".into());
    }
    if contains_nul(&record.json) {
        return Err("a string holds U+0000".into());
    }
    if contains_float(&record.json) {
        return Err("the data model has no floats".into());
    }
    if depth(&record.json) > DEPTH_MAX {
        return Err("nested too deep".into());
    }
    let it = Object { value: &record.json, path: "" };
    it.is_object()?;
    if it.value["$type"] != collection {
        return Err(format!("$type: {}", it.value["$type"]));
    }
    let key_fits = match kind {
        Kind::Profile | Kind::ActorStatus | Kind::BskyProfile | Kind::TealProfile => rkey == "self",
        _ => is_tid(rkey),
    };
    if !key_fits {
        return Err(format!("the key is {rkey}"));
    }
    let alpha = collection.contains(".alpha.");
    match kind {
        Kind::Track => track(&it),
        Kind::Like | Kind::Liked => it.subject().and_then(|()| it.time("createdAt", true)),
        Kind::Post => post(&it),
        Kind::Comment => comment(&it),
        Kind::List => list(&it),
        Kind::Profile => profile(&it),
        Kind::Play => play(&it, alpha),
        Kind::ActorStatus => status(&it, alpha),
        Kind::BskyProfile => bsky_profile(&it),
        Kind::TealProfile => teal_profile(&it),
    }
}

fn track(it: &Object) -> Checked {
    it.text("title", true, 1, 256)?;
    it.text("artist", true, 1, 256)?;
    it.text("fileType", true, 1, 16)?;
    it.time("createdAt", true)?;
    it.uri("audioUrl")?;
    it.blob("audioBlob", &["audio/"], 104_857_600)?;
    it.text("album", false, 0, 256)?;
    it.number("duration", false, 0)?;
    it.text("description", false, 0, 5000)?;
    it.each("features", 10, |feature| match feature.value["did"].as_str() {
        Some(did) if did.starts_with("did:") => feature.text("displayName", false, 0, 256),
        _ => Err("features: no did".into()),
    })?;
    it.each("tags", 10, |tag| match tag.value.as_str() {
        Some(text) if (1..=500).contains(&text.len()) && text.chars().count() <= 50 => Ok(()),
        _ => Err("tags".into()),
    })?;
    it.blob("image", &["image/png", "image/jpeg", "image/webp"], 2_000_000)?;
    it.uri("imageUrl")?;
    if let Some(gate) = it.object("supportGate")? {
        gate.text("type", true, 0, usize::MAX)?;
    }
    // Not the lexicon's, but a track without sound is none.
    if it.get("audioUrl").is_none() && it.get("audioBlob").is_none() {
        return Err("nothing can be played".into());
    }
    Ok(())
}

fn post(it: &Object) -> Checked {
    it.text("text", true, 0, 3000)?;
    it.characters("text", 300)?;
    it.object("embed")?;
    it.each("facets", usize::MAX, |facet| facet.is_object())?;
    it.time("createdAt", true)
}

fn comment(it: &Object) -> Checked {
    it.subject()?;
    it.text("text", true, 1, 1000)?;
    it.number("timestampMs", true, 0)?;
    it.time("createdAt", true)?;
    it.time("updatedAt", false)
}

fn list(it: &Object) -> Checked {
    if it.get("items").is_none() {
        return Err("items: missing".into());
    }
    it.each("items", 500, |item| item.subject())?;
    it.time("createdAt", true)?;
    it.text("name", false, 0, 256)?;
    it.characters("name", 64)?;
    it.text("listType", false, 0, usize::MAX)?;
    it.time("updatedAt", false)
}

fn profile(it: &Object) -> Checked {
    it.uri("avatar")?;
    it.text("bio", false, 0, 2560)?;
    it.characters("bio", 256)?;
    it.time("createdAt", true)?;
    it.time("updatedAt", false)
}

fn play(it: &Object, alpha: bool) -> Checked {
    it.text("trackName", true, 1, 256)?;
    it.each("artistNames", usize::MAX, |name| match name.value.as_str() {
        Some(text) if text.len() <= 256 && (alpha || !text.is_empty()) => Ok(()),
        _ => Err("artistNames".into()),
    })?;
    it.text("trackDiscriminant", false, 0, 128)?;
    it.text("releaseDiscriminant", false, 0, 128)?;
    heard(it, alpha)
}

fn status(it: &Object, alpha: bool) -> Checked {
    for (name, required) in [("time", true), ("expiry", false)] {
        if alpha { it.text(name, required, 0, 64)? } else { it.time(name, required)? }
    }
    if it.value["time"].as_str().and_then(super::project::datetime_or_unix).is_none() {
        return Err("time: not a time".into());
    }
    let Some(item) = it.object("item")? else { return Err("item: missing".into()) };
    item.text("trackName", true, 0, 256)?;
    if !alpha && item.get("artists").is_none() {
        return Err("item: no artists".into());
    }
    heard(&item, alpha)
}

/// What plays and statuses have in common.
fn heard(it: &Object, alpha: bool) -> Checked {
    it.each("artists", usize::MAX, |artist| artist.text("artistName", true, usize::from(!alpha), 256))?;
    it.text("releaseName", false, 0, 256)?;
    it.text("isrc", false, 0, usize::MAX)?;
    it.text("submissionClientAgent", false, 0, 256)?;
    it.number("duration", false, i64::MIN)?;
    if alpha {
        return it.text("playedTime", false, 0, 64);
    }
    for name in ["trackMbId", "recordingMbId", "releaseMbId", "originUri", "musicServiceUri"] {
        it.uri(name)?;
    }
    it.time("playedTime", false)
}

fn bsky_profile(it: &Object) -> Checked {
    it.text("displayName", false, 0, 640)?;
    it.characters("displayName", 64)?;
    it.text("description", false, 0, 2560)?;
    it.characters("description", 256)?;
    for name in ["avatar", "banner"] {
        it.blob(name, &["image/png", "image/jpeg"], 1_000_000)?;
    }
    it.time("createdAt", false)
}

fn teal_profile(it: &Object) -> Checked {
    bsky_profile(it)?;
    it.each("descriptionFacets", usize::MAX, |facet| facet.is_object())?;
    let Some(featured) = it.object("featuredItem")? else { return Ok(()) };
    featured.text("mbid", true, 0, usize::MAX)?;
    featured.text("type", true, 0, usize::MAX)
}

/// A value, and where it stands.
struct Object<'a> {
    value: &'a Value,
    path: &'static str,
}

impl<'a> Object<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name)
    }

    fn is_object(&self) -> Checked {
        if self.value.is_object() { Ok(()) } else { Err(format!("{}: no object", self.path)) }
    }

    fn string(&self, name: &str, required: bool) -> Result<Option<&'a str>, String> {
        match self.get(name) {
            None if required => Err(format!("{name}: missing")),
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| format!("{name}: no string")),
        }
    }

    fn text(&self, name: &str, required: bool, min: usize, max: usize) -> Checked {
        self.is_object()?;
        match self.string(name, required)? {
            Some(text) if !(min..=max).contains(&text.len()) => Err(format!("{name}: {} bytes", text.len())),
            _ => Ok(()),
        }
    }

    fn characters(&self, name: &str, max: usize) -> Checked {
        match self.string(name, false)? {
            Some(text) if text.chars().count() > max => Err(format!("{name}: too many graphemes")),
            _ => Ok(()),
        }
    }

    fn time(&self, name: &str, required: bool) -> Checked {
        match self.string(name, required)? {
            Some(text) if datetime(text).is_none() => Err(format!("{name}: no datetime: {text}")),
            _ => Ok(()),
        }
    }

    fn uri(&self, name: &str) -> Checked {
        let is_uri = |text: &str| {
            text.split_once(':').is_some_and(|(scheme, rest)| {
                scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !rest.is_empty()
            }) && !text.contains(char::is_whitespace)
        };
        match self.string(name, false)? {
            Some(text) if !is_uri(text) => Err(format!("{name}: no URI: {text}")),
            _ => Ok(()),
        }
    }

    fn number(&self, name: &str, required: bool, min: i64) -> Checked {
        match self.get(name) {
            None if required => Err(format!("{name}: missing")),
            None => Ok(()),
            Some(value) => match value.as_i64() {
                Some(number) if number >= min => Ok(()),
                _ => Err(format!("{name}: {value}")),
            },
        }
    }

    fn object(&self, name: &'static str) -> Result<Option<Object<'a>>, String> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let object = Object { value, path: name };
        object.is_object().map(|()| Some(object))
    }

    fn each(&self, name: &'static str, max: usize, check: impl Fn(&Object<'a>) -> Checked) -> Checked {
        let Some(value) = self.get(name) else { return Ok(()) };
        let items = value.as_array().ok_or_else(|| format!("{name}: no array"))?;
        if items.len() > max {
            return Err(format!("{name}: {} of them", items.len()));
        }
        items.iter().try_for_each(|value| check(&Object { value, path: name }))
    }

    fn blob(&self, name: &str, accept: &[&str], max_bytes: u64) -> Checked {
        let Some(blob) = self.get(name) else { return Ok(()) };
        let mime = blob["mimeType"].as_str().unwrap_or_default();
        let is_whole = blob["$type"] == "blob" && blob["ref"]["$link"].is_string();
        let size = blob["size"].as_u64().unwrap_or(u64::MAX);
        if is_whole && accept.iter().any(|prefix| mime.starts_with(prefix)) && size <= max_bytes {
            return Ok(());
        }
        Err(format!("{name}: {blob}"))
    }

    /// A strong reference to a record: by the DID of its repo, for a handle is no identity.
    fn subject(&self) -> Checked {
        let Some(subject) = self.object("subject")? else { return Err("subject: missing".into()) };
        let uri = subject.string("uri", true)?.unwrap_or_default();
        let parts: Vec<&str> = uri.strip_prefix("at://").unwrap_or_default().split('/').collect();
        let names_record = matches!(parts[..], [did, collection, rkey]
            if did.starts_with("did:") && collection.split('.').count() >= 3 && !rkey.is_empty());
        if !names_record || uri.len() > 1024 {
            return Err(format!("subject: {uri}"));
        }
        let cid = subject.string("cid", true)?.unwrap_or_default();
        let is_cid = cid.len() >= 8
            && cid.starts_with('b')
            && cid.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
        if is_cid { Ok(()) } else { Err(format!("subject: {cid}")) }
    }
}

fn is_tid(text: &str) -> bool {
    let fits = |byte: u8| matches!(byte, b'2'..=b'7' | b'a'..=b'z');
    text.len() == 13 && text.bytes().all(fits) && text.bytes().next().is_some_and(|byte| byte <= b'j')
}

fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(contains_nul),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| name.contains('\0') || contains_nul(value))
        }
        _ => false,
    }
}

fn contains_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(contains_float),
        Value::Object(fields) => fields.values().any(contains_float),
        _ => false,
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}
