//! `fm.teal.actor.getStatus`.

use axum::Json;
use axum::extract::State;
use indexer::syntax::Did;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::PgConnection;

use super::play_view;
use crate::actor::{self, AtIdentifier};
use crate::error::Error;
use crate::{App, now_playing};

#[derive(Debug, Deserialize)]
pub(crate) struct GetStatus {
    actor: AtIdentifier,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Status {
    did: Did,
    is_listening: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
}

/// `fm.teal.actor.getStatus`: what somebody hears now, by the newest record that says so.
pub(crate) async fn get_status(
    State(app): State<App>,
    params: crate::xrpc::Params<GetStatus>,
) -> Result<Json<Status>, Error> {
    let mut db = app.pool.acquire().await?;
    let did = actor::visible(&mut db, params.0.actor).await?;
    let Some(current) = now_playing::teal_status(&mut db, &did).await? else {
        let message = Some("nothing is playing");
        return Ok(Json(Status { did, is_listening: false, status: None, message }));
    };
    let status = item(&mut db, &current.uri).await?;
    Ok(Json(Status { did, is_listening: status.is_some(), status, message: None }))
}

/// What a status record says is heard.
pub(super) async fn item(db: &mut PgConnection, uri: &str) -> Result<Option<Value>, Error> {
    let value = sqlx::query_scalar!(
        r#"select value as "value!" from record where uri = $1 and value is not null"#,
        uri
    )
    .fetch_optional(db)
    .await?;
    let value = value.and_then(|value| indexer::dag::decode(&value).ok());
    Ok(value.map(|value| play_view(&indexer::dag::to_json(&value)["item"])))
}
