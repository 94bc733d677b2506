//! A host between us and the PDS that drops, repeats, forges and garbles what it passes on.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_hdr_async, connect_async};

use crate::world::{Account, Plyr, eventually, network::Network, pds, run, same};

/// What happens to the nth frame of a connection.
type Fate = fn(usize, Vec<u8>) -> Vec<Vec<u8>>;

/// Passes a PDS's stream on, each frame as its fate will have it. Returns the port.
async fn lie_about(network: &Network, fate: Fate) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let pds_port = network.pds_port;
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut path = String::new();
                #[allow(clippy::result_large_err, reason = "the signature is tungstenite's")]
                let keep = |request: &tokio_tungstenite::tungstenite::handshake::server::Request,
                            response| {
                    path = request.uri().to_string();
                    Ok(response)
                };
                // Questions over HTTP it does not answer.
                let Ok(mut down) = accept_hdr_async(stream, keep).await else { return };
                let (mut up, _) =
                    connect_async(format!("ws://127.0.0.1:{pds_port}{path}")).await.expect("the PDS");
                let mut number = 0;
                while let Some(Ok(message)) = up.next().await {
                    let Message::Binary(bytes) = message else { continue };
                    for bytes in fate(number, bytes.to_vec()) {
                        if down.send(Message::Binary(bytes.into())).await.is_err() {
                            return;
                        }
                    }
                    number += 1;
                }
            });
        }
    });
    port
}

/// Its number decides: every frame is passed on but one in eleven, and others come with company.
fn hostile(number: usize, bytes: Vec<u8>) -> Vec<Vec<u8>> {
    let mut forged = bytes.clone();
    let middle = forged.len() / 2;
    forged[middle] ^= 0x40;
    match number % 11 {
        // The beginning of a CBOR map that never ends; and nothing at all.
        1 => vec![vec![0xbf, 0xff, 0x00, 0x13, 0x37], bytes, vec![]],
        3 => vec![forged, bytes],
        5 => vec![bytes.clone(), bytes.clone(), bytes],
        7 => vec![bytes[..middle].to_vec(), bytes],
        // Dropped.
        9 => vec![],
        _ => vec![bytes],
    }
}

#[test]
fn lies_are_kept_aside_and_losses_made_good() {
    run(async {
        let net = Network::start(&[]);
        let port = lie_about(&net, hostile).await;
        let upstream = format!("repos+ws://127.0.0.1:{port}");
        let plyr = Plyr::up_with(&net, &[("PLYR_UPSTREAMS", &upstream)]).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("through the liar").await;
        let mut fans = Vec::new();
        for _ in 0..6 {
            let fan = Account::create(&net, "fan").await;
            fan.like(&track).await;
            fan.create_record("fm.plyr.comment", pds::comment(&track, "I was here", 1)).await;
            fan.create_record("fm.plyr.comment", pds::comment(&track, "and here", 2)).await;
            fans.push(fan);
        }
        // Everybody writes once more, twice: a gap shows at the latest when the next commit does not follow.
        for fan in &fans {
            fan.create_record("fm.plyr.comment", pds::comment(&track, "and once more", 3)).await;
            fan.create_record("fm.plyr.comment", pds::comment(&track, "and again", 4)).await;
        }
        plyr.await_counts(&track.0, Some([6, 24, 0])).await;
        eventually("problems of both kinds", || async {
            let kinds = plyr.db.texts("select distinct kind from problem order by 1").await;
            let has = |name: &str| kinds.iter().any(|kind| kind == name);
            let forged = ["BadSignature", "HashMismatch", "CarMalformed", "BadField", "FrameMalformed"]
                .iter()
                .any(|name| has(name));
            if has("FrameMalformed") && forged { Ok(()) } else { Err(format!("{kinds:?}")) }
        })
        .await;
        let stored = plyr.db.number("select count(*) from problem where length(bytes) > 0").await;
        assert!(stored > 0, "the bytes are kept with the problem");
        plyr.await_quiet().await;
        let states = plyr.db.texts("select distinct state from repo").await;
        assert_eq!(states, ["synchronized"]);
    });
}

/// The stream began anew: the cursor that we hold lies in its future.
#[test]
fn a_cursor_the_host_never_gave_is_forgotten() {
    run(async {
        let net = Network::start(&[]);
        let mut plyr = Plyr::up(&net).await;
        let artist = Account::create(&net, "artist").await;
        let track = artist.create_track("before").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        plyr.kill();
        sqlx::query("update source set cursor = 1000000000000")
            .execute(&plyr.db.pool)
            .await
            .expect("the row");
        let fan = Account::create(&net, "fan").await;
        fan.like(&track).await;
        plyr.start().await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        eventually("a true cursor", || async {
            let cursor = plyr.db.number("select coalesce(max(cursor), 0) from source").await;
            same(cursor > 0 && cursor < 1_000_000, true).map_err(|_| cursor.to_string())
        })
        .await;
    });
}
