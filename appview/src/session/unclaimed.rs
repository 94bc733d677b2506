//! A new session on its way to whoever signed in.

use tokio::runtime::Handle;

use super::{SessionId, Sessions};
use crate::oauth::secret::Secret;

/// A session that nobody holds yet. Dropped before it is claimed, it is ended and its grant revoked: its browser has gone
/// away, and no other will come for it.
#[derive(Debug)]
pub(crate) struct Unclaimed {
    sessions: Sessions,
    token: Secret,
    is_claimed: bool,
}

impl Unclaimed {
    pub(super) fn new(sessions: &Sessions, token: Secret) -> Self {
        Unclaimed { sessions: sessions.clone(), token, is_claimed: false }
    }

    /// What to give to whoever signed in.
    pub(crate) fn token(&self) -> &Secret {
        &self.token
    }

    /// It was given.
    pub(crate) fn claim(mut self) {
        self.is_claimed = true;
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        // Without a runtime the process is at its end.
        if !self.is_claimed && Handle::try_current().is_ok() {
            tracing::info!("nobody came for a new session");
            self.sessions.sign_out_later(SessionId::of(&self.token));
        }
    }
}
