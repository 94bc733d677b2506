//! The keys of a confidential client: made once, shared by all processes of a server.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Sessions;
use super::seal::Place;
use crate::oauth::client::ClientKey;
use crate::oauth::key::Key;
use crate::oauth::secret::Secret;

/// Names the moment of making the first key, for Postgres' advisory locks.
const LOCK: i64 = 0x706c_7972_6b65_7973;

fn place(kid: &str) -> Place<'_> {
    Place { purpose: "oauth_client_key", id: kid.as_bytes(), did: "" }
}

impl Sessions {
    /// The client's keys, the one for new grants first. Empty for a public client.
    pub(crate) async fn client_keys(&self) -> sqlx::Result<&[ClientKey]> {
        if !self.oauth().is_some_and(|oauth| oauth.client.is_confidential) {
            return Ok(&[]);
        }
        let keys = self.shared.keys.get_or_try_init(|| self.load_keys()).await?;
        Ok(keys)
    }

    /// The key that a grant was made with, or the one for new grants. None for a public client.
    pub(super) async fn client_key(&self, kid: Option<&str>) -> sqlx::Result<Option<&ClientKey>> {
        let keys = self.client_keys().await?;
        let known = kid.and_then(|kid| keys.iter().find(|key| key.kid == kid));
        Ok(known.or_else(|| keys.first()))
    }

    async fn load_keys(&self) -> sqlx::Result<Vec<ClientKey>> {
        let mut tx = self.pool().begin().await?;
        // Two processes that start together must not publish two sets.
        sqlx::query!("select pg_advisory_xact_lock($1)", LOCK).execute(&mut *tx).await?;
        let mut keys = self.read_keys(&mut tx).await?;
        if keys.is_empty() {
            keys.push(self.make_key(&mut tx).await?);
        }
        tx.commit().await?;
        Ok(keys)
    }

    async fn read_keys(&self, db: &mut PgConnection) -> sqlx::Result<Vec<ClientKey>> {
        let rows =
            sqlx::query!("select kid, sealed, created_at from oauth_client_key order by created_at desc")
                .fetch_all(db)
                .await?;
        let open = |kid: String, sealed: Vec<u8>, created_at: DateTime<Utc>| {
            let secret: Option<Secret> = self.shared.sealer.open(&place(&kid), &sealed);
            let key = secret.and_then(|secret| Key::read(&secret).ok());
            if key.is_none() {
                tracing::warn!(kid, %created_at, "a client key was sealed with another PLYR_SECRET_KEY");
            }
            Some(ClientKey { kid, key: key? })
        };
        Ok(rows.into_iter().filter_map(|row| open(row.kid, row.sealed, row.created_at)).collect())
    }

    async fn make_key(&self, db: &mut PgConnection) -> sqlx::Result<ClientKey> {
        let failed = |error: anyhow::Error| sqlx::Error::Encode(error.into());
        let key = Key::generate().map_err(|error| failed(error.into()))?;
        let kid = key.thumbprint();
        let sealed = self.shared.sealer.seal(&place(&kid), key.secret()).map_err(failed)?;
        sqlx::query!("insert into oauth_client_key (kid, sealed) values ($1, $2)", kid, sealed)
            .execute(db)
            .await?;
        tracing::info!(kid, "made a key for this server as an OAuth client");
        Ok(ClientKey { kid, key })
    }
}
