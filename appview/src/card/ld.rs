//! A card in the words of schema.org, for search engines: <https://schema.org/MusicRecording> and its like.

use chrono::SecondsFormat;
use serde_json::{Map, Value, json};

use super::{Card, Kind, Song, page_of};
use crate::Options;
use crate::actor::ProfileViewBasic;

/// As the text of a script element. No text in it can end that element, or begin a comment in it.
pub(super) fn script(options: &Options, card: &Card) -> String {
    let mut text = String::new();
    for character in value(options, card).to_string().chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(character)))
            }
            other => text.push(other),
        }
    }
    text
}

fn value(options: &Options, card: &Card) -> Value {
    let url = options.address(&card.path);
    let songs = || card.songs.iter().map(|song| recording(options, song)).collect::<Vec<Value>>();
    let owner = card.owner.as_ref().map(|owner| artist(options, owner));
    let mut thing = match (card.kind, card.songs.first()) {
        (Kind::Track, Some(song)) => whole_recording(options, song),
        (Kind::Track, None) => json!({"@type": "MusicRecording"}),
        (Kind::Album, _) => json!({"@type": "MusicAlbum", "byArtist": owner, "track": songs()}),
        (Kind::Playlist, _) => json!({"@type": "MusicPlaylist", "creator": owner, "track": songs()}),
        (Kind::Artist, _) => {
            let did = card.owner.as_ref().map(|owner| owner.did.as_str());
            let handle = card.owner.as_ref().map(|owner| owner.handle.as_str());
            json!({"@type": "MusicGroup", "identifier": did, "alternateName": handle, "track": songs()})
        }
        (Kind::Tag, _) => {
            let items = songs().into_iter().zip(1..);
            let items: Vec<Value> = items
                .map(|(item, position)| json!({"@type": "ListItem", "position": position, "item": item}))
                .collect();
            let list =
                json!({"@type": "ItemList", "numberOfItems": card.track_count, "itemListElement": items});
            json!({"@type": "CollectionPage", "mainEntity": list})
        }
    };
    if matches!(card.kind, Kind::Album | Kind::Playlist) {
        thing["numTracks"] = card.track_count.into();
        thing["datePublished"] =
            json!(card.created_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true)));
    }
    thing["@context"] = "https://schema.org".into();
    thing["@id"] = url.as_str().into();
    thing["url"] = url.into();
    thing["name"] = card.title.as_str().into();
    thing["image"] = json!(card.picture);
    thing["description"] = json!(card.text);
    without_nulls(thing)
}

/// One of several.
fn recording(options: &Options, song: &Song) -> Value {
    without_nulls(json!({
        "@type": "MusicRecording",
        "name": song.title,
        "url": options.address(&song.path),
        "byArtist": artist(options, &song.view.author),
        "duration": song.duration_s.map(duration),
    }))
}

fn whole_recording(options: &Options, song: &Song) -> Value {
    let mut thing = recording(options, song);
    let view = &song.view;
    let sound = |url: &String| json!({"@type": "AudioObject", "contentUrl": url});
    let counter = |action: &str, count: i64| {
        json!({"@type": "InteractionCounter", "interactionType": format!("https://schema.org/{action}"),
               "userInteractionCount": count})
    };
    thing["datePublished"] = view.sort_at.to_rfc3339_opts(SecondsFormat::Secs, true).into();
    thing["inAlbum"] = json!(song.album.as_ref().map(|name| json!({"@type": "MusicAlbum", "name": name})));
    thing["audio"] = json!(view.audio.as_ref().map(sound));
    thing["keywords"] = json!(Some(&view.tags).filter(|tags| !tags.is_empty()));
    thing["interactionStatistic"] =
        json!([counter("ListenAction", view.play_count), counter("LikeAction", view.like_count)]);
    thing
}

fn artist(options: &Options, person: &ProfileViewBasic) -> Value {
    json!({"@type": "MusicGroup", "name": person.name(), "url": options.address(&page_of(person))})
}

/// ISO 8601: `PT3M20S`.
fn duration(seconds: u32) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("PT{minutes}M{seconds}S"),
        _ => format!("PT{hours}H{minutes}M{seconds}S"),
    }
}

fn without_nulls(thing: Value) -> Value {
    match thing {
        Value::Object(fields) => {
            Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_iso_8601() {
        assert_eq!([1, 60, 3725].map(duration), ["PT0M1S", "PT1M0S", "PT1H2M5S"]);
    }

    #[test]
    fn no_title_ends_the_script() {
        let options = Options::new("https://plyr.example".parse().expect("a URL"));
        let card = Card {
            kind: Kind::Tag,
            title: "</script><!-- &\u{2028}".into(),
            by: String::new(),
            owner: None,
            text: None,
            path: "tag/x".into(),
            embed: None,
            picture: None,
            thumbnail: None,
            track_count: 0,
            songs: Vec::new(),
            created_at: None,
        };
        let text = script(&options, &card);
        assert!(!text.contains(['<', '>', '&', '\u{2028}']), "{text}");
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["name"], card.title.as_str());
        assert_eq!(read["url"], "https://plyr.example/tag/x");
    }
}
