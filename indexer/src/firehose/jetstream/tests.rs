use std::io;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::dictionary::Inflater;
use super::*;
use crate::change::{Input, Op};
use crate::dag;

const DID: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
const REV: &str = "3lr3xwyj5y22c";

fn record() -> Value {
    json!({
        "$type": "fm.plyr.track", "title": "a \"quoted\" {brace", "collection": "x", "did": "y", "seq": 9, "kind": "z",
        "audioBlob": {
            "$type": "blob", "mimeType": "audio/mpeg", "size": 4_000_000_000_u64,
            "ref": {"$link": "bafkreiccldh766hwcnuxnf2wh6jgzepf2nlu2lvcllt63eww5p6chi4ity"},
        },
        "bytes": {"$bytes": "nFERjvLLiw9qm45JrqH9QTzyC2Lu1Xb4ne6+sBrCzI0"}, "nested": [[{"payload": {"seq": 1}}, -7]],
    })
}

fn cid(record: &Value) -> String {
    dag::encode(&dag::from_json(record).expect("in the model")).expect("encodable").0.to_string()
}

fn v2(kind: &str, seq: i64, more: Value) -> Value {
    let mut payload = json!({"$type": format!("{PAYLOAD_PREFIX}{kind}"), "did": DID, "seq": seq,
                             "time": "2026-10-01T02:03:04.000005Z"});
    payload.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    json!({"$type": "message", "payload": payload})
}

fn commit(record: &Value, cid: Option<&str>) -> Value {
    json!({"operation": "create", "collection": "fm.plyr.track", "rkey": "3l", "rev": REV, "record": record, "cid": cid})
}

fn told(dialect: Dialect, message: &Value) -> Vec<Input> {
    inputs(dialect, &Bytes::from(message.to_string()))
}

