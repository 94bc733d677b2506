//! An unfiltered Jetstream: finding the hundredth that concerns us.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use indexer::apply::Door;
use indexer::firehose::jetstream::{Dialect, Message, concern, inputs, message};
use indexer::link::concern::Concern;
use indexer::record::Registry;
use indexer::syntax::{Did, Tid};
use serde_json::{Value, json};

use crate::report::{Line, Report, processor_time};

/// Events in memory, gone through again and again.
const EVENTS: usize = 20_000;
/// Posts that are known to share something.
const KNOWN: u64 = 1_000_000;
const ENOUGH: Duration = Duration::from_secs(2);
const GOAL: f64 = 300_000.0;
/// When the first event happens; the others follow, a microsecond after each other.
const BEGAN_US: i64 = 1_790_000_000_000_000;

/// Events per second on one core: every one looked at, each hundredth read whole and its CID checked; each fourth is about a post so young
/// that it may yet turn out to share something: so far only who says it and what of is read.
pub fn run(report: &mut Report) -> anyhow::Result<()> {
    if !report.wants("filter") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    let registry = Registry::new("fm.plyr", "https://music.example".parse()?);
    let pool = sqlx::PgPool::connect_lazy("postgres://127.0.0.1/none")?;
    let door = Door::unopened(pool, registry);
    // None of which is in the stream: to be sure of that takes a look.
    let known =
        (0..KNOWN).map(|number| format!("at://did:plc:{number:024x}/app.bsky.feed.post/3lr3xwyj5y22c"));
    door.concerns.add_posts(known);
    for (dialect, name) in [(Dialect::V2, "newer"), (Dialect::V1, "older")] {
        let events = events(dialect);
        let bytes = events.iter().map(Bytes::len).sum::<usize>() as f64 / EVENTS as f64;
        let ours = EVENTS / 100;
        let early = events.iter().filter(|event| {
            let head = message(dialect, event);
            matches!(head, Ok(Message::Event(head)) if matches!(concern(&door, &head, event), Concern::Early(_)))
        });
        let early = early.count();
        anyhow::ensure!(early == EVENTS / 100 * YOUNG, "{early} of {} are early", EVENTS / 100 * YOUNG);
        let sifted = per_second(&events, |event| match message(dialect, event) {
            Ok(Message::Event(head)) => match concern(&door, &head, event) {
                Concern::Ours => inputs(dialect, event).len(),
                Concern::Early(posts) => {
                    black_box((head.did.parse::<Did>().is_ok(), posts));
                    0
                }
                Concern::None => 0,
            },
            _ => 0,
        });
        anyhow::ensure!(sifted.found == ours, "{} of {ours} found", sifted.found);
        // The least that any reader does, and what most do.
        let scanned = per_second(&events, |event| memchr::memchr_iter(b'"', event).count() & 1);
        let parsed = per_second(&events, |event| {
            serde_json::from_slice::<Value>(event).map_or(1, |value| usize::from(value["none"].is_string()))
        });
        report.add(Line {
            what: format!("unfiltered Jetstream, {name} dialect, 1 % ours, {YOUNG} % about posts of minutes ago, a million shares known, {bytes:.0} bytes an event"),
            measured: format!("{:.0} events/s per core", sifted.rate),
            against: format!(
                "{:.1} × parsing each ({:.0}/s); {:.2} × the time of counting its quotes ({:.0}/s)",
                sifted.rate / parsed.rate,
                parsed.rate,
                scanned.rate / sifted.rate,
                scanned.rate
            ),
            goal: "≥ 300,000 events/s per core".into(),
            is_met: sifted.rate >= GOAL,
        });
    }
    Ok(())
}

struct Measured {
    rate: f64,
    found: usize,
}

fn per_second(events: &[Bytes], mut read: impl FnMut(&Bytes) -> usize) -> Measured {
    // By processor time: others may be at work on the same cores.
    let (began, mut rounds, mut found) = (processor_time(), 0, 0);
    while processor_time() - began < ENOUGH {
        found = events.iter().map(|event| black_box(read(black_box(event)))).sum();
        rounds += 1;
    }
    Measured { rate: (rounds * events.len()) as f64 / (processor_time() - began).as_secs_f64(), found }
}

