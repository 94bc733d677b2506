//! What a lawful record says, as rows of the tables that are derived from it.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::truth::Record;

/// Where a collection's records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Track,
    Like,
    Comment,
    List,
    Profile,
    Play,
    ActorStatus,
    BskyProfile,
}

/// What a record adds to a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Count {
    /// A person likes something, however often.
    Like(String),
    Comment(String),
    /// A person heard something at that second, in whichever namespace they said so.
    Play {
        subject: String,
        second: i64,
        title: String,
        artist: String,
    },
}

/// What follows from a record.
#[derive(Debug, Clone, Default)]
pub(super) struct Projected {
    pub rows: Vec<(&'static str, String, Value)>,
    pub count: Option<Count>,
    pub features: Vec<String>,
}

/// How records are read on one server.
pub(super) struct Reader {
    namespace: String,
    public_url: String,
}

impl Reader {
    pub fn new(namespace: &str, public_url: &str) -> Self {
        Reader { namespace: namespace.to_owned(), public_url: public_url.trim_end_matches('/').to_owned() }
    }

    /// None for a collection that is not indexed.
    pub fn kind(&self, collection: &str) -> Option<Kind> {
        let ours = collection.strip_prefix(&self.namespace).and_then(|rest| rest.strip_prefix('.'));
        Some(match (ours, collection) {
            (Some("track"), _) => Kind::Track,
            (Some("like"), _) => Kind::Like,
            (Some("comment"), _) => Kind::Comment,
            (Some("list"), _) => Kind::List,
            (Some("actor.profile"), _) => Kind::Profile,
            (_, "fm.teal.feed.play" | "fm.teal.alpha.feed.play") => Kind::Play,
            (_, "fm.teal.actor.status" | "fm.teal.alpha.actor.status") => Kind::ActorStatus,
            (_, "app.bsky.actor.profile") => Kind::BskyProfile,
            _ => return None,
        })
    }

    pub fn read(&self, kind: Kind, did: &str, path: &str, record: &Record) -> Result<Projected, String> {
        let (uri, it) = (format!("at://{did}/{path}"), &record.json);
        let rkey = path.split_once('/').map_or("", |(_, rkey)| rkey);
        Ok(match kind {
            Kind::Track => self.track(did, uri, it)?,
            Kind::Like => like(did, uri, it)?,
            Kind::Comment => comment(did, uri, it)?,
            Kind::List => list(did, uri, it)?,
            Kind::Profile => one(
                "profile",
                uri,
                json!({
                    "did": did, "bio": words(&it["bio"]), "avatar_url": it["avatar"],
                    "created_at": time(&it["createdAt"])?, "updated_at": maybe_time(&it["updatedAt"])?,
                }),
            ),
            Kind::Play => self.play(did, uri, rkey, it)?,
            Kind::ActorStatus => self.status(did, uri, it)?,
            Kind::BskyProfile => {
                let name = it["displayName"].as_str().map(str::trim).filter(|name| !name.is_empty());
                one(
                    "bsky_profile",
                    uri,
                    json!({
                        "did": did, "display_name": name, "description": words(&it["description"]),
                        "avatar_cid": it["avatar"]["ref"]["$link"],
                    }),
                )
            }
        })
    }

    fn track(&self, did: &str, uri: String, it: &Value) -> Result<Projected, String> {
        let features: Vec<String> = strings(&it["features"], |feature| feature["did"].as_str());
        // Sound for supporters only is not ours to hand out.
        let open = |value: &Value| if it.get("supportGate").is_some() { Value::Null } else { value.clone() };
        let row = json!({
            "did": did, "title": it["title"], "artist": it["artist"], "album": words(&it["album"]),
            "description": words(&it["description"]), "file_type": it["fileType"], "duration_s": seconds(&it["duration"]),
            "audio_cid": open(&it["audioBlob"]["ref"]["$link"]), "audio_url": open(&it["audioUrl"]),
            "image_cid": it["image"]["ref"]["$link"], "image_url": it["imageUrl"],
            "tags": tags(&it["tags"]), "feature_dids": features, "created_at": time(&it["createdAt"])?,
        });
        Ok(Projected { features, ..one("track", uri, row) })
    }

