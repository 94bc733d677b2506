//! Who writes a wish to the PDS: one at a time, by a lease that ends with its holder, and never by a lock that is held
//! while a PDS thinks.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use cid::Cid;
use indexer::job;
use indexer::syntax::Did;
use sqlx::{PgConnection, PgPool};

use super::intent::{DOUBT, End, Intent, Op};
use crate::session::SessionId;

/// Who writes to the PDS says so again and again; a lease this old belongs to somebody who died.
const LEASE: Duration = Duration::from_secs(6);
/// How often it is said.
pub(super) const BEAT: Duration = Duration::from_secs(2);

/// Becomes the one who writes the newest wish, unless it is settled or somebody else is writing it.
pub(super) async fn lease(pool: &PgPool, did: &Did, action: &str) -> anyhow::Result<Option<Intent>> {
    let lessee = rand::random::<[u8; 16]>();
    let row = sqlx::query!(
        r#"update intent i
              set lessee = $3, leased_until = now() + make_interval(secs => $4), put_cid = coalesce(i.cid, i.put_cid),
                  is_putting = i.op <> 'delete',
                  -- Whoever had it died, perhaps with a put on its way.
                  unanswered = case when i.doubtful_until > now() then i.unanswered else 0 end
                             + case when i.leased_until is not null and i.is_putting then 1 else 0 end,
                  doubtful_until = case when i.leased_until is not null and i.is_putting
                                        then now() + make_interval(secs => $5) else i.doubtful_until end
             from intent old
            where i.did = $1 and i.action = $2 and i.settled < i.generation
              and (i.leased_until is null or i.leased_until < now())
              and old.did = i.did and old.action = i.action
        returning i.generation, i.op, i.uri, i.value, i.cid, i.swap_cid, old.put_cid, i.session,
                  i.unanswered,
                  i.wished_at < now() - interval '10 minutes' as "is_old!",
                  i.wished_at < now() - interval '1 day' as "is_lost!""#,
        did.as_str(),
        action,
        lessee.as_slice(),
        LEASE.as_secs_f64(),
        DOUBT.as_secs_f64()
    )
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let parse = |cid: Option<String>| cid.map(|cid| cid.parse::<Cid>()).transpose();
    let value = parse(row.cid)?.zip(row.value.map(Bytes::from));
    Ok(Some(Intent {
        did: did.clone(),
        action: action.to_owned(),
        generation: row.generation,
        op: Op::from_word(&row.op),
        uri: row.uri.parse()?,
        value,
        swap_cid: parse(row.swap_cid)?,
        put_cid: parse(row.put_cid)?,
        session: SessionId(row.session.try_into().ok().context("the session's id is not 32 bytes")?),
        unanswered: row.unanswered,
        is_old: row.is_old,
        is_lost: row.is_lost,
        lessee: lessee.to_vec(),
    }))
}

/// Still the one who writes? To be asked before every call, and every [`BEAT`] while one lasts.
pub(super) async fn renew(pool: &PgPool, intent: &Intent) -> sqlx::Result<bool> {
    let renewed = sqlx::query!(
        "update intent set leased_until = now() + make_interval(secs => $4)
          where did = $1 and action = $2 and lessee = $3",
        intent.did.as_str(),
        intent.action,
        intent.lessee,
        LEASE.as_secs_f64()
    )
    .execute(pool)
    .await?;
    Ok(renewed.rows_affected() == 1)
}

/// Lets go of a wish of which nothing is known yet: a put may land later. Whoever is no job asks for one.
pub(super) async fn release(
    pool: &PgPool,
    intent: &Intent,
    unanswered: i32,
    is_job: bool,
) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!(
        "update intent set leased_until = null, lessee = null,
                           unanswered = $4,
                           doubtful_until = case when $4 > 0 then now() + make_interval(secs => $5) end
          where did = $1 and action = $2 and lessee = $3",
        intent.did.as_str(),
        intent.action,
        intent.lessee,
        unanswered,
        DOUBT.as_secs_f64()
    )
    .execute(&mut *tx)
    .await?;
    if !is_job {
        job::enqueue_after(&mut tx, Duration::from_secs(3), job::INTENT, &intent.job_key()).await?;
    }
    tx.commit().await
}

/// Notes what became of a wish, inside the transaction that applies it.
pub(super) async fn finish(db: &mut PgConnection, intent: &Intent, end: &End) -> sqlx::Result<()> {
    let newest = sqlx::query!(
        r#"update intent
              set settled = $4, outcome = $5, problem = $6, leased_until = null, lessee = null,
                  unanswered = $9, doubtful_until = case when $9 > 0 then now() + make_interval(secs => $10) end,
                  uri = case when generation = $4 then $7 else uri end,
                  put_cid = case when generation > $4 then put_cid
                                 when $5 = 'gone' and $9 = 0 then null
                                 else coalesce($8, put_cid) end
            where did = $1 and action = $2 and lessee = $3
        returning generation = $4 as "is_newest!""#,
        intent.did.as_str(),
        intent.action,
        intent.lessee,
        intent.generation,
        end.outcome,
        end.problem,
        end.uri.as_str(),
        end.cid.map(|cid| cid.to_string()),
        end.unanswered,
        DOUBT.as_secs_f64()
    )
    .fetch_optional(&mut *db)
    .await?;
    match newest {
        // Nobody needs to look after it any more, unless something of it may still land.
        Some(row) if row.is_newest => {
            sqlx::query!(
                "delete from job where kind = $1 and key = $2 and state = 'queued'",
                job::INTENT,
                intent.job_key()
            )
            .execute(&mut *db)
            .await?;
            if end.outcome == "gone" && end.unanswered > 0 {
                job::enqueue_after(db, DOUBT, job::INTENT, &intent.job_key()).await?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Whether what was deleted may be put by a request that is still on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// No.
    None,
    /// It may, for so long.
    For(Duration),
    /// It may have been: the wish was uttered anew, to look once more.
    Over,
}

/// Looks whether a settled delete is in doubt.
pub(super) async fn doubt(pool: &PgPool, did: &Did, action: &str) -> anyhow::Result<Doubt> {
    let left_s = sqlx::query_scalar!(
        r#"select extract(epoch from doubtful_until - now())::double precision as "left_s!" from intent
            where did = $1 and action = $2 and op = 'delete' and settled = generation and unanswered > 0
              and doubtful_until is not null"#,
        did.as_str(),
        action
    )
    .fetch_optional(pool)
    .await?;
    match left_s {
        None => return Ok(Doubt::None),
        Some(left_s) if left_s > 0.0 => return Ok(Doubt::For(Duration::from_secs_f64(left_s))),
        Some(_) => {}
    }
    let again = sqlx::query!(
        "update intent set generation = generation + 1, unanswered = 0, doubtful_until = null
          where did = $1 and action = $2 and op = 'delete' and settled = generation and doubtful_until < now()",
        did.as_str(),
        action
    )
    .execute(pool)
    .await?;
    Ok(if again.rows_affected() == 1 { Doubt::Over } else { Doubt::None })
}
