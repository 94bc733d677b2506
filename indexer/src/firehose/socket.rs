//! The WebSocket: connects through the guard, pings, and takes a silent peer for dead.

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::{ProtocolError, SubProtocolError};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};
use url::Url;

use crate::net::Net;

/// A quiet stream is asked for a sign of life this often.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Without any sign for so long the connection is given up.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// TLS and the upgrade together.
const HANDSHAKE_MAX: Duration = Duration::from_secs(15);
/// A ping that cannot be sent for so long goes to nobody.
const SEND_MAX: Duration = Duration::from_secs(10);

/// An open stream.
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    heard_at: Instant,
}

/// A message of the host.
pub(super) enum Message {
    /// Bytes.
    Binary(Bytes),
    /// UTF-8.
    Text(Bytes),
}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The host answered, but not with an upgrade. Redirects are not followed: the operator named the host.
    #[error("the host answered {status} instead of a stream")]
    Answered {
        /// Its status.
        status: StatusCode,
        /// As much of the answer as came along with its head.
        body: Vec<u8>,
    },
    /// The host does not know the subprotocol, which it need not.
    #[error("the host does not name the subprotocol")]
    NoSubprotocol,
    /// It did not come to an answer.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

/// Opens a stream whose messages have at most `message_bytes_max` bytes.
pub(super) async fn connect(
    net: &Net,
    url: &Url,
    subprotocol: Option<&'static str>,
    message_bytes_max: usize,
) -> Result<Socket, ConnectError> {
    let host = url.host_str().context("the upstream has no host")?;
    let port = url.port_or_known_default().context("the upstream has no port")?;
    let mut request = url.as_str().into_client_request().context("not a URL for a stream")?;
    if let Some(subprotocol) = subprotocol {
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(subprotocol));
    }
    let tcp = net.connect(host, port).await.map_err(anyhow::Error::from)?;
    tcp.set_nodelay(true).map_err(anyhow::Error::from)?;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max));
    let tls = Connector::Rustls(net.tls_config());
    let upgrade = tokio_tungstenite::client_async_tls_with_config(request, tcp, Some(limits), Some(tls));
    match tokio::time::timeout(HANDSHAKE_MAX, upgrade).await.context("the upgrade took too long")? {
        Ok((stream, _)) => Ok(Socket { stream, heard_at: Instant::now() }),
        Err(Error::Http(answer)) => {
            let (head, body) = answer.into_parts();
            Err(ConnectError::Answered { status: head.status, body: body.unwrap_or_default() })
        }
        Err(Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(
            SubProtocolError::NoSubProtocol,
        ))) => Err(ConnectError::NoSubprotocol),
        Err(error) => Err(ConnectError::Failed(error.into())),
    }
}

impl Socket {
    /// The next message; none when the host closed the stream.
    pub async fn next(&mut self) -> anyhow::Result<Option<Message>> {
        loop {
            match tokio::time::timeout(PING_EVERY, self.stream.next()).await {
                Ok(None) => return Ok(None),
                Ok(Some(message)) => {
                    self.heard_at = Instant::now();
                    match message? {
                        Frame::Binary(bytes) => return Ok(Some(Message::Binary(bytes))),
                        Frame::Text(text) => return Ok(Some(Message::Text(text.into()))),
                        Frame::Close(_) => return Ok(None),
                        _ => {}
                    }
                }
                Err(_) if self.heard_at.elapsed() > SILENCE_MAX => {
                    anyhow::bail!("silent for {SILENCE_MAX:?}")
                }
                Err(_) => {
                    let ping = self.stream.send(Frame::Ping(Bytes::new()));
                    tokio::time::timeout(SEND_MAX, ping).await.context("a ping could not be sent")??;
                }
            }
        }
    }
}
