//! Standing and identity of a person, as confirmed at their own PDS and DID document.
//!
//! A status changes what is seen and counted, never what is stored: changes of an inactive account still apply, so that
//! its return is exact. The status and the numbers that it moves change in one transaction. Only a deleted account's rows
//! are erased; its repo row stays as a marker, so that a slow source cannot bring them back.

use chrono::Utc;
use sqlx::PgConnection;

use super::Door;
use super::effects::{Count, Effects};
use crate::change::Status;
use crate::record::{self, KINDS, Kind};
use crate::syntax::{Did, Handle};

/// Writes what a DID document and its handle say now.
pub async fn identify(
    door: &Door,
    did: &Did,
    handle: Option<&Handle>,
    pds: Option<&str>,
) -> sqlx::Result<()> {
    let mut tx = door.pool.begin().await?;
    let moved = sqlx::query_scalar!(
        r#"insert into actor (did, handle, pds, resolved_at) values ($1, $2, $3, now())
           on conflict (did) do update set handle = excluded.handle, pds = excluded.pds, resolved_at = now()
           returning (select old.handle is distinct from $2 from actor old where old.did = $1) as "moved""#,
        did.as_str(),
        handle.map(Handle::as_str),
        pds
    )
    .fetch_one(&mut *tx)
    .await?;
    if let Some(handle) = handle {
        // A handle has one holder: whoever had it before will be told by their own DID document.
        sqlx::query!(
            "update actor set handle = null where handle = $1 and did <> $2",
            handle.as_str(),
            did.as_str()
        )
        .execute(&mut *tx)
        .await?;
    }
    let mut effects = Effects::default();
    if moved != Some(false) {
        effects.repaint(did.as_str());
    }
    effects.carry_out(&mut tx).await?;
    tx.commit().await
}

/// Writes a status that the account's current PDS confirmed, and moves the numbers that depend on it.
pub async fn confirm(door: &Door, did: &Did, status: Status) -> sqlx::Result<()> {
    let mut tx = door.pool.begin().await?;
    sqlx::query!("select did from repo where did = $1 for update", did.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let Some(before) = sqlx::query_scalar!("select status from actor where did = $1", did.as_str())
        .fetch_optional(&mut *tx)
        .await?
    else {
        return Ok(());
    };
    let before = Status::from_word(&before).unwrap_or(Status::Active);
    sqlx::query!(
        "update actor set status = $2, pending_status = null, pending_since = null where did = $1",
        did.as_str(),
        status.as_str()
    )
    .execute(&mut *tx)
    .await?;
    let mut effects = Effects::default();
    match (before == Status::Active, status == Status::Active) {
        (true, false) => weigh(&mut tx, did, -1, &mut effects).await?,
        (false, true) => weigh(&mut tx, did, 1, &mut effects).await?,
        _ => {}
    }
    if status == Status::Deleted && before != Status::Deleted {
        erase(&mut tx, did, &mut effects).await?;
    }
    if before != status {
        tracing::info!(%did, before = before.as_str(), now = status.as_str(), "account status confirmed");
    }
    effects.carry_out(&mut tx).await?;
    tx.commit().await
}

/// Adds or takes away all that a person counts for.
async fn weigh(db: &mut PgConnection, did: &Did, sign: i64, effects: &mut Effects) -> sqlx::Result<()> {
    let rows = sqlx::query!(
        r#"select subject_uri as "subject_uri!", sum(likes)::bigint as "likes!", sum(comments)::bigint as "comments!",
                  sum(plays)::bigint as "plays!"
           from (
             select subject_uri, 1 as likes, 0 as comments, 0 as plays from plyr_like where did = $1 group by subject_uri
             union all
             select subject_uri, 0, count(*), 0 from comment where did = $1 group by subject_uri
             union all
             select subject_uri, 0, 0, count(distinct play_key) from play
             where did = $1 and subject_uri is not null group by subject_uri
           ) as part
           group by subject_uri"#,
        did.as_str()
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
    sqlx::query!(
        r#"update repo set synced_rev = greatest(rev, seen_rev, synced_rev), state = 'unknown', trail = '{}',
                           verified_at = $2
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

/// URIs of a person's projections of one kind.
pub(super) async fn projected(db: &mut PgConnection, kind: Kind, did: &Did) -> sqlx::Result<Vec<String>> {
    let did = did.as_str();
    match kind {
        Kind::Track => sqlx::query_scalar!("select uri from track where did = $1", did).fetch_all(db).await,
        Kind::Like => {
            sqlx::query_scalar!("select uri from plyr_like where did = $1", did).fetch_all(db).await
        }
        Kind::Comment => {
            sqlx::query_scalar!("select uri from comment where did = $1", did).fetch_all(db).await
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
