//! An upload as its row tells it, and the steps that it takes.

use anyhow::Context;
use chrono::{DateTime, Utc};
use indexer::job::{self, UPLOAD};
use indexer::syntax::{AtUri, Did};
use serde_json::Value;
use sqlx::PgPool;

use crate::session::{SessionId, SignedIn};

/// Where the work is. The words are those of the HTTP API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Looking into the file.
    Metadata,
    /// Making the cover's sizes.
    Image,
    /// Sending blobs to the PDS.
    Atproto,
    /// Putting the record, there and here.
    Database,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Metadata => "metadata",
            Phase::Image => "image",
            Phase::Atproto => "atproto",
            Phase::Database => "database",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Phase::Metadata => "reading the audio",
            Phase::Image => "preparing the cover",
            Phase::Atproto => "sending to your PDS",
            Phase::Database => "publishing the record",
        }
    }
}

/// A row of `upload` that is not finished.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub id: String,
    /// Who publishes it, by which session.
    pub by: SignedIn,
    pub uri: AtUri,
    pub title: String,
    pub album: Option<String>,
    pub description: Option<String>,
    pub tags: Vec<String>,
    pub features: Vec<String>,
    pub audio_cid: String,
    pub image_cid: Option<String>,
    pub duration_s: Option<i32>,
    pub cover_cid: Option<String>,
    pub cover_blob: Option<Value>,
    pub audio_blob: Option<Value>,
    pub blob_refused: bool,
    pub record: Option<Value>,
    pub created_at: DateTime<Utc>,
}

/// An unfinished upload; none when there is nothing left to do.
pub(super) async fn unfinished(pool: &PgPool, id: &str) -> anyhow::Result<Option<Upload>> {
    let row = sqlx::query!("select * from upload where id = $1 and completed_at is null", id)
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let did: Did = row.did.parse()?;
    let session = SessionId(row.session.as_slice().try_into().context("the session's name")?);
    Ok(Some(Upload {
        id: row.id,
        by: SignedIn { did, session },
        uri: row.uri.parse()?,
        title: row.title,
        album: row.album,
        description: row.description,
        tags: row.tags,
        features: row.features,
        audio_cid: row.audio_cid,
        image_cid: row.image_cid,
        duration_s: row.duration_s,
        cover_cid: row.cover_cid,
        cover_blob: row.cover_blob,
        audio_blob: row.audio_blob,
        blob_refused: row.blob_refused,
        record: row.record,
        created_at: row.created_at,
    }))
}

impl Upload {
    /// Tells that a phase begins.
    pub async fn enter(&self, pool: &PgPool, phase: Phase) -> sqlx::Result<()> {
        sqlx::query!(
            "update upload set status = 'processing', phase = $2, message = $3 where id = $1",
            self.id,
            phase.as_str(),
            phase.message()
        )
        .execute(pool)
        .await?;
        Ok(())
    }

    pub async fn set_duration(&mut self, pool: &PgPool, duration_s: i32) -> sqlx::Result<()> {
        self.duration_s = Some(duration_s);
        sqlx::query!("update upload set duration_s = $2 where id = $1", self.id, duration_s)
            .execute(pool)
            .await?;
        Ok(())
    }

    /// The picture cannot be used; the track goes without.
    pub async fn drop_image(&mut self, pool: &PgPool, warning: &str) -> sqlx::Result<()> {
        (self.image_cid, self.cover_cid, self.cover_blob) = (None, None, None);
        sqlx::query!(
            "update upload set image_cid = null, cover_cid = null, cover_blob = null, warnings = warnings || $2::text
             where id = $1",
            self.id,
            warning
        )
        .execute(pool)
        .await?;
        Ok(())
    }

    /// The PDS does not take the audio as a blob; the record gets our address only.
    pub async fn refuse_blob(&mut self, pool: &PgPool, warning: &str) -> sqlx::Result<()> {
        self.blob_refused = true;
        sqlx::query!(
            "update upload set blob_refused = true, audio_blob = null, warnings = warnings || $2::text where id = $1",
            self.id,
            warning
        )
        .execute(pool)
        .await?;
        Ok(())
    }

