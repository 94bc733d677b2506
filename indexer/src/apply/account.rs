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
use crate::link::POST;
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

/// Makes a person known who came to us by themselves, whatever they have or have not written yet: their repo is followed
/// from now on, who they are is looked up, and what they wrote before is read.
pub async fn welcome(door: &Door, did: &Did) -> sqlx::Result<()> {
    let mut tx = door.pool.begin().await?;
    let mut effects = Effects::default();
    for did in meet(&mut tx, &[did.to_string()], true).await? {
        effects.job(job::RESYNC, did.clone());
        effects.job(job::MEET, did);
    }
    effects.carry_out(&mut tx).await?;
    tx.commit().await?;
    door.expect(did);
    Ok(())
}

/// Makes a person known of whom something is asked, without following them: whatever they write meanwhile shall be heard.
pub async fn acquaint(door: &Door, did: &Did) -> sqlx::Result<()> {
    let mut tx = door.pool.begin().await?;
    let mut effects = Effects::default();
    for did in meet(&mut tx, &[did.to_string()], false).await? {
        effects.job(job::GREET, did);
    }
    effects.carry_out(&mut tx).await?;
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
    let posts = projected(db, Kind::Post, did).await?;
    record::post::reflect(db, &posts, effects).await?;
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
            effects.retold(uri);
        }
    }
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
pub(super) fn uris_of(did: &Did) -> (String, String) {
    (format!("at://{did}/"), format!("at://{did}0"))
}

/// Erases what else there is of a deleted account: what was kept aside of it, what it asked us to do, by which sessions, and
/// the names under which our API knew its things. What other people wrote about them is theirs. Bytes are the collector's.
async fn forget(db: &mut PgConnection, did: &Did) -> sqlx::Result<()> {
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
    sqlx::query!("delete from awaited_link where uri >= $1 and uri < $2", from, to).execute(&mut *db).await?;
    sqlx::query!("delete from problem where did = $1", did).execute(&mut *db).await?;
    // One that runs finds nothing left to do.
    sqlx::query!(
        "delete from job where state <> 'running' and (
           kind = any(array['meet', 'greet', 'account', 'resync', 'finish', 'prove']) and key = $1
           or kind = 'look_back' and key >= $2 and key < $3
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
pub(super) async fn projected(db: &mut PgConnection, kind: Kind, did: &Did) -> sqlx::Result<Vec<String>> {
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
    }
}