/// Of a hundred events so many are about a post that is minutes old.
const YOUNG: usize = 26;

/// The mix of the network: likes, posts with links and pictures, follows, reposts; each hundredth a comment or a like of
/// ours. Three of ten posts that are liked, answered and passed on are minutes old.
fn events(dialect: Dialect) -> Vec<Bytes> {
    let mut wire = |index: usize| {
        let noise = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let time_us = BEGAN_US + index as i64;
        let (collection, record) = record(index, noise);
        let (cid, _) = indexer::dag::from_json(&record).and_then(|value| indexer::dag::encode(&value))?;
        let event = sim::jetstream::Event {
            did: format!("did:plc:{noise:024x}"),
            time_us,
            body: sim::jetstream::Body::Commit(sim::jetstream::Commit {
                rev: "3lr3xwyj5y22c".into(),
                operation: sim::jetstream::Operation::Create,
                collection: collection.into(),
                rkey: Tid::from_timestamp_us(time_us, 0).to_string(),
                cid: Some(cid.to_string()),
                record: Some(record),
                is_replacement: false,
            }),
        };
        Ok(match dialect {
            Dialect::V2 => event.modern(index as u64 + 1),
            Dialect::V1 => event.legacy(index as u64 + 1).unwrap_or_default(),
        })
    };
    let wire: Result<Vec<String>, indexer::dag::DagProblem> = (0..EVENTS).map(&mut wire).collect();
    wire.unwrap_or_default().into_iter().map(Bytes::from).collect()
}

fn record(index: usize, noise: u64) -> (&'static str, Value) {
    let at = "2026-10-05T10:20:30.456Z";
    // The others are of the year before.
    let age_us = 60_000_000 * (1 + (noise % 9) as i64);
    let key = match index % 10 {
        0..=2 => Tid::from_timestamp_us(BEGAN_US - age_us, 0).to_string(),
        _ => "3lr3xwyj5y22c".to_owned(),
    };
    let subject = |collection: &str| {
        json!({"cid": "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a",
               "uri": format!("at://did:plc:{:024x}/{collection}/{key}", noise ^ 1)})
    };
    let subjected = |collection: &'static str, of: &str| {
        (collection, json!({"$type": collection, "createdAt": at, "subject": subject(of)}))
    };
    match index % 100 {
        0 if index.is_multiple_of(200) => subjected("fm.plyr.like", "fm.plyr.track"),
        0 => (
            "fm.plyr.comment",
            json!({"$type": "fm.plyr.comment", "createdAt": at, "subject": subject("fm.plyr.track"), "text": "this part", "timestampMs": 400}),
        ),
        1..=54 => subjected("app.bsky.feed.like", "app.bsky.feed.post"),
        55..=64 => subjected("app.bsky.feed.repost", "app.bsky.feed.post"),
        65..=79 => (
            "app.bsky.graph.follow",
            json!({"$type": "app.bsky.graph.follow", "createdAt": at, "subject": format!("did:plc:{:024x}", noise ^ 2)}),
        ),
        _ => ("app.bsky.feed.post", post(at, noise, subject("app.bsky.feed.post"))),
    }
}

/// A reply of some length, with a link and a picture.
fn post(at: &str, noise: u64, subject: Value) -> Value {
    let words = "“a post says fm.plyr.track, \"collection\":\"fm.plyr.track\" and {more} of the like” 🎶 "
        .repeat(1 + noise as usize % 3);
    let blob = json!({"$type": "blob", "mimeType": "image/jpeg", "size": 812_345,
                      "ref": {"$link": "bafkreiccldh766hwcnuxnf2wh6jgzepf2nlu2lvcllt63eww5p6chi4ity"}});
    json!({
        "$type": "app.bsky.feed.post", "createdAt": at, "langs": ["en"], "text": words,
        "reply": {"parent": subject, "root": subject},
        "facets": [{"features": [{"$type": "app.bsky.richtext.facet#link", "uri": "https://example.com/a/b?c=d"}],
                    "index": {"byteStart": 3, "byteEnd": 20}}],
        "embed": {"$type": "app.bsky.embed.images",
                  "images": [{"alt": "a picture", "aspectRatio": {"height": 1200, "width": 900}, "image": blob}]},
    })
}
