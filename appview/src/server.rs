//! Connections: accepted within limits, and let go in good order.

mod reader;

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::{App, live, router};
pub(crate) use reader::Reader;
use reader::Watched;

/// A request's head must have come in this time; an idle connection is closed after it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Of a request's head. A hundred AT URIs in a query are 10 to 20 kB.
const HEAD_MAX_BYTES: usize = 128 * 1024;
/// What is still being sent at shutdown may take this long.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until the app is to stop, then finishes what has begun: no new connection, event streams end, the rest has
/// ten seconds.
///
/// Speaks HTTP/1.1; TLS and HTTP/2 are for the proxy in front. Fails only when the listener does.
pub async fn serve(listener: TcpListener, app: App) -> anyhow::Result<()> {
    let shutdown = app.stop.clone();
    let router = router::router(app.clone());
    let connections = TaskTracker::new();
    // Beyond GRACE.
    let cut = CancellationToken::new();
    let background = TaskTracker::new();
    background.spawn(live::relay(app.clone()));
    background.spawn(watch_pool(app.clone()));

    let places = Arc::new(Semaphore::new(app.options.connections_max));
    loop {
        let accept = async { (Arc::clone(&places).acquire_owned().await, listener.accept().await) };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept => accepted,
        };
        let (Ok(place), accepted) = accepted else { break };
        let stream = match accepted {
            Ok((stream, peer)) => (stream, peer),
            Err(error) => {
                accept_failed(&error).await;
                continue;
            }
        };
        let (router, shutdown, cut) = (router.clone(), shutdown.clone(), cut.clone());
        connections.spawn(async move {
            let _place = place;
            let _open = Open::new();
            tokio::select! {
                () = cut.cancelled() => {}
                () = converse(stream, router, shutdown) => {}
            }
        });
    }
    drop(listener);
    connections.close();
    background.close();
    let finished = async {
        connections.wait().await;
        background.wait().await;
    };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting what did not finish in time");
        cut.cancel();
        connections.wait().await;
    }
    app.pool.close().await;
    Ok(())
}

/// One connection, from its first request to its last.
async fn converse(
    (stream, peer): (TcpStream, std::net::SocketAddr),
    router: Router,
    shutdown: CancellationToken,
) {
    // An event is smaller than a packet and shall not wait for another.
    let _ = stream.set_nodelay(true);
    let reader = Reader::default();
    let stream = Watched::new(stream, reader.clone());
    let service = router.map_request(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(reader.clone());
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "connection ended early");
    }
}

/// One caller's failure passes; running out of file handles does not pass by trying again at once.
async fn accept_failed(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "cannot accept connections");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Shows the pool's state in the metrics, and closes what nobody needs.
async fn watch_pool(app: App) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        app.pool.tidy();
        let (idle, busy) = app.pool.idle_and_busy();
        metrics::gauge!("plyr_read_pool_connections", "state" => "idle").set(idle as f64);
        metrics::gauge!("plyr_read_pool_connections", "state" => "busy").set(busy as f64);
    }
}

/// Counts open connections.
struct Open;

impl Open {
    fn new() -> Self {
        metrics::gauge!("plyr_http_connections").increment(1);
        Open
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("plyr_http_connections").decrement(1);
    }
}
