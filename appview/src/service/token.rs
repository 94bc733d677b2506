//! A service token as text: its form and its claims. Its signature is held against a key in the end.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::{DateTime, Utc};
use indexer::proto::key::PublicKey;
use indexer::syntax::Did;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sha2::{Digest, Sha256};

use super::ENTRIES;
use crate::error::Error;

/// No token is longer.
const LEN_MAX: usize = 8 * 1024;
/// How long after its end a token is still taken: it was sent before.
const LATE_S: f64 = 5.0;
/// No token lives longer: PDSes give an hour at most.
const LIFE_MAX_S: f64 = 3600.0;
/// How far the issuer's clock may be before ours. A token's end is what bounds its use, so that this is generous.
const AHEAD_S: f64 = 60.0;

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadToken {
    Malformed(&'static str),
    Type,
    Expired,
    Audience,
    Method(&'static str),
    Issuer(&'static str),
    Signature,
}

impl From<BadToken> for Error {
    fn from(bad: BadToken) -> Self {
        let (name, message) = match bad {
            BadToken::Malformed(what) => ("BadJwt", what),
            BadToken::Type => ("BadJwtType", "typ: not a service token"),
            BadToken::Expired => ("JwtExpired", "exp: the token has expired"),
            BadToken::Audience => ("BadJwtAudience", "aud: the token is for another service"),
            BadToken::Method(what) => ("BadJwtLexiconMethod", what),
            BadToken::Issuer(what) => ("BadJwtIss", what),
            BadToken::Signature => ("BadJwtSignature", "the signature is not the issuer's"),
        };
        Error::bad_token(name, message)
    }
}

/// As what its issuer speaks, which says by which key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Account,
    Labeler,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Es256,
    Es256k,
}

/// A token that is for us, for this method and for now. Whether it is true, [`Token::verify`] says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub issuer: Did,
    pub role: Role,
    /// Whether it says for which method it is; then for this one.
    pub names_method: bool,
    /// It and nothing else has this name.
    pub id: [u8; 32],
    /// When it is not taken any more.
    pub ends_at: DateTime<Utc>,
    algorithm: Algorithm,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    typ: Option<String>,
    /// What we must understand, and do not.
    crit: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    exp: f64,
    iat: Option<f64>,
    nbf: Option<f64>,
    lxm: Option<String>,
    jti: Option<String>,
}

impl Token {
    /// Reads a token for a call of `nsid` on the service `own`, at `now_s` in seconds since 1970. The order in which
    /// things are refused is the reference implementation's.
    pub fn read(text: &str, own: Option<&str>, nsid: &str, now_s: i64) -> Result<Self, BadToken> {
        if text.len() > LEN_MAX {
            return Err(BadToken::Malformed("the token is too long"));
        }
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadToken::Malformed("a token has three parts"));
        };
        let header: Header = json(header).ok_or(BadToken::Malformed("the token's header cannot be read"))?;
        if header.typ.is_some_and(|kind| !kind.eq_ignore_ascii_case("jwt")) {
            return Err(BadToken::Type);
        }
        let algorithm = match header.alg.as_str() {
            "ES256" => Algorithm::Es256,
            "ES256K" => Algorithm::Es256k,
            _ => return Err(BadToken::Malformed("alg: neither ES256 nor ES256K")),
        };
        if header.crit.is_some() {
            return Err(BadToken::Malformed("crit: nothing of that is known here"));
        }
        let claims: Claims = json(claims).ok_or(BadToken::Malformed("the token's claims cannot be read"))?;
        let ends_at = claims.check(own, nsid, now_s as f64)?;
        let (issuer, role) = issuer(&claims.iss)?;
        let signature =
            BASE64.decode(signature).map_err(|_| BadToken::Malformed("the signature cannot be read"))?;
        let signed = text.rsplit_once('.').map_or("", |(signed, _)| signed);
        let id = name(&issuer, claims.jti.as_deref(), signed);
        let names_method = claims.lxm.is_some();
        Ok(Token { issuer, role, names_method, id, ends_at, algorithm, signature })
    }

    /// Whether `key` signed `text`, which this was read from.
    pub fn verify(&self, text: &str, key: &PublicKey) -> Result<(), BadToken> {
        let fits = match key {
            PublicKey::K256(_) => self.algorithm == Algorithm::Es256k,
            PublicKey::P256(_) => self.algorithm == Algorithm::Es256,
        };
        let (signed, _) = text.rsplit_once('.').ok_or(BadToken::Signature)?;
        if !fits || key.verify(signed.as_bytes(), &self.signature).is_err() {
            return Err(BadToken::Signature);
        }
        Ok(())
    }
}

