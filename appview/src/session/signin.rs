//! Signing in: from an account's name to a session, by way of its own server.

use chrono::{TimeDelta, Utc};
use indexer::apply::account::{self, HandleNow};
use indexer::syntax::{Did, Handle};
use serde::{Deserialize, Serialize};
use url::Url;

use super::failure::SignInError;
use super::row::{Grant, NewSession};
use super::seal::Place;
use super::{SessionId, Sessions, Unclaimed};
use crate::oauth::key::Key;
use crate::oauth::secret::Secret;
use crate::oauth::server::Server;
use crate::oauth::{Oauth, OauthError, Tokens};

/// A sign-in that is not finished by then has to begin anew.
const FLOW_LIFE_S: f64 = 600.0;
/// The way to a web app is one redirect long.
const EXCHANGE_LIFE_S: f64 = 60.0;
/// For finding out the handle of who has just come; the rest of them is a job's.
const GREETING: std::time::Duration = std::time::Duration::from_secs(2);

/// A token for programs that somebody asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Developer {
    pub name: Option<String>,
    /// None: as long as the grant lasts.
    pub expires_in_days: Option<u32>,
}

/// A sign-in under way, as it is sealed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Flow {
    pub did: Did,
    issuer: String,
    verifier: Secret,
    key: Secret,
    kid: Option<String>,
    /// The cookie of the browser that began it.
    browser: Secret,
    /// Where it ends, absolute.
    pub return_to: Url,
    pub developer: Option<Developer>,
}

/// What there was for an exchange token.
#[derive(Debug)]
pub(crate) struct Exchanged {
    pub did: Did,
    pub session: Unclaimed,
    pub is_developer: bool,
}

/// What the authorization server sends back with the browser.
#[derive(Debug, Deserialize)]
pub(crate) struct Callback {
    code: Option<Secret>,
    pub state: Option<Secret>,
    iss: Option<String>,
    error: Option<String>,
}

fn flow_place<'a>(hash: &'a [u8; 32], did: &'a str) -> Place<'a> {
    Place { purpose: "oauth_flow", id: hash, did }
}

fn exchange_place<'a>(hash: &'a [u8; 32], did: &'a str) -> Place<'a> {
    Place { purpose: "exchange_token", id: hash, did }
}

impl Sessions {
    /// Announces a sign-in to the server of an account. Returns where the browser goes.
    pub(crate) async fn start(
        &self,
        account: &str,
        browser: &Secret,
        return_to: Url,
        developer: Option<Developer>,
    ) -> Result<Url, SignInError> {
        let oauth = self.oauth().ok_or_else(|| {
            let why = "PLYR_PUBLIC_URL is neither https nor http on a loopback address such as 127.0.0.1";
            SignInError::ServerRefused(anyhow::anyhow!(why))
        })?;
        let (did, hint) = self.who(account).await?;
        let server = self.server_now(oauth, &did).await?;
        let client_key = self.client_key(None).await?;
        let begun = oauth.begin(&server, client_key, &hint).await.map_err(SignInError::beginning)?;
        let flow = Flow {
            issuer: server.issuer.clone(),
            verifier: begun.verifier,
            key: begun.key.secret().clone(),
            kid: client_key.map(|key| key.kid.clone()),
            browser: browser.clone(),
            return_to,
            developer,
            did,
        };
        let hash = begun.state.hash();
        let sealed = self.shared.sealer.seal(&flow_place(&hash, flow.did.as_str()), &flow)?;
        sqlx::query!(
            "insert into oauth_flow (state_hash, did, sealed, expires_at)
             values ($1, $2, $3, now() + make_interval(secs => $4))",
            &hash,
            flow.did.as_str(),
            sealed,
            FLOW_LIFE_S
        )
        .execute(self.pool())
        .await?;
        Ok(begun.url)
    }

