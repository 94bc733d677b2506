//! The kinds of records, one function each.

use super::{Making, TRACK};
use crate::clock::rfc3339;
use crate::wire::Value;

pub(super) fn track(making: &mut Making<'_>) -> Value {
    let kind = *making.dice.pick(&["mp3", "flac", "m4a", "wav"]).unwrap_or(&"mp3");
    let mut track = Value::map([
        ("title", making.text(1, 4)),
        ("artist", making.text(1, 2)),
        ("fileType", Value::text(kind)),
        ("createdAt", making.created_at()),
    ]);
    // A blob would have us asked for its bytes, and we have none.
    let number = making.dice.roll();
    track = track.with("audioUrl", Value::text(format!("https://audio.example/{number:x}.{kind}")));
    if making.dice.chance(0.5) {
        track = track.with("duration", Value::Int(making.dice.between(1, 900) as i64));
    }
    if making.dice.chance(0.4) {
        track = track.with("album", making.text(1, 3));
    }
    if making.dice.chance(0.3) {
        track = track.with("description", making.text(0, 40));
    }
    if making.dice.chance(0.3) {
        let tags = (0..making.dice.between(1, 5)).map(|_| making.text(1, 2)).collect();
        track = track.with("tags", Value::List(tags));
    }
    if making.dice.chance(0.2) {
        let features = (0..making.dice.between(1, 4)).filter_map(|_| feature(making)).collect();
        track = track.with("features", Value::List(features));
    }
    if making.dice.chance(0.1) {
        track = track.with("imageUrl", Value::text(format!("https://images.example/{number:x}.png")));
    }
    if making.dice.chance(0.05) {
        track = track.with("supportGate", Value::map([("type", Value::text("any"))]));
    }
    if making.dice.chance(0.05) {
        let values = Value::List(vec![Value::map([("val", Value::text("explicit"))])]);
        let labels =
            Value::map([("$type", Value::text("com.atproto.label.defs#selfLabels")), ("values", values)]);
        track = track.with("labels", labels);
    }
    track
}

fn feature(making: &mut Making<'_>) -> Option<Value> {
    let did = making.dice.pick(making.people)?.clone();
    let feature = Value::map([("did", Value::text(did))]);
    Some(match making.dice.chance(0.3) {
        true => feature.with("handle", Value::text("once.test")).with("displayName", making.text(1, 2)),
        false => feature,
    })
}

pub(super) fn like(making: &mut Making<'_>) -> Value {
    Value::map([("subject", making.strong_ref()), ("createdAt", making.created_at())])
}

pub(super) fn comment(making: &mut Making<'_>) -> Value {
    let comment = Value::map([
        ("subject", making.strong_ref()),
        ("text", making.text(1, 12)),
        ("timestampMs", Value::Int(making.dice.below(600_000) as i64)),
        ("createdAt", making.created_at()),
    ]);
    if making.dice.chance(0.1) {
        comment.with("updatedAt", Value::text(rfc3339(making.now_us)))
    } else {
        comment
    }
}

pub(super) fn list(making: &mut Making<'_>) -> Value {
    let most = if making.dice.chance(0.03) { 500 } else { 12 };
    let items =
        (0..making.dice.between(0, most)).map(|_| Value::map([("subject", making.strong_ref())])).collect();
    let kind =
        *making.dice.pick(&["album", "playlist", "liked", "of a kind nobody knows"]).unwrap_or(&"album");
    Value::map([
        ("items", Value::List(items)),
        ("createdAt", making.created_at()),
        ("name", making.text(1, 3)),
        ("listType", Value::text(kind)),
    ])
}

pub(super) fn profile(making: &mut Making<'_>) -> Value {
    let profile = Value::map([("createdAt", making.created_at()), ("bio", making.text(0, 20))]);
    match making.dice.chance(0.3) {
        true => profile.with("avatar", Value::text("https://images.example/avatar.png")),
        false => profile,
    }
}

pub(super) fn play(making: &mut Making<'_>, is_alpha: bool) -> Value {
    let mut play = view(making, is_alpha);
    if !is_alpha || making.dice.chance(0.8) {
        play = play.with("playedTime", played_time(making));
    }
    if making.dice.chance(0.1) {
        // The older form of the artists.
        play = play.without("artists").with("artistNames", Value::List(vec![making.text(1, 2)]));
    }
    play
}

