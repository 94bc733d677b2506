//! Requests that may change something: any method, any body, no redirect followed, any status an answer.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;
use url::Url;

use super::{Body, Net, NetError};

/// How often the bytes sent so far are told.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// A file is read in pieces of this size.
const PIECE_BYTES: usize = 64 * 1024;

/// One request. Unlike a GET of [`Net`], it is sent once and to this URL alone.
#[derive(Debug)]
pub struct Request<'a> {
    /// GET, POST, …
    pub method: Method,
    /// Where to, through the guard.
    pub url: &'a Url,
    /// Sent as they are.
    pub headers: HeaderMap,
    /// Sent along.
    pub payload: Payload<'a>,
    /// In all: connecting, sending, and the answer to its last byte.
    pub timeout: Duration,
    /// The longest answer accepted, in bytes.
    pub cap_bytes: u64,
}

/// What a request carries.
#[derive(Debug)]
pub enum Payload<'a> {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(Bytes),
    /// A file, read while it is sent.
    File {
        /// Where it lies.
        path: &'a Path,
        /// Its length; a longer file is cut there.
        size_bytes: u64,
        /// Counts what was handed to the connection, in bytes; begins anew at zero.
        sent_bytes: &'a AtomicU64,
    },
}

/// What came back, whatever its status.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// All of its headers.
    pub headers: HeaderMap,
    /// At most as long as was asked for.
    pub body: Bytes,
}

/// Why there is no answer, and whether the host may have acted all the same.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    /// Nothing was sent: refused by the guard, or no connection came about.
    #[error(transparent)]
    Unsent(NetError),
    /// It may have arrived.
    #[error(transparent)]
    Unanswered(NetError),
}

impl SendError {
    /// What went wrong.
    pub fn into_inner(self) -> NetError {
        match self {
            SendError::Unsent(error) | SendError::Unanswered(error) => error,
        }
    }
}

impl Net {
    /// Sends a request through the guard and reads the answer as a whole.
    pub async fn send(&self, request: Request<'_>) -> Result<Answer, SendError> {
        let client = &self.clients_for(request.url).map_err(SendError::Unsent)?.send;
        let mut builder = client.request(request.method, request.url.clone()).headers(request.headers);
        builder = builder.timeout(request.timeout);
        let told = match request.payload {
            Payload::None => None,
            Payload::Bytes(bytes) => {
                builder = builder.body(bytes);
                None
            }
            Payload::File { path, size_bytes, sent_bytes } => {
                sent_bytes.store(0, Ordering::Relaxed);
                let counted = Arc::new(AtomicU64::new(0));
                builder = builder.header(CONTENT_LENGTH, HeaderValue::from(size_bytes));
                builder = builder.body(file_body(path, size_bytes, counted.clone()).await?);
                Some((counted, sent_bytes))
            }
        };
        let answered = answer(builder, request.cap_bytes);
        match told {
            None => answered.await,
            Some((counted, sent_bytes)) => telling(answered, &counted, sent_bytes).await,
        }
    }
}

