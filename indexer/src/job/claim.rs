//! Taking jobs from the queue, giving them back, and asking again for those that died.

use std::collections::HashMap;

use sqlx::{PgConnection, PgPool};

use super::bench::Ticket;
use super::{Job, LEASE, SLOTS};

/// Interrupted by our own end: another worker shall not wait for the lease, nor count the attempt.
pub(super) async fn give_back(pool: &PgPool, claims: &[Ticket]) -> sqlx::Result<()> {
    for (id, claim) in claims {
        sqlx::query!(
            "update job set attempts = attempts - 1, locked_until = '-infinity'
              where id = $1 and claim = $2 and state = 'running'",
            id,
            claim
        )
        .execute(pool)
        .await?;
    }
    release(pool).await
}

/// Tells that these are still worked on. Returns those that are still ours; one that is being settled is.
pub(super) async fn renew(db: &mut PgConnection, claims: &[Ticket]) -> sqlx::Result<Vec<Ticket>> {
    let (ids, numbers): (Vec<i64>, Vec<i64>) = claims.iter().copied().unzip();
    let rows = sqlx::query!(
        r#"update job set locked_until = now() + make_interval(secs => $3)
             from unnest($1::bigint[], $2::bigint[]) as mine (id, claim)
            where job.id = mine.id and job.claim = mine.claim and state = 'running'
        returning job.id, job.claim as "claim!""#,
        &ids,
        &numbers,
        LEASE.as_secs_f64()
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.claim)).collect())
}

/// Puts back what died with its worker; where the same wish waits already, that one is enough.
async fn release(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "delete from job where state = 'running' and locked_until < now()
           and exists (select from job other where other.kind = job.kind and other.key = job.key
                                               and other.state = 'queued')"
    )
    .execute(pool)
    .await?;
    sqlx::query!(
        "update job set state = 'queued', locked_until = null where state = 'running' and locked_until < now()
           and not exists (select from job other where other.kind = job.kind and other.key = job.key
                                                   and other.state = 'queued')"
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Claims for every kind with a free slot.
pub(super) async fn claim_all(pool: &PgPool, held: &HashMap<String, usize>) -> sqlx::Result<Vec<Job>> {
    release(pool).await?;
    let mut jobs = Vec::new();
    for (kind, slots) in SLOTS {
        let free = slots.saturating_sub(held.get(kind).copied().unwrap_or_default());
        if free > 0 {
            jobs.extend(claim(pool, kind, free as i64).await?);
        }
    }
    if !jobs.is_empty() {
        crate::sabotage::point("job-claimed");
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
         update job set state = 'running', attempts = attempts + 1, claim = $4,
                        locked_until = now() + make_interval(secs => $3)
         from due where job.id = due.id
         returning job.id, job.kind, job.key, job.attempts, job.claim as \"claim!\"",
        kind,
        limit,
        LEASE.as_secs_f64(),
        rand::random::<i64>()
    )
    .fetch_all(pool)
    .await
}

/// Asks again for all that is known to be owed and that no job waits for: jobs die when a host is away for too long, and
/// what they were for is still missing. Returns how many were asked for.
pub async fn sweep(pool: &PgPool) -> sqlx::Result<u64> {
    let swept = sqlx::query!(
        r#"insert into job (kind, key)
           select kind, key from (
           select 'resync' as kind, did as key from repo
           where state = 'desynchronized' or state = 'resyncing' and resync_at < now() - interval '2 minutes'
           union all
           select 'account', did from actor where pending_status is not null
           union all
           select case when followed_at is null then 'greet' else 'meet' end, did from actor
           where resolved_at is null and status <> 'deleted'
           union all
           select 'meet', did from (
             select did from actor where looked_at < now() - interval '1 day' and status <> 'deleted'
                                     and followed_at is not null
             order by looked_at limit 500
           ) as old
           union all
           select 'greet', did from (
             select did from actor where looked_at < now() - interval '7 days' and status <> 'deleted'
                                     and followed_at is null
             order by looked_at limit 100
           ) as old
           union all
           select distinct 'look_back', a.target from awaited_link a join shared_post s on s.post_uri = a.target
           left join actor p on p.did = split_part(a.uri, '/', 3)
           where a.seen_at < now() - interval '10 minutes' and coalesce(p.active, true)
           union all
           select distinct 'prove', r.did from record r join actor a on a.did = r.did
                                                     and (a.followed_at is not null or r.reported_by = 'doubt')
           where not r.proven and r.indexed_at < now() - interval '10 minutes'
           union all
           select 'intent', did || ' ' || action from intent
           where settled < generation and wished_at < now() - interval '10 minutes'
           union all
           select distinct 'blob', r.cid from blob_ref r join actor a on a.did = r.did and a.active
           where not exists (select from blob b where b.cid = r.cid)
             and not exists (select from problem p where p.kind = 'UnfitBlob' and p.did = r.did
                                                     and starts_with(p.detail, r.cid))
           ) as owed
           order by kind collate "C", key collate "C"
           on conflict (kind, key) where state = 'queued' do nothing"#
    )
    .execute(pool)
    .await?;
    sqlx::query!("delete from job where state = 'dead' and created_at < now() - interval '30 days'")
        .execute(pool)
        .await?;
    Ok(swept.rows_affected())
}
