//! Records → `link`, `link_count`.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use super::Links;
use crate::apply::effects::Effects;
use crate::copy::{self, Rows, Target};
use crate::record::Row;
use crate::sabotage;
use crate::syntax::AtUri;

/// The columns of `link`.
pub const LINKS: Target = copy::into!(link: uri, did, collection, rkey, path, target, created_at, sort_at);

/// Whose links to what: (target, person, collection, path).
pub(crate) type Whose = (String, String, String, String);

/// Links that come and go, before their numbers are moved.
#[derive(Debug)]
pub(crate) struct Moved {
    records: BTreeMap<Whose, i64>,
    lost: BTreeSet<Whose>,
    won: BTreeSet<Whose>,
    new: Rows,
}

/// Takes away the links of `gone` and adds those of `rows`.
pub(crate) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let moved = Moved::gather(db, gone, rows).await?;
    let held = held(db, moved.records.keys()).await?;
    moved.settle(db, |whose| held.contains(whose), effects).await
}

impl Moved {
    /// Takes away the links of `gone`, and gathers those of `rows`.
    pub async fn gather(db: &mut PgConnection, gone: &[String], rows: &[Row]) -> sqlx::Result<Self> {
        let mut moved = Moved {
            records: BTreeMap::new(),
            lost: BTreeSet::new(),
            won: BTreeSet::new(),
            new: Rows::into(LINKS),
        };
        if !gone.is_empty() {
            let gone = sqlx::query!(
                "delete from link where uri = any($1) returning target, did, collection, path",
                gone
            )
            .fetch_all(&mut *db)
            .await?;
            for row in gone {
                let whose = (row.target, row.did, row.collection, row.path);
                *moved.records.entry(whose.clone()).or_default() -= 1;
                moved.lost.insert(whose);
            }
        }
        for Links { uri, created_at, sort_at, links } in rows.iter().filter_map(Row::links) {
            let Ok(at) = uri.parse::<AtUri>() else { continue };
            let (did, collection) = (at.authority(), at.collection());
            for (path, target) in links {
                moved.new.row().field(uri).field(did).field(collection).field(at.rkey()).field(path);
                moved.new.field(target).field(created_at).field(sort_at);
                let whose = (target.to_owned(), did.to_owned(), collection.to_owned(), path.to_owned());
                *moved.records.entry(whose.clone()).or_default() += 1;
                moved.won.insert(whose);
            }
        }
        Ok(moved)
    }

    /// Whose links to what they are.
    pub fn concerned(&self) -> impl Iterator<Item = &Whose> {
        self.records.keys()
    }

    /// Writes those that are new, and moves the numbers. `held` says whether a person names a thing by another record.
    pub async fn settle(
        self,
        db: &mut PgConnection,
        held: impl Fn(&Whose) -> bool,
        effects: &mut Effects,
    ) -> sqlx::Result<()> {
        let Moved { records, lost, won, new } = self;
        new.write(db).await?;
        for (whose, records) in records {
            let people = i64::from(won.contains(&whose)) - i64::from(lost.contains(&whose));
            let people = if people != 0 && held(&whose) { 0 } else { people };
            let (target, did, collection, path) = whose;
            effects.count_links(&did, [target, collection, path], [records, people]);
        }
        Ok(())
    }
}

/// Which of them have a link.
pub(crate) async fn held<'a>(
    db: &mut PgConnection,
    wanted: impl Iterator<Item = &'a Whose>,
) -> sqlx::Result<BTreeSet<Whose>> {
    if sabotage::is_on("links-counted-per-record") {
        return Ok(BTreeSet::new());
    }
    let mut columns: [Vec<&str>; 4] = Default::default();
    for (target, did, collection, path) in wanted {
        for (column, text) in columns.iter_mut().zip([target, did, collection, path]) {
            column.push(text);
        }
    }
    let [targets, dids, collections, paths] = &columns;
    if targets.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = sqlx::query!(
        r#"select distinct l.target, l.did, l.collection, l.path
           from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as w (target, did, collection, path)
           join link l on l.target = w.target collate "C" and l.did = w.did collate "C"
                      and l.collection = w.collection collate "C" and l.path = w.path collate "C""#,
        targets as &[&str],
        dids as &[&str],
        collections as &[&str],
        paths as &[&str]
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|row| (row.target, row.did, row.collection, row.path)).collect())
}
