//! Albums: how they are called in addresses. One artist and one slug are one album, whether a list of theirs has that name or
//! only their tracks say that they belong to it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use sqlx::types::Uuid;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::apply::effects::Effects;
use crate::job;
use crate::link::names;
use crate::search::due::Due;

/// Characters that a name makes; what addresses hold may end in a number beyond them.
const SLUG_MAX: usize = 100;
const ADDRESS_MAX: usize = SLUG_MAX + 20;
/// Albums of one name, and of one artist, that have a slug.
const NAMESAKES_MAX: i64 = 100;
const OF_PERSON_MAX: i64 = 5_000;

/// What an address calls an album of this name: letters and digits of any script in lower case, hyphens between words, at most a
/// hundred characters. Empty where the name has neither.
pub fn slug(name: &str) -> String {
    letters(name, SLUG_MAX)
}

/// The slug that an address means, however it is written.
pub fn in_address(text: &str) -> String {
    letters(text, ADDRESS_MAX)
}

/// What servers call it that know `a` to `z` only, and leave all else out.
pub fn ascii_slug(name: &str) -> String {
    let lower = name.chars().flat_map(char::to_lowercase);
    hyphenated(lower.filter(|c| c.is_ascii_alphanumeric() || is_gap(*c)), SLUG_MAX)
}

fn letters(text: &str, max: usize) -> String {
    // Lower case may take a letter apart.
    let lower: String = text.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    let mut after_letter = false;
    let kept = lower.chars().filter(|c| {
        let is_selector = matches!(*c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}');
        // A mark belongs to the letter that it stands on.
        after_letter = c.is_alphanumeric() || after_letter && is_combining_mark(*c) && !is_selector;
        after_letter || is_gap(*c)
    });
    // What stands side by side only now may be one letter.
    hyphenated(kept.nfkc(), max)
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || c == '-'
}

fn hyphenated(characters: impl Iterator<Item = char>, max: usize) -> String {
    let mut slug = String::new();
    let (mut length, mut word_end) = (0, 0);
    for c in characters {
        let c = if is_gap(c) { '-' } else { c };
        if c == '-' && (slug.is_empty() || slug.ends_with('-')) {
            continue;
        }
        if length == max {
            // Between two words, if there are two.
            if c != '-' && word_end > 0 {
                slug.truncate(word_end);
            }
            break;
        }
        if c == '-' {
            word_end = slug.len();
        }
        slug.push(c);
        length += 1;
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

/// Something of this name is an album.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    /// Whose.
    pub did: &'a str,
    /// As the record writes it.
    pub name: &'a str,
    /// The list, where it is one.
    pub list_uri: Option<&'a str>,
}

/// Sees to it that these are albums. The repos' locks keep two transactions from naming one artist's.
///
/// Whoever gives a slug waits for the disk: somebody may have seen it.
pub(crate) async fn give(
    db: &mut PgConnection,
    named: impl Iterator<Item = Named<'_>>,
    effects: &mut Effects,
) -> sqlx::Result<()> {
    // Names that are written in two ways may be one. Lists come after texts, and take their place.
    let wanted: BTreeMap<(&str, String, Option<&str>), String> = named
        .map(|Named { did, name, list_uri }| ((did, slug(name), list_uri), ascii_slug(name)))
        .filter(|((_, base, _), _)| !base.is_empty())
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let dids: Vec<&str> = wanted.keys().map(|(did, ..)| *did).collect();
    let bases: Vec<&str> = wanted.keys().map(|(_, base, _)| base.as_str()).collect();
    let lists: Vec<Option<&str>> = wanted.keys().map(|(.., list)| *list).collect();
    let given = sqlx::query_scalar!(
        r#"select case when w.list_uri is null
                       then exists (select from album_slug s where s.did = w.did collate "C" and s.base = w.base collate "C")
                       else exists (select from album a join album_slug s on (s.did, s.slug) = (a.did, a.slug)
                                     where a.list_uri = w.list_uri collate "C" and s.base = w.base collate "C") end as "is!"
           from unnest($1::text[], $2::text[], $3::text[]) with ordinality as w (did, base, list_uri, n) order by w.n"#,
        &dids as &[&str],
        &bases as &[&str],
        &lists as &[Option<&str>]
    )
    .fetch_all(&mut *db)
    .await?;
    let (mut called, mut is_new) = (BTreeSet::new(), false);
    for (((did, base, list), ascii), _) in wanted.iter().zip(given).filter(|(_, given)| !given) {
        let ascii = Some(ascii.as_str()).filter(|ascii| !ascii.is_empty() && ascii != base);
        let name = Name { did, base, ascii };
        match list {
            Some(list) => {
                let slug = give_list(db, name, list, effects).await?;
                is_new |= slug.is_some();
                called.extend(slug.into_iter().chain(ascii.map(str::to_owned)).map(|slug| (*did, slug)));
            }
            None => is_new |= add(db, name, Owner::Texts).await?.is_some(),
        }
    }
    if is_new {
        sqlx::query("set local synchronous_commit = on").execute(&mut *db).await?;
    }
    wake(db, &called, effects).await
}

/// Whose album, and what its name makes.
#[derive(Clone, Copy)]
struct Name<'a> {
    did: &'a str,
    base: &'a str,
    ascii: Option<&'a str>,
}

