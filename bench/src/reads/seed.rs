//! What an AppView reads: artists, tracks, likes, comments and albums, some far more liked than others, with names of which some
//! words are far more common than others. Rows as the door leaves them, with real records.

use indexer::dag;
use indexer::search;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgPool};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub artists: usize,
    pub tracks: usize,
    pub likes: usize,
    pub comments: usize,
    pub albums: usize,
}

/// What names are made of.
const WORDS: usize = 20_000;
/// Tracks of an album.
const ALBUM: usize = 10;
/// Rows of one statement.
const CHUNK: usize = 5_000;
/// Everything is of this year.
const BEGINNING: &str = "timestamptz '2025-01-01'";

/// The same numbers each time.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of so many, the first ones more often by a power.
    pub fn pick(&mut self, count: usize, power: f64) -> usize {
        ((self.share().powf(power) * count as f64) as usize).min(count - 1)
    }
}

/// A word by its number: syllables.
fn word(number: usize) -> String {
    const HEADS: [&str; 16] =
        ["b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st"];
    const TAILS: [&str; 12] = ["a", "e", "i", "o", "u", "an", "er", "in", "on", "ay", "ight", "ove"];
    let (mut rest, mut text) = (number * 7 + 3, String::new());
    loop {
        text.push_str(HEADS[rest % 16]);
        text.push_str(TAILS[rest / 16 % 12]);
        rest /= 192;
        if rest == 0 {
            return text;
        }
    }
}

/// One to five words.
pub fn title(dice: &mut Dice) -> String {
    let words = 1 + dice.pick(5, 1.3);
    (0..words).map(|_| word(dice.pick(WORDS, 3.0))).collect::<Vec<_>>().join(" ")
}

pub fn did(artist: usize) -> String {
    let letters = |digit: char| char::from(b'a' + digit.to_digit(16).unwrap_or(0) as u8);
    format!("did:plc:{}", format!("{artist:024x}").chars().map(letters).collect::<String>())
}

fn rkey(number: usize) -> String {
    let letters = |digit: char| char::from(b'a' + digit.to_digit(16).unwrap_or(0) as u8);
    format!("3{}", format!("{number:012x}").chars().map(letters).collect::<String>())
}

pub fn track(number: usize, artists: usize) -> String {
    format!("at://{}/fm.plyr.track/{}", did(number % artists), rkey(number))
}

fn encoded(record: &Value) -> anyhow::Result<(String, Vec<u8>)> {
    let (cid, value) = dag::encode(&dag::from_json(record).map_err(|error| anyhow::anyhow!("{error}"))?)?;
    Ok((cid.to_string(), value.to_vec()))
}

/// Fills a migrated database.
pub async fn seed(pool: &PgPool, size: Size) -> anyhow::Result<()> {
    people(pool, size).await?;
    tracks(pool, 0..size.tracks, size.artists).await?;
    for sql in [LIKES, COMMENTS, COUNTS, ALBUMS, LISTS, ITEMS, SLUGS] {
        let sql = [
            ("LIKES", size.likes),
            ("COMMENTS", size.comments),
            ("ALBUMS", size.albums),
            ("TRACKS", size.tracks),
            ("ARTISTS", size.artists),
        ]
        .iter()
        .fold(sql.replace("BEGINNING", BEGINNING), |sql, (name, number)| {
            sql.replace(name, &number.to_string())
        });
        pool.execute(AssertSqlSafe(sql)).await?;
    }
    findable(pool).await
}

/// Has search know all of it.
pub async fn findable(pool: &PgPool) -> anyhow::Result<()> {
    search::due::all(pool).await?;
    while search::settle(pool).await? {}
    search::rerank(pool).await?;
    pool.execute("vacuum analyze").await?;
    // What was written just now would otherwise go to the disk while answers are measured.
    pool.execute("checkpoint").await?;
    Ok(())
}

