//! Taking jobs from the queue, giving them back, and asking again for those that died.

use std::collections::BTreeMap;

use sqlx::PgPool;

use super::{Job, LEASE, SLOTS};

/// Interrupted by our own end: another worker shall not wait for the lease, nor count the attempt.
pub(super) async fn give_back(pool: &PgPool, ids: impl Iterator<Item = i64>) -> sqlx::Result<()> {
    for id in ids {
        sqlx::query!(
            "update job set state = 'queued', attempts = attempts - 1, locked_until = null
             where id = $1 and state = 'running'
               and not exists (select from job other where other.kind = job.kind and other.key = job.key
                                                       and other.state = 'queued')",
            id
        )
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// Claims for every kind with a free slot.
pub(super) async fn claim_all(pool: &PgPool, held: &BTreeMap<i64, String>) -> sqlx::Result<Vec<Job>> {
    sqlx::query!(
        "update job set state = 'queued', locked_until = null where state = 'running' and locked_until < now()
           and not exists (select from job other where other.kind = job.kind and other.key = job.key
                                                   and other.state = 'queued')"
    )
    .execute(pool)
    .await?;
    let mut jobs = Vec::new();
    for (kind, slots) in SLOTS {
        let free = slots.saturating_sub(held.values().filter(|held| held.as_str() == kind).count());
        if free > 0 {
            jobs.extend(claim(pool, kind, free as i64).await?);
        }
    }
    Ok(jobs)
}

/// Takes the oldest due jobs of a kind. One that already runs is left alone: its second run would only race the first.
async fn claim(pool: &PgPool, kind: &str, limit: i64) -> sqlx::Result<Vec<Job>> {
    sqlx::query_as!(
        Job,
        "with due as (
           select id from job
           where kind = $1 and state = 'queued' and run_at <= now()
             and not exists (select from job other where other.kind = job.kind and other.key = job.key
                                                     and other.state = 'running')
           order by run_at limit $2 for update skip locked
         )
         update job set state = 'running', attempts = attempts + 1, locked_until = now() + make_interval(secs => $3)
         from due where job.id = due.id
         returning job.id, job.kind, job.key, job.attempts",
        kind,
        limit,
        LEASE.as_secs_f64()
    )
    .fetch_all(pool)
    .await
}

/// Asks again for all that is known to be owed and that no job waits for: jobs die when a host is away for too long, and
/// what they were for is still missing. Returns how many were asked for.
pub async fn sweep(pool: &PgPool) -> sqlx::Result<u64> {
    let swept = sqlx::query!(
        r#"insert into job (kind, key)
           select 'resync', did from repo where state = 'desynchronized'
           union all
           select 'account', did from actor where pending_status is not null
           union all
           select 'meet', did from actor where resolved_at is null and status <> 'deleted'
           union all
           select distinct 'blob', r.cid from blob_ref r join actor a on a.did = r.did and a.active
           where not exists (select from blob b where b.cid = r.cid)
             and not exists (select from problem p where p.kind = 'UnfitBlob' and p.did = r.did
                                                     and starts_with(p.detail, r.cid))
           on conflict (kind, key) where state = 'queued' do nothing"#
    )
    .execute(pool)
    .await?;
    sqlx::query!("delete from job where state = 'dead' and created_at < now() - interval '30 days'")
        .execute(pool)
        .await?;
    Ok(swept.rows_affected())
}