    /// The flow that a callback belongs to. It is taken: there is no second time.
    pub(crate) async fn take_flow(&self, callback: &Callback) -> Result<Flow, SignInError> {
        let state = callback.state.as_ref().ok_or(SignInError::FlowExpired)?;
        let hash = state.hash();
        let row = sqlx::query!(
            r#"delete from oauth_flow where state_hash = $1 returning did, sealed, expires_at > now() as "live!""#,
            &hash
        )
        .fetch_optional(self.pool())
        .await?;
        let row = row.filter(|row| row.live).ok_or(SignInError::FlowExpired)?;
        self.shared.sealer.open(&flow_place(&hash, &row.did), &row.sealed).ok_or(SignInError::FlowExpired)
    }

    /// Ends a sign-in with a session or with the reason why not. Once begun it must be let end: what it gets for the code
    /// is either kept or given back.
    pub(crate) async fn finish(
        &self,
        flow: &Flow,
        callback: Callback,
        browser: Option<&Secret>,
    ) -> Result<Unclaimed, SignInError> {
        let oauth = self.oauth().ok_or(SignInError::FlowExpired)?;
        if browser != Some(&flow.browser) {
            return Err(SignInError::WrongBrowser);
        }
        if callback.iss.as_deref() != Some(&*flow.issuer) {
            return Err(SignInError::IssuerMismatch);
        }
        match callback.error.as_deref() {
            None => {}
            Some("access_denied") => return Err(SignInError::AccessDenied),
            Some(_) => return Err(SignInError::ServerRefused(anyhow::anyhow!("it sent an error back"))),
        }
        let failed = |error: OauthError| SignInError::ExchangeFailed(error.into());
        let code = callback.code.ok_or_else(|| failed(OauthError::unusable("no code")))?;
        // Asked now: an account that moved meanwhile must not be signed in by the host it left.
        let server = self.server_now(oauth, &flow.did).await?;
        if server.issuer != flow.issuer {
            return Err(SignInError::IssuerMismatch);
        }
        let client_key = self.client_key(flow.kid.as_deref()).await?;
        let key = Key::read(&flow.key).map_err(|error| failed(error.into()))?;
        let exchanged = oauth.exchange(&server, client_key, (&key, &flow.verifier, &code)).await;
        let tokens = exchanged.map_err(failed)?;
        let last = tokens.refresh_token.as_ref().unwrap_or(&tokens.access_token).clone();
        let kept = match tokens.sub == flow.did {
            true => self.keep_session(flow, tokens).await,
            false => Err(SignInError::AccountMismatch),
        };
        match kept {
            Ok(session) => {
                self.greet(&flow.did).await;
                Ok(session)
            }
            Err(error) => {
                // Somebody's grant all the same, and nobody's to use.
                oauth.revoke(&server, client_key, (&key, &last)).await.ok();
                Err(error)
            }
        }
    }

    async fn keep_session(&self, flow: &Flow, tokens: Tokens) -> Result<Unclaimed, SignInError> {
        let mut life = self.life();
        if let Some(days) = flow.developer.as_ref().and_then(|developer| developer.expires_in_days) {
            life = life.min(TimeDelta::days(days.into()));
        }
        let grant = Grant {
            issuer: flow.issuer.clone(),
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            life_s: Some(tokens.life_s),
            scope: tokens.scope,
            key: flow.key.clone(),
            kid: flow.kid.clone(),
        };
        let new = NewSession {
            did: &flow.did,
            grant: &grant,
            access_expires_at: tokens.expires_at,
            expires_at: Utc::now() + life,
            developer: flow.developer.as_ref().map(|developer| developer.name.as_deref()),
        };
        Ok(Unclaimed::new(self, self.keep(&new).await?))
    }

