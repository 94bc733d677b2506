use chrono::{DateTime, Utc};

use super::*;
use crate::lexicon::schema::Format;

fn assert_format(format: Format, good: &[&str], bad: &[&str]) {
    for text in good {
        assert!(format.matches(text), "{format:?} is {text:.80?}");
    }
    for text in bad {
        assert!(!format.matches(text), "{format:?} is not {text:.80?}");
    }
}

#[test]
fn datetimes_are_what_three_standards_agree_on() {
    assert_format(
        Format::Datetime,
        &[
            "1985-04-12T23:20:50Z",
            "1985-04-12T23:20:50.1Z",
            "1985-04-12T23:20:50.1235678912345Z",
            "1985-04-12T23:20:50.123+00:00",
            "1985-04-12T23:20:50.123-07:00",
            "1985-04-12T23:20:50.123+01:45",
            "2024-02-29T00:00:00Z",
            "0123-01-01T00:00:00.000Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ],
        &[
            "",
            "1985-04-12",
            "1985-04-12T23:20Z",
            "1985-04-12T23:20:50",
            "1985-04-12T23:20:50.123",
            "1985-04-12T23:20:50.Z",
            "1985-04-12t23:20:50Z",
            "1985-04-12T23:20:50z",
            "1985-04-12 23:20:50Z",
            " 1985-04-12T23:20:50Z",
            "1985-04-12T23:20:50Z ",
            "1985-4-12T23:20:50Z",
            "1985-04-12T23:20:5Z",
            "01985-04-12T23:20:50Z",
            "+1985-04-12T23:20:50Z",
            "1985-+4-12T23:20:50Z",
            "1985-04-12T23:20:50+00",
            "1985-04-12T23:20:50+0000",
            "1985-04-12T23:20:50-00:00",
            "1985-04-12T23:20:50+24:00",
            "1985-04-12T23:20:50+01:60",
            "1985-04-12T23:20:50+-1:00",
            "1985-00-12T23:20:50Z",
            "1985-02-30T23:20:50Z",
            "1985-04-12T24:00:00Z",
            "1985-04-12T23:60:00Z",
            "1990-12-31T23:59:60Z",
            "-000001-12-31T23:00:00.000Z",
            "0000-01-01T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "1985–04–12T23:20:50Z",
            "１985-04-12T23:20:50Z",
            &format!("1985-04-12T23:20:50.{}Z", "1".repeat(60)),
        ],
    );
}

#[test]
fn moments_are_read_exactly() {
    let moment = |text: &str| text.parse::<DateTime<Utc>>().expect("RFC 3339");
    for (text, utc) in [
        ("2026-11-20T10:00:00.123456789999Z", "2026-11-20T10:00:00.123456789Z"),
        ("2026-11-20T10:00:00.5+05:30", "2026-11-20T04:30:00.5Z"),
        ("2026-12-31T23:00:00-02:00", "2027-01-01T01:00:00Z"),
    ] {
        assert_eq!(parse_datetime(text), Some(moment(utc)), "{text}");
        assert_eq!(parse_datetime_or_unix(text), Some(moment(utc)), "{text}");
    }
    assert_eq!(parse_datetime_or_unix("1763600000"), Some(moment("2025-11-20T00:53:20Z")));
    assert_eq!(parse_datetime_or_unix("0"), Some(DateTime::UNIX_EPOCH));
    for none in ["", "-5", "+5", "1763600000.5", "1763600000000", "999999999999", "now"] {
        assert_eq!(parse_datetime_or_unix(none), None, "{none}");
    }
}

#[test]
fn uris_have_a_scheme_and_no_gaps() {
    let long = format!("https://example.com/{}", "x".repeat(8_172));
    assert_format(
        Format::Uri,
        &[
            "https://example.com",
            "https://example.com/path?q=blah&yes=true#frag.123",
            "dns:example.com",
            "did:key:zQ3shZc2QzApp2oymGvQbzP8eKheVshBHbU4ZYjeXqwSKEn6N",
            "microsoft.windows.camera:thing",
            "go://?Mercedes%20Benz",
            "https://exämple.com/é",
            &long,
        ],
        &[
            "",
            "example.com",
            "://example.com",
            "//example.com",
            "http:",
            ".http://example.com",
            "-http://example.com",
            "1http://example.com",
            "https://example.com/path gap",
            " https://example.com",
            "https://example.com\n",
            "https://example.com/\u{0}",
            &format!("{long}x"),
        ],
    );
}

#[test]
fn at_uris_name_a_repo_a_collection_or_a_record() {
    let long = format!("at://did:plc:asdf123/com.atproto.feed.post/{}", "o".repeat(512));
    assert_format(
        Format::AtUri,
        &[
            "at://did:plc:asdf123",
            "at://user.bsky.social",
            "at://did:plc:asdf123/com.atproto.feed.post",
            "at://did:plc:asdf123/com.atproto.feed.post/record",
            "at://did:abc:123/io.nsid.someFunc/self.",
            &long,
        ],
        &[
            "at:did:plc:asdf123",
            "AT://did:plc:asdf123",
            "at://DID:plc:asdf123",
            "at://name",
            "at://did:plc:asdf123/",
            "at://did:plc:asdf123/12345",
            "at://did:plc:asdf123/com.atproto.feed.post/",
            "at://did:plc:asdf123/com.atproto.feed.post/a/b",
            "at://did:plc:asdf123/com.atproto.feed.post/..",
            "at://did:plc:asdf123/com.atproto.feed.post/%23",
            "at://did:plc:asdf123#/frag",
            "at://did:plc:asdf123?q",
            " at://did:plc:asdf123",
            &format!("{long}o"),
        ],
    );
}

#[test]
fn cids_are_of_version_one() {
    let noise = format!("z{}", "2".repeat(300));
    assert_format(
        Format::Cid,
        &[RECORD_CID, BLOB_CID, "zdj7WWeQ43G6JJvLWQWZpyHuAMq6uYWRjkBXFad11vE2LHhQ7"],
        &[
            "",
            "12345",
            "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR",
            "cid:bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
            "/ipfs/bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
            " bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
            "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdiaa",
            &noise,
        ],
    );
}

#[test]
fn names_are_those_of_the_protocol() {
    assert_format(
        Format::Did,
        &["did:plc:abc", "did:web:example.com"],
        &["did:plc:", "alice.test", "at://did:plc:a"],
    );
    assert_format(Format::Handle, &["alice.test", "XX.LCS.MIT.EDU"], &["alice", "alice.123", "did:plc:abc"]);
    assert_format(Format::AtIdentifier, &["did:plc:abc", "alice.test"], &["alice", "@alice.test"]);
    assert_format(Format::Nsid, &["fm.plyr.track"], &["fm.plyr", "fm.plyr.track#main", "fm.plyr.stg-2"]);
    assert_format(Format::Tid, &[RKEY], &["self", "3JZFCIJPJ2Z2A", "3jzfcijpj2z2aa"]);
    assert_format(Format::RecordKey, &["self", "a:b~c"], &[".", "a/b", ""]);
    assert_format(
        Format::Language,
        &[
            "ja",
            "ban",
            "pt-BR",
            "zh-Hant",
            "es-419",
            "i-navajo",
            "X-fr-CH",
            "en-GB-boont-r-extended-x-private",
        ],
        &["", ".", "123", "j", "i", "ja-", "a-DE", "ja--x", "de_DE", "en-toolongtag"],
    );
}
