//! What something is called, read from the tables of its noun.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;
use sqlx::types::Uuid;

use super::Kind;
use super::due::Due;
use super::text::Folded;

/// Kind and key.
pub type Thing = (Kind, String);

/// One thing that can be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is; a tag is nobody's.
    pub did: Option<String>,
    /// What it is called.
    pub name: Folded,
    /// What else it is called: a person's handle.
    pub other: Option<Folded>,
    /// What it may be looked for by beside its name: its artist, its album.
    pub beside: Vec<Folded>,
    /// How often it is liked and heard.
    pub weight: i64,
}

/// What was looked at, and what there is of it.
#[derive(Debug, Default)]
pub struct Found {
    /// Everything that was asked for; what is in here and not among the entries cannot be found any more.
    pub asked: BTreeSet<Thing>,
    /// What can be found.
    pub entries: BTreeMap<Thing, Entry>,
}

impl Found {
    fn add(&mut self, thing: Thing, did: Option<String>, name: &str) -> Option<&mut Entry> {
        let name = Folded::of(name);
        if name.is_empty() {
            return None;
        }
        let entry = Entry { did, name, other: None, beside: Vec::new(), weight: 0 };
        Some(self.entries.entry(thing).insert_entry(entry).into_mut())
    }
}

/// Reads anew what these are called.
pub async fn read(db: &mut PgConnection, dues: &BTreeSet<Due>) -> sqlx::Result<Found> {
    let mut wanted: BTreeMap<Kind, BTreeSet<String>> = BTreeMap::new();
    let (mut lists, mut called) = (Vec::new(), (Vec::new(), Vec::new()));
    for due in dues {
        let (kind, key) = match due {
            Due::Track(key) => (Kind::Track, key),
            Due::Artist(key) => (Kind::Artist, key),
            Due::Album(key) => (Kind::Album, key),
            Due::Tag(key) => (Kind::Tag, key),
            Due::List(key) => {
                lists.push(key.as_str());
                (Kind::Playlist, key)
            }
            Due::Called(did, base) => {
                called.0.push(did.as_str());
                called.1.push(base.as_str());
                continue;
            }
            // What these are is noted one by one.
            Due::Works(_) => continue,
        };
        wanted.entry(kind).or_default().insert(key.clone());
    }
    let meant = albums_meant(db, &lists, called).await?;
    wanted.entry(Kind::Album).or_default().extend(meant);
    let mut found = Found::default();
    for (kind, keys) in wanted {
        let keys: Vec<String> = keys.into_iter().collect();
        match kind {
            Kind::Track => tracks(db, &keys, &mut found).await?,
            Kind::Artist => artists(db, &keys, &mut found).await?,
            Kind::Album => albums(db, &keys, &mut found).await?,
            Kind::Playlist => playlists(db, &keys, &mut found).await?,
            Kind::Tag => tags(db, &keys, &mut found).await?,
        }
        found.asked.extend(keys.into_iter().map(|key| (kind, key)));
    }
    Ok(found)
}

/// The albums that these lists are, and that these names of somebody's mean.
async fn albums_meant(
    db: &mut PgConnection,
    lists: &[&str],
    (dids, bases): (Vec<&str>, Vec<&str>),
) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"select id::text as "id!" from album where list_uri = any($1)
           union
           select s.album::text from unnest($2::text[], $3::text[]) as w (did, base)
             join album_slug s on s.did = w.did collate "C" and s.base = w.base collate "C""#,
        lists as &[&str],
        &dids as &[&str],
        &bases as &[&str]
    )
    .fetch_all(db)
    .await
}

async fn tracks(db: &mut PgConnection, keys: &[String], found: &mut Found) -> sqlx::Result<()> {
    let rows = sqlx::query!(
        r#"select t.uri as "uri!", t.did as "did!", t.title as "title!", t.artist as "artist!", t.album as "album?",
                  coalesce(p.display_name, a.handle) as author, coalesce(c.like_count + c.play_count, 0) as "weight!"
             from track t
             left join actor a on a.did = t.did
             left join bsky_profile p on p.did = t.did
             left join subject_count c on c.uri = t.uri
            where t.uri = any($1)"#,
        keys
    );
    for row in rows.fetch_all(db).await? {
        if let Some(entry) = found.add((Kind::Track, row.uri), Some(row.did), &row.title) {
            entry.beside = [Some(row.artist), row.author, row.album]
                .iter()
                .flatten()
                .map(|text| Folded::of(text))
                .collect();
            entry.weight = row.weight;
        }
    }
    Ok(())
}