    /// A token by which a web app of another origin gets this session, once and soon.
    pub(crate) async fn offer(&self, did: &Did, session: &Secret) -> anyhow::Result<Secret> {
        let token = Secret::random();
        let hash = token.hash();
        let sealed = self.shared.sealer.seal(&exchange_place(&hash, did.as_str()), session)?;
        sqlx::query!(
            "insert into exchange_token (token_hash, session_id, did, sealed, expires_at)
             values ($1, $2, $3, $4, now() + make_interval(secs => $5))",
            &hash,
            &session.hash(),
            did.as_str(),
            sealed,
            EXCHANGE_LIFE_S
        )
        .execute(self.pool())
        .await?;
        Ok(token)
    }

    /// The session behind an exchange token. None for what is unknown, used or late. Once begun it must be let end: the
    /// token is used up.
    pub(crate) async fn exchange(&self, token: &Secret) -> sqlx::Result<Option<Exchanged>> {
        let hash = token.hash();
        let row = sqlx::query!(
            r#"delete from exchange_token using session
                where token_hash = $1 and session.id = session_id
            returning session_id, exchange_token.did, exchange_token.sealed, is_developer,
                      exchange_token.expires_at > now() as "live!""#,
            &hash
        )
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let opened = || {
            let did = row.did.parse().ok()?;
            let session = self.shared.sealer.open(&exchange_place(&hash, &row.did), &row.sealed)?;
            let session = Unclaimed::new(self, session);
            Some(Exchanged { did, session, is_developer: row.is_developer })
        };
        let exchanged = if row.live { opened() } else { None };
        if let (None, Ok(session)) = (&exchanged, row.session_id.try_into()) {
            // There was one token for it, and nobody has it.
            self.sign_out_later(SessionId(session));
        }
        Ok(exchanged)
    }

    /// Whom a name means: a DID, or a handle in any of the forms people paste. Beside it, what to show at their server.
    async fn who(&self, account: &str) -> Result<(Did, String), SignInError> {
        // Invisible marks come along when a handle is copied from an app.
        let is_mark = |c: char| {
            c.is_whitespace()
                || c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        };
        let name: String = account.chars().filter(|c| !is_mark(*c)).take(2048).collect();
        let name = name.strip_prefix("at://").unwrap_or(&name);
        let name = name.strip_prefix('@').unwrap_or(name);
        if let Ok(did) = name.parse::<Did>() {
            return Ok((did, name.to_owned()));
        }
        let handle = Handle::normalized(name)
            .map_err(|_| SignInError::HandleNotFound("not a handle, such as alice.example".into()))?;
        match self.shared.indexer.identity.resolve_handle(&handle).await? {
            Some(did) => Ok((did, handle.to_string())),
            None => Err(SignInError::HandleNotFound(format!("{handle} names none"))),
        }
    }

    /// The server that signs this account in at this moment.
    async fn server_now(&self, oauth: &Oauth, did: &Did) -> Result<std::sync::Arc<Server>, SignInError> {
        let document = self.shared.indexer.identity.refresh(did).await?;
        let pds = document
            .pds
            .as_ref()
            .ok_or_else(|| SignInError::HandleNotFound("its DID document names no PDS".into()))?;
        oauth.servers.of_now(pds).await.map_err(SignInError::beginning)
    }

    /// Makes a person known who came by themselves. What fails here is done by the jobs, a little later.
    async fn greet(&self, did: &Did) {
        let indexer = &self.shared.indexer;
        if let Err(error) = account::welcome(&indexer.door, did).await {
            tracing::warn!(%did, %error, "cannot make a person known");
            return;
        }
        let meeting = async {
            let document = indexer.identity.document(did).await?;
            let handle = indexer.identity.verified_handle(&document).await?;
            let pds = document.pds.as_ref().map(|pds| pds.origin().ascii_serialization());
            account::identify(&indexer.door, did, HandleNow::Is(handle.as_ref()), pds.as_deref()).await?;
            anyhow::Ok(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(GREETING, meeting).await {
            tracing::info!(%did, %error, "the handle of who signed in is not known yet");
        }
    }
}
