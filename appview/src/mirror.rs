//! Bringing the bytes that records name: from the artist's PDS to our store, checked against their CID.
//!
//! A PDS ignores Range, may be slow or gone tomorrow, and would learn who listens. So sound, covers and faces are served
//! from a copy; what the copy is, its bytes say, not the record.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use cid::Cid;
use indexer::Indexer;
use indexer::apply::batch::apply_all;
use indexer::apply::effects::Effects;
use indexer::change::{Input, Problem};
use indexer::job::{Handler, Job, Outcome};
use indexer::net::NetError;
use indexer::pds;
use indexer::syntax::Did;
use tokio::io::AsyncReadExt;

use crate::store::{BlobStore, PublishError, StorageKey};

/// What `fm.plyr.track` allows an `audioBlob`.
const AUDIO_BYTES_MAX: u64 = 104_857_600;
/// More than any lexicon allows a picture, with room for the careless.
const IMAGE_BYTES_MAX: u64 = 5_000_000;
/// Enough of a file to tell what it is.
const HEAD_BYTES: usize = 8192;

/// The handler of [`indexer::job::BLOB`].
pub fn handler(indexer: Indexer, store: BlobStore) -> Handler {
    Arc::new(move |job: Job| {
        let (indexer, store) = (indexer.clone(), store.clone());
        Box::pin(async move { mirror(&indexer, &store, &job.key).await })
    })
}

/// What a blob is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Sound,
    Picture,
}

/// Why a blob will never be shown, however often it is fetched.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("BlobTooLarge: more than {0} bytes")]
    TooLarge(u64),
    #[error("BlobMismatch: {0}")]
    Mismatch(String),
    #[error("BlobWrongKind: the bytes are {0}")]
    WrongKind(String),
}

async fn mirror(indexer: &Indexer, store: &BlobStore, key: &str) -> anyhow::Result<Outcome> {
    let cid: Cid = key.parse().context("the job's key")?;
    let held = sqlx::query_scalar!("select storage_key from blob where cid = $1", key)
        .fetch_optional(&indexer.door.pool)
        .await?;
    // A row says only that we had it once.
    let held = match held.and_then(|key| key.parse::<StorageKey>().ok()) {
        Some(key) => store.open(&key).await.is_ok(),
        None => false,
    };
    // Whoever is switched off now may be back later, with a record that asks again.
    let owners = sqlx::query!(
        "select distinct r.did, r.role from blob_ref r join actor a on a.did = r.did and a.active where r.cid = $1 limit 8",
        key
    )
    .fetch_all(&indexer.door.pool)
    .await?;
    if held || owners.is_empty() {
        return Ok(Outcome::Done);
    }
    let mut last_error = None;
    for owner in owners {
        let did: Did = owner.did.parse()?;
        let role = if owner.role == "audio" { Role::Sound } else { Role::Picture };
        match fetch(indexer, store, &did, &cid, role).await {
            Ok(Ok((storage_key, mime, size_bytes))) => {
                note(indexer, &cid, &storage_key, mime, size_bytes).await?;
                metrics::counter!("plyr_blobs_total", "outcome" => "mirrored").increment(1);
                return Ok(Outcome::Done);
            }
            Ok(Err(unfit)) => {
                metrics::counter!("plyr_blobs_total", "outcome" => "unfit").increment(1);
                let detail = format!("{key}: {unfit}");
                let problem = Problem { kind: "UnfitBlob", did: Some(did), detail, ..Problem::default() };
                apply_all(&indexer.door, vec![Input::Problem(problem)], None).await;
            }
            Err(error) => last_error = Some(error),
        }
    }
    match last_error {
        Some(error) => {
            metrics::counter!("plyr_blobs_total", "outcome" => "failed").increment(1);
            Err(error)
        }
        None => Ok(Outcome::Done),
    }
}

