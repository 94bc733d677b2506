//! Records that break their lexicon, or the limits of whoever keeps them.

use super::Made;
use crate::dice::Dice;
use crate::wire::Value;

/// A way to break a record: what to call it, and how. None where this record cannot be broken so.
type Break = (&'static str, fn(&Made) -> Option<Made>);

const BREAKS: [Break; 12] = [
    ("a required field is missing", |made| {
        let field = required(made)?.0;
        Some(with(made, made.value.clone().without(field)))
    }),
    ("a field of another type", |made| {
        let field = required(made)?.0;
        Some(with(made, made.value.clone().with(field, Value::Int(7))))
    }),
    ("a text that is too long", |made| {
        let (field, max) = longest(made)?;
        Some(with(made, made.value.clone().with(field, Value::text("x".repeat(max + 1)))))
    }),
    ("a time that is none", |made| {
        let field = required(made).filter(|(_, is_time)| *is_time)?.0;
        Some(with(made, made.value.clone().with(field, Value::text("yesterday"))))
    }),
    ("a NUL character", |made| Some(with(made, made.value.clone().with("note", Value::text("a\0b"))))),
    ("a float", |made| Some(with(made, made.value.clone().with("note", Value::Float(0.5))))),
    ("nested too deep", |made| {
        let deep = (0..60).fold(Value::Null, |inner, _| Value::List(vec![inner]));
        Some(with(made, made.value.clone().with("note", deep)))
    }),
    ("too large", |made| Some(with(made, made.value.clone().with("note", Value::text("x".repeat(270_000)))))),
    ("no type", |made| Some(with(made, made.value.clone().without("$type")))),
    ("another type", |made| {
        Some(with(made, made.value.clone().with("$type", Value::text("com.example.thing"))))
    }),
    ("a key that is none of its kind", |made| {
        let (collection, _) = made.path.split_once('/')?;
        Some(Made { path: format!("{collection}/not.a.tid"), ..made.clone() })
    }),
    ("a subject named by handle", |made| {
        matches!(collection(made), "fm.plyr.like" | "fm.plyr.comment").then(|| {
            let subject = Value::map([
                ("uri", Value::text("at://someone.test/fm.plyr.track/3jzfcijpj2z2a")),
                ("cid", Value::text("bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua")),
            ]);
            with(made, made.value.clone().with("subject", subject))
        })
    }),
];

/// The record broken in one of many ways; as it is, where nobody would hold it against a lexicon.
pub fn break_it(dice: &mut Dice, made: Made) -> Made {
    // Large ones are rare: each costs what hundreds of others do.
    let rolled = dice.below(BREAKS.len());
    let at = if BREAKS[rolled].0 == "too large" && !dice.chance(0.2) { 0 } else { rolled };
    let (name, break_) = BREAKS[at];
    if required(&made).is_none() && collection(&made) != "app.bsky.actor.profile" {
        return made;
    }
    match break_(&made) {
        Some(broken) => Made { breaks: Some(name), ..broken },
        None => made,
    }
}

fn with(made: &Made, value: Value) -> Made {
    Made { value, ..made.clone() }
}

fn collection(made: &Made) -> &str {
    made.path.split_once('/').map_or("", |(collection, _)| collection)
}

/// A field that must be there, and whether it is a time.
fn required(made: &Made) -> Option<(&'static str, bool)> {
    match collection(made) {
        "fm.plyr.track" | "fm.plyr.like" | "fm.plyr.comment" | "fm.plyr.list" | "fm.plyr.actor.profile" => {
            Some(("createdAt", true))
        }
        "fm.teal.feed.play" | "fm.teal.alpha.feed.play" => Some(("trackName", false)),
        "fm.teal.actor.status" => Some(("time", true)),
        "fm.teal.alpha.actor.status" => Some(("time", true)),
        _ => None,
    }
}

/// A field of text, and how many bytes it may have.
fn longest(made: &Made) -> Option<(&'static str, usize)> {
    match collection(made) {
        "fm.plyr.track" => Some(("title", 256)),
        "fm.plyr.comment" => Some(("text", 1000)),
        "fm.plyr.list" => Some(("name", 256)),
        "fm.plyr.actor.profile" => Some(("bio", 2560)),
        "fm.teal.feed.play" | "fm.teal.alpha.feed.play" => Some(("trackName", 256)),
        "app.bsky.actor.profile" => Some(("displayName", 640)),
        _ => None,
    }
}