#[test]
fn both_dialects_say_the_same() {
    let record = record();
    let change = commit(&record, Some(&cid(&record)));
    let modern = v2("commit", 7, change.clone());
    let legacy = json!({"did": DID, "time_us": 1_790_000_000_000_000_i64, "cursor": 7, "kind": "commit", "commit": change});
    for (dialect, message, seq) in [(Dialect::V2, &modern, 7), (Dialect::V1, &legacy, 1_790_000_000_000_000)]
    {
        let text = message.to_string();
        let head = skim::head(dialect, text.as_bytes()).expect("plainly written");
        assert_eq!((head.what, head.seq, &*head.did), (What::Commit, seq, DID));
        assert_eq!(head.collection.as_deref(), Some("fm.plyr.track"));
        let time = head.time().expect("a time").timestamp_micros();
        assert_eq!(time, if dialect == Dialect::V1 { seq } else { 1_790_820_184_000_005 });
        let told = told(dialect, message);
        let [Input::Report(report)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(report.uri.to_string(), format!("at://{DID}/fm.plyr.track/3l"));
        assert_eq!(report.rev.as_str(), REV);
        let Op::Put { cid: found, value } = &report.op else { panic!("{report:?}") };
        assert_eq!(found.to_string(), cid(&record));
        assert_eq!(dag::to_json(&dag::decode(value).expect("canonical")), record);
    }
}

#[test]
fn what_is_not_as_it_says_is_kept_aside_and_its_repo_read() {
    let good = record();
    let (cid, mut other) = (cid(&good), good.clone());
    other["title"] = "another".into();
    let mut float = good.clone();
    float["nested"] = json!([1.5]);
    let mut large = good.clone();
    large["nested"] = json!(18_446_744_073_709_551_615_u64);
    let change = |key: &str, value: Value| {
        let mut change = commit(&good, Some(&cid));
        change[key] = value;
        change
    };
    for (change, kind) in [
        (commit(&other, Some(&cid)), "CidMismatch"),
        (commit(&good, None), "CidMismatch"),
        (commit(&good, Some("bafy")), "CidMismatch"),
        (change("record", Value::Null), "CidMismatch"),
        (commit(&float, Some(&cid)), "Float"),
        (commit(&large, Some(&cid)), "IntegerRange"),
        (change("record", json!({"$link": 1})), "BadLink"),
        (change("rev", "yesterday".into()), "BadField"),
        (change("rev", "7lr3xwyj5y22c".into()), "FutureRev"),
        (change("rkey", "a/b".into()), "BadField"),
        (change("operation", "upsert".into()), "BadField"),
    ] {
        let told = told(Dialect::V2, &v2("commit", 7, change));
        let [Input::Problem(problem), Input::Missed { did }] = &told[..] else { panic!("{kind}: {told:?}") };
        assert_eq!((problem.kind, problem.seq, did.as_str()), (kind, Some(7), DID), "{}", problem.detail);
        assert!(!problem.bytes.is_empty());
    }
}

#[test]
fn other_kinds_are_told_and_unknown_ones_skipped() {
    let delete = json!({"operation": "delete", "collection": "fm.plyr.track", "rkey": "3l", "rev": REV});
    assert!(matches!(&told(Dialect::V2, &v2("commit", 1, delete))[..],
        [Input::Report(report)] if report.op == Op::Delete));
    let account = |account: Value| told(Dialect::V2, &v2("account", 1, json!({"account": account})));
    assert!(matches!(account(json!({"active": false, "status": "takendown"}))[..], [Input::Account { .. }]));
    assert!(account(json!({"active": false, "status": "throttled"})).is_empty());
    assert!(matches!(told(Dialect::V2, &v2("identity", 1, json!({})))[..], [Input::Identity { .. }]));
    assert!(matches!(
        told(Dialect::V2, &v2("sync", 1, json!({"sync": {"rev": REV}})))[..],
        [Input::Missed { .. }]
    ));
    let of = |message: Value| {
        super::message(Dialect::V2, message.to_string().as_bytes()).map(|message| match message {
            Message::Event(_) => "event".to_owned(),
            Message::Info { name, .. } | Message::Error { name, .. } => name,
            Message::Unknown(seq) => format!("{seq:?}"),
        })
    };
    assert_eq!(of(v2("label", 12, json!({}))).expect("skipped"), "Some(12)");
    assert_eq!(of(json!({"$type": "chorus"})).expect("skipped"), "None");
    let info = json!({"$type": format!("{PAYLOAD_PREFIX}info"), "name": "OutdatedCursor"});
    assert_eq!(of(json!({"$type": "message", "payload": info})).expect("read"), "OutdatedCursor");
    assert_eq!(of(json!({"$type": "error", "error": "ConsumerTooSlow"})).expect("read"), "ConsumerTooSlow");
    assert!(
        of(json!({"$type": "message", "payload": {"$type": format!("{PAYLOAD_PREFIX}sync"), "seq": 1}}))
            .is_err()
    );
    assert!(of(json!([])).is_err());
}

#[test]
fn text_inside_a_record_deceives_nobody() {
    // A record that looks like the rest of an event, before the true fields.
    let text = r##"{"$type":"message","payload":{"$type":"network.bsky.jetstream.subscribeEvents#commit",
        "record":{"text":"\"},\"collection\":\"fm.plyr.track\",\"seq\":1,{[","collection":"fm.plyr.like","a":[{"did":"}"}]},
        "collection":"app.bsky.feed.post","did":"did:web:a.example","seq":5,"time":"2026-10-01T00:00:00.000000Z"}}"##;
    let head = skim::head(Dialect::V2, text.as_bytes()).expect("found");
    assert_eq!((head.seq, head.collection.as_deref()), (5, Some("app.bsky.feed.post")));
    // A name with an escape is the same name: that is for the parser.
    let change = json!({"operation": "delete", "collection": "fm.plyr.track", "rkey": "3l", "rev": REV});
    let escaped = v2("commit", 5, change).to_string().replace("\"collection\"", "\"coll\\u0065ction\"");
    assert_eq!(skim::head(Dialect::V2, escaped.as_bytes()), None);
    let Ok(Message::Event(head)) = message(Dialect::V2, escaped.as_bytes()) else { panic!("unreadable") };
    assert_eq!(head.collection.as_deref(), Some("fm.plyr.track"));
    // Twice is once too often.
    let twice = text.replace("\"seq\":5", "\"seq\":5,\"collection\":\"fm.plyr.track\"");
    assert_eq!(skim::head(Dialect::V2, twice.as_bytes()), None);
    assert!(message(Dialect::V2, twice.as_bytes()).is_err());
}

#[test]
fn the_last_word_of_a_commit_holds() {
    let change = |operation: &str, rkey: &str, rev: &str| {
        let change = json!({"operation": operation, "collection": "fm.plyr.track", "rkey": rkey, "rev": rev});
        Bytes::from(v2("commit", 7, change).to_string())
    };
    let touched = fold::Touched::read(Dialect::V2, &change("delete", "3l", REV)).expect("a commit");
    assert!(touched.is_deletion);
    assert!(touched.is_retold_by(Dialect::V2, &change("create", "3l", REV)));
    assert!(!touched.is_retold_by(Dialect::V2, &change("create", "3m", REV)));
    assert!(!touched.is_retold_by(Dialect::V2, &change("create", "3l", "3lr3xwyj5y22d")));
    let looks_so = json!({"operation": "create", "collection": "fm.plyr.list", "rkey": "3l", "rev": REV});
    assert!(!touched.is_retold_by(Dialect::V2, &Bytes::from(v2("commit", 8, looks_so).to_string())));
    assert!(!touched.is_retold_by(Dialect::V2, &Bytes::from_static(b"3lr3xwyj5y22c 3l")));
}

