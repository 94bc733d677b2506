//! The WebSocket: connects through the guard, pings, and takes a silent peer for dead.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};
use url::Url;

use crate::net::Net;
use crate::proto::frame::FRAME_BYTES_MAX;

/// A quiet stream is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Without any sign for so long the connection is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// An open stream.
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    heard_at: Instant,
}

/// Opens subscribeRepos from a cursor.
pub(super) async fn connect(net: &Net, ws_url: &Url, cursor: i64) -> anyhow::Result<Socket> {
    let mut url = ws_url.join("/xrpc/com.atproto.sync.subscribeRepos")?;
    url.query_pairs_mut().append_pair("cursor", &cursor.to_string());
    let host = url.host_str().context("the upstream has no host")?;
    let port = url.port_or_known_default().context("the upstream has no port")?;
    let tcp = net.connect(host, port).await?;
    tcp.set_nodelay(true)?;
    // A frame above its limit must arrive to be kept aside with its problem, so the socket's limit is wider.
    let limits = WebSocketConfig::default()
        .max_message_size(Some(2 * FRAME_BYTES_MAX))
        .max_frame_size(Some(2 * FRAME_BYTES_MAX));
    let tls = Connector::Rustls(net.tls_config());
    let upgrade = tokio_tungstenite::client_async_tls_with_config(url.as_str(), tcp, Some(limits), Some(tls));
    let (stream, _) = tokio::time::timeout(Duration::from_secs(15), upgrade)
        .await
        .context("the upgrade took too long")??;
    Ok(Socket { stream, heard_at: Instant::now() })
}

impl Socket {
    /// The next binary message; none when the host closed the stream.
    pub async fn next(&mut self) -> anyhow::Result<Option<Bytes>> {
        loop {
            match tokio::time::timeout(PING_EVERY, self.stream.next()).await {
                Ok(None) => return Ok(None),
                Ok(Some(message)) => {
                    self.heard_at = Instant::now();
                    match message? {
                        Message::Binary(bytes) => return Ok(Some(bytes)),
                        Message::Close(_) => return Ok(None),
                        _ => {}
                    }
                }
                Err(_) if self.heard_at.elapsed() > SILENCE_MAX => {
                    anyhow::bail!("silent for {SILENCE_MAX:?}")
                }
                Err(_) => self.stream.send(Message::Ping(Bytes::new())).await?,
            }
        }
    }
}
