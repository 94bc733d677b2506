//! Names that are no identity: what records mean by the handles and page numbers that they name things by.
//!
//! A record means whoever had the handle when that version of it came here. That is written down beside its projection
//! (`record_name`), so that it means the same whenever it is read again. One that names by what means nothing yet is noted
//! there, too, and read again when it does.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::types::Uuid;
use sqlx::{PgConnection, PgPool};

use super::reference::{Name, Reference};
use crate::apply::Door;
use crate::apply::reread::reread;
use crate::record::{RecordProblem, Registry, Row, URI_MAX_BYTES};
use crate::syntax::{AtUri, Did};
use crate::{job, sabotage};

/// Unknown names of one record, and of all records of one person, that are noted.
const UNKNOWN_MAX: usize = 100;
const UNKNOWN_OF_PERSON_MAX: i64 = 5_000;
/// Notes kept in all.
const NOTES_MAX: i64 = 2_000_000;
/// The advisory locks of names, of which there are as many as a transaction may well hold.
const MEETING: i32 = 0x706e_616d;
/// Records read again in one step.
const STEP: i64 = 500;

/// What names mean. Reading records asks it, and leaves in it what was asked.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// What was written down of a record; none where it was noted that it means nothing.
    written: HashMap<(AtUri, Name), Option<String>>,
    /// What names mean now, as far as it was looked up.
    now: HashMap<Name, String>,
    /// What was asked for, and what it meant.
    asked: BTreeMap<(AtUri, Name), Option<String>>,
}

/// A record to be read.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    pub uri: &'a AtUri,
    pub value: &'a [u8],
    pub first_seen_at: DateTime<Utc>,
}

/// A row of `record_name`.
struct Written {
    uri: String,
    name: String,
    meaning: Option<String>,
}

impl Names {
    /// What is written down of these records.
    pub async fn written(db: &mut PgConnection, uris: &[&str]) -> sqlx::Result<Names> {
        let rows = sqlx::query_as!(
            Written,
            "select uri, name, meaning from record_name where uri = any($1)",
            uris as &[&str]
        );
        Ok(Names::of(rows.fetch_all(db).await?))
    }

    /// The same of all records between two URIs.
    pub async fn written_between(db: &mut PgConnection, from: &str, to: &str) -> sqlx::Result<Names> {
        let rows = sqlx::query_as!(
            Written,
            "select uri, name, meaning from record_name where uri > $1 and uri < $2",
            from,
            to
        );
        Ok(Names::of(rows.fetch_all(db).await?))
    }

    fn of(rows: Vec<Written>) -> Names {
        let known = rows.into_iter().filter_map(|Written { uri, name, meaning }| {
            Some(((uri.parse().ok()?, Name::from_text(name)), meaning))
        });
        Names { written: known.collect(), ..Names::default() }
    }