#[test]
fn the_fixed_dictionary_is_the_one_that_all_share() {
    let dictionary = include_bytes!("dictionary_v1.zdict");
    assert_eq!((dictionary.len(), dictionary::id(dictionary)), (112_640, Some(1_612_007_021)));
    let text = v2("identity", 1, json!({})).to_string();
    let mut compressor = zstd::bulk::Compressor::with_dictionary(3, dictionary).expect("a dictionary");
    let mut inflater = Inflater::fixed().expect("a dictionary");
    for _ in 0..2 {
        let packed = compressor.compress(text.as_bytes()).expect("packed");
        assert_eq!(inflater.inflate(&packed).expect("unpacked"), text.as_bytes());
    }
    assert!(inflater.inflate(b"{}").is_err());
}

#[test]
fn nothing_unfolds_beyond_its_limit() {
    let mut inflater = Inflater::fixed().expect("a dictionary");
    let bomb = vec![0; MESSAGE_BYTES_MAX + 1];
    let declared = zstd::bulk::compress(&bomb, 3).expect("packed");
    let mut undeclared = zstd::stream::Encoder::new(Vec::new(), 3).expect("an encoder");
    io::copy(&mut &bomb[..], &mut undeclared).expect("packed");
    let undeclared = undeclared.finish().expect("packed");
    for packed in [&declared, &undeclared] {
        assert!(packed.len() < 10_000);
        assert!(inflater.inflate(packed).is_err());
    }
    let mut long = zstd::stream::Encoder::new(Vec::new(), 3).expect("an encoder");
    io::copy(&mut &bomb[..1_000_000], &mut long).expect("packed");
    assert_eq!(inflater.inflate(&long.finish().expect("packed")).expect("unpacked").len(), 1_000_000);
}

/// Any JSON, with the names that matter in it.
fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<Option<bool>>().prop_map(|flag| json!(flag)),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec!["}", "{\"", "\\", "\"", "fm.plyr.track", "message"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let keys = prop::sample::select(vec![
            "did",
            "seq",
            "kind",
            "$type",
            "collection",
            "payload",
            "commit",
            "ü",
            "\"\\",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..5).prop_map(|entries| {
                Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

/// An object with its fields in any order.
fn written(fields: Vec<(&str, Value)>, space: &str) -> String {
    let fields: Vec<String> = fields
        .into_iter()
        .map(|(key, value)| format!("{space}\"{key}\"{space}:{space}{value}{space}"))
        .collect();
    format!("{{{}}}", fields.join(","))
}

proptest! {
    /// Whatever the walk finds, the parser finds too.
    #[test]
    fn the_walk_and_the_parser_agree(
        record in json_values(), extra in json_values(), seq in any::<i64>(), text in any::<String>(),
        order in Just(vec![0, 1, 2, 3, 4, 5, 6, 7]).prop_shuffle(), space in prop::sample::select(vec!["", " ", "\n\t"]),
    ) {
        let fields = [
            ("$type", json!(format!("{PAYLOAD_PREFIX}commit"))), ("did", json!(DID)), ("seq", json!(seq)),
            ("time", json!("2026-10-01T00:00:00.000000Z")), ("collection", json!(text)), ("record", record), ("extra", extra),
            ("rest", json!(1)),
        ];
        let mut fields: Vec<_> = order.into_iter().map(|index| fields[index].clone()).collect();
        fields.extend([("rev", json!(REV)), ("rkey", json!("a")), ("operation", json!("create"))]);
        let payload = written(fields, space);
        let message = format!("{{\"$type\":{space}\"message\",\"payload\":{payload}}}");
        let parsed = serde_json::from_str::<Value>(&message).expect("JSON");
        if let Some(head) = skim::head(Dialect::V2, message.as_bytes()) {
            prop_assert_eq!(head.seq, parsed["payload"]["seq"].as_i64().expect("a number"));
            prop_assert_eq!(head.collection.as_deref(), Some(text.as_str()));
        }
        let Ok(Message::Event(head)) = super::message(Dialect::V2, message.as_bytes()) else {
            panic!("unreadable: {message}")
        };
        prop_assert_eq!(&*head.did, DID);
        prop_assert_eq!(head.collection.as_deref(), Some(text.as_str()));
    }

    #[test]
    fn whatever_comes_there_is_no_panic(noise in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), json in json_values()) {
        let mut near = v2("commit", 7, commit(&json, Some("x"))).to_string().into_bytes();
        let at = at.index(near.len());
        near[at..].iter_mut().zip(&noise).for_each(|(byte, noise)| *byte = *noise);
        let mut inflater = Inflater::fixed().expect("a dictionary");
        for bytes in [near, noise, json.to_string().into_bytes()] {
            inflater.inflate(&bytes).ok();
            for dialect in [Dialect::V1, Dialect::V2] {
                message(dialect, &bytes).ok();
                inputs(dialect, &Bytes::from(bytes.clone()));
            }
        }
    }
}
