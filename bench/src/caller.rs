//! A client that asks one question after another over one connection, and costs little beside them.

use std::net::SocketAddr;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A connection.
pub struct Caller {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Caller {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Caller { stream: BufReader::new(stream), address })
    }

    /// The answer's body; anything but a 200 is an error.
    pub async fn get(&mut self, path: &str) -> anyhow::Result<Vec<u8>> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.address);
        self.stream.get_mut().write_all(request.as_bytes()).await?;
        let (mut status, mut length) = (None, None);
        loop {
            let mut line = String::new();
            anyhow::ensure!(self.stream.read_line(&mut line).await? > 0, "plyr hung up");
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if status.is_none() {
                status = line.split(' ').nth(1).map(str::to_owned);
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse()?);
            }
        }
        let mut body = vec![0; length.with_context(|| format!("{path}: an answer without length"))?];
        self.stream.read_exact(&mut body).await?;
        let said = || format!("{path}: {status:?}: {}", String::from_utf8_lossy(&body));
        anyhow::ensure!(status.as_deref() == Some("200"), said());
        Ok(body)
    }
}
