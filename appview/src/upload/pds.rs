//! Bringing the blobs of an upload to its artist's PDS.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::Workshop;
use super::row::Upload;
use super::work::{Trouble, passing};
use crate::session::{CallError, PdsAnswer, PdsBody, PdsRequest};
use crate::store::StorageKey;

/// What `fm.plyr.track` allows an `audioBlob`.
const AUDIO_BLOB_MAX_BYTES: u64 = 104_857_600;
/// One file may take so long, as long as it moves.
const SEND_MAX: Duration = Duration::from_secs(3600);
/// A PDS that took nothing for so long takes nothing more; at the end of a file it may have to think.
const STALL_MAX: Duration = Duration::from_secs(120);
/// How often the person hears how far it is.
const TELL_EVERY: Duration = Duration::from_millis(300);
/// After so many attempts, the audio is published without a blob if only that fails.
const BLOB_ATTEMPTS: i32 = 4;

/// A file on its way.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    pub key: &'a StorageKey,
    pub mime: &'a str,
    pub size_bytes: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ServerDescription {
    blob_upload_limit: Option<u64>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    error: String,
    #[serde(default)]
    message: String,
}

/// Uploads the cover and, where the PDS takes it, the audio.
pub(super) async fn send_blobs(
    shop: &Workshop,
    upload: &mut Upload,
    audio: &Sent<'_>,
    attempts: i32,
) -> Result<(), Trouble> {
    let pool = &shop.indexer.door.pool;
    if upload.audio_blob.is_none() && !upload.blob_refused {
        let limit_bytes = blob_limit_bytes(shop, upload).await;
        if audio.size_bytes > limit_bytes {
            let warning = too_large(audio.size_bytes, Some(limit_bytes));
            upload.refuse_blob(pool, &warning).await?;
        }
    }
    let cover = match &upload.cover_cid {
        Some(cid) => {
            let row = sqlx::query!("select storage_key, size_bytes from blob where cid = $1", cid)
                .fetch_one(pool)
                .await?;
            Some((row.storage_key.parse::<StorageKey>()?, row.size_bytes.unsigned_abs(), cid.clone()))
        }
        None => None,
    };
    let cover_bytes = cover.as_ref().map_or(0, |cover| cover.1);
    let total_bytes = cover_bytes + if upload.blob_refused { 0 } else { audio.size_bytes };
    if let (Some((key, size_bytes, cid)), None) = (&cover, &upload.cover_blob) {
        let file = Sent { key, mime: "image/jpeg", size_bytes: *size_bytes };
        match send(shop, upload, &file, cid, 0, total_bytes).await? {
            Ok(blob) => upload.set_cover_blob(pool, Some(blob)).await?,
            Err(why) => upload.drop_image(pool, &format!("the cover was left out: {why}")).await?,
        }
    }
    if upload.audio_blob.is_some() || upload.blob_refused {
        upload.set_sent(pool, total_bytes, total_bytes).await?;
        return Ok(());
    }
    let cid = upload.audio_cid.clone();
    match send(shop, upload, audio, &cid, cover_bytes, total_bytes).await {
        Ok(Ok(blob)) if blob["mimeType"].as_str().is_some_and(|mime| mime.starts_with("audio/")) => {
            upload.set_audio_blob(pool, Some(blob)).await?;
        }
        Ok(Ok(blob)) => {
            let mime = blob["mimeType"].as_str().unwrap_or("something unnamed").to_owned();
            let warning =
                format!("your PDS takes the audio for {mime}, so it is kept here and not in your repo");
            upload.refuse_blob(pool, &warning).await?;
        }
        Ok(Err(why)) => {
            upload.refuse_blob(pool, &format!("{why}; it is kept here and not in your repo")).await?
        }
        Err(Trouble::Passing(_, cause)) if attempts >= BLOB_ATTEMPTS => {
            tracing::warn!(upload = upload.id, error = format!("{cause:#}"), "publishing without a blob");
            let warning = "your PDS did not take the audio, so it is kept here and not in your repo";
            upload.refuse_blob(pool, warning).await?;
        }
        Err(trouble) => return Err(trouble),
    }
    upload.set_sent(pool, total_bytes, total_bytes).await?;
    Ok(())
}

/// The smaller of what the record may name and what the PDS says it takes.
async fn blob_limit_bytes(shop: &Workshop, upload: &Upload) -> u64 {
    let said = async {
        let document = shop.indexer.identity.document(&upload.by.did).await?;
        let host = document.pds.as_ref().context("no PDS")?;
        let url = indexer::pds::xrpc(host, "com.atproto.server.describeServer", &[]).context("no PDS")?;
        let description: ServerDescription = shop.indexer.net.get_json(&url, 1 << 16).await?;
        anyhow::Ok(description.blob_upload_limit)
    };
    let said = said.await.inspect_err(|error| tracing::info!(%error, "a PDS does not describe itself")).ok();
    said.flatten().unwrap_or(u64::MAX).min(AUDIO_BLOB_MAX_BYTES)
}

