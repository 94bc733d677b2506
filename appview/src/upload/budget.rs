//! What a person may send within a day, and what the disk must keep free.

use std::io;

use indexer::syntax::Did;
use sqlx::PgConnection;

use crate::detail::Detail;
use crate::store::BlobStore;

const DAY_S: i64 = 24 * 3600;

/// Refuses `more_bytes` that would be too many on top of what this person has sent within 24 hours.
pub(super) async fn check(
    db: &mut PgConnection,
    did: &Did,
    more_bytes: u64,
    day_max_mb: u64,
) -> Result<(), Detail> {
    let day = sqlx::query!(
        r#"select coalesce(sum(size_bytes), 0)::bigint as "bytes!",
                  extract(epoch from now() - min(created_at))::bigint as oldest_age_s
             from upload where did = $1 and created_at > now() - make_interval(secs => $2) and size_bytes > 0"#,
        did.as_str(),
        DAY_S as f64
    )
    .fetch_one(db)
    .await?;
    if day.bytes.unsigned_abs().saturating_add(more_bytes) <= day_max_mb << 20 {
        return Ok(());
    }
    metrics::counter!("plyr_uploads_total", "outcome" => "over_budget").increment(1);
    // When the oldest of them is a day old.
    let wait_s = (DAY_S - day.oldest_age_s.unwrap_or(0)).clamp(1, DAY_S);
    let text = format!(
        "at most {day_max_mb} MB may be uploaded within a day, and {} MB were; try again in {} h",
        day.bytes >> 20,
        (wait_s + 3599) / 3600
    );
    Err(Detail::too_many(text, wait_s.unsigned_abs()))
}

/// Waits for other uploads of this person that are being accepted, so that each counts those before; held until the
/// transaction ends, and taken before any other lock.
pub(super) async fn lock(db: &mut PgConnection, did: &Did) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtext('upload'), hashtext($1))", did.as_str())
        .execute(db)
        .await?;
    Ok(())
}

/// Refuses when writing `more_bytes` would leave the disk less than `free_min_mb`: what else lives there needs room too.
pub(super) async fn require_room(store: &BlobStore, more_bytes: u64, free_min_mb: u64) -> Result<(), Detail> {
    let free_bytes = store.free_bytes().await.map_err(Detail::internal)?;
    if free_bytes >= (free_min_mb << 20).saturating_add(more_bytes) {
        return Ok(());
    }
    tracing::error!(free_mb = free_bytes >> 20, free_min_mb, "too little room for an upload");
    Err(no_room())
}

/// The answer to an error of the disk. One that is full is not the caller's fault, and passes.
pub(super) fn disk(error: io::Error) -> Detail {
    if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        tracing::error!(%error, "no room for an upload");
        return no_room();
    }
    Detail::internal(error)
}

fn no_room() -> Detail {
    Detail::unavailable("there is no room for it on this server now; try again later")
}
