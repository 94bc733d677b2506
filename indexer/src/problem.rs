//! What could not be read or applied, kept aside with its bytes, counted and visible.

pub mod count;
pub mod list;
pub mod retry;

use sqlx::PgConnection;

use crate::change::Problem;

/// Bytes kept of one problem: a frame at its limit fits.
const BYTES_MAX: usize = 5_000_000;

/// Keeps problems aside. One that the same event already caused, before a restart, is not kept twice; nor is one that a
/// record brings about each time its repo is read.
pub async fn keep(db: &mut PgConnection, source: Option<&str>, problems: &[Problem]) -> sqlx::Result<()> {
    for problem in problems {
        metrics::counter!("plyr_problems_total", "kind" => problem.kind).increment(1);
        tracing::warn!(
            kind = problem.kind,
            source,
            seq = problem.seq,
            did = problem.did.as_ref().map(|did| did.as_str()),
            uri = problem.uri.as_ref().map(|uri| uri.as_str()),
            detail = problem.detail,
            "kept aside"
        );
        let bytes = &problem.bytes[..problem.bytes.len().min(BYTES_MAX)];
        sqlx::query!(
            "insert into problem (kind, source, seq, did, uri, detail, bytes)
             select $1, $2, $3, $4, $5, $6, $7
             where $3::bigint is not null or $4::text is null or not exists (
               select from problem p where p.did = $4 and p.kind = $1 and p.seq is null
                 and p.uri is not distinct from $5::text and ($5 is not null or p.detail = $6::text))
             on conflict do nothing",
            problem.kind,
            source,
            problem.seq,
            problem.did.as_ref().map(|did| did.as_str()),
            problem.uri.as_ref().map(|uri| uri.as_str()),
            problem.detail.replace('\0', "\u{fffd}"),
            bytes
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
