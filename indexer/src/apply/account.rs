//! Standing and identity of a person, as confirmed at their own PDS and DID document.
//!
//! A status changes what is seen and counted, never what is stored: changes of an inactive account still apply, so that
//! its return is exact. The status and the numbers that it moves change in one transaction. Only a deleted account's rows
//! are erased; its repo row stays as a marker, so that a slow source cannot bring them back.

mod erasure;
mod identity;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Door;
use super::effects::{Count, Effects};
use super::load::meet;
use super::met::REFRESH_EVERY;
use crate::change::Status;
use crate::job;
use crate::record::{self, Kind};
use crate::sabotage;
use crate::syntax::Did;
use erasure::{erase, forget};
pub(super) use erasure::{projected, uris_of};
pub use identity::{HANDLE_GRACE_DAYS, HandleNow, doubt, identify};

/// Makes a person known who signs in, whatever they have or have not written yet: their repo is followed from now on, who they are
/// is looked up, and what they wrote before is read, whom they follow on Bluesky included.
pub async fn welcome(door: &Door, did: &Did) -> sqlx::Result<()> {
    let mut tx = door.pool.begin().await?;
    let mut effects = Effects::default();
    for did in meet(&mut tx, &[did.to_string()], true).await? {
        effects.job(job::MEET, did);
    }
    let is_new =
        sqlx::query!("update actor set member_at = now() where did = $1 and member_at is null", did.as_str());
    if is_new.execute(&mut *tx).await?.rows_affected() > 0 {
        effects.job(job::RESYNC, did.to_string());
    }
    effects.carry_out(&mut tx).await?;
    door.tell_others(&mut tx).await?;
    tx.commit().await?;
    door.expect(did);
    Ok(())
}

/// Makes a person known of whom something is asked, without following them: whatever they write meanwhile shall be heard. Where
/// another process reads the network's stream, it may pass something over until it has heard of them: then what is held of them by
/// that time is asked for once more.
pub async fn acquaint(door: &Door, did: &Did) -> sqlx::Result<()> {
    let mut tx = door.pool.begin().await?;
    let mut effects = Effects::default();
    let new = meet(&mut tx, &[did.to_string()], false).await?;
    for did in &new {
        effects.job(job::GREET, did);
        if !door.hears() {
            effects.job_after(2 * REFRESH_EVERY, job::DOUBT, did);
        }
    }
    effects.carry_out(&mut tx).await?;
    if !new.is_empty() {
        door.tell_others(&mut tx).await?;
    }
    tx.commit().await?;
    door.concerns.add_people(std::iter::once(did));
    Ok(())
}

/// What some host said of an account, waiting to be confirmed.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// What it said.
    pub status: Status,
    /// What was confirmed last.
    pub confirmed: Status,
    /// When, to tell it from what is said later.
    pub since: DateTime<Utc>,
}

/// What waits to be confirmed of an account.
pub async fn pending(door: &Door, did: &Did) -> sqlx::Result<Option<Pending>> {
    let row =
        sqlx::query!("select status, pending_status, pending_since from actor where did = $1", did.as_str())
            .fetch_optional(&door.pool)
            .await?;
    Ok(row.and_then(|row| {
        let status = Status::from_word(&row.pending_status?)?;
        let confirmed = Status::from_word(&row.status)?;
        Some(Pending { status, confirmed, since: row.pending_since? })
    }))
}

