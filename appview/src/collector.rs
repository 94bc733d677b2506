//! The collector of bytes: removes what nothing names any more, after a time of grace.
//!
//! What counts as a name stands in the view `blob_use`. A pass notes since when a blob is without; when that is long enough
//! ago, one transaction proves it once more and removes the row, a second the file unless it has a row again; both hold the
//! lock that everybody holds who adds bytes.

use std::time::Duration;

use anyhow::Context;
use indexer::dag::parse_cid;
use sqlx::PgPool;

use crate::blob;
use crate::store::{BlobStore, StorageKey};

/// How long bytes stay that nothing names: a record may come back, an account too.
pub const GRACE: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long bytes stay that no record ever named: uploads that failed, and pictures as they were given.
pub const GRACE_UNNAMED: Duration = Duration::from_secs(24 * 3600);
/// Blobs removed in one pass.
const PASS_MAX: i64 = 1000;

/// One pass. What no record ever named has [`GRACE_UNNAMED`], or `grace` if that is shorter. Returns how many blobs went.
pub async fn collect(pool: &PgPool, store: &BlobStore, grace: Duration) -> anyhow::Result<u64> {
    sqlx::query!(
        "update blob set was_named = true
         where not was_named
           and (exists (select from blob_ref r where r.cid = blob.cid)
             or exists (select from cover_size s join blob_ref r on r.cid = s.cover_cid where s.cid = blob.cid))"
    )
    .execute(pool)
    .await?;
    sqlx::query!(
        "update blob set unused_since = null
         where unused_since is not null and exists (select from blob_use where blob_use.cid = blob.cid)"
    )
    .execute(pool)
    .await?;
    sqlx::query!(
        "update blob set unused_since = now()
         where unused_since is null and not exists (select from blob_use where blob_use.cid = blob.cid)"
    )
    .execute(pool)
    .await?;
    let old = sqlx::query_scalar!(
        "select cid from blob
          where unused_since <= now() - make_interval(secs => case when was_named then $1 else $2::float8 end)
          order by unused_since limit $3",
        grace.as_secs_f64(),
        grace.min(GRACE_UNNAMED).as_secs_f64(),
        PASS_MAX
    )
    .fetch_all(pool)
    .await?;
    let mut removed = 0;
    for cid in old {
        removed += u64::from(remove(pool, store, &cid, grace).await.with_context(|| cid.clone())?);
    }
    metrics::counter!("plyr_blobs_collected_total").increment(removed);
    Ok(removed)
}

/// Removes a blob, unless something names it after all.
async fn remove(pool: &PgPool, store: &BlobStore, cid: &str, grace: Duration) -> anyhow::Result<bool> {
    let digest = blob::digest_of(&parse_cid(cid).context("the CID")?)?;
    let mut tx = pool.begin().await?;
    blob::lock(&mut tx, &digest).await?;
    let removed = sqlx::query_scalar!(
        "delete from blob
          where cid = $1 and unused_since <= now() - make_interval(secs => case when was_named then $2 else $3::float8 end)
           and not exists (select from blob_use where blob_use.cid = blob.cid)
         returning storage_key",
        cid,
        grace.as_secs_f64(),
        grace.min(GRACE_UNNAMED).as_secs_f64()
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(key) = removed else { return Ok(false) };
    sqlx::query!("delete from cover_size where cover_cid = $1 or cid = $1", cid).execute(&mut *tx).await?;
    // A file without a row is a leftover, a row without its file a lie: the row goes first.
    tx.commit().await?;
    remove_leftover(pool, store, &key.parse()?).await?;
    Ok(true)
}

/// Removes files that no row names: what was published in a transaction that never ended. Returns how many.
pub async fn collect_leftovers(pool: &PgPool, store: &BlobStore, grace: Duration) -> anyhow::Result<u64> {
    let mut removed = 0;
    for first_byte in 0..=u8::MAX {
        let keys = store.keys(first_byte, grace).await?;
        if keys.is_empty() {
            continue;
        }
        let texts: Vec<String> = keys.iter().map(|key| key.as_str().to_owned()).collect();
        let unnamed = sqlx::query_scalar!(
            r#"select key as "key!" from unnest($1::text[]) as k (key)
               where not exists (select from blob where storage_key = key)"#,
            &texts
        )
        .fetch_all(pool)
        .await?;
        for key in unnamed {
            removed += u64::from(remove_leftover(pool, store, &key.parse()?).await?);
        }
    }
    Ok(removed)
}

async fn remove_leftover(pool: &PgPool, store: &BlobStore, key: &StorageKey) -> anyhow::Result<bool> {
    // A file that is not named as we name files is not ours to remove.
    let Some(digest) = key.digest() else { return Ok(false) };
    let mut tx = pool.begin().await?;
    blob::lock(&mut tx, &digest).await?;
    let named = sqlx::query_scalar!(
        r#"select exists (select from blob where storage_key = $1) as "named!""#,
        key.as_str()
    )
    .fetch_one(&mut *tx)
    .await?;
    if !named {
        store.remove(key).await?;
    }
    tx.commit().await?;
    Ok(!named)
}