impl Claims {
    /// For whom, for what and for when it is. When it is not taken any more.
    fn check(&self, own: Option<&str>, nsid: &str, now_s: f64) -> Result<DateTime<Utc>, BadToken> {
        let ends_s = self.exp + LATE_S;
        if ends_s < now_s {
            return Err(BadToken::Expired);
        }
        if self.exp > now_s + LIFE_MAX_S + AHEAD_S {
            return Err(BadToken::Malformed("exp: no token lives for longer than an hour"));
        }
        if [self.iat, self.nbf].into_iter().flatten().any(|begins_s| begins_s > now_s + AHEAD_S) {
            return Err(BadToken::Malformed("iat, nbf: not yet"));
        }
        let is_entry =
            |rest: &str| rest.strip_prefix('#').is_some_and(|rest| ENTRIES.iter().any(|(id, _)| *id == rest));
        let is_ours = |own| self.aud.strip_prefix(own).is_some_and(|rest| rest.is_empty() || is_entry(rest));
        if !own.is_some_and(is_ours) {
            return Err(BadToken::Audience);
        }
        if self.lxm.as_ref().is_some_and(|method| method != nsid) {
            return Err(BadToken::Method("lxm: the token is for another method"));
        }
        DateTime::from_timestamp(ends_s.ceil() as i64, 0).ok_or(BadToken::Malformed("exp: not a time"))
    }
}

/// The DID, and as what it speaks: itself, or one of the services that the protocol gives a key of their own.
fn issuer(text: &str) -> Result<(Did, Role), BadToken> {
    let (did, role) = match text.split_once('#') {
        None => (text, Role::Account),
        Some((did, "atproto_labeler")) => (did, Role::Labeler),
        Some(_) => return Err(BadToken::Issuer("iss: a service that has no key of its own")),
    };
    Ok((did.parse().map_err(|_| BadToken::Issuer("iss: not a DID"))?, role))
}

/// What its issuer calls it; where they call it nothing, what it says.
fn name(issuer: &Did, jti: Option<&str>, signed: &str) -> [u8; 32] {
    let hash = Sha256::new_with_prefix(issuer.as_str());
    // Neither a DID nor what was signed has this byte.
    let hash = match jti {
        Some(jti) => hash.chain_update([0]).chain_update(jti),
        None => hash.chain_update([0, 0]).chain_update(signed),
    };
    hash.finalize().into()
}

