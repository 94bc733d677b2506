//! Values of the data model, and their DAG-CBOR.

use std::borrow::Cow;

use super::Cid;

/// Something to encode as DAG-CBOR. Map entries may be given in any order.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// An integer.
    Int(i64),
    /// What the data model does not have, but DAG-CBOR does.
    Float(f64),
    /// Text.
    Text(Cow<'static, str>),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A link.
    Link(Cid),
    /// A list.
    List(Vec<Value>),
    /// A map.
    Map(Vec<(Cow<'static, str>, Value)>),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Self {
        Value::Text(text.into())
    }

    /// A link, or null.
    pub fn link(cid: Option<Cid>) -> Self {
        cid.map_or(Value::Null, Value::Link)
    }

    /// A map with these entries.
    pub fn map<const N: usize>(entries: [(&'static str, Value); N]) -> Self {
        Value::Map(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The map with one entry more; anything else stays what it is.
    pub fn with(mut self, key: &'static str, value: Value) -> Self {
        if let Value::Map(entries) = &mut self {
            entries.retain(|(held, _)| held != key);
            entries.push((key.into(), value));
        }
        self
    }

    /// The map without this entry.
    pub fn without(mut self, key: &str) -> Self {
        if let Value::Map(entries) = &mut self {
            entries.retain(|(held, _)| held != key);
        }
        self
    }

    /// Its one canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out
    }

    /// The same, at the end of `out`.
    pub fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            Value::Null => out.push(0xf6),
            Value::Bool(flag) => out.push(0xf4 + u8::from(*flag)),
            Value::Int(number) if *number < 0 => head(out, 1, !*number as u64),
            Value::Int(number) => head(out, 0, *number as u64),
            Value::Float(number) => {
                out.push(0xfb);
                out.extend(number.to_be_bytes());
            }
            Value::Text(string) => text(out, string),
            Value::Bytes(string) => bytes(out, string),
            Value::Link(cid) => link(out, cid),
            Value::List(items) => {
                head(out, 4, items.len() as u64);
                items.iter().for_each(|item| item.encode_to(out));
            }
            Value::Map(entries) => {
                head(out, 5, entries.len() as u64);
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| (key.len(), key.as_ref()));
                for (key, value) in entries {
                    text(out, key);
                    value.encode_to(out);
                }
            }
        }
    }
}

/// The head of an item: its major type and its number, as short as it goes.
pub(super) fn head(out: &mut Vec<u8>, major: u8, number: u64) {
    let bytes = number.to_be_bytes();
    let (more, from) = match number {
        0..24 => return out.push(major << 5 | number as u8),
        24..0x100 => (24, 7),
        0x100..0x1_0000 => (25, 6),
        0x1_0000..0x1_0000_0000 => (26, 4),
        _ => (27, 0),
    };
    out.push(major << 5 | more);
    out.extend_from_slice(&bytes[from..]);
}

pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    head(out, 3, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    head(out, 2, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn link(out: &mut Vec<u8>, cid: &Cid) {
    out.extend_from_slice(&[0xd8, 42, 0x58, 37, 0]);
    out.extend_from_slice(&cid.to_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appendix A of RFC 8949, and the key order of DAG-CBOR.
    #[test]
    fn the_vectors_hold() {
        let encoded =
            |value: Value| value.encode().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        for (number, hex) in [
            (0, "00"),
            (23, "17"),
            (24, "1818"),
            (1000, "1903e8"),
            (1_000_000, "1a000f4240"),
            (1_000_000_000_000, "1b000000e8d4a51000"),
            (-1, "20"),
            (-1000, "3903e7"),
        ] {
            assert_eq!(encoded(Value::Int(number)), hex);
        }
        assert_eq!(encoded(Value::text("\u{6c34}")), "63e6b0b4");
        assert_eq!(encoded(Value::Bytes(vec![1, 2, 3, 4])), "4401020304");
        assert_eq!(encoded(Value::Float(1.1)), "fb3ff199999999999a");
        let list = Value::List(vec![Value::Bool(false), Value::Bool(true), Value::Null]);
        assert_eq!(encoded(list), "83f4f5f6");
        let map = Value::map([("bb", Value::Int(1)), ("c", Value::Int(2)), ("ba", Value::Int(3))]);
        assert_eq!(encoded(map), "a361630262626103626262".to_owned() + "01");
    }
}
