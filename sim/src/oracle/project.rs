//! What a lawful record says, as rows of the tables that are derived from it.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::truth::Record;

/// Where a collection's records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Track,
    /// `fm.plyr.like`
    Like,
    /// A like or repost of Bluesky's.
    Liked,
    /// A post of Bluesky's.
    Post,
    Comment,
    List,
    Profile,
    Play,
    ActorStatus,
    BskyProfile,
    TealProfile,
}

/// What a record adds to a number, beside what its links do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Count {
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
    /// Where it names what.
    pub links: BTreeSet<(&'static str, String)>,
    /// Its own claim.
    pub created_at: i64,
    /// It breaks its lexicon, and nothing follows from it.
    pub broken: bool,
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
            (_, "fm.teal.actor.profile" | "fm.teal.alpha.actor.profile") => Kind::TealProfile,
            (_, "app.bsky.actor.profile") => Kind::BskyProfile,
            (_, "app.bsky.feed.like" | "app.bsky.feed.repost") => Kind::Liked,
            (_, "app.bsky.feed.post") => Kind::Post,
            _ => return None,
        })
    }

    pub fn read(&self, kind: Kind, did: &str, path: &str, record: &Record) -> Result<Projected, String> {
        let (uri, it) = (format!("at://{did}/{path}"), &record.json);
        let rkey = path.split_once('/').map_or("", |(_, rkey)| rkey);
        Ok(match kind {
            Kind::Track => self.track(did, uri, it)?,
            Kind::Like | Kind::Liked => like(it)?,
            Kind::Post => Projected {
                links: self.shared(it),
                created_at: time(&it["createdAt"])?,
                ..Projected::default()
            },
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
            Kind::TealProfile => {
                let name = it["displayName"].as_str().map(str::trim).filter(|name| !name.is_empty());
                one("teal_profile", uri, json!({"did": did, "display_name": name}))
            }
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
            "did": did, "track_name": title, "artist_names": artists, "artist_mbids": artist_ids(it), "played_at": at.timestamp_micros(),
            "recording_mbid": it["recordingMbId"], "release_mbid": it["releaseMbId"], "isrc": it["isrc"],
        });
        merge(&mut row, heard);
        let fold = |text: &str| text.trim().to_lowercase();
        let path = if uri.contains("/fm.teal.alpha.") { "originUrl" } else { "originUri" };
        let links = subject.iter().map(|subject| (path, subject.clone())).collect();
        let count = subject.map(|subject| Count::Play {
            subject,
            second: at.timestamp(),
            title: fold(title),
            artist: fold(artists.first().map_or("", String::as_str)),
        });
        Ok(Projected { count, links, ..one("play", uri, row) })
    }

    fn status(&self, did: &str, uri: String, it: &Value) -> Result<Projected, String> {
        let item = &it["item"];
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
        self.named_by(origin)
            .filter(|uri| uri.split('/').nth(3) == Some(&format!("{}.track", self.namespace)))
    }

    /// A record of ours by its own URI, or by its page here.
    fn named_by(&self, text: &str) -> Option<String> {
        let (did, collection, rkey) = match (text.strip_prefix("at://"), text.strip_prefix(&self.public_url))
        {
            (Some(rest), _) => {
                let [did, collection, rkey] = rest.split('/').collect::<Vec<_>>()[..] else { return None };
                (did.to_owned(), collection.to_owned(), rkey.to_owned())
            }
            (_, Some(page)) => {
                let parts: Vec<&str> = page.split('/').filter(|part| !part.is_empty()).collect();
                match parts[..] {
                    ["track", did, rkey] => {
                        (percent_decoded(did)?, format!("{}.track", self.namespace), rkey.to_owned())
                    }
                    ["u", did] => (
                        percent_decoded(did)?,
                        format!("{}.actor.profile", self.namespace),
                        "self".to_owned(),
                    ),
                    _ => return None,
                }
            }
            _ => return None,
        };
        let is_ours = self.is_ours(&collection) && did.starts_with("did:") && !rkey.is_empty();
        is_ours.then(|| format!("at://{did}/{collection}/{rkey}"))
    }

    /// Whether a collection is one of music of ours, and not of plays or posts.
    pub fn is_ours(&self, collection: &str) -> bool {
        self.kind(collection).is_some() && collection.starts_with(&format!("{}.", self.namespace))
    }

    /// What of ours a post shares, or the post that it quotes, and where it says so.
    fn shared(&self, it: &Value) -> BTreeSet<(&'static str, String)> {
        let embed = &it["embed"];
        let mut said = vec![
            ("embed.external.uri", &embed["external"]["uri"]),
            ("embed.record.uri", &embed["record"]["uri"]),
            ("embed.record.record.uri", &embed["record"]["record"]["uri"]),
            ("embed.media.external.uri", &embed["media"]["external"]["uri"]),
        ];
        for facet in it["facets"].as_array().into_iter().flatten() {
            for feature in facet["features"].as_array().into_iter().flatten() {
                if feature["$type"] == "app.bsky.richtext.facet#link" {
                    said.push(("facets[].features[app.bsky.richtext.facet#link].uri", &feature["uri"]));
                }
            }
        }
        let named = |path: &str, text: &str| self.named_by(text).or_else(|| quoted(path, text));
        said.into_iter().filter_map(|(path, text)| Some((path, named(path, text.as_str()?)?))).collect()
    }
}

