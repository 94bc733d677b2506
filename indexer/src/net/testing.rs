//! Real servers on loopback for the tests: HTTP that answers as told, and DNS with a few records.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, TXT};
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use url::Url;

use super::{Authority, Limits, Net, NetOptions};

/// What the HTTP server does with one request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// Status, extra header lines (each ending in CRLF), body with its length.
    Reply(u16, String, Vec<u8>),
    /// A body of unknown length: this piece again and again with a pause, for ever.
    Drip(Vec<u8>, Duration),
    /// Accepts and says nothing.
    Hang,
    /// This reply, later.
    Late(Duration, Box<Answer>),
}

impl Answer {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Answer::Reply(200, "content-type: application/json\r\n".into(), body.into().into_bytes())
    }

    pub(crate) fn status(code: u16) -> Self {
        Answer::Reply(code, String::new(), Vec::new())
    }
}

/// An HTTP/1.1 server on 127.0.0.1; it ends with the test's runtime.
#[derive(Clone)]
pub(crate) struct Http {
    pub(crate) port: u16,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Http {
    /// `answer` is given the path with its query, and the whole head of the request.
    pub(crate) async fn serve(answer: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port");
        let http = Http { port: listener.local_addr().expect("bound").port(), paths: Arc::default() };
        let (answer, paths) = (Arc::new(answer), http.paths.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, answer.clone(), paths.clone()));
            }
        });
        http
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        format!("http://127.0.0.1:{}{path}", self.port).parse().expect("a URL")
    }

    pub(crate) fn authority(&self) -> Authority {
        Authority::of(&self.url("/")).expect("an authority")
    }

    /// The paths asked for so far.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.paths.lock().expect("not poisoned").clone()
    }
}

async fn converse(
    mut stream: TcpStream,
    answer: Arc<impl Fn(&str, &str) -> Answer>,
    paths: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?;
    paths.lock().expect("not poisoned").push(path.to_owned());
    let mut reply = answer(path, &head);
    if let Answer::Late(delay, later) = reply {
        tokio::time::sleep(delay).await;
        reply = *later;
    }
    match reply {
        Answer::Reply(status, headers, body) => {
            let head = format!(
                "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(&body).await.ok()?;
        }
        Answer::Drip(piece, pause) => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.ok()?;
            let chunk = [format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat();
            loop {
                stream.write_all(&chunk).await.ok()?;
                tokio::time::sleep(pause).await;
            }
        }
        Answer::Hang | Answer::Late(..) => std::future::pending().await,
    }
    Some(())
}

/// A DNS server on 127.0.0.1 that knows these records (name without the final dot) and denies all others.
/// A value is an IPv4 address for A, anything else is TXT.
pub(crate) async fn dns(records: &[(&str, &str)]) -> SocketAddr {
    let mut zone: HashMap<String, Vec<String>> = HashMap::new();
    for (name, value) in records {
        zone.entry(format!("{name}.")).or_default().push((*value).to_owned());
    }
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port");
    let address = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(request) = Message::from_vec(&buffer[..length]) else { continue };
            let reply = answer_dns(&zone, &request).to_vec().expect("encodes");
            socket.send_to(&reply, from).await.expect("sent");
        }
    });
    address
}

/// A DNS server on 127.0.0.1 whose every name has another address at each question, in turn, and never for long.
pub(crate) async fn fickle_dns(addresses: &'static [&'static str]) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port");
    let server = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = [0; 4096];
        let mut turn = addresses.iter().cycle();
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Ok(request) = Message::from_vec(&buffer[..length]) else { continue };
            let mut reply = request.clone();
            reply.metadata.message_type = MessageType::Response;
            if let Some(query) = request.queries.first().filter(|query| query.query_type() == RecordType::A) {
                let address = turn.next().expect("endless").parse().expect("an address");
                reply.answers.push(Record::from_rdata(query.name().clone(), 0, RData::A(A(address))));
            }
            let reply = reply.to_vec().expect("encodes");
            socket.send_to(&reply, from).await.expect("sent");
        }
    });
    server
}

fn answer_dns(zone: &HashMap<String, Vec<String>>, request: &Message) -> Message {
    let mut reply = request.clone();
    reply.metadata.message_type = MessageType::Response;
    let Some(query) = request.queries.first() else { return reply };
    let name = query.name().to_string().to_ascii_lowercase();
    let Some(values) = zone.get(&name) else {
        reply.metadata.response_code = ResponseCode::NXDomain;
        return reply;
    };
    for value in values {
        let data = match (value.parse::<Ipv4Addr>(), query.query_type()) {
            (Ok(address), RecordType::A) => RData::A(A(address)),
            (Err(_), RecordType::TXT) => RData::TXT(TXT::new(vec![value.clone()])),
            _ => continue,
        };
        reply.answers.push(Record::from_rdata(query.name().clone(), 60, data));
    }
    reply
}

/// Limits short enough to run out in a test.
pub(crate) fn short_limits() -> Limits {
    Limits {
        connect: Duration::from_secs(2),
        idle: Duration::from_secs(1),
        total: Duration::from_secs(2),
        stream_total: Duration::from_secs(3),
    }
}

/// A client to which these servers are exempt.
pub(crate) fn net(listed: &[&Http]) -> Net {
    let private_hosts = listed.iter().map(|http| http.authority()).collect();
    Net::new(NetOptions { private_hosts, limits: short_limits(), ..NetOptions::default() }).expect("a client")
}
