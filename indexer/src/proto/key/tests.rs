use cid::multibase::{Base, encode};
use proptest::prelude::*;

use super::*;
use crate::proto::testing::Signer;

const MESSAGE: &str = "oWVoZWxsb2V3b3JsZA";

/// The network's published examples: type, did:key, bare multibase, signature with low s, the same with high s.
const EXAMPLES: [[&str; 5]; 2] = [
    [
        "EcdsaSecp256r1VerificationKey2019",
        "did:key:zDnaembgSGUhZULN2Caob4HLJPaxBh92N7rtH21TErzqf8HQo",
        "zxdM8dSstjrpZaRUwBmDvjGXweKuEMVN95A9oJBFjkWMh",
        "2vZNsG3UKvvO/CDlrdvyZRISOFylinBh0Jupc6KcWoJWExHptCfduPleDbG3rko3YZnn9Lw0IjpixVmexJDegg",
        "2vZNsG3UKvvO/CDlrdvyZRISOFylinBh0Jupc6KcWoKp7O4VS9giSAah8k5IUbXIW00SuOrjfEqQ9HEkN9JGzw",
    ],
    [
        "EcdsaSecp256k1VerificationKey2019",
        "did:key:zQ3shqwJEJyMBsBXCWyCBpUBMqxcon9oHB7mCvx4sSpMdLJwc",
        "z25z9DTpsiYYJKGsWmSPJK2NFN8PcJtZig12K59UgW7q5t",
        "5WpdIuEUUfVUYaozsi8G0B3cWO09cgZbIIwg1t2YKdUn/FEznOndsz/qgiYb89zwxYCbB71f7yQK5Lr7NasfoA",
        "5WpdIuEUUfVUYaozsi8G0B3cWO09cgZbIIwg1t2YKdXYA67MYxYiTMAVfdnkDCMN9S5B3vHosRe07aORmoshoQ",
    ],
];

fn base64(text: &str) -> Vec<u8> {
    Base::Base64.decode(text).expect("base64")
}

#[test]
fn published_examples_verify_only_with_low_s() {
    for [kind, did_key, bare, low, high] in EXAMPLES {
        let key = PublicKey::from_did_key(did_key).expect("a key");
        assert_eq!(PublicKey::from_verification_method(kind, bare).as_ref(), Ok(&key));
        assert_eq!(PublicKey::from_verification_method("Multikey", &did_key[8..]).as_ref(), Ok(&key));
        assert_eq!(key.verify(&base64(MESSAGE), &base64(low)), Ok(()), "{kind}");
        assert_eq!(key.verify(&base64(MESSAGE), &base64(high)), Err(BadSignature), "{kind}");
        assert_eq!(key.verify(b"another message", &base64(low)), Err(BadSignature), "{kind}");
    }
}

#[test]
fn every_written_form_of_a_key_is_the_same_key() {
    for (signer, kind) in [
        (Signer::k256(1), "EcdsaSecp256k1VerificationKey2019"),
        (Signer::p256(1), "EcdsaSecp256r1VerificationKey2019"),
    ] {
        let key = signer.public();
        for compressed in [true, false] {
            let bare = encode(Base::Base58Btc, signer.point(compressed));
            assert_eq!(PublicKey::from_verification_method(kind, &bare).as_ref(), Ok(&key));
        }
        assert_eq!(PublicKey::from_did_key(&format!("did:key:{}", signer.multikey())), Ok(key));
    }
}

