//! Re-projecting every record without the network, while the service runs.
//!
//! One repo a transaction, under its lock, by the same code that live changes take; what no record accounts for goes. Then
//! the numbers are counted anew. Nobody is notified and no bytes are fetched.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::Door;
use super::account::{projected, uris_of};
use super::effects::Effects;
use crate::link::names::{self, Names};
use crate::record::{self, KINDS, Kind, Row};
use crate::syntax::{AtUri, Did};
use crate::{chart, search};

/// What a rebuild did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Repos re-projected.
    pub repos: u64,
    /// Records read.
    pub records: u64,
    /// Records that have no projection, each with its problem in `record`.
    pub problems: u64,
    /// Numbers that were wrong before they were counted anew.
    pub counts_mended: u64,
}

/// Rebuilds all projections. `progress` hears (repos done, repos in all) after each repo.
pub async fn rebuild(door: &Door, progress: impl Fn(u64, u64)) -> sqlx::Result<Summary> {
    let dids = sqlx::query_scalar!("select did from repo order by did").fetch_all(&door.pool).await?;
    let mut summary = Summary::default();
    for did in &dids {
        let Ok(did) = did.parse::<Did>() else { continue };
        let (records, problems) = rebuild_repo(door, &did).await?;
        summary.repos += 1;
        summary.records += records;
        summary.problems += problems;
        progress(summary.repos, dids.len() as u64);
    }
    chart::due::all(&door.pool).await?;
    // Some repos came before the albums that they name.
    names::ask_again(&door.pool).await?;
    search::due::all(&door.pool).await?;
    summary.counts_mended = recount(door).await?;
    Ok(summary)
}

