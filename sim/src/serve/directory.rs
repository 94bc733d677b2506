//! The PLC directory, which resolves handles and knows who links to what, too; and the web servers of did:web accounts.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::answer::{json_of, refuse};
use super::{Answer, Params, repos};
use crate::network::Shared;

/// The PLC directory and the resolver of handles.
pub(crate) fn directory(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/{did}", get(document))
        .route("/xrpc/com.atproto.identity.resolveHandle", get(resolve))
        .route("/xrpc/blue.microcosm.links.getBacklinks", get(backlinks))
        .with_state(shared)
}

/// Records of one page.
const PAGE: usize = 16;

/// Who links to something, whoever they are and whether they are to be seen.
async fn backlinks(
    State(shared): State<Arc<Shared>>,
    Extension(stop): Extension<CancellationToken>,
    uri: Uri,
    Query(params): Query<Params>,
) -> Response {
    let answer = || {
        let of = |name: &str| params.get(name).map(String::as_str).unwrap_or_default();
        let Some((collection, path)) = of("source").split_once(':') else {
            return refuse("InvalidRequest", "source: a collection, a colon, a path");
        };
        let linking = shared.world().linking(of("subject"), collection, path);
        let from: usize = of("cursor").parse().unwrap_or(0);
        let page: Vec<_> = linking.iter().skip(from).take(PAGE).collect();
        let records: Vec<_> = page
            .iter()
            .map(|(did, rkey)| json!({"did": did, "collection": collection, "rkey": rkey}))
            .collect();
        let next = Some(from + page.len()).filter(|next| *next < linking.len());
        json_of(json!({
            "total": linking.len(), "records": records, "cursor": next.map(|next| next.to_string()),
        }))
    };
    shared.mishaps.answer("directory", &uri, &stop, answer).await
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
