//! Uploads: from a form to a record in the artist's repo, and what is left when something ends in the middle.

mod collector;
mod kill;
mod large;
mod moods;
mod publish;
mod refuse;
pub mod sound;

use std::collections::BTreeSet;

use indexer::syntax::AtUri;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::world::agent::Answer;
use crate::world::network::Network;
use crate::world::{Account, Person, Plyr, eventually, pds, same};

/// A form with its fields: name, file name, value.
#[derive(Clone, Default)]
pub struct Form {
    parts: Vec<(&'static str, Option<&'static str>, Vec<u8>)>,
}

const BOUNDARY: &str = "----upload-of-a-test";

impl Form {
    /// What every upload needs.
    pub fn new(title: &str, sound: Vec<u8>) -> Form {
        Form::default().text("title", title).file("file", "a.bin", sound)
    }

    pub fn text(mut self, name: &'static str, value: &str) -> Form {
        self.parts.push((name, None, value.into()));
        self
    }

    pub fn file(mut self, name: &'static str, file_name: &'static str, bytes: Vec<u8>) -> Form {
        self.parts.push((name, Some(file_name), bytes));
        self
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, file_name, value) in &self.parts {
            body.extend_from_slice(head(name, *file_name).as_bytes());
            body.extend_from_slice(value);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(tail().as_bytes());
        body
    }

    pub fn request(&self, person: &Person) -> RequestBuilder {
        form_request(person).body(self.encode())
    }

    pub async fn send(&self, person: &Person) -> Answer {
        person.agent.send(self.request(person)).await
    }

    /// Sends it and returns the upload's id.
    pub async fn accepted(&self, person: &Person) -> String {
        let answer = self.send(person).await.good();
        assert_eq!(answer["status"], "pending", "{answer}");
        answer["upload_id"].as_str().expect("an id").to_owned()
    }
}

fn head(name: &str, file_name: Option<&str>) -> String {
    let file = file_name.map_or(String::new(), |name| {
        format!("; filename=\"{name}\"\r\nContent-Type: application/octet-stream")
    });
    format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n")
}

fn tail() -> String {
    format!("--{BOUNDARY}--\r\n")
}

fn form_request(person: &Person) -> RequestBuilder {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    person.request(Method::POST, "/tracks/").header("content-type", kind)
}

/// All that is said of an upload until it has ended.
async fn follow(plyr: &Plyr, upload_id: &str) -> Vec<Value> {
    let response = plyr.get(&format!("/tracks/uploads/{upload_id}/progress")).await;
    assert_eq!(response.status(), 200);
    for (name, value) in
        [("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]
    {
        assert_eq!(response.headers()[name], value, "{name}");
    }
    let text = response.text().await.expect("a stream that ends");
    let messages = text.lines().filter(|line| !line.is_empty()).map(|line| {
        let data = line.strip_prefix("data: ").unwrap_or_else(|| panic!("not data: {line}"));
        serde_json::from_str(data).expect("JSON")
    });
    messages.collect()
}

/// The last that is said, which must be good.
async fn completed(plyr: &Plyr, upload_id: &str) -> Value {
    let messages = follow(plyr, upload_id).await;
    let last = messages.last().cloned().expect("a message");
    assert_eq!(last["status"], "completed", "{messages:#?}");
    last
}

/// How an upload ends, however long it takes and whoever works on it.
async fn ended(plyr: &Plyr, upload_id: &str) -> String {
    eventually("the upload to end", || async {
        let row: (String, String, Option<String>) =
            sqlx::query_as("select status, message, error from upload where id = $1")
                .bind(upload_id)
                .fetch_one(&plyr.db.pool)
                .await
                .expect("a row");
        if matches!(row.0.as_str(), "completed" | "failed") { Ok(row.0) } else { Err(format!("{row:?}")) }
    })
    .await
}

/// Waits until nobody works on uploads and blobs.
async fn await_still(plyr: &Plyr) {
    eventually("uploads and blobs to be done", || async {
        let sql = "select count(*) from job where kind in ('blob', 'upload') and state <> 'dead'";
        same(plyr.db.number(sql).await, 0)
    })
    .await;
}

/// The artist's tracks as their PDS lists them.
async fn records(account: &Account) -> Vec<Value> {
    let url = format!("{}/xrpc/com.atproto.repo.listRecords", account.host);
    let query = [("repo", account.did.as_str()), ("collection", "fm.plyr.track"), ("limit", "100")];
    let page: Value =
        pds::http().get(url).query(&query).send().await.expect("the PDS answers").json().await.expect("JSON");
    page["records"].as_array().expect("records").clone()
}

/// The CID of bytes as a blob, reckoned here.
fn cid_of(bytes: &[u8]) -> String {
    let mut cid = vec![0x01, 0x55, 0x12, 0x20];
    cid.extend_from_slice(&Sha256::digest(bytes));
    let alphabet = b"abcdefghijklmnopqrstuvwxyz234567";
    let (mut text, mut bits, mut count) = (String::from("b"), 0u32, 0);
    for byte in cid {
        bits = (bits << 8) | u32::from(byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(alphabet[(bits >> count) as usize & 31] as char);
        }
    }
    if count > 0 {
        text.push(alphabet[(bits << (5 - count)) as usize & 31] as char);
    }
    text
}

/// The files of the store, relative to its root. On a network that others use, their tracks' are among them.
fn files(plyr: &Plyr) -> BTreeSet<String> {
    fn walk(folder: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() { walk(&entry.path(), found) } else { found.push(entry.path()) }
        }
    }
    let root = plyr.data.path().join("media");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.iter().map(|path| path.strip_prefix(&root).expect("inside").display().to_string()).collect()
}

/// Every row has its file and every file its row.
async fn assert_in_step(plyr: &Plyr) {
    let named: BTreeSet<String> = plyr.db.texts("select storage_key from blob").await.into_iter().collect();
    assert_eq!(files(plyr), named);
}

/// An artist who is signed in.
async fn artist_at(net: &Network, plyr: &Plyr) -> Person {
    Person::sign_in(plyr, &Account::create(net, "artist").await).await
}

fn rkey(uri: &str) -> String {
    uri.parse::<AtUri>().expect("an at-uri").rkey().to_owned()
}
