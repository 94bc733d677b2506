//! A host in front of another: it answers some questions by itself and passes the rest on.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::world::pds;

/// What is answered where the path and query contain a text.
type Rules = Arc<Mutex<Vec<(String, u16, String)>>>;

/// A stand-in for a directory, a resolver or a PDS.
#[derive(Clone)]
pub struct Stand {
    pub port: u16,
    behind: String,
    rules: Rules,
    asked: Arc<Mutex<Vec<String>>>,
    http: reqwest::Client,
}

impl Stand {
    pub async fn before(behind: &str) -> Stand {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let stand = Stand {
            port: listener.local_addr().expect("an address").port(),
            behind: behind.to_owned(),
            rules: Arc::default(),
            asked: Arc::default(),
            http: pds::http(),
        };
        let server = stand.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let stand = server.clone();
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(|request| {
                        let stand = stand.clone();
                        async move { Ok::<_, Infallible>(stand.answer(request).await) }
                    });
                    let connection = hyper::server::conn::http1::Builder::new();
                    connection.serve_connection(TokioIo::new(stream), service).await.ok();
                });
            }
        });
        stand
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on this is the answer; a later rule goes first.
    pub fn says(&self, part: &str, status: u16, body: Value) {
        let rule = (part.to_owned(), status, body.to_string());
        self.rules.lock().expect("no panic inside").insert(0, rule);
    }

    /// From now on it leads elsewhere.
    pub fn leads(&self, part: &str, to: &str) {
        self.rules.lock().expect("no panic inside").insert(0, (part.to_owned(), 302, to.to_owned()));
    }

    /// Only passes on.
    pub fn clear(&self) {
        self.rules.lock().expect("no panic inside").clear();
    }

    /// How often something was asked.
    pub fn asked(&self, part: &str) -> usize {
        let asked = self.asked.lock().expect("no panic inside");
        asked.iter().filter(|line| line.contains(part)).count()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let line = request.uri().to_string();
        self.asked.lock().expect("no panic inside").push(line.clone());
        let rule = {
            let rules = self.rules.lock().expect("no panic inside");
            rules.iter().find(|(part, ..)| line.contains(part)).cloned()
        };
        let answer = Response::builder();
        let answer = match rule {
            Some((_, 302, to)) => answer.status(302).header("location", to).body(Full::default()),
            Some((_, status, body)) => {
                answer.status(status).header("content-type", "application/json").body(Full::new(body.into()))
            }
            None => match self.http.get(format!("{}{line}", self.behind)).send().await {
                Ok(theirs) => {
                    let status = theirs.status().as_u16();
                    answer.status(status).body(Full::new(theirs.bytes().await.unwrap_or_default()))
                }
                Err(_) => answer.status(502).body(Full::default()),
            },
        };
        answer.expect("an answer")
    }
}
