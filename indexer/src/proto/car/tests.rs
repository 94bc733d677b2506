use proptest::prelude::*;

use super::*;
use crate::proto::testing::{self, Value};

const LIMITS: CarLimits = CarLimits { total_bytes: 10_000, block_bytes: 1_000, blocks: 10 };

fn block(number: i64) -> (Cid, Vec<u8>) {
    let bytes = Value::Int(number).encode();
    (testing::cid(&bytes), bytes)
}

fn file(count: i64) -> Vec<u8> {
    testing::car(&block(0).0, &(0..count).map(block).collect::<Vec<_>>())
}

/// A file with this header and no block.
fn headed(header: Value) -> Vec<u8> {
    let header = header.encode();
    [vec![header.len() as u8], header].concat()
}

#[test]
fn blocks_are_found_by_their_cid() {
    let mut bytes = file(5);
    let raw = b"plain";
    bytes.push(36 + 5);
    bytes.extend([&[1, RAW as u8, 0x12, 32], &Sha256::digest(raw)[..], raw].concat());
    let blocks = Blocks::read(&bytes, &LIMITS).expect("reads");
    assert_eq!((blocks.root(), blocks.len(), blocks.is_empty()), (&block(0).0, 6, false));
    for number in 0..5 {
        let (cid, data) = block(number);
        assert_eq!(blocks.get(&cid), Some(data.as_slice()));
        assert_eq!(blocks.get(&Cid::new_v1(RAW, *cid.hash())), None, "the codec is part of the name");
        assert_eq!(cid_of(DAG_CBOR, &data), cid);
        assert!(names_dag_cbor(&cid));
    }
    assert_eq!(blocks.get(&cid_of(RAW, raw)), Some(raw.as_slice()));
    assert!(!names_dag_cbor(&cid_of(RAW, raw)));
    for absent in [block(9).0, Cid::default(), Cid::new_v1(u64::MAX, *block(0).0.hash())] {
        assert_eq!(blocks.get(&absent), None);
    }
}

#[test]
fn a_block_may_come_twice_and_a_file_may_have_none() {
    let twice = testing::car(&block(0).0, &[block(0), block(1), block(0)]);
    assert_eq!(Blocks::read(&twice, &LIMITS).expect("reads").len(), 2);
    assert!(Blocks::read(&file(0), &LIMITS).expect("reads").is_empty());
}

#[test]
fn a_block_under_another_cid_is_refused() {
    let forged = testing::car(&block(0).0, &[(block(0).0, b"forged".to_vec())]);
    assert_eq!(Blocks::read(&forged, &LIMITS).err(), Some(CarError::HashMismatch(block(0).0)));

    let digest = Sha256::digest(b"x");
    for head in [[0x12, 0x20, 0x12, 32], [1, 0x70, 0x12, 32], [1, 0x71, 0x13, 32], [1, 0x71, 0x12, 31]] {
        let section = [head.as_slice(), &digest[..], b"x"].concat();
        let bytes = [file(0), vec![section.len() as u8], section].concat();
        assert_eq!(Blocks::read(&bytes, &LIMITS).err(), Some(CarError::UnsupportedCid));
    }
}

#[test]
fn every_limit_is_kept() {
    let error = |bytes: &[u8]| Blocks::read(bytes, &LIMITS).err();
    assert_eq!(error(&file(10)), None);
    assert_eq!(error(&file(11)), Some(CarError::TooLarge("the number of blocks")));
    let sized = |size: usize| {
        let bytes = vec![0; size];
        testing::car(&block(0).0, &[(testing::cid(&bytes), bytes)])
    };
    assert_eq!(error(&sized(1_000)), None);
    assert_eq!(error(&sized(1_001)), Some(CarError::TooLarge("the bytes of a block")));
    assert_eq!(error(&sized(10_000)), Some(CarError::TooLarge("the bytes of a file")));
}

#[test]
fn headers_other_than_of_version_1_are_refused() {
    let link = || Value::Link(block(0).0);
    let header =
        |version, roots| Value::Map(vec![("version", Value::Int(version)), ("roots", Value::List(roots))]);
    let error = |header: Value| Blocks::read(&headed(header), &LIMITS).err();
    assert_eq!(error(header(1, vec![link(), link()])), None);
    assert_eq!(error(header(1, vec![])), Some(CarError::UnsupportedHeader("no root")));
    assert_eq!(error(header(2, vec![link()])), Some(CarError::UnsupportedHeader("not version 1")));
    for other in [
        Value::Null,
        Value::Map(vec![("version", Value::Int(1))]),
        Value::Map(vec![("version", Value::Int(1)), ("roots", link())]),
        Value::Map(vec![
            ("a", Value::Null),
            ("version", Value::Int(1)),
            ("roots", Value::List(vec![link()])),
        ]),
    ] {
        assert!(matches!(error(other), Some(CarError::BadHeader(_))));
    }
}

#[test]
fn lengths_that_lie_cost_nothing() {
    let error = |bytes: &[u8]| Blocks::read(bytes, &LIMITS).err();
    assert_eq!(error(&[]), Some(CarError::Truncated));
    for (length, problem) in [
        (vec![0x80], CarError::Truncated),
        (vec![0x80, 0x00], CarError::BadLength),
        (vec![0xff; 9], CarError::Truncated),
        (vec![0xff; 10], CarError::BadLength),
        ([vec![0xff; 8], vec![0x7f]].concat(), CarError::Truncated),
        (vec![0], CarError::UnsupportedCid),
        (vec![35], CarError::Truncated),
    ] {
        assert_eq!(error(&[file(1), length].concat()), Some(problem));
    }
}

proptest! {
    #[test]
    fn a_cut_or_altered_file_is_refused_or_says_the_same(
        count in 1i64..6, at in any::<prop::sample::Index>(), flip in 1u8..,
    ) {
        let bytes = file(count);
        let at = at.index(bytes.len());
        let cut = Blocks::read(&bytes[..at], &LIMITS);
        prop_assert!(cut.is_err() || cut.is_ok_and(|blocks| blocks.len() < count as usize));

        let mut altered = bytes.clone();
        altered[at] ^= flip;
        // Only the root's name is not under a hash; the signature of the commit it names is the next thing checked.
        if let Ok(blocks) = Blocks::read(&altered, &LIMITS) {
            for number in 0..count {
                let (cid, data) = block(number);
                prop_assert_eq!(blocks.get(&cid), Some(data.as_slice()));
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>(), tail in any::<Vec<u8>>()) {
        let _ = Blocks::read(&bytes, &LIMITS);
        let _ = Blocks::read(&[file(1), tail].concat(), &LIMITS);
    }
}
