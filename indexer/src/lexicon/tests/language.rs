//! The parts of the language that the embedded lexicons do not happen to use, and those they use in one way only.

use super::*;

fn catalog() -> Catalog {
    let record = json!({"type": "object", "required": ["a"], "nullable": ["b"], "properties": {
        "a": {"type": "boolean"},
        "b": {"type": "string", "minLength": 2},
        "yes": {"type": "boolean", "const": true},
        "bytes": {"type": "bytes", "minLength": 1, "maxLength": 3},
        "link": {"type": "cid-link"},
        "any": {"type": "unknown"},
        "file": {"type": "blob"},
        "few": {"type": "array", "minLength": 1, "items": {"type": "array", "items": {"type": "integer"}}},
        "size": {"type": "integer", "enum": [1, 2]},
        "answer": {"type": "integer", "const": 42, "maximum": 50},
        "colour": {"type": "string", "enum": ["red", "blue"]},
        "word": {"type": "string", "const": "word"},
        "graphemes": {"type": "string", "minGraphemes": 2, "maxGraphemes": 3},
        "open": {"type": "union", "refs": ["#tree", "t.e.other"]},
        "closed": {"type": "union", "refs": ["#tree", "t.e.other"], "closed": true},
        "tree": {"type": "ref", "ref": "#tree"},
    }});
    let tree = json!({"type": "object", "required": ["n"], "properties": {
        "n": {"type": "integer"}, "child": {"type": "ref", "ref": "#tree"},
    }});
    let files = [
        json!({"lexicon": 1, "id": "t.e.st", "defs": {
            "main": {"type": "record", "key": "nsid", "record": record}, "tree": tree,
        }}),
        json!({"lexicon": 1, "id": "t.e.other", "defs": {
            "main": {"type": "record", "key": "any", "record": {"type": "object", "properties": {
                "x": {"type": "ref", "ref": "t.e.st#tree"},
            }}},
        }}),
        json!({"lexicon": 1, "id": "t.e.query", "defs": {"main": {"type": "query", "parameters": {
            "type": "params", "required": ["on", "sizes"], "properties": {
                "on": {"type": "boolean"}, "off": {"type": "boolean", "default": false},
                "word": {"type": "string", "default": "none", "maxLength": 4},
                "sizes": {"type": "array", "items": {"type": "integer", "maximum": 9}, "maxLength": 2},
            },
        }}}}),
    ];
    let path = |json: &Value| json["id"].as_str().expect("an id").replace('.', "/") + ".json";
    Catalog::load(files.iter().map(|json| (path(json), json.to_string()))).expect("correct")
}

