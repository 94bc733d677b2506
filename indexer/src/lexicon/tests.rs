mod files;
mod formats;
mod language;
mod permissions;
mod queries;
mod records;

use ipld_core::ipld::Ipld;
use serde_json::{Value, json};

use super::*;

const RKEY: &str = "3jzfcijpj2z2a";
const TRACK_URI: &str = "at://did:plc:ewvi7nxzyoun6zhxrhs64oiz/fm.plyr.track/3jzfcijpj2z2a";
const RECORD_CID: &str = "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a";
const BLOB_CID: &str = "bafkreiccldh766hwcnuxnf2wh6jgzepf2nlu2lvcllt63eww5p6chi4ity";

fn value(json: &Value) -> Ipld {
    crate::dag::from_json(json).expect("in the data model")
}

fn blob(mime: &str, size: i64) -> Value {
    json!({"$type": "blob", "ref": {"$link": BLOB_CID}, "mimeType": mime, "size": size})
}

/// A record of every kind, complete where that is short, with the key it stands under.
fn samples() -> Vec<(&'static str, &'static str, Value)> {
    let at = "2026-11-20T10:00:00.000Z";
    let subject = json!({"uri": TRACK_URI, "cid": RECORD_CID});
    let play = json!({
        "trackName": "night bus", "artists": [{"artistName": "mira", "artistMbId": "mbid:x"}],
        "recordingMbId": "mbid:b1a9c0e9-d987-4042-ae91-78d6a3267d69", "duration": 214, "isrc": "DEA121500093",
        "originUri": "https://plyr.fm/track/1", "musicServiceUri": "https://plyr.fm", "playedTime": at,
    });
    let listener = json!({
        "displayName": "mira", "description": "", "avatar": blob("image/png", 1), "createdAt": at,
        "featuredItem": {"mbid": "mbid:b1a9c0e9-d987-4042-ae91-78d6a3267d69", "type": "recording"},
    });
    let alpha = json!({
        "trackName": "night bus", "artists": [{"artistName": "mira"}], "artistNames": ["mira"],
        "recordingMbId": "b1a9c0e9-d987-4042-ae91-78d6a3267d69", "originUrl": "plyr.fm/track/1",
        "musicServiceBaseDomain": "local", "playedTime": "1763600000",
    });
    let mut records = vec![
        (
            "fm.plyr.track",
            RKEY,
            json!({
                "title": "night bus", "artist": "mira", "fileType": "mp3", "createdAt": at, "duration": 214,
                "audioUrl": "https://media.example/a.mp3", "audioBlob": blob("audio/mpeg", 104_857_600),
                "album": "", "description": "one take", "tags": ["ambient", "été"], "image": blob("image/webp", 2_000_000),
                "imageUrl": "https://media.example/a.png", "features": [{"did": "did:plc:abc", "handle": "handle.invalid"}],
                "supportGate": {"type": "something new"}, "fileId": "a field of early records",
                "labels": {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "sexual"}]},
            }),
        ),
        ("fm.plyr.like", RKEY, json!({"subject": subject, "createdAt": at})),
        (
            "fm.plyr.comment",
            RKEY,
            json!({"subject": subject, "text": "!", "timestampMs": 0, "createdAt": at}),
        ),
        (
            "fm.plyr.list",
            RKEY,
            json!({
                "name": "late", "listType": "album", "items": [{"subject": subject}], "createdAt": at, "updatedAt": at,
            }),
        ),
        (
            "fm.plyr.actor.profile",
            "self",
            json!({"createdAt": at, "bio": "", "avatar": "https://a.example/a.png"}),
        ),
        ("fm.teal.feed.play", RKEY, play.clone()),
        ("fm.teal.actor.status", "self", json!({"time": at, "expiry": at, "item": play})),
        ("fm.teal.alpha.feed.play", RKEY, alpha.clone()),
        ("fm.teal.alpha.actor.status", "self", json!({"time": "1763600000", "expiry": at, "item": alpha})),
        (
            "app.bsky.feed.like",
            RKEY,
            json!({"subject": subject, "createdAt": at, "via": {"a field": "not read"}}),
        ),
        ("app.bsky.feed.repost", RKEY, json!({"subject": subject, "createdAt": at})),
        (
            "app.bsky.graph.follow",
            RKEY,
            json!({"subject": "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "createdAt": at}),
        ),
        (
            "app.bsky.feed.post",
            RKEY,
            json!({"text": "", "createdAt": at, "embed": {"$type": "something new"}, "facets": [{"features": []}], "langs": ["en"]}),
        ),
        (
            "app.bsky.actor.profile",
            "self",
            json!({
                "displayName": "mira", "description": "", "avatar": blob("image/png", 1_000_000), "createdAt": at,
                "banner": blob("image/jpeg", 1), "pinnedPost": "a field not read here",
            }),
        ),
        ("fm.teal.actor.profile", "self", listener.clone()),
        ("fm.teal.alpha.actor.profile", "self", listener),
    ];
    for (nsid, _, record) in &mut records {
        record["$type"] = json!(nsid);
    }
    records
}

fn sample(nsid: &str) -> (&'static str, Value) {
    let (_, rkey, record) = samples().into_iter().find(|sample| sample.0 == nsid).expect("a sample");
    (rkey, record)
}
