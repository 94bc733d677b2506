//! Bringing the bytes that records name: from the artist's PDS to our store, checked against their CID.
//!
//! A PDS ignores Range, may be slow or gone tomorrow, and would learn who listens. So sound, covers and faces are served
//! from a copy; what the copy is, its bytes say, not the record.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
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

use crate::blob;
use crate::store::{BlobStore, PublishError, StagingFile, StorageKey};

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
pub(crate) enum Role {
    /// To be heard.
    Sound,
    /// To be seen.
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
            Ok(Ok((file, mime))) => {
                note(indexer, &cid, file, mime).await?;
                metrics::counter!("plyr_blobs_total", "outcome" => "mirrored").increment(1);
                return Ok(Outcome::Done);
            }
            Ok(Err(unfit)) => {
                metrics::counter!("plyr_blobs_total", "outcome" => "unfit").increment(1);
                let detail = format!("{key}: {unfit}");
                let problem = Problem { kind: "UnfitBlob", did: Some(did), detail, ..Problem::default() };
                apply_all(&indexer.door, vec![Input::Problem(problem)]).await;
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

type Fetched = Result<(StagingFile, &'static str), Unfit>;

/// Streams a blob from its owner's PDS into the store's staging area.
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
    let (expected, found) = (blob::digest_of(cid)?, staging.digest());
    if found != expected {
        let mismatch = PublishError::Mismatch { expected: hex::encode(expected), found: hex::encode(found) };
        return Ok(Err(Unfit::Mismatch(mismatch.to_string())));
    }
    staging.sync().await?;
    Ok(Ok((staging, mime)))
}

/// The first bytes of a file.
pub(crate) async fn head_of(path: &std::path::Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD_BYTES);
    tokio::fs::File::open(path).await?.take(HEAD_BYTES as u64).read_to_end(&mut head).await?;
    Ok(head)
}

/// What the bytes are, among what a browser plays and shows. Never by what the record or the PDS says; pictures that can
/// carry scripts are not among them.
pub(crate) fn sniff(head: &[u8]) -> Option<(&'static str, Role)> {
    if is_layer_three(head) {
        return Some(("audio/mpeg", Role::Sound));
    }
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

/// A frame of MPEG audio, layer III, of any version and with or without a checksum.
fn is_layer_three(head: &[u8]) -> bool {
    matches!(head, [0xff, second, ..] if second & 0xe6 == 0xe2)
}

/// Notes that we hold a blob, and tells the pages that show what it belongs to.
async fn note(indexer: &Indexer, cid: &Cid, file: StagingFile, mime: &str) -> anyhow::Result<()> {
    let text = cid.to_string();
    let mut tx = indexer.door.pool.begin().await?;
    blob::keep(&mut tx, file, cid, mime, true).await??;
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

/// How long what crashes left in the staging area must have lain there to be swept: longer than an upload may take, whose
/// cover may have come first.
pub const STAGING_AGE: Duration = Duration::from_secs(12 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_say_what_they_are() {
        assert_eq!(sniff(b"ID3\x04\0\0\0\0\0\0"), Some(("audio/mpeg", Role::Sound)));
        for frame in [b"\xff\xfb\x90\x00", b"\xff\xfa\x90\x00", b"\xff\xe3\x18\xc4"] {
            assert_eq!(sniff(frame), Some(("audio/mpeg", Role::Sound)));
        }
        assert_eq!(sniff(b"\xff\xf1\x50\x80").map(|found| found.0), Some("audio/aac"));
        assert_eq!(sniff(b"\0\0\0\x1cftypM4A \0\0\0\0M4A mp42isom"), Some(("audio/mp4", Role::Sound)));
        assert_eq!(sniff(b"RIFF\0\0\0\0WAVEfmt "), Some(("audio/wav", Role::Sound)));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n"), Some(("image/png", Role::Picture)));
        assert_eq!(sniff(b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script/></svg>"), None);
        assert_eq!(sniff(b"<html>"), None);
    }
}
