//! Sessions as they stand in the database.

use chrono::{DateTime, TimeDelta, Utc};
use indexer::syntax::Did;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;

use super::seal::Place;
use super::{SessionId, Sessions};
use crate::oauth::Tokens;
use crate::oauth::key::Key;
use crate::oauth::secret::Secret;

/// An access token is renewed this long before it ends, or in the middle of its life if that is later.
const SKEW_S: i64 = 60;

/// What a person allowed us, as it is sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Grant {
    pub issuer: String,
    pub access_token: Secret,
    pub refresh_token: Option<Secret>,
    /// Of the access token, from its beginning. Not known of grants that were sealed before it was kept.
    #[serde(default)]
    pub life_s: Option<i64>,
    pub scope: String,
    /// The private key its tokens are bound to.
    pub key: Secret,
    /// The client key it was made with, of a confidential client.
    pub kid: Option<String>,
}

impl Grant {
    /// The grant with the tokens that took the place of its own.
    pub fn renewed(&self, tokens: Tokens) -> Self {
        Grant {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token.or_else(|| self.refresh_token.clone()),
            life_s: Some(tokens.life_s),
            scope: tokens.scope,
            ..self.clone()
        }
    }
}

/// A live session and its grant.
#[derive(Debug)]
pub(super) struct Held {
    pub did: Did,
    pub grant: Grant,
    pub key: Key,
    pub version: i64,
    pub access_expires_at: DateTime<Utc>,
}

impl Held {
    /// Whether the access token is (nearly) over.
    pub fn is_ending(&self) -> bool {
        // A server of short-lived tokens is not asked anew for each call.
        let skew_s = self.grant.life_s.map_or(SKEW_S, |life_s| SKEW_S.min(life_s / 2));
        self.access_expires_at - TimeDelta::seconds(skew_s) <= Utc::now()
    }
}

/// What there is under an id.
#[derive(Debug)]
pub(super) enum Found {
    Live(Box<Held>),
    /// It was there, and its grant died.
    Ended,
    /// Nothing, or nothing that can be opened.
    Nothing,
}

/// A session to be.
#[derive(Debug)]
pub(super) struct NewSession<'a> {
    pub did: &'a Did,
    pub grant: &'a Grant,
    pub access_expires_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// Of a developer token: what its owner calls it.
    pub developer: Option<Option<&'a str>>,
}

impl SessionId {
    pub(crate) fn of(token: &Secret) -> Self {
        SessionId(token.hash())
    }

    fn place<'a>(&'a self, did: &'a Did) -> Place<'a> {
        Place { purpose: "session", id: &self.0, did: did.as_str() }
    }
}

impl Sessions {
    /// Reads a session that is not over. What cannot be opened is as good as not there.
    pub(super) async fn find(&self, db: impl PgExecutor<'_>, id: &SessionId) -> sqlx::Result<Found> {
        self.read(db, id, false).await
    }

    /// Reads a session; also one that is over, whose grant may still be alive at its server.
    pub(super) async fn read(
        &self,
        db: impl PgExecutor<'_>,
        id: &SessionId,
        even_over: bool,
    ) -> sqlx::Result<Found> {
        let row = sqlx::query!(
            "select did, sealed, version, access_expires_at from session
              where id = $1 and (expires_at > now() or $2)",
            &id.0,
            even_over
        )
        .fetch_optional(db)
        .await?;
        let Some(row) = row else { return Ok(Found::Nothing) };
        let Some(sealed) = row.sealed else { return Ok(Found::Ended) };
        let opened = || {
            let did: Did = row.did.parse().ok()?;
            let grant: Grant = self.shared.sealer.open(&id.place(&did), &sealed)?;
            let key = Key::read(&grant.key).ok()?;
            let (version, access_expires_at) = (row.version, row.access_expires_at);
            Some(Held { did, grant, key, version, access_expires_at })
        };
        Ok(opened().map_or(Found::Nothing, |held| Found::Live(Box::new(held))))
    }

    /// Keeps a new session and returns the token that is its only name.
    pub(super) async fn keep(&self, new: &NewSession<'_>) -> anyhow::Result<Secret> {
        let token = Secret::random();
        let id = SessionId::of(&token);
        let sealed = self.shared.sealer.seal(&id.place(new.did), new.grant)?;
        sqlx::query!(
            "insert into session (id, did, is_developer, name, sealed, access_expires_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7)",
            &id.0,
            new.did.as_str(),
            new.developer.is_some(),
            new.developer.flatten(),
            sealed,
            new.access_expires_at,
            new.expires_at
        )
        .execute(self.pool())
        .await?;
        Ok(token)
    }

    /// Puts renewed tokens in the place of those of `version`. False when that version is no longer there.
    pub(super) async fn renew(
        &self,
        id: &SessionId,
        held: &Held,
        grant: &Grant,
        access_expires_at: DateTime<Utc>,
    ) -> anyhow::Result<bool> {
        let sealed = self.shared.sealer.seal(&id.place(&held.did), grant)?;
        let done = sqlx::query!(
            "update session set sealed = $3, access_expires_at = $4, version = version + 1,
                                lease = null, lease_until = null
              where id = $1 and version = $2 and ended_at is null",
            &id.0,
            held.version,
            sealed,
            access_expires_at
        )
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Wipes the tokens of a grant that is dead in this version. False when it has moved on meanwhile.
    pub(super) async fn end(&self, id: &SessionId, version: i64) -> sqlx::Result<bool> {
        let done = sqlx::query!(
            "update session set sealed = null, ended_at = now(), lease = null, lease_until = null
              where id = $1 and version = $2 and ended_at is null",
            &id.0,
            version
        )
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Deletes a session with all that hangs on it.
    pub(super) async fn delete(&self, id: &SessionId) -> sqlx::Result<()> {
        sqlx::query!("delete from session where id = $1", &id.0).execute(self.pool()).await?;
        Ok(())
    }

    /// Takes the lease on the refresh token of this version, for so long. False when another has it, or it was used.
    pub(super) async fn take_lease(
        &self,
        id: &SessionId,
        version: i64,
        (lease, life_s): (i64, f64),
    ) -> sqlx::Result<bool> {
        let done = sqlx::query!(
            "update session set lease = $3, lease_until = now() + make_interval(secs => $4)
              where id = $1 and version = $2 and ended_at is null
                and (lease_until is null or lease_until < now())",
            &id.0,
            version,
            lease,
            life_s
        )
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Goes on holding it.
    pub(super) async fn prolong_lease(&self, id: &SessionId, lease: i64, life_s: f64) -> sqlx::Result<()> {
        sqlx::query!(
            "update session set lease_until = now() + make_interval(secs => $3) where id = $1 and lease = $2",
            &id.0,
            lease,
            life_s
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Gives the lease back unused.
    pub(super) async fn give_lease_back(&self, id: &SessionId, lease: i64) -> sqlx::Result<()> {
        sqlx::query!(
            "update session set lease = null, lease_until = null where id = $1 and lease = $2",
            &id.0,
            lease
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }
}
