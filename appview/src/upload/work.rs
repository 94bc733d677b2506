//! The job: from bytes that nobody looked at to a record that stands. Each step leaves its result in the row, and what is
//! there is not done again, so that it may be killed anywhere.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use cid::Cid;
use indexer::job::{ATTEMPTS_MAX, Handler, Job, Outcome};

use super::pds::{self, Sent};
use super::row::{self, Phase, Upload};
use super::{Workshop, record};
use crate::blob;
use crate::cover::{self, COVER_PX, THUMBNAIL_PX};
use crate::probe::{self, Format};
use crate::publish::PublishError;
use crate::session::CallError;
use crate::store::StorageKey;

/// The handler of [`indexer::job::UPLOAD`].
pub fn handler(shop: Workshop) -> Handler {
    Arc::new(move |job: Job| {
        let shop = shop.clone();
        Box::pin(async move { work(&shop, &job).await })
    })
}

/// Why an upload does not go on now.
pub(super) enum Trouble {
    /// It never will; the text is for the person.
    Refused(String),
    /// Somebody else comes first, or is asked again.
    Wait(Duration),
    /// It may pass; the text is for the person, the cause for us.
    Passing(&'static str, anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Trouble::Passing("something went wrong here", error.into())
    }
}

async fn work(shop: &Workshop, job: &Job) -> anyhow::Result<Outcome> {
    let pool = &shop.indexer.door.pool;
    let Some(mut upload) = row::unfinished(pool, &job.key).await? else { return Ok(Outcome::Done) };
    match go_on(shop, &mut upload, job).await {
        Ok(()) => Ok(Outcome::Done),
        Err(Trouble::Wait(pause)) => Ok(Outcome::Later(pause)),
        Err(Trouble::Refused(error)) => {
            upload.fail(pool, &error).await?;
            Ok(Outcome::Done)
        }
        Err(Trouble::Passing(told, cause)) => {
            if job.attempts >= ATTEMPTS_MAX {
                upload.fail(pool, &format!("unexpected error: {told}, {} times", job.attempts)).await?;
            } else {
                upload.say(pool, &format!("{told}; trying again")).await?;
            }
            Err(cause)
        }
    }
}

async fn go_on(shop: &Workshop, upload: &mut Upload, job: &Job) -> Result<(), Trouble> {
    let pool = &shop.indexer.door.pool;
    upload.enter(pool, Phase::Metadata).await?;
    let (key, mime, size_bytes) = held(shop, &upload.audio_cid).await?;
    let format = Format::of_mime(&mime).ok_or_else(|| anyhow!("a sound of type {mime}"))?;
    if upload.record.is_none() {
        refuse_twins(shop, upload).await?;
    }
    if upload.duration_s.is_none() {
        match probe::duration_s(shop.store.path(&key), format).await? {
            Ok(duration_s) => upload.set_duration(pool, duration_s).await?,
            Err(why) => return Err(Trouble::Refused(format!("the audio cannot be read: {why}"))),
        }
    }
    if upload.cover_cid.is_none() && upload.image_cid.is_some() {
        upload.enter(pool, Phase::Image).await?;
        make_cover(shop, upload).await?;
    }
    upload.enter(pool, Phase::Atproto).await?;
    let mut resent = false;
    loop {
        if upload.record.is_none() {
            pds::send_blobs(shop, upload, &Sent { key: &key, mime: &mime, size_bytes }, job.attempts).await?;
            upload.set_record(pool, Some(record::build(shop, upload, format).await?)).await?;
        }
        upload.enter(pool, Phase::Database).await?;
        match put(shop, upload).await {
            // The PDS lets go of blobs that no record names for too long.
            Err(Put::BlobsForgotten) if !resent => {
                resent = true;
                upload.set_cover_blob(pool, None).await?;
                upload.set_audio_blob(pool, None).await?;
                upload.set_record(pool, None).await?;
                upload.enter(pool, Phase::Atproto).await?;
            }
            Err(Put::BlobsForgotten) => {
                return Err(Trouble::Passing(
                    "your PDS lost the files",
                    anyhow!("blobs were forgotten twice"),
                ));
            }
            Err(Put::Trouble(trouble)) => return Err(trouble),
            Ok(cid) => {
                upload.complete(pool, &cid.to_string()).await?;
                return Ok(());
            }
        }
    }
}

/// The file behind a CID: its key, type and length.
async fn held(shop: &Workshop, cid: &str) -> Result<(StorageKey, String, u64), Trouble> {
    let row = sqlx::query!("select storage_key, mime, size_bytes from blob where cid = $1", cid)
        .fetch_optional(&shop.indexer.door.pool)
        .await?
        .with_context(|| format!("the row of {cid} is gone"))?;
    let key: StorageKey = row.storage_key.parse()?;
    shop.store.open(&key).await.with_context(|| format!("the file of {cid}"))?;
    Ok((key, row.mime, row.size_bytes.unsigned_abs()))
}