#[test]
fn what_is_no_key_says_why() {
    let multikey = |prefix: [u8; 2], point: &[u8]| {
        PublicKey::from_multikey(&encode(Base::Base58Btc, [prefix.as_slice(), point].concat()))
    };
    for (signer, prefix) in [(Signer::k256(1), SECP256K1_PUB), (Signer::p256(1), P256_PUB)] {
        let point = signer.point(true);
        assert!(multikey(prefix, &point).is_ok());
        assert_eq!(multikey(prefix, &signer.point(false)), Err(KeyError::BadPoint));
        assert_eq!(multikey(prefix, &point[..32]), Err(KeyError::BadPoint));
        assert_eq!(multikey(prefix, &[]), Err(KeyError::BadPoint));
        // Ed25519.
        assert_eq!(multikey([0xed, 0x01], &point), Err(KeyError::UnknownCurve));
        // The first coordinate is beyond the field.
        assert_eq!(multikey(prefix, &[&[2], [0xff; 32].as_slice()].concat()), Err(KeyError::BadPoint));

        let kind = match prefix {
            SECP256K1_PUB => "EcdsaSecp256k1VerificationKey2019",
            _ => "EcdsaSecp256r1VerificationKey2019",
        };
        let bare = |point: &[u8]| PublicKey::from_verification_method(kind, &encode(Base::Base58Btc, point));
        let mut hybrid = signer.point(false);
        hybrid[0] = 6 + (hybrid[64] & 1);
        assert_eq!(bare(&hybrid), Err(KeyError::BadPoint), "the hybrid form");
        let mut off_curve = signer.point(false);
        off_curve[64] ^= 1;
        assert_eq!(bare(&off_curve), Err(KeyError::BadPoint));
        assert_eq!(bare(&[0]), Err(KeyError::BadPoint), "the point at infinity");
        assert_eq!(bare(&[]), Err(KeyError::BadPoint));
    }
    assert_eq!(PublicKey::from_multikey(""), Err(KeyError::BadMultibase));
    assert_eq!(PublicKey::from_multikey("z0OIl"), Err(KeyError::BadMultibase));
    assert_eq!(PublicKey::from_multikey("z"), Err(KeyError::UnknownCurve));
    assert_eq!(PublicKey::from_multikey(&"z".repeat(1 << 20)), Err(KeyError::BadMultibase));
    assert_eq!(PublicKey::from_multikey("zä"), Err(KeyError::BadMultibase));
    assert_eq!(PublicKey::from_did_key("did:plc:abc"), Err(KeyError::UnknownKind));
    assert_eq!(PublicKey::from_verification_method("JsonWebKey2020", "z1"), Err(KeyError::UnknownKind));
}

#[test]
fn signatures_of_another_length_or_out_of_range_are_bad() {
    for signer in [Signer::k256(2), Signer::p256(2)] {
        let (key, signature) = (signer.public(), signer.sign(b"text"));
        assert_eq!(key.verify(b"text", &signature), Ok(()));
        for len in [0, 1, 31, 32, 33, 63] {
            assert_eq!(key.verify(b"text", &signature[..len]), Err(BadSignature));
        }
        assert_eq!(key.verify(b"text", &[signature.as_slice(), &[0]].concat()), Err(BadSignature));
        for [r, s] in [[0, 0], [0xff, 0xff], [0, 1], [1, 0]] {
            let signature = [[r; 32], [s; 32]].concat();
            assert_eq!(key.verify(b"text", &signature), Err(BadSignature));
        }
        assert_eq!(Signer::k256(3).public().verify(b"text", &signature), Err(BadSignature));
        assert_eq!(Signer::p256(3).public().verify(b"text", &signature), Err(BadSignature));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn each_message_has_one_signature(seed in 1u8..=254, message in any::<Vec<u8>>(), bit in 0usize..512) {
        for signer in [Signer::k256(seed), Signer::p256(seed)] {
            let (key, mut signature) = (signer.public(), signer.sign(&message));
            prop_assert_eq!(key.verify(&message, &signature), Ok(()));
            prop_assert_eq!(key.verify(&message, &signer.sign_high_s(&message)), Err(BadSignature));
            signature[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(key.verify(&message, &signature), Err(BadSignature));
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,150}", bytes in any::<Vec<u8>>()) {
        for text in [text, encode(Base::Base58Btc, bytes)] {
            let _ = PublicKey::from_multikey(&text);
            let _ = PublicKey::from_did_key(&format!("did:key:{text}"));
            let _ = PublicKey::from_verification_method("EcdsaSecp256k1VerificationKey2019", &text);
            let _ = PublicKey::from_verification_method("EcdsaSecp256r1VerificationKey2019", &text);
        }
    }
}
