//! Numbers for the HTTP API, given when a thing is first seen and never again.
//!
//! Whoever gives one waits for the disk: a number that a crash took back would be given to something else, and somebody may
//! have seen what it stood for.

use sqlx::PgConnection;

/// Numbers those of `uris` that have none. The repos' locks keep two transactions from numbering one thing.
pub(super) async fn assign<'a>(
    db: &mut PgConnection,
    kind: &str,
    uris: impl Iterator<Item = &'a str>,
) -> sqlx::Result<()> {
    let uris: Vec<&str> = uris.collect();
    if uris.is_empty() {
        return Ok(());
    }
    let given = sqlx::query!(
        "insert into public_id (kind, uri)
         select $1, uri from unnest($2::text[]) as new (uri)
          where not exists (select from public_id known where known.kind = $1 and known.uri = new.uri collate \"C\")
         on conflict do nothing",
        kind,
        &uris as &[&str]
    )
    .execute(&mut *db)
    .await?;
    if given.rows_affected() > 0 {
        sqlx::query("set local synchronous_commit = on").execute(db).await?;
    }
    Ok(())
}
