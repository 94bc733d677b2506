//! Whether this process lives, and whether it can answer.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::App;
use crate::error::Error;
use crate::pool::Pool;

/// A database that takes longer is of no use to a reader.
const PATIENCE: Duration = Duration::from_secs(1);

/// `/xrpc/_health`: the version, or 503 when the database does not answer.
pub(crate) async fn version(State(app): State<App>) -> Result<Response, Error> {
    let answered = tokio::time::timeout(PATIENCE, one(&app.pool)).await;
    match answered {
        Ok(Ok(_)) => Ok(fresh(json!({"version": env!("CARGO_PKG_VERSION")}))),
        Ok(Err(error)) => Err(unready(&error.to_string())),
        Err(_) => Err(unready("no answer within a second")),
    }
}

/// `/health/live`: the process takes requests.
pub(crate) async fn live() -> Response {
    fresh(json!({"status": "live"}))
}

/// `/health/ready`: the database answers and is as new as this binary. A newer one will do: migrations run
/// before the binary that brought them replaces us, and keep what the one before them needs.
pub(crate) async fn ready(State(app): State<App>) -> Result<Response, Error> {
    match tokio::time::timeout(PATIENCE, schema_version(&app.pool)).await {
        Ok(Ok(version)) if version >= app.options.schema_version => Ok(fresh(json!({"status": "ready"}))),
        Ok(Ok(version)) => {
            Err(unready(&format!("the schema is at {version}, not yet at {}", app.options.schema_version)))
        }
        Ok(Err(error)) => Err(unready(&error.to_string())),
        Err(_) => Err(unready("no answer within a second")),
    }
}

async fn one(pool: &Pool) -> sqlx::Result<()> {
    sqlx::query("select 1").execute(&mut *pool.acquire().await?).await.map(drop)
}

async fn schema_version(pool: &Pool) -> sqlx::Result<i64> {
    // Written by the migrator, so there is no table to check this against at compile time.
    sqlx::query_scalar("select coalesce(max(version), 0) from _sqlx_migrations where success")
        .fetch_one(&mut *pool.acquire().await?)
        .await
}

fn unready(problem: &str) -> Error {
    tracing::warn!(problem, "not ready");
    Error::overloaded("the database is away or not ready")
}

fn fresh(value: serde_json::Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(value)).into_response()
}

/// `/health`, as clients of the HTTP API know it: the same as `/health/live`.
pub(crate) async fn ok() -> Response {
    fresh(json!({"status": "ok"}))
}

/// `/robots.txt`: pages may be found; sound and streams are not for crawlers.
pub(crate) async fn robots(State(app): State<App>) -> String {
    let sitemap = app.options.address("sitemap.xml");
    format!("User-agent: *\nAllow: /\nDisallow: /audio/\nDisallow: /live\n\nSitemap: {sitemap}\n")
}
