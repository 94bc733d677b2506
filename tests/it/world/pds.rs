//! Another program that writes to the PDS: no code of ours but HTTP.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::network::Network;

/// A signed-in account of a PDS.
#[derive(Clone)]
pub struct Account {
    http: reqwest::Client,
    pub host: String,
    pub did: String,
    pub handle: String,
    pub password: String,
    token: String,
}

/// A new client of the tests' own.
pub fn http() -> reqwest::Client {
    rustls_provider();
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

pub fn rustls_provider() {
    rustls::crypto::ring::default_provider().install_default().ok();
}

impl Account {
    /// A new account whose handle begins with `name`.
    pub async fn create(network: &Network, name: &str) -> Account {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let handle = format!("{name}{number}.test");
        let mut account = Account {
            http: http(),
            host: network.direct.clone(),
            did: String::new(),
            password: format!("password-{number}"),
            token: String::new(),
            handle,
        };
        let body = json!({"handle": account.handle, "email": format!("{name}{number}@example.test"), "password": account.password});
        let session = account.post("com.atproto.server.createAccount", &body).await;
        account.did = session["did"].as_str().expect("a did").to_owned();
        account.token = session["accessJwt"].as_str().expect("a token").to_owned();
        account
    }

    /// A request to their PDS, as them.
    pub fn request(&self, method: reqwest::Method, nsid: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}/xrpc/{nsid}", self.host)).bearer_auth(&self.token)
    }

    /// A token that their PDS signs for them: for half an hour, if it is for one method.
    pub async fn service_token(&self, audience: &str, method: Option<&str>) -> String {
        let until = (chrono::Utc::now().timestamp() + 1800).to_string();
        let mut query = vec![("aud", audience)];
        query.extend(method.into_iter().flat_map(|method| [("lxm", method), ("exp", &until)]));
        let request = self.request(reqwest::Method::GET, "com.atproto.server.getServiceAuth").query(&query);
        let response = request.send().await.expect("the PDS answers");
        let (status, body) = (response.status(), response.text().await.expect("a body"));
        assert!(status.is_success(), "{status} {body}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        body["token"].as_str().expect("a token").to_owned()
    }

    /// Calls a procedure and expects it to succeed.
    pub async fn post(&self, method: &str, body: &Value) -> Value {
        let request = self.http.post(format!("{}/xrpc/{method}", self.host));
        // activateAccount wants no body at all.
        let request = if body.is_null() { request } else { request.json(body) };
        let request = if self.token.is_empty() { request } else { request.bearer_auth(&self.token) };
        let response = request.send().await.expect("the PDS answers");
        let (status, text) = (response.status(), response.text().await.expect("a body"));
        assert!(status.is_success(), "{method}: {status} {text}");
        if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") }
    }

    /// Creates a record and returns its (uri, cid).
    pub async fn create_record(&self, collection: &str, record: Value) -> (String, String) {
        let body = json!({"repo": self.did, "collection": collection, "record": record, "validate": false});
        named(&self.post("com.atproto.repo.createRecord", &body).await)
    }

    /// Puts a record under a key.
    pub async fn put_record(&self, collection: &str, rkey: &str, record: Value) -> (String, String) {
        let body = json!({"repo": self.did, "collection": collection, "rkey": rkey, "record": record, "validate": false});
        named(&self.post("com.atproto.repo.putRecord", &body).await)
    }

    pub async fn delete_record(&self, uri: &str) {
        let mut parts = uri.rsplit('/');
        let (rkey, collection) = (parts.next().expect("a key"), parts.next().expect("a collection"));
        let body = json!({"repo": self.did, "collection": collection, "rkey": rkey});
        self.post("com.atproto.repo.deleteRecord", &body).await;
    }

    /// Several writes in one commit.
    pub async fn apply_writes(&self, writes: Vec<Value>) -> Value {
        let body = json!({"repo": self.did, "writes": writes, "validate": false});
        self.post("com.atproto.repo.applyWrites", &body).await
    }

    /// Uploads bytes and returns the blob as a record names it.
    pub async fn upload(&self, mime: &str, bytes: Vec<u8>) -> Value {
        let response = self
            .http
            .post(format!("{}/xrpc/com.atproto.repo.uploadBlob", self.host))
            .bearer_auth(&self.token)
            .header("content-type", mime)
            .body(bytes)
            .send()
            .await
            .expect("the PDS answers");
        assert!(response.status().is_success(), "{}", response.text().await.expect("a body"));
        response.json::<Value>().await.expect("JSON")["blob"].take()
    }

    pub async fn deactivate(&self) {
        self.post("com.atproto.server.deactivateAccount", &json!({})).await;
    }

    pub async fn activate(&self) {
        self.post("com.atproto.server.activateAccount", &Value::Null).await;
    }

    /// Deletes the account for good, as its host's operator.
    pub async fn delete_account(&self, network: &Network) {
        let url = format!("{}/xrpc/com.atproto.admin.deleteAccount", self.host);
        let request = self.http.post(url).basic_auth("admin", Some(&network.admin_password));
        let response = request.json(&json!({"did": self.did})).send().await.expect("the PDS answers");
        assert!(response.status().is_success(), "{}", response.text().await.expect("a body"));
    }

    /// All live records of a collection, as (uri, cid), read back from the PDS.
    pub async fn list_records(&self, collection: &str) -> Vec<(String, String)> {
        let (mut found, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query =
                vec![("repo", self.did.clone()), ("collection", collection.into()), ("limit", "100".into())];
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let url = format!("{}/xrpc/com.atproto.repo.listRecords", self.host);
            let page: Value = self
                .http
                .get(url)
                .query(&query)
                .send()
                .await
                .expect("the PDS answers")
                .json()
                .await
                .expect("JSON");
            let records = page["records"].as_array().expect("records");
            found.extend(records.iter().map(named));
            match page["cursor"].as_str() {
                Some(next) if !records.is_empty() => cursor = Some(next.to_owned()),
                _ => return found,
            }
        }
    }

    /// A record as the PDS has it.
    pub async fn record(&self, uri: &str) -> Value {
        let mut parts = uri.rsplit('/');
        let (rkey, collection) = (parts.next().expect("a key"), parts.next().expect("a collection"));
        let query = [("repo", self.did.as_str()), ("collection", collection), ("rkey", rkey)];
        self.get("com.atproto.repo.getRecord", &query).await["value"].take()
    }

    /// The newest commit of the repo.
    pub async fn latest_rev(&self) -> String {
        let latest = self.get("com.atproto.sync.getLatestCommit", &[("did", &self.did)]).await;
        latest["rev"].as_str().expect("a rev").to_owned()
    }

    async fn get(&self, method: &str, query: &[(&str, &str)]) -> Value {
        let request = self.http.get(format!("{}/xrpc/{method}", self.host)).query(query);
        let response = request.send().await.expect("the PDS answers");
        let (status, body) = (response.status(), response.text().await.expect("a body"));
        assert!(status.is_success(), "{method}: {status} {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    /// A track with sound to fetch.
    pub async fn create_track(&self, title: &str) -> (String, String) {
        let blob = self.upload("audio/wav", wav(title.len() as u32 + self.did.len() as u32, 1)).await;
        self.create_record("fm.plyr.track", track(title, &blob)).await
    }

    pub async fn like(&self, subject: &(String, String)) -> (String, String) {
        self.create_record("fm.plyr.like", like(subject)).await
    }
}

fn named(answer: &Value) -> (String, String) {
    let text = |key: &str| answer[key].as_str().unwrap_or_else(|| panic!("no {key} in {answer}")).to_owned();
    (text("uri"), text("cid"))
}

pub fn track(title: &str, blob: &Value) -> Value {
    json!({
        "$type": "fm.plyr.track", "title": title, "artist": "the testers", "fileType": "wav", "duration": 1,
        "audioBlob": blob, "createdAt": now(),
    })
}

pub fn like(subject: &(String, String)) -> Value {
    json!({"$type": "fm.plyr.like", "subject": {"uri": subject.0, "cid": subject.1}, "createdAt": now()})
}

pub fn comment(subject: &(String, String), text: &str, timestamp_ms: u64) -> Value {
    json!({
        "$type": "fm.plyr.comment", "subject": {"uri": subject.0, "cid": subject.1}, "text": text,
        "timestampMs": timestamp_ms, "createdAt": now(),
    })
}

pub fn now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// A sine of `seconds` at a pitch of its own: 8 kHz, 16 bits, one channel.
pub fn wav(pitch: u32, seconds: u32) -> Vec<u8> {
    let samples = seconds * 8000;
    let mut bytes = Vec::with_capacity(44 + samples as usize * 2);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + samples * 2).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16u32.to_le_bytes());
    for half in [1u16, 1, 8000, 0, 16000, 0, 2, 16] {
        bytes.extend_from_slice(&half.to_le_bytes());
    }
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&(samples * 2).to_le_bytes());
    for sample in 0..samples {
        let turn = f64::from(sample) * f64::from(200 + pitch) / 8000.0 * std::f64::consts::TAU;
        bytes.extend_from_slice(&((turn.sin() * 8000.0) as i16).to_le_bytes());
    }
    bytes
}