async fn people(pool: &PgPool, size: Size) -> anyhow::Result<()> {
    let mut dice = Dice::new(1);
    let dids: Vec<String> = (0..size.artists).map(did).collect();
    let handles: Vec<String> = (0..size.artists).map(|n| format!("{}{n}.example", word(n))).collect();
    let names: Vec<String> = (0..size.artists).map(|_| title(&mut dice)).collect();
    sqlx::query(
        "insert into actor (did, handle, handle_at, pds, resolved_at, looked_at)
         select did, handle, now(), 'https://pds.example', now(), now() from unnest($1::text[], $2::text[]) as p (did, handle)",
    )
    .bind(&dids)
    .bind(&handles)
    .execute(pool)
    .await?;
    sqlx::query("insert into repo (did) select * from unnest($1::text[])").bind(&dids).execute(pool).await?;
    sqlx::query(
        "insert into bsky_profile (uri, did, display_name)
         select 'at://' || did || '/app.bsky.actor.profile/self', did, name from unnest($1::text[], $2::text[]) as p (did, name)",
    )
    .bind(&dids)
    .bind(&names)
    .execute(pool)
    .await?;
    Ok(())
}

/// Tracks with their records, numbers, bytes and tags.
pub async fn tracks(pool: &PgPool, numbers: std::ops::Range<usize>, artists: usize) -> anyhow::Result<()> {
    let mut dice = Dice::new(2 + numbers.start as u64);
    let all: Vec<usize> = numbers.collect();
    for chunk in all.chunks(CHUNK) {
        let (mut uris, mut titles, mut cids, mut values, mut tags) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for number in chunk {
            let title = title(&mut dice);
            let tag = [word(dice.pick(200, 2.0)), word(200 + dice.pick(200, 2.0))];
            let record = json!({
                "$type": "fm.plyr.track", "title": title, "artist": "somebody", "fileType": "mp3", "duration": 200,
                "audioUrl": format!("https://audio.example/{number}.mp3"), "createdAt": "2025-01-02T03:04:05Z", "tags": tag,
                "album": format!("album {}", number / artists / ALBUM),
                "description": "what somebody says of it, in a sentence or two, as people do when they are asked to say something",
            });
            let (cid, value) = encoded(&record)?;
            uris.push(track(*number, artists));
            titles.push(title);
            cids.push(cid);
            values.push(value);
            tags.push(tag.join(","));
        }
        sqlx::query(AssertSqlSafe(format!(
            "with t as materialized (
               select uri, split_part(uri, '/', 3) as did, split_part(uri, '/', 5) as rkey, title, cid, value, string_to_array(tags, ',') as tags,
                      {BEGINNING} + n * interval '7 minutes' as at, n
                 from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::bigint[]) as t (uri, title, cid, value, tags, n)),
             records as (
               insert into record (uri, did, collection, rkey, epoch, rev, proven, cid, value, first_seen_at, indexed_at)
               select uri, did, 'fm.plyr.track', rkey, 0, '3lr3xwyj5y22c', true, cid, value, at, at from t),
             sounds as (
               insert into blob (cid, file_id, size_bytes, mime, storage_key)
               select 'bafkreia' || n, lpad(to_hex(n), 16, '0'), 4000000, 'audio/mpeg', 'a' || n from t),
             covers as (
               insert into blob (cid, file_id, size_bytes, mime, storage_key)
               select 'bafkreic' || n, 'c' || lpad(to_hex(n), 15, '0'), 200000, 'image/jpeg', 'c' || n from t where n % 2 = 0),
             numbers as (insert into public_id (kind, uri) select 'track', uri from t),
             tagged as (insert into track_tag (uri, tag, sort_at) select distinct uri, unnest(tags), at from t)
             insert into track (uri, did, title, artist, album, album_base, file_type, duration_s, audio_cid, image_cid, tags, created_at, sort_at)
             select uri, did, title, 'somebody', 'album ' || n / {artists} / {ALBUM}, 'album-' || n / {artists} / {ALBUM}, 'mp3', 200, 'bafkreia' || n,
                    case when n % 2 = 0 then 'bafkreic' || n end, tags, at, at from t"
        )))
        .bind(&uris)
        .bind(&titles)
        .bind(&cids)
        .bind(&values)
        .bind(&tags)
        .bind(chunk.iter().map(|number| *number as i64).collect::<Vec<i64>>())
        .execute(pool)
        .await?;
    }
    Ok(())
}

