//! Who a person is, as their DID document and their handle say.

use sqlx::PgConnection;

use super::super::Door;
use super::super::effects::Effects;
use crate::change::Status;
use crate::job;
use crate::link::names;
use crate::syntax::{Did, Handle};

/// What a look at a handle brought.
#[derive(Debug, Clone, Copy)]
pub enum HandleNow<'a> {
    /// It resolves to the person both ways, or there is none.
    Is(Option<&'a Handle>),
    /// It could not be asked: what was known stands.
    Unknown,
}

/// For so long a handle goes on being shown that cannot be looked up: a name server that is away for a weekend takes
/// nobody's name, and a domain that is gone does not keep one for ever.
pub const HANDLE_GRACE_DAYS: i32 = 7;

/// Writes what a DID document and its handle say now. Of a deleted person nothing is kept.
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
    // In one order: two people who exchange their handles are looked at at the same time.
    let people = sqlx::query!(
        "select did, status from actor where did = $1 or handle = $2 order by did for update",
        did.as_str(),
        handle
    )
    .fetch_all(&mut *tx)
    .await?;
    if people.iter().any(|row| row.did == did.as_str() && row.status == Status::Deleted.as_str()) {
        return Ok(());
    }
    let known_now = sqlx::query!(
        r#"insert into actor (did, handle, handle_at, pds, resolved_at, looked_at)
           values ($1, $2, case when $2::text is not null then now() end, $3, now(), now())
           on conflict (did) do update set handle = case when $4 then excluded.handle else actor.handle end,
                                           handle_at = case when $4 then excluded.handle_at else actor.handle_at end,
                                           pds = excluded.pds, resolved_at = now(), looked_at = now()
           returning (select $4 and old.handle is distinct from $2 from actor old where old.did = $1) as "moved",
                     (select old.pds is distinct from $3 from actor old where old.did = $1) as "migrated",
                     actor.followed_at is not null as "followed!""#,
        did.as_str(),
        handle,
        pds,
        known
    )
    .fetch_one(&mut *tx)
    .await?;
    let mut effects = Effects::default();
    if known_now.moved != Some(false) {
        effects.repaint(did.as_str());
    }
    if known_now.migrated != Some(false) {
        effects.reweigh(did.as_str());
    }
    if let Some(handle) = handle {
        // A handle has one holder: whoever had it before will be told by their own DID document.
        let losers = sqlx::query_scalar!(
            "update actor set handle = null, handle_at = null where handle = $1 and did <> $2 returning did",
            handle,
            did.as_str()
        )
        .fetch_all(&mut *tx)
        .await?;
        losers.iter().for_each(|loser| effects.repaint(loser));
        if known_now.moved != Some(false) {
            names::meet(&mut tx, std::iter::once(handle)).await?;
            if names::is_awaited(&mut tx, handle).await? {
                effects.job(job::NAMED, handle);
            }
        }
    }
    if !known {
        expire_handle(&mut tx, did, &mut effects).await?;
    }
    effects.carry_out(&mut tx).await?;
    tx.commit().await?;
    // Before what is asked of them next is answered: nothing that they write after that may pass by.
    if known_now.followed {
        door.expect(did);
    }
    Ok(())
}

/// Notes that nobody could say who this is now. What was known stands, the handle for a while. Returns whether anything was.
pub async fn doubt(door: &Door, did: &Did) -> sqlx::Result<bool> {
    let mut tx = door.pool.begin().await?;
    let noted = sqlx::query!(
        "update actor set looked_at = now() where did = $1 and resolved_at is not null",
        did.as_str()
    )
    .execute(&mut *tx)
    .await?;
    let mut effects = Effects::default();
    expire_handle(&mut tx, did, &mut effects).await?;
    effects.carry_out(&mut tx).await?;
    tx.commit().await?;
    Ok(noted.rows_affected() > 0)
}

async fn expire_handle(db: &mut PgConnection, did: &Did, effects: &mut Effects) -> sqlx::Result<()> {
    let expired = sqlx::query!(
        "update actor set handle = null, handle_at = null
         where did = $1 and handle is not null and handle_at < now() - make_interval(days => $2)",
        did.as_str(),
        HANDLE_GRACE_DAYS
    )
    .execute(db)
    .await?;
    if expired.rows_affected() > 0 {
        effects.repaint(did.as_str());
    }
    Ok(())
}
