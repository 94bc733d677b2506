//! DAG-CBOR, CAR files and stream messages, encoded by hand.

use bytes::Bytes;
use cid::Cid;
use sha2::{Digest, Sha256};

/// Something to encode as DAG-CBOR. Map entries may be given in any order.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    Link(Cid),
    List(Vec<Value>),
    Map(Vec<(&'static str, Value)>),
}

impl Value {
    pub(crate) fn text(text: impl ToString) -> Self {
        Value::Text(text.to_string())
    }

    pub(crate) fn link(cid: Option<Cid>) -> Self {
        cid.map_or(Value::Null, Value::Link)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out
    }

    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(0xf6),
            Value::Bool(flag) => out.push(0xf4 + u8::from(*flag)),
            Value::Int(number) if *number < 0 => head(out, 1, !*number as u64),
            Value::Int(number) => head(out, 0, *number as u64),
            Value::Text(text) => {
                head(out, 3, text.len() as u64);
                out.extend(text.as_bytes());
            }
            Value::Bytes(bytes) => {
                head(out, 2, bytes.len() as u64);
                out.extend(bytes);
            }
            Value::Link(cid) => {
                head(out, 6, 42);
                Value::Bytes([vec![0], cid.to_bytes()].concat()).encode_to(out);
            }
            Value::List(items) => {
                head(out, 4, items.len() as u64);
                items.iter().for_each(|item| item.encode_to(out));
            }
            Value::Map(entries) => {
                head(out, 5, entries.len() as u64);
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| (key.len(), *key));
                for (key, value) in entries {
                    Value::text(key).encode_to(out);
                    value.encode_to(out);
                }
            }
        }
    }
}

fn head(out: &mut Vec<u8>, major: u8, number: u64) {
    let bytes = number.to_be_bytes();
    match number {
        0..24 => out.push(major << 5 | number as u8),
        24..0x100 => out.extend([&[major << 5 | 24], &bytes[7..]].concat()),
        0x100..0x1_0000 => out.extend([&[major << 5 | 25], &bytes[6..]].concat()),
        0x1_0000..0x1_0000_0000 => out.extend([&[major << 5 | 26], &bytes[4..]].concat()),
        _ => out.extend([&[major << 5 | 27], &bytes[..]].concat()),
    }
}

/// The CID of a DAG-CBOR block.
pub(crate) fn cid(block: &[u8]) -> Cid {
    let binary = [&[1, 0x71, 0x12, 0x20], &Sha256::digest(block)[..]].concat();
    Cid::try_from(binary).expect("a CID")
}

/// A CAR file of blocks in the order given.
pub(crate) fn car(root: &Cid, blocks: &[(Cid, Vec<u8>)]) -> Vec<u8> {
    let section = |bytes: Vec<u8>| {
        let (mut len, mut out) = (bytes.len(), Vec::new());
        while len > 0x7f {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        [out, bytes].concat()
    };
    let header =
        Value::Map(vec![("version", Value::Int(1)), ("roots", Value::List(vec![Value::Link(*root)]))]);
    let mut out = section(header.encode());
    for (cid, block) in blocks {
        out.extend(section([&cid.to_bytes(), block.as_slice()].concat()));
    }
    out
}

/// A stream message of the kind `t`.
pub(crate) fn message(t: &'static str, body: Value) -> Bytes {
    let header = Value::Map(vec![("op", Value::Int(1)), ("t", Value::text(t))]);
    [header.encode(), body.encode()].concat().into()
}
