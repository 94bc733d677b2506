//! The servers of a world.

mod answer;
mod directory;
mod mishap;
mod repos;
mod stream;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, Query, State};
use axum::http::Uri;
use axum::response::Response;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use crate::network::Shared;
use answer::{Answer, refuse};

pub(crate) use directory::{directory, web};
pub(crate) use mishap::Mishaps;

/// Whose stream and repos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A PDS.
    Host(usize),
    /// A relay.
    Relay(usize),
}

impl Source {
    /// Its name, whatever its port.
    fn name(self) -> String {
        match self {
            Source::Host(host) => format!("host {host}"),
            Source::Relay(relay) => format!("relay {relay}"),
        }
    }
}

/// A query, taken apart.
type Params = HashMap<String, String>;

#[derive(Debug, Clone)]
struct Place {
    shared: Arc<Shared>,
    source: Source,
}

/// A PDS or a relay.
pub(crate) fn source(shared: Arc<Shared>, source: Source) -> Router {
    Router::new()
        .route("/xrpc/com.atproto.sync.subscribeRepos", get(subscribe))
        .route("/xrpc/{method}", get(query))
        .with_state(Place { shared, source })
}

async fn query(
    State(Place { shared, source }): State<Place>,
    stop: axum::Extension<CancellationToken>,
    uri: Uri,
    Path(method): Path<String>,
    Query(params): Query<Params>,
) -> Response {
    let answer = || repos::answer(&shared, source, &method, &params);
    shared.mishaps.answer(&source.name(), &uri, &stop, answer).await
}

async fn subscribe(
    State(Place { shared, source }): State<Place>,
    axum::Extension(stop): axum::Extension<CancellationToken>,
    Query(params): Query<Params>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let cursor = match params.get("cursor").map(|cursor| cursor.parse::<i64>()) {
        None => None,
        Some(Ok(cursor)) => Some(cursor),
        Some(Err(_)) => return refuse("InvalidRequest", "cursor is no number").into_response(),
    };
    upgrade.on_upgrade(move |socket| async move {
        tokio::select! {
            () = stream::tell(socket, &shared, source, cursor) => {}
            () = stop.cancelled() => {}
        }
    })
}