/// The same sound by the same person is the same track. Of two uploads that run at once, the first is waited for.
async fn refuse_twins(shop: &Workshop, upload: &Upload) -> Result<(), Trouble> {
    let pool = &shop.indexer.door.pool;
    let did = upload.by.did.as_str();
    let waits = sqlx::query_scalar!(
        r#"select exists (select from upload where audio_cid = $1 and did = $2 and completed_at is null
                             and (created_at, id) < ($3, $4)) as "waits!""#,
        upload.audio_cid,
        did,
        upload.created_at,
        upload.id
    )
    .fetch_one(pool)
    .await?;
    if waits {
        return Err(Trouble::Wait(Duration::from_secs(2)));
    }
    let twin = sqlx::query_scalar!(
        "select p.id from blob_ref r
           join track t on t.uri = r.uri
           join public_id p on p.kind = 'track' and p.uri = r.uri
          where r.cid = $1 and r.did = $2 and r.role = 'audio' and r.uri <> $3
          order by p.id limit 1",
        upload.audio_cid,
        did,
        upload.uri.as_str()
    )
    .fetch_optional(pool)
    .await?;
    match twin {
        Some(id) => Err(Trouble::Refused(format!("duplicate upload: track already exists (id: {id})"))),
        None => Ok(()),
    }
}

/// Makes the sizes of the given picture. One that cannot be read is left out, and the person told.
async fn make_cover(shop: &Workshop, upload: &mut Upload) -> Result<(), Trouble> {
    let pool = &shop.indexer.door.pool;
    let Some(image_cid) = upload.image_cid.clone() else { return Ok(()) };
    let (key, ..) = held(shop, &image_cid).await?;
    let sizes = match cover::sizes(shop.store.path(&key)).await? {
        Ok(sizes) => sizes,
        Err(why) => {
            upload.drop_image(pool, &format!("the cover was left out, it cannot be read: {why}")).await?;
            return Ok(());
        }
    };
    let mut files = Vec::new();
    for (side_px, bytes) in [(COVER_PX, sizes.cover), (THUMBNAIL_PX, sizes.thumbnail)] {
        let mut file = shop.store.staging().await?;
        file.write(&bytes).await?;
        file.sync().await?;
        files.push((file.digest(), side_px, file));
    }
    files.sort_by_key(|(digest, ..)| *digest);
    let mut cids: Vec<(u32, Cid)> = Vec::new();
    let mut tx = pool.begin().await?;
    for (digest, side_px, file) in files {
        let cid = blob::cid_of(&digest)?;
        blob::keep(&mut tx, file, &cid, "image/jpeg", false).await??;
        cids.push((side_px, cid));
    }
    let cover = cids.iter().find(|(side_px, _)| *side_px == COVER_PX).map(|(_, cid)| cid.to_string());
    for (side_px, cid) in cids.iter().filter(|(side_px, _)| *side_px != COVER_PX) {
        sqlx::query!(
            "insert into cover_size (cover_cid, width_px, cid) values ($1, $2, $3)
             on conflict (cover_cid, width_px) do update set cid = excluded.cid",
            cover,
            i32::try_from(*side_px)?,
            cid.to_string()
        )
        .execute(&mut *tx)
        .await?;
    }
    sqlx::query!("update upload set cover_cid = $2 where id = $1", upload.id, cover)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    upload.cover_cid = cover;
    Ok(())
}

enum Put {
    BlobsForgotten,
    Trouble(Trouble),
}

impl<E: Into<Trouble>> From<E> for Put {
    fn from(error: E) -> Self {
        Put::Trouble(error.into())
    }
}

/// Puts the record under its reserved name.
async fn put(shop: &Workshop, upload: &mut Upload) -> Result<Cid, Put> {
    let record = upload.record.clone().context("there is no record to put")?;
    let action = format!("upload {}", upload.id);
    loop {
        let error = match shop.publisher.create(&upload.by, &action, &upload.uri, &record).await {
            Ok(written) => return Ok(written.cid),
            Err(error) => error,
        };
        match error {
            PublishError::Call(error @ (CallError::SessionExpired | CallError::ScopeMissing)) => {
                pds::change_session(shop, upload, error).await?;
            }
            PublishError::Call(error) => return Err(passing(error).into()),
            PublishError::Refused { error, message, .. } if is_blob_forgotten(&error, &message) => {
                return Err(Put::BlobsForgotten);
            }
            // Too many requests, or no word from it for too long.
            error @ PublishError::Refused { status: 429 | 500.., .. } => {
                return Err(Trouble::Passing("your PDS cannot take it now", error.into()).into());
            }
            PublishError::Refused { error, message, .. } => return Err(pds::refused(&error, &message).into()),
            PublishError::Unlawful(problem) => return Err(pds::refused("InvalidRecord", &problem).into()),
            PublishError::Missing => return Err(pds::refused("", "it was deleted meanwhile").into()),
            PublishError::Unsettled => return Err(Trouble::Wait(Duration::from_secs(3)).into()),
            error @ (PublishError::Conflict | PublishError::Internal(_)) => {
                return Err(Trouble::from(error).into());
            }
        }
    }
}

fn is_blob_forgotten(error: &str, message: &str) -> bool {
    error == "BlobNotFound" || message.starts_with("Could not find blob")
}

/// A call that came to nothing, and may not the next time.
pub(super) fn passing(error: CallError) -> Trouble {
    let told = match &error {
        CallError::Database(_) => "something went wrong here",
        _ => "your PDS does not answer",
    };
    Trouble::Passing(told, error.into())
}
