//! A host whose stream says what a bench hands it: relay, and PDS of all accounts.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::SinkExt;
use serde_json::{Value, json};
use sim::recording::{Plan, Recorder};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// How long plyr may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// A host.
pub struct Host {
    address: SocketAddr,
    came: mpsc::Receiver<WebSocket>,
}

/// A consumer of its stream.
pub struct Stream(WebSocket);

impl Host {
    /// Listens.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let listener = listener.tap_io(|stream| {
            // As every host that streams: a frame must not wait for the one before it to be acknowledged.
            stream.set_nodelay(true).ok();
        });
        let (comes, came) = mpsc::channel(1);
        let router = Router::new()
            .route("/xrpc/com.atproto.sync.subscribeRepos", get(subscribe))
            .route("/xrpc/{method}", get(answer))
            .with_state(comes);
        tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Host { address, came })
    }

    /// What its accounts write. Without deletions each record that a frame brings stays to be seen.
    pub fn recorder(&self, accounts: usize) -> Recorder {
        let pds = format!("http://{}", self.authority());
        Recorder::new(Plan { accounts, p256_percent: 5, delete_percent: 0, pds, ..Plan::default() })
    }

    /// `127.0.0.1:port`.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// Waits for somebody who reads the stream from its beginning.
    pub async fn reader(&mut self) -> anyhow::Result<Stream> {
        let came = tokio::time::timeout(PATIENCE, self.came.recv()).await;
        came.ok().flatten().map(Stream).context("nobody came to read the stream")
    }
}

impl Stream {
    /// Sends one frame at once.
    pub async fn send(&mut self, frame: Bytes) -> anyhow::Result<()> {
        self.0.send(Message::Binary(frame)).await.context("plyr hung up")
    }

    /// Puts one frame with those that leave together; waits while the reader takes none.
    pub async fn feed(&mut self, frame: Bytes) -> anyhow::Result<()> {
        self.0.feed(Message::Binary(frame)).await.context("plyr hung up")
    }

    /// Sends what was fed.
    pub async fn flush(&mut self) -> anyhow::Result<()> {
        self.0.flush().await.context("plyr hung up")
    }
}

async fn subscribe(
    State(comes): State<mpsc::Sender<WebSocket>>,
    upgrade: WebSocketUpgrade,
) -> axum::response::Response {
    upgrade.on_upgrade(move |socket| async move {
        // Nobody waits for a second one: whoever comes back has lost its connection, which ends the bench.
        comes.try_send(socket).ok();
    })
}

/// Everybody is active, nobody's repo needs to be read as a whole, and no bytes of sound are here.
async fn answer(
    Path(method): Path<String>,
    Query(params): Query<Vec<(String, String)>>,
) -> (StatusCode, Json<Value>) {
    let param = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match method.as_str() {
        "com.atproto.sync.listRepos" | "com.atproto.sync.listReposByCollection" => {
            (StatusCode::OK, Json(json!({"repos": []})))
        }
        "com.atproto.sync.getRepoStatus" => {
            (StatusCode::OK, Json(json!({"did": param("did"), "active": true})))
        }
        _ => (StatusCode::NOT_FOUND, Json(json!({"error": "NotFound", "message": "not here"}))),
    }
}
