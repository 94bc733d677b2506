//! What is found: skeletons of search, kind by kind, best first.

use std::collections::{BTreeSet, HashMap};

use indexer::search::Kind;
use indexer::search::text::{Folded, START_MAX};
use sqlx::PgConnection;

use super::{score, slip};
use crate::error::Error;

/// Names that a range of beginnings is read for; where there are more, the best are looked for elsewhere.
const RANGE_MAX: i64 = 120;
/// Beginnings that are looked through for the best, where a range is longer than that.
const WALK_MAX: i64 = 5_000;
/// Things of all the words that are looked at: those that are heard and liked most, of so many.
const WORDS_MAX: i64 = 500;
const WORDS_AMONG: i64 = 2_000;
/// Words that a begun one may be, and among how many the shortest are looked for.
const BEGUN_MAX: i64 = 48;
const BEGUN_AMONG: i64 = 500;
/// With fewer than this of all kinds, what resembles the words is looked for.
const ENOUGH: usize = 8;

/// Something found.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub kind: Kind,
    /// URI, DID, UUID or tag.
    pub key: String,
    /// From 0 to 1: how well its name fits what was typed.
    pub relevance: f64,
    name: String,
    rank: i16,
}

/// What was typed, and what is wanted.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub typed: &'a Folded,
    /// Of which kinds.
    pub kinds: &'a BTreeSet<Kind>,
    /// At most so many of each. How much is looked through depends on it: with another number others may come first.
    pub limit: usize,
}

/// A row of any of the ways.
struct Row {
    kind: i16,
    key: String,
    name: String,
    rank: i16,
    start: String,
    place: i16,
}

#[derive(Default)]
struct Hits(HashMap<(Kind, String), Hit>);

impl Hits {
    fn add(&mut self, row: Row, relevance: impl Fn(&Row) -> f64) {
        let Some(kind) = Kind::of_number(row.kind) else { return };
        let relevance = relevance(&row);
        let hit = Hit { kind, key: row.key.clone(), relevance, name: row.name, rank: row.rank };
        let held = self.0.entry((kind, row.key)).or_insert_with(|| hit.clone());
        if held.relevance < relevance {
            *held = hit;
        }
    }

    fn add_all(&mut self, rows: Vec<Row>, relevance: impl Fn(score::Named<'_>) -> f64) {
        rows.into_iter().for_each(|row| self.add(row, |row| relevance(row_of(row))));
    }

    /// The kinds of which fewer than so many were found.
    fn fewer_than(&self, enough: usize, kinds: &BTreeSet<Kind>) -> Vec<i16> {
        let found = |kind: Kind| self.0.keys().filter(|(of, _)| *of == kind).count();
        kinds.iter().filter(|kind| found(**kind) < enough).map(|kind| *kind as i16).collect()
    }

    /// At most `limit` of each kind, the best of all kinds first; among equals what is heard and liked more, then by kind and name.
    fn into_sorted(self, limit: usize) -> Vec<Hit> {
        let mut hits: Vec<Hit> = self.0.into_values().collect();
        hits.sort_by(|a, b| {
            let by_worth = b.relevance.total_cmp(&a.relevance).then(b.rank.cmp(&a.rank));
            by_worth.then_with(|| (a.kind, &a.name, &a.key).cmp(&(b.kind, &b.name, &b.key)))
        });
        let mut of_kind: HashMap<Kind, usize> = HashMap::new();
        hits.retain(|hit| {
            let count = of_kind.entry(hit.kind).or_default();
            *count += 1;
            *count <= limit
        });
        hits
    }
}

/// Finds it: what is called so or begins so, then what has all the words, then, if that is little, what resembles it.
pub(crate) async fn find(db: &mut PgConnection, question: &Question<'_>) -> Result<Vec<Hit>, Error> {
    let Question { typed, kinds, limit } = *question;
    let mut hits = Hits::default();
    let all: Vec<i16> = kinds.iter().map(|kind| *kind as i16).collect();
    let start = beginning(typed);
    if start.is_empty() {
        return Ok(Vec::new());
    }
    let rows = begin_with(db, &all, &start, 4 * limit as i64).await?;
    let overfull = overfull(&rows, &all);
    hits.add_all(rows, |named| score::of_start(typed, named));
    if !overfull.is_empty() && start.chars().count() > 3 {
        let rows = best_of(db, &overfull, &start, 4 * limit as i64).await?;
        hits.add_all(rows, |named| score::of_start(typed, named));
    }
    if let Some(joined) = typed.joined() {
        let rows = begin_with(db, &all, &joined, 2 * limit as i64).await?;
        hits.add_all(rows, |named| score::of_joined(&joined, named));
    }
    let lacking = hits.fewer_than(limit, kinds);
    if !lacking.is_empty() {
        let mut words: Vec<Vec<String>> = typed.words().into_iter().map(|word| vec![word]).collect();
        // The last may be the beginning of one.
        if let Some(last) = words.last_mut() {
            *last = begun(db, &last[0]).await?;
        }
        let rows = with_words(db, &lacking, &words).await?;
        hits.add_all(rows, |named| score::of_words(typed, named));
    }
    if hits.0.len() < ENOUGH {
        resembling(db, typed, &all, &mut hits).await?;
    }
    Ok(hits.into_sorted(limit))
}

fn row_of(row: &Row) -> score::Named<'_> {
    score::Named { name: &row.name, start: &row.start, place: row.place, rank: row.rank }
}

