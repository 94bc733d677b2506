//! The one who keeps what search reads.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, PgPool};

use super::Kind;
use super::due::{self, Due};
use super::entry::{self, Entry, Found, Thing};
use super::text;
use crate::apply::effects::CHANNEL;
use crate::change::Problem;
use crate::copy::{self, Rows, Target};
use crate::due::{BATCH, Dues};
use crate::problem;

/// The advisory lock of whoever keeps it.
pub(super) const TURN: i64 = 0x706c_7972_7365_6172;
/// Words of one thing, its artist's and album's among them.
const WORDS_MAX: usize = 96;

/// The columns of `search_start`.
pub const STARTS: Target = copy::into!(search_start: entry, start, kind, place, rank);
/// Of `search_slip`.
pub const SLIPS: Target = copy::into!(search_slip: form, word);

/// Keeps what search reads; see [`crate::due::run`].
#[derive(Debug, Clone, Copy)]
pub struct Search;

impl Dues for Search {
    const NAME: &'static str = "search";

    async fn begin(&self, _: &PgPool) -> sqlx::Result<()> {
        Ok(())
    }

    async fn settle(&self, pool: &PgPool, limit: i64) -> sqlx::Result<bool> {
        let mut tx = pool.begin().await?;
        let is_our_turn = sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock($1) as "is!""#, TURN)
            .fetch_one(&mut *tx)
            .await?;
        if !is_our_turn {
            return Ok(false);
        }
        let (dues, taken) = due::take(&mut tx, limit).await?;
        if taken == 0 {
            return Ok(false);
        }
        let makers =
            dues.iter().filter_map(|due| if let Due::Works(did) = due { Some(did.as_str()) } else { None });
        let makers: Vec<&str> = makers.collect();
        if !makers.is_empty() {
            due::spread(&mut tx, &makers).await?;
        }
        let found = entry::read(&mut tx, &dues).await?;
        let changed = write(&mut tx, found).await?;
        metrics::counter!("plyr_search_changes_total").increment(changed as u64);
        if changed > 0 {
            sqlx::query!("select pg_notify($1, '')", CHANNEL).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(taken as i64 >= limit || !makers.is_empty())
    }

    async fn put_aside(&self, pool: &PgPool, error: &sqlx::Error) -> sqlx::Result<()> {
        let mut tx = pool.begin().await?;
        sqlx::query!("select pg_advisory_xact_lock($1)", TURN).execute(&mut *tx).await?;
        for due in due::take(&mut tx, 1).await?.0 {
            let detail = format!("{due:?} cannot be kept for search: {error}").replace('\0', "\u{fffd}");
            let problem = Problem {
                kind: "SearchDue",
                seq: None,
                did: None,
                uri: None,
                detail,
                bytes: bytes::Bytes::new(),
            };
            problem::keep(&mut tx, None, &[problem]).await?;
        }
        tx.commit().await
    }
}

/// Keeps some of what is due. Returns whether there may be more.
pub async fn settle(pool: &PgPool) -> sqlx::Result<bool> {
    Search.settle(pool, BATCH).await
}

/// What is found by another name than it has, cannot be found though it is there, or can though it is not: a line each. For who
/// wonders, and for tests: what is due is among them.
pub async fn audit(pool: &PgPool) -> sqlx::Result<Vec<String>> {
    let mut tx = pool.begin().await?;
    sqlx::query!("set transaction isolation level repeatable read").execute(&mut *tx).await?;
    let (mut all, mut wrong) = (due::everything(&mut tx).await?, Vec::new());
    while !all.is_empty() {
        let rest = all.split_off(all.len().min(BATCH as usize));
        let found = entry::read(&mut tx, &all.into_iter().collect()).await?;
        all = rest;
        let asked = found.asked.clone();
        let (gone, missing) = compare(&mut tx, found).await?;
        wrong
            .extend(missing.keys().map(|(kind, key)| format!("{kind:?} {key} is not found as it is called")));
        if !gone.is_empty() && missing.is_empty() {
            wrong.push(format!("{} of {:?} … are found and not there", gone.len(), asked.first()));
        }
    }
    tx.rollback().await?;
    Ok(wrong)
}

/// Powers of two: what is liked a little more moves nothing.
fn rank(weight: i64) -> i16 {
    i16::try_from(u64::try_from(weight).unwrap_or(0).saturating_add(1).ilog2()).unwrap_or(0)
}

/// All that it may be looked for by, and what tells it from others of the same words.
fn words(entry: &Entry) -> BTreeSet<String> {
    let others = entry.other.iter().chain(&entry.beside).flat_map(|name| name.words());
    // Signs are looked for in names only: a point is in every handle.
    let others = others.filter(|word| word.chars().any(char::is_alphanumeric));
    let words = entry.name.words().into_iter().chain(others).take(WORDS_MAX);
    let other = entry.other.as_ref().map(|other| format!("={}", other.letters.replace(' ', "_")));
    words.chain(other).collect()
}

/// Beginnings of what it is called, each once, with their places.
fn starts(entry: &Entry) -> BTreeMap<String, i16> {
    let mut starts = BTreeMap::new();
    for (start, is_first) in entry.name.starts() {
        starts.entry(start).or_insert(if is_first { 0 } else { 1 });
    }
    for (start, _) in entry.other.iter().flat_map(|other| other.starts()) {
        starts.entry(start).or_insert(2);
    }
    if let Some(joined) = entry.name.joined() {
        starts.entry(joined).or_insert(3);
    }
    starts
}

/// Which rows do not say what was found, and what no row says.
async fn compare(db: &mut PgConnection, found: Found) -> sqlx::Result<(Vec<i64>, BTreeMap<Thing, Entry>)> {
    let Found { asked, mut entries } = found;
    let (kinds, keys): (Vec<i16>, Vec<&str>) =
        asked.iter().map(|(kind, key)| (*kind as i16, key.as_str())).unzip();
    let rows = sqlx::query!(
        r#"select e.id, e.kind, e.key, e.did, e.name, tsvector_to_array(e.words) as "words!"
             from unnest($1::smallint[], $2::text[]) as w (kind, key)
             join search_entry e on e.kind = w.kind and e.key = w.key collate "C""#,
        &kinds,
        &keys as &[&str]
    )
    .fetch_all(db)
    .await?;
    let mut gone = Vec::new();
    for row in rows {
        let Some(kind) = Kind::of_number(row.kind) else { continue };
        let thing = (kind, row.key);
        // Ranks are renewed by themselves.
        let stands = entries.get(&thing).is_some_and(|entry| {
            let is_called_so = row.name == entry.name.name() && row.did == entry.did;
            is_called_so && words(entry) == row.words.into_iter().collect()
        });
        if stands {
            entries.remove(&thing);
        } else {
            gone.push(row.id);
        }
    }
    Ok((gone, entries))
}

/// Has the tables say what was found. Returns how many things changed.
async fn write(db: &mut PgConnection, found: Found) -> sqlx::Result<usize> {
    let (gone, entries) = compare(db, found).await?;
    if !gone.is_empty() {
        sqlx::query!("delete from search_entry where id = any($1)", &gone).execute(&mut *db).await?;
    }
    let changed = gone.len().max(entries.len());
    if !entries.is_empty() {
        add(db, &entries).await?;
    }
    Ok(changed)
}

async fn add(db: &mut PgConnection, entries: &BTreeMap<Thing, Entry>) -> sqlx::Result<()> {
    let all: Vec<(&Thing, &Entry)> = entries.iter().collect();
    let words: Vec<BTreeSet<String>> = all.iter().map(|(_, entry)| words(entry)).collect();
    // No word has a space.
    let texts: Vec<String> =
        words.iter().map(|words| words.iter().map(String::as_str).collect::<Vec<_>>().join(" ")).collect();
    let ids = sqlx::query_scalar!(
        r#"with added as (
             insert into search_entry (kind, key, did, name, words, rank)
             select kind, key, did, name, array_to_tsvector(string_to_array(words, ' ')), rank
               from unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::smallint[])
                      as n (kind, key, did, name, words, rank)
             returning id, kind, key)
           select id as "id!" from unnest($1::smallint[], $2::text[]) with ordinality as n (kind, key, n)
             join added on added.kind = n.kind and added.key = n.key collate "C" order by n.n"#,
        &all.iter().map(|((kind, _), _)| *kind as i16).collect::<Vec<i16>>(),
        &all.iter().map(|((_, key), _)| key.as_str()).collect::<Vec<&str>>() as &[&str],
        &all.iter().map(|(_, entry)| entry.did.as_deref()).collect::<Vec<_>>() as &[Option<&str>],
        &all.iter().map(|(_, entry)| entry.name.name()).collect::<Vec<String>>(),
        &texts,
        &all.iter().map(|(_, entry)| rank(entry.weight)).collect::<Vec<i16>>()
    )
    .fetch_all(&mut *db)
    .await?;
    let mut rows = Rows::into(STARTS);
    for (id, ((kind, _), entry)) in ids.into_iter().zip(all) {
        for (start, place) in starts(entry) {
            rows.row().field(id).field(start).field(*kind as i16).field(place).field(rank(entry.weight));
        }
    }
    rows.write(db).await?;
    learn(db, words.into_iter().flatten().collect()).await
}

