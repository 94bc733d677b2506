//! The limit of an answer that is kept: a handler that has nothing but the bytes, in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::Context;
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;

/// A running one. It is killed when this is dropped.
pub struct Bare {
    pub address: SocketAddr,
    child: Child,
    _bytes: tempfile::NamedTempFile,
}

impl Bare {
    /// Starts one that answers with these bytes.
    pub async fn start(bytes: &[u8]) -> anyhow::Result<Self> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), bytes)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("bare")
            .arg(file.path())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
        Ok(Bare { address: line.trim().parse()?, child, _bytes: file })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        // Either fails only where it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Answers with the bytes of a file until it is killed, and says where.
pub fn serve(path: &str) -> anyhow::Result<()> {
    let bytes = Bytes::from(std::fs::read(path)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let answer = move || {
            let bytes = bytes.clone();
            async move { ([(CONTENT_TYPE, "application/json")], bytes) }
        };
        axum::serve(listener, Router::new().route("/", get(answer))).await?;
        Ok(())
    })
}
