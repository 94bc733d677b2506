//! A year of a music network: ten million plays, a million likes, and one track that a hundred thousand people like.
//!
//! Rows as the door and the charts leave them, made by SQL: to apply so many one by one would take hours.

use indexer::dag;
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, PgPool};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub plays: usize,
    pub likes: usize,
    /// Likes of the one.
    pub fans: usize,
}

pub const LISTENERS: usize = 100_000;
pub const TRACKS: usize = 50_000;
const ARTISTS: usize = 1_000;
const TAGS: usize = 200;
const HOSTS: usize = 50;

/// A DID of a number, in SQL: hexadecimal in the letters that a DID may have.
const DID: &str = "create function bench_did(n bigint) returns text language sql immutable as
    $$ select 'did:plc:' || translate(lpad(to_hex(n), 24, '0'), '0189', 'ghij') $$;
 create function bench_track(n bigint) returns text language sql immutable as
    $$ select 'at://' || bench_did(1000000 + n % ARTISTS) || '/fm.plyr.track/3' || translate(lpad(to_hex(n), 12, '0'), '0189', 'ghij') $$";

/// The statements, in order. Of listeners and tracks some are heard far more than others.
const ROWS: &[&str] = &[
    "select setseed(0.5)",
    "insert into actor (did, handle, handle_at, pds, resolved_at, looked_at, first_seen_at)
     select bench_did(n), 'p' || n || '.example', now(), 'https://pds' || n % HOSTS || '.example', now(), now(), now() - interval '1 year'
       from (select generate_series(1, LISTENERS) union all select generate_series(1000000, 1000000 + ARTISTS - 1)) as people (n)",
    "insert into repo (did) select did from actor",
    "insert into record (uri, did, collection, rkey, epoch, rev, proven, cid, value, first_seen_at, indexed_at)
     select uri, split_part(uri, '/', 3), 'fm.plyr.track', split_part(uri, '/', 5), 0, '3lr3xwyj5y22c', true, 'TRACK_CID', 'TRACK_VALUE', now(), now()
       from (select bench_track(generate_series(1, TRACKS)) as uri) as t",
    "insert into track (uri, did, title, artist, album, album_base, file_type, duration_s, audio_url, tags, created_at, sort_at)
     select bench_track(n), bench_did(1000000 + n % ARTISTS), 'track ' || n, 'somebody', 'Album ' || n % 3, 'album-' || n % 3, 'mp3', 200, 'https://audio.example/x.mp3',
            array['tag ' || n % TAGS, 'tag ' || (n * 7 + 1) % TAGS], now() - interval '1 year', now() - interval '1 year'
       from generate_series(1, TRACKS) as t (n)",
    "insert into public_id (kind, uri) select 'track', uri from track",
    "insert into track_tag (uri, tag, sort_at) select distinct uri, unnest(tags), sort_at from track",
    "insert into tag_count (tag, tracks) select tag, count(*) from track_tag group by tag",
    "insert into album (did, slug) select distinct did, album_base from track",
    "insert into album_slug (did, slug, album, base, n) select did, slug, id, slug, 1 from album",
    "insert into chart_origin (name) select 'pds' || n || '.example' from generate_series(0, HOSTS - 1) as t (n) order by n",
    "insert into chart_listener (name, origin_id) select bench_did(n), 1 + n % HOSTS from generate_series(1, LISTENERS) as t (n) order by n",
    "insert into chart_subject (kind, key) select 1, bench_track(n) from generate_series(1, TRACKS) as t (n) order by n",
    "insert into chart_subject (kind, key) select 2, bench_did(1000000 + n) from generate_series(0, ARTISTS - 1) as t (n) order by n",
    "insert into chart_subject (kind, key) select 3, 'tag ' || n from generate_series(0, TAGS - 1) as t (n) order by n",
    "insert into chart_member select n, TRACKS + 1 + n % ARTISTS from generate_series(1, TRACKS) as t (n)",
    "insert into chart_member select n, TRACKS + ARTISTS + 1 + n % TAGS from generate_series(1, TRACKS) as t (n)
     union select n, TRACKS + ARTISTS + 1 + (n * 7 + 1) % TAGS from generate_series(1, TRACKS) as t (n)",
    "drop index heard_hour_idx; alter table heard drop constraint heard_pkey",
    "create temp table bench_heard as
     select (1 + floor(power(random(), 2) * LISTENERS))::integer as listener_id, 1::smallint as kind,
            (select hour from chart_clock) - floor(random() * 8760)::integer as hour,
            (1 + floor(power(random(), 3) * TRACKS))::integer as subject_id from generate_series(1, PLAYS)",
    "insert into heard select listener_id, kind, hour, subject_id, least(count(*), 20) from bench_heard group by 1, 2, 3, 4",
    "drop table bench_heard",
    "alter table heard add primary key (listener_id, kind, hour, subject_id) include (plays)",
    "create index heard_hour_idx on heard (hour)",
    "insert into liked select (1 + floor(power(random(), 2) * LISTENERS))::integer, (1 + floor(power(random(), 3) * TRACKS))::integer,
            (select hour from chart_clock) - floor(random() * 8760)::integer from generate_series(1, LIKES) on conflict do nothing",
    "alter table chart_audience drop constraint chart_audience_pkey; drop index chart_audience_listener_idx",
    "insert into chart_audience (period, subject_id, listener_id, kind, plays, likes)
     with counted as (
       select listener_id, subject_id, hour, plays::integer, 0 as likes from heard union all
       select listener_id, subject_id, hour, 0, 1 from liked),
     pairs as (
       select p.period, listener_id, subject_id, sum(plays)::integer as plays, sum(likes)::integer as likes
       from counted, chart_clock c, (values (0, 1000000), (1, 720), (2, 168), (3, 24)) as p (period, hours)
       where counted.hour > c.hour - p.hours group by p.period, listener_id, subject_id)
     select period, subject_id, listener_id, 1, plays, likes from pairs
     union all
     select period, m.key_id, listener_id, s.kind, sum(plays), sum(likes) from pairs
       join chart_member m on m.track_id = pairs.subject_id join chart_subject s on s.id = m.key_id
      group by period, m.key_id, listener_id, s.kind",
    "alter table chart_audience add primary key (period, subject_id, listener_id)",
    "create index chart_audience_listener_idx on chart_audience (listener_id, period, kind, plays desc, subject_id desc)",
    "insert into chart_part select period, subject_id, origin_id, sum(plays), count(*) filter (where plays > 0), sum(likes)
       from chart_audience a join chart_listener l on l.id = a.listener_id group by period, subject_id, origin_id",
    "insert into chart select period, s.kind, subject_id, plays, listeners, likes, least(plays, 2 * (plays - p) + 10),
            least(listeners, 2 * (listeners - l) + 10), least(likes, 2 * (likes - k) + 10), p, l, k
       from (select period, subject_id, sum(plays) as plays, sum(listeners) as listeners, sum(likes) as likes,
                    max(plays) as p, max(listeners) as l, max(likes) as k from chart_part group by period, subject_id) as t
       join chart_subject s on s.id = subject_id",
    "insert into record (uri, did, collection, rkey, epoch, rev, proven, cid, value, first_seen_at, indexed_at)
     select 'at://' || bench_did(n) || '/fm.plyr.like/3' || translate(lpad(to_hex(n), 12, '0'), '0189', 'ghij'), bench_did(n),
            'fm.plyr.like', '3' || translate(lpad(to_hex(n), 12, '0'), '0189', 'ghij'), 0, '3lr3xwyj5y22c', true, 'TRACK_CID',
            'x', now(), now() from generate_series(1, FANS) as t (n)",
    "insert into reaction (uri, subject_uri, did, verb, source, created_at, sort_at)
     select uri, bench_track(1), did, 'like', 'plyr', now() - random() * interval '300 days', now() - random() * interval '300 days'
       from record where collection = 'fm.plyr.like'",
    "insert into link (uri, did, collection, rkey, path, target, created_at, sort_at)
     select uri, did, collection, rkey, 'subject.uri', bench_track(1), now(), now() from record where collection = 'fm.plyr.like'",
    "insert into link_count values (bench_track(1), 'fm.plyr.like', 'subject.uri', FANS, FANS)",
    "insert into subject_count (uri, like_count, plyr_like_count) values (bench_track(1), FANS, FANS)",
];

