//! What people write on Bluesky: posts, some of which share a track, and likes and reposts of them or of the track itself.

use super::music::page_of;
use super::{Making, POST, Subject, strong_ref};
use crate::wire::{Cid, Value, tid};

pub(super) fn like(making: &mut Making<'_>) -> Value {
    let subject = liked(making);
    Value::map([("subject", subject), ("createdAt", making.created_at())])
}

pub(super) fn repost(making: &mut Making<'_>) -> Value {
    like(making)
}

/// A track, a post that shares one, or something of no concern.
fn liked(making: &mut Making<'_>) -> Value {
    let known = making.dice.pick(making.posts).cloned();
    match (making.dice.weighed(&[2.0, 5.0, 3.0]), known) {
        (0, _) => making.strong_ref(),
        (1, Some(post)) => strong_ref(&post),
        _ => strong_ref(&any_post(making)),
    }
}

/// A post that somebody wrote, or one of no concern.
fn quoted(making: &mut Making<'_>) -> Subject {
    match making.dice.pick(making.posts).cloned() {
        Some(post) if making.dice.chance(0.8) => post,
        _ => any_post(making),
    }
}

/// A post of the last day, which nobody wrote.
fn any_post(making: &mut Making<'_>) -> Subject {
    let did = making.dice.pick(making.people).cloned().unwrap_or_else(|| "did:web:nobody.example".into());
    let age_us = making.dice.below(86_400) as i64 * 1_000_000;
    let rkey = tid(making.now_us - age_us, 1);
    Subject { uri: format!("at://{did}/{POST}/{rkey}"), cid: Cid::of(rkey.as_bytes()) }
}

pub(super) fn post(making: &mut Making<'_>) -> Value {
    let post = Value::map([("text", making.text(0, 30)), ("createdAt", making.created_at())]);
    let track = making.subject();
    let page = page_of(making, &track.uri);
    let embed = |kind: &'static str, more: [(&'static str, Value); 1]| {
        Value::map([("$type", Value::text(kind))]).with(more[0].0, more[0].1.clone())
    };
    let external = |uri: String| {
        let texts = [("title", Value::text("a track")), ("description", Value::text(""))];
        Value::map([("uri", Value::text(uri))])
            .with(texts[0].0, texts[0].1.clone())
            .with(texts[1].0, texts[1].1.clone())
    };
    match making.dice.weighed(&[4.0, 3.0, 2.0, 1.0, 2.0, 1.0, 1.0, 2.0, 1.0]) {
        0 => post,
        1 => post.with("embed", embed("app.bsky.embed.external", [("external", external(page))])),
        2 => post.with("embed", embed("app.bsky.embed.record", [("record", strong_ref(&track))])),
        3 => {
            let record = Value::map([("record", strong_ref(&track))]);
            let media = embed("app.bsky.embed.external", [("external", external(page))]);
            let both = embed("app.bsky.embed.recordWithMedia", [("record", record)]).with("media", media);
            post.with("embed", both)
        }
        4 => post.with("facets", Value::List(vec![link(page), tag()])),
        // Names something, and shares nothing of ours.
        5 => {
            let uri = format!("https://elsewhere.example/?u={page}");
            post.with("embed", embed("app.bsky.embed.external", [("external", external(uri))]))
        }
        // Quotes one that may share something: alone, or beside something else.
        7 => {
            let quoted = quoted(making);
            post.with("embed", embed("app.bsky.embed.record", [("record", strong_ref(&quoted))]))
        }
        8 => {
            let quoted = quoted(making);
            let record = Value::map([("record", strong_ref(&quoted))]);
            let media = embed(
                "app.bsky.embed.external",
                [("external", external("https://elsewhere.example/".into()))],
            );
            post.with(
                "embed",
                embed("app.bsky.embed.recordWithMedia", [("record", record)]).with("media", media),
            )
        }
        _ => {
            let did = making.dice.pick(making.people).cloned().unwrap_or_default();
            let artist = format!("{}/u/{}", making.public_url, did.replace('%', "%25"));
            post.with("facets", Value::List(vec![tag(), link(artist)]))
        }
    }
}

fn link(uri: String) -> Value {
    facet(Value::map([("$type", Value::text("app.bsky.richtext.facet#link")), ("uri", Value::text(uri))]))
}

fn tag() -> Value {
    facet(Value::map([("$type", Value::text("app.bsky.richtext.facet#tag")), ("tag", Value::text("music"))]))
}

fn facet(feature: Value) -> Value {
    let index = Value::map([("byteStart", Value::Int(0)), ("byteEnd", Value::Int(1))]);
    Value::map([("index", index), ("features", Value::List(vec![feature]))])
}