async fn file_body(
    path: &Path,
    size_bytes: u64,
    counted: Arc<AtomicU64>,
) -> Result<reqwest::Body, SendError> {
    let unreadable = |error| SendError::Unsent(NetError::Io(format!("the file to send: {error}").into()));
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let pieces = ReaderStream::with_capacity(file.take(size_bytes), PIECE_BYTES);
    Ok(reqwest::Body::wrap_stream(pieces.inspect(move |piece| {
        if let Ok(piece) = piece {
            counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    })))
}

async fn answer(builder: reqwest::RequestBuilder, cap_bytes: u64) -> Result<Answer, SendError> {
    let response = builder.send().await.map_err(|error| {
        let nothing_sent = error.is_connect() || error.is_builder();
        match NetError::from(error) {
            // The guard's own verdict comes from resolving, before any connection.
            error @ (NetError::Refused(_) | NetError::NoSuchName(_)) => SendError::Unsent(error),
            error if nothing_sent => SendError::Unsent(error),
            error => SendError::Unanswered(error),
        }
    })?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = async { Body::new(response, cap_bytes)?.collect().await };
    Ok(Answer { status, headers, body: body.await.map_err(SendError::Unanswered)? })
}

/// The body of a request has to own its counter; the caller's is kept up to date beside it.
async fn telling<T>(answered: impl Future<Output = T>, counted: &AtomicU64, sent_bytes: &AtomicU64) -> T {
    let tell = || sent_bytes.store(counted.load(Ordering::Relaxed), Ordering::Relaxed);
    let ticking = async {
        let mut tick = tokio::time::interval(TELL_EVERY);
        loop {
            tick.tick().await;
            tell();
        }
    };
    let answer = tokio::select! {
        answer = answered => answer,
        () = ticking => unreachable!("it ticks for ever"),
    };
    tell();
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::{Answer as Reply, Http, net};

    fn post<'a>(url: &'a Url, payload: Payload<'a>) -> Request<'a> {
        let mut headers = HeaderMap::new();
        headers.insert("x-mark", HeaderValue::from_static("1"));
        let timeout = Duration::from_secs(5);
        Request { method: Method::POST, url, headers, payload, timeout, cap_bytes: 100 }
    }

    #[tokio::test]
    async fn every_status_is_an_answer_and_redirects_stay_where_they_are() {
        let http = Http::serve(|path, head| match path {
            "/moved" => Reply::Reply(307, "location: /elsewhere\r\n".into(), b"there".to_vec()),
            "/long" => Reply::Reply(200, String::new(), vec![b'x'; 101]),
            _ => {
                assert!(head.starts_with("POST ") && head.contains("x-mark: 1\r\n"), "{head}");
                assert!(head.contains("content-length: 3\r\n"), "{head}");
                Reply::Reply(401, "dpop-nonce: n\r\n".into(), b"no".to_vec())
            }
        })
        .await;
        let net = net(&[&http]);
        let url = http.url("/");
        let answer =
            net.send(post(&url, Payload::Bytes(Bytes::from_static(b"abc")))).await.expect("answered");
        assert_eq!((answer.status, &answer.body[..]), (401, &b"no"[..]));
        assert_eq!(answer.headers["dpop-nonce"], "n");
        let url = http.url("/moved");
        let answer = net.send(post(&url, Payload::None)).await.expect("answered");
        assert_eq!(
            (answer.status, &answer.headers["location"]),
            (307, &HeaderValue::from_static("/elsewhere"))
        );
        let url = http.url("/long");
        let error = net.send(post(&url, Payload::None)).await.expect_err("too long");
        assert!(matches!(error, SendError::Unanswered(NetError::TooLarge { cap_bytes: 100 })), "{error:?}");
        assert_eq!(http.paths(), ["/", "/moved", "/long"]);
    }

    #[tokio::test]
    async fn what_cannot_have_been_sent_is_told_apart() {
        let http = Http::serve(|_, _| Reply::Hang).await;
        let (listed, unlisted) = (net(&[&http]), net(&[]));
        let url = http.url("/");
        let error = unlisted.send(post(&url, Payload::None)).await.expect_err("refused");
        assert!(matches!(error, SendError::Unsent(NetError::Refused(_))), "{error:?}");
        let hanging = Request { timeout: Duration::from_millis(300), ..post(&url, Payload::None) };
        let error = listed.send(hanging).await.expect_err("no answer");
        assert!(matches!(error, SendError::Unanswered(NetError::Timeout)), "{error:?}");
        let closed = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("bound").to_string()
        };
        let options = crate::net::NetOptions {
            private_hosts: [closed.parse().expect("authority")].into(),
            ..Default::default()
        };
        let net = Net::new(options).expect("a client");
        let url: Url = format!("http://{closed}/").parse().expect("a URL");
        let error = net.send(post(&url, Payload::None)).await.expect_err("closed");
        assert!(matches!(error, SendError::Unsent(NetError::Io(_))), "{error:?}");
    }

    #[tokio::test]
    async fn files_are_streamed_and_counted() {
        use tokio::io::AsyncWriteExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let authority = listener.local_addr().expect("bound").to_string();
        let received = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut bytes = Vec::new();
            let mut buffer = [0; 65536];
            loop {
                let read = stream.read(&mut buffer).await.expect("readable");
                bytes.extend_from_slice(&buffer[..read]);
                let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
                if head.is_some_and(|at| bytes.len() >= at + 4 + 300_000) || read == 0 {
                    break;
                }
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.expect("sent");
            bytes
        });
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), vec![7; 300_000]).expect("written");
        let options = crate::net::NetOptions {
            private_hosts: [authority.parse().expect("authority")].into(),
            ..Default::default()
        };
        let net = Net::new(options).expect("a client");
        let url: Url = format!("http://{authority}/").parse().expect("a URL");
        let sent_bytes = AtomicU64::new(99);
        let payload = Payload::File { path: file.path(), size_bytes: 300_000, sent_bytes: &sent_bytes };
        let answer = net.send(post(&url, payload)).await.expect("answered");
        assert_eq!((answer.status, sent_bytes.load(Ordering::Relaxed)), (200, 300_000));
        let bytes = received.await.expect("received");
        let head = String::from_utf8_lossy(&bytes[..200]).into_owned();
        assert!(head.contains("content-length: 300000\r\n") && !head.contains("chunked"), "{head}");
        assert!(bytes.ends_with(&[7; 1000]));
    }
}
