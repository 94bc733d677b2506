//! Asking again for what is held of people whom we do not follow: no comparison of revs tells whether a record of theirs is gone, for
//! their repos change with everything that they write.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::Indexer;
use crate::apply::batch::apply_all;
use crate::change::Input;
use crate::job::{self, Outcome};
use crate::syntax::Did;

/// People that one job takes.
const PEOPLE: i64 = 200;
/// While more questions than these wait, no more are added: they are asked between all others.
const WAITING_MAX: i64 = 1000;
const PAUSE: Duration = Duration::from_secs(5);
/// Until it is looked whether all have been asked.
const AGAIN: Duration = Duration::from_secs(60);

/// Has everything that is held of one of them be proven anew.
pub(super) async fn doubt(indexer: &Indexer, did: &Did) -> anyhow::Result<Outcome> {
    apply_all(&indexer.door, vec![Input::Missed { did: did.clone() }]).await;
    Ok(Outcome::Done)
}

/// The same of the next ones after `after`, and has it go on with those after them.
pub(super) async fn doubt_all(indexer: &Indexer, after: &String) -> anyhow::Result<Outcome> {
    let pool = &indexer.door.pool;
    // One after the other: what is lost while they are asked is asked for when all have been.
    let is_under_way = after.is_empty()
        && sqlx::query_scalar!(
            r#"select exists (select from job where kind = $1 and key <> '' and state in ('queued', 'running')) as "is!""#,
            job::DOUBT_ALL
        )
        .fetch_one(pool)
        .await?;
    if is_under_way {
        return Ok(Outcome::Later(AGAIN));
    }
    let waiting = sqlx::query_scalar!(
        r#"select count(*) as "count!" from (select from job where kind = $1 and state = 'queued' and run_at <= now() limit $2) as waiting"#,
        job::PROVE,
        WAITING_MAX
    )
    .fetch_one(pool)
    .await?;
    if waiting >= WAITING_MAX {
        return Ok(Outcome::Later(PAUSE));
    }
    let dids = sqlx::query_scalar!(
        "select did from actor
          where did > $1 and followed_at is null and active
            and (select true from record where record.did = actor.did and cid is not null limit 1)
          order by did limit $2",
        after,
        PEOPLE
    )
    .fetch_all(pool)
    .await?;
    let Some(last) = dids.last() else { return Ok(Outcome::Done) };
    let missed = dids.iter().filter_map(|did| Some(Input::Missed { did: did.parse().ok()? }));
    apply_all(&indexer.door, missed.collect()).await;
    let next = BTreeSet::from([(job::DOUBT_ALL, last.clone())]);
    job::enqueue(&mut *pool.acquire().await?, &next).await?;
    Ok(Outcome::Done)
}