    pub async fn set_cover_blob(&mut self, pool: &PgPool, blob: Option<Value>) -> sqlx::Result<()> {
        sqlx::query!("update upload set cover_blob = $2 where id = $1", self.id, blob).execute(pool).await?;
        self.cover_blob = blob;
        Ok(())
    }

    pub async fn set_audio_blob(&mut self, pool: &PgPool, blob: Option<Value>) -> sqlx::Result<()> {
        sqlx::query!("update upload set audio_blob = $2 where id = $1", self.id, blob).execute(pool).await?;
        self.audio_blob = blob;
        Ok(())
    }

    pub async fn set_record(&mut self, pool: &PgPool, record: Option<Value>) -> sqlx::Result<()> {
        sqlx::query!("update upload set record = $2 where id = $1", self.id, record).execute(pool).await?;
        self.record = record;
        Ok(())
    }

    /// Another grant of the same person takes over.
    pub async fn set_session(&mut self, pool: &PgPool, session: SessionId) -> sqlx::Result<()> {
        sqlx::query!("update upload set session = $2 where id = $1", self.id, session.0.as_slice())
            .execute(pool)
            .await?;
        self.by.session = session;
        Ok(())
    }

    /// What of all there is to send has gone out.
    pub async fn set_sent(&self, pool: &PgPool, sent_bytes: u64, total_bytes: u64) -> sqlx::Result<()> {
        sqlx::query!(
            "update upload set sent_bytes = $2, total_bytes = $3 where id = $1",
            self.id,
            i64::try_from(sent_bytes).unwrap_or(i64::MAX),
            i64::try_from(total_bytes).unwrap_or(i64::MAX)
        )
        .execute(pool)
        .await?;
        Ok(())
    }

    /// Something failed that may pass.
    pub async fn say(&self, pool: &PgPool, message: &str) -> sqlx::Result<()> {
        sqlx::query!("update upload set message = $2 where id = $1", self.id, message).execute(pool).await?;
        Ok(())
    }

    pub async fn complete(&self, pool: &PgPool, record_cid: &str) -> sqlx::Result<()> {
        let mut tx = pool.begin().await?;
        // However soon the record goes again, its bytes were somebody's.
        sqlx::query!(
            "update blob set was_named = true
              where not was_named and (cid in ($1, $2) or cid in (select cid from cover_size where cover_cid = $2))",
            self.audio_cid,
            self.cover_cid
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!(
            "update upload set status = 'completed', message = 'upload completed', record_cid = $2, completed_at = now()
             where id = $1",
            self.id,
            record_cid
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        metrics::counter!("plyr_uploads_total", "outcome" => "completed").increment(1);
        Ok(())
    }

    pub async fn fail(&self, pool: &PgPool, error: &str) -> sqlx::Result<()> {
        tracing::info!(upload = self.id, error, "upload failed");
        sqlx::query!(
            "update upload set status = 'failed', message = 'upload failed', error = $2, completed_at = now()
             where id = $1",
            self.id,
            error
        )
        .execute(pool)
        .await?;
        metrics::counter!("plyr_uploads_total", "outcome" => "failed").increment(1);
        Ok(())
    }
}

/// Ends uploads whose job died, asks again for those that no job works on, and forgets, after a month, what has ended and
/// whose record is not there.
pub async fn sweep(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "update upload set status = 'failed', message = 'upload failed', completed_at = now(),
                           error = 'unexpected error: it was tried too often'
         where completed_at is null
           and exists (select from job where kind = $1 and key = upload.id and state = 'dead')
           and not exists (select from job where kind = $1 and key = upload.id and state <> 'dead')",
        UPLOAD
    )
    .execute(pool)
    .await?;
    let forgotten = sqlx::query_scalar!(
        "select id from upload where completed_at is null
           and not exists (select from job where kind = $1 and key = upload.id)",
        UPLOAD
    )
    .fetch_all(pool)
    .await?;
    let jobs = forgotten.into_iter().map(|id| (UPLOAD, id)).collect();
    job::enqueue(&mut *pool.acquire().await?, &jobs).await?;
    sqlx::query!(
        "delete from upload where completed_at < now() - interval '30 days'
           and not exists (select from record where record.uri = upload.uri and record.value is not null)"
    )
    .execute(pool)
    .await?;
    Ok(())
}