/// When it was heard; plays are told apart by the second.
fn played_time(making: &mut Making<'_>) -> Value {
    let second = making.now_us / 1_000_000 - making.dice.below(3600) as i64;
    Value::text(rfc3339(second * 1_000_000))
}

/// The play of the one namespace as the other has it.
pub fn twin(stable: &Value) -> Value {
    let Value::Map(entries) = stable else { return Value::Null };
    let renamed = entries.iter().map(|(key, value)| match key.as_ref() {
        "originUri" => ("originUrl".into(), value.clone()),
        "musicServiceUri" => ("musicServiceBaseDomain".into(), Value::text("plyr.fm")),
        "$type" => ("$type".into(), Value::text("fm.teal.alpha.feed.play")),
        _ => (key.clone(), value.clone()),
    });
    Value::Map(renamed.collect())
}

/// `playView` of either namespace.
fn view(making: &mut Making<'_>, is_alpha: bool) -> Value {
    let artists = (0..making.dice.between(1, 3)).map(|_| artist(making, is_alpha)).collect();
    let mut view = Value::map([("trackName", making.text(1, 4)), ("artists", Value::List(artists))]);
    let (origin, service) = if is_alpha {
        ("originUrl", ("musicServiceBaseDomain", "plyr.fm"))
    } else {
        ("originUri", ("musicServiceUri", "https://plyr.fm"))
    };
    if making.dice.chance(0.7) {
        view = view.with(origin, Value::text(origin_of(making))).with(service.0, Value::text(service.1));
    }
    if making.dice.chance(0.3) {
        view = view.with("recordingMbId", mbid(making, is_alpha));
    }
    if making.dice.chance(0.5) {
        view = view.with("duration", Value::Int(making.dice.between(0, 900) as i64));
    }
    if making.dice.chance(0.3) {
        view = view.with("releaseName", making.text(1, 3));
    }
    view.with("submissionClientAgent", Value::text("sim/1"))
}

fn artist(making: &mut Making<'_>, is_alpha: bool) -> Value {
    let artist = Value::map([("artistName", making.text(1, 2))]);
    if making.dice.chance(0.3) { artist.with("artistMbId", mbid(making, is_alpha)) } else { artist }
}

/// MusicBrainz's name of something: `mbid:` and a UUID, or in older records the bare UUID.
fn mbid(making: &mut Making<'_>, is_alpha: bool) -> Value {
    let number = making.dice.roll();
    let uuid = format!("{:08x}-0000-4000-8000-{:012x}", number as u32, number >> 16);
    Value::text(if is_alpha && making.dice.chance(0.5) { uuid } else { format!("mbid:{uuid}") })
}

/// Where it was heard: a track by its name, by its page, or somewhere else.
fn origin_of(making: &mut Making<'_>) -> String {
    let subject = making.subject();
    match making.dice.below(3) {
        0 => subject.uri,
        1 => page_of(making, &subject.uri),
        _ => format!("https://elsewhere.example/{:x}", making.dice.roll()),
    }
}

/// The page of a track.
pub(super) fn page_of(making: &Making<'_>, track: &str) -> String {
    let (did, rkey) = track["at://".len()..].split_once(&format!("/{TRACK}/")).unwrap_or(("did:plc:x", "x"));
    format!("{}/track/{}/{rkey}", making.public_url, did.replace('%', "%25"))
}

pub(super) fn status(making: &mut Making<'_>, is_alpha: bool) -> Value {
    let time = making.now_us / 1_000_000;
    let text = |second: i64, digits: bool| {
        Value::text(if digits { second.to_string() } else { rfc3339(second * 1_000_000) })
    };
    let digits = is_alpha && making.dice.chance(0.5);
    let status = Value::map([("time", text(time, digits)), ("item", view(making, is_alpha))]);
    if making.dice.chance(0.5) { status.with("expiry", text(time + 300, digits)) } else { status }
}

pub(super) fn teal_profile(making: &mut Making<'_>) -> Value {
    Value::map([("displayName", making.text(1, 3)), ("createdAt", making.created_at())])
}

pub(super) fn teal_onboarding(making: &mut Making<'_>) -> Value {
    Value::map([("completedOnboarding", Value::text("complete")), ("createdAt", making.created_at())])
}

pub(super) fn bsky_profile(making: &mut Making<'_>) -> Value {
    Value::map([("displayName", making.text(1, 3)), ("description", making.text(0, 20))])
}