/// What a new slug is given to.
enum Owner<'a> {
    /// Tracks that say that they belong to it.
    Texts,
    List(&'a str),
    /// One that had another name.
    Album(Uuid),
}

/// Calls a list by this name now. What it was called before leads to it still.
async fn give_list(
    db: &mut PgConnection,
    name: Name<'_>,
    list: &str,
    effects: &mut Effects,
) -> sqlx::Result<Option<String>> {
    let own = sqlx::query_scalar!("select id from album where list_uri = $1", list)
        .fetch_optional(&mut *db)
        .await?;
    // What it was called before; else what only tracks spoke of, or what a list was called that is no album any more.
    let free = sqlx::query!(
        "select s.slug, s.album from album_slug s join album a on a.id = s.album
          where s.did = $1 and s.base = $2
            and (a.list_uri is null or a.list_uri = $3
                 or not exists (select from list l where l.uri = a.list_uri and l.list_type = 'album'))
          order by a.list_uri = $3 desc nulls last, s.n limit 1",
        name.did,
        name.base,
        list
    )
    .fetch_optional(&mut *db)
    .await?;
    let Some(free) = free else {
        return add(db, name, own.map_or(Owner::List(list), Owner::Album)).await;
    };
    let album = match own {
        Some(own) if own != free.album => {
            sqlx::query!("update album_slug set album = $2 where album = $1", free.album, own)
                .execute(&mut *db)
                .await?;
            sqlx::query!("delete from album where id = $1", free.album).execute(&mut *db).await?;
            effects.seek(Due::Album(free.album.to_string()));
            own
        }
        _ => free.album,
    };
    sqlx::query!(
        "update album_slug set ascii = $3 where did = $1 and slug = $2 and ascii is null",
        name.did,
        free.slug,
        name.ascii
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!("update album set slug = $2, list_uri = $3 where id = $1", album, free.slug, list)
        .execute(db)
        .await?;
    Ok(Some(free.slug))
}

/// Gives a slug that nobody had, unless there are too many already.
async fn add(db: &mut PgConnection, name: Name<'_>, owner: Owner<'_>) -> sqlx::Result<Option<String>> {
    let Name { did, base, ascii } = name;
    // Another name may make the same: "first light 2". Nearly always the first number is free; among so many one is.
    let Some(free) = (match free(db, name, 1).await? {
        Some(free) => Some(free),
        None => free(db, name, OF_PERSON_MAX as i32 + 1).await?,
    }) else {
        return Ok(None);
    };
    let album = match owner {
        Owner::Album(album) => {
            sqlx::query!("update album set slug = $2 where id = $1", album, free.slug)
                .execute(&mut *db)
                .await?;
            album
        }
        Owner::List(list) => insert(db, did, &free.slug, Some(list)).await?,
        Owner::Texts => insert(db, did, &free.slug, None).await?,
    };
    sqlx::query!(
        "insert into album_slug (did, slug, album, base, n, ascii) values ($1, $2, $3, $4, $5, $6)",
        did,
        free.slug,
        album,
        base,
        free.n,
        ascii
    )
    .execute(db)
    .await?;
    Ok(Some(free.slug))
}

/// A slug that nobody had.
struct Free {
    n: i32,
    slug: String,
}

/// The first free of so many numbers.
async fn free(
    db: &mut PgConnection,
    Name { did, base, .. }: Name<'_>,
    tries: i32,
) -> sqlx::Result<Option<Free>> {
    sqlx::query_as!(
        Free,
        r#"with last as (select coalesce(max(s.n), 0) as upto, count(*) as namesakes from album_slug s where did = $1 and base = $2),
                free as (select number as n, case number when 1 then $2 else $2 || '-' || number end as slug
                           from last, generate_series(last.upto + 1, last.upto + $3::integer) as number
                          where last.namesakes < $4
                            and (select count(*) from (select from album_slug where did = $1 limit $5) as theirs) < $5)
           select n as "n!", slug as "slug!" from free
            where not exists (select from album_slug s where s.did = $1 and s.slug = free.slug collate "C") order by n limit 1"#,
        did,
        base,
        tries,
        NAMESAKES_MAX,
        OF_PERSON_MAX
    )
    .fetch_optional(db)
    .await
}

async fn insert(db: &mut PgConnection, did: &str, slug: &str, list: Option<&str>) -> sqlx::Result<Uuid> {
    sqlx::query_scalar!(
        "insert into album (did, slug, list_uri) values ($1, $2, $3) returning id",
        did,
        slug,
        list
    )
    .fetch_one(db)
    .await
}

/// What named an album's page before there was an album is read again.
async fn wake(
    db: &mut PgConnection,
    called: &BTreeSet<(&str, String)>,
    effects: &mut Effects,
) -> sqlx::Result<()> {
    if called.is_empty() {
        return Ok(());
    }
    let dids: Vec<&str> = called.iter().map(|(did, _)| *did).collect();
    let slugs: Vec<&str> = called.iter().map(|(_, slug)| slug.as_str()).collect();
    let pages = sqlx::query_scalar!(
        r#"select '/u/' || who || '/album/' || c.slug as "page!" from unnest($1::text[], $2::text[]) as c (did, slug)
           left join actor a on a.did = c.did collate "C",
           unnest(array[c.did, a.handle]) as who
            where who is not null"#,
        &dids as &[&str],
        &slugs as &[&str]
    )
    .fetch_all(&mut *db)
    .await?;
    names::meet(db, pages.iter().map(String::as_str)).await?;
    let awaited = sqlx::query_scalar!(
        "select distinct name from record_name where meaning is null and name = any($1)",
        &pages
    )
    .fetch_all(db)
    .await?;
    awaited.into_iter().for_each(|name| effects.job(job::NAMED, name));
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_makes_a_slug() {
        let long = "word ".repeat(30);
        for (name, made, ascii) in [
            ("First Light", "first-light", "first-light"),
            ("  -First  -- light!-", "first-light", "first-light"),
            ("Café Olé", "café-olé", "caf-ol"),
            ("Cafe\u{301}", "café", "cafe"),
            ("夜の散歩", "夜の散歩", ""),
            ("हिन्दी गीत", "हिन्दी-गीत", ""),
            ("ＷＩＤＥ　１", "wide-1", ""),
            ("R&B / Soul_2", "rb-soul2", "rb-soul2"),
            ("…", "", ""),
            ("Summer \u{2600}\u{fe0f}", "summer", "summer"),
            ("a*\u{308}", "a", "a"),
            (
                &long,
                long[..99].trim().replace(' ', "-").as_str(),
                long[..99].trim().replace(' ', "-").as_str(),
            ),
            (&"x".repeat(120), &"x".repeat(100), &"x".repeat(100)),
        ] {
            assert_eq!((slug(name).as_str(), ascii_slug(name).as_str()), (made, ascii), "{name}");
        }
    }

    proptest! {
        #[test]
        fn a_slug_is_its_own(name in r".{0,150}|[a-cA-C \-*é\u{308}\u{301}\u{fe0f}\u{200d}ᄀ-다-ᅣᆨ-ᆪİΣςｱﾞ]{0,120}") {
            let made = slug(&name);
            prop_assert!(made.chars().count() <= SLUG_MAX);
            prop_assert!(!made.contains('/') && !made.starts_with('-') && !made.ends_with('-') && !made.contains("--"));
            prop_assert_eq!(&slug(&made), &made);
            let second = format!("{made}-2");
            prop_assert_eq!(in_address(&second), second.trim_start_matches('-'));
        }
    }
}
