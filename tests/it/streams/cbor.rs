//! DAG-CBOR in and out, by nobody's library: what bridges the PDS's stream must not share plyr's mistakes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Reads one value. Returns it in the JSON form of the data model, and what follows it.
pub fn read(bytes: &[u8]) -> (Value, &[u8]) {
    let (major, argument, rest) = head(bytes);
    let length = usize::try_from(argument).expect("a length");
    match major {
        0 => (json!(argument), rest),
        1 => (json!(-1 - i64::try_from(argument).expect("64 bits")), rest),
        2 => (json!({"$bytes": STANDARD_NO_PAD.encode(&rest[..length])}), &rest[length..]),
        3 => (json!(std::str::from_utf8(&rest[..length]).expect("text")), &rest[length..]),
        4 => {
            let (mut items, mut rest) = (Vec::new(), rest);
            for _ in 0..length {
                let (item, after) = read(rest);
                items.push(item);
                rest = after;
            }
            (Value::Array(items), rest)
        }
        5 => {
            let (mut entries, mut rest) = (Map::new(), rest);
            for _ in 0..length {
                let (key, after) = read(rest);
                let (value, after) = read(after);
                entries.insert(key.as_str().expect("a key").to_owned(), value);
                rest = after;
            }
            (Value::Object(entries), rest)
        }
        6 => {
            let (_, length, rest) = head(rest);
            let length = usize::try_from(length).expect("a length");
            (json!({"$link": cid_text(&rest[1..length])}), &rest[length..])
        }
        _ => (
            match bytes[0] & 31 {
                20 => json!(false),
                21 => json!(true),
                _ => Value::Null,
            },
            rest,
        ),
    }
}

fn head(bytes: &[u8]) -> (u8, u64, &[u8]) {
    let (first, rest) = bytes.split_first().expect("a head");
    let size = match first & 31 {
        info @ 0..=23 => return (first >> 5, u64::from(info), rest),
        info => 1 << (info - 24),
    };
    let argument = rest[..size].iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    (first >> 5, argument, &rest[size..])
}

/// Bytes that the JSON form holds.
pub fn bytes(value: &Value) -> Vec<u8> {
    STANDARD_NO_PAD.decode(value["$bytes"].as_str().expect("bytes")).expect("base64")
}

/// `b…` of a binary CID.
pub fn cid_text(binary: &[u8]) -> String {
    let (mut text, mut bits, mut count) = ("b".to_owned(), 0_u32, 0);
    for byte in binary {
        (bits, count) = ((bits << 8) | u32::from(*byte), count + 8);
        while count >= 5 {
            count -= 5;
            text.push(BASE32[(bits >> count) as usize & 31].into());
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        text.push(BASE32[(bits << (5 - count)) as usize & 31].into());
    }
    text
}

/// The blocks of a CAR file, by CID.
pub fn blocks(car: &[u8]) -> Vec<(String, &[u8])> {
    let (length, rest) = varint(car);
    let mut rest = &rest[length..];
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let (length, after) = varint(rest);
        let (block, after) = after.split_at(length);
        // Version 1, a codec, SHA-256: all CIDs of a repo are of one length.
        blocks.push((cid_text(&block[..36]), &block[36..]));
        rest = after;
    }
    blocks
}

fn varint(bytes: &[u8]) -> (usize, &[u8]) {
    let length = bytes.iter().position(|byte| byte & 128 == 0).expect("an end") + 1;
    let value = bytes[..length].iter().rev().fold(0, |sum, byte| (sum << 7) | usize::from(byte & 127));
    (value, &bytes[length..])
}

/// The CID that a record in JSON has: for lies that hold together.
pub fn cid_of(record: &Value) -> String {
    let mut encoded = Vec::new();
    write(record, &mut encoded);
    cid_text(&[&[1, 0x71, 0x12, 32][..], &Sha256::digest(&encoded)].concat())
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(0xf6),
        Value::Bool(flag) => out.push(if *flag { 0xf5 } else { 0xf4 }),
        Value::Number(number) => match number.as_u64() {
            Some(number) => write_head(0, number, out),
            None => write_head(1, number.as_i64().expect("an integer").unsigned_abs() - 1, out),
        },
        Value::String(text) => {
            write_head(3, text.len() as u64, out);
            out.extend(text.as_bytes());
        }
        Value::Array(items) => {
            write_head(4, items.len() as u64, out);
            items.iter().for_each(|item| write(item, out));
        }
        Value::Object(entries) => {
            assert!(!entries.contains_key("$link") && !entries.contains_key("$bytes"), "lies are plain");
            let mut keys: Vec<&String> = entries.keys().collect();
            keys.sort_by_key(|key| (key.len(), *key));
            write_head(5, keys.len() as u64, out);
            for key in keys {
                write(&Value::from(key.as_str()), out);
                write(&entries[key], out);
            }
        }
    }
}

fn write_head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let bytes = argument.to_be_bytes();
    match argument {
        0..=23 => out.push(major << 5 | bytes[7]),
        24..=0xff => out.extend([major << 5 | 24, bytes[7]]),
        0x100..=0xffff => out.extend([&[major << 5 | 25], &bytes[6..]].concat()),
        0x1_0000..=0xffff_ffff => out.extend([&[major << 5 | 26], &bytes[4..]].concat()),
        _ => out.extend([&[major << 5 | 27], &bytes[..]].concat()),
    }
}