/// What is typed, as names begin.
fn beginning(typed: &Folded) -> String {
    let text = if typed.letters.is_empty() { typed.symbols.first() } else { Some(&typed.letters) };
    text.map(|text| text.chars().take(START_MAX).collect()).unwrap_or_default()
}

/// The kinds of which there is more than a range holds.
fn overfull(rows: &[Row], kinds: &[i16]) -> Vec<i16> {
    let mut counts: HashMap<i16, i64> = HashMap::new();
    rows.iter().for_each(|row| *counts.entry(row.kind).or_default() += 1);
    kinds.iter().copied().filter(|kind| counts.get(kind).is_some_and(|count| *count >= RANGE_MAX)).collect()
}

/// What is called so, and what begins so or has a word from which on it does. Of very short beginnings the best.
async fn begin_with(
    db: &mut PgConnection,
    kinds: &[i16],
    start: &str,
    limit: i64,
) -> Result<Vec<Row>, Error> {
    let length = start.chars().count() as i32;
    // `offset 0`: entries are looked up one by one, in the order of the index, until there are enough.
    let rows = sqlx::query_as!(
        Row,
        r#"select k.kind as "kind!", s.key as "key!", s.name as "name!", s.rank as "rank!", s.start as "start!", s.place as "place!"
             from unnest($1::smallint[]) as k (kind)
            cross join lateral (
              (select e.key, e.name, e.rank, start, place from search_start s
                cross join lateral (select key, name, rank, did from search_entry where id = s.entry offset 0) e
                where s.kind = k.kind and s.start = $2 and (e.did is null or (select active from actor where actor.did = e.did))
                limit $5)
              union all
              (select e.key, e.name, e.rank, start, place from search_start s
                cross join lateral (select key, name, rank, did from search_entry where id = s.entry offset 0) e
                where $3 = 1 and s.kind = k.kind and left(s.start, 1) = $2
                  and (e.did is null or (select active from actor where actor.did = e.did))
                order by place, s.rank desc, entry limit $4)
              union all
              (select e.key, e.name, e.rank, start, place from search_start s
                cross join lateral (select key, name, rank, did from search_entry where id = s.entry offset 0) e
                where $3 = 2 and s.kind = k.kind and left(s.start, 2) = $2
                  and (e.did is null or (select active from actor where actor.did = e.did))
                order by place, s.rank desc, entry limit $4)
              union all
              (select e.key, e.name, e.rank, start, place from search_start s
                cross join lateral (select key, name, rank, did from search_entry where id = s.entry offset 0) e
                where $3 = 3 and s.kind = k.kind and left(s.start, 3) = $2
                  and (e.did is null or (select active from actor where actor.did = e.did))
                order by place, s.rank desc, entry limit $4)
              union all
              (select e.key, e.name, e.rank, start, place from search_start s
                cross join lateral (select key, name, rank, did from search_entry where id = s.entry offset 0) e
                where $3 > 3 and s.kind = k.kind and s.start > $2 and s.start < $2 || chr(1114111)
                  and (e.did is null or (select active from actor where actor.did = e.did))
                order by start limit $5)) as s"#,
        kinds,
        start,
        length,
        limit,
        RANGE_MAX
    );
    Ok(rows.fetch_all(db).await?)
}

/// The best of what begins so, where there is much of it: among the best of what begins with its first three characters.
async fn best_of(db: &mut PgConnection, kinds: &[i16], start: &str, limit: i64) -> Result<Vec<Row>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select k.kind as "kind!", s.key as "key!", s.name as "name!", s.rank as "rank!", s.start as "start!", s.place as "place!"
             from unnest($1::smallint[]) as k (kind)
            cross join lateral (
              select e.key, e.name, e.rank, start, place
                from (select entry, start, place from search_start s
                       where s.kind = k.kind and left(s.start, 3) = left($2, 3) order by place, rank desc, entry limit $4) as best
               cross join lateral (select key, name, rank, did from search_entry where id = best.entry offset 0) e
               where start >= $2 and start < $2 || chr(1114111) and (e.did is null or (select active from actor where actor.did = e.did))
               limit $3) as s"#,
        kinds,
        start,
        limit,
        WALK_MAX
    );
    Ok(rows.fetch_all(db).await?)
}

