use super::*;
use cid::Cid;
use ipld_core::ipld::Ipld;
use proptest::prelude::*;

#[test]
fn canonical_items_have_a_length_and_others_a_problem() {
    for good in ["00", "1818", "3903e7", "60", "80", "a0", "f6", "fb3ff8000000000000", "a2616101626161820102"]
    {
        let bytes = hex::decode(good).expect("hex");
        assert_eq!(item_len(&bytes), Ok(bytes.len()), "{good}");
        assert_eq!(item_len_leniently(&bytes), Some(bytes.len()), "{good}");
    }
    for bad in [
        "1817",               // 23 in two bytes
        "190001",             // 1 in three
        "5f4100ff",           // indefinite length
        "61ff",               // not UTF-8
        "a2616201616102",     // b before a
        "a2616101616102",     // a twice
        "a262616101616202",   // longer key first
        "a10102",             // key that is a number
        "c100",               // tag 1
        "d82a4100",           // an empty CID
        "f7",                 // undefined
        "f93c00",             // 16-bit float
        "fb7ff8000000000000", // NaN
        "f818",
    ] {
        let bytes = hex::decode(bad).expect("hex");
        assert!(matches!(item_len(&bytes), Err(CborError::NotCanonical(_))), "{bad}: {:?}", item_len(&bytes));
    }
    for short in ["", "18", "8201", "a16161", "5b7fffffffffffffff", "9b7fffffffffffffff00", "d82a5825000171"]
    {
        let bytes = hex::decode(short).expect("hex");
        assert_eq!(item_len(&bytes), Err(CborError::Truncated), "{short}");
        assert_eq!(item_len_leniently(&bytes), None, "{short}");
    }
}

#[test]
fn a_link_with_bytes_after_its_cid_is_refused_although_the_decoder_takes_it() {
    let mut link = hex::decode("d82a58250001711220").expect("hex");
    link.extend([7; 32]);
    assert_eq!(item_len(&link), Ok(link.len()));
    link[3] += 1;
    link.push(0);
    assert!(serde_ipld_dagcbor::from_slice::<Cid>(&link).is_ok(), "the reason for the check");
    assert_eq!(decode::<Cid>(&link), Err(CborError::NotCanonical("a link that is not a CID")));
}

#[test]
fn depth_costs_no_stack() {
    for (open, count) in [(0x81u8, 100_000), (0xc1, 100_000)] {
        let mut bytes = vec![open; count];
        bytes.push(0);
        assert!(item_len(&bytes).is_err());
        assert!(decode::<Ipld>(&bytes).is_err());
        assert_eq!(item_len_leniently(&bytes), Some(bytes.len()));
    }
    let nested = |depth: usize| [vec![0x81; depth], vec![0]].concat();
    assert!(decode::<Ipld>(&nested(DEPTH_MAX)).is_ok());
    assert_eq!(decode::<Ipld>(&nested(DEPTH_MAX + 1)), Err(CborError::TooDeep));
}

proptest! {
    #[test]
    fn what_passes_is_what_encodes_to_itself(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(len) = item_len(&bytes) {
            prop_assert_eq!(item_len_leniently(&bytes), Some(len));
            if let Ok(value) = decode::<Ipld>(&bytes[..len]) {
                prop_assert_eq!(serde_ipld_dagcbor::to_vec(&value).expect("encodes"), &bytes[..len]);
            }
        }
        scalars_leniently(&bytes, |_, _| {});
    }
}
