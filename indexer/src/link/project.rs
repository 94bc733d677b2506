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
type Whose = (String, String, String, String);

/// Takes away the links of `gone` and adds those of `rows`.
pub(crate) async fn project(
    db: &mut PgConnection,
    gone: &[String],
    rows: &[Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let mut records: BTreeMap<Whose, i64> = BTreeMap::new();
    let (mut lost, mut won) = (BTreeSet::new(), BTreeSet::new());
    if !gone.is_empty() {
        let gone = sqlx::query!(
            "delete from link where uri = any($1) returning target, did, collection, path",
            gone
        )
        .fetch_all(&mut *db)
        .await?;
        for row in gone {
            let whose = (row.target, row.did, row.collection, row.path);
            *records.entry(whose.clone()).or_default() -= 1;
            lost.insert(whose);
        }
    }
    let mut new = Rows::into(LINKS);
    for Links { uri, created_at, sort_at, links } in rows.iter().filter_map(Row::links) {
        let Ok(at) = uri.parse::<AtUri>() else { continue };
        let (did, collection) = (at.authority(), at.collection());
        for (path, target) in links {
            new.row().field(uri).field(did).field(collection).field(at.rkey()).field(path).field(target);
            new.field(created_at).field(sort_at);
            let whose = (target.to_owned(), did.to_owned(), collection.to_owned(), path.to_owned());
            *records.entry(whose.clone()).or_default() += 1;
            won.insert(whose);
        }
    }
    if records.is_empty() {
        return Ok(());
    }
    let held = held(db, records.keys()).await?;
    new.write(db).await?;
    for (whose, records) in records {
        let people = i64::from(won.contains(&whose)) - i64::from(lost.contains(&whose));
        let people = if held.contains(&whose) { 0 } else { people };
        let (target, did, collection, path) = whose;
        effects.count_links(&did, [target, collection, path], [records, people]);
    }
    Ok(())
}

/// Which of them have a link.
async fn held<'a>(
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
