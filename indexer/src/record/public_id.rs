//! Numbers for the HTTP API, given when a thing is first seen and never again.

use sqlx::PgConnection;

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
