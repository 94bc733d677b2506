use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;

const LINK: &str = "bafyreidfayvfuwqa7qlnopdjiqrxzs6blmoeu4rujcjtnci5beludirz2a";

fn bytes_of(hex_text: &str) -> Vec<u8> {
    hex::decode(hex_text.replace(' ', "")).expect("hex")
}

fn encode(value: &Ipld) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).expect("encodable")
}

/// What a `getRecord` answer and the block behind it look like: links, bytes and text beyond ASCII.
#[test]
fn the_two_encodings_say_the_same() {
    let json = json!({
        "a": {"$link": LINK},
        "b": {"$bytes": "nFERjvLLiw9qm45JrqH9QTzyC2Lu1Xb4ne6+sBrCzI0"},
        "text": "a~öñ©⽘☎𓋓😀", "deep": [[], {}, [null, true, -7, i64::MIN, i64::MAX]],
    });
    let value = from_json(&json).expect("in the data model");
    assert_eq!(decode(&encode(&value)).expect("canonical"), value);
    assert_eq!(to_json(&value), json);
}

/// A value and its CID as the protocol's interoperability fixtures give them.
#[test]
fn the_encoding_is_the_one_others_hash() {
    let json = json!({
        "a": {"$link": LINK},
        "b": {"$bytes": "nFERjvLLiw9qm45JrqH9QTzyC2Lu1Xb4ne6+sBrCzI0"},
        "c": {
            "$type": "blob",
            "ref": {"$link": "bafkreiccldh766hwcnuxnf2wh6jgzepf2nlu2lvcllt63eww5p6chi4ity"},
            "mimeType": "image/jpeg",
            "size": 10000,
        },
    });
    let cid = parse_cid("bafyreihldkhcwijkde7gx4rpkkuw7pl6lbyu5gieunyc7ihactn5bkd2nm").expect("a CID");
    let bytes = encode(&from_json(&json).expect("in the data model"));
    assert_eq!(Sha256::digest(&bytes)[..], *cid.hash().digest());
}

#[test]
fn bytes_outside_the_data_model_are_named() {
    let link = hex::encode(encode(&Ipld::Link(LINK.parse().expect("a CID"))));
    for (bytes, name) in [
        ("fb3ff199999999999a", "Float"),                                 // 1.1
        ("f93c00", "Float"),                                             // 1.0 in 16 bits
        ("fa7fc00000", "Float"),                                         // not a number
        ("81fb7ff0000000000000", "Float"),                               // infinity in a list
        ("1b8000000000000000", "IntegerRange"),                          // 2^63
        ("3b8000000000000000", "IntegerRange"),                          // -2^63 - 1
        ("c249010000000000000000", "BadCbor"),                           // a bignum
        ("", "BadCbor"),                                                 // nothing
        ("a1", "BadCbor"),                                               // a map cut short
        ("9bffffffffffffffff", "BadCbor"),                               // a list longer than memory
        ("bbffffffffffffffff", "BadCbor"), // a map whose values overflow the count
        ("5bffffffffffffffff", "BadCbor"), // bytes longer than memory
        ("0000", "BadCbor"),               // two values
        ("9f00ff", "BadCbor"),             // an indefinite list
        ("f7", "BadCbor"),                 // undefined
        ("1801", "BadCbor"),               // a longer head than needed
        ("a2616200616100", "BadCbor"),     // keys out of order
        ("a2616100616100", "BadCbor"),     // a key twice
        ("a10000", "BadCbor"),             // a key that is no text
        ("61ff", "BadCbor"),               // not UTF-8
        ("d82a00", "BadLink"),             // a link to a number
        ("d82a40", "BadLink"),             // to nothing
        ("d82a4100", "BadLink"),           // to an empty CID
        (&format!("{link}00"), "BadCbor"), // a link, then a byte
        (&format!("{}ff", link.replacen("5825", "5826", 1)), "BadLink"), // a byte too many inside the link
        ("d82a5823001220 65062a5a5a00fc16d73c6944237ccbc15b1c4a7234489336891d091741a239d0", "BadLink"), // version 0
    ] {
        let problem = decode(&bytes_of(bytes)).expect_err(bytes);
        assert_eq!(problem.name(), name, "{bytes}: {problem}");
    }
    assert!(matches!(decode(&bytes_of(&link)), Ok(Ipld::Link(_))));
    assert_eq!(decode(&bytes_of("3b7fffffffffffffff")), Ok(Ipld::Integer(i64::MIN.into())));
}