#[test]
fn each_type_takes_its_own_and_names_what_is_not() {
    let catalog = catalog();
    let ok = None;
    let tree = |kind: &str, n: Value| json!({"$type": kind, "n": n});
    for (field, given, refused) in [
        ("a", json!("true"), Some(("a", "must be a boolean, is the string \"true\""))),
        ("b", Value::Null, ok),
        ("b", json!("x"), Some(("b", "at least 2 bytes"))),
        ("unheard of", json!({"x": [1, null]}), ok),
        ("yes", json!(false), Some(("yes", "must be true"))),
        ("bytes", json!({"$bytes": "AAAA"}), ok),
        ("bytes", json!({"$bytes": ""}), Some(("bytes", "at least 1 bytes"))),
        ("bytes", json!({"$bytes": "AAAAAA"}), Some(("bytes", "at most 3 bytes"))),
        ("bytes", json!("AAAA"), Some(("bytes", "must be bytes, is the string"))),
        ("link", json!({"$link": RECORD_CID}), ok),
        ("link", json!(RECORD_CID), Some(("link", "must be a link"))),
        ("any", json!({"x": 1}), ok),
        ("any", json!(1), Some(("any", "must be an object"))),
        ("any", json!({"$bytes": "AAAA"}), Some(("any", "must be an object, is bytes"))),
        ("any", blob("text/plain", 1), Some(("any", "must be an object"))),
        ("file", blob("text/plain; charset=utf-8", i64::MAX), ok),
        ("file", blob("text", 1), Some(("file.mimeType", "a MIME type"))),
        ("file", json!("x"), Some(("file", "must be a blob"))),
        ("file", json!({"$type": "image"}), Some(("file.$type", "must be \"blob\""))),
        ("file", json!({"type": "blob"}), Some(("file.$type", "is required"))),
        ("file", json!({"$type": "blob"}), Some(("file.ref", "is required"))),
        ("file", json!({"$type": "blob", "ref": BLOB_CID}), Some(("file.ref", "must be a link"))),
        ("file", json!({"$type": "blob", "ref": {"$link": RECORD_CID}}), Some(("file.ref", "must be a raw"))),
        (
            "file",
            json!({"$type": "blob", "ref": {"$link": BLOB_CID}}),
            Some(("file.mimeType", "is required")),
        ),
        (
            "file",
            json!({"$type": "blob", "ref": {"$link": BLOB_CID}, "mimeType": "a/b"}),
            Some(("file.size", "is required")),
        ),
        ("few", json!([[1], []]), ok),
        ("few", json!([]), Some(("few", "at least 1 items"))),
        ("few", json!([[1], [2, "3"]]), Some(("few[1][1]", "must be an integer"))),
        ("size", json!(3), Some(("size", "must be one of [1, 2]"))),
        ("answer", json!(41), Some(("answer", "must be 42"))),
        ("answer", json!(51), Some(("answer", "at most 50"))),
        ("colour", json!("green"), Some(("colour", "must be one of [\"red\", \"blue\"]"))),
        ("word", json!("words"), Some(("word", "must be \"word\""))),
        ("graphemes", json!("🇩🇪👩‍🎤"), ok),
        ("graphemes", json!("🇩🇪"), Some(("graphemes", "at least 2 characters, has 1"))),
        ("graphemes", json!("e\u{301}🇩🇪👩‍🎤."), Some(("graphemes", "at most 3 characters"))),
        ("open", tree("t.e.st#tree", json!(1)), ok),
        ("open", tree("t.e.st#tree", json!("1")), Some(("open.n", "must be an integer"))),
        ("open", tree("t.e.unknown", json!("1")), ok),
        ("open", tree("", json!(1)), Some(("open.$type", "a type's name"))),
        ("open", json!({"n": 1}), Some(("open.$type", "is required"))),
        ("open", json!([]), Some(("open", "must be an object"))),
        ("closed", json!({"$type": "t.e.other", "x": {"n": 1}}), ok),
        ("closed", json!({"$type": "t.e.other#main", "x": {}}), Some(("closed.x.n", "is required"))),
        ("closed", tree("t.e.unknown", json!(1)), Some(("closed.$type", "none of this union"))),
        (
            "tree",
            json!({"n": 1, "child": {"n": 2, "child": {}}}),
            Some(("tree.child.child.n", "is required")),
        ),
    ] {
        let mut record = json!({"$type": "t.e.st", "a": true});
        record[field] = given.clone();
        let outcome = check_record_in(&catalog, "t.e.st", "t.e.st", "a.b.c", &value(&record));
        let as_said = match (&outcome, refused) {
            (Ok(()), None) => true,
            (Err(violation), Some((path, says))) => {
                violation.path == path && violation.problem.contains(says)
            }
            _ => false,
        };
        assert!(as_said, "{field} = {given}: {outcome:?}");
    }
}

#[test]
fn record_keys_come_in_four_kinds() {
    let catalog = catalog();
    let check = |nsid: &str, rkey: &str| {
        check_record_in(&catalog, nsid, nsid, rkey, &value(&json!({"$type": nsid, "a": true}))).is_ok()
    };
    assert!(check("t.e.st", "fm.plyr.track") && !check("t.e.st", RKEY));
    assert!(check("t.e.other", "anything:at-all") && !check("t.e.other", "..") && !check("t.e.other", ""));
}

#[test]
fn numbers_beyond_the_data_model_are_refused_by_the_interpreter_too() {
    let catalog = catalog();
    for number in [Ipld::Float(1.0), Ipld::Integer(i128::from(i64::MAX) + 1)] {
        let fields = [("$type", Ipld::String("t.e.st".into())), ("a", Ipld::Bool(true)), ("size", number)];
        let record = Ipld::Map(fields.map(|(key, value)| (key.to_owned(), value)).into());
        let violation = check_record_in(&catalog, "t.e.st", "t.e.st", "a.b.c", &record).expect_err("refused");
        assert_eq!(violation.path, "size");
    }
}

#[test]
fn parameters_of_every_kind_are_typed() {
    let catalog = catalog();
    let params = catalog.query("t.e.query").and_then(|query| query.parameters.as_ref()).expect("parameters");
    let parse = |raw: &str| params::parse(&catalog, params, raw).map(Value::Object);
    assert_eq!(
        parse("sizes=9&on=true&sizes=-3"),
        Ok(json!({"on": true, "off": false, "word": "none", "sizes": [9, -3]}))
    );
    for (raw, path) in [
        ("sizes=1", "on"),
        ("on=true", "sizes"),
        ("on=1&sizes=1", "on"),
        ("on=true&sizes=1&sizes=x", "sizes[1]"),
        ("on=true&sizes=1&sizes=10", "sizes[1]"),
        ("on=true&sizes=1&sizes=2&sizes=3", "sizes"),
        ("on=true&sizes=1&word=%00", "word"),
        ("on=true&sizes=1&word=12345", "word"),
    ] {
        assert_eq!(parse(raw).expect_err(raw).path, path, "{raw}");
    }
}
