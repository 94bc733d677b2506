//! One server of the network.

use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long connections may take to end when a server goes down.
const PATIENCE: Duration = Duration::from_secs(5);

/// One server and what it answers with.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) port: u16,
    router: Router,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Server {
    pub(super) fn start(port: u16, listener: TcpListener, stop: CancellationToken, router: Router) -> Self {
        let mut server = Server { port, router, running: None };
        server.run(listener, stop);
        server
    }

    fn run(&mut self, listener: TcpListener, stop: CancellationToken) {
        let router = self.router.clone().layer(axum::Extension(stop.clone()));
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                let served = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
                if let Err(error) = served.await {
                    tracing::warn!(%error, "a simulated server ended");
                }
            }
        });
        self.running = Some((stop, task));
    }

    pub(super) async fn stop(&mut self) {
        if let Some((stop, mut task)) = self.running.take() {
            stop.cancel();
            if tokio::time::timeout(PATIENCE, &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    pub(super) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some((stop, _)) = &self.running {
            stop.cancel();
        }
    }
}

/// Listens on the next port wanted, or on any.
pub(super) async fn listen(next: &mut Option<u16>) -> anyhow::Result<(u16, TcpListener)> {
    let wanted = next.unwrap_or(0);
    if let Some(port) = next {
        *port += 1;
    }
    let listener = TcpListener::bind(("127.0.0.1", wanted)).await;
    let listener = listener.with_context(|| format!("cannot listen on 127.0.0.1:{wanted}"))?;
    Ok((listener.local_addr()?.port(), listener))
}

pub(super) async fn start_again(server: Option<&mut Server>) -> anyhow::Result<()> {
    let server = server.context("no such server")?;
    if server.running.is_none() {
        let listener = TcpListener::bind(("127.0.0.1", server.port)).await?;
        server.run(listener, CancellationToken::new());
    }
    Ok(())
}