/// Some are liked far more than others, by people who are artists, too.
const LIKES: &str = "
    with likes as materialized (
      select 'at://' || a.did || '/fm.plyr.like/3' || translate(lpad(to_hex(s.n), 12, '0'), '0123456789', 'ghijklmnop') as uri, a.did, t.uri as subject,
             BEGINNING + s.n * interval '30 seconds' as at
        from (select n, 1 + floor(power(random(), 3) * TRACKS)::bigint as t, 1 + floor(random() * ARTISTS)::bigint as a
                from generate_series(1, LIKES) as s (n)) as s
        join (select uri, row_number() over (order by uri) as n from track) as t on t.n = s.t
        join (select did, row_number() over (order by did) as n from actor) as a on a.n = s.a),
    records as (
      insert into record (uri, did, collection, rkey, epoch, rev, proven, cid, value, first_seen_at, indexed_at)
      select uri, did, 'fm.plyr.like', split_part(uri, '/', 5), 0, '3lr3xwyj5y22c', true, 'bafyreic', 'x', at, at from likes)
    insert into reaction (uri, subject_uri, did, verb, source, created_at, sort_at) select uri, subject, did, 'like', 'plyr', at, at from likes";
const COMMENTS: &str = "
    with words as materialized (
      select 'at://' || a.did || '/fm.plyr.comment/3' || translate(lpad(to_hex(s.n), 12, '0'), '0123456789', 'ghijklmnop') as uri, a.did, t.uri as subject, s.n
        from (select n, 1 + floor(power(random(), 3) * TRACKS)::bigint as t, 1 + floor(random() * ARTISTS)::bigint as a
                from generate_series(1, COMMENTS) as s (n)) as s
        join (select uri, row_number() over (order by uri) as n from track) as t on t.n = s.t
        join (select did, row_number() over (order by did) as n from actor) as a on a.n = s.a),
    records as (
      insert into record (uri, did, collection, rkey, epoch, rev, proven, cid, value, first_seen_at, indexed_at)
      select uri, did, 'fm.plyr.comment', split_part(uri, '/', 5), 0, '3lr3xwyj5y22c', true, 'bafyreic', 'x', now(), now() from words),
    numbers as (insert into public_id (kind, uri) select 'comment', uri from words)
    insert into comment (uri, subject_uri, subject_cid, did, body, timestamp_ms, created_at)
    select uri, subject, 'bafyreic', did, 'what somebody says of this moment', n % 200000, now() from words";
const COUNTS: &str = "
    insert into tag_count (tag, tracks) select tag, count(*) from track_tag group by tag;
    insert into subject_count (uri, like_count, plyr_like_count, comment_count, play_count)
    select t.uri, coalesce(l.n, 0), coalesce(l.n, 0), coalesce(c.n, 0), coalesce(l.n, 0) * 20
      from track t
      left join (select subject_uri, count(distinct did) as n from reaction group by 1) as l on l.subject_uri = t.uri
      left join (select subject_uri, count(*) as n from comment group by 1) as c on c.subject_uri = t.uri
     where l.n is not null or c.n is not null";
/// Each artist has five albums that tracks name; the list of each is a record of its own.
const ALBUMS: &str = "
    insert into album (did, slug, list_uri)
    select did, base, 'at://' || did || '/fm.plyr.list/3' || translate(base, '-0123456789', 'aghijklmnop') || 'xx'
      from (select distinct did, album_base as base from track order by 1, 2 limit ALBUMS) as a";
const LISTS: &str = "
    insert into record (uri, did, collection, rkey, epoch, rev, proven, cid, value, first_seen_at, indexed_at)
    select list_uri, did, 'fm.plyr.list', split_part(list_uri, '/', 5), 0, '3lr3xwyj5y22c', true, 'bafyreic', decode('a1646e616d6561', 'hex') || decode('61', 'hex'), now(), now() from album;
    insert into list (uri, did, name, list_type, created_at, sort_at)
    select list_uri, did, slug, 'album', now(), now() from album";
const ITEMS: &str = "
    insert into list_item (list_uri, position, subject_uri, subject_cid)
    select a.list_uri, row_number() over (partition by a.id order by t.sort_at, t.uri) - 1, t.uri, 'bafyreic'
      from album a join track t on t.did = a.did and t.album_base = a.slug";
const SLUGS: &str = "
    insert into album_slug (did, slug, album, base, n) select did, slug, id, slug, 1 from album;
    insert into link (uri, did, collection, rkey, path, target, created_at, sort_at)
    select list_uri, split_part(list_uri, '/', 3), 'fm.plyr.list', split_part(list_uri, '/', 5), 'items[].subject.uri', subject_uri, now(), now()
      from list_item";
