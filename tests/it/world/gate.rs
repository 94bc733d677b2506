//! A proxy at the PDS's public address. What a network does to a request or an answer, a test can have done here.

pub mod frames;
pub mod rule;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Full, combinators::BoxBody};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, TRANSFER_ENCODING,
    UPGRADE,
};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

use super::network::Network;
use super::plyr::free_port;
use rule::Rule;
pub use rule::{Act, Hold};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Bytestream = BoxBody<Bytes, Failure>;

/// What is kept in memory of a body, and can be repeated; larger ones flow through.
const KEPT_BYTES: u64 = 256 * 1024;

/// The PDS's word for: again, with this nonce.
const NONCE: &[u8] = b"use_dpop_nonce";

/// The proxy, and what it saw. Clones share everything.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
}

struct Shared {
    pds: SocketAddr,
    rules: Mutex<Vec<Rule>>,
    seen: Mutex<Vec<Seen>>,
    stream: frames::Control,
}

/// A request and its answer.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `POST /oauth/token`, with the query.
    pub line: String,
    pub headers: HeaderMap,
    /// Empty when it was too large to keep.
    pub body: String,
    /// None while there is none, and for ever when it was lost.
    pub status: Option<u16>,
    pub answer_headers: HeaderMap,
    pub answer: String,
}

impl Seen {
    /// Every one of `parts` stands in its line or its body.
    pub fn has(&self, parts: &[&str]) -> bool {
        parts.iter().all(|part| self.line.contains(part) || self.body.contains(part))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.answer).unwrap_or(Value::Null)
    }
}

impl Gate {
    /// A network of one test's own, whose PDS is reached through a gate.
    pub async fn network(settings: &[(&str, &str)]) -> (Network, Gate) {
        let port = free_port().to_string();
        let mut all = vec![("PDS_LISTEN_PORT", port.as_str())];
        all.extend(settings);
        let network = Network::start(&all);
        let gate = Gate::before(&network).await;
        (network, gate)
    }