#[test]
fn nesting_ends_in_a_problem_and_not_in_the_stack() {
    let nested = |depth: usize| [vec![0x81; depth - 1], vec![0x80]].concat();
    assert!(decode(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(decode(&nested(MAX_DEPTH + 1)), Err(DagProblem::TooDeep));
    let small_stack = std::thread::Builder::new().stack_size(128 * 1024);
    let decoded = small_stack.spawn(move || (decode(&nested(MAX_DEPTH)).is_ok(), decode(&nested(100_000))));
    let decoded = decoded.expect("spawned").join().expect("no overflow");
    assert_eq!(decoded, (true, Err(DagProblem::TooDeep)));

    let json = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    assert!(from_json(&json(MAX_DEPTH)).is_ok());
    assert_eq!(from_json(&json(MAX_DEPTH + 1)), Err(DagProblem::TooDeep));
}

#[test]
fn the_number_of_values_is_bounded() {
    let list = |length: usize| encode(&Ipld::List(vec![Ipld::Null; length]));
    assert!(decode(&list(MAX_VALUES - 1)).is_ok());
    assert_eq!(decode(&list(MAX_VALUES)), Err(DagProblem::TooManyValues));
    let wide: serde_json::Map<_, _> = (0..MAX_VALUES / 2).map(|i| (i.to_string(), json!(1))).collect();
    assert_eq!(from_json(&wide.clone().into()), Err(DagProblem::TooManyValues));
    let map: BTreeMap<_, _> = (0..MAX_VALUES / 2).map(|i| (i.to_string(), Ipld::Null)).collect();
    assert_eq!(decode(&encode(&Ipld::Map(map))), Err(DagProblem::TooManyValues));
}

#[test]
fn json_outside_the_data_model_is_named() {
    let link = "bafkreiccldh766hwcnuxnf2wh6jgzepf2nlu2lvcllt63eww5p6chi4ity";
    for (json, name) in [
        (json!({"a": 123.456}), "Float"),
        (json!(1e300), "Float"),
        (json!(u64::MAX), "IntegerRange"),
        (json!({"$link": 1234}), "BadLink"),
        (json!({"$link": "."}), "BadLink"),
        (json!({"$link": format!("/ipfs/{link}")}), "BadLink"),
        (json!({"$link": "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"}), "BadLink"),
        (json!({"$link": format!("z{}", "2".repeat(100_000))}), "BadLink"),
        (json!({"$link": link, "other": "x"}), "BadLink"),
        (json!({"$bytes": [1, 2, 3]}), "BadBytes"),
        (json!({"$bytes": "not base64"}), "BadBytes"),
        (json!({"$bytes": "AAAA", "other": "x"}), "BadBytes"),
    ] {
        assert_eq!(from_json(&json).expect_err("refused").name(), name, "{json}");
    }
    assert_eq!(from_json(&json!(123.0)), Ok(Ipld::Integer(123)));
    assert_eq!(from_json(&json!({"$bytes": "AQ=="})), Ok(Ipld::Bytes(vec![1])));
    assert_eq!(from_json(&json!({"$link": link})), Ok(Ipld::Link(link.parse().expect("a CID"))));
}

#[test]
fn nul_is_found_wherever_text_stands() {
    for json in [json!("\0"), json!({"a\0": 1}), json!([{"a": ["x\0y"]}])] {
        assert!(contains_nul(&from_json(&json).expect("legal")), "{json}");
    }
    let clean = json!({"a": ["x", {"$bytes": "AAAA"}, 0, null]});
    assert!(!contains_nul(&from_json(&clean).expect("legal")));
}

proptest! {
    #[test]
    fn whatever_bytes_come_there_is_no_panic(
        value in values(), at in any::<prop::sample::Index>(), byte in any::<u8>(), noise in any::<Vec<u8>>(),
    ) {
        let mut near = encode(&value);
        let at = at.index(near.len());
        near[at] = byte;
        for bytes in [near, noise] {
        if let Ok(value) = decode(&bytes) {
            // Canonical: what decodes has this one encoding.
            prop_assert_eq!(encode(&value), bytes);
            to_json(&value);
        }
        }
    }

    #[test]
    fn values_survive_both_encodings(value in values()) {
        prop_assert_eq!(&decode(&encode(&value)).expect("canonical"), &value);
        prop_assert_eq!(&from_json(&to_json(&value)).expect("in the model"), &value);
    }
}

/// Any value of the data model, small.
pub(crate) fn values() -> impl Strategy<Value = Ipld> {
    let leaf = prop_oneof![
        Just(Ipld::Null),
        any::<bool>().prop_map(Ipld::Bool),
        any::<i64>().prop_map(|number| Ipld::Integer(number.into())),
        any::<String>().prop_map(Ipld::String),
        any::<Vec<u8>>().prop_map(Ipld::Bytes),
        Just(Ipld::Link(LINK.parse().expect("a CID"))),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Ipld::List),
            proptest::collection::btree_map("[a-z]{0,9}", inner, 0..6).prop_map(Ipld::Map),
        ]
    })
}