/// Writes what the account's current PDS answered about `asked`, and moves the numbers that depend on it; none leaves the
/// status as it is. Returns false when something else has been said meanwhile: ask again. The answer holds all the same,
/// else whoever goes on talking could keep it from ever being heard.
pub async fn confirm(door: &Door, did: &Did, asked: Pending, answer: Option<Status>) -> sqlx::Result<bool> {
    let mut tx = door.pool.begin().await?;
    let repo = sqlx::query!("select state from repo where did = $1 for update", did.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let row = sqlx::query!(
        r#"select status, pending_since, followed_at is not null as "followed!" from actor where did = $1"#,
        did.as_str()
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(true) };
    let is_settled = row.pending_since.is_none_or(|since| since == asked.since);
    let before = Status::from_word(&row.status).unwrap_or(Status::Active);
    let now = answer.unwrap_or(before);
    if before != now {
        let likes = projected(&mut tx, Kind::Like, did).await?;
        let posts = projected(&mut tx, Kind::Post, did).await?;
        let changes = [(Kind::Like, &*likes, &[][..]), (Kind::Post, &*posts, &[][..])];
        record::take_turns(&mut tx, changes.into_iter(), std::iter::empty()).await?;
    }
    sqlx::query!(
        "update actor set status = $2, pending_status = case when $3 then null else pending_status end,
                          pending_since = case when $3 then null else pending_since end
         where did = $1",
        did.as_str(),
        now.as_str(),
        is_settled
    )
    .execute(&mut *tx)
    .await?;
    let mut effects = Effects::default();
    match (before == Status::Active, now == Status::Active) {
        _ if sabotage::is_on("status-moves-no-counts") => {}
        (true, false) => weigh(&mut tx, did, -1, &mut effects).await?,
        (false, true) => {
            weigh(&mut tx, did, 1, &mut effects).await?;
            let is_behind = row.followed && repo.is_some_and(|repo| repo.state != "synchronized");
            welcome_back(&mut tx, did, is_behind, &mut effects).await?;
        }
        _ => {}
    }
    if now == Status::Deleted && !sabotage::is_on("deleted-not-erased") {
        erase(&mut tx, did, &mut effects).await?;
    }
    if before != now {
        effects.reweigh(did.as_str());
        tracing::info!(%did, before = before.as_str(), now = now.as_str(), "account status confirmed");
    }
    effects.carry_out(&mut tx).await?;
    if now == Status::Deleted {
        forget(&mut tx, did).await?;
    }
    tx.commit().await?;
    Ok(is_settled)
}

/// Asks for what was not fetched while the person was away.
async fn welcome_back(
    db: &mut PgConnection,
    did: &Did,
    behind: bool,
    effects: &mut Effects,
) -> sqlx::Result<()> {
    effects.job(job::MEET, did.as_str());
    if behind {
        effects.job(job::RESYNC, did.as_str());
    }
    // Nobody could say of their likes what they are, meanwhile.
    let (from, upto) = uris_of(did);
    let awaited = sqlx::query_scalar!(
        "select distinct a.target from awaited_link a join shared_post s on s.post_uri = a.target
         where a.uri > $1 and a.uri < $2",
        from,
        upto
    )
    .fetch_all(&mut *db)
    .await?;
    for post in awaited {
        effects.job(job::LOOK_BACK, post);
    }
    let missing = sqlx::query_scalar!(
        "select distinct r.cid from blob_ref r where r.did = $1 and not exists (select from blob b where b.cid = r.cid)",
        did.as_str()
    )
    .fetch_all(db)
    .await?;
    for cid in missing {
        effects.fetch_blob(&cid);
    }
    Ok(())
}

/// Adds or takes away all that a person counts for. Their own come first: what others like by way of their posts is told apart
/// from it by whether they are to be seen.
async fn weigh(db: &mut PgConnection, did: &Did, sign: i64, effects: &mut Effects) -> sqlx::Result<()> {
    let (from, upto) = uris_of(did);
    let rows = sqlx::query!(
        r#"select subject_uri as "subject_uri!", sum(likes)::bigint as "likes!", sum(plyr)::bigint as "plyr!",
                  sum(bluesky)::bigint as "bluesky!", sum(by_shares)::bigint as "by_shares!",
                  sum(reposts)::bigint as "reposts!", sum(shares)::bigint as "shares!",
                  sum(comments)::bigint as "comments!", sum(recorded)::bigint as "recorded!",
                  sum(told)::bigint as "told!", sum(plays)::bigint as "plays!"
           from (
             select subject_uri, (verb = 'like')::int as likes, (verb = 'like' and bool_or(source = 'plyr'))::int as plyr,
                    (verb = 'like' and bool_or(source = 'bluesky'))::int as bluesky,
                    (verb = 'like' and bool_or(source = 'share'))::int as by_shares,
                    (verb = 'repost')::int as reposts, 0 as shares, 0 as comments, 0 as recorded, 0 as told, 0 as plays
             from reaction where uri > $2 and uri < $3 group by subject_uri, verb
             union all
             select subject_uri, 0, 0, 0, 0, 0, count(*), 0, 0, 0, 0 from shared_post where did = $1 group by subject_uri
             union all
             select subject_uri, 0, 0, 0, 0, 0, 0, count(*), 0, 0, 0 from comment where uri > $2 and uri < $3
             group by subject_uri
             union all
             select subject_uri, 0, 0, 0, 0, 0, 0, 0, count(distinct play_key), 0, count(distinct play_key) from play
             where did = $1 and subject_uri is not null group by subject_uri
             union all
             select subject_uri, 0, 0, 0, 0, 0, 0, 0, 0, count(*), count(*) filter (where not covered) from play_event
             where listener = $1 group by subject_uri
           ) as part
           group by subject_uri"#,
        did.as_str(),
        from,
        upto
    )
    .fetch_all(&mut *db)
    .await?;
    for row in rows {
        let moved = [
            (Count::Likes, row.likes),
            (Count::PlyrLikes, row.plyr),
            (Count::BlueskyLikes, row.bluesky),
            (Count::ShareLikes, row.by_shares),
            (Count::Reposts, row.reposts),
            (Count::Shares, row.shares),
            (Count::Comments, row.comments),
            (Count::Plays, row.plays),
            (Count::PlyrPlays, row.told),
            (Count::TealPlays, row.recorded),
        ];
        for (count, number) in moved {
            effects.move_count(&row.subject_uri, count, sign * number);
        }
        effects.touch(&row.subject_uri, false);
    }
    let links = sqlx::query!(
        r#"select target, collection, path, count(*) as "records!" from link where uri > $1 and uri < $2
           group by target, collection, path"#,
        from,
        upto
    )
    .fetch_all(&mut *db)
    .await?;
    for row in links {
        effects.move_links([row.target, row.collection, row.path], [sign * row.records, sign]);
    }
    for (tag, tracks) in record::tag::of_person(db, &from, &upto).await? {
        effects.move_tag(&tag, sign * tracks);
    }
    let posts = projected(db, Kind::Post, did).await?;
    record::post::reflect(db, &posts, effects).await?;
    let tracks =
        sqlx::query_scalar!("select uri from track where did = $1", did.as_str()).fetch_all(db).await?;
    for uri in tracks {
        effects.touch(&uri, true);
    }
    Ok(())
}
