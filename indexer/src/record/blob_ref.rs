//! `blob_ref`: which record names which blob.

use sqlx::PgConnection;

use crate::apply::effects::Effects;

/// A record names a blob.
pub(super) struct Ref<'a> {
    pub uri: &'a str,
    pub did: &'a str,
    pub cid: &'a str,
    pub role: &'static str,
}

/// Notes what records name, and asks for the bytes.
pub(super) async fn add(db: &mut PgConnection, refs: &[Ref<'_>], effects: &mut Effects) -> sqlx::Result<()> {
    if refs.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "insert into blob_ref (uri, cid, did, role)
         select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) on conflict do nothing",
        &refs.iter().map(|blob| blob.uri).collect::<Vec<_>>() as &[&str],
        &refs.iter().map(|blob| blob.cid).collect::<Vec<_>>() as &[&str],
        &refs.iter().map(|blob| blob.did).collect::<Vec<_>>() as &[&str],
        &refs.iter().map(|blob| blob.role).collect::<Vec<_>>() as &[&str],
    )
    .execute(db)
    .await?;
    refs.iter().for_each(|blob| effects.fetch_blob(blob.cid));
    Ok(())
}

/// These records name nothing any more.
pub(super) async fn forget(db: &mut PgConnection, uris: &[String]) -> sqlx::Result<()> {
    sqlx::query!("delete from blob_ref where uri = any($1)", uris).execute(db).await?;
    Ok(())
}
