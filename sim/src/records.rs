//! What people write: records of music, and some of what else passes by.

mod bluesky;
mod broken;
mod music;

use std::borrow::Cow;

use crate::clock::rfc3339;
use crate::dice::Dice;
use crate::wire::{Cid, Value, tid};

pub use broken::break_it;
pub use music::twin;

/// A collection that people write to, how often compared with others, and whether a record there has a name of its own.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its NSID.
    pub nsid: &'static str,
    /// How often, compared with the others.
    pub weight: f64,
    /// There is one record, named `self`.
    pub is_single: bool,
    make: fn(&mut Making<'_>) -> Value,
}

const fn kind(nsid: &'static str, weight: f64, make: fn(&mut Making<'_>) -> Value) -> Kind {
    Kind { nsid, weight, is_single: false, make }
}

const fn single(nsid: &'static str, weight: f64, make: fn(&mut Making<'_>) -> Value) -> Kind {
    Kind { nsid, weight, is_single: true, make }
}

/// NSID of tracks.
pub const TRACK: &str = "fm.plyr.track";

/// NSID of Bluesky's posts.
pub const POST: &str = "app.bsky.feed.post";

/// Everything that people write. Tracks come first.
pub const KINDS: [Kind; 15] = [
    kind(TRACK, 14.0, music::track),
    kind("fm.plyr.like", 26.0, music::like),
    kind("fm.plyr.comment", 12.0, music::comment),
    kind("fm.plyr.list", 4.0, music::list),
    single("fm.plyr.actor.profile", 3.0, music::profile),
    kind("fm.teal.feed.play", 12.0, |making| music::play(making, false)),
    kind("fm.teal.alpha.feed.play", 6.0, |making| music::play(making, true)),
    single("fm.teal.actor.status", 4.0, |making| music::status(making, false)),
    single("fm.teal.alpha.actor.status", 2.0, |making| music::status(making, true)),
    single("fm.teal.actor.profile", 1.0, music::teal_profile),
    single("fm.teal.actor.profileStatus", 1.0, music::teal_onboarding),
    single("app.bsky.actor.profile", 4.0, music::bsky_profile),
    kind("app.bsky.feed.like", 16.0, bluesky::like),
    kind(POST, 8.0, bluesky::post),
    kind("app.bsky.feed.repost", 5.0, bluesky::repost),
];

/// A record that others may speak of.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Its URI.
    pub uri: String,
    /// Its CID.
    pub cid: Cid,
}

/// What a record is made of.
#[derive(Debug)]
pub struct Making<'a> {
    /// Chance.
    pub dice: &'a mut Dice,
    /// Now.
    pub now_us: i64,
    /// Tracks to speak of.
    pub tracks: &'a [Subject],
    /// Posts to speak of, most of which share a track.
    pub posts: &'a [Subject],
    /// DIDs to name.
    pub people: &'a [String],
    /// Where track pages live.
    pub public_url: &'a str,
}

/// A record to be.
#[derive(Debug, Clone)]
pub struct Made {
    /// Collection and record key.
    pub path: String,
    /// What it says.
    pub value: Value,
    /// What its author did to break its lexicon.
    pub breaks: Option<&'static str>,
}

impl Kind {
    /// A record of this kind under a new name.
    pub fn make(&self, making: &mut Making<'_>) -> Made {
        let rkey =
            if self.is_single { "self".into() } else { tid(making.now_us, making.dice.below(1024) as u16) };
        self.make_at(making, format!("{}/{rkey}", self.nsid))
    }

    /// A record of this kind at a path.
    pub fn make_at(&self, making: &mut Making<'_>, path: String) -> Made {
        let mut value = (self.make)(making).with("$type", Value::text(self.nsid));
        if making.dice.chance(0.15) {
            value = value.with("note", unknown(making));
        }
        Made { path, value, breaks: None }
    }
}

/// The kind of records in a collection.
pub fn kind_of(collection: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.nsid == collection)
}

/// One of everything that is written, as often as it is.
pub fn any_kind(dice: &mut Dice) -> &'static Kind {
    &KINDS[dice.weighed(&KINDS.map(|kind| kind.weight))]
}

/// Something that no lexicon knows of, with everything that the data model has.
fn unknown(making: &mut Making<'_>) -> Value {
    let number = making.dice.roll();
    Value::map([
        ("whole", Value::Int((number >> 11) as i64 - (1 << 52))),
        ("raw", Value::Bytes(number.to_be_bytes().to_vec())),
        ("link", Value::Link(Cid::of(&number.to_be_bytes()))),
        (
            "list",
            Value::List(vec![Value::Null, Value::Bool(true), Value::text("ünïcödé 🎷"), Value::Map(vec![])]),
        ),
    ])
}

impl Making<'_> {
    /// A moment not long ago, as records write it.
    fn created_at(&mut self) -> Value {
        Value::text(rfc3339(self.now_us - self.dice.below(60_000_000) as i64))
    }

    fn words(&mut self, least: usize, most: usize) -> String {
        const WORDS: [&str; 24] = [
            "amber", "night", "river", "dust", "velvet", "signal", "paper", "moon", "static", "harbour",
            "glass", "summer", "echo", "iron", "quiet", "neon", "winter", "cedar", "Straße", "夜", "naïve",
            "🌊", "drift", "hollow",
        ];
        let count = self.dice.between(least, most + 1);
        let words: Vec<&str> = (0..count).filter_map(|_| self.dice.pick(&WORDS).copied()).collect();
        words.join(" ")
    }

    fn text(&mut self, least: usize, most: usize) -> Value {
        Value::Text(Cow::Owned(self.words(least, most)))
    }

    /// A track, which may be gone by now; rarely one that never was.
    fn subject(&mut self) -> Subject {
        match self.dice.pick(self.tracks) {
            Some(subject) => subject.clone(),
            None => {
                let rkey = tid(self.now_us, 0);
                Subject {
                    uri: format!("at://did:plc:{}/{TRACK}/{rkey}", "a".repeat(24)),
                    cid: Cid::of(rkey.as_bytes()),
                }
            }
        }
    }

    fn strong_ref(&mut self) -> Value {
        strong_ref(&self.subject())
    }
}

fn strong_ref(subject: &Subject) -> Value {
    Value::map([("uri", Value::text(subject.uri.clone())), ("cid", Value::text(subject.cid.to_string()))])
}
