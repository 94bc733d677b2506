//! The numbers by which the HTTP API names things. They are this server's, given at first sight and kept for ever.

use std::collections::HashMap;

use axum::extract::FromRequestParts;
use axum::extract::rejection::PathRejection;
use axum::http::request::Parts;
use indexer::syntax::AtUri;
use sqlx::PgConnection;

use crate::detail::Detail;
use crate::error::Error;

/// The number in a path (`/tracks/{id}`); 422 where it is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Detail;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Detail> {
        let text: Result<axum::extract::Path<String>, PathRejection> =
            axum::extract::Path::from_request_parts(parts, state).await;
        text.ok()
            .and_then(|text| text.parse().ok())
            .map(Id)
            .ok_or_else(|| Detail::invalid("path", "id", "Input should be a valid integer"))
    }
}

/// What is meant by a number: the record's name, whether it still stands or not.
pub(crate) async fn find(db: &mut PgConnection, kind: &str, id: Id) -> Result<Option<AtUri>, Detail> {
    let uri = sqlx::query_scalar!("select uri from public_id where id = $1 and kind = $2", id.0, kind)
        .fetch_optional(db)
        .await?;
    uri.map(|uri| uri.parse().map_err(Detail::internal)).transpose()
}

/// The numbers of things.
pub(crate) async fn of(
    db: &mut PgConnection,
    kind: &str,
    uris: &[String],
) -> Result<HashMap<String, i64>, Error> {
    let rows = sqlx::query!("select uri, id from public_id where kind = $1 and uri = any($2)", kind, uris)
        .fetch_all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.uri, row.id)).collect())
}