    /// Reads records by what is written down of their names, and those again that asked for what means something now. With `noted`,
    /// also what it is written down of that it means nothing is looked up.
    pub async fn read_all(
        &mut self,
        db: &mut PgConnection,
        registry: &Registry,
        records: &[Held<'_>],
        noted: bool,
    ) -> sqlx::Result<Vec<Result<Row, RecordProblem>>> {
        let read = |names: &mut Names, held: &Held| {
            registry.read_by(held.uri, held.value, held.first_seen_at, names)
        };
        let mut rows: Vec<_> = records.iter().map(|held| read(self, held)).collect();
        let known = self.look_up(db, noted).await?;
        for (held, row) in records.iter().zip(&mut rows).filter(|(held, _)| known.contains(held.uri)) {
            *row = read(self, held);
        }
        Ok(rows)
    }

    /// Looks up what was asked for and meant nothing, so that whoever asks again is told. With `noted`, also what it is
    /// written down of that it means nothing. Answers which records asked for what means something now.
    async fn look_up(&mut self, db: &mut PgConnection, noted: bool) -> sqlx::Result<BTreeSet<AtUri>> {
        let unknown = self
            .asked
            .iter()
            .filter(|(of, meaning)| meaning.is_none() && (noted || !self.written.contains_key(of)));
        let wanted: BTreeSet<&Name> = unknown.map(|((_, name), _)| name).collect();
        if wanted.is_empty() {
            return Ok(BTreeSet::new());
        }
        let now = now(db, &wanted).await?;
        let known = |name: &Name| now.contains_key(name);
        let concerned: BTreeSet<AtUri> =
            self.asked.keys().filter(|(_, name)| known(name)).map(|(uri, _)| uri.clone()).collect();
        self.asked.retain(|(uri, _), _| !concerned.contains(uri));
        self.written.retain(|(_, name), meaning| meaning.is_some() || !known(name));
        self.now.extend(now);
        Ok(concerned)
    }

    /// The record that something names within another.
    pub fn resolve(&mut self, within: &AtUri, reference: &Reference) -> Result<Option<AtUri>, Name> {
        let Some(name) = reference.name() else { return Ok(reference.meaning("")) };
        let of = (within.clone(), name);
        let meaning = match self.written.get(&of) {
            Some(written) if !sabotage::is_on("handles-mean-now") => written.clone(),
            _ => self.now.get(&of.1).cloned(),
        };
        let named = meaning.as_deref().map(|meaning| reference.meaning(meaning));
        let name = of.1.clone();
        self.asked.insert(of, meaning);
        match named {
            Some(uri) => Ok(uri.filter(|uri| uri.as_str().len() <= URI_MAX_BYTES)),
            None => Err(name),
        }
    }

    /// Whether this record asked for what means nothing.
    pub fn is_unknown_in(&self, within: &AtUri) -> bool {
        self.asked_in(within).any(|(_, meaning)| meaning.is_none())
    }

    fn asked_in<'a>(&'a self, within: &'a AtUri) -> impl Iterator<Item = (&'a Name, &'a Option<String>)> {
        let first = (within.clone(), Name::first());
        let of_it = self.asked.range(first..).take_while(move |((uri, _), _)| uri == within);
        of_it.map(|((_, name), meaning)| (name, meaning))
    }

