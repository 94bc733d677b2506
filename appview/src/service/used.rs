//! Tokens that are good for one use.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{BadToken, Role, Token};
use crate::error::Error;

/// What remains of a token that was proven: by what its bearer may do something, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pass {
    id: [u8; 32],
    ends_at: DateTime<Utc>,
    names_method: bool,
    role: Role,
}

impl From<Token> for Pass {
    fn from(token: Token) -> Self {
        let Token { id, ends_at, names_method, role, .. } = token;
        Pass { id, ends_at, names_method, role }
    }
}

/// Uses a token for what changes something, or shows what is its issuer's alone to see.
///
/// It has to say for which method it was made, or a service that somebody asked for something else could take it along; and
/// whoever reads it on its way has come too late.
pub(crate) async fn claim(pool: &PgPool, pass: &Pass) -> Result<(), Error> {
    if !pass.names_method {
        return Err(BadToken::Method("lxm: missing, and this method needs it").into());
    }
    if pass.role != Role::Account {
        return Err(BadToken::Issuer("iss: a service is not the person behind it").into());
    }
    let claimed = sqlx::query!(
        "insert into service_token (id, ends_at) values ($1, $2) on conflict do nothing",
        &pass.id,
        pass.ends_at
    )
    .execute(pool)
    .await?;
    match claimed.rows_affected() {
        0 => Err(BadToken::Malformed("jti: the token was used before").into()),
        _ => Ok(()),
    }
}

/// Forgets tokens that would not be taken any more anyway. A minute late: clocks differ.
pub async fn sweep(pool: &PgPool) -> sqlx::Result<u64> {
    let swept = sqlx::query!("delete from service_token where ends_at < now() - interval '1 minute'")
        .execute(pool)
        .await?;
    Ok(swept.rows_affected())
}
