//! Names that are no identity: what records mean by the handles and page numbers that they name things by.
//!
//! Who had which handle since when is kept, and never changed: a record means whoever had it when the record was first seen,
//! so that it means the same whenever it is read. One that names by what means nothing yet is noted, and read again when it
//! does.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::concern::Concerns;
use super::reference::{Name, Reference};
use crate::apply::Door;
use crate::apply::reread::reread;
use crate::record::{Registry, URI_MAX_BYTES};
use crate::sabotage;
use crate::syntax::{AtUri, Did};

/// Unknown names of one record that are noted.
const UNKNOWN_MAX: usize = 100;
/// Records read again in one step.
const STEP: i64 = 500;
/// Notes kept.
const NOTES_MAX: i64 = 2_000_000;

/// What names mean, as far as it was looked up, and which meant nothing.
#[derive(Debug, Default)]
pub(crate) struct Names {
    meanings: HashMap<Name, Vec<Meaning>>,
    /// (record, name)
    unknown: BTreeSet<(AtUri, Name)>,
}

#[derive(Debug)]
struct Meaning {
    /// None where it was never otherwise.
    since: Option<DateTime<Utc>>,
    /// The DID of a handle, the URI of what a page shows.
    text: String,
}

impl Names {
    /// Looks up what these records name by handle or page number: nearly all name nothing so, which their bytes tell.
    pub async fn of<'a>(
        db: &mut PgConnection,
        (registry, concerns): (&Registry, &Concerns),
        records: impl Iterator<Item = (&'a AtUri, &'a [u8])>,
    ) -> sqlx::Result<Names> {
        let mut asked = Names::default();
        for (uri, value) in records.filter(|(_, value)| concerns.names_indirectly(value)) {
            // What else is wrong with it is told when it is read in earnest.
            registry.read_by(uri, value, DateTime::UNIX_EPOCH, &mut asked).ok();
        }
        Names::look_up(db, asked.unknown.into_iter().map(|(_, name)| name).collect()).await
    }

    /// Looks up what these mean.
    async fn look_up(db: &mut PgConnection, names: BTreeSet<Name>) -> sqlx::Result<Names> {
        let mut found = Names::default();
        let mut note = |name: Name, since: Option<DateTime<Utc>>, text: String| {
            found.meanings.entry(name).or_default().push(Meaning { since, text });
        };
        let (handles, pages): (Vec<Name>, Vec<Name>) =
            names.into_iter().partition(|name| matches!(name, Name::Handle(_)));
        if !handles.is_empty() {
            let handles: Vec<&str> = handles.iter().map(Name::as_str).collect();
            let rows = sqlx::query!(
                "select handle, did, since from handle_held where handle = any($1) order by handle, since",
                &handles as &[&str]
            )
            .fetch_all(&mut *db)
            .await?;
            rows.into_iter().for_each(|row| note(Name::Handle(row.handle), Some(row.since), row.did));
        }
        if !pages.is_empty() {
            let (addresses, numbers): (Vec<&str>, Vec<Option<i64>>) =
                pages.iter().map(|name| (name.as_str(), name.own_number())).unzip();
            // What was told of a page comes before the numbers that we gave: the host may have been another server's.
            let rows = sqlx::query!(
                r#"select asked.page as "page!", asked.number, coalesce(told.uri, given.uri) as "uri!"
                   from unnest($1::text[], $2::bigint[]) as asked (page, number)
                   left join page_name told on told.page = asked.page collate "C"
                   left join public_id given on given.id = asked.number and given.kind = 'track'
                   where coalesce(told.uri, given.uri) is not null"#,
                &addresses as &[&str],
                &numbers as &[Option<i64>]
            )
            .fetch_all(db)
            .await?;
            rows.into_iter().for_each(|row| note(Name::Page(row.page, row.number), None, row.uri));
        }
        Ok(found)
    }

    /// The record that something names in a record that was first seen then. What means nothing is remembered.
    pub fn resolve(
        &mut self,
        within: &AtUri,
        reference: &Reference,
        seen_at: DateTime<Utc>,
    ) -> Result<Option<AtUri>, Name> {
        let Some(name) = reference.name() else { return Ok(reference.meaning("")) };
        if let Some(meaning) = self.meaning(&name, seen_at) {
            let named = reference.meaning(meaning);
            return Ok(named.filter(|uri| uri.as_str().len() <= URI_MAX_BYTES));
        }
        if self.unknown_in(within).count() < UNKNOWN_MAX {
            self.unknown.insert((within.clone(), name.clone()));
        }
        Err(name)
    }

    /// What a name meant at a time: the last that it came to mean until then, or else the first.
    fn meaning(&self, name: &Name, at: DateTime<Utc>) -> Option<&str> {
        let meanings = self.meanings.get(name)?;
        if sabotage::is_on("handles-mean-now") {
            return meanings.last().map(|meaning| meaning.text.as_str());
        }
        let then = meanings.iter().rev().find(|meaning| meaning.since.is_none_or(|since| since <= at));
        then.or(meanings.first()).map(|meaning| meaning.text.as_str())
    }

    /// What in this record meant nothing.
    pub fn unknown_in<'a>(&'a self, within: &'a AtUri) -> impl Iterator<Item = &'a Name> {
        let first = (within.clone(), Name::Handle(String::new()));
        self.unknown.range(first..).take_while(move |(uri, _)| uri == within).map(|(_, name)| name)
    }

    /// Notes which records named what means nothing yet.
    pub async fn note_unknown(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        if self.unknown.is_empty() {
            return Ok(());
        }
        let (mut names, mut uris, mut dids) = (Vec::new(), Vec::new(), Vec::new());
        for (uri, name) in &self.unknown {
            names.push(name.as_str());
            uris.push(uri.as_str());
            dids.push(uri.authority());
        }
        sqlx::query!(
            "insert into unknown_name (name, uri, did)
             select name, uri, did from unnest($1::text[], $2::text[], $3::text[]) as new (name, uri, did)
             order by name, uri on conflict do nothing",
            &names as &[&str],
            &uris as &[&str],
            &dids as &[&str]
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// The record of ours that a text names now: an at-uri or a page, by DID, handle or number.
pub async fn target(db: &mut PgConnection, registry: &Registry, text: &str) -> sqlx::Result<Option<AtUri>> {
    let Some(reference) = registry.reference(text) else { return Ok(None) };
    let Some(name) = reference.name() else { return Ok(reference.meaning("")) };
    let names = Names::look_up(db, [name.clone()].into()).await?;
    Ok(names.meaning(&name, Utc::now()).and_then(|meaning| reference.meaning(meaning)))
}

/// Notes that somebody has a handle from now on, verified both ways. Answers whether a record waits for that.
pub(crate) async fn hold(db: &mut PgConnection, handle: &str, did: &Did) -> sqlx::Result<bool> {
    let noted = sqlx::query!(
        "insert into handle_held (handle, did)
         select $1, $2
          where (select did from handle_held where handle = $1 order by since desc limit 1) is distinct from $2
         on conflict do nothing",
        handle,
        did.as_str()
    )
    .execute(&mut *db)
    .await?;
    if noted.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query_scalar!(r#"select exists (select from unknown_name where name = $1) as "waits!""#, handle)
        .fetch_one(db)
        .await
}

/// Reads again what named something by this name. Returns how many records.
pub async fn tell(door: &Door, name: &str) -> sqlx::Result<u64> {
    let (mut after, mut read) = (String::new(), 0);
    loop {
        let rows = sqlx::query!(
            "select uri, did from unknown_name where name = $1 and uri > $2 order by uri limit $3",
            name,
            after,
            STEP
        )
        .fetch_all(&door.pool)
        .await?;
        let Some(last) = rows.last() else { return Ok(read) };
        after = last.uri.clone();
        read += rows.len() as u64;
        let mut of_each: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in rows {
            of_each.entry(row.did).or_default().push(row.uri);
        }
        for (did, uris) in of_each {
            if let Ok(did) = did.parse::<Did>() {
                reread(door, &did, &uris).await?;
            }
        }
    }
}

/// What a page shows, as its server's operator told us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// As in `plyr.fm/track/123`.
    pub address: String,
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
    /// Those of them by which records named something already.
    pub awaited: Vec<String>,
}

/// Writes down what pages show; what was told before of the same page is replaced.
pub async fn import(pool: &PgPool, told: &[Told]) -> sqlx::Result<Imported> {
    let pages: Vec<&str> = told.iter().map(|told| told.address.as_str()).collect();
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
    let awaited =
        sqlx::query_scalar!("select distinct name from unknown_name where name = any($1)", &pages as &[&str])
            .fetch_all(&mut *tx)
            .await?;
    tx.commit().await?;
    let replaced = new.iter().filter(|new| !**new).count() as u64;
    Ok(Imported { new: new.len() as u64 - replaced, replaced, awaited })
}

/// Throws away the oldest notes beyond two million. Returns how many went.
pub async fn sweep(pool: &PgPool) -> sqlx::Result<u64> {
    let swept = sqlx::query!(
        "delete from unknown_name
          where noted_at < (select noted_at from unknown_name order by noted_at desc offset $1 limit 1)",
        NOTES_MAX
    )
    .execute(pool)
    .await?;
    Ok(swept.rows_affected())
}