type Fetched = Result<(StorageKey, &'static str, u64), Unfit>;

/// Streams a blob from its owner's PDS into the store.
async fn fetch(
    indexer: &Indexer,
    store: &BlobStore,
    did: &Did,
    cid: &Cid,
    role: Role,
) -> anyhow::Result<Fetched> {
    let document = indexer.identity.document(did).await?;
    let pds = document.pds.as_ref().context("the DID document names no PDS")?;
    let query = [("did", did.as_str()), ("cid", &cid.to_string())];
    let url = pds::xrpc(pds, "com.atproto.sync.getBlob", &query).context("the PDS has no usable URL")?;
    let cap_bytes = if role == Role::Sound { AUDIO_BYTES_MAX } else { IMAGE_BYTES_MAX };
    let mut staging = store.staging().await?;
    let (_, mut body) = match indexer.net.get_stream(&url, cap_bytes).await {
        Err(NetError::TooLarge { cap_bytes }) => return Ok(Err(Unfit::TooLarge(cap_bytes))),
        other => other?,
    };
    loop {
        match body.chunk().await {
            Ok(Some(chunk)) => staging.write(&chunk).await?,
            Ok(None) => break,
            Err(NetError::TooLarge { cap_bytes }) => return Ok(Err(Unfit::TooLarge(cap_bytes))),
            Err(error) => return Err(error.into()),
        }
    }
    staging.flush().await?;
    let head = head_of(staging.path().context("the staging file is gone")?).await?;
    let mime = match (sniff(&head), role) {
        (Some((mime, found)), role) if found == role => mime,
        (Some((mime, _)), _) => return Ok(Err(Unfit::WrongKind(mime.to_owned()))),
        (None, _) => return Ok(Err(Unfit::WrongKind("of no kind that is played or shown here".to_owned()))),
    };
    let size_bytes = staging.size_bytes();
    match staging.publish(&digest(cid)?).await {
        Ok(key) => Ok(Ok((key, mime, size_bytes))),
        Err(error @ PublishError::Mismatch { .. }) => Ok(Err(Unfit::Mismatch(error.to_string()))),
        Err(PublishError::Io(error)) => Err(error.into()),
    }
}

async fn head_of(path: &std::path::Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    tokio::fs::File::open(path).await?.take(HEAD_BYTES as u64).read_to_end(&mut head).await?;
    Ok(head)
}

/// The SHA-256 inside a blob's CID.
fn digest(cid: &Cid) -> anyhow::Result<[u8; 32]> {
    let hash = cid.hash();
    if hash.code() != 0x12 {
        bail!("the CID is not a SHA-256");
    }
    Ok(hash.digest().try_into()?)
}

/// What the bytes are, among what a browser plays and shows. Never by what the record or the PDS says; pictures that can
/// carry scripts are not among them.
fn sniff(head: &[u8]) -> Option<(&'static str, Role)> {
    Some(match infer::get(head)?.mime_type() {
        "audio/mpeg" => ("audio/mpeg", Role::Sound),
        // One container, however its file was named.
        "audio/m4a" | "video/mp4" | "video/x-m4v" | "video/quicktime" => ("audio/mp4", Role::Sound),
        "audio/x-wav" => ("audio/wav", Role::Sound),
        "audio/x-flac" => ("audio/flac", Role::Sound),
        "audio/ogg" | "audio/opus" => ("audio/ogg", Role::Sound),
        "audio/aac" => ("audio/aac", Role::Sound),
        "audio/x-aiff" => ("audio/aiff", Role::Sound),
        "video/webm" => ("audio/webm", Role::Sound),
        "image/jpeg" => ("image/jpeg", Role::Picture),
        "image/png" => ("image/png", Role::Picture),
        "image/webp" => ("image/webp", Role::Picture),
        "image/gif" => ("image/gif", Role::Picture),
        "image/avif" => ("image/avif", Role::Picture),
        _ => return None,
    })
}

/// Notes that we hold a blob, and tells the pages that show what it belongs to.
async fn note(
    indexer: &Indexer,
    cid: &Cid,
    key: &StorageKey,
    mime: &str,
    size_bytes: u64,
) -> anyhow::Result<()> {
    let text = cid.to_string();
    let file_id = hex::encode(&digest(cid)?[..8]);
    let mut tx = indexer.door.pool.begin().await?;
    sqlx::query!(
        "insert into blob (cid, file_id, size_bytes, mime, storage_key) values ($1, $2, $3, $4, $5)
         on conflict (cid) do update set storage_key = excluded.storage_key, mime = excluded.mime, stored_at = now()",
        text,
        file_id,
        i64::try_from(size_bytes)?,
        mime,
        key.as_str()
    )
    .execute(&mut *tx)
    .await?;
    let shown =
        sqlx::query!("select uri, did, role from blob_ref where cid = $1", text).fetch_all(&mut *tx).await?;
    let mut effects = Effects::default();
    for place in shown {
        match place.role.as_str() {
            "avatar" => effects.repaint(&place.did),
            _ => effects.touch(&place.uri, false),
        }
    }
    effects.carry_out(&mut tx).await?;
    tx.commit().await?;
    Ok(())
}

/// How long what crashes left in the staging area must have lain there to be swept.
pub const STAGING_AGE: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_say_what_they_are() {
        assert_eq!(sniff(b"ID3\x04\0\0\0\0\0\0"), Some(("audio/mpeg", Role::Sound)));
        assert_eq!(sniff(b"\xff\xfb\x90\x00").map(|found| found.0), Some("audio/mpeg"));
        assert_eq!(sniff(b"\0\0\0\x1cftypM4A \0\0\0\0M4A mp42isom"), Some(("audio/mp4", Role::Sound)));
        assert_eq!(sniff(b"RIFF\0\0\0\0WAVEfmt "), Some(("audio/wav", Role::Sound)));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n"), Some(("image/png", Role::Picture)));
        assert_eq!(sniff(b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>"), None);
        assert_eq!(sniff(b"<html>"), None);
    }
}