fn too_large(size_bytes: u64, limit_bytes: Option<u64>) -> String {
    let mb = |bytes: u64| (bytes as f64 / f64::from(1 << 20) * 10.0).round() / 10.0;
    let limit = limit_bytes.map_or("less".to_owned(), |limit| format!("at most {} MB", mb(limit)));
    format!(
        "the audio has {} MB and your PDS takes {limit}, so it is kept here and not in your repo",
        mb(size_bytes)
    )
}

/// Uploads one file. The inner error is the PDS's own: it will not take this one.
async fn send(
    shop: &Workshop,
    upload: &mut Upload,
    file: &Sent<'_>,
    cid: &str,
    before_bytes: u64,
    total_bytes: u64,
) -> Result<Result<Value, String>, Trouble> {
    loop {
        let answer = match stream(shop, upload, file, before_bytes, total_bytes).await? {
            Ok(answer) => answer,
            Err(error @ (CallError::SessionExpired | CallError::ScopeMissing)) => {
                change_session(shop, upload, error).await?;
                continue;
            }
            Err(error) => return Err(passing(error)),
        };
        let failure = || serde_json::from_slice::<Failure>(&answer.body).ok();
        match answer.status {
            200 => {
                let mut body: Value = serde_json::from_slice(&answer.body)?;
                let blob = body["blob"].take();
                if blob["ref"]["$link"].as_str() != Some(cid) {
                    let why = anyhow!("the PDS stored {} instead of {cid}", blob["ref"]["$link"]);
                    return Err(Trouble::Passing("your PDS stored other bytes", why));
                }
                return Ok(Ok(blob));
            }
            413 => return Ok(Err("your PDS finds the file too large".to_owned())),
            408 | 425 | 429 | 500.. => {
                let why =
                    anyhow!("uploadBlob: {} {:?}", answer.status, failure().map(|failure| failure.error));
                return Err(Trouble::Passing("your PDS cannot take it now", why));
            }
            _ => {
                let Some(Failure { error, message }) = failure() else {
                    return Err(refused("", &format!("status {}", answer.status)));
                };
                let is_size = ["PayloadTooLarge", "BlobTooLarge", "EntityTooLarge"].contains(&error.as_str());
                return if is_size { Ok(Err(message)) } else { Err(refused(&error, &message)) };
            }
        }
    }
}

/// One call, telling how far it is, and given up when nothing moves any more.
async fn stream(
    shop: &Workshop,
    upload: &Upload,
    file: &Sent<'_>,
    before_bytes: u64,
    total_bytes: u64,
) -> Result<Result<PdsAnswer, CallError>, Trouble> {
    let path = shop.store.path(file.key);
    let sent_bytes = AtomicU64::new(0);
    let body =
        PdsBody::File { path: &path, mime: file.mime, size_bytes: file.size_bytes, sent_bytes: &sent_bytes };
    let request = PdsRequest { nsid: "com.atproto.repo.uploadBlob", body, query: &[], timeout: SEND_MAX };
    let mut call = std::pin::pin!(shop.sessions.call(&upload.by.session, &request));
    let (mut seen_bytes, mut told_bytes, mut moved_at) = (0, None, Instant::now());
    loop {
        tokio::select! {
            answer = call.as_mut() => return Ok(answer),
            () = tokio::time::sleep(TELL_EVERY) => {}
        }
        let now_bytes = sent_bytes.load(Ordering::Relaxed);
        if now_bytes != seen_bytes {
            (seen_bytes, moved_at) = (now_bytes, Instant::now());
        }
        // Sent once more from the start, it is not less far in the eyes of whoever waits.
        if told_bytes.is_none_or(|told| now_bytes > told) {
            told_bytes = Some(now_bytes);
            let sent_bytes = before_bytes + now_bytes.min(file.size_bytes);
            upload.set_sent(&shop.indexer.door.pool, sent_bytes, total_bytes).await?;
        }
        if moved_at.elapsed() > STALL_MAX {
            return Err(Trouble::Passing(
                "your PDS stopped taking bytes",
                anyhow!("stalled at {now_bytes} bytes"),
            ));
        }
    }
}

/// The grant is dead or too small: the person's newest other one takes over, if there is one.
pub(super) async fn change_session(
    shop: &Workshop,
    upload: &mut Upload,
    error: CallError,
) -> Result<(), Trouble> {
    match shop.sessions.newest_of(&upload.by.did).await? {
        Some(newest) if newest != upload.by.session => {
            upload.set_session(&shop.indexer.door.pool, newest).await?;
            Ok(())
        }
        _ => Err(Trouble::Refused(match error {
            CallError::ScopeMissing => {
                "scope_upgrade_required: sign in again and allow uploads, then upload it again".to_owned()
            }
            _ => "session_expired: sign in again, then upload it again".to_owned(),
        })),
    }
}

/// The PDS said no, and will again.
pub(super) fn refused(error: &str, message: &str) -> Trouble {
    let named = if error.is_empty() { String::new() } else { format!("{error}: ") };
    Trouble::Refused(format!("failed to sync track to ATProto: {named}{message}"))
}
