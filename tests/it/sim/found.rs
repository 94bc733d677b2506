//! What the tables hold, in the words of the oracle.

use std::collections::BTreeSet;

use serde_json::Value;
use sim::oracle::{Expected, Known, Tables};
use sqlx::{Connection, PgConnection, PgPool};

use super::scene::Scene;
use super::sums;

/// (table, query of key, DID and row). Times as microseconds, and no column that depends on when something was seen.
const QUERIES: [(&str, &str); 19] = [
    (
        "actor",
        "select did, did, case when active then jsonb_build_object('status', status, 'handle', handle, 'pds', pds)
                               else jsonb_build_object('status', status) end from actor",
    ),
    (
        "repo",
        "select did, did, jsonb_build_object('state', state, 'rev', rev, 'data_root', data_root) from repo
         where state <> 'unknown'",
    ),
    (
        "record",
        // What somebody of another collection says need not be proven.
        "select uri, did, jsonb_build_object('cid', cid, 'value_sha256', encode(sha256(value), 'hex'))
             || case when collection like 'app.bsky.feed.%' then '{}' else jsonb_build_object('proven', proven) end
         from record where cid is not null",
    ),
    ("record_problem", "select uri, did, '{}'::jsonb from record where cid is not null and problem is not null"),
    (
        "track",
        "select uri, did, jsonb_build_object('did', did, 'title', title, 'artist', artist, 'album', album,
           'description', description, 'file_type', file_type, 'duration_s', duration_s, 'audio_cid', audio_cid,
           'audio_url', audio_url, 'image_cid', image_cid, 'image_url', image_url, 'tags', tags,
           'feature_dids', feature_dids, 'created_at', us(created_at)) from track",
    ),
    (
        "link",
        "select uri || ' ' || path || ' ' || target, did, jsonb_build_object('did', did, 'collection', collection) from link",
    ),
    (
        "shared_post",
        "select post_uri || ' ' || subject_uri, did, jsonb_build_object('did', did, 'created_at', us(created_at))
         from shared_post",
    ),
    (
        "reaction",
        "select uri || ' ' || subject_uri, did, jsonb_build_object('did', did, 'verb', verb, 'source', source, 'via', via,
           'created_at', us(created_at)) from reaction",
    ),
    (
        "comment",
        "select uri, did, jsonb_build_object('did', did, 'subject_uri', subject_uri, 'subject_cid', subject_cid,
           'body', body, 'timestamp_ms', timestamp_ms, 'created_at', us(created_at), 'updated_at', us(updated_at))
         from comment",
    ),
    (
        "list",
        "select uri, did, jsonb_build_object('did', did, 'name', name, 'list_type', list_type,
           'created_at', us(created_at), 'updated_at', us(updated_at)) from list",
    ),
    (
        "list_item",
        "select list_uri || ' ' || lpad(position::text, 3, '0'), split_part(list_uri, '/', 3),
           jsonb_build_object('subject_uri', subject_uri, 'subject_cid', subject_cid) from list_item",
    ),
    (
        "profile",
        "select uri, did, jsonb_build_object('did', did, 'bio', bio, 'avatar_url', avatar_url,
           'created_at', us(created_at), 'updated_at', us(updated_at)) from profile",
    ),
    (
        "bsky_profile",
        "select uri, did, jsonb_build_object('did', did, 'display_name', display_name, 'description', description,
           'avatar_cid', avatar_cid) from bsky_profile",
    ),
    (
        "play",
        "select uri, did, jsonb_build_object('did', did, 'track_name', track_name, 'artist_names', artist_names,
           'artist_mbids', artist_mbids, 'release_name', release_name, 'recording_mbid', recording_mbid, 'release_mbid', release_mbid, 'isrc', isrc,
           'duration_s', duration_s, 'origin_uri', origin_uri, 'service_uri', service_uri, 'subject_uri', subject_uri,
           'played_at', us(played_at)) from play",
    ),
    (
        "actor_status",
        "select uri, did, jsonb_build_object('did', did, 'track_name', track_name, 'artist_names', artist_names,
           'release_name', release_name, 'duration_s', duration_s, 'origin_uri', origin_uri, 'service_uri', service_uri,
           'subject_uri', subject_uri, 'started_at', us(started_at), 'expires_at', us(expires_at)) from actor_status",
    ),
    ("teal_profile", "select uri, did, jsonb_build_object('did', did, 'display_name', display_name) from teal_profile"),
    (
        "heard",
        "select l.name || ' ' || h.kind || ' ' || h.hour || ' ' || s.key, l.name, jsonb_build_object('plays', h.plays)
         from heard h join chart_listener l on l.id = h.listener_id join chart_subject s on s.id = h.subject_id",
    ),
    (
        "liked",
        "select l.name || ' ' || s.key, l.name, '{}'::jsonb
         from liked k join chart_listener l on l.id = k.listener_id join chart_subject s on s.id = k.subject_id",
    ),
    (
        "chart_member",
        "select t.key || ' ' || k.kind || ' ' || k.key, split_part(t.key, '/', 3), '{}'::jsonb
         from chart_member m join chart_subject t on t.id = m.track_id join chart_subject k on k.id = m.key_id",
    ),
];

