//! What a token endpoint answers.

use chrono::{DateTime, TimeDelta, Utc};
use indexer::syntax::Did;
use serde::Deserialize;

use super::OauthError;
use super::secret::Secret;

/// The life of an access token whose server does not say.
const LIFE_S: i64 = 300;
/// No longer than this is believed.
const LIFE_MAX_S: i64 = 24 * 60 * 60;

/// Tokens, checked for what does not depend on who asked.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub access_token: Secret,
    /// None where the server goes on accepting the one before.
    pub refresh_token: Option<Secret>,
    /// Whom they act for.
    pub sub: Did,
    /// What they allow, in the server's words.
    pub scope: String,
    pub expires_at: DateTime<Utc>,
    /// How long the access token lives from its beginning.
    pub life_s: i64,
}

impl Tokens {
    pub(super) fn read(body: &[u8]) -> Result<Self, OauthError> {
        #[derive(Deserialize)]
        struct Raw {
            access_token: Secret,
            refresh_token: Option<Secret>,
            token_type: String,
            scope: String,
            sub: Did,
            expires_in: Option<f64>,
        }
        // What serde says of a mistake may quote the answer, which holds tokens.
        let raw: Raw =
            serde_json::from_slice(body).map_err(|_| OauthError::unusable("its answer holds no tokens"))?;
        if !raw.token_type.eq_ignore_ascii_case("DPoP") {
            return Err(OauthError::unusable("the tokens are not bound by DPoP"));
        }
        if !raw.scope.split_ascii_whitespace().any(|scope| scope == "atproto") {
            return Err(OauthError::unusable("the tokens lack the scope atproto"));
        }
        let life_s = raw.expires_in.map_or(LIFE_S, |seconds| (seconds as i64).clamp(0, LIFE_MAX_S));
        Ok(Tokens {
            access_token: raw.access_token,
            refresh_token: raw.refresh_token,
            sub: raw.sub,
            scope: raw.scope,
            expires_at: Utc::now() + TimeDelta::seconds(life_s),
            life_s,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(change: impl Fn(&mut Value)) -> Result<Tokens, OauthError> {
        let mut answer = json!({
            "access_token": "swordfish", "refresh_token": "r", "token_type": "DPoP", "scope": "atproto repo:*",
            "sub": "did:plc:ewvi7nxzyoun6zhxrhs64oiz", "expires_in": 1800,
        });
        change(&mut answer);
        Tokens::read(answer.to_string().as_bytes())
    }

    #[test]
    fn only_bound_tokens_of_somebody_are_taken() {
        let tokens = read(|_| {}).expect("good");
        assert!((tokens.expires_at - Utc::now()).num_seconds() > 1790);
        assert!(!format!("{tokens:?}").contains("swordfish"));
        let refused: [(&str, Value); 5] = [
            ("token_type", "Bearer".into()),
            ("scope", "repo:*".into()),
            ("sub", "alice.test".into()),
            ("sub", Value::Null),
            ("access_token", Value::Null),
        ];
        for (key, value) in refused {
            let error = read(|answer| answer[key] = value.clone()).expect_err(key).to_string();
            assert!(!error.contains("swordfish"), "{error}");
        }
        let long = read(|answer| answer["expires_in"] = 1e300.into()).expect("good");
        assert!((long.expires_at - Utc::now()).num_seconds() <= LIFE_MAX_S);
        assert!(read(|answer| answer["refresh_token"] = Value::Null).expect("good").refresh_token.is_none());
    }
}
