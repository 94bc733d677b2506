//! Blobs as rows and files at once. Whoever adds or removes one holds the lock of its digest until the transaction ends, so
//! that no row is left without its file while another takes it away.

use anyhow::bail;
use cid::Cid;
use cid::multihash::Multihash;
use sqlx::PgConnection;

use crate::store::{PublishError, StagingFile, StorageKey};

/// The codec of raw bytes and the code of SHA-256 in CIDs.
const RAW: u64 = 0x55;
const SHA2_256: u64 = 0x12;

/// The CID that bytes with this SHA-256 have as a blob, here and on any PDS.
pub(crate) fn cid_of(sha256: &[u8; 32]) -> anyhow::Result<Cid> {
    Ok(Cid::new_v1(RAW, Multihash::wrap(SHA2_256, sha256)?))
}

/// The SHA-256 inside a blob's CID.
pub(crate) fn digest_of(cid: &Cid) -> anyhow::Result<[u8; 32]> {
    let hash = cid.hash();
    if hash.code() != SHA2_256 {
        bail!("the CID is not a SHA-256");
    }
    Ok(hash.digest().try_into()?)
}

/// By which name `/audio/{file_id}` knows them: the first 16 hex digits of the digest.
pub(crate) fn file_id(sha256: &[u8; 32]) -> String {
    hex::encode(&sha256[..8])
}

/// Waits for everybody else who adds or removes these bytes; held until the transaction ends. With several, in the order
/// of the digests.
pub(crate) async fn lock(db: &mut PgConnection, sha256: &[u8; 32]) -> sqlx::Result<()> {
    let key = sha256.iter().take(8).fold(0i64, |key, byte| (key << 8) | i64::from(*byte));
    sqlx::query!("select pg_advisory_xact_lock($1)", key).execute(db).await?;
    Ok(())
}

/// Publishes bytes that a record names, or soon will, and writes their row, under their lock. The file should be
/// [synced](StagingFile::sync) before: the transaction is open meanwhile.
pub(crate) async fn keep(
    db: &mut PgConnection,
    file: StagingFile,
    cid: &Cid,
    mime: &str,
    is_named: bool,
) -> anyhow::Result<Result<(), PublishError>> {
    let digest = digest_of(cid)?;
    note(db, &digest, cid, file.size_bytes(), mime, is_named).await?;
    Ok(file.publish(&digest).await.map(drop))
}

/// Writes the row of bytes that will be published before the transaction ends, under their lock. `is_named`: by a record.
pub(crate) async fn note(
    db: &mut PgConnection,
    sha256: &[u8; 32],
    cid: &Cid,
    size_bytes: u64,
    mime: &str,
    is_named: bool,
) -> sqlx::Result<()> {
    lock(db, sha256).await?;
    let key = StorageKey::of_digest(sha256);
    sqlx::query!(
        "insert into blob (cid, file_id, size_bytes, mime, storage_key, was_named) values ($1, $2, $3, $4, $5, $6)
         on conflict (cid) do update set storage_key = excluded.storage_key, mime = excluded.mime, unused_since = null,
                                         was_named = blob.was_named or excluded.was_named",
        cid.to_string(),
        file_id(sha256),
        i64::try_from(size_bytes).unwrap_or(i64::MAX),
        mime,
        key.as_str(),
        is_named
    )
    .execute(db)
    .await?;
    Ok(())
}
