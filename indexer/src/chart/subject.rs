//! `chart_subject`: what charts are of, by number.

use std::collections::{BTreeMap, HashMap};

use sqlx::PgConnection;

use super::Kind;

/// Numbers of things.
#[derive(Debug, Default)]
pub(super) struct Subjects(HashMap<(Kind, String), i32>);

impl Subjects {
    /// Of these, each with what it is called, where it has a name beside its key. Whoever names it first has named it.
    pub async fn named(
        db: &mut PgConnection,
        wanted: BTreeMap<(Kind, String), Option<String>>,
    ) -> sqlx::Result<Self> {
        let kinds: Vec<i16> = wanted.keys().map(|(kind, _)| *kind as i16).collect();
        let keys: Vec<&str> = wanted.keys().map(|(_, key)| key.as_str()).collect();
        let names: Vec<Option<&str>> = wanted.values().map(Option::as_deref).collect();
        // Most are there already, and only those that are not use up numbers.
        let rows = sqlx::query!(
            r#"with w as materialized (select * from unnest($1::smallint[], $2::text[], $3::text[]) as w (kind, key, name)),
                    held as materialized (
                      select s.id, s.kind, s.key from w join chart_subject s on s.kind = w.kind
                                                                                    and s.key = w.key collate "C"),
                    added as (
                      insert into chart_subject (kind, key, name)
                      select w.kind, w.key, w.name from w left join held using (kind, key) where held.id is null
                      returning id, kind, key)
               select id as "id!", kind as "kind!", key as "key!" from held union all select id, kind, key from added"#,
            &kinds,
            &keys as &[&str],
            &names as &[Option<&str>]
        )
        .fetch_all(db)
        .await?;
        Ok(Subjects(
            rows.into_iter().filter_map(|row| Some(((Kind::of(row.kind)?, row.key), row.id))).collect(),
        ))
    }

    pub fn id(&self, kind: Kind, key: &str) -> Option<i32> {
        self.0.get(&(kind, key.to_owned())).copied()
    }
}
