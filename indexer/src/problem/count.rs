//! How many there are of each kind, at a cost that a flood of problems cannot raise.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

/// Nobody needs to know how many more there are.
pub const COUNT_MAX: i64 = 10_000;

/// Problems of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindCount {
    /// Its name.
    pub kind: String,
    /// How many, up to [`COUNT_MAX`].
    pub count: i64,
    /// The newest of them.
    pub newest_at: Option<DateTime<Utc>>,
}

/// Events kept aside, by kind. Steps from kind to kind in the index, and counts in it up to the limit.
///
/// Ranges and orders are written out so that no other plan is open: for a rare kind among very many, a planner that trusts
/// in finding enough of them early would read the whole table.
pub async fn events(db: &mut PgConnection) -> sqlx::Result<Vec<KindCount>> {
    sqlx::query_as!(
        KindCount,
        r#"with recursive kinds as (
             (select kind from problem order by kind limit 1)
             union all
             select (select p.kind from problem p where p.kind > k.kind order by p.kind limit 1)
             from kinds k where k.kind is not null
           )
           select k.kind as "kind!",
                  (select count(*) from (
                     select from problem p
                     where (p.kind, p.id) >= (k.kind, 0) and (p.kind, p.id) <= (k.kind, 9223372036854775807)
                     order by p.kind, p.id limit $1
                   ) as part) as "count!",
                  (select p.created_at from problem p
                   where (p.kind, p.id) >= (k.kind, 0) and (p.kind, p.id) <= (k.kind, 9223372036854775807)
                   order by p.kind desc, p.id desc limit 1) as "newest_at?"
           from kinds k where k.kind is not null order by k.kind"#,
        COUNT_MAX
    )
    .fetch_all(db)
    .await
}

/// Records that are kept without a projection, by what is wrong with them.
pub async fn records(db: &mut PgConnection) -> sqlx::Result<Vec<KindCount>> {
    sqlx::query_as!(
        KindCount,
        r#"with recursive kinds as (
             (select problem as kind from record where problem is not null order by problem limit 1)
             union all
             select (select r.problem from record r where r.problem > k.kind order by r.problem limit 1)
             from kinds k where k.kind is not null
           )
           select k.kind as "kind!",
                  (select count(*) from (
                     select from record r where r.problem >= k.kind and r.problem <= k.kind order by r.problem limit $1
                   ) as part) as "count!",
                  null::timestamptz as "newest_at?"
           from kinds k where k.kind is not null order by k.kind"#,
        COUNT_MAX
    )
    .fetch_all(db)
    .await
}