async fn rebuild_repo(door: &Door, did: &Did) -> sqlx::Result<(u64, u64)> {
    let mut tx = door.pool.begin().await?;
    sqlx::query!("select did from repo where did = $1 for update", did.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let active = sqlx::query_scalar!(r#"select active as "active!" from actor where did = $1"#, did.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let inactive = if active == Some(true) { None } else { Some(did.to_string()) };
    let mut effects = Effects::quiet(inactive.into_iter().collect());
    let rows = sqlx::query!(
        r#"select uri, value as "value!", problem, problem_detail, first_seen_at from record
           where did = $1 and value is not null"#,
        did.as_str()
    )
    .fetch_all(&mut *tx)
    .await?;
    let (records, mut problems) = (rows.len() as u64, 0);
    let mut projections: BTreeMap<Kind, Vec<Row>> = BTreeMap::new();
    let rows: Vec<_> =
        rows.into_iter().filter_map(|row| Some((row.uri.parse::<AtUri>().ok()?, row))).collect();
    let (from, to) = uris_of(did);
    let mut names = Names::written_between(&mut tx, &from, &to).await?;
    let held: Vec<_> = rows
        .iter()
        .map(|(uri, row)| names::Held { uri, value: &row.value, first_seen_at: row.first_seen_at })
        .collect();
    // Some were never looked up: they may have come before there were such names, or before their page was one of ours.
    let read = names.read_all(&mut tx, &door.registry, &held, false).await?;
    sqlx::query!("delete from record_name where uri > $1 and uri < $2", from, to).execute(&mut *tx).await?;
    names.write(&mut tx, &[]).await?;
    for ((uri, row), read) in rows.into_iter().zip(read) {
        let problem = match read {
            Ok(projection) => {
                if let Some(collection) = door.registry.get(uri.collection()) {
                    projections.entry(collection.kind).or_default().push(projection);
                }
                None
            }
            Err(problem) => Some((problem.name.to_owned(), problem.detail)),
        };
        problems += u64::from(problem.is_some());
        let (name, detail) = problem.unzip();
        if name != row.problem || detail != row.problem_detail {
            sqlx::query!(
                "update record set problem = $2, problem_detail = $3 where uri = $1",
                row.uri,
                name,
                detail
            )
            .execute(&mut *tx)
            .await?;
        }
    }
    let mut changes = Vec::new();
    for kind in KINDS {
        let uris = projected(&mut tx, kind, did).await?;
        changes.push((kind, uris, projections.remove(&kind).unwrap_or_default()));
    }
    let turns = changes.iter().map(|(kind, uris, rows)| (*kind, &**uris, &**rows));
    record::take_turns(&mut tx, turns, std::iter::empty()).await?;
    for (kind, uris, rows) in changes {
        record::project(&mut tx, kind, &uris, rows, &mut effects).await?;
    }
    effects.carry_out(&mut tx).await?;
    tx.commit().await?;
    Ok((records, problems))
}

/// Counts every number anew from the projections. Returns how many were wrong.
///
/// The locks wait for every transaction that has moved a number and stop others before they do: each then moves the
/// numbers by what this snapshot did not see.
pub async fn recount(door: &Door) -> sqlx::Result<u64> {
    let mut tx = door.pool.begin().await?;
    sqlx::query!("lock table subject_count, tag_count, link_count in exclusive mode")
        .execute(&mut *tx)
        .await?;
    let mended =
        recount_subjects(&mut tx).await? + recount_tags(&mut tx).await? + recount_links(&mut tx).await?;
    tx.commit().await?;
    Ok(mended)
}

async fn recount_subjects(db: &mut PgConnection) -> sqlx::Result<u64> {
    let mended = sqlx::query!(
        r#"with active as materialized (select did from actor where active),
           part as (
             select subject_uri as uri, count(distinct did) filter (where verb = 'like') as likes,
                    count(distinct did) filter (where verb = 'like' and source = 'plyr') as plyr,
                    count(distinct did) filter (where verb = 'like' and source = 'bluesky') as bluesky,
                    count(distinct did) filter (where verb = 'like' and source = 'share') as by_shares,
                    count(distinct did) filter (where verb = 'repost') as reposts,
                    0::bigint as shares, 0::bigint as comments, 0::bigint as recorded, 0::bigint as told,
                    0::bigint as plays
             from reaction join active using (did) group by subject_uri
             union all
             select subject_uri, 0, 0, 0, 0, 0, count(*), 0, 0, 0, 0 from shared_post join active using (did) group by subject_uri
             union all
             select subject_uri, 0, 0, 0, 0, 0, 0, count(*), 0, 0, 0 from comment join active using (did) group by subject_uri
             union all
             select subject_uri, 0, 0, 0, 0, 0, 0, 0, count(distinct (did, play_key)), 0, count(distinct (did, play_key))
             from play join active using (did) where subject_uri is not null group by subject_uri
             union all
             select subject_uri, 0, 0, 0, 0, 0, 0, 0, 0, count(*), count(*) filter (where not covered)
             from play_event where listener in (select did from active) or listener like 'anonymous:%' group by subject_uri
           ), truth as (
             select uri, sum(likes)::bigint as likes, sum(comments)::bigint as comments, sum(plays)::bigint as plays,
                    sum(recorded)::bigint as recorded, sum(told)::bigint as told, sum(plyr)::bigint as plyr, sum(bluesky)::bigint as bluesky, sum(by_shares)::bigint as by_shares,
                    sum(shares)::bigint as shares, sum(reposts)::bigint as reposts
             from part group by uri
           ), compared as (
             select coalesce(t.uri, c.uri) as uri, coalesce(likes, 0) as likes, coalesce(comments, 0) as comments,
                    coalesce(plays, 0) as plays, coalesce(plyr, 0) as plyr, coalesce(bluesky, 0) as bluesky,
                    coalesce(by_shares, 0) as by_shares, coalesce(shares, 0) as shares, coalesce(reposts, 0) as reposts,
                    coalesce(told, 0) as told, coalesce(recorded, 0) as recorded
             from truth t full join subject_count c on c.uri = t.uri
             where (coalesce(likes, 0), coalesce(comments, 0), coalesce(plays, 0), coalesce(plyr, 0),
                    coalesce(bluesky, 0), coalesce(by_shares, 0), coalesce(shares, 0), coalesce(reposts, 0),
                    coalesce(told, 0), coalesce(recorded, 0))
                is distinct from (coalesce(like_count, 0), coalesce(comment_count, 0), coalesce(play_count, 0),
                    coalesce(plyr_like_count, 0), coalesce(bluesky_like_count, 0), coalesce(share_like_count, 0),
                    coalesce(share_count, 0), coalesce(repost_count, 0), coalesce(plyr_play_count, 0),
                    coalesce(teal_play_count, 0))
           )
           insert into subject_count as c (uri, like_count, comment_count, play_count, plyr_like_count,
                                           bluesky_like_count, share_like_count, share_count, repost_count,
                                           plyr_play_count, teal_play_count)
           select uri, likes, comments, plays, plyr, bluesky, by_shares, shares, reposts, told, recorded from compared
           on conflict (uri) do update set like_count = excluded.like_count, comment_count = excluded.comment_count,
             play_count = excluded.play_count, plyr_like_count = excluded.plyr_like_count,
             bluesky_like_count = excluded.bluesky_like_count, share_like_count = excluded.share_like_count,
             share_count = excluded.share_count, repost_count = excluded.repost_count,
             plyr_play_count = excluded.plyr_play_count, teal_play_count = excluded.teal_play_count"#
    )
    .execute(db)
    .await?;
    Ok(mended.rows_affected())
}

async fn recount_tags(db: &mut PgConnection) -> sqlx::Result<u64> {
    let mended = sqlx::query!(
        r#"with truth as (
             select tag, count(*) as tracks
             from track_tag join track using (uri) join actor a on a.did = track.did and a.active group by tag
           ), compared as (
             select tag, coalesce(t.tracks, 0) as tracks from truth t full join tag_count c using (tag)
             where coalesce(t.tracks, 0) <> coalesce(c.tracks, 0)
           )
           insert into tag_count (tag, tracks) select tag, tracks from compared
           on conflict (tag) do update set tracks = excluded.tracks"#
    )
    .execute(db)
    .await?;
    Ok(mended.rows_affected())
}

async fn recount_links(db: &mut PgConnection) -> sqlx::Result<u64> {
    let mended = sqlx::query!(
        r#"with truth as (
             select target, collection, path, count(*) as records, count(distinct l.did) as people
             from link l join actor a on a.did = l.did and a.active group by target, collection, path
           ), compared as (
             select target, collection, path, coalesce(t.records, 0) as records, coalesce(t.people, 0) as people
             from truth t full join link_count c using (target, collection, path)
             where (coalesce(t.records, 0), coalesce(t.people, 0))
                is distinct from (coalesce(c.records, 0), coalesce(c.people, 0))
           )
           insert into link_count as c (target, collection, path, records, people)
           select target, collection, path, records, people from compared
           on conflict (target, collection, path)
             do update set records = excluded.records, people = excluded.people"#
    )
    .execute(db)
    .await?;
    Ok(mended.rows_affected())
}
