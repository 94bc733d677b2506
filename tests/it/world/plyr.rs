//! The binary under test, as an operator runs it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::network::Network;
use super::postgres::{Database, data_dir};
use super::{eventually, pds};

/// A running plyr.
pub struct Plyr {
    pub url: String,
    /// Where its pages believe to be.
    pub public_url: String,
    pub metrics_url: String,
    pub db: Database,
    pub data: Arc<tempfile::TempDir>,
    settings: Vec<(String, String)>,
    word: &'static str,
    child: Option<Child>,
    http: reqwest::Client,
}

/// A port that is free now.
pub fn free_port() -> u16 {
    // None twice, and none that a connection to somewhere could have taken before it is used: those begin at 32768.
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let began = std::process::id().wrapping_mul(97);
    loop {
        let number = began.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + (number % 12_000) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// The binary, with nothing in its environment but what a shell needs, and what is planted.
pub fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plyr"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.envs(std::env::var_os(SABOTAGE).map(|planted| (SABOTAGE, planted)));
    command
}

/// Names planted bugs, for the binary as for the tests.
const SABOTAGE: &str = "PLYR_SABOTAGE";

/// SIGTERM, by a shell: a small system has no other `kill`.
pub fn terminate(pid: u32) {
    let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {pid}")).status();
    assert!(sent.expect("a shell").success());
}

/// The last of a name counts.
fn setting<'a>(settings: &'a [(String, String)], name: &str) -> Option<&'a str> {
    settings.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

impl Plyr {
    /// `plyr up` on a network, with a database of its own, ready to answer.
    pub async fn up(network: &Network) -> Plyr {
        Plyr::up_with(network, &[]).await
    }

    /// The same with further settings.
    pub async fn up_with(network: &Network, extra: &[(&str, &str)]) -> Plyr {
        let loopback = format!("127.0.0.1:{}", network.pds_port);
        let settings = [
            ("PLYR_PLC_URL", network.plc.clone()),
            ("PLYR_UPSTREAMS", network.upstream()),
            ("PLYR_PRIVATE_HOSTS", format!("localhost:{},{loopback}", network.pds_port)),
            ("PLYR_HANDLE_RESOLVER_URL", format!("http://{loopback}")),
        ];
        let extra = extra.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let settings: Vec<_> = settings.into_iter().chain(extra).collect();
        let mut plyr = Plyr::stopped(Database::create().await, &settings);
        plyr.start().await;
        plyr
    }

    /// A plyr that does not run yet, over a database, with all that it must be told of a network.
    pub fn stopped(db: Database, extra: &[(&str, String)]) -> Plyr {
        let (port, metrics_port, data) = (free_port(), free_port(), data_dir());
        let settings = [
            ("DATABASE_URL", db.url.clone()),
            ("PLYR_DATA_DIR", data.path().display().to_string()),
            ("PLYR_LISTEN", format!("127.0.0.1:{port}")),
            ("PLYR_METRICS_LISTEN", format!("127.0.0.1:{metrics_port}")),
            ("PLYR_LOG", "info".to_owned()),
            // All the people of a test call from one address.
            ("PLYR_RATE_AUTH", "100000/minute".to_owned()),
            // How full the disk is that tests run on is not their subject.
            ("PLYR_FREE_MIN_MB", "16".to_owned()),
        ];
        let settings = settings.into_iter().chain(extra.iter().cloned());
        let settings: Vec<_> = settings.map(|(name, value)| (name.to_owned(), value)).collect();
        let url = format!("http://127.0.0.1:{port}");
        let metrics_url = format!("http://127.0.0.1:{metrics_port}");
        let (data, http) = (Arc::new(data), pds::http());
        let public_url = setting(&settings, "PLYR_PUBLIC_URL").unwrap_or(&url).to_owned();
        Plyr { url, public_url, metrics_url, db, data, settings, word: "up", child: None, http }
    }

