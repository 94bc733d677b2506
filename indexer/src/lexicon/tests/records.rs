use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn check(nsid: &str, rkey: &str, record: &Value) -> Result<(), Violation> {
    check_record(nsid, nsid, rkey, &value(record))
}

#[test]
fn there_is_a_sample_of_every_record_and_all_pass() {
    let known: BTreeSet<_> = records().collect();
    assert_eq!(known, samples().iter().map(|sample| sample.0).collect());
    for (nsid, rkey, record) in samples() {
        assert_eq!(check(nsid, rkey, &record), Ok(()), "{nsid}");
    }
}

#[test]
fn each_required_field_is_missed() {
    let required = [
        ("fm.plyr.track", &["title", "artist", "fileType", "createdAt"][..]),
        ("fm.plyr.like", &["subject", "createdAt"]),
        ("fm.plyr.comment", &["subject", "text", "timestampMs", "createdAt"]),
        ("fm.plyr.list", &["items", "createdAt"]),
        ("fm.plyr.actor.profile", &["createdAt"]),
        ("fm.teal.feed.play", &["trackName"]),
        ("fm.teal.actor.status", &["time", "item"]),
        ("fm.teal.alpha.feed.play", &["trackName"]),
        ("fm.teal.alpha.actor.status", &["time", "item"]),
        ("fm.teal.actor.profile", &[]),
        ("fm.teal.alpha.actor.profile", &[]),
        ("app.bsky.actor.profile", &[]),
        ("app.bsky.feed.like", &["subject", "createdAt"]),
        ("app.bsky.feed.repost", &["subject", "createdAt"]),
        ("app.bsky.feed.post", &["text", "createdAt"]),
        ("app.bsky.graph.follow", &["subject", "createdAt"]),
    ];
    for (nsid, required) in required {
        let (rkey, record) = sample(nsid);
        for field in record.as_object().expect("an object").keys() {
            let mut record = record.clone();
            record.as_object_mut().expect("an object").remove(field);
            let violation = check(nsid, rkey, &record).err();
            let expected = required.contains(&field.as_str()) || field == "$type";
            let found = violation.is_some_and(|v| v.path == *field && v.problem == "is required");
            assert_eq!(found, expected, "{nsid} without {field}");
        }
    }
}

/// Puts something else into a field of a record, and expects it to be refused (where, and how) or to pass.
fn expect(nsid: &str, field: &str, instead: &Value, refused: Option<(&str, &str)>) {
    let (rkey, mut record) = sample(nsid);
    record[field] = instead.clone();
    let outcome = check(nsid, rkey, &record).map_err(|violation| (violation.path, violation.problem));
    let as_said = match (&outcome, refused) {
        (Ok(()), None) => true,
        (Err((path, problem)), Some((at, says))) => path == at && problem.contains(says),
        _ => false,
    };
    assert!(as_said, "{nsid} with {field} {instead:.60}: {outcome:?}");
}

/// One grapheme of 25 bytes.
const FAMILY: &str = "👨‍👩‍👧‍👦";

