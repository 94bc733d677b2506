use proptest::prelude::*;

use super::*;

fn parse(query: &str, raw: &str) -> Result<Value, Violation> {
    parse_params(query, raw).map(Value::Object)
}

#[test]
fn good_parameters_come_out_typed_with_defaults() {
    for (query, raw, parsed) in [
        ("fm.plyr.feed.getLatest", "", json!({"limit": 50})),
        (
            "fm.plyr.feed.getLatest",
            "limit=100&cursor=a%20b%2Bc+d",
            json!({"limit": 100, "cursor": "a b+c d"}),
        ),
        ("fm.plyr.feed.getLatest", "&newer=1&newer=2&limit=7&", json!({"limit": 7})),
        ("fm.plyr.feed.getLatest", "%6Cimit=1", json!({"limit": 1})),
        ("fm.plyr.actor.getProfile", "actor=alice.test", json!({"actor": "alice.test"})),
        ("fm.plyr.actor.getProfile", "actor=did%3Aplc%3Aabc", json!({"actor": "did:plc:abc"})),
        (
            "fm.plyr.feed.getTracks",
            "uris=at://did:plc:a/fm.plyr.track/3jzfcijpj2z2a&uris=at%3A%2F%2Fdid%3Aplc%3Ab%2Ffm.plyr.track%2Fx",
            json!({"uris": ["at://did:plc:a/fm.plyr.track/3jzfcijpj2z2a", "at://did:plc:b/fm.plyr.track/x"]}),
        ),
    ] {
        assert_eq!(parse(query, raw), Ok(parsed), "{query}?{raw}");
    }
    let hundred = vec![format!("uris={TRACK_URI}"); 100].join("&");
    assert!(parse("fm.plyr.feed.getTracks", &hundred).is_ok());
}

#[test]
fn each_bad_parameter_is_named() {
    let too_many = vec![format!("uris={TRACK_URI}"); 101].join("&");
    for (query, raw, path, says) in [
        ("fm.plyr.feed.getLatest", "limit=0", "limit", "at least 1"),
        ("fm.plyr.feed.getLatest", "limit=101", "limit", "at most 100"),
        ("fm.plyr.feed.getLatest", "limit=", "limit", "an integer"),
        ("fm.plyr.feed.getLatest", "limit=ten", "limit", "must be an integer, is \"ten\""),
        ("fm.plyr.feed.getLatest", "limit=1.5", "limit", "an integer"),
        ("fm.plyr.feed.getLatest", "limit=%2B5", "limit", "an integer"),
        ("fm.plyr.feed.getLatest", "limit=99999999999999999999", "limit", "an integer"),
        ("fm.plyr.feed.getLatest", "limit=1&limit=2", "limit", "given once"),
        ("fm.plyr.feed.getLatest", "cursor=a%00", "cursor", "U+0000"),
        ("fm.plyr.feed.getTracks", "", "uris", "is required"),
        ("fm.plyr.feed.getTracks", "uris=", "uris[0]", "an AT URI"),
        ("fm.plyr.feed.getTracks", &format!("uris={TRACK_URI}&uris=x"), "uris[1]", "an AT URI, is \"x\""),
        ("fm.plyr.feed.getTracks", &format!("uris={TRACK_URI},{TRACK_URI}"), "uris[0]", "an AT URI"),
        ("fm.plyr.feed.getTracks", &too_many, "uris", "at most 100"),
        ("fm.plyr.feed.getLikes", "limit=5", "uri", "is required"),
        ("fm.plyr.feed.getLikes", "uri=https://plyr.fm/track/1", "uri", "an AT URI"),
        ("fm.plyr.feed.getComments", "uri=%FF", "uri", "an AT URI"),
        ("fm.plyr.actor.getProfile", "", "actor", "is required"),
        ("fm.plyr.actor.getProfile", "actor=@alice.test", "actor", "a DID or a handle"),
        ("fm.plyr.actor.getProfile", &format!("x={}", "y".repeat(70_000)), "", "at most 65536 bytes"),
        ("fm.plyr.actor.getProfile", &"a&".repeat(2_000), "", "at most 1000 parameters"),
        ("fm.plyr.actor.getNobody", "", "", "no query is named"),
        ("fm.plyr.track", "", "", "no query is named"),
    ] {
        let violation = parse(query, raw).expect_err(query);
        let as_said = violation.path == path && violation.problem.contains(says);
        assert!(as_said, "{query}?{raw:.60}: {violation}");
    }
}

fn profile() -> Value {
    json!({"did": "did:plc:abc", "handle": "alice.test", "avatar": "http://127.0.0.1:3000/media/x"})
}

fn track_view() -> Value {
    let at = "2026-11-20T10:00:00.000Z";
    json!({
        "uri": TRACK_URI, "cid": RECORD_CID, "rev": RKEY, "author": profile(), "record": sample("fm.plyr.track").1,
        "audio": "http://127.0.0.1:3000/audio/0123456789abcdef", "features": [profile()], "tags": [], "likeCount": 0,
        "likeSources": {"plyr": 0, "bluesky": 0, "shares": 0}, "shareCount": 0, "repostCount": 0, "commentCount": 0, "playCount": 3,
        "playSources": {"plyr": 2, "teal": 1}, "sortAt": at, "indexedAt": at,
    })
}

#[test]
fn answers_are_checked_down_to_the_last_view() {
    let at = "2026-11-20T10:00:00.000Z";
    let like = json!({
        "uri": TRACK_URI, "cid": RECORD_CID, "rev": RKEY, "author": profile(), "createdAt": at, "indexedAt": at,
    });
    let (mut comment, mut like) = (like.clone(), like);
    like["source"] = json!("share");
    like["via"] = json!(TRACK_URI);
    comment["text"] = json!("!");
    comment["timestampMs"] = json!(1);
    let mut person = profile();
    person["trackCount"] = json!(0);
    for (query, body) in [
        ("fm.plyr.feed.getLatest", json!({"tracks": [track_view()], "cursor": "x"})),
        ("fm.plyr.feed.getTracks", json!({"tracks": []})),
        ("fm.plyr.feed.getLikes", json!({"uri": TRACK_URI, "likes": [like]})),
        ("fm.plyr.feed.getComments", json!({"uri": TRACK_URI, "comments": [comment]})),
        ("fm.plyr.actor.getProfile", person),
    ] {
        assert_eq!(check_output(query, &body), Ok(()), "{query}");
    }

    let mut track = track_view();
    track["author"]["handle"] = json!("");
    let violation =
        check_output("fm.plyr.feed.getLatest", &json!({"tracks": [track]})).expect_err("no handle");
    assert_eq!(violation.path, "tracks[0].author.handle");
    let violation = check_output("fm.plyr.feed.getLikes", &json!({"likes": []})).expect_err("no uri");
    assert_eq!(violation.path, "uri");
    assert!(check_output("fm.plyr.feed.getTracks", &json!({"tracks": [], "x": 0.5})).is_err(), "a float");
    assert!(check_output("fm.plyr.track", &json!({})).is_err());
}

proptest! {
    #[test]
    fn no_query_string_makes_it_panic(
        raw in "(limit|uris?|actor|cursor|[a-z]{0,3})(=|&|%|\\+|%[0-9A-Fa-f]{2}|\\PC){0,40}", noise in any::<String>(),
    ) {
        for query in methods() {
            let _ = parse_params(query, &raw);
            let _ = parse_params(query, &noise);
        }
    }
}
