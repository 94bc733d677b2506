//! How a sign-in fails.

use indexer::identity::IdentityError;

use crate::oauth::OauthError;

/// Why somebody is not signed in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignInError {
    #[error("access denied")]
    AccessDenied,
    #[error("this sign-in is unknown, used, or too old")]
    FlowExpired,
    #[error("this sign-in was begun in another browser")]
    WrongBrowser,
    #[error("the answer is of another server")]
    IssuerMismatch,
    #[error("another account came back than the one that was asked for")]
    AccountMismatch,
    #[error("no account: {0}")]
    HandleNotFound(String),
    #[error("the account's server cannot be reached: {0:#}")]
    ServerUnreachable(anyhow::Error),
    #[error("the account's server does not sign people in here: {0:#}")]
    ServerRefused(anyhow::Error),
    #[error("no tokens for the code: {0:#}")]
    ExchangeFailed(anyhow::Error),
    #[error(transparent)]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for SignInError {
    fn from(error: sqlx::Error) -> Self {
        SignInError::Internal(error.into())
    }
}

impl From<IdentityError> for SignInError {
    fn from(error: IdentityError) -> Self {
        match error.is_transient() {
            true => SignInError::ServerUnreachable(error.into()),
            false => SignInError::HandleNotFound(error.to_string()),
        }
    }
}

impl SignInError {
    /// For the address bar.
    pub fn code(&self) -> &'static str {
        match self {
            SignInError::AccessDenied => "access_denied",
            SignInError::FlowExpired => "flow_expired",
            SignInError::WrongBrowser => "wrong_browser",
            SignInError::IssuerMismatch => "issuer_mismatch",
            SignInError::AccountMismatch => "account_mismatch",
            SignInError::HandleNotFound(_) => "handle_not_found",
            SignInError::ServerUnreachable(_) => "server_unreachable",
            SignInError::ServerRefused(_) => "server_refused",
            SignInError::ExchangeFailed(_) => "exchange_failed",
            SignInError::Internal(_) => "internal_error",
        }
    }

    /// What kept us from beginning with a server.
    pub(super) fn beginning(error: OauthError) -> Self {
        match error {
            OauthError::Send(error) => SignInError::ServerUnreachable(error.into()),
            error => SignInError::ServerRefused(error.into()),
        }
    }
}