#[test]
fn tracks_keep_to_their_limits() {
    let feature = json!({"did": "did:plc:abc"});
    let ok = None;
    for (field, instead, refused) in [
        ("title", json!(""), Some(("title", "at least 1 bytes"))),
        ("title", json!("ä".repeat(128)), ok),
        ("title", json!("ä".repeat(128) + "a"), Some(("title", "at most 256 bytes"))),
        ("title", json!(7), Some(("title", "must be a string, is the integer 7"))),
        ("title", json!("a\u{0}b"), ok),
        ("album", Value::Null, Some(("album", "must be a string, is null"))),
        ("duration", json!(-1), Some(("duration", "at least 0"))),
        ("duration", json!("214"), Some(("duration", "must be an integer"))),
        ("createdAt", json!("2026-11-20"), Some(("createdAt", "a datetime"))),
        ("audioUrl", json!("a.mp3"), Some(("audioUrl", "a URI"))),
        ("audioBlob", blob("video/mp4", 1), Some(("audioBlob.mimeType", "must be audio/*"))),
        ("audioBlob", blob("Audio/MPEG; x=y", 1), ok),
        ("audioBlob", blob("audio/mpeg", 104_857_601), Some(("audioBlob.size", "at most"))),
        ("audioBlob", blob("audio/mpeg", 0), Some(("audioBlob.size", "at least 1"))),
        ("audioBlob", json!({"cid": BLOB_CID, "mimeType": "audio/mpeg"}), Some(("audioBlob", "legacy blob"))),
        ("image", blob("image/gif", 1), Some(("image.mimeType", "image/png or image/jpeg"))),
        ("tags", json!(vec!["a"; 11]), Some(("tags", "at most 10 items"))),
        ("tags", json!(["x", "é".repeat(51)]), Some(("tags[1]", "at most 50 characters"))),
        ("tags", json!([FAMILY.repeat(20)]), ok),
        ("tags", json!([FAMILY.repeat(21)]), Some(("tags[0]", "at most 500 bytes"))),
        ("tags", json!("ambient"), Some(("tags", "must be an array"))),
        ("features", json!(vec![&feature; 11]), Some(("features", "at most 10 items"))),
        ("features", json!([feature, {}]), Some(("features[1].did", "is required"))),
        ("features", json!([{"did": "mira"}]), Some(("features[0].did", "a DID, is \"mira\""))),
        ("supportGate", json!({}), Some(("supportGate.type", "is required"))),
        ("labels", json!({"values": []}), Some(("labels.$type", "is required"))),
        ("labels", json!({"$type": "x.y.z", "values": 1}), ok),
        (
            "labels",
            json!({"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": 1}]}),
            Some(("labels.values[0].val", "must be a string")),
        ),
    ] {
        expect("fm.plyr.track", field, &instead, refused);
    }
}

#[test]
fn other_records_keep_to_their_limits() {
    let subject = || json!({"uri": TRACK_URI, "cid": RECORD_CID});
    let ok = None;
    for (nsid, field, instead, refused) in [
        ("fm.plyr.like", "subject", json!(TRACK_URI), Some(("subject", "must be an object, is the string"))),
        ("fm.plyr.like", "subject", json!({"uri": TRACK_URI}), Some(("subject.cid", "is required"))),
        ("fm.plyr.like", "subject", json!({"uri": "x", "cid": RECORD_CID}), Some(("subject.uri", "AT URI"))),
        ("fm.plyr.like", "subject", json!({"uri": TRACK_URI, "cid": "x"}), Some(("subject.cid", "a CID"))),
        ("fm.plyr.comment", "text", json!("x".repeat(1001)), Some(("text", "at most 1000 bytes"))),
        ("fm.plyr.comment", "timestampMs", json!(-1), Some(("timestampMs", "at least 0"))),
        ("fm.plyr.comment", "updatedAt", json!("soon"), Some(("updatedAt", "a datetime"))),
        ("fm.plyr.list", "name", json!("a".repeat(65)), Some(("name", "at most 64 characters"))),
        ("fm.plyr.list", "items", json!(vec![json!({"subject": subject()}); 500]), ok),
        (
            "fm.plyr.list",
            "items",
            json!(vec![json!({"subject": subject()}); 501]),
            Some(("items", "500 items")),
        ),
        ("fm.plyr.list", "items", json!([subject()]), Some(("items[0].subject", "is required"))),
        ("fm.plyr.list", "listType", json!("mixtape"), ok),
        ("fm.plyr.actor.profile", "bio", json!("a".repeat(257)), Some(("bio", "at most 256 characters"))),
        ("fm.plyr.actor.profile", "avatar", json!("me"), Some(("avatar", "a URI"))),
        ("fm.teal.feed.play", "trackName", json!(""), Some(("trackName", "at least 1"))),
        ("fm.teal.feed.play", "artists", json!([{}]), Some(("artists[0].artistName", "is required"))),
        ("fm.teal.feed.play", "playedTime", json!("1763600000"), Some(("playedTime", "a datetime"))),
        ("fm.teal.feed.play", "recordingMbId", json!("b1a9c0e9"), Some(("recordingMbId", "a URI"))),
        ("fm.teal.actor.status", "time", json!("1763600000"), Some(("time", "a datetime"))),
        ("fm.teal.actor.status", "item", json!({"trackName": "x"}), Some(("item.artists", "is required"))),
        // How the status is taken back.
        ("fm.teal.actor.status", "item", json!({"trackName": "", "artists": []}), ok),
        ("fm.teal.alpha.actor.status", "item", json!({"trackName": "", "artists": []}), ok),
        ("fm.teal.alpha.actor.status", "time", json!(1_763_600_000), Some(("time", "must be a string"))),
        ("fm.teal.alpha.feed.play", "trackName", json!("x".repeat(257)), Some(("trackName", "at most 256"))),
        ("app.bsky.actor.profile", "displayName", json!("a".repeat(65)), Some(("displayName", "64 char"))),
        (
            "app.bsky.actor.profile",
            "displayName",
            json!(FAMILY.repeat(26)),
            Some(("displayName", "640 bytes")),
        ),
        (
            "app.bsky.actor.profile",
            "avatar",
            blob("image/webp", 1),
            Some(("avatar.mimeType", "image/png or")),
        ),
        ("app.bsky.actor.profile", "avatar", blob("image/png", 1_000_001), Some(("avatar.size", "at most"))),
    ] {
        expect(nsid, field, &instead, refused);
    }
}

