//! The PLC directory, which resolves handles too; and the web servers of did:web accounts.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::answer::json_of;
use super::{Answer, Params, repos};
use crate::network::Shared;

/// The PLC directory and the resolver of handles.
pub(crate) fn directory(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/{did}", get(document))
        .route("/xrpc/com.atproto.identity.resolveHandle", get(resolve))
        .with_state(shared)
}

async fn document(
    State(shared): State<Arc<Shared>>,
    Extension(stop): Extension<CancellationToken>,
    uri: Uri,
    Path(did): Path<String>,
) -> Response {
    let answer = || match shared.world().document(&did).filter(|_| did.starts_with("did:plc:")) {
        Some(document) => json_of(document),
        None => Answer::Json(StatusCode::NOT_FOUND, json!({"message": format!("DID not registered: {did}")})),
    };
    shared.mishaps.answer("directory", &uri, &stop, answer).await
}

async fn resolve(
    State(shared): State<Arc<Shared>>,
    Extension(stop): Extension<CancellationToken>,
    uri: Uri,
    Query(params): Query<Params>,
) -> Response {
    let answer = || repos::resolve(&shared.world(), &params);
    shared.mishaps.answer("directory", &uri, &stop, answer).await
}

/// The web server of the nth did:web account.
pub(crate) fn web(shared: Arc<Shared>, number: usize) -> Router {
    Router::new().route("/.well-known/did.json", get(own_document)).with_state((shared, number))
}

async fn own_document(
    State((shared, number)): State<(Arc<Shared>, usize)>,
    Extension(stop): Extension<CancellationToken>,
    uri: Uri,
) -> Response {
    let answer = || {
        let world = shared.world();
        match world.accounts().get(number) {
            Some(account) => json_of(account.document(&shared.addresses)),
            None => Answer::Json(StatusCode::NOT_FOUND, json!({"message": "nobody"})),
        }
    };
    shared.mishaps.answer(&format!("web {number}"), &uri, &stop, answer).await
}
