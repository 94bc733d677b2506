//! A WebSocket through the gate: the client's bytes as they are, the server's frame by frame.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, split};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
struct Terms {
    delay: Duration,
    copies: usize,
    held: bool,
}

/// Says what happens to the frames from now on.
#[derive(Clone, Debug)]
pub struct Control {
    terms: watch::Sender<Terms>,
}

impl Default for Control {
    fn default() -> Self {
        Control { terms: watch::Sender::new(Terms { delay: Duration::ZERO, copies: 1, held: false }) }
    }
}

impl Control {
    pub fn set(&self, delay: Duration, copies: usize) {
        self.terms.send_modify(|terms| (terms.delay, terms.copies) = (delay, copies));
    }

    pub fn hold(&self, held: bool) {
        self.terms.send_modify(|terms| terms.held = held);
    }
}

/// Passes both ways until one side ends.
pub async fn pass<A, B>(down: A, up: B, control: Control)
where
    A: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut from_client, to_client) = split(down);
    let (from_server, mut to_server) = split(up);
    let (sender, frames) = mpsc::unbounded_channel();
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        _ = read(from_server, sender, &control) => {}
        _ = write(to_client, frames, &control) => {}
    }
}

type Frame = (Instant, usize, Vec<u8>);

/// Each frame with the moment that it is due. A delay shifts the stream, it does not slow it.
async fn read(
    mut server: impl AsyncRead + Unpin,
    frames: mpsc::UnboundedSender<Frame>,
    control: &Control,
) -> std::io::Result<()> {
    loop {
        let frame = read_frame(&mut server).await?;
        let terms = *control.terms.borrow();
        // A whole binary message; control frames are the connection's own.
        let copies = if frame[0] == 0x82 { terms.copies } else { 1 };
        if frames.send((Instant::now() + terms.delay, copies, frame)).is_err() {
            return Ok(());
        }
    }
}

async fn write(
    mut client: impl AsyncWrite + Unpin,
    mut frames: mpsc::UnboundedReceiver<Frame>,
    control: &Control,
) -> std::io::Result<()> {
    while let Some((due, copies, frame)) = frames.recv().await {
        tokio::time::sleep_until(due).await;
        control.terms.subscribe().wait_for(|terms| !terms.held).await.expect("the sender is ours");
        for _ in 0..copies {
            client.write_all(&frame).await?;
        }
        client.flush().await?;
    }
    Ok(())
}

/// RFC 6455, 5.2. A server's frames are not masked.
async fn read_frame(server: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let mut frame = vec![0; 2];
    server.read_exact(&mut frame).await?;
    let more = match frame[1] & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    frame.resize(2 + more, 0);
    server.read_exact(&mut frame[2..]).await?;
    let length = match more {
        0 => u64::from(frame[1] & 0x7f),
        _ => frame[2..].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    let head = frame.len();
    frame.resize(head + length as usize, 0);
    server.read_exact(&mut frame[head..]).await?;
    Ok(frame)
}
