//! Standing and identity of a person, as confirmed at their own PDS and DID document.
//!
//! A status changes what is seen and counted, never what is stored: changes of an inactive account still apply, so that
//! its return is exact. The status and the numbers that it moves change in one transaction. Only a deleted account's rows
//! are erased; its repo row stays as a marker, so that a slow source cannot bring them back.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::Door;
use super::effects::{Count, Effects};
use super::load::meet;
use crate::change::Status;
use crate::job;
use crate::record::{self, KINDS, Kind};
use crate::sabotage;
use crate::syntax::{Did, Handle};

/// What a look at a handle brought.
#[derive(Debug, Clone, Copy)]
pub enum HandleNow<'a> {
    /// It resolves to the person both ways, or there is none.
    Is(Option<&'a Handle>),
    /// It could not be asked: what was known stands.
    Unknown,
}

/// Writes what a DID document and its handle say now.
pub async fn identify(door: &Door, did: &Did, handle: HandleNow<'_>, pds: Option<&str>) -> sqlx::Result<()> {
    let mut tx = door.pool.begin().await?;
    sqlx::query!("insert into repo (did) values ($1) on conflict do nothing", did.as_str())
        .execute(&mut *tx)
        .await?;
    sqlx::query!("select did from repo where did = $1 for update", did.as_str()).fetch_one(&mut *tx).await?;
    let (known, handle) = match handle {
        HandleNow::Is(handle) => (true, handle.map(Handle::as_str)),
        HandleNow::Unknown => (false, None),
    };
    let moved = sqlx::query_scalar!(
        r#"insert into actor (did, handle, pds, resolved_at) values ($1, $2, $3, now())
           on conflict (did) do update set handle = case when $4 then excluded.handle else actor.handle end,
                                           pds = excluded.pds, resolved_at = now()
           returning (select old.handle is distinct from $2 from actor old where old.did = $1) as "moved""#,
        did.as_str(),
        handle,
        pds,
        known
    )
    .fetch_one(&mut *tx)
    .await?;
    if let Some(handle) = handle {
        // A handle has one holder: whoever had it before will be told by their own DID document.
        sqlx::query!("update actor set handle = null where handle = $1 and did <> $2", handle, did.as_str())
            .execute(&mut *tx)
            .await?;
    }
    let mut effects = Effects::default();
    if moved != Some(false) {
        effects.repaint(did.as_str());
    }
    effects.carry_out(&mut tx).await?;
    tx.commit().await?;
    // Before what is asked of them next is answered: nothing that they write after that may pass by.
    door.expect(did);
    Ok(())
}

/// Makes a person known who came to us by themselves, whatever they have or have not written yet: their repo is followed
/// from now on, who they are is looked up, and what they wrote before is read.
pub async fn welcome(door: &Door, did: &Did) -> sqlx::Result<()> {
    let mut tx = door.pool.begin().await?;
    let mut effects = Effects::default();
    for did in meet(&mut tx, &[did.to_string()]).await? {
        effects.job(job::RESYNC, did.clone());
        effects.job(job::MEET, did);
    }
    effects.carry_out(&mut tx).await?;
    tx.commit().await?;
    door.expect(did);
    Ok(())
}

/// What some host said of an account, waiting to be confirmed.
#[derive(Debug, Clone, Copy)]
pub struct Pending {
    /// What it said.
    pub status: Status,
    /// When, to tell it from what is said later.
    pub since: DateTime<Utc>,
}

/// What waits to be confirmed of an account.
pub async fn pending(door: &Door, did: &Did) -> sqlx::Result<Option<Pending>> {
    let row = sqlx::query!("select pending_status, pending_since from actor where did = $1", did.as_str())
        .fetch_optional(&door.pool)
        .await?;
    Ok(row.and_then(|row| {
        let status = Status::from_word(&row.pending_status?)?;
        Some(Pending { status, since: row.pending_since? })
    }))
}