    fn play(&self, did: &str, uri: String, rkey: &str, it: &Value) -> Result<Projected, String> {
        let claimed = it["playedTime"].as_str().and_then(datetime_or_unix);
        // A scrobble without a time has one in its key.
        let at = claimed.unwrap_or_else(|| tid_time(rkey));
        let (heard, subject) = self.heard(it);
        let artists = artists(it);
        let title = it["trackName"].as_str().unwrap_or_default();
        let mut row = json!({
            "did": did, "track_name": title, "artist_names": artists, "played_at": at.timestamp_micros(),
            "recording_mbid": it["recordingMbId"], "release_mbid": it["releaseMbId"], "isrc": it["isrc"],
        });
        merge(&mut row, heard);
        let fold = |text: &str| text.trim().to_lowercase();
        let count = subject.map(|subject| Count::Play {
            subject,
            second: at.timestamp(),
            title: fold(title),
            artist: fold(artists.first().map_or("", String::as_str)),
        });
        Ok(Projected { count, ..one("play", uri, row) })
    }

    fn status(&self, did: &str, uri: String, it: &Value) -> Result<Projected, String> {
        let item = &it["item"];
        // Nothing is playing any more.
        if item["trackName"] == "" {
            return Ok(Projected::default());
        }
        let started = it["time"].as_str().and_then(datetime_or_unix).ok_or("time")?;
        let expires = it["expiry"].as_str().and_then(datetime_or_unix);
        let expires = expires.unwrap_or(started + chrono::TimeDelta::minutes(10));
        let mut row = json!({
            "did": did, "track_name": item["trackName"], "artist_names": artists(item),
            "started_at": started.timestamp_micros(), "expires_at": expires.timestamp_micros(),
        });
        merge(&mut row, self.heard(item).0);
        Ok(one("actor_status", uri, row))
    }

    /// The columns that plays and statuses share, and the track of ours that was heard.
    fn heard(&self, it: &Value) -> (Value, Option<String>) {
        let origin = it["originUri"].as_str().or(it["originUrl"].as_str());
        let service = match (&it["musicServiceUri"], &it["musicServiceBaseDomain"]) {
            (Value::String(uri), _) => Some(uri.clone()),
            (_, Value::String(domain)) => Some(format!("https://{domain}")),
            _ => None,
        };
        let subject = origin.and_then(|origin| self.track_named_by(origin));
        let columns = json!({
            "release_name": it["releaseName"], "duration_s": seconds(&it["duration"]), "origin_uri": origin,
            "service_uri": service, "subject_uri": subject,
        });
        (columns, subject)
    }

    /// A track's own URI, or its page here.
    fn track_named_by(&self, origin: &str) -> Option<String> {
        let collection = format!("{}.track", self.namespace);
        let decoded;
        let parts: Vec<&str> = match (origin.strip_prefix("at://"), origin.strip_prefix(&self.public_url)) {
            (Some(rest), _) => rest.split('/').collect(),
            (_, Some(page)) => {
                let (did, rkey) = page.strip_prefix("/track/")?.split_once('/')?;
                decoded = percent_decoded(did)?;
                vec![&decoded, &collection, rkey]
            }
            _ => return None,
        };
        match parts[..] {
            [did, found, rkey] if found == collection && did.starts_with("did:") && !rkey.is_empty() => {
                Some(format!("at://{did}/{collection}/{rkey}"))
            }
            _ => None,
        }
    }
}

/// A DID of did:web may hold a `%` of its own, which a URL holds as `%25`.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        bytes.extend(part[2..].bytes());
    }
    String::from_utf8(bytes).ok()
}

fn one(table: &'static str, uri: String, row: Value) -> Projected {
    Projected { rows: vec![(table, uri, row)], ..Projected::default() }
}

