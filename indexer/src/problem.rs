//! What could not be read or applied, kept aside with its bytes, counted and visible.

pub mod count;
pub mod list;
pub mod retry;

use std::collections::HashMap;

use sqlx::PgConnection;

use crate::change::Problem;

/// Bytes kept of one problem: a frame at its limit fits.
const BYTES_MAX: usize = 5_000_000;
/// Bytes kept of one account's problems, and so many problems with bytes and at all: nobody's nonsense may fill the disk.
/// What comes after is counted.
const BYTES_OF_ONE: i64 = 4 * BYTES_MAX as i64;
const WITH_BYTES_OF_ONE: i64 = 1000;
const PROBLEMS_OF_ONE: i64 = 2000;
/// Kept for every record they are about, however many there are: others act on them, and none is written twice.
const ALWAYS_KEPT: [&str; 2] = ["Refused", "UnfitBlob"];

/// What is kept of one account.
#[derive(Default)]
struct Share {
    problems: i64,
    with_bytes: i64,
    size_bytes: i64,
}

impl Share {
    fn has_room_for_another(&self, kind: &str) -> bool {
        self.problems < PROBLEMS_OF_ONE || ALWAYS_KEPT.contains(&kind)
    }

    fn has_room_for_bytes(&self, bytes: &[u8]) -> bool {
        self.with_bytes < WITH_BYTES_OF_ONE && self.size_bytes + bytes.len() as i64 <= BYTES_OF_ONE
    }

    fn add(&mut self, bytes: Option<&[u8]>) {
        self.problems += 1;
        self.with_bytes += i64::from(bytes.is_some());
        self.size_bytes += bytes.map_or(0, <[u8]>::len) as i64;
    }
}

/// Keeps problems aside. One that the same event already caused, before a restart, is not kept twice; nor is one that a
/// record brings about each time its repo is read.
pub async fn keep(db: &mut PgConnection, source: Option<&str>, problems: &[Problem]) -> sqlx::Result<()> {
    // Once for each account and transaction: counting must not cost more with every problem that somebody causes.
    let mut shares = shares(db, problems).await?;
    for problem in problems {
        metrics::counter!("plyr_problems_total", "kind" => problem.kind).increment(1);
        let did = problem.did.as_ref().map(|did| did.as_str());
        let uri = problem.uri.as_ref().map(|uri| uri.as_str());
        let detail = &problem.detail;
        let mut share = did.and_then(|did| shares.get_mut(did));
        if share.as_ref().is_some_and(|share| !share.has_room_for_another(problem.kind)) {
            tracing::debug!(
                kind = problem.kind,
                source,
                seq = problem.seq,
                did,
                uri,
                detail,
                "counted, not kept"
            );
            continue;
        }
        tracing::warn!(kind = problem.kind, source, seq = problem.seq, did, uri, detail, "kept aside");
        let bytes = &problem.bytes[..problem.bytes.len().min(BYTES_MAX)];
        let bytes = share.as_ref().is_none_or(|share| share.has_room_for_bytes(bytes)).then_some(bytes);
        let kept = sqlx::query!(
            "insert into problem (kind, source, seq, did, uri, detail, bytes)
             select $1, $2, $3, $4, $5, $6, $7
             where ($3::bigint is not null or $4::text is null or not exists (
               select from problem p where p.did = $4 and p.kind = $1 and p.seq is null
                 and p.uri is not distinct from $5::text and ($5 is not null or p.detail = $6::text)))
             on conflict do nothing",
            problem.kind,
            source,
            problem.seq,
            did,
            uri,
            detail.replace('\0', "\u{fffd}"),
            bytes
        )
        .execute(&mut *db)
        .await?;
        if let Some(share) = share.as_mut().filter(|_| kept.rows_affected() > 0) {
            share.add(bytes);
        }
    }
    Ok(())
}

async fn shares(db: &mut PgConnection, problems: &[Problem]) -> sqlx::Result<HashMap<String, Share>> {
    let mut dids: Vec<&str> =
        problems.iter().filter_map(|problem| Some(problem.did.as_ref()?.as_str())).collect();
    if dids.is_empty() {
        return Ok(HashMap::new());
    }
    dids.sort_unstable();
    dids.dedup();
    let rows = sqlx::query!(
        r#"select d.did as "did!", count(*) filter (where p.id is not null) as "problems!",
                  count(p.size) as "with_bytes!", coalesce(sum(p.size), 0) as "size_bytes!"
           from unnest($1::text[]) as d (did)
           left join lateral (
             select id, octet_length(bytes) as size from problem where did = d.did collate "C" order by id limit $2
           ) as p on true
           group by d.did"#,
        &dids as &[&str],
        PROBLEMS_OF_ONE
    )
    .fetch_all(db)
    .await?;
    let share = |problems, with_bytes, size_bytes| Share { problems, with_bytes, size_bytes };
    Ok(rows.into_iter().map(|row| (row.did, share(row.problems, row.with_bytes, row.size_bytes))).collect())
}
