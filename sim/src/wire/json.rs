//! From DAG-CBOR to the JSON form of the data model. It reads what [`super::Value`] wrote and nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Map, Value as Json};

use super::Cid;

/// The JSON of an encoded value; null for what is none.
pub fn to_json(bytes: &[u8]) -> Json {
    Reader(bytes).value().unwrap_or(Json::Null)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// The major type and the number of the next head, and how many bytes hold the number.
    fn head(&mut self) -> Option<(u8, u64)> {
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 31);
        let number = match info {
            0..24 => u64::from(info),
            24..28 => {
                self.take(1 << (info - 24))?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
            }
            _ => return None,
        };
        Some((major, number))
    }

    fn text(&mut self) -> Option<String> {
        let (_, len) = self.head()?;
        Some(String::from_utf8_lossy(self.take(len as usize)?).into_owned())
    }

    fn value(&mut self) -> Option<Json> {
        let is_float = self.0.first() == Some(&0xfb);
        let (major, number) = self.head()?;
        Some(match major {
            0 => Json::from(number),
            1 => Json::from(!number as i64),
            2 => {
                let bytes = self.take(number as usize)?;
                Json::from(Map::from_iter([("$bytes".to_owned(), STANDARD_NO_PAD.encode(bytes).into())]))
            }
            3 => String::from_utf8_lossy(self.take(number as usize)?).into_owned().into(),
            4 => Json::Array((0..number).map(|_| self.value()).collect::<Option<_>>()?),
            5 => {
                let entry = |_| Some((self.text()?, self.value()?));
                Json::Object((0..number).map(entry).collect::<Option<_>>()?)
            }
            6 => {
                let (_, len) = self.head()?;
                let cid = Cid::from_bytes(&self.take(len as usize)?[1..])?;
                Json::from(Map::from_iter([("$link".to_owned(), cid.to_string().into())]))
            }
            _ if is_float => f64::from_bits(number).into(),
            _ => match number {
                20 => false.into(),
                21 => true.into(),
                _ => Json::Null,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::Value;

    #[test]
    fn what_is_encoded_is_read() {
        let link = Cid::of(b"x");
        let value = Value::map([
            ("int", Value::Int(-70_000)),
            ("big", Value::Int(1 << 40)),
            ("text", Value::text("a\u{0}ü")),
            ("list", Value::List(vec![Value::Null, Value::Bool(true), Value::Float(0.5)])),
            ("bytes", Value::Bytes(vec![1, 2])),
            ("link", Value::Link(link)),
        ]);
        let read = json!({
            "int": -70_000, "big": 1u64 << 40, "text": "a\u{0}ü", "list": [null, true, 0.5],
            "bytes": {"$bytes": "AQI"}, "link": {"$link": link.to_string()}
        });
        assert_eq!(to_json(&value.encode()), read);
        assert_eq!(to_json(&[0x62, 0x61]), Json::Null);
    }
}