/// Everything in one snapshot, without the rows of people that the oracle does not judge; and who is known.
pub async fn tables(pool: &PgPool, expected: &Expected, scene: &Scene) -> sqlx::Result<(Tables, Known)> {
    let mut db = pool.acquire().await?;
    let mut tx = db.begin_with("begin isolation level repeatable read").await?;
    let mut known = Known {
        actors: dids(&mut tx, "select did from actor").await?,
        seen: dids(&mut tx, "select did from repo where coalesce(rev, seen_rev) is not null").await?,
        hidden: dids(&mut tx, "select did from actor where not active and status <> 'deleted'").await?,
        unordered: scene.reads_hosts(),
        nothing_lost: scene.loses_nothing(),
        nothing_false: scene.tells_the_truth(),
        follows: dids(&mut tx, "select did from actor where followed_at is not null").await?,
        held: dids(&mut tx, "select uri from record where cid is not null").await?,
        shared: dids(&mut tx, "select post_uri from shared_post").await?,
        links: sqlx::query_as("select uri, path, target from link").fetch_all(&mut *tx).await?,
        ..Known::default()
    };
    let mut tables = Tables::new();
    for (name, sql) in QUERIES {
        let sql =
            sql.replace("us(created_at)", &us("created_at")).replace("us(updated_at)", &us("updated_at"));
        let sql = sql.replace("us(played_at)", &us("played_at")).replace("us(started_at)", &us("started_at"));
        let rows: Vec<(String, String, Value)> =
            sqlx::query_as(sqlx::AssertSqlSafe(sql.replace("us(expires_at)", &us("expires_at"))))
                .fetch_all(&mut *tx)
                .await?;
        if name == "repo" {
            known.followed = rows.iter().map(|(did, ..)| did.clone()).collect();
        }
        let judged = rows.into_iter().filter(|(_, did, _)| match name {
            "actor" => expected.judges_actor(did, &known),
            _ => expected.judges(did, &known),
        });
        tables.insert(name, judged.map(|(key, _, row)| (key, row)).collect());
    }
    let counts: Vec<(String, Value)> = sqlx::query_as(
        "select uri, (select jsonb_object_agg(name, number) from (values
           ('likes', like_count), ('plyr', plyr_like_count), ('bluesky', bluesky_like_count),
           ('by_shares', share_like_count), ('shares', share_count), ('reposts', repost_count),
           ('comments', comment_count), ('plays', play_count), ('told', plyr_play_count),
           ('recorded', teal_play_count)) as n (name, number) where number <> 0)
         from subject_count
         where (like_count, comment_count, play_count, share_count, repost_count, plyr_like_count, bluesky_like_count,
                share_like_count) <> (0, 0, 0, 0, 0, 0, 0, 0)",
    )
    .fetch_all(&mut *tx)
    .await?;
    tables.insert("subject_count", counts.into_iter().collect());
    let counts: Vec<(String, Value)> = sqlx::query_as(
        "select target || ' ' || collection || ' ' || path, jsonb_build_object('records', records, 'people', people)
         from link_count where (records, people) <> (0, 0)",
    )
    .fetch_all(&mut *tx)
    .await?;
    tables.insert("link_count", counts.into_iter().collect());
    tx.rollback().await?;
    Ok((tables, known))
}

/// A moment as microseconds since 1970.
fn us(column: &str) -> String {
    format!("(extract(epoch from {column}) * 1000000)::bigint")
}

async fn dids(db: &mut PgConnection, sql: &'static str) -> sqlx::Result<BTreeSet<String>> {
    Ok(sqlx::query_scalar::<_, String>(sql).fetch_all(db).await?.into_iter().collect())
}

