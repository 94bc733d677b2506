//! Where listeners come from.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use url::{Host, Url};

use crate::sabotage;

/// For so long somebody is new here.
pub const NEW_DAYS: i32 = 7;

/// Whose people count in full, and who has a listener's number.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    open: BTreeSet<String>,
}

/// The part of all whom nobody vouches for, beside those of their origins.
pub(super) const UNVOUCHED: i32 = 0;

/// Where somebody comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Home {
    pub origin: i32,
    /// Who is new here or anonymous: nobody vouches for them yet.
    pub is_unvouched: bool,
}

/// Somebody who hears and likes.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    pub id: i32,
    pub home: Home,
    /// Where they came from until now, if it was elsewhere.
    pub was: Option<Home>,
    /// Whether what they hear counts: nobody who is hidden does.
    pub counts: bool,
}

/// Whoever has a domain has as many names under it as they like; and what a service gives away under its own counts for the
/// service.
fn domain(name: &str) -> &str {
    match psl::suffix(name.as_bytes()) {
        Some(suffix) if suffix.typ() == Some(psl::Type::Private) => {
            let given = std::str::from_utf8(suffix.as_bytes()).unwrap_or(name);
            // A name of the service's own: the suffix without its first label is a public one.
            let registry = given.split_once('.').map_or(given, |(_, rest)| rest);
            psl::suffix_str(registry).map_or(given, |public| {
                let labels = public.split('.').count() + 1;
                let from = given.rmatch_indices('.').nth(labels - 1).map_or(0, |(at, _)| at + 1);
                &given[from..]
            })
        }
        _ => psl::domain_str(name).unwrap_or(name),
    }
}

impl Origins {
    /// Where people of these domains count in full.
    pub fn new(open: impl IntoIterator<Item = String>) -> Self {
        Origins { open: open.into_iter().map(|name| domain(&name.to_lowercase()).to_owned()).collect() }
    }

    /// The origin of somebody whose PDS this is.
    fn of_pds(&self, pds: Option<&str>) -> String {
        let host = pds.and_then(|pds| Url::parse(pds).ok());
        match host.as_ref().and_then(Url::host) {
            Some(Host::Domain(name)) => domain(name).to_owned(),
            // As many as they like.
            Some(_) => "address".to_owned(),
            None => "unknown".to_owned(),
        }
    }

    fn is_open(&self, origin: &str) -> bool {
        self.open.contains(origin)
    }

    /// Who they are, as they stand now. Those of whom nothing was ever counted and nothing counts now are left out.
    pub(super) async fn listeners(
        &self,
        db: &mut PgConnection,
        names: &BTreeSet<String>,
    ) -> sqlx::Result<HashMap<String, Listener>> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows = sqlx::query!(
            r#"select w.name as "name!", l.id as "id?", l.origin_id as "origin_id?",
                      l.is_unvouched as "is_unvouched?", a.active as "active?", a.pds as "pds?", a.first_seen_at as "first_seen_at?"
               from unnest($1::text[]) as w (name)
               left join chart_listener l on l.name = w.name collate "C"
               left join actor a on a.did = w.name collate "C""#,
            &names as &[&str]
        )
        .fetch_all(&mut *db)
        .await?;
        let newest = newest(db).await?;
        let mut wanted = BTreeMap::new();
        for row in &rows {
            let is_anonymous = row.name.starts_with("anonymous:");
            let origin = if is_anonymous { "anonymous".to_owned() } else { self.of_pds(row.pds.as_deref()) };
            let is_new = row.first_seen_at.is_some_and(|at| at > newest);
            let is_unvouched = (is_anonymous || is_new) && !sabotage::is_on("chart-vouches-for-all");
            wanted.insert(row.name.clone(), (origin, is_unvouched));
        }
        let origins = self.numbers(db, wanted.values().map(|(origin, _)| origin.clone()).collect()).await?;
        let home = |name: &String| {
            let (origin, is_unvouched) = wanted.get(name)?;
            Some(Home { origin: *origins.get(origin)?, is_unvouched: *is_unvouched })
        };
        let (mut listeners, mut unknown) = (HashMap::new(), Vec::new());
        for row in rows {
            let counts = row.active == Some(true) || row.name.starts_with("anonymous:");
            let Some(home) = home(&row.name) else { continue };
            match row.id {
                Some(id) => {
                    let was = row.origin_id.zip(row.is_unvouched);
                    let was = was.map(|(origin, is_unvouched)| Home { origin, is_unvouched });
                    let was = was.filter(|was| *was != home);
                    listeners.insert(row.name, Listener { id, home, was, counts });
                }
                None if counts => unknown.push((row.name, home)),
                None => {}
            }
        }
        let (names, homes): (Vec<String>, Vec<Home>) = unknown.into_iter().unzip();
        let numbers: Vec<i32> = homes.iter().map(|home| home.origin).collect();
        let unvouched: Vec<bool> = homes.iter().map(|home| home.is_unvouched).collect();
        let added = sqlx::query!(
            "insert into chart_listener (name, origin_id, is_unvouched)
             select * from unnest($1::text[], $2::integer[], $3::boolean[])
             returning id, name, origin_id, is_unvouched",
            &names,
            &numbers,
            &unvouched
        )
        .fetch_all(db)
        .await?;
        for row in added {
            let home = Home { origin: row.origin_id, is_unvouched: row.is_unvouched };
            let listener = Listener { id: row.id, home, was: None, counts: true };
            listeners.insert(row.name, listener);
        }
        Ok(listeners)
    }

    async fn numbers(
        &self,
        db: &mut PgConnection,
        names: BTreeSet<String>,
    ) -> sqlx::Result<HashMap<String, i32>> {
        let names: Vec<String> = names.into_iter().collect();
        let open: Vec<bool> = names.iter().map(|name| self.is_open(name)).collect();
        // Only what is missing uses up a number.
        let rows = sqlx::query!(
            r#"with w as materialized (select * from unnest($1::text[], $2::boolean[]) as w (name, is_open)),
                    held as materialized (
                      select o.id, o.name from w join chart_origin o on o.name = w.name collate "C"),
                    added as (
                      insert into chart_origin (name, is_open)
                      select w.name, w.is_open from w left join held using (name) where held.id is null
                      returning id, name)
               select id as "id!", name as "name!" from held union all select id, name from added"#,
            &names,
            &open
        )
        .fetch_all(db)
        .await?;
        Ok(rows.into_iter().map(|row| (row.name, row.id)).collect())
    }
}

