//! Every number, counted anew from the records alone: by reading their bytes and not the rows that were made of them.
//!
//! All in one snapshot, so that it may be asked while the service runs: numbers move in the transactions that move what they
//! count, and any snapshot sees both or neither.

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::copy::{self, Rows, Target};
use crate::link::names::Names;
use crate::record::{Registry, Row};
use crate::syntax::AtUri;

/// Records that are read at once.
const PAGE: i64 = 2000;
/// Numbers that are named; the rest are counted.
pub const NAMED_MAX: usize = 1000;

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Numbers {
    /// Records read.
    pub records: u64,
    /// Numbers that are not what the records say, at most [`NAMED_MAX`] of them.
    pub wrong: Vec<Wrong>,
    /// How many there are.
    pub wrong_count: u64,
}

/// A number that is not what the records say.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Wrong {
    /// What it is of.
    pub uri: String,
    /// Which.
    pub name: String,
    /// What the records say.
    pub counted: i64,
    /// What stands there.
    pub found: i64,
}

const LINKS: Target = copy::into!(audit_link: uri, did, collection, path, target);
const PLAYS: Target = copy::into!(audit_play: did, subject, play_key, played_at);

const TAGS: Target = copy::into!(audit_tag: did, tag);

const TABLES: &str = r#"
create temp table audit_link (uri text collate "C", did text collate "C", collection text, path text, target text collate "C")
  on commit drop;
create temp table audit_play (did text collate "C", subject text collate "C", play_key text,
  played_at timestamptz) on commit drop;
create temp table audit_tag (did text collate "C", tag text collate "C") on commit drop"#;

/// What the records say beside what stands there, where they differ.
const WRONG: &str = r#"
with link as materialized (select l.* from audit_link l join actor a on a.did = l.did and a.active),
-- A post that it quotes is nothing that a post shares.
share as materialized (select distinct uri as post, target as subject from link
                        where collection = 'app.bsky.feed.post' and split_part(target, '/', 4) <> 'app.bsky.feed.post'),
liking as materialized (
  select *, case when collection = 'app.bsky.feed.repost' then 'repost' else 'like' end as verb,
         collection like 'app.bsky.%' as is_bluesky, split_part(target, '/', 4) = 'app.bsky.feed.post' as is_of_post
  from link where collection ~ '\.(like|repost)$'),
done as materialized (
  select target as subject, did, verb, case when is_bluesky then 'bluesky' else 'plyr' end as source
  from liking where not (is_bluesky and is_of_post)
  union
  select share.subject, did, verb, 'share' from liking join share on share.post = target where is_bluesky),
told as materialized (
  select e.subject_uri as subject, exists (
    select from audit_play p where p.did = e.listener and p.subject = e.subject_uri
      and abs(extract(epoch from p.played_at - e.played_at)) <= e.window_s) as covered
  from play_event e left join actor a on a.did = e.listener where a.active or e.listener like 'anonymous:%'),
played as (
  select subject, 'plays' as name, count(distinct (p.did, play_key)) as number
  from audit_play p join actor a on a.did = p.did and a.active group by subject
  union all select subject, 'plays', count(*) from told where not covered group by subject
  union all select subject, 'told', count(*) from told group by subject
  union all
  select subject, 'recorded', count(distinct (p.did, play_key))
  from audit_play p join actor a on a.did = p.did and a.active group by subject),
truth as (
  select subject as uri, 'likes' as name, count(distinct did) as number from done where verb = 'like' group by subject
  union all
  select subject, source, count(distinct did) from done where verb = 'like' group by subject, source
  union all
  select subject, 'reposts', count(distinct did) from done where verb = 'repost' group by subject
  union all
  select subject, 'shares', count(*) from share group by subject
  union all
  select target, 'comments', count(*) from link where collection ~ '\.comment$' group by target
  union all
  select subject, name, sum(number)::bigint from played group by subject, name
  union all
  select tag, 'tracks of the tag', count(*) from audit_tag t join actor a on a.did = t.did and a.active group by tag
  union all
  select target, 'records of ' || collection || ':' || path, count(*) from link group by target, collection, path
  union all
  select target, 'people of ' || collection || ':' || path, count(distinct did) from link group by target, collection, path
), held as (
  select uri, name, number from subject_count, lateral (values
    ('likes', like_count), ('plyr', plyr_like_count), ('bluesky', bluesky_like_count), ('share', share_like_count),
    ('reposts', repost_count), ('shares', share_count), ('comments', comment_count), ('plays', play_count),
    ('told', plyr_play_count), ('recorded', teal_play_count))
    as n (name, number) where number <> 0
  union all
  select tag, 'tracks of the tag', tracks from tag_count where tracks <> 0
  union all
  select target, name || ' of ' || collection || ':' || path, number from link_count,
    lateral (values ('records', records), ('people', people)) as n (name, number) where number <> 0
)
select uri, name, coalesce(truth.number, 0) as counted, coalesce(held.number, 0) as found
from truth full join held using (uri, name)
where truth.number is distinct from held.number
order by uri, name"#;

/// Counts every number anew from the records. `progress` hears how many have been read.
pub async fn count(pool: &PgPool, registry: &Registry, progress: impl Fn(u64)) -> sqlx::Result<Numbers> {
    let mut tx = pool.begin_with("begin isolation level repeatable read").await?;
    for sql in TABLES.split(';') {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *tx).await?;
    }
    let (mut numbers, mut after) = (Numbers::default(), String::new());
    loop {
        let rows = sqlx::query!(
            r#"select uri, value as "value!", first_seen_at from record
               where uri > $1 and value is not null order by uri limit $2"#,
            after,
            PAGE
        )
        .fetch_all(&mut *tx)
        .await?;
        let Some(last) = rows.last() else { break };
        after = last.uri.clone();
        numbers.records += rows.len() as u64;
        let rows: Vec<_> =
            rows.into_iter().filter_map(|row| Some((row.uri.parse::<AtUri>().ok()?, row))).collect();
        // What they mean by handles is as it is written: nothing is looked up here.
        let uris: Vec<&str> = rows.iter().map(|(uri, _)| uri.as_str()).collect();
        let mut names = Names::written(&mut tx, &uris).await?;
        let read: Vec<(AtUri, Row)> = rows
            .into_iter()
            .filter_map(|(uri, row)| {
                let read = registry.read_by(&uri, &row.value, row.first_seen_at, &mut names).ok()?;
                Some((uri, read))
            })
            .collect();
        note(&mut tx, &read).await?;
        progress(numbers.records);
    }
    let wrong: Vec<Wrong> = sqlx::query_as(WRONG).fetch_all(&mut *tx).await?;
    tx.rollback().await?;
    numbers.wrong_count = wrong.len() as u64;
    numbers.wrong = wrong.into_iter().take(NAMED_MAX).collect();
    Ok(numbers)
}

async fn note(db: &mut PgConnection, read: &[(AtUri, Row)]) -> sqlx::Result<()> {
    let (mut links, mut plays, mut tags) = (Rows::into(LINKS), Rows::into(PLAYS), Rows::into(TAGS));
    for (uri, row) in read {
        for (path, target) in row.links().into_iter().flat_map(|links| links.links) {
            links.row().field(uri.as_str()).field(uri.authority()).field(uri.collection());
            links.field(path).field(target);
        }
        for tag in row.tags() {
            tags.row().field(uri.authority()).field(tag);
        }
        if let Some((subject, key, played_at)) = row.play() {
            plays.row().field(uri.authority()).field(subject).field(key).field(played_at);
        }
    }
    links.write(db).await?;
    plays.write(db).await?;
    tags.write(db).await
}
