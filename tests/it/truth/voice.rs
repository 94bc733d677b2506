//! A host that says what a test wants, over subscribeRepos.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::SinkExt;
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::world::pds::now;

/// Frames said so far; whoever connects hears all of them, in order.
#[derive(Clone)]
pub struct Voice {
    pub port: u16,
    said: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Voice {
    pub async fn start() -> Voice {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let voice = Voice { port: listener.local_addr().expect("an address").port(), said: Arc::default() };
        let speaker = voice.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let speaker = speaker.clone();
                tokio::spawn(async move {
                    // Questions over HTTP it does not answer.
                    let Ok(mut socket) = accept_async(stream).await else { return };
                    let mut next = 0;
                    loop {
                        let frame = speaker.said.lock().expect("no panic inside").get(next).cloned();
                        let Some(frame) = frame else {
                            tokio::time::sleep(Duration::from_millis(10)).await;
                            continue;
                        };
                        next += 1;
                        if socket.send(Message::Binary(frame.into())).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        voice
    }

    /// Both streams, as `PLYR_UPSTREAMS` takes them.
    pub fn beside(&self, other: &str) -> String {
        format!("{other},repos+ws://127.0.0.1:{}", self.port)
    }

    /// A frame as it is.
    pub fn say(&self, frame: Vec<u8>) {
        self.said.lock().expect("no panic inside").push(frame);
    }

    /// `#account`.
    pub fn account(&self, did: &str, status: &str) {
        let active = status == "active";
        let mut body = vec![if active { 0xa4 } else { 0xa5 }];
        pair(&mut body, "did", &text(did));
        pair(&mut body, "seq", &self.seq());
        pair(&mut body, "time", &text(&now()));
        pair(&mut body, "active", &[if active { 0xf5 } else { 0xf4 }]);
        if !active {
            pair(&mut body, "status", &text(status));
        }
        self.say([&b"\xa2ath#accountbop\x01"[..], &body].concat());
    }

    /// `#identity`.
    pub fn identity(&self, did: &str) {
        let mut body = vec![0xa3];
        pair(&mut body, "did", &text(did));
        pair(&mut body, "seq", &self.seq());
        pair(&mut body, "time", &text(&now()));
        self.say([&b"\xa2ati#identitybop\x01"[..], &body].concat());
    }

    fn seq(&self) -> Vec<u8> {
        // Large enough for four bytes to be its shortest form.
        let seq = self.said.lock().expect("no panic inside").len() as u32 + 1_000_000;
        [&[0x1a][..], &seq.to_be_bytes()].concat()
    }
}

/// CBOR as the protocol wants it: lengths in the shortest form.
fn text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("short");
    let head = if length < 24 { vec![0x60 + length] } else { vec![0x78, length] };
    [&head[..], text.as_bytes()].concat()
}

fn pair(map: &mut Vec<u8>, key: &str, value: &[u8]) {
    map.extend(text(key));
    map.extend(value);
}