    /// Writes down what was asked for, in place of what is written of these records and of those that asked. Answers what was noted to
    /// mean nothing and means something by now: who noted it is to be read again.
    pub async fn write(&self, db: &mut PgConnection, replaced: &[&str]) -> sqlx::Result<Vec<Name>> {
        let asked: BTreeSet<&str> = self.asked.keys().map(|(uri, _)| uri.as_str()).collect();
        let mut gone: Vec<&str> = asked.iter().copied().collect();
        gone.extend(replaced);
        if !gone.is_empty() {
            sqlx::query!("delete from record_name where uri = any($1)", &gone as &[&str])
                .execute(&mut *db)
                .await?;
        }
        let mut unknown: HashMap<&AtUri, usize> = HashMap::new();
        let rows: Vec<(&AtUri, &Name, Option<&str>)> = self
            .asked
            .iter()
            .filter(|((uri, _), meaning)| {
                let count = unknown.entry(uri).or_default();
                *count += usize::from(meaning.is_none());
                meaning.is_some() || *count <= UNKNOWN_MAX
            })
            .map(|((uri, name), meaning)| (uri, name, meaning.as_deref()))
            .collect();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let uris: Vec<&str> = rows.iter().map(|(uri, ..)| uri.as_str()).collect();
        let names: Vec<&str> = rows.iter().map(|(_, name, _)| name.as_str()).collect();
        let dids: Vec<&str> = rows.iter().map(|(uri, ..)| uri.authority()).collect();
        let meanings: Vec<Option<&str>> = rows.iter().map(|(.., meaning)| *meaning).collect();
        sqlx::query!(
            "insert into record_name (uri, name, did, meaning)
             select n.uri, n.name, n.did, n.meaning
               from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as n (uri, name, did, meaning)
              where n.meaning is not null
                 or (select count(*) from (select from record_name r
                                            where r.did = n.did collate \"C\" and r.meaning is null limit $5) as full_)
                    < $5
              order by n.uri, n.name
             on conflict do nothing",
            &uris as &[&str],
            &names as &[&str],
            &dids as &[&str],
            &meanings as &[Option<&str>],
            UNKNOWN_OF_PERSON_MAX
        )
        .execute(&mut *db)
        .await?;
        let unknown: BTreeSet<&Name> =
            rows.iter().filter(|(.., meaning)| meaning.is_none()).map(|(_, name, _)| *name).collect();
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let artists = unknown.iter().filter_map(|name| name.album().map(|(artist, _)| artist));
        meet(db, unknown.iter().map(|name| name.as_str()).chain(artists)).await?;
        Ok(now(db, &unknown).await?.into_keys().collect())
    }
}

/// To be called by whoever noted that some of these mean nothing, before they look again; and by whoever makes one mean something,
/// before they look who noted it. The later of the two sees what the other did, and waits for it until the end of the transaction.
pub(crate) async fn meet(db: &mut PgConnection, names: impl Iterator<Item = &str>) -> sqlx::Result<()> {
    let names: BTreeSet<&str> = names.collect();
    let names: Vec<&str> = names.into_iter().collect();
    sqlx::query!(
        "select pg_advisory_xact_lock($2, place)
           from (select distinct hashtext(name) & 1023 as place from unnest($1::text[]) as n (name) order by 1) as places",
        &names as &[&str],
        MEETING
    )
    .fetch_all(db)
    .await?;
    Ok(())
}

/// What these names mean now: whoever has the handle, verified both ways, and what the page shows. What was told of a page comes
/// before the numbers and names that we gave: the host may have been another server's.
async fn now(db: &mut PgConnection, names: &BTreeSet<&Name>) -> sqlx::Result<HashMap<Name, String>> {
    let (handles, pages): (Vec<&Name>, Vec<&Name>) = names.iter().copied().partition(|name| name.is_handle());
    let mut found = HashMap::new();
    if !handles.is_empty() {
        let handles: Vec<&str> = handles.into_iter().map(Name::as_str).collect();
        let rows = sqlx::query!(
            r#"select distinct on (handle) handle as "handle!", did from actor where handle = any($1)
               order by handle, resolved_at desc nulls last, did"#,
            &handles as &[&str]
        )
        .fetch_all(&mut *db)
        .await?;
        found.extend(rows.into_iter().map(|row| (Name::from_text(row.handle), row.did)));
    }
    if !pages.is_empty() {
        let addresses: Vec<&str> = pages.iter().map(|name| name.as_str()).collect();
        let numbers: Vec<Option<i64>> = pages.iter().map(|name| name.own_number()).collect();
        let lists: Vec<Option<Uuid>> = pages.iter().map(|name| name.own_list()).collect();
        let rows = sqlx::query!(
            r#"select asked.page as "page!", coalesce(told.uri, given.uri, called.uri) as "uri!"
               from unnest($1::text[], $2::bigint[], $3::uuid[]) as asked (page, number, list)
               left join page_name told on told.page = asked.page collate "C"
               left join public_id given on given.id = asked.number and given.kind = 'track'
               left join list called on list_id(called.uri) = asked.list
               where coalesce(told.uri, given.uri, called.uri) is not null"#,
            &addresses as &[&str],
            &numbers as &[Option<i64>],
            &lists as &[Option<Uuid>]
        )
        .fetch_all(&mut *db)
        .await?;
        found.extend(rows.into_iter().map(|row| (Name::from_text(row.page), row.uri)));
    }
    let albums: Vec<(&Name, &str, &str)> = names
        .iter()
        .filter(|name| !found.contains_key(**name))
        .filter_map(|name| name.album().map(|(artist, slug)| (*name, artist, slug)))
        .collect();
    if !albums.is_empty() {
        let pages: Vec<&str> = albums.iter().map(|(name, ..)| name.as_str()).collect();
        let artists: Vec<&str> = albums.iter().map(|(_, artist, _)| *artist).collect();
        let slugs: Vec<&str> = albums.iter().map(|(.., slug)| *slug).collect();
        let rows = sqlx::query!(
            r#"select asked.page as "page!", found.list_uri as "uri!"
               from unnest($1::text[], $2::text[], $3::text[]) as asked (page, artist, slug),
               lateral (select coalesce((select did from actor where handle = asked.artist order by resolved_at desc nulls last, did limit 1),
                                        asked.artist) as did) as who,
               lateral (select a.list_uri, s.slug from album_slug s join album a on a.id = s.album
                         where s.did = who.did collate "C"
                           and (s.slug = asked.slug collate "C" or s.ascii = asked.slug collate "C")
                           and exists (select from list l where l.uri = a.list_uri and l.list_type = 'album')
                         order by s.slug = asked.slug desc, s.n limit 1) as found"#,
            &pages as &[&str],
            &artists as &[&str],
            &slugs as &[&str]
        )
        .fetch_all(db)
        .await?;
        found.extend(rows.into_iter().map(|row| (Name::from_text(row.page), row.uri)));
    }
    Ok(found)
}

/// The record of ours that a text names now: an at-uri or a page, by DID, handle or number.
pub async fn target(db: &mut PgConnection, registry: &Registry, text: &str) -> sqlx::Result<Option<AtUri>> {
    let Some(reference) = registry.reference(text) else { return Ok(None) };
    let Some(name) = reference.name() else { return Ok(reference.meaning("")) };
    let known = now(db, &[&name].into()).await?;
    Ok(known.get(&name).and_then(|meaning| reference.meaning(meaning)))
}

/// Between which texts the pages of somebody's albums sort, by this handle.
fn albums_of(handle: &str) -> (String, String) {
    (format!("/u/{handle}/album/"), format!("/u/{handle}/album0"))
}

/// Whether a record waits for this handle to mean somebody, or for a page of one of their albums.
pub(crate) async fn is_awaited(db: &mut PgConnection, handle: &str) -> sqlx::Result<bool> {
    let (from, to) = albums_of(handle);
    sqlx::query_scalar!(
        r#"select exists (select from record_name where name = $1 and meaning is null)
               or exists (select from record_name where name > $2 and name < $3 and meaning is null) as "is!""#,
        handle,
        from,
        to
    )
    .fetch_one(db)
    .await
}

/// Reads again what named something by this name and meant nothing; by a handle, also the albums of whoever has it. Returns how
/// many records.
pub async fn tell(door: &Door, name: &str) -> sqlx::Result<u64> {
    let mut read = tell_between(door, name, name).await?;
    if Name::from_text(name).is_handle() {
        let (from, to) = albums_of(name);
        read += tell_between(door, &from, &to).await?;
    }
    Ok(read)
}

async fn tell_between(door: &Door, from: &str, to: &str) -> sqlx::Result<u64> {
    let (mut after, mut read) = ((from.to_owned(), String::new()), 0);
    loop {
        let rows = sqlx::query!(
            "select name, uri, did from record_name
              where name >= $1 and name <= $2 and (name, uri) > ($1, $3) and meaning is null
              order by name, uri limit $4",
            after.0,
            to,
            after.1,
            STEP
        )
        .fetch_all(&door.pool)
        .await?;
        let Some(last) = rows.last() else { return Ok(read) };
        after = (last.name.clone(), last.uri.clone());
        read += rows.len() as u64;
        let mut of_each: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows {
            of_each.entry(row.did).or_default().push(row.uri);
        }
        for (did, uris) in of_each {
            let Ok(did) = did.parse::<Did>() else { continue };
            if reread(door, &did, &uris).await.is_ok() {
                continue;
            }
            // What the database refuses costs no other its place.
            for uri in uris {
                if let Err(error) = reread(door, &did, std::slice::from_ref(&uri)).await {
                    tracing::warn!(%uri, %error, "cannot be read again");
                }
            }
        }
    }
}

/// Pages of this host are this server's own from now on, and named so: what was told of them, or noted, was of another's. What
/// records were found to mean by them goes on to by the old name, until `plyr rebuild`.
pub async fn adopt(pool: &PgPool, host: &str) -> sqlx::Result<()> {
    let (from, to) = (format!("{host}/"), format!("{host}0"));
    sqlx::query!(
        "with old as (delete from page_name where page > $1 and page < $2 returning page, uri)
         insert into page_name (page, uri) select substring(page from length($1)), uri from old on conflict do nothing",
        from,
        to
    )
    .execute(pool)
    .await?;
    sqlx::query!(
        "with old as (delete from record_name where name > $1 and name < $2 and meaning is null returning uri, name, did, meaning, noted_at)
         insert into record_name (uri, name, did, meaning, noted_at)
         select uri, substring(name from length($1)), did, meaning, noted_at from old on conflict do nothing",
        from,
        to
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Asks for what means something by now to be read again: whoever noted it may have looked a moment too early. Returns how many
/// names.
pub async fn ask_again(pool: &PgPool) -> sqlx::Result<usize> {
    let (mut after, mut asked) = (String::new(), 0);
    loop {
        let names = sqlx::query_scalar!(
            "select distinct name from record_name where meaning is null and name > $1 order by name limit $2",
            after,
            STEP
        )
        .fetch_all(pool)
        .await?;
        let Some(last) = names.last() else { return Ok(asked) };
        after = last.clone();
        let names: Vec<Name> = names.into_iter().map(Name::from_text).collect();
        let mut db = pool.acquire().await?;
        let known = now(&mut db, &names.iter().collect()).await?;
        let jobs =
            known.keys().map(|name| ((job::NAMED, name.as_str().to_owned()), Duration::ZERO)).collect();
        job::enqueue_each(&mut db, &jobs).await?;
        asked += known.len();
    }
}

/// What a page shows, as its server's operator told us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its address.
    pub page: Name,
    /// The record.
    pub uri: AtUri,
}

/// What came of telling.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Pages of which nothing was told before.
    pub new: u64,
    /// Pages of which something else was told before.
    pub replaced: u64,
    /// Those of them by which records named something already, and meant nothing.
    pub awaited: Vec<String>,
}

/// Writes down what pages show; what was told before of the same page is replaced.
pub async fn import(pool: &PgPool, told: &[Told]) -> sqlx::Result<Imported> {
    let pages: Vec<&str> = told.iter().map(|told| told.page.as_str()).collect();
    let uris: Vec<&str> = told.iter().map(|told| told.uri.as_str()).collect();
    let mut tx = pool.begin().await?;
    let new = sqlx::query_scalar!(
        r#"insert into page_name as known (page, uri)
         select distinct on (page) page, uri from unnest($1::text[], $2::text[]) as told (page, uri) order by page
         on conflict (page) do update set uri = excluded.uri where known.uri <> excluded.uri
         returning xmax = 0 as "new!""#,
        &pages as &[&str],
        &uris as &[&str]
    )
    .fetch_all(&mut *tx)
    .await?;
    let awaited = sqlx::query_scalar!(
        "select distinct name from record_name where name = any($1) and meaning is null",
        &pages as &[&str]
    )
    .fetch_all(&mut *tx)
    .await?;
    tx.commit().await?;
    let replaced = new.iter().filter(|new| !**new).count() as u64;
    Ok(Imported { new: new.len() as u64 - replaced, replaced, awaited })
}

/// Throws away the oldest notes of what means nothing, beyond two million. Returns how many went.
pub async fn sweep(pool: &PgPool) -> sqlx::Result<u64> {
    let swept = sqlx::query!(
        "delete from record_name where (uri, name) in (
           select uri, name from record_name
            where meaning is null
              and noted_at < (select noted_at from record_name where meaning is null
                               order by noted_at desc offset $1 limit 1)
              for update skip locked)",
        NOTES_MAX
    )
    .execute(pool)
    .await?;
    Ok(swept.rows_affected())
}