fn json<T: DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const OWN: &str = "did:web:plyr.example";
    const NSID: &str = "fm.plyr.feed.getLatest";
    const DID: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";
    const NOW_S: i64 = 1_800_000_000;

    fn part(value: &Value) -> String {
        BASE64.encode(value.to_string())
    }

    /// A token with some claims in the place of good ones; null takes one out.
    fn token(header: &Value, changes: &Value) -> String {
        let mut claims =
            json!({"iss": DID, "aud": OWN, "exp": NOW_S + 60, "iat": NOW_S, "lxm": NSID, "jti": "1"});
        for (key, value) in changes.as_object().expect("an object") {
            claims[key] = value.clone();
        }
        if let Some(claims) = claims.as_object_mut() {
            claims.retain(|_, value| !value.is_null());
        }
        format!("{}.{}.{}", part(header), part(&claims), BASE64.encode([7; 64]))
    }

    fn header() -> Value {
        json!({"alg": "ES256K", "typ": "JWT"})
    }

    fn read(text: &str) -> Result<Token, BadToken> {
        Token::read(text, Some(OWN), NSID, NOW_S)
    }

    fn with(changes: Value) -> Result<Token, BadToken> {
        read(&token(&header(), &changes))
    }

    #[test]
    fn what_is_for_us_and_for_now_is_read() {
        let token = with(json!({})).expect("a token");
        assert_eq!((token.issuer.as_str(), token.role, token.names_method), (DID, Role::Account, true));
        assert_eq!(token.ends_at.timestamp(), NOW_S + 65);
        for good in [
            json!({"aud": format!("{OWN}#plyr_appview")}),
            json!({"iat": null, "lxm": null, "jti": null}),
            json!({"exp": NOW_S as f64 + 0.5}),
            json!({"exp": NOW_S - 5}),
            json!({"exp": NOW_S + 3600}),
            json!({"iat": NOW_S + 60, "nbf": NOW_S + 60}),
            json!({"other": {"claims": []}}),
        ] {
            with(good.clone()).unwrap_or_else(|bad| panic!("{good}: {bad:?}"));
        }
        assert!(!with(json!({"lxm": null})).expect("a token").names_method);
        let labeler = with(json!({"iss": format!("{DID}#atproto_labeler")})).expect("a token");
        assert_eq!((labeler.issuer.as_str(), labeler.role), (DID, Role::Labeler));
        for good in [json!({"alg": "ES256"}), json!({"alg": "ES256K", "typ": "jwt", "kid": "x"})] {
            read(&super::tests::token(&good, &json!({}))).unwrap_or_else(|bad| panic!("{good}: {bad:?}"));
        }
    }

    #[test]
    fn every_refusal_has_its_name() {
        let name = |answer: Result<Token, BadToken>| Error::from(answer.expect_err("refused")).name();
        for (changes, wanted) in [
            (json!({"exp": NOW_S - 6}), "JwtExpired"),
            (json!({"exp": 0}), "JwtExpired"),
            (json!({"exp": -1e300}), "JwtExpired"),
            (json!({"exp": NOW_S + 3661}), "BadJwt"),
            (json!({"exp": 1e300}), "BadJwt"),
            (json!({"exp": "1800000060"}), "BadJwt"),
            (json!({"exp": null}), "BadJwt"),
            (json!({"iat": NOW_S + 61}), "BadJwt"),
            (json!({"nbf": NOW_S + 61}), "BadJwt"),
            (json!({"aud": "did:web:other.example"}), "BadJwtAudience"),
            (json!({"aud": format!("{OWN}.evil.example")}), "BadJwtAudience"),
            (json!({"aud": format!("{OWN}#bsky_appview")}), "BadJwtAudience"),
            (json!({"aud": format!("{OWN}#")}), "BadJwtAudience"),
            (json!({"aud": format!("{OWN}plyr_appview")}), "BadJwtAudience"),
            (json!({"aud": [OWN]}), "BadJwt"),
            (json!({"aud": null}), "BadJwt"),
            (json!({"lxm": "fm.plyr.feed.recordPlay"}), "BadJwtLexiconMethod"),
            (json!({"lxm": "*"}), "BadJwtLexiconMethod"),
            (json!({"lxm": 1}), "BadJwt"),
            (json!({"jti": 1}), "BadJwt"),
            (json!({"iss": "alice.test"}), "BadJwtIss"),
            (json!({"iss": format!("{DID}#bsky_fg")}), "BadJwtIss"),
            (json!({"iss": format!("{DID}#")}), "BadJwtIss"),
            (json!({"iss": format!("{DID}#atproto_labeler#x")}), "BadJwtIss"),
            (json!({"iss": null}), "BadJwt"),
        ] {
            assert_eq!(name(with(changes.clone())), wanted, "{changes}");
        }
        for (header, wanted) in [
            (json!({"alg": "ES256K", "typ": "at+jwt"}), "BadJwtType"),
            (json!({"alg": "HS256", "typ": "at+jwt"}), "BadJwtType"),
            (json!({"alg": "ES256", "typ": "refresh+jwt"}), "BadJwtType"),
            (json!({"alg": "ES256", "typ": "dpop+jwt"}), "BadJwtType"),
            (json!({"alg": "none"}), "BadJwt"),
            (json!({"alg": "HS256"}), "BadJwt"),
            (json!({"alg": "es256k"}), "BadJwt"),
            (json!({"typ": "JWT"}), "BadJwt"),
            (json!({"alg": "ES256", "crit": ["b64"], "b64": false}), "BadJwt"),
            (json!([]), "BadJwt"),
        ] {
            assert_eq!(name(read(&token(&header, &json!({})))), wanted, "{header}");
        }
        let good = token(&header(), &json!({}));
        for bad in [
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            format!("{good}.x"),
            format!("{good}="),
            format!(" {good}"),
            good.replacen('.', "!.", 1),
            format!("{}.{}.", part(&header()), part(&json!([1]))),
            format!("{good}{}", "A".repeat(8 * 1024)),
        ] {
            assert_eq!(name(read(&bad)), "BadJwt", "{bad}");
        }
        // Where nobody can address us, nothing is for us.
        assert_eq!(name(Token::read(&good, None, NSID, NOW_S)), "BadJwtAudience");
    }

    #[test]
    fn a_token_is_the_same_whatever_is_made_of_its_text() {
        let id = |changes| with(changes).expect("a token").id;
        assert_eq!(id(json!({})), id(json!({"exp": NOW_S + 61})), "its issuer calls both the same");
        assert_ne!(id(json!({})), id(json!({"jti": "2"})));
        assert_ne!(id(json!({})), id(json!({"iss": "did:plc:z72i7hdynmk6r22z27h6tvur"})));
        let nameless = |iat: i64| id(json!({"jti": null, "iat": iat}));
        assert_eq!(nameless(NOW_S), nameless(NOW_S));
        assert_ne!(nameless(NOW_S), nameless(NOW_S - 1));
        assert_ne!(nameless(NOW_S), id(json!({})));
    }
}
