//! New tokens for old: once for each session, whoever asks and however many.
//!
//! A refresh token is for one use, and its second use ends the grant. So who uses it holds a lease on the session's version;
//! everybody else waits until the version has changed. No lock and no transaction is held while a server thinks.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::sync::Mutex;

use super::row::{Found, Held};
use super::{CallError, SessionId, Sessions};
use crate::oauth::server::Server;
use crate::oauth::{Oauth, OauthError, Tokens};

/// A process that does not say within this time that it is still at it has died, and another may try.
const LEASE_S: f64 = 6.0;
/// How often it says so.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// How often one who waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Then one who waits gives up. The refresh itself does not: it goes on until it has its answer.
const PATIENCE: Duration = Duration::from_secs(45);
/// After a failure nobody tries again for this long: those who waited would all fail one after the other.
const PAUSE: Duration = Duration::from_secs(1);
/// Tokens that were received are lost if they cannot be stored: tried so often, this far apart.
const STORE_TRIES: u32 = 20;
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// The refreshes of one session in this process.
#[derive(Debug, Default)]
pub(super) struct Flight {
    failed_at: Option<Instant>,
}

impl Sessions {
    /// The session's grant with an access token that is not known to be over; `refused` is the version whose token was.
    pub(super) async fn fresh(&self, id: &SessionId, refused: Option<i64>) -> Result<Held, CallError> {
        let first = self.held(id).await?;
        if refused != Some(first.version) && !first.is_ending() {
            return Ok(first);
        }
        let flight = self.shared.flights.get_with(*id, async { Arc::<Mutex<Flight>>::default() }).await;
        // One of this process looks; the others wait here, without a connection.
        let mut flight = flight.lock().await;
        let began = Instant::now();
        loop {
            let held = self.held(id).await?;
            if held.version != first.version {
                return Ok(held);
            }
            if flight.failed_at.is_some_and(|at| at.elapsed() < PAUSE) {
                return stand_in(held, refused, anyhow::anyhow!("a refresh failed a moment ago"));
            }
            let server = match self.server_of(&held, id).await {
                Ok(server) => server,
                Err(CallError::Unsent(why)) => {
                    flight.failed_at = Some(Instant::now());
                    return stand_in(held, refused, why);
                }
                Err(error) => return Err(error),
            };
            let lease = rand::random();
            if self.take_lease(id, held.version, (lease, LEASE_S)).await? {
                // A task of its own: whoever asked may go away, the new tokens must not get lost with them.
                let (sessions, id) = (self.clone(), *id);
                let task = self.spawn(async move {
                    let refreshed = tokio::select! {
                        refreshed = sessions.refresh_leased(&id, &held, &server, lease) => refreshed,
                        never = sessions.hold(&id, lease) => match never {},
                    };
                    (held, refreshed)
                });
                let Ok(task) = tokio::time::timeout(PATIENCE, task).await else {
                    return Err(CallError::Unsent(anyhow::anyhow!("the authorization server is slow")));
                };
                match task {
                    Ok((_, Ok(()))) => continue,
                    Ok((held, Err(CallError::Unsent(why)))) => {
                        flight.failed_at = Some(Instant::now());
                        return stand_in(held, refused, why);
                    }
                    Ok((_, Err(error))) => return Err(error),
                    Err(error) => return Err(CallError::Unsent(error.into())),
                }
            }
            if began.elapsed() > PATIENCE {
                return Err(CallError::Unsent(anyhow::anyhow!("another process is still refreshing")));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn held(&self, id: &SessionId) -> Result<Held, CallError> {
        match self.find(self.pool(), id).await? {
            Found::Live(held) => Ok(*held),
            Found::Ended | Found::Nothing => Err(CallError::SessionExpired),
        }
    }

    /// The server of the grant, as long as the person's PDS still names it. A person who moved has to sign in anew.
    pub(super) async fn server_of(&self, held: &Held, id: &SessionId) -> Result<Arc<Server>, CallError> {
        let oauth = self.oauth().ok_or(CallError::SessionExpired)?;
        let unsent = |error: anyhow::Error| CallError::Unsent(error);
        let pds = self.pds_of(&held.did, false).await.map_err(unsent)?;
        let server = oauth.servers.of(&pds).await.map_err(|error| unsent(error.into()))?;
        if server.issuer == held.grant.issuer {
            return Ok(server);
        }
        // The grant may be newer than what we remember.
        let pds = self.pds_of(&held.did, true).await.map_err(unsent)?;
        let server = oauth.servers.of_now(&pds).await.map_err(|error| unsent(error.into()))?;
        if server.issuer == held.grant.issuer {
            return Ok(server);
        }
        tracing::info!(did = %held.did, "a grant ends: the account is at another host");
        self.end(id, held.version).await?;
        Err(CallError::SessionExpired)
    }

    /// Uses the refresh token. Whoever calls holds the lease.
    async fn refresh_leased(
        &self,
        id: &SessionId,
        held: &Held,
        server: &Server,
        lease: i64,
    ) -> Result<(), CallError> {
        let oauth = self.oauth().ok_or(CallError::SessionExpired)?;
        let answer = match &held.grant.refresh_token {
            Some(token) => {
                let key = self.client_key(held.grant.kid.as_deref()).await?;
                oauth.refresh(server, key, (&held.key, token)).await
            }
            None => Err(OauthError::Refused { status: 400, error: "invalid_grant".to_owned() }),
        };
        let outcome = match &answer {
            Ok(_) => "done",
            Err(error) if error.ends_grant() => "ended",
            Err(_) => "failed",
        };
        metrics::counter!("plyr_token_refreshes_total", "outcome" => outcome).increment(1);
        match answer {
            Ok(tokens) if tokens.sub == held.did => self.store(id, held, oauth, server, tokens).await,
            Ok(_) => {
                tracing::warn!(did = %held.did, issuer = server.issuer, "a refresh answered for somebody else");
                self.end(id, held.version).await?;
                Err(CallError::SessionExpired)
            }
            Err(error) if error.ends_grant() => {
                tracing::info!(did = %held.did, issuer = server.issuer, "a grant ended");
                // Unless another process was quicker, its lease lost and ours too late.
                if self.end(id, held.version).await? { Err(CallError::SessionExpired) } else { Ok(()) }
            }
            Err(error) => {
                tracing::warn!(did = %held.did, issuer = server.issuer, %error, "a refresh failed");
                self.give_lease_back(id, lease).await?;
                Err(CallError::Unsent(error.into()))
            }
        }
    }

    /// Keeps the lease for as long as it is polled.
    async fn hold(&self, id: &SessionId, lease: i64) -> Infallible {
        loop {
            tokio::time::sleep(BEAT_EVERY).await;
            if let Err(error) = self.prolong_lease(id, lease, LEASE_S).await {
                tracing::warn!(%error, "cannot prolong the lease of a refresh");
            }
        }
    }

    async fn store(
        &self,
        id: &SessionId,
        held: &Held,
        oauth: &Oauth,
        server: &Server,
        tokens: Tokens,
    ) -> Result<(), CallError> {
        let expires_at = tokens.expires_at;
        let grant = held.grant.renewed(tokens);
        let mut tries = 0;
        let stored = loop {
            match self.renew(id, held, &grant, expires_at).await {
                Err(error) if tries == STORE_TRIES => return Err(CallError::Unsent(error)),
                Err(error) => {
                    tracing::error!(did = %held.did, %error, "new tokens cannot be stored yet");
                    tries += 1;
                    tokio::time::sleep(STORE_PAUSE).await;
                }
                Ok(stored) => break stored,
            }
        };
        if !stored {
            // Signed out while we asked: nobody will use them.
            let key = self.client_key(grant.kid.as_deref()).await?;
            let token = grant.refresh_token.as_ref().unwrap_or(&grant.access_token);
            oauth.revoke(server, key, (&held.key, token)).await.ok();
        }
        Ok(())
    }
}

/// A token that merely nears its end is good while its server is away.
fn stand_in(held: Held, refused: Option<i64>, why: anyhow::Error) -> Result<Held, CallError> {
    if refused != Some(held.version) && held.access_expires_at > Utc::now() {
        return Ok(held);
    }
    Err(CallError::Unsent(why))
}
