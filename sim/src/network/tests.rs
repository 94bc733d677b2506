//! Servers that trouble whoever asks, and answer in the end.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::Faults;

/// Status and what follows of an answer; none where the connection broke.
async fn get(origin: &str, path: &str) -> Option<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect(origin.strip_prefix("http://")?).await.ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    let status = std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()?;
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    Some((status, answer.split_off(body)))
}

type Socket = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>;

async fn connect(upstream: &str, cursor: Option<i64>) -> Socket {
    let cursor = cursor.map_or(String::new(), |cursor| format!("?cursor={cursor}"));
    let origin = upstream.strip_prefix("repos+").expect("a stream of repos");
    let url = format!("{origin}/xrpc/com.atproto.sync.subscribeRepos{cursor}");
    connect_async(url).await.expect("a connection").0
}

/// Messages of a stream until nothing comes for a while.
async fn read(mut socket: Socket) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Ok(Some(Ok(message))) = tokio::time::timeout(Duration::from_millis(500), socket.next()).await {
        match message {
            Message::Binary(bytes) => messages.push(bytes.to_vec()),
            _ => break,
        }
    }
    messages
}

#[tokio::test]
async fn whoever_keeps_asking_is_answered() {
    let faults = Faults { silent_hosts: 0.0, slow_hosts: 0.0, ..Faults::all() };
    let net = Network::start(Options { faults, ..Options::default() }).await.expect("ports");
    net.advance(50).await;
    let mut troubles = 0;
    for (did, account) in net.truth().accounts {
        let path = format!("/xrpc/com.atproto.sync.getRepoStatus?did={}", did.replace('%', "%25"));
        let mut asked = 0;
        while !matches!(get(&account.pds, &path).await, Some((200 | 400, _))) {
            asked += 1;
            assert!(asked < 5, "{did}");
        }
        troubles += asked;
    }
    assert!(troubles > 0, "some trouble");
}

#[tokio::test]
async fn streams_replay_what_they_have() {
    let net = Network::start(Options::default()).await.expect("ports");
    net.advance(100).await;
    let (host, relay) = (&net.host_upstreams()[0], &net.relay_upstreams()[0]);
    let last = |net: &Network| net.look(|world| (world.hosts()[0].log.last(), world.relays()[0].log.last()));
    let (of_host, of_relay) = last(&net);
    assert_eq!(read(connect(relay, Some(0)).await).await.len() as i64, of_relay);
    assert_eq!(read(connect(host, Some(of_host - 3)).await).await.len(), 3);
    assert_eq!(
        read(connect(relay, Some(of_relay + 1000)).await).await.len(),
        0,
        "a relay waits for its future"
    );
    let refused = read(connect(host, Some(of_host + 1000)).await).await;
    assert!(refused.len() == 1 && refused[0].windows(12).any(|window| window == b"FutureCursor"));
    // A stream begins where the server first sees it: it must have, before more happens. Those before must be gone.
    let listeners = async |count| {
        while net.shared.told.receiver_count() != count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    listeners(0).await;
    let live = connect(relay, None).await;
    listeners(1).await;
    net.advance(40).await;
    assert_eq!(read(live).await.len() as i64, last(&net).1 - of_relay);
}

#[tokio::test]
async fn hosts_go_down_and_come_up() {
    let mut net = Network::start(Options::default()).await.expect("ports");
    let (pds, path) = (net.look(|_| net.shared.addresses.hosts[1].clone()), "/xrpc/_health");
    assert_eq!(get(&pds, path).await.map(|answer| answer.0), Some(200));
    net.stop_host(1).await;
    net.advance(10).await;
    assert_eq!(get(&pds, path).await, None);
    net.start_host(1).await.expect("the same port");
    assert_eq!(get(&pds, path).await.map(|answer| answer.0), Some(200));
}