fn like(did: &str, uri: String, it: &Value) -> Result<Projected, String> {
    let subject = it["subject"]["uri"].as_str().unwrap_or_default().to_owned();
    let row = json!({
        "did": did, "subject_uri": subject, "subject_cid": it["subject"]["cid"], "created_at": time(&it["createdAt"])?,
    });
    Ok(Projected { count: Some(Count::Like(subject)), ..one("plyr_like", uri, row) })
}

fn comment(did: &str, uri: String, it: &Value) -> Result<Projected, String> {
    let subject = it["subject"]["uri"].as_str().unwrap_or_default().to_owned();
    let row = json!({
        "did": did, "subject_uri": subject, "subject_cid": it["subject"]["cid"], "body": it["text"],
        "timestamp_ms": it["timestampMs"], "created_at": time(&it["createdAt"])?,
        "updated_at": maybe_time(&it["updatedAt"])?,
    });
    Ok(Projected { count: Some(Count::Comment(subject)), ..one("comment", uri, row) })
}

fn list(did: &str, uri: String, it: &Value) -> Result<Projected, String> {
    let row = json!({
        "did": did, "name": it["name"], "list_type": it["listType"], "created_at": time(&it["createdAt"])?,
        "updated_at": maybe_time(&it["updatedAt"])?,
    });
    let mut projected = one("list", uri.clone(), row);
    for (position, item) in it["items"].as_array().into_iter().flatten().enumerate() {
        let row = json!({"subject_uri": item["subject"]["uri"], "subject_cid": item["subject"]["cid"]});
        // Padded, so that lines come in the order of the list.
        projected.rows.push(("list_item", format!("{uri} {position:03}"), row));
    }
    Ok(projected)
}

/// Names in the order of the credits; older records have them bare.
fn artists(it: &Value) -> Vec<String> {
    let named = strings(&it["artists"], |artist| artist["artistName"].as_str());
    if named.is_empty() { strings(&it["artistNames"], Value::as_str) } else { named }
}

/// Tags in one form: trimmed, single spaces, lower case, no hyphens at the ends, each once.
fn tags(value: &Value) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in strings(value, Value::as_str) {
        let tag = tag.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let tag = tag.trim_matches(|c| c == '-' || c == ' ').to_owned();
        if !tag.is_empty() && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

fn strings(value: &Value, read: impl Fn(&Value) -> Option<&str>) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(|item| read(item).map(str::to_owned)).collect()
}

/// Text that says something.
fn words(value: &Value) -> Option<&str> {
    value.as_str().filter(|text| !text.trim().is_empty())
}

/// A duration; old scrobbles have negative ones, and the column is narrower than the data model.
fn seconds(value: &Value) -> Option<i64> {
    value.as_i64().filter(|seconds| *seconds >= 0).map(|seconds| seconds.min(i64::from(i32::MAX)))
}

pub(super) fn merge(row: &mut Value, more: Value) {
    if let (Value::Object(row), Value::Object(more)) = (row, more) {
        row.extend(more);
    }
}

fn time(value: &Value) -> Result<i64, String> {
    let at = value.as_str().and_then(datetime).ok_or_else(|| format!("no datetime: {value}"))?;
    Ok(at.timestamp_micros())
}

fn maybe_time(value: &Value) -> Result<Option<i64>, String> {
    if value.is_null() { Ok(None) } else { time(value).map(Some) }
}

/// A datetime with its zone.
pub(super) fn datetime(text: &str) -> Option<DateTime<Utc>> {
    if text.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
}

/// The same, or seconds since 1970 as digits.
pub(super) fn datetime_or_unix(text: &str) -> Option<DateTime<Utc>> {
    datetime(text).or_else(|| DateTime::from_timestamp(text.parse().ok()?, 0))
}

/// The moment that a TID names: microseconds in base 32, and ten bits of the clock's name.
fn tid_time(tid: &str) -> DateTime<Utc> {
    let digit =
        |byte: u8| b"234567abcdefghijklmnopqrstuvwxyz".iter().position(|known| *known == byte).unwrap_or(0);
    let number = tid.bytes().fold(0u64, |number, byte| (number << 5) | digit(byte) as u64);
    DateTime::from_timestamp_micros((number >> 10) as i64).unwrap_or_default()
}
