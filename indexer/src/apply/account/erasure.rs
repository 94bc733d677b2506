//! What of a deleted account goes: its records, what was made of them, and what else is kept of somebody.

use chrono::Utc;
use sqlx::PgConnection;

use super::super::effects::Effects;
use crate::link::POST;
use crate::record::{self, KINDS, Kind};
use crate::search::due::{self, Due};
use crate::syntax::Did;

/// Erases a deleted account's records and projections. Its numbers have been taken away already.
pub(super) async fn erase(db: &mut PgConnection, did: &Did, effects: &mut Effects) -> sqlx::Result<()> {
    // The person is inactive in these effects, so that projecting nothing moves no number twice.
    let mut silent = Effects::quiet([did.to_string()].into());
    for kind in KINDS {
        let uris = projected(db, kind, did).await?;
        record::project(db, kind, &uris, Vec::new(), &mut silent).await?;
        for uri in &uris {
            if kind == Kind::Track {
                effects.touch(uri, true);
                effects.retold(uri);
            }
        }
    }
    effects.seek_what(silent);
    effects.seek(Due::Artist(did.to_string()));
    sqlx::query!("delete from record where did = $1", did.as_str()).execute(&mut *db).await?;
    sqlx::query!(
        r#"update repo set synced_rev = greatest(rev, seen_rev, synced_rev), state = 'unknown', trail = '{}',
                           resync_rev = null, resync_upto = null, verified_at = $2
           where did = $1"#,
        did.as_str(),
        Utc::now()
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("update actor set handle = null, handle_at = null, pds = null where did = $1", did.as_str())
        .execute(db)
        .await?;
    Ok(())
}

/// Between which texts all URIs of a person's records sort, and nobody else's.
pub(in crate::apply) fn uris_of(did: &Did) -> (String, String) {
    (format!("at://{did}/"), format!("at://{did}0"))
}

/// Erases what else there is of a deleted account: what was kept aside of it, what it asked us to do, by which sessions, and
/// the names under which our API knew its things. What other people wrote about them is theirs. Bytes are the collector's.
pub(super) async fn forget(db: &mut PgConnection, did: &Did) -> sqlx::Result<()> {
    let (from, to) = uris_of(did);
    let did = did.as_str();
    sqlx::query!(
        "delete from subject_count where uri >= $1 and uri < $2
           and (like_count, comment_count, play_count, share_count, repost_count) = (0, 0, 0, 0, 0)",
        from,
        to
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        "delete from public_id where kind = any(array['track', 'comment']) and uri >= $1 and uri < $2",
        from,
        to
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("delete from link_count where target >= $1 and target < $2 and records = 0", from, to)
        .execute(&mut *db)
        .await?;
    let albums = sqlx::query_scalar!(r#"delete from album where did = $1 returning id::text as "id!""#, did);
    let albums = albums.fetch_all(&mut *db).await?.into_iter().map(Due::Album).collect();
    due::write(&mut *db, &albums).await?;
    sqlx::query!("delete from awaited_link where uri >= $1 and uri < $2", from, to).execute(&mut *db).await?;
    sqlx::query!("delete from problem where did = $1", did).execute(&mut *db).await?;
    // What other people's records meant by a name of theirs stays, as the links of these do.
    sqlx::query!("delete from record_name where uri >= $1 and uri < $2", from, to).execute(&mut *db).await?;
    // One that runs finds nothing left to do.
    sqlx::query!(
        "delete from job where state <> 'running' and (
           kind = any(array['meet', 'greet', 'account', 'resync', 'finish', 'prove', 'doubt']) and key = $1
           or kind in ('look_back', 'backlinks') and key >= $2 and key < $3
           or kind = 'intent' and key >= $1 || ' ' and key < $1 || '!'
           or kind = 'upload' and key in (select id from upload where did = $1))",
        did,
        from,
        to
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("delete from player_state where did = $1", did).execute(&mut *db).await?;
    sqlx::query!("delete from play_event where listener = $1", did).execute(&mut *db).await?;
    sqlx::query!("delete from live_event where did = $1", did).execute(&mut *db).await?;
    sqlx::query!("delete from backfill_repo where did = $1", did).execute(&mut *db).await?;
    sqlx::query!("delete from oauth_flow where did = $1", did).execute(&mut *db).await?;
    // Tokens on their way to a web app go with their session.
    sqlx::query!("delete from session where did = $1", did).execute(&mut *db).await?;
    sqlx::query!("delete from upload where did = $1", did).execute(&mut *db).await?;
    sqlx::query!("delete from intent where did = $1", did).execute(db).await?;
    Ok(())
}

/// URIs of a person's projections of one kind.
pub(in crate::apply) async fn projected(
    db: &mut PgConnection,
    kind: Kind,
    did: &Did,
) -> sqlx::Result<Vec<String>> {
    let (from, upto) = uris_of(did);
    let did = did.as_str();
    match kind {
        Kind::Track => sqlx::query_scalar!("select uri from track where did = $1", did).fetch_all(db).await,
        // What is linked from where says more than what follows from it: a like of a post whose share is gone has nothing else.
        Kind::Post => {
            sqlx::query_scalar!(
                "select distinct uri from link where uri > $1 and uri < $2 and collection = $3",
                from,
                upto,
                POST
            )
            .fetch_all(db)
            .await
        }
        Kind::Like => sqlx::query_scalar!(
            r"select distinct uri from link where uri > $1 and uri < $2 and collection ~ '\.(like|repost)$'",
            from,
            upto
        )
        .fetch_all(db)
        .await,
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
        Kind::TealProfile => {
            sqlx::query_scalar!("select uri from teal_profile where did = $1", did).fetch_all(db).await
        }
        Kind::Follow => sqlx::query_scalar!("select uri from follow where did = $1", did).fetch_all(db).await,
    }
}
