//! Sessions seen together: those of a person, and those that are over.

use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use indexer::syntax::Did;

use super::row::{Found, Held};
use super::{CallError, SessionId, Sessions};
use crate::oauth::scope;

/// A person's sessions that are tried for one that can be used.
const TRIED_MAX: i64 = 20;
/// How long signing out waits for the server whose grant it ends.
const REVOKE_TIMEOUT: Duration = Duration::from_secs(3);
/// And how long, where nobody waits for it.
const REVOKE_LATER_TIMEOUT: Duration = Duration::from_secs(30);

/// Grants that one sweep gives back to their servers.
const REVOKED_AT_ONCE: i64 = 20;

/// A token for programs, as its owner sees it.
#[derive(Debug)]
pub(crate) struct DeveloperToken {
    /// The beginning of its id.
    pub prefix: String,
    pub name: Option<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

impl Sessions {
    /// The newest session of this person whose grant is alive, for work that outlives a request.
    pub async fn newest_of(&self, did: &Did) -> sqlx::Result<Option<SessionId>> {
        let ids = sqlx::query_scalar!(
            "select id from session where did = $1 and sealed is not null and expires_at > now()
             order by created_at desc limit $2",
            did.as_str(),
            TRIED_MAX
        )
        .fetch_all(self.pool())
        .await?;
        for id in ids.into_iter().filter_map(|id| id.try_into().ok()).map(SessionId) {
            if let Found::Live(_) = self.find(self.pool(), &id).await? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// What we ask for and this session's grant does not cover.
    pub(crate) async fn scope_missing(&self, session: &SessionId) -> sqlx::Result<Vec<String>> {
        Ok(match self.find(self.pool(), session).await? {
            Found::Live(held) => scope::missing(&held.grant.scope, &self.shared.scope),
            Found::Ended | Found::Nothing => Vec::new(),
        })
    }

    /// Signs out: the session is deleted, and the grant behind it revoked where its server can be reached soon.
    pub(crate) async fn sign_out(&self, session: &SessionId) -> sqlx::Result<()> {
        self.sign_out_within(session, REVOKE_TIMEOUT).await
    }

    /// The same, for nobody who waits.
    pub(crate) fn sign_out_later(&self, session: SessionId) {
        let sessions = self.clone();
        self.spawn(async move {
            if let Err(error) = sessions.sign_out_within(&session, REVOKE_LATER_TIMEOUT).await {
                tracing::warn!(%error, "a session that nobody holds could not be ended");
            }
        });
    }

    /// Ends the session that another of the same person took the place of. Whoever else has used the browser stays as they are.
    pub(crate) fn end_earlier(&self, session: SessionId, did: Did) {
        let sessions = self.clone();
        self.spawn(async move {
            match sessions.find(sessions.pool(), &session).await {
                Ok(Found::Live(held)) if held.did == did => sessions.sign_out_later(session),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "an earlier session could not be looked at"),
            }
        });
    }

    async fn sign_out_within(&self, session: &SessionId, patience: Duration) -> sqlx::Result<()> {
        let found = self.read(self.pool(), session, true).await?;
        // First here: whatever the server does, this session is over.
        self.delete(session).await?;
        if let Found::Live(held) = found {
            match tokio::time::timeout(patience, self.revoke(session, &held)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::info!(did = %held.did, %error, "a grant was not revoked"),
                Err(_) => tracing::info!(did = %held.did, "a grant was not revoked in time"),
            }
        }
        Ok(())
    }

    async fn revoke(&self, id: &SessionId, held: &Held) -> Result<(), CallError> {
        let oauth = self.oauth().ok_or(CallError::SessionExpired)?;
        let server = self.server_of(held, id).await?;
        let key = self.client_key(held.grant.kid.as_deref()).await?;
        let token = held.grant.refresh_token.as_ref().unwrap_or(&held.grant.access_token);
        let revoked = oauth.revoke(&server, key, (&held.key, token)).await;
        revoked.map_err(|error| CallError::Unsent(error.into()))
    }

    /// The tokens for programs of a person that are alive, newest first.
    pub(crate) async fn developer_tokens(&self, did: &Did) -> sqlx::Result<Vec<DeveloperToken>> {
        let rows = sqlx::query!(
            "select id, name, created_at, expires_at from session
              where did = $1 and is_developer and sealed is not null and expires_at > now()
              order by created_at desc limit 1000",
            did.as_str()
        )
        .fetch_all(self.pool())
        .await?;
        let token = |id: Vec<u8>| hex::encode(id).chars().take(8).collect();
        Ok(rows
            .into_iter()
            .map(|row| DeveloperToken {
                prefix: token(row.id),
                name: row.name,
                created_at: row.created_at,
                expires_at: row.expires_at,
            })
            .collect())
    }

    /// The ids of a person's tokens for programs that begin so, in hex.
    pub(crate) async fn developer_tokens_like(
        &self,
        did: &Did,
        prefix: &str,
    ) -> sqlx::Result<Vec<SessionId>> {
        let ids = sqlx::query_scalar!(
            "select id from session
              where did = $1 and is_developer and starts_with(encode(id, 'hex'), $2) and expires_at > now() limit 2",
            did.as_str(),
            prefix
        )
        .fetch_all(self.pool())
        .await?;
        Ok(ids.into_iter().filter_map(|id| id.try_into().ok()).map(SessionId).collect())
    }

    /// Deletes what is over: sessions, sign-ins nobody finished, sessions that no web app fetched. A grant may outlive its
    /// session at its server, so those that end are revoked as well, a few each time. Returns how many sessions.
    pub async fn sweep(&self) -> sqlx::Result<u64> {
        sqlx::query!("delete from oauth_flow where expires_at < now()").execute(self.pool()).await?;
        let over = sqlx::query_scalar!(
            "select id from session
              where sealed is not null
                and (expires_at < now() or id in (select session_id from exchange_token where expires_at < now()))
              order by expires_at limit $1",
            REVOKED_AT_ONCE
        )
        .fetch_all(self.pool())
        .await?;
        let over: Vec<_> = over.into_iter().filter_map(|id| id.try_into().ok()).map(SessionId).collect();
        let ended = join_all(over.iter().map(|id| self.sign_out(id))).await;
        let ended: Vec<()> = ended.into_iter().collect::<sqlx::Result<_>>()?;
        // The rest waits for its turn, but not for ever.
        let swept = sqlx::query!(
            "delete from session
              where ended_at < now() - interval '7 days'
                 or expires_at < now() - interval '1 day'
                 or id in (select session_id from exchange_token where expires_at < now() - interval '1 day')
                 or sealed is null and expires_at < now()"
        )
        .execute(self.pool())
        .await?;
        Ok(ended.len() as u64 + swept.rows_affected())
    }
}