    async fn before(network: &Network) -> Gate {
        let pds = network.direct.strip_prefix("http://").expect("a URL").parse().expect("an address");
        let (rules, seen) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { pds, rules, seen, stream: frames::Control::default() });
        let listener = TcpListener::bind(("127.0.0.1", network.pds_port)).await.expect("the PDS's port");
        let gate = Gate { shared };
        tokio::spawn(gate.clone().serve(listener));
        gate
    }

    async fn serve(self, listener: TcpListener) {
        while let Ok((stream, _)) = listener.accept().await {
            let gate = self.clone();
            tokio::spawn(async move {
                let service = hyper::service::service_fn(|request| gate.clone().pass_whole(request));
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await
                    .ok();
            });
        }
    }

    /// What is on its way goes on even if its sender hangs up: packets do, too.
    async fn pass_whole(self, request: Request<Incoming>) -> Result<Response<Bytestream>, Failure> {
        tokio::spawn(self.pass(request)).await?
    }

    async fn pass(self, mut request: Request<Incoming>) -> Result<Response<Bytestream>, Failure> {
        request.headers_mut().remove(ACCEPT_ENCODING);
        if request.headers().contains_key(UPGRADE) {
            return self.pass_stream(request).await;
        }
        let (mut head, body) = request.into_parts();
        drop_hop_headers(&mut head.headers);
        let line = format!("{} {}", head.method, head.uri);
        let (kept, body) = keep(body, &head.headers).await?;
        let number = self.note(&line, &head.headers, &kept);
        let rule = self.rule_for(&line, &kept);
        rule.act.before(&line).await?;
        if let Act::Answer(status, value) = &rule.act {
            let status = StatusCode::from_u16(*status)?;
            let body = full(value.to_string().into());
            return Ok(Response::builder()
                .status(status)
                .header("content-type", "application/json")
                .body(body)?);
        }
        if let Act::Busy(status, seconds) = &rule.act {
            let status = StatusCode::from_u16(*status)?;
            return Ok(Response::builder().status(status).header("retry-after", *seconds).body(empty())?);
        }
        if matches!(rule.act, Act::Twice) {
            let first = Request::from_parts(head.clone(), full(kept.clone()));
            self.ask(first).await?.into_body().collect().await?;
        }
        let answer = self.ask(Request::from_parts(head, body)).await?;
        let (mut head, body) = answer.into_parts();
        drop_hop_headers(&mut head.headers);
        let (kept, body) = keep(body, &head.headers).await?;
        self.note_answer(number, &head, &kept);
        if let Act::Cut(bytes) = rule.act {
            let whole = body.collect().await?.to_bytes();
            head.headers.remove(CONTENT_LENGTH);
            return Ok(Response::from_parts(head, full(whole.slice(..bytes.min(whole.len())))));
        }
        // What only told the nonce to use was nothing yet: the request comes again.
        if kept.windows(NONCE.len()).any(|text| text == NONCE) {
            rule.give_back();
        } else {
            rule.act.after(&line).await?;
        }
        Ok(Response::from_parts(head, body))
    }

    async fn ask(&self, request: Request<Bytestream>) -> Result<Response<Incoming>, Failure> {
        let stream = TcpStream::connect(self.shared.pds).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection.with_upgrades());
        Ok(sender.send_request(request).await?)
    }

    async fn pass_stream(&self, mut request: Request<Incoming>) -> Result<Response<Bytestream>, Failure> {
        let down = hyper::upgrade::on(&mut request);
        let mut answer = self.ask(request.map(|_| empty())).await?;
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            let up = hyper::upgrade::on(&mut answer);
            let control = self.shared.stream.clone();
            tokio::spawn(async move {
                if let (Ok(down), Ok(up)) = tokio::join!(down, up) {
                    frames::pass(TokioIo::new(down), TokioIo::new(up), control).await;
                }
            });
        }
        Ok(answer.map(boxed))
    }

    fn rule_for(&self, line: &str, body: &[u8]) -> Rule {
        let rules = self.shared.rules.lock().expect("no panic inside");
        let body = String::from_utf8_lossy(body);
        let rule = rules.iter().find(|rule| rule.take(line, &body));
        rule.cloned().unwrap_or_else(|| Rule::new(0, &[], Act::Pass))
    }

    fn note(&self, line: &str, headers: &HeaderMap, body: &[u8]) -> usize {
        let mut seen = self.shared.seen.lock().expect("no panic inside");
        let (line, headers) = (line.to_owned(), headers.clone());
        let body = String::from_utf8_lossy(body).into_owned();
        seen.push(Seen {
            line,
            headers,
            body,
            status: None,
            answer_headers: HeaderMap::new(),
            answer: String::new(),
        });
        seen.len() - 1
    }

    fn note_answer(&self, number: usize, head: &hyper::http::response::Parts, body: &[u8]) {
        let mut seen = self.shared.seen.lock().expect("no panic inside");
        let seen = &mut seen[number];
        seen.status = Some(head.status.as_u16());
        seen.answer_headers = head.headers.clone();
        seen.answer = String::from_utf8_lossy(body).into_owned();
    }

    /// From now on, the next `times` requests with all of `parts` in their line or body meet this. Earlier rules go first;
    /// what the PDS does not look at because of its nonce does not count.
    pub fn rule(&self, times: usize, parts: &[&str], act: Act) {
        self.shared.rules.lock().expect("no panic inside").push(Rule::new(times, parts, act));
    }

    /// The next such request waits, and the hold says when it came.
    pub fn hold_request(&self, parts: &[&str]) -> Hold {
        let hold = Hold::default();
        self.rule(1, parts, Act::HoldRequest(hold.clone()));
        hold
    }

    /// The next such request reaches the PDS, and its answer waits; the hold says when the PDS had answered.
    pub fn hold_answer(&self, parts: &[&str]) -> Hold {
        let hold = Hold::default();
        self.rule(1, parts, Act::HoldAnswer(hold.clone()));
        hold
    }

    /// Forgets all rules; what is held stays held.
    pub fn clear(&self) {
        self.shared.rules.lock().expect("no panic inside").clear();
    }

    /// From now on, each frame of the event stream comes this much later and this often.
    pub fn stream(&self, delay: Duration, copies: usize) {
        self.shared.stream.set(delay, copies);
    }

    /// Holds the event stream back until `release_stream`.
    pub fn hold_stream(&self) {
        self.shared.stream.hold(true);
    }

    pub fn release_stream(&self) {
        self.shared.stream.hold(false);
    }

    /// All that passed so far, with all of `parts` in line or body.
    pub fn seen(&self, parts: &[&str]) -> Vec<Seen> {
        let seen = self.shared.seen.lock().expect("no panic inside");
        seen.iter().filter(|seen| seen.has(parts)).cloned().collect()
    }

    pub fn count(&self, parts: &[&str]) -> usize {
        self.seen(parts).len()
    }

    /// How often a refresh token was used. What was only told the nonce to use did not count.
    pub fn refreshes(&self) -> usize {
        let asked = self.seen(&["POST /oauth/token", "grant_type=refresh_token"]);
        asked.iter().filter(|seen| !seen.answer.contains("use_dpop_nonce")).count()
    }
}

async fn keep(body: Incoming, headers: &HeaderMap) -> Result<(Bytes, Bytestream), Failure> {
    // JSON of unknown length is short; CARs, blobs and files are not.
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    if body.size_hint().exact().map_or(kind.starts_with(b"application/json"), |bytes| bytes <= KEPT_BYTES) {
        let bytes = body.collect().await?.to_bytes();
        return Ok((bytes.clone(), full(bytes)));
    }
    Ok((Bytes::new(), boxed(body)))
}

fn drop_hop_headers(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING, HeaderName::from_static("keep-alive")] {
        headers.remove(name);
    }
}

fn full(bytes: Bytes) -> Bytestream {
    Full::new(bytes).map_err(|never: Infallible| match never {}).boxed()
}

fn empty() -> Bytestream {
    Empty::new().map_err(|never: Infallible| match never {}).boxed()
}

fn boxed(body: Incoming) -> Bytestream {
    body.map_err(Failure::from).boxed()
}
