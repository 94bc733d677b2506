//! Which part of a file a request wants: `Range`, `If-Range` and `If-None-Match` of RFC 9110.

use std::ops::Range;

use axum::http::header::{IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, Method};

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// 200 with everything.
    Whole,
    /// 206 with these bytes; never empty.
    Part(Range<u64>),
    /// 304: the caller has it.
    NotModified,
    /// 416: no byte of it exists.
    Unsatisfiable,
}

/// Reads the conditions in the order of RFC 9110 §13.2.2. `etag` is strong and quoted.
///
/// Range is defined for GET alone (§14.2). A request for several ranges gets the whole, which §14.2 allows:
/// players ask for one, and many small ranges are an attack. So does a range that is malformed or in another
/// unit.
pub(crate) fn answer(method: &Method, headers: &HeaderMap, etag: &str, size_bytes: u64) -> Answer {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if headers.get_all(IF_NONE_MATCH).iter().any(|value| value.to_str().is_ok_and(|list| names(list, etag))) {
        return Answer::NotModified;
    }
    let Some(range) = text(RANGE).filter(|_| method == Method::GET) else { return Answer::Whole };
    // A date never holds: we send no Last-Modified, and the comparison must be strong.
    if headers.contains_key(IF_RANGE) && text(IF_RANGE) != Some(etag) {
        return Answer::Whole;
    }
    one_range(range, size_bytes).unwrap_or(Answer::Whole)
}

/// Whether a list of entity tags names this one, by weak comparison.
pub(crate) fn names(list: &str, etag: &str) -> bool {
    let strong = etag.trim_start_matches("W/");
    list.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == strong)
}

/// `bytes=first-last`, `bytes=first-` or `bytes=-length`; `None` for what is to be ignored.
fn one_range(header: &str, size_bytes: u64) -> Option<Answer> {
    let (unit, set) = header.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    // A list may have empty elements (§5.6.1).
    let mut specs = set.split(',').map(str::trim).filter(|spec| !spec.is_empty());
    let (spec, None) = (specs.next()?, specs.next()) else { return None };
    let (first, last) = spec.split_once('-')?;
    let (start, end) = match (first, last) {
        ("", length) => (size_bytes.saturating_sub(number(length)?), size_bytes),
        (first, "") => (number(first)?, size_bytes),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if last < first {
                return None;
            }
            (first, last.saturating_add(1).min(size_bytes))
        }
    };
    Some(if start < end { Answer::Part(start..end) } else { Answer::Unsatisfiable })
}

/// Digits only; a number too large for us is larger than any file.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ETAG: &str = "\"abc\"";

    fn get(pairs: &[(axum::http::HeaderName, &str)], size_bytes: u64) -> Answer {
        let headers =
            pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a header"))).collect();
        answer(&Method::GET, &headers, ETAG, size_bytes)
    }

    #[test]
    fn the_forms_of_a_range() {
        use Answer::{Part, Unsatisfiable, Whole};
        let table = [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-99", Part(0..10)),
            ("bytes=2-4", Part(2..5)),
            ("bytes=9-9", Part(9..10)),
            ("bytes=3-", Part(3..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-99", Part(0..10)),
            ("BYTES = 1-2", Part(1..3)),
            ("bytes=1-2,", Part(1..3)),
            ("bytes=0-99999999999999999999", Part(0..10)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-11", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=99999999999999999999-", Unsatisfiable),
            ("bytes=4-2", Whole),
            ("bytes=0-1,3-4", Whole),
            ("bytes=", Whole),
            ("bytes=-", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1-2-3", Whole),
            ("bytes=a-b", Whole),
            ("bytes 1-2", Whole),
            ("items=1-2", Whole),
        ];
        for (header, expected) in table {
            assert_eq!(get(&[(RANGE, header)], 10), expected, "{header}");
        }
        assert_eq!(get(&[], 10), Whole);
        for header in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
            assert_eq!(get(&[(RANGE, header)], 0), Unsatisfiable, "{header} of nothing");
        }
    }

    #[test]
    fn conditions_come_first() {
        use Answer::{NotModified, Part, Whole};
        assert_eq!(get(&[(RANGE, "bytes=1-2"), (IF_RANGE, ETAG)], 10), Part(1..3));
        assert_eq!(get(&[(RANGE, "bytes=1-2"), (IF_RANGE, "\"other\"")], 10), Whole);
        assert_eq!(get(&[(RANGE, "bytes=1-2"), (IF_RANGE, "W/\"abc\"")], 10), Whole);
        assert_eq!(get(&[(RANGE, "bytes=1-2"), (IF_RANGE, "Sat, 29 Oct 1994 19:43:31 GMT")], 10), Whole);
        assert_eq!(get(&[(RANGE, "bytes=1-2"), (IF_NONE_MATCH, "\"x\", W/\"abc\"")], 10), NotModified);
        assert_eq!(get(&[(IF_NONE_MATCH, "*")], 10), NotModified);
        assert_eq!(get(&[(IF_NONE_MATCH, "\"x\"")], 10), Whole);
        let headers = [(RANGE, "bytes=1-2".parse().expect("a header"))].into_iter().collect();
        assert_eq!(answer(&Method::HEAD, &headers, ETAG, 10), Whole);
    }

    proptest! {
        #[test]
        fn a_part_lies_within_the_file(header in "(bytes=)?[0-9, -]{0,12}", size_bytes in 0u64..200) {
            if let Answer::Part(part) = get(&[(RANGE, &header)], size_bytes) {
                prop_assert!(part.start < part.end && part.end <= size_bytes);
            }
        }

        #[test]
        fn bounds_within_the_file_are_kept(size_bytes in 1u64..1 << 40, a: u64, b: u64) {
            let (first, last) = (a % size_bytes, b % size_bytes);
            prop_assume!(first <= last);
            let answered = get(&[(RANGE, &format!("bytes={first}-{last}"))], size_bytes);
            prop_assert_eq!(answered, Answer::Part(first..last + 1));
            let length = size_bytes - first;
            let answered = get(&[(RANGE, &format!("bytes=-{length}"))], size_bytes);
            prop_assert_eq!(answered, Answer::Part(first..size_bytes));
        }
    }
}