impl Origins {
    /// Looks whether other origins are open than the last time. Returns what they have a part in, with its kind.
    pub(super) async fn reopened(&self, db: &mut PgConnection) -> sqlx::Result<Vec<(i16, i32, i16)>> {
        let open: Vec<String> = self.open.iter().cloned().collect();
        let rows = sqlx::query!(
            "with changed as (
               update chart_origin set is_open = not is_open where is_open <> (name = any($1)) and id <> $2 returning id)
             select distinct p.period, p.subject_id, s.kind from changed
               join chart_part p on p.origin_id = changed.id join chart_subject s on s.id = p.subject_id",
            &open,
            UNVOUCHED
        )
        .fetch_all(db)
        .await?;
        Ok(rows.into_iter().map(|row| (row.period, row.subject_id, row.kind)).collect())
    }
}

/// Who was first seen after this moment is new. Whom a database met on its first day was there before it.
async fn newest(db: &mut PgConnection) -> sqlx::Result<DateTime<Utc>> {
    sqlx::query_scalar!(
        r#"select greatest(now() - make_interval(days => $1),
                           (select min(first_seen_at) from actor) + interval '1 day') as "at!""#,
        NEW_DAYS
    )
    .fetch_one(db)
    .await
}

/// Has those counted anew who have been here for a week.
pub(super) async fn graduate(db: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into chart_due (did)
         select l.name from chart_listener l join actor a on a.did = l.name
          where l.is_unvouched and l.name not like 'anonymous:%' and a.first_seen_at < now() - make_interval(days => $1)",
        NEW_DAYS
    )
    .execute(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Origins;

    #[test]
    fn who_has_a_domain_is_one_origin() {
        let origins = Origins::new(["BSKY.network".to_owned()]);
        let of = |pds: &str| origins.of_pds(Some(pds));
        assert_eq!(of("https://a.b.evil.example"), "evil.example");
        assert_eq!(of("https://amanita.us-east.host.bsky.network"), "bsky.network");
        assert_eq!(of("https://music.co.uk:444"), "music.co.uk");
        assert_eq!(of("http://127.0.0.1:4001"), of("http://[2001:db8::1]"));
        assert_eq!(of("https://a.duckdns.org"), of("https://b.duckdns.org"));
        assert_eq!(of("https://a.b.workers.dev"), "workers.dev");
        assert_eq!(of("no url"), "unknown");
        assert!(origins.is_open("bsky.network") && !origins.is_open("evil.example"));
    }
}