    /// A second process over the same database and with the same keys, that answers and works but reads no stream.
    pub async fn twin(&self) -> Plyr {
        let (listen, metrics) = (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
        let (url, metrics_url) = (format!("http://{listen}"), format!("http://{metrics}"));
        let mut settings = self.settings.clone();
        let own = [("LISTEN", listen), ("METRICS_LISTEN", metrics), ("PUBLIC_URL", self.public_url.clone())];
        settings.extend(own.map(|(name, value)| (format!("PLYR_{name}"), value)));
        let db = Database { url: self.db.url.clone(), pool: self.db.pool.clone() };
        let (data, http) = (self.data.clone(), pds::http());
        let (public_url, word) = (self.public_url.clone(), "serve");
        let mut plyr = Plyr { url, public_url, metrics_url, db, data, settings, word, child: None, http };
        plyr.start().await;
        plyr
    }

    /// A command of this plyr: same settings, another word.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary();
        command.args(arguments).envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Another setting, from the next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it without waiting.
    pub fn spawn(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.log()).expect("a log");
        let errors = log.try_clone().expect("a log");
        let child = self
            .command(&[self.word])
            .stdout(log)
            .stderr(errors)
            .stdin(Stdio::null())
            .spawn()
            .expect("plyr runs");
        self.child = Some(child);
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) {
        self.start_or_end().await;
        if let Some(status) = self.ended() {
            panic!("plyr ended with {status}:\n{}", self.read_log());
        }
    }

    /// Starts it and waits until it is ready, or has ended.
    pub async fn start_or_end(&mut self) {
        self.spawn();
        let url = format!("{}/health/ready", self.url);
        let http = self.http.clone();
        let child = self.child.as_mut().expect("it was spawned");
        eventually("plyr to be ready", || {
            let ended = child.try_wait().expect("a child").is_some();
            let (http, url) = (http.clone(), url.clone());
            async move {
                match http.get(&url).send().await {
                    _ if ended => Ok(()),
                    Ok(response) if response.status().is_success() => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            }
        })
        .await;
    }

    /// How it ended, if it did by itself.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        let ended = self.child.as_mut()?.try_wait().expect("a child");
        self.child.take_if(|_| ended.is_some());
        ended
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub fn log(&self) -> PathBuf {
        self.data.path().join(format!("{}.log", self.word))
    }

    pub fn read_log(&self) -> String {
        std::fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// SIGKILL: it has no moment to tidy up.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it lived");
            child.wait().expect("it ended");
        }
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("it runs");
        terminate(child.id());
        tokio::task::spawn_blocking(move || child.wait().expect("it ends")).await.expect("it ends")
    }

    /// How other services call it.
    pub fn did(&self) -> String {
        self.public_url.replace("http://127.0.0.1:", "did:web:localhost%3A")
    }

    /// A client without cookies.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.http.get(format!("{}{path}", self.url)).send().await.expect("plyr answers")
    }

    /// Calls a query; the answer's status and JSON. A good answer is held against the method's lexicon.
    pub async fn xrpc(&self, method: &str, query: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}/xrpc/{method}", self.url);
        let response = self.http.get(url).query(query).send().await.expect("plyr answers");
        let status = response.status().as_u16();
        let body: Value = response.json().await.expect("JSON");
        if status == 200 {
            indexer::lexicon::check_output(method, &body)
                .unwrap_or_else(|why| panic!("{method}: {why}: {body}"));
        }
        (status, body)
    }

    /// The same, expected to be good.
    pub async fn query(&self, method: &str, query: &[(&str, &str)]) -> Value {
        let (status, body) = self.xrpc(method, query).await;
        assert_eq!(status, 200, "{method} {query:?}: {body}");
        body
    }

    /// The view of one track, none while it is not shown.
    pub async fn track(&self, uri: &str) -> Option<Value> {
        let mut body = self.query("fm.plyr.feed.getTracks", &[("uris", uri)]).await;
        body["tracks"].as_array_mut().and_then(|tracks| tracks.pop())
    }

    /// The number by which the HTTP API knows a track.
    pub async fn track_id(&self, uri: &str) -> i64 {
        let track = self.track(uri).await.unwrap_or_else(|| panic!("{uri} is not shown"));
        track["id"].as_i64().unwrap_or_else(|| panic!("no id: {track}"))
    }

    /// (likes, comments, plays) of a track.
    pub async fn counts(&self, uri: &str) -> Option<[i64; 3]> {
        let track = self.track(uri).await?;
        Some(["likeCount", "commentCount", "playCount"].map(|key| track[key].as_i64().expect("a number")))
    }

    /// Waits for (likes, comments, plays) of a track.
    pub async fn await_counts(&self, uri: &str, wanted: Option<[i64; 3]>) {
        eventually(&format!("the counts of {uri}"), || async { super::same(self.counts(uri).await, wanted) })
            .await;
    }

    /// Waits until no job is waiting or running.
    pub async fn await_quiet(&self) {
        eventually("no job to be waiting", || async {
            super::same(self.db.number("select count(*) from job where state <> 'dead'").await, 0)
        })
        .await;
    }
}

impl Drop for Plyr {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.read_log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("--- the last of plyr's log");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}