/// Keeps words by which something is called, for who types others.
async fn learn(db: &mut PgConnection, words: BTreeSet<String>) -> sqlx::Result<()> {
    let words: Vec<String> = words.into_iter().filter(|word| !word.starts_with('=')).collect();
    let new = sqlx::query_scalar!(
        "insert into search_word (word) select * from unnest($1::text[]) on conflict do nothing returning word",
        &words
    )
    .fetch_all(&mut *db)
    .await?;
    let mut rows = Rows::into(SLIPS);
    for word in &new {
        for form in text::slips(word) {
            rows.row().field(form).field(word);
        }
    }
    rows.write(db).await
}

/// Has ranks say how often things are liked and heard by now.
pub async fn rerank(pool: &PgPool) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock($1)", TURN).execute(&mut *tx).await?;
    sqlx::query!(
        "with weighed as (
           select e.id, floor(ln(1 + coalesce(c.like_count + case when e.kind = 1 then c.play_count else 0 end, 0)) / ln(2) + 1e-9)::smallint as rank
             from search_entry e left join subject_count c on c.uri = e.key where e.kind in (1, 4)
           union all
           select e.id, floor(ln(1 + coalesce(c.like_count, 0)) / ln(2) + 1e-9)::smallint
             from search_entry e join album a on a.id::text = e.key left join subject_count c on c.uri = a.list_uri
            where e.kind = 3
           union all
           select e.id, floor(ln(1 + coalesce(c.plays + c.likes, 0)) / ln(2) + 1e-9)::smallint
             from search_entry e
             left join chart_subject s on s.kind = $1 and s.key = e.key
             left join chart c on c.subject_id = s.id and c.period = $2
            where e.kind = 2
           union all
           select e.id, floor(ln(1 + coalesce(c.tracks, 0)) / ln(2) + 1e-9)::smallint
             from search_entry e left join tag_count c on c.tag = e.key where e.kind = 5),
         moved as (
           update search_entry e set rank = w.rank from weighed w where w.id = e.id and w.rank <> e.rank
           returning e.id, e.rank)
         update search_start s set rank = m.rank from moved m where s.entry = m.id",
        crate::chart::Kind::Artist as i16,
        crate::chart::Period::All as i16
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
