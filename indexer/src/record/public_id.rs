//! Numbers for the HTTP API, given when a thing is first seen and never again.

use sqlx::{PgConnection, PgPool};

/// Numbers those of `uris` that have none. The repos' locks keep two transactions from numbering one thing.
pub(super) async fn assign(db: &mut PgConnection, kind: &str, uris: &[&str]) -> sqlx::Result<()> {
    if uris.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into public_id (kind, uri)
         select $1, uri from unnest($2::text[]) as new (uri)
          where not exists (select from public_id known where known.kind = $1 and known.uri = new.uri collate \"C\")
         on conflict do nothing",
        kind,
        uris as &[&str]
    )
    .execute(db)
    .await?;
    Ok(())
}

/// More numbers than can be given in the moment that a crash of the database takes back.
const PASSED_OVER: i64 = 100_000;

/// Passes over the numbers that were given before a crash and are forgotten: somebody may have seen what they stood for.
pub(crate) async fn pass_over(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        r#"select setval(pg_get_serial_sequence('public_id', 'id'),
                         nextval(pg_get_serial_sequence('public_id', 'id')) + $1) as "next!""#,
        PASSED_OVER
    )
    .fetch_one(pool)
    .await?;
    Ok(())
}