async fn artists(db: &mut PgConnection, keys: &[String], found: &mut Found) -> sqlx::Result<()> {
    let rows = sqlx::query!(
        r#"select a.did as "did!", a.handle, p.display_name as "display_name?",
                  coalesce((select c.plays + c.likes from chart_subject s join chart c on c.subject_id = s.id and c.period = $2
                             where s.kind = $3 and s.key = a.did), 0) as "weight!"
             from actor a left join bsky_profile p on p.did = a.did
            where a.did = any($1)
              and (exists (select from track where track.did = a.did) or exists (select from profile where profile.did = a.did))"#,
        keys,
        crate::chart::Period::All as i16,
        crate::chart::Kind::Artist as i16
    );
    for row in rows.fetch_all(db).await? {
        let names = [row.display_name, row.handle];
        let mut names = names.into_iter().flatten().filter(|name| !Folded::of(name).is_empty());
        let (Some(name), other) = (names.next(), names.next()) else { continue };
        if let Some(entry) = found.add((Kind::Artist, row.did.clone()), Some(row.did), &name) {
            entry.other = other.as_deref().map(Folded::of);
            entry.weight = row.weight;
        }
    }
    Ok(())
}

async fn albums(db: &mut PgConnection, keys: &[String], found: &mut Found) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = keys.iter().filter_map(|key| key.parse().ok()).collect();
    let rows = sqlx::query!(
        r#"select a.id::text as "id!", a.did as "did!", coalesce(l.name, told.album) as title, told.artist as "artist?", p.display_name as "owner?",
                  coalesce(c.like_count, 0) as "weight!"
             from album a
             left join list l on l.uri = a.list_uri and l.list_type = 'album'
             left join bsky_profile p on p.did = a.did
             left join subject_count c on c.uri = a.list_uri
             left join lateral (
                  select t.album, t.artist from album_slug s join track t on t.did = s.did and t.album_base = s.base
                   where s.album = a.id order by t.sort_at, t.uri limit 1) as told on true
            where a.id = any($1)"#,
        &ids
    );
    for row in rows.fetch_all(db).await? {
        let Some(title) = row.title else { continue };
        if let Some(entry) = found.add((Kind::Album, row.id), Some(row.did), &title) {
            entry.beside = [row.artist, row.owner].iter().flatten().map(|text| Folded::of(text)).collect();
            entry.weight = row.weight;
        }
    }
    Ok(())
}

async fn playlists(db: &mut PgConnection, keys: &[String], found: &mut Found) -> sqlx::Result<()> {
    let rows = sqlx::query!(
        r#"select l.uri as "uri!", l.did as "did!", l.name as "name!", p.display_name as "owner?", coalesce(c.like_count, 0) as "weight!"
             from list l
             left join bsky_profile p on p.did = l.did
             left join subject_count c on c.uri = l.uri
            where l.uri = any($1) and l.list_type = 'playlist' and l.name is not null"#,
        keys
    );
    for row in rows.fetch_all(db).await? {
        if let Some(entry) = found.add((Kind::Playlist, row.uri), Some(row.did), &row.name) {
            entry.beside = row.owner.iter().map(|text| Folded::of(text)).collect();
            entry.weight = row.weight;
        }
    }
    Ok(())
}

async fn tags(db: &mut PgConnection, keys: &[String], found: &mut Found) -> sqlx::Result<()> {
    let rows = sqlx::query!("select tag, tracks from tag_count where tag = any($1) and tracks > 0", keys);
    for row in rows.fetch_all(db).await? {
        if let Some(entry) = found.add((Kind::Tag, row.tag.clone()), None, &row.tag) {
            entry.weight = row.tracks;
        }
    }
    Ok(())
}