/// The post that a post quotes.
fn quoted(path: &str, text: &str) -> Option<String> {
    let [did, "app.bsky.feed.post", _] = text.strip_prefix("at://")?.split('/').collect::<Vec<_>>()[..]
    else {
        return None;
    };
    (path.starts_with("embed.record.") && did.starts_with("did:")).then(|| text.to_owned())
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

fn like(it: &Value) -> Result<Projected, String> {
    let subject = it["subject"]["uri"].as_str().unwrap_or_default().to_owned();
    let created_at = time(&it["createdAt"])?;
    Ok(Projected { links: [("subject.uri", subject)].into(), created_at, ..Projected::default() })
}

fn comment(did: &str, uri: String, it: &Value) -> Result<Projected, String> {
    let subject = it["subject"]["uri"].as_str().unwrap_or_default().to_owned();
    let row = json!({
        "did": did, "subject_uri": subject, "subject_cid": it["subject"]["cid"], "body": it["text"],
        "timestamp_ms": it["timestampMs"], "created_at": time(&it["createdAt"])?,
        "updated_at": maybe_time(&it["updatedAt"])?,
    });
    let links = [("subject.uri", subject.clone())].into();
    Ok(Projected { count: Some(Count::Comment(subject)), links, ..one("comment", uri, row) })
}

fn list(did: &str, uri: String, it: &Value) -> Result<Projected, String> {
    let row = json!({
        "did": did, "name": it["name"], "list_type": it["listType"], "created_at": time(&it["createdAt"])?,
        "updated_at": maybe_time(&it["updatedAt"])?,
    });
    let mut projected = one("list", uri.clone(), row);
    for (position, item) in it["items"].as_array().into_iter().flatten().enumerate() {
        let row = json!({"subject_uri": item["subject"]["uri"], "subject_cid": item["subject"]["cid"]});
        let subject = item["subject"]["uri"].as_str().unwrap_or_default();
        projected.links.insert(("items[].subject.uri", subject.to_owned()));
        // Padded, so that lines come in the order of the list.
        projected.rows.push(("list_item", format!("{uri} {position:03}"), row));
    }
    Ok(projected)
}

/// Names in the order of the credits; older records have them bare.
fn artists(it: &Value) -> Vec<String> {
    let named = strings(&it["artists"], |artist| artist["artistName"].as_str());
    let all = if named.is_empty() { strings(&it["artistNames"], Value::as_str) } else { named };
    // Nobody credits more.
    all.into_iter().take(20).collect()
}

/// MusicBrainz's name of each, or nothing.
fn artist_ids(it: &Value) -> Vec<String> {
    let id = |text: &Value| text.as_str().and_then(super::chart::identifier).unwrap_or_default();
    let named = it["artists"].as_array().filter(|artists| !artists.is_empty());
    match named {
        Some(artists) => artists.iter().take(20).map(|artist| id(&artist["artistMbId"])).collect(),
        None => (0..artists(it).len()).map(|at| id(&it["artistMbIds"][at])).collect(),
    }
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
