//! Albums: how they are called in addresses. One artist and one slug are one album, whether a list of theirs has that name or
//! only their tracks say that they belong to it.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use sqlx::types::Uuid;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::apply::effects::Effects;
use crate::job;

/// Characters of a slug.
const SLUG_MAX: usize = 100;

/// What an address calls an album of this name: letters and digits of any script in lower case, hyphens between words, at most a
/// hundred characters. Empty where the name has neither.
pub fn slug(name: &str) -> String {
    // Lower case may take a letter apart.
    let lower: String = name.nfkc().flat_map(char::to_lowercase).nfkc().collect();
    hyphenated(lower.chars().filter(|c| c.is_alphanumeric() || is_combining_mark(*c) || is_gap(*c)))
}

/// What servers call it that know `a` to `z` only, and leave all else out.
pub fn ascii_slug(name: &str) -> String {
    let lower = name.chars().flat_map(char::to_lowercase);
    hyphenated(lower.filter(|c| c.is_ascii_alphanumeric() || is_gap(*c)))
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || c == '-'
}

fn hyphenated(characters: impl Iterator<Item = char>) -> String {
    let mut slug = String::new();
    let (mut length, mut word_end) = (0, 0);
    for c in characters {
        let c = if is_gap(c) { '-' } else { c };
        if c == '-' && (slug.is_empty() || slug.ends_with('-')) {
            continue;
        }
        if length == SLUG_MAX {
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
    let wanted: BTreeSet<(&str, String, Option<&str>, String)> = named
        .map(|Named { did, name, list_uri }| (did, slug(name), list_uri, ascii_slug(name)))
        .filter(|(_, base, ..)| !base.is_empty())
        .collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let dids: Vec<&str> = wanted.iter().map(|(did, ..)| *did).collect();
    let bases: Vec<&str> = wanted.iter().map(|(_, base, ..)| base.as_str()).collect();
    let lists: Vec<Option<&str>> = wanted.iter().map(|(_, _, list, _)| *list).collect();
    let given = sqlx::query_scalar!(
        r#"select exists (select from album_slug s join album a on a.id = s.album
                           where s.did = w.did collate "C" and s.base = w.base collate "C"
                             and (w.list_uri is null or a.list_uri = w.list_uri collate "C" and a.slug = s.slug)) as "is!"
           from unnest($1::text[], $2::text[], $3::text[]) with ordinality as w (did, base, list_uri, n) order by w.n"#,
        &dids as &[&str],
        &bases as &[&str],
        &lists as &[Option<&str>]
    )
    .fetch_all(&mut *db)
    .await?;
    let (mut called, mut is_new) = (BTreeSet::new(), false);
    // Lists come after the texts of the same name, and take their place.
    for ((did, base, list, ascii), _) in wanted.iter().zip(given).filter(|(_, given)| !given) {
        let ascii = Some(ascii.as_str()).filter(|ascii| !ascii.is_empty() && ascii != base);
        is_new = true;
        match list {
            Some(list) => {
                called.insert((*did, give_list(db, did, base, ascii, list).await?));
                called.extend(ascii.map(|ascii| (*did, ascii.to_owned())));
            }
            None => drop(add(db, did, base, ascii, None).await?),
        }
    }
    if is_new {
        sqlx::query("set local synchronous_commit = on").execute(&mut *db).await?;
    }
    wake(db, &called, effects).await
}

/// Calls a list by this name now. What it was called before leads to it still.
async fn give_list(
    db: &mut PgConnection,
    did: &str,
    base: &str,
    ascii: Option<&str>,
    list: &str,
) -> sqlx::Result<String> {
    let own = sqlx::query_scalar!("select id from album where list_uri = $1", list)
        .fetch_optional(&mut *db)
        .await?;
    // What it was called before, what only tracks spoke of, and what a list was that is no more.
    let free = sqlx::query!(
        "select s.slug, s.album from album_slug s join album a on a.id = s.album
          where s.did = $1 and s.base = $2
            and (a.list_uri is null or a.list_uri = $3 or not exists (select from list l where l.uri = a.list_uri))
          order by a.list_uri = $3 desc nulls last, s.n limit 1",
        did,
        base,
        list
    )
    .fetch_optional(&mut *db)
    .await?;
    let Some(free) = free else {
        return add(db, did, base, ascii, own.map_or(Some(Owner::List(list)), |own| Some(Owner::Album(own))))
            .await;
    };
    let album = match own {
        Some(own) if own != free.album => {
            sqlx::query!("update album_slug set album = $2 where album = $1", free.album, own)
                .execute(&mut *db)
                .await?;
            sqlx::query!("delete from album where id = $1", free.album).execute(&mut *db).await?;
            own
        }
        _ => free.album,
    };
    sqlx::query!("update album set slug = $2, list_uri = $3 where id = $1", album, free.slug, list)
        .execute(db)
        .await?;
    Ok(free.slug)
}

/// What a new slug is given to.
enum Owner<'a> {
    List(&'a str),
    Album(Uuid),
}

/// Gives a slug that nobody had, to a new album or to one that has another name now.
async fn add(
    db: &mut PgConnection,
    did: &str,
    base: &str,
    ascii: Option<&str>,
    owner: Option<Owner<'_>>,
) -> sqlx::Result<String> {
    let last = sqlx::query_scalar!("select max(n) from album_slug where did = $1 and base = $2", did, base)
        .fetch_one(&mut *db)
        .await?;
    let mut n = last.unwrap_or(0) + 1;
    let slug = loop {
        let slug = if n == 1 { base.to_owned() } else { format!("{base}-{n}") };
        // Another name may make the same: "first light 2".
        let taken = sqlx::query_scalar!(
            r#"select exists (select from album_slug where did = $1 and slug = $2) as "is!""#,
            did,
            slug
        );
        if !taken.fetch_one(&mut *db).await? {
            break slug;
        }
        n += 1;
    };
    let album = match owner {
        Some(Owner::Album(album)) => {
            sqlx::query!("update album set slug = $2 where id = $1", album, slug).execute(&mut *db).await?;
            album
        }
        Some(Owner::List(list)) => insert(db, did, &slug, Some(list)).await?,
        None => insert(db, did, &slug, None).await?,
    };
    sqlx::query!(
        "insert into album_slug (did, slug, album, base, n, ascii) values ($1, $2, $3, $4, $5, $6)",
        did,
        slug,
        album,
        base,
        n,
        ascii
    )
    .execute(db)
    .await?;
    Ok(slug)
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
    let awaited = sqlx::query_scalar!(
        r#"select distinct n.name from unnest($1::text[], $2::text[]) as c (did, slug)
           left join actor a on a.did = c.did collate "C"
           join record_name n on n.meaning is null
            and n.name = any(array['/u/' || c.did || '/album/' || c.slug, '/u/' || a.handle || '/album/' || c.slug])"#,
        &dids as &[&str],
        &slugs as &[&str]
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
        fn a_slug_is_its_own(name in ".{0,150}") {
            let made = slug(&name);
            prop_assert!(made.chars().count() <= SLUG_MAX);
            prop_assert!(!made.contains('/') && !made.starts_with('-') && !made.ends_with('-') && !made.contains("--"));
            prop_assert_eq!(slug(&made), made);
        }
    }
}
