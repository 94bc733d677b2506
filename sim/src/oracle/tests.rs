//! Worlds small enough to be judged by eye.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Expected, Known, Tables, differences};
use crate::truth::{Account, Record, Repo, Standing, Truth};

const CID: &str = "bafyreiclp443lavogvhj3d2ob2cxbfuscni2k5jk7bebjzg7khl3esabwq";
const AT: &str = "2026-01-02T03:04:05.678Z";
const TRACK: &str = "at://did:plc:artist/fm.plyr.track/3jzfcijpj2z2a";

/// Whose, standing, records by path.
/// A DID, how it stands, and its records.
type Somebody<'a> = (&'a str, Standing, &'a [(&'a str, Value)]);

fn world(people: &[Somebody<'_>]) -> Truth {
    let accounts = people.iter().map(|(name, standing, records)| {
        let did = format!("did:plc:{name}");
        let record = |(path, json): &(&str, Value)| {
            let mut json = json.clone();
            json["$type"] = path.split('/').next().unwrap_or_default().into();
            (path.to_string(), Record { cid: CID.into(), bytes: vec![0xa0], json })
        };
        let records = records.iter().map(record).collect();
        let repo = Repo { rev: "3jzfcijpj2z2b".into(), root: CID.into(), records };
        let account = Account {
            did: did.clone(),
            handle: Some(format!("{name}.test")),
            pds: "http://127.0.0.1:1".into(),
            standing: *standing,
            repo: Some(repo),
        };
        (did, account)
    });
    Truth { accounts: accounts.collect() }
}

fn tables(truth: &Truth) -> Tables {
    let known = Known { nothing_lost: true, nothing_false: true, ..Known::default() };
    Expected::of(truth, "fm.plyr", "http://plyr.test").tables(&known)
}

fn track() -> Value {
    json!({"title": "t", "artist": "a", "fileType": "mp3", "audioUrl": "https://x.test/a.mp3", "createdAt": AT})
}

fn about_track(more: Value) -> Value {
    let mut value = json!({"subject": {"uri": TRACK, "cid": CID}, "createdAt": AT});
    super::project::merge(&mut value, more);
    value
}

fn played(more: Value) -> Value {
    let mut value = json!({"trackName": "t", "artists": [{"artistName": "a"}], "playedTime": AT});
    super::project::merge(&mut value, more);
    value
}

#[test]
fn a_track_becomes_its_columns() {
    let record = json!({
        "title": "t", "artist": "a", "fileType": "mp3", "album": " ", "duration": 61, "createdAt": AT,
        "audioBlob": {"$type": "blob", "ref": {"$link": CID}, "mimeType": "audio/mpeg", "size": 3},
        "tags": [" Deep  House ", "deep house", "-x-"], "features": [{"did": "did:plc:guest"}],
    });
    let truth = world(&[
        ("artist", Standing::Active, &[("fm.plyr.track/3jzfcijpj2z2a", record)]),
        ("guest", Standing::Active, &[("app.bsky.actor.profile/self", json!({"displayName": " G "}))]),
        ("stranger", Standing::Active, &[("app.bsky.actor.profile/self", json!({"displayName": "S"}))]),
    ]);
    let tables = tables(&truth);
    let row = &tables["track"][TRACK];
    assert_eq!((&row["album"], &row["tags"]), (&Value::Null, &json!(["deep house", "x"])));
    assert_eq!((&row["audio_cid"], &row["created_at"]), (&json!(CID), &json!(1_767_323_045_678_000i64)));
    assert_eq!(tables["repo"].len(), 1, "only the artist's repo is followed for sure");
    assert_eq!(tables["bsky_profile"].len(), 1, "{:?}", tables["bsky_profile"]);
    assert_eq!(tables["bsky_profile"]["at://did:plc:guest/app.bsky.actor.profile/self"]["display_name"], "G");
    assert_eq!(tables["actor"].keys().collect::<Vec<_>>(), ["did:plc:artist", "did:plc:guest"]);
    assert_eq!(tables["record"].len(), 2);
}

#[test]
fn people_are_counted_and_not_their_records() {
    let like = about_track(json!({}));
    let said = about_track(json!({"text": "x", "timestampMs": 0}));
    let stable = played(json!({"originUri": TRACK}));
    let page = "http://plyr.test/track/did:plc:artist/3jzfcijpj2z2a";
    let alpha = played(json!({"trackName": "T ", "originUrl": page, "musicServiceBaseDomain": "plyr.fm"}));
    let fan: &[(&str, Value)] = &[
        ("fm.plyr.like/3jzfcijpj2z2a", like.clone()),
        ("fm.plyr.like/3jzfcijpj2z2b", like),
        ("fm.plyr.comment/3jzfcijpj2z2a", said.clone()),
        ("fm.plyr.comment/3jzfcijpj2z2b", said),
        ("fm.teal.feed.play/3jzfcijpj2z2a", stable),
        ("fm.teal.alpha.feed.play/3jzfcijpj2z2b", alpha),
    ];
    let truth = world(&[
        ("one", Standing::Active, fan),
        ("two", Standing::Active, fan),
        ("gone", Standing::Takendown, fan),
    ]);
    let tables = tables(&truth);
    assert_eq!(
        tables["subject_count"][TRACK],
        json!({"likes": 2, "plyr": 2, "comments": 4, "plays": 2, "recorded": 2})
    );
    // One play of each, in one hour, for whatever it names; and one like.
    let heard: Vec<&str> = tables["heard"].keys().filter_map(|key| key.split(' ').nth(1)).collect();
    assert_eq!(heard.iter().filter(|kind| **kind == "1").count(), 2);
    assert!(tables["heard"].values().all(|row| row["plays"] == 1), "{:?}", tables["heard"]);
    assert_eq!(tables["liked"].len(), 2);
    assert_eq!((tables["reaction"].len(), tables["play"].len()), (4, 4));
    let alpha = &tables["play"]["at://did:plc:one/fm.teal.alpha.feed.play/3jzfcijpj2z2b"];
    assert_eq!((&alpha["service_uri"], &alpha["subject_uri"]), (&json!("https://plyr.fm"), &json!(TRACK)));
}

#[test]
fn hidden_people_must_not_be_known_but_if_they_are_then_as_hidden() {
    let records: &[(&str, Value)] = &[("fm.plyr.track/3jzfcijpj2z2a", track())];
    let truth = world(&[("artist", Standing::Suspended, records), ("gone", Standing::Deleted, records)]);
    let expected = Expected::of(&truth, "fm.plyr", "http://plyr.test");
    assert!(expected.tables(&Known::default()).values().all(|table| table.is_empty()));
    let actors: BTreeSet<String> = truth.accounts.keys().cloned().collect();
    let known = Known { seen: actors.clone(), actors, ..Known::default() };
    let tables = expected.tables(&known);
    assert_eq!(tables["actor"]["did:plc:artist"], json!({"status": "suspended"}));
    assert_eq!(tables["actor"]["did:plc:gone"], json!({"status": "deleted"}));
    assert!(tables["track"].is_empty() && tables["record"].is_empty());
    assert!(!expected.judges("did:plc:artist", &known) && expected.judges("did:plc:gone", &known));
}

#[test]
fn what_breaks_its_lexicon_is_kept_without_a_projection() {
    let broken: [(&str, Value); 12] = [
        (
            "fm.plyr.track/3jzfcijpj2z2a",
            json!({"title": "t", "artist": "a", "fileType": "mp3", "createdAt": AT}),
        ),
        ("fm.plyr.track/self", track()),
        (
            "fm.plyr.like/3jzfcijpj2z2a",
            json!({"subject": {"uri": TRACK, "cid": CID}, "createdAt": "yesterday"}),
        ),
        ("fm.plyr.like/3jzfcijpj2z2b", json!({"createdAt": AT})),
        (
            "fm.plyr.like/3jzfcijpj2z2c",
            json!({"subject": {"uri": "at://artist.test/fm.plyr.track/x", "cid": CID}, "createdAt": AT}),
        ),
        ("fm.plyr.comment/3jzfcijpj2z2a", about_track(json!({"text": "", "timestampMs": 0}))),
        ("fm.plyr.comment/3jzfcijpj2z2b", about_track(json!({"text": "x", "timestampMs": -1}))),
        ("fm.plyr.comment/3jzfcijpj2z2c", about_track(json!({"text": "a\0b", "timestampMs": 0}))),
        ("fm.plyr.list/3jzfcijpj2z2a", json!({"items": [{}], "createdAt": AT})),
        ("fm.plyr.actor.profile/self", json!({"bio": "x".repeat(257), "createdAt": AT})),
        ("fm.teal.feed.play/3jzfcijpj2z2a", played(json!({"playedTime": "1767323045"}))),
        ("fm.teal.actor.status/self", json!({"time": AT, "item": {"trackName": "t"}})),
    ];
    let tables = tables(&world(&[("x", Standing::Active, &broken)]));
    assert_eq!(
        (tables["record"].len(), tables["record_problem"].len()),
        (12, 12),
        "{:#?}",
        tables["record_problem"]
    );
    for name in ["track", "reaction", "comment", "list", "profile", "play", "actor_status", "subject_count"] {
        assert!(tables[name].is_empty(), "{name}: {:?}", tables[name]);
    }
}

#[test]
fn times_come_from_where_they_are_told() {
    let records: &[(&str, Value)] = &[
        ("fm.teal.alpha.feed.play/3jzfcijpj2z2a", json!({"trackName": "t", "artistNames": ["x"]})),
        ("fm.teal.alpha.actor.status/self", json!({"time": "1767323045", "item": {"trackName": "t"}})),
        ("fm.teal.actor.status/self", json!({"time": AT, "item": {"trackName": "", "artists": []}})),
    ];
    let tables = tables(&world(&[("x", Standing::Active, records)]));
    let play = tables["play"].values().next().expect("one");
    assert_eq!(
        (&play["played_at"], &play["artist_names"]),
        (&json!(1_688_137_381_887_007i64), &json!(["x"]))
    );
    // One without a name is a row as well: it says that nothing is playing, and since when.
    assert_eq!(tables["actor_status"].len(), 2);
    let status = &tables["actor_status"]["at://did:plc:x/fm.teal.alpha.actor.status/self"];
    assert_eq!(status["expires_at"], json!(1_767_323_645_000_000i64));
}

#[test]
fn differences_name_table_key_and_field() {
    let truth = world(&[("artist", Standing::Active, &[("fm.plyr.track/3jzfcijpj2z2a", track())])]);
    let expected = tables(&truth);
    let mut found = expected.clone();
    assert!(differences(&expected, &found).is_empty());
    *found.get_mut("track").expect("there").get_mut(TRACK).expect("there").get_mut("title").expect("there") =
        "u".into();
    found.get_mut("repo").expect("there").clear();
    found.get_mut("comment").expect("there").insert("at://x".into(), json!({}));
    let lines = differences(&expected, &found);
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert!(lines[0].starts_with("comment at://x: found, and nothing expected"), "{lines:#?}");
    assert!(lines[1].starts_with("repo did:plc:artist: missing"), "{lines:#?}");
    assert_eq!(lines[2], format!("track {TRACK}: title expected \"t\", found \"u\""));
}