/// Writes what the account's current PDS answered about `asked`, and moves the numbers that depend on it; none leaves the
/// status as it is. Returns false, and changes nothing, when something else has been said meanwhile: ask again.
pub async fn confirm(door: &Door, did: &Did, asked: Pending, answer: Option<Status>) -> sqlx::Result<bool> {
    let mut tx = door.pool.begin().await?;
    let repo = sqlx::query!("select state from repo where did = $1 for update", did.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let row = sqlx::query!("select status, pending_since from actor where did = $1", did.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(row) = row else { return Ok(true) };
    if row.pending_since.is_some_and(|since| since != asked.since) {
        return Ok(false);
    }
    let before = Status::from_word(&row.status).unwrap_or(Status::Active);
    let now = answer.unwrap_or(before);
    sqlx::query!(
        "update actor set status = $2, pending_status = null, pending_since = null where did = $1",
        did.as_str(),
        now.as_str()
    )
    .execute(&mut *tx)
    .await?;
    let mut effects = Effects::default();
    match (before == Status::Active, now == Status::Active) {
        _ if sabotage::is_on("status-moves-no-counts") => {}
        (true, false) => weigh(&mut tx, did, -1, &mut effects).await?,
        (false, true) => {
            weigh(&mut tx, did, 1, &mut effects).await?;
            welcome_back(&mut tx, did, repo.is_some_and(|repo| repo.state != "synchronized"), &mut effects)
                .await?;
        }
        _ => {}
    }
    if now == Status::Deleted && !sabotage::is_on("deleted-not-erased") {
        erase(&mut tx, did, &mut effects).await?;
    }
    if before != now {
        tracing::info!(%did, before = before.as_str(), now = now.as_str(), "account status confirmed");
    }
    effects.carry_out(&mut tx).await?;
    tx.commit().await?;
    Ok(true)
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

/// Adds or takes away all that a person counts for.
async fn weigh(db: &mut PgConnection, did: &Did, sign: i64, effects: &mut Effects) -> sqlx::Result<()> {
    let (from, upto) = uris_of(did);
    let rows = sqlx::query!(
        r#"select subject_uri as "subject_uri!", sum(likes)::bigint as "likes!", sum(comments)::bigint as "comments!",
                  sum(plays)::bigint as "plays!"
           from (
             select subject_uri, 1 as likes, 0 as comments, 0 as plays from plyr_like
             where uri > $2 and uri < $3 group by subject_uri
             union all
             select subject_uri, 0, count(*), 0 from comment where uri > $2 and uri < $3 group by subject_uri
             union all
             select subject_uri, 0, 0, count(distinct play_key) from play
             where did = $1 and subject_uri is not null group by subject_uri
           ) as part
           group by subject_uri"#,
        did.as_str(),
        from,
        upto
    )
    .fetch_all(&mut *db)
    .await?;
    for row in rows {
        effects.move_count(&row.subject_uri, Count::Likes, sign * row.likes);
        effects.move_count(&row.subject_uri, Count::Comments, sign * row.comments);
        effects.move_count(&row.subject_uri, Count::Plays, sign * row.plays);
        effects.touch(&row.subject_uri, false);
    }
    let tracks =
        sqlx::query_scalar!("select uri from track where did = $1", did.as_str()).fetch_all(db).await?;
    for uri in tracks {
        effects.touch(&uri, true);
    }
    Ok(())
}

/// Erases a deleted account's records and projections. Its numbers have been taken away already.
async fn erase(db: &mut PgConnection, did: &Did, effects: &mut Effects) -> sqlx::Result<()> {
    // The person is inactive in these effects, so that projecting nothing moves no number twice.
    let mut silent = Effects::quiet([did.to_string()].into());
    for kind in KINDS {
        let uris = projected(db, kind, did).await?;
        record::project(db, kind, &uris, Vec::new(), &mut silent).await?;
        for uri in uris.iter().filter(|_| kind == Kind::Track) {
            effects.touch(uri, true);
        }
    }
    sqlx::query!("delete from record where did = $1", did.as_str()).execute(&mut *db).await?;
    sqlx::query!("delete from problem where did = $1", did.as_str()).execute(&mut *db).await?;
    sqlx::query!("delete from upload where did = $1", did.as_str()).execute(&mut *db).await?;
    sqlx::query!(
        r#"update repo set synced_rev = greatest(rev, seen_rev, synced_rev), state = 'unknown', trail = '{}',
                           resync_rev = null, resync_upto = null, verified_at = $2
           where did = $1"#,
        did.as_str(),
        Utc::now()
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("update actor set handle = null, pds = null where did = $1", did.as_str())
        .execute(db)
        .await?;
    Ok(())
}

/// Between which texts all URIs of a person's records sort, and nobody else's.
pub(super) fn uris_of(did: &Did) -> (String, String) {
    (format!("at://{did}/"), format!("at://{did}0"))
}

/// URIs of a person's projections of one kind.
pub(super) async fn projected(db: &mut PgConnection, kind: Kind, did: &Did) -> sqlx::Result<Vec<String>> {
    let (from, upto) = uris_of(did);
    let did = did.as_str();
    match kind {
        Kind::Track => sqlx::query_scalar!("select uri from track where did = $1", did).fetch_all(db).await,
        Kind::Like => {
            sqlx::query_scalar!("select uri from plyr_like where uri > $1 and uri < $2", from, upto)
                .fetch_all(db)
                .await
        }
        Kind::Comment => {
            sqlx::query_scalar!("select uri from comment where uri > $1 and uri < $2", from, upto)
                .fetch_all(db)
                .await
        }
        Kind::List => sqlx::query_scalar!("select uri from list where did = $1", did).fetch_all(db).await,
        Kind::Profile => {
            sqlx::query_scalar!("select uri from profile where did = $1", did).fetch_all(db).await
        }
        Kind::Play => sqlx::query_scalar!("select uri from play where did = $1", did).fetch_all(db).await,
        Kind::ActorStatus => {
            sqlx::query_scalar!("select uri from actor_status where did = $1", did).fetch_all(db).await
        }
        Kind::BskyProfile => {
            sqlx::query_scalar!("select uri from bsky_profile where did = $1", did).fetch_all(db).await
        }
    }
}