/// Fills a migrated database.
pub async fn seed(pool: &PgPool, size: Size) -> anyhow::Result<()> {
    let track = json!({
        "$type": "fm.plyr.track", "title": "a track among many", "artist": "somebody", "fileType": "mp3", "duration": 200,
        "audioUrl": "https://audio.example/x.mp3", "createdAt": "2026-01-02T03:04:05Z", "tags": ["one", "two"],
    });
    let (cid, value) = dag::encode(&dag::from_json(&track).map_err(|error| anyhow::anyhow!("{error}"))?)?;
    let value: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut db = pool.acquire().await?;
    db.execute("set work_mem = '512MB'; set maintenance_work_mem = '1GB'; set synchronous_commit = off")
        .await?;
    for sql in std::iter::once(&DID).chain(ROWS) {
        let sql = sql.replace("TRACK_CID", &cid.to_string()).replace("TRACK_VALUE", &format!("\\x{value}"));
        let numbers = [
            ("LISTENERS", LISTENERS),
            ("TRACKS", TRACKS),
            ("ARTISTS", ARTISTS),
            ("TAGS", TAGS),
            ("HOSTS", HOSTS),
            ("PLAYS", size.plays),
            ("LIKES", size.likes),
            ("FANS", size.fans),
        ];
        let sql = numbers.iter().fold(sql, |sql, (name, number)| sql.replace(name, &number.to_string()));
        let began = std::time::Instant::now();
        db.execute(AssertSqlSafe(sql.clone())).await?;
        if began.elapsed().as_secs() > 5 {
            let first = sql.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
            eprintln!("charts: {first}: {:.0} s", began.elapsed().as_secs_f64());
        }
    }
    db.execute("vacuum analyze").await?;
    Ok(())
}
