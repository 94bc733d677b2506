//! Asking for a stream in either dialect, and what follows from a refusal.

use bytes::Bytes;
use tracing::info;
use url::Url;

use super::dictionary::{self, Inflater};
use super::{MESSAGE_BYTES_MAX, OLDEST_US};
use crate::firehose::socket::{self, ConnectError, Socket};
use crate::firehose::{Reader, Refused};

/// What an answer instead of a stream is read up to.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;
/// How far the older dialect goes back: its hosts are known to drop and reorder events where replay becomes live.
const REWIND_US: i64 = 5_000_000;
const SUBPROTOCOL: &str = "xrpc.v1.json";

/// What outlives one connection.
#[derive(Default)]
pub(in crate::firehose) struct Session {
    dictionary: Option<Bytes>,
}

/// A connection.
pub(super) struct Connection {
    pub socket: Socket,
    pub inflater: Option<Inflater>,
}

impl Session {
    pub(super) async fn connect_v2(&mut self, reader: &Reader, cursor: i64) -> anyhow::Result<Connection> {
        let mut url = reader.upstream.ws_url.join("/xrpc/network.bsky.jetstream.subscribeEvents")?;
        url.query_pairs_mut().append_pair("cursor", &cursor.to_string());
        for nsid in collections(reader) {
            url.query_pairs_mut().append_pair("collections", nsid);
        }
        for _ in 0..2 {
            let Some(dictionary) = self.dictionary(reader).await else { break };
            let mut url = url.clone();
            let id = dictionary::id(&dictionary).unwrap_or_default();
            url.query_pairs_mut().append_pair("zstdDictionary", &id.to_string());
            match connect(reader, &url, Some(SUBPROTOCOL)).await {
                Err(Answered { name, .. }) if name == "UnknownZstdDictionary" => self.dictionary = None,
                answered => {
                    let inflater = Some(Inflater::new(&dictionary)?);
                    return Ok(Connection { socket: settle(reader, answered).await?, inflater });
                }
            }
        }
        let answered = connect(reader, &url, Some(SUBPROTOCOL)).await;
        Ok(Connection { socket: settle(reader, answered).await?, inflater: None })
    }

    /// The host's dictionary; none where it has none to give, which costs nothing but bytes on the way.
    async fn dictionary(&mut self, reader: &Reader) -> Option<Bytes> {
        if self.dictionary.is_none() {
            let url = reader.upstream.http_url.join("/xrpc/network.bsky.jetstream.getZstdDictionary").ok()?;
            let cap_bytes = dictionary::DICTIONARY_BYTES_MAX;
            self.dictionary = match reader.indexer.net.get_bytes(&url, cap_bytes).await {
                Ok(bytes) => Some(bytes).filter(|bytes| dictionary::id(bytes).is_some()),
                Err(error) => {
                    info!(source = &*reader.upstream.key, %error, "no dictionary; reading without compression");
                    None
                }
            };
        }
        self.dictionary.clone()
    }
}

pub(super) async fn connect_v1(reader: &Reader, cursor: i64) -> anyhow::Result<Connection> {
    let mut url = reader.upstream.ws_url.join("/subscribe")?;
    for nsid in collections(reader) {
        url.query_pairs_mut().append_pair("wantedCollections", nsid);
    }
    let cursor = cursor.saturating_sub(REWIND_US).max(OLDEST_US);
    url.query_pairs_mut().append_pair("cursor", &cursor.to_string()).append_pair("compress", "true");
    let answered = connect(reader, &url, None).await;
    Ok(Connection { socket: settle(reader, answered).await?, inflater: Some(Inflater::fixed()?) })
}

/// What is asked for, in an order that stays the same.
fn collections(reader: &Reader) -> Vec<&str> {
    let mut nsids: Vec<&str> = reader.indexer.door.registry.nsids().collect();
    nsids.sort_unstable();
    nsids
}

/// An answer instead of a stream.
struct Answered {
    status: u16,
    name: String,
    message: String,
    error: anyhow::Error,
}

async fn connect(reader: &Reader, url: &Url, subprotocol: Option<&'static str>) -> Result<Socket, Answered> {
    let net = &reader.indexer.net;
    let failed = match socket::connect(net, url, subprotocol, MESSAGE_BYTES_MAX).await {
        // The framing is the same without.
        Err(ConnectError::NoSubprotocol) => socket::connect(net, url, None, MESSAGE_BYTES_MAX).await,
        other => other,
    };
    let failed = match failed {
        Ok(socket) => return Ok(socket),
        Err(error) => error,
    };
    let ConnectError::Answered { status, body } = &failed else {
        let (name, message) = (String::new(), String::new());
        return Err(Answered { status: 0, name, message, error: failed.into() });
    };
    let said = match said(body) {
        Some(said) => said,
        // Only the beginning came along; the same question without an upgrade has the same answer.
        None => ask_again(reader, url).await.unwrap_or_default(),
    };
    let status = status.as_u16();
    Err(Answered { status, name: said.0, message: said.1, error: failed.into() })
}

/// `{error, message}` of an answer.
fn said(body: &[u8]) -> Option<(String, String)> {
    let json: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = |key: &str| json.get(key).and_then(|text| text.as_str()).unwrap_or_default().to_owned();
    Some((text("error"), text("message")))
}

async fn ask_again(reader: &Reader, url: &Url) -> Option<(String, String)> {
    let mut http = reader.upstream.http_url.join(url.path()).ok()?;
    http.set_query(url.query());
    let request = crate::net::Request {
        method: reqwest::Method::GET,
        url: &http,
        headers: reqwest::header::HeaderMap::new(),
        payload: crate::net::Payload::None,
        timeout: std::time::Duration::from_secs(10),
        cap_bytes: ANSWER_BYTES_MAX,
    };
    let answer = reader.indexer.net.send(request).await.ok()?;
    said(&answer.body).or_else(|| Some((String::new(), String::from_utf8_lossy(&answer.body).into_owned())))
}

/// The stream, or what follows from there being none.
async fn settle(reader: &Reader, answered: Result<Socket, Answered>) -> anyhow::Result<Socket> {
    let Answered { status, name, message, error } = match answered {
        Ok(socket) => return Ok(socket),
        Err(answered) => answered,
    };
    let told = |error: anyhow::Error| match (name.as_str(), message.as_str()) {
        ("", "") => error,
        ("", message) => error.context(message.to_owned()),
        (name, message) => error.context(format!("{name}: {message}")),
    };
    match (name.as_str(), status) {
        ("CursorTooOld", _) => {
            reader.gap("the host no longer has what follows our cursor").await?;
            reader.forget().await?;
            Err(told(error))
        }
        // Too many, too early, or a host that is not ready.
        (_, 0 | 408 | 425 | 429 | 500..) => Err(told(error)),
        _ => Err(Refused(format!("{:#}", told(error))).into()),
    }
}
