//! teal's queries, so that its clients can point here: what people heard, and hear.

pub(crate) mod feed;
pub(crate) mod profile;
pub(crate) mod stats;
pub(crate) mod status;

use indexer::lexicon::parse_datetime_or_unix;
use indexer::record::mbid;
use serde_json::{Map, Value, json};

/// `fm.teal.feed.defs#playView` of what a play or the item of a status says, in either namespace. What older records say in
/// another form is told in today's; what cannot be is left out.
fn play_view(said: &Value) -> Value {
    let mut view = Map::new();
    let text = |name: &str| said[name].as_str().filter(|text| !text.is_empty());
    view.insert("trackName".into(), said["trackName"].as_str().unwrap_or_default().into());
    view.insert("artists".into(), artists(said));
    for name in ["trackMbId", "recordingMbId", "releaseMbId"] {
        if let Some(id) = text(name).and_then(mbid) {
            view.insert(name.into(), id.into());
        }
    }
    if let Some(seconds) = said["duration"].as_i64().filter(|seconds| *seconds >= 0) {
        view.insert("duration".into(), seconds.into());
    }
    for name in ["releaseName", "isrc", "submissionClientAgent"] {
        if let Some(text) = text(name) {
            view.insert(name.into(), text.into());
        }
    }
    if let Some(origin) = text("originUri").or(text("originUrl")).filter(|text| is_uri(text)) {
        view.insert("originUri".into(), origin.into());
    }
    let domain = text("musicServiceBaseDomain").map(|domain| format!("https://{domain}"));
    if let Some(service) = text("musicServiceUri").map(str::to_owned).or(domain).filter(|text| is_uri(text)) {
        view.insert("musicServiceUri".into(), service.into());
    }
    if let Some(at) = text("playedTime").and_then(parse_datetime_or_unix) {
        view.insert("playedTime".into(), json!(at));
    }
    Value::Object(view)
}

/// In the order of the credits; older records have names and identifiers apart.
fn artists(said: &Value) -> Value {
    let one = |name: &str, id: Option<&str>| {
        let mut artist = Map::from_iter([("artistName".to_owned(), Value::from(name))]);
        if let Some(id) = id.and_then(mbid) {
            artist.insert("artistMbId".into(), id.into());
        }
        Value::Object(artist)
    };
    let named = said["artists"].as_array().filter(|artists| !artists.is_empty());
    let artists: Vec<Value> = match named {
        Some(artists) => {
            let known = artists.iter().filter_map(|artist| Some((artist["artistName"].as_str()?, artist)));
            known.map(|(name, artist)| one(name, artist["artistMbId"].as_str())).collect()
        }
        None => {
            let names = said["artistNames"].as_array().into_iter().flatten().enumerate();
            let names = names.filter_map(|(at, name)| Some((at, name.as_str()?)));
            names.map(|(at, name)| one(name, said["artistMbIds"][at].as_str())).collect()
        }
    };
    Value::Array(artists.into_iter().filter(|artist| artist["artistName"] != "").collect())
}

/// As the lexicon's format has it: an at-uri is none to the parser of URLs.
fn is_uri(text: &str) -> bool {
    let of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let fits = text.split_once(':').is_some_and(|(scheme, rest)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(of_scheme)
            && !rest.is_empty()
    });
    fits && text.len() <= 8192 && !text.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_is_told_as_today() {
        let uuid = "2E1AB77B-1234-4CD6-9C2F-0123456789AB";
        let alpha = json!({
            "trackName": "t", "artistNames": ["a", "", "b"], "artistMbIds": [uuid, "x", "not an id"],
            "recordingMbId": uuid, "originUrl": "not a uri", "musicServiceBaseDomain": "plyr.fm",
            "playedTime": "1763600000", "duration": -1, "unknown": {"a": 1},
        });
        let id = format!("mbid:{}", uuid.to_ascii_lowercase());
        assert_eq!(
            play_view(&alpha),
            json!({
                "trackName": "t", "artists": [{"artistName": "a", "artistMbId": id}, {"artistName": "b"}],
                "recordingMbId": id, "musicServiceUri": "https://plyr.fm", "playedTime": "2025-11-20T00:53:20Z",
            })
        );
    }
}