#[test]
fn the_record_key_is_of_its_kind() {
    for (nsid, rkey, record) in samples() {
        let wrong = if rkey == "self" { RKEY } else { "self" };
        let violation = check(nsid, wrong, &record).expect_err(nsid);
        assert!(violation.path.is_empty() && violation.problem.contains("record key"), "{violation}");
    }
}

#[test]
fn the_type_is_the_collection_whatever_the_namespace_is_called() {
    let (rkey, mut track) = sample("fm.plyr.track");
    let staging = "fm.plyr.stg.track";
    let violation = check_record("fm.plyr.track", staging, rkey, &value(&track)).expect_err("another type");
    assert_eq!(violation.path, "$type");
    track["$type"] = json!(staging);
    assert_eq!(check_record("fm.plyr.track", staging, rkey, &value(&track)), Ok(()));
    track["features"] = json!([{"did": 1}]);
    let violation =
        check_record("fm.plyr.track", staging, rkey, &value(&track)).expect_err("a bad reference");
    assert_eq!(violation.path, "features[0].did");

    track["$type"] = json!("fm.plyr.track#main");
    assert!(check("fm.plyr.track", rkey, &track).is_err());
    assert!(check(staging, rkey, &track).expect_err("no lexicon").problem.contains("no record lexicon"));
    assert!(check("fm.plyr.feed.getLatest", rkey, &track).is_err(), "a query is no record");
    assert!(check_record("fm.plyr.track", "fm.plyr.track", rkey, &Ipld::List(vec![])).is_err());
}

#[test]
fn a_violation_is_short_and_printable_whatever_the_value_was() {
    let (rkey, mut like) = sample("fm.plyr.like");
    like["subject"]["uri"] = json!(format!("\0\u{1b}[31m{}", "x".repeat(1_000_000)));
    let shown = check("fm.plyr.like", rkey, &like).expect_err("no AT URI").to_string();
    assert!(shown.starts_with("subject.uri: must be an AT URI, is "), "{shown}");
    assert!(shown.len() < 200 && !shown.contains(char::is_control), "{shown}");
}

proptest! {
    #[test]
    fn no_value_makes_it_panic(
        noise in crate::dag::tests::values(), at in any::<prop::sample::Index>(), rkey in any::<String>(),
    ) {
        for (nsid, good_rkey, record) in samples() {
            let _ = check_record(nsid, nsid, &rkey, &noise);
            let Ipld::Map(mut fields) = value(&record) else { unreachable!("samples are objects") };
            let field = at.get(&fields.keys().cloned().collect::<Vec<_>>()).clone();
            fields.insert(field, noise.clone());
            let _ = check_record(nsid, nsid, good_rkey, &Ipld::Map(fields));
        }
    }
}
