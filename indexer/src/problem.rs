//! What could not be read or applied, kept aside with its bytes, counted and visible.

pub mod count;
pub mod list;
pub mod retry;

use sqlx::PgConnection;

use crate::change::Problem;

/// Bytes kept of one problem: a frame at its limit fits.
const BYTES_MAX: usize = 5_000_000;
/// Bytes kept of one account's problems, and so many problems with bytes and at all: nobody's nonsense may fill the disk.
/// What comes after is counted.
const BYTES_OF_ONE: i64 = 4 * BYTES_MAX as i64;
const WITH_BYTES_OF_ONE: i64 = 1000;
const PROBLEMS_OF_ONE: i64 = 10_000;

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
             select $1, $2, $3, $4, $5, $6, case when first.count < $8 and first.size + octet_length($7::bytea) <= $9 then $7 end
             from (select count(*) as count, coalesce(sum(octet_length(bytes)), 0) as size
                   from (select bytes from problem where did = $4 order by id limit $8) as p) as first
             where ($3::bigint is not null or $4::text is null or not exists (
               select from problem p where p.did = $4 and p.kind = $1 and p.seq is null
                 and p.uri is not distinct from $5::text and ($5 is not null or p.detail = $6::text)))
               and (select count(*) from (select from problem where did = $4 limit $10) as p) < $10
             on conflict do nothing",
            problem.kind,
            source,
            problem.seq,
            problem.did.as_ref().map(|did| did.as_str()),
            problem.uri.as_ref().map(|uri| uri.as_str()),
            problem.detail.replace('\0', "\u{fffd}"),
            bytes,
            WITH_BYTES_OF_ONE,
            BYTES_OF_ONE,
            PROBLEMS_OF_ONE
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
