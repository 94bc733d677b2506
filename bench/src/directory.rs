//! A PLC directory.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

/// Documents by DID, as text.
pub type Documents = Arc<HashMap<String, String>>;

/// Starts a directory with these documents, and says where it is.
pub async fn start(documents: Documents) -> anyhow::Result<Url> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?).parse()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, documents.clone()));
        }
    });
    Ok(url)
}

async fn answer(mut stream: TcpStream, documents: Documents) -> std::io::Result<()> {
    let mut request = Vec::new();
    loop {
        while !request.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let text = String::from_utf8_lossy(&request);
        let path = text.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').replace("%3A", ":");
        let (status, body) =
            documents.get(&path).map_or(("404 Not Found", "{}"), |body| ("200 OK", body.as_str()));
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body.as_bytes()].concat()).await?;
        request.clear();
    }
}
