//! Listeners that do not read what they are told.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::{Follower, await_listening};
use crate::world::{Plyr, eventually, network, run, same};

/// A listener that never reads what it is told.
async fn deaf(plyr: &Plyr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small one");
    let address = plyr.url.trim_start_matches("http://");
    let mut stream = socket.connect(address.parse().expect("an address")).await.expect("a connection");
    let request = format!("GET /live?kinds=play HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    stream
}

/// A number of the metrics.
async fn metric(plyr: &Plyr, name: &str) -> i64 {
    let answer = plyr.http().get(format!("{}/metrics", plyr.metrics_url)).send().await.expect("metrics");
    let text = answer.text().await.expect("text");
    let number = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    number.unwrap_or_default() as i64
}

fn resident_kb(plyr: &Plyr) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", plyr.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A transaction that tells of a hundred plays, 300 kB of them: a full socket is some megabytes away.
const MUCH: &str = "
    with g as materialized (select nextval('live_generation') as number),
         e as (insert into live_event (generation, kind, subject_uri)
               select number, 'play', 'at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/fm.plyr.track/' || repeat('x', 3000)
                 from g, generate_series(1, 100))
    select pg_notify('plyr', number::text) from g";

#[test]
fn who_does_not_listen_is_let_go() {
    run(async {
        let plyr = Plyr::up(network()).await;
        await_listening(&plyr).await;
        let mut good = Follower::new(&plyr, "kinds=play", None).await;
        let mut stuck = Vec::new();
        for _ in 0..20 {
            stuck.push(deaf(&plyr).await);
        }
        let listeners = || async { metric(&plyr, "plyr_live_streams").await };
        eventually("all to listen", || async { same(listeners().await, 21) }).await;
        let before_kb = resident_kb(&plyr);
        // Whoever reads is told everything, each before the next happens.
        let mut hear = async || {
            plyr.db.run(MUCH).await;
            let heard = async {
                let mut heard = 0;
                while heard < 100 {
                    let (kind, _, data) = good.next().await;
                    assert_eq!(kind, "play");
                    heard += usize::from(data["subject"].as_str().is_some_and(|uri| uri.len() > 3000));
                }
            };
            tokio::time::timeout(Duration::from_secs(15), heard).await.expect("it is told at once");
        };
        for _ in 0..60 {
            hear().await;
        }
        // Of 18 MB for each of twenty nothing is kept but what all share.
        let grown_kb = resident_kb(&plyr) - before_kb;
        assert!(grown_kb < 120 * 1024, "{grown_kb} kB");
        eventually("them to be let go", || async { same(listeners().await, 1) }).await;
        assert_eq!(metric(&plyr, "plyr_live_stuck_total").await, 20);
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(30), stuck[0].read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the connection is still open");
        hear().await;
    });
}