/// What has one of each of these words.
async fn with_words(db: &mut PgConnection, kinds: &[i16], words: &[Vec<String>]) -> Result<Vec<Row>, Error> {
    let all: Vec<String> = words
        .iter()
        .map(|any| format!("({})", any.iter().map(|word| lexeme(word)).collect::<Vec<_>>().join("|")))
        .collect();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    // Each kind has an index of its own, which is found by the number of the kind alone. What it holds comes in no order: the best are
    // chosen before anything is looked up for them.
    let rows = sqlx::query_as!(
        Row,
        r#"select e.kind as "kind!", e.key as "key!", e.name as "name!", e.rank as "rank!", e.name as "start!", 4::smallint as "place!"
             from ((select * from (select * from (select * from search_entry
                                                   where 1 = any($1::smallint[]) and kind = 1 and words @@ $2::text::tsquery limit $4) met
                                     order by rank desc, id offset 0) best
                     where did is null or (select active from actor where actor.did = best.did) limit $3)
                   union all
                   (select * from (select * from (select * from search_entry
                                                   where 2 = any($1::smallint[]) and kind = 2 and words @@ $2::text::tsquery limit $4) met
                                     order by rank desc, id offset 0) best
                     where did is null or (select active from actor where actor.did = best.did) limit $3)
                   union all
                   (select * from (select * from (select * from search_entry
                                                   where 3 = any($1::smallint[]) and kind = 3 and words @@ $2::text::tsquery limit $4) met
                                     order by rank desc, id offset 0) best
                     where did is null or (select active from actor where actor.did = best.did) limit $3)
                   union all
                   (select * from (select * from (select * from search_entry
                                                   where 4 = any($1::smallint[]) and kind = 4 and words @@ $2::text::tsquery limit $4) met
                                     order by rank desc, id offset 0) best
                     where did is null or (select active from actor where actor.did = best.did) limit $3)
                   union all
                   (select * from (select * from (select * from search_entry
                                                   where 5 = any($1::smallint[]) and kind = 5 and words @@ $2::text::tsquery limit $4) met
                                     order by rank desc, id offset 0) best
                     where did is null or (select active from actor where actor.did = best.did) limit $3)) as e"#,
        kinds,
        all.join(" & "),
        WORDS_MAX,
        WORDS_AMONG
    );
    Ok(rows.fetch_all(db).await?)
}

/// Known words that begin so, the shortest first, and the beginning itself.
async fn begun(db: &mut PgConnection, word: &str) -> Result<Vec<String>, Error> {
    if word.chars().count() < 3 {
        return Ok(vec![word.to_owned()]);
    }
    let known = sqlx::query_scalar!(
        r#"select word as "word!"
             from (select word from search_word where word > $1 and word < $1 || chr(1114111) order by word limit $2) as begun
            order by char_length(word), word limit $3"#,
        word,
        BEGUN_AMONG,
        BEGUN_MAX
    );
    let known = known.fetch_all(db).await?;
    Ok(std::iter::once(word.to_owned()).chain(known).collect())
}

/// What has a slip in it: names that it may mean as a whole, then what has words that its words may mean.
async fn resembling(
    db: &mut PgConnection,
    typed: &Folded,
    kinds: &[i16],
    hits: &mut Hits,
) -> Result<(), Error> {
    let meant = slip::meant(db, typed).await?;
    let rows = called(db, kinds, &meant.phrases).await?;
    hits.add_all(rows, |named| score::of_likeness(typed, named));
    if meant.has_slip {
        let rows = with_words(db, kinds, &meant.likely).await?;
        hits.add_all(rows, |named| score::of_likeness(typed, named));
    }
    // That a word which is known is not the one that was meant is thought of only where nothing else is found.
    if hits.0.is_empty() && meant.likely != meant.words {
        let rows = with_words(db, kinds, &meant.words).await?;
        hits.add_all(rows, |named| score::of_likeness(typed, named));
    }
    Ok(())
}

/// What is called one of these.
async fn called(db: &mut PgConnection, kinds: &[i16], names: &[String]) -> Result<Vec<Row>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"select e.kind as "kind!", e.key as "key!", e.name as "name!", e.rank as "rank!", s.start as "start!", s.place as "place!"
             from unnest($1::smallint[]) as k (kind)
            cross join unnest($2::text[]) as n (name)
            cross join lateral (select entry, start, place from search_start s
                                 where s.kind = k.kind and s.start = n.name collate "C" and place = 0 limit 40) as s
             join search_entry e on e.id = s.entry
            where e.did is null or (select active from actor where actor.did = e.did)"#,
        kinds,
        names
    );
    Ok(rows.fetch_all(db).await?)
}

/// A word of a text search, quoted.
fn lexeme(word: &str) -> String {
    format!("'{}'", word.replace('\\', "\\\\").replace('\'', "''"))
}
