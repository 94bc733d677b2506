use super::*;
use crate::proto::testing::{Repo, Signer, Value};

const DID: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

fn rev() -> Tid {
    "3jzfcijpj2z2a".parse().expect("a TID")
}

fn repo() -> Repo {
    Repo::new(DID, Signer::k256(1))
}

/// A commit block whose fields `change` has altered before they were signed.
fn altered(change: impl FnOnce(&mut Vec<(&'static str, Value)>)) -> Vec<u8> {
    let repo = repo();
    let mut fields = repo.commit_fields(&rev());
    change(&mut fields);
    let signature = repo.signer.sign(&Value::Map(fields.clone()).encode());
    fields.push(("sig", Value::Bytes(signature)));
    Value::Map(fields).encode()
}

#[test]
fn a_signed_commit_decodes_and_verifies() {
    for signer in [Signer::k256(1), Signer::p256(1)] {
        let repo = Repo::new(DID, signer);
        let block = repo.sign_commit(&rev(), |unsigned| repo.signer.sign(unsigned));
        let commit = SignedCommit::decode(&block).expect("decodes");
        assert_eq!((commit.did.as_str(), &commit.rev, commit.prev), (DID, &rev(), None));
        assert_eq!(commit.data, repo.data());
        assert_eq!(commit.unsigned_bytes(), Value::Map(repo.commit_fields(&rev())).encode());
        assert_eq!(commit.verify(&repo.signer.public()), Ok(()));
        assert_eq!(commit.verify(&Signer::k256(2).public()), Err(BadSignature));
        assert_eq!(commit.verify(&Signer::p256(2).public()), Err(BadSignature));
    }
}

#[test]
fn signatures_of_high_s_or_another_length_do_not_verify() {
    for signer in [Signer::k256(1), Signer::p256(1)] {
        let repo = Repo::new(DID, signer);
        let signed = [
            repo.sign_commit(&rev(), |unsigned| repo.signer.sign_high_s(unsigned)),
            repo.sign_commit(&rev(), |_| Vec::new()),
            repo.sign_commit(&rev(), |_| vec![1; 65]),
        ];
        for block in signed {
            let commit = SignedCommit::decode(&block).expect("decodes");
            assert_eq!(commit.verify(&repo.signer.public()), Err(BadSignature));
        }
    }
}

#[test]
fn only_the_fields_of_version_3_make_a_commit() {
    let error = |block: Vec<u8>| SignedCommit::decode(&block).err();
    let drop_field = |name: &str| altered(|fields| fields.retain(|(key, _)| *key != name));
    let set = |name: &str, value: Value| {
        altered(|fields| {
            for (key, old) in fields.iter_mut() {
                if *key == name {
                    *old = value.clone();
                }
            }
        })
    };
    assert_eq!(error(altered(|_| {})), None);
    assert_eq!(error(set("prev", Value::Link(repo().data()))), None);
    for name in ["did", "rev", "data", "prev", "version"] {
        assert!(matches!(error(drop_field(name)), Some(CommitError::Cbor(_))), "{name}");
        assert!(matches!(error(set(name, Value::Bool(true))), Some(CommitError::Cbor(_))), "{name}");
    }
    assert_eq!(error(set("version", Value::Int(2))), Some(CommitError::Version(2)));
    assert_eq!(error(set("did", Value::text("alice.test"))), Some(CommitError::BadField("did")));
    assert_eq!(error(set("rev", Value::text("1"))), Some(CommitError::BadField("rev")));
    let raw = Cid::new_v1(car::RAW, *repo().data().hash());
    assert_eq!(error(set("data", Value::Link(raw))), Some(CommitError::BadField("data")));
    assert!(matches!(error(altered(|fields| fields.push(("x", Value::Null)))), Some(CommitError::Cbor(_))));
    let unsigned = Value::Map(repo().commit_fields(&rev())).encode();
    assert_eq!(error(unsigned.clone()), Some(CommitError::BadField("sig")));
    let null_signature = [repo().commit_fields(&rev()), vec![("sig", Value::Null)]].concat();
    assert!(matches!(error(Value::Map(null_signature).encode()), Some(CommitError::Cbor(_))));
}

#[test]
fn another_encoding_of_the_same_fields_is_refused() {
    let block = altered(|_| {});
    // The count of fields in two bytes.
    let longer_head = [&[0xb8, block[0] & 0x1f], &block[1..]].concat();
    let trailing = [block.as_slice(), &[0]].concat();
    for bytes in [longer_head, trailing] {
        assert!(matches!(SignedCommit::decode(&bytes), Err(CommitError::Cbor(_))));
    }
}

#[test]
fn revs_may_lead_our_clock_by_five_minutes() {
    let now = DateTime::from_timestamp_micros(1_767_225_600_000_000).expect("a time");
    let at = |lead_us: i64| Tid::from_timestamp_us(now.timestamp_micros() + lead_us, 0);
    assert!(!rev_is_in_future(&at(-1_000_000_000), now));
    assert!(!rev_is_in_future(&at(300_000_000), now));
    assert!(rev_is_in_future(&at(300_000_001), now));
    assert!(rev_is_in_future(&"jzzzzzzzzzzzz".parse().expect("the greatest TID"), now));
    assert!(!rev_is_in_future(&at(0), DateTime::<Utc>::MAX_UTC));
}