/// What must hold in any state of the tables, whatever they say: each query finds what breaks it.
const INVARIANTS: [(&str, &str); 9] = [
    (
        "a feed's order is what the record claims, but never later than it was seen",
        "select uri from track t join record r using (uri) where t.sort_at <> least(t.created_at, r.first_seen_at)
         union all select uri from reaction l join record r using (uri) where l.sort_at <> least(l.created_at, r.first_seen_at)
         union all select uri from link l join record r using (uri) where l.sort_at <> least(l.created_at, r.first_seen_at)
         union all select uri from list l join record r using (uri) where l.sort_at <> least(l.created_at, r.first_seen_at)",
    ),
    (
        "a projection has a live record without a problem",
        "select p.uri from (select uri from track union all select uri from reaction union all select uri from link union all
           select post_uri from shared_post union all select uri from comment
           union all select uri from list union all select uri from profile union all select uri from bsky_profile
           union all select uri from play union all select uri from actor_status
           union all select uri from teal_profile) p
         left join record r using (uri) where r.cid is null or r.problem is not null",
    ),
    (
        "no rev of a record is newer than the newest that was proven, unless it was reported",
        "select uri from record r join repo using (did) where r.proven and r.epoch = repo.epoch and r.rev > repo.seen_rev",
    ),
    ("every record belongs to a repo that is known", "select uri from record where did not in (select did from repo)"),
    ("numbers do not fall below nothing", "select uri from subject_count where least(like_count, comment_count, play_count, plyr_like_count,
           bluesky_like_count, share_like_count, share_count, repost_count) < 0
         union all select target from link_count where least(records, people) < 0"),
    (
        "as many tracks have a tag as its number says",
        "with truth as (select tag, count(*) as tracks from track join actor a on a.did = track.did and a.active, unnest(tags) as tag
                        group by tag)
         select tag from truth t full join tag_count c using (tag) where coalesce(t.tracks, 0) <> coalesce(c.tracks, 0)
         union all
         select coalesce(t.tag, w.tag) from track_tag t full join (select uri, unnest(tags) as tag, sort_at from track) w
           using (uri, tag) where t.sort_at is distinct from w.sort_at",
    ),
    (
        "what is liked by way of a post is shared by it, and its author is to be seen",
        "select r.uri from reaction r where via is not null and not exists (select from shared_post s
           join actor a on a.did = s.did and a.active where s.post_uri = r.via and s.subject_uri = r.subject_uri)",
    ),
    (
        "whoever likes a post likes what it shares",
        "select l.uri from link l join shared_post s on s.post_uri = l.target join actor a on a.did = s.did and a.active
         where l.collection = any('{app.bsky.feed.like,app.bsky.feed.repost}') and not exists (
           select from reaction r where r.uri = l.uri and r.subject_uri = s.subject_uri)",
    ),
    ("no record is of an epoch to come", "select uri from record r join repo using (did) where r.epoch > repo.epoch"),
];

/// The invariants that do not hold, those of charts among them, with examples.
pub async fn broken_invariants(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    let mut broken = broken(pool, &INVARIANTS).await?;
    broken.extend(self::broken(pool, &sums::INVARIANTS).await?);
    Ok(broken)
}

/// Those of these that do not hold.
pub async fn broken(
    pool: &PgPool,
    invariants: &'static [(&'static str, &'static str)],
) -> sqlx::Result<Vec<String>> {
    let mut broken = Vec::new();
    for (what, sql) in invariants {
        let found: Vec<String> = sqlx::query_scalar(*sql).fetch_all(pool).await?;
        if !found.is_empty() {
            broken.push(format!(
                "{what}: not so for {} of them, e.g. {:?}",
                found.len(),
                &found[..found.len().min(3)]
            ));
        }
    }
    Ok(broken)
}

/// What there is of the first person that a list of differences names, for whoever looks for the reason.
pub async fn held(pool: &PgPool, differences: &[String]) -> String {
    let did = differences.iter().find_map(|line| {
        let from = line.find("did:")?;
        let end = line[from..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || ['%', ':', '.', '-'].contains(&c)))
            .unwrap_or(line.len() - from);
        Some(line[from..from + end].trim_end_matches(':').to_owned())
    });
    let rows = sqlx::query_scalar(
        "select row_to_json(a)::text from actor a where did = $1
         union all select row_to_json(r)::text from repo r where did = $1
         union all select row_to_json(j)::text from job j where key like $1 || '%'
         union all select (to_jsonb(p) - 'bytes')::text from problem p where did = $1",
    );
    let rows: sqlx::Result<Vec<String>> = rows.bind(did.unwrap_or_default()).fetch_all(pool).await;
    rows.map_or_else(|error| error.to_string(), |rows| rows.join("\n  "))
}
