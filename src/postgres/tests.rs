//! Against a real Postgres. Those who cannot tell apart a crash from a clean end would lose data or leave processes.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use super::*;

/// Names the data directory for [`owner_process`].
const DATA_DIR: &str = "PLYR_TEST_DATA_DIR";

/// A directory that any account may pass through.
fn open_dir() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o711)).expect("mode");
    dir
}

fn options(dir: &Path) -> Options {
    let search_path = std::env::var_os("PATH");
    Options { durable: false, search_path, patience: Duration::from_secs(30), ..Options::new(dir) }
}

async fn scalar(server: &Server, sql: &'static str) -> String {
    let mut connection = server.connect_options().connect().await.expect("a connection");
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.expect(sql)
}

async fn execute(server: &Server, sql: &'static str) {
    let mut connection = server.connect_options().connect().await.expect("a connection");
    sqlx::query(sql).execute(&mut connection).await.expect(sql);
}

fn pid(data_dir: &Path) -> Option<i32> {
    let text = std::fs::read_to_string(data_dir.join("postgres/cluster/postmaster.pid")).ok()?;
    text.lines().next()?.parse().ok()
}

fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn signal(pid: i32, signal: i32) {
    // SAFETY: kill has no memory preconditions; the process is one that the test started.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
}

#[tokio::test]
async fn a_first_start_creates_and_a_second_finds_the_same_data() {
    let dir = open_dir();
    let server = start(&options(dir.path())).await.expect("started");
    assert_eq!(scalar(&server, "select similarity('abc', 'abc')::text").await, "1");
    assert_eq!(scalar(&server, "select current_setting('listen_addresses')").await, "");
    let settings = "select concat_ws(' ', datcollate, datctype, pg_encoding_to_char(encoding)) from pg_database \
                    where datname = current_database()";
    assert_eq!(scalar(&server, settings).await, "C.UTF-8 C.UTF-8 UTF8");
    assert_eq!(scalar(&server, "select upper('äöü')").await, "ÄÖÜ");
    execute(&server, "create table kept as select 'yes' as answer").await;
    let by_url = PgConnection::connect(&server.url()).await.expect("the URL connects");
    by_url.close().await.expect("closed");
    let first = pid(dir.path()).expect("running");
    let uid = std::fs::read_to_string(format!("/proc/{first}/status")).expect("readable");
    assert!(!uid.lines().any(|line| line.starts_with("Uid:\t0\t")), "never root");
    // A connection left open does not hold up the stop.
    let _idle = server.connect_options().connect().await.expect("a connection");
    let began = Instant::now();
    server.stop().await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert!(!is_alive(first) && pid(dir.path()).is_none());

    let server = start(&options(dir.path())).await.expect("started again");
    assert_eq!(scalar(&server, "select answer from kept").await, "yes");
    server.stop().await;
}

#[tokio::test]
async fn two_users_share_it_and_the_last_one_stops_it() {
    let dir = open_dir();
    let options = options(dir.path());
    let (first, second) = tokio::join!(start(&options), start(&options));
    let (first, second) = (first.expect("started"), second.expect("joined"));
    let postmaster = pid(dir.path()).expect("running");
    assert_eq!(scalar(&first, "select 1::text").await, "1");
    first.stop().await;
    assert!(is_alive(postmaster), "the starter leaves, the other one stays");
    assert_eq!(scalar(&second, "select 1::text").await, "1");
    let third = start(&options).await.expect("joined");
    assert_eq!(pid(dir.path()), Some(postmaster));
    second.stop().await;
    third.stop().await;
    assert!(!is_alive(postmaster));
}

/// The process that other tests kill; without a directory to own, it has nothing to do.
#[test]
fn owner_process() {
    let Some(data_dir) = std::env::var_os(DATA_DIR) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let server = start(&options(Path::new(&data_dir))).await.expect("started");
        println!("ready");
        std::future::pending::<()>().await;
        server.stop().await;
    });
}

fn spawn_owner(data_dir: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", "postgres::tests::owner_process", "--nocapture"]);
    command.env(DATA_DIR, data_dir).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.process_group(0).spawn().expect("spawned")
}

fn wait_until_ready(child: &mut Child) {
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("ready")), "the owner did not start");
}

fn kill(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("reaped");
}

#[tokio::test]
async fn the_orphan_of_a_killed_process_is_adopted() {
    let dir = open_dir();
    let mut owner = spawn_owner(dir.path());
    wait_until_ready(&mut owner);
    let second = start(&options(dir.path())).await.expect("joined across processes");
    let orphan = pid(dir.path()).expect("running");
    execute(&second, "create table kept as select 'yes' as answer").await;
    drop(second);
    kill(owner);
    assert!(is_alive(orphan));
    let server = start(&options(dir.path())).await.expect("adopted");
    assert_eq!(pid(dir.path()), Some(orphan));
    assert_eq!(scalar(&server, "select answer from kept").await, "yes");
    server.stop().await;
    assert!(!is_alive(orphan), "the adopter stops it");
}

#[tokio::test]
async fn a_process_killed_while_starting_leaves_nothing_half_made() {
    let dir = open_dir();
    // Close together where a start usually creates the database and its extension.
    for wait_ms in [20, 60, 120, 250, 400, 500, 550, 600, 650, 700, 750, 800, 900, 1000] {
        let owner = spawn_owner(dir.path());
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        kill(owner);
    }
    let server = start(&options(dir.path())).await.expect("started");
    assert_eq!(scalar(&server, "select similarity('abc', 'abc')::text").await, "1");
    server.stop().await;
    assert!(!postmaster::is_running(&Layout::create(dir.path()).expect("a layout")));
}

#[tokio::test]
async fn an_orphan_without_an_answer_is_replaced() {
    let dir = open_dir();
    let options = Options { patience: Duration::from_secs(3), ..options(dir.path()) };
    let server = start(&options).await.expect("started");
    execute(&server, "create table kept as select 'yes' as answer").await;
    drop(server);
    let silent = pid(dir.path()).expect("running");
    signal(silent, libc::SIGSTOP);
    let server = start(&options).await.expect("replaced");
    assert_ne!(pid(dir.path()), Some(silent));
    assert!(!is_alive(silent));
    assert_eq!(scalar(&server, "select answer from kept").await, "yes");
    server.stop().await;
}

#[tokio::test]
async fn it_is_started_again_when_it_dies() {
    let dir = open_dir();
    let server = start(&options(dir.path())).await.expect("started");
    let first = pid(dir.path()).expect("running");
    signal(first, libc::SIGKILL);
    let began = Instant::now();
    loop {
        let alive = server.connect_options().connect().await.is_ok();
        if alive && pid(dir.path()).is_some_and(|now| now != first) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "not started again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop().await;
}

/// A cluster that has nothing to do with us, under the same account and with the same installation.
async fn foreign(dir: &Path) -> (Server, i32) {
    let server = start(&options(dir)).await.expect("started");
    (server, pid(dir).expect("running"))
}

#[tokio::test]
async fn other_clusters_are_never_touched() {
    let (dir, other) = (open_dir(), open_dir());
    let (foreign, foreign_pid) = foreign(other.path()).await;
    let server = start(&options(dir.path())).await.expect("started");
    let own = pid(dir.path()).expect("running");
    drop(server);
    signal(own, libc::SIGKILL);
    let layout = Layout::create(dir.path()).expect("a layout");
    while postmaster::is_running(&layout) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The number of our dead postmaster now belongs to the other one.
    let pid_file = dir.path().join("postgres/cluster/postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).expect("left behind");
    std::fs::write(&pid_file, text.replacen(&own.to_string(), &foreign_pid.to_string(), 1)).expect("written");
    let server = start(&options(dir.path())).await.expect("started in spite of it");
    assert_ne!(pid(dir.path()), Some(foreign_pid));
    // Not even when that number appears while ours runs: a stop finds nobody to signal.
    let own = pid(dir.path()).expect("running");
    let text = std::fs::read_to_string(&pid_file).expect("there");
    std::fs::write(&pid_file, text.replacen(&own.to_string(), &foreign_pid.to_string(), 1)).expect("written");
    let brief = Duration::from_millis(100);
    assert!(
        tokio::time::timeout(Duration::from_secs(20), postmaster::stop(&layout, brief))
            .await
            .is_ok_and(|r| r.is_err())
    );
    assert!(is_alive(foreign_pid) && is_alive(own));
    std::fs::write(&pid_file, text).expect("written");
    server.stop().await;
    assert!(!is_alive(own) && is_alive(foreign_pid));
    assert_eq!(scalar(&foreign, "select 1::text").await, "1");
    foreign.stop().await;
}

#[tokio::test]
async fn a_postmaster_started_by_hand_on_our_cluster_is_left_alone() {
    let dir = open_dir();
    let server = start(&options(dir.path())).await.expect("started");
    let program =
        std::fs::read_link(format!("/proc/{}/exe", pid(dir.path()).expect("running"))).expect("readable");
    server.stop().await;
    let layout = Layout::create(dir.path()).expect("a layout");
    // Postgres ends at once where it has no socket to listen on.
    let sockets = dir.path().join("by-hand");
    std::fs::create_dir(&sockets).expect("created");
    let mut command = Command::new(program);
    command.arg("-D").arg(layout.cluster()).args(["-c", "listen_addresses=", "-k"]).arg(&sockets);
    if account::is_root() {
        let account = account::Account::for_cluster(&layout.cluster()).expect("an account");
        std::os::unix::fs::chown(&sockets, Some(account.uid), Some(account.gid)).expect("given");
        command.uid(account.uid).gid(account.gid);
    }
    let mut by_hand = command.current_dir("/").stdout(Stdio::null()).spawn().expect("spawned");
    let by_hand_pid = by_hand.id() as i32;
    // Its socket is the last thing that it makes.
    while !sockets.join(".s.PGSQL.5432").exists() {
        assert!(is_alive(by_hand_pid), "it ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(pid(dir.path()), Some(by_hand_pid));
    let error = start(&options(dir.path())).await.expect_err("not ours");
    assert!(matches!(error, Error::Foreign { pid, .. } if pid == by_hand_pid), "{error}");
    assert!(is_alive(by_hand_pid));
    signal(by_hand_pid, libc::SIGINT);
    by_hand.wait().expect("reaped");
    start(&options(dir.path())).await.expect("started").stop().await;
}

#[tokio::test]
async fn long_and_odd_paths_work() {
    let dir = open_dir();
    let long = dir.path().join("x".repeat(120));
    let odd = dir.path().join("a b,\"c'%20ä");
    for data_dir in [long, odd] {
        let server = start(&options(&data_dir)).await.expect("started");
        assert_eq!(scalar(&server, "select 1::text").await, "1");
        PgConnection::connect(&server.url()).await.expect("the URL connects").close().await.expect("closed");
        let socket_dir = server.layout.socket_dir.clone();
        // How long the path of the odd one is, depends on where temporary directories are.
        let is_elsewhere = !socket_dir.starts_with(dir.path());
        assert!(is_elsewhere || data_dir.as_os_str().len() < 100, "{}", socket_dir.display());
        assert!(!is_elsewhere || data_dir.as_os_str().len() > 70, "{}", socket_dir.display());
        let mode = socket_dir.metadata().expect("exists").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
        server.stop().await;
        assert_eq!(socket_dir.exists(), !is_elsewhere);
    }
}

#[tokio::test]
async fn a_machine_without_the_locale_gets_the_plain_one() {
    let dir = open_dir();
    let install = install::find(&options(dir.path()), None).expect("installed");
    let bin_dir = dir.path().join("bin");
    // The real programs, but for one locale that this C library is said not to have.
    let missing =
        "case \"$*\" in *--locale=C.UTF-8*) echo 'initdb: error: invalid locale name' >&2; exit 1;; esac";
    for program in ["postgres", "initdb"] {
        let real = install.bin_dir.join(program);
        let script = format!("#!/bin/sh\n{missing}\nexec '{}' \"$@\"\n", real.display());
        let write =
            "mkdir -p \"$1\" && chmod 755 \"$1\" && printf %s \"$3\" > \"$1/$2\" && chmod 755 \"$1/$2\"";
        let status =
            Command::new("sh").args(["-c", write, "sh"]).arg(&bin_dir).arg(program).arg(script).status();
        assert!(status.expect("a shell").success());
    }
    let options = Options { bin_dir: Some(bin_dir), ..options(dir.path()) };
    let server = start(&options).await.expect("started");
    let settings = "select concat_ws(' ', datcollate, pg_encoding_to_char(encoding)) from pg_database \
                    where datname = current_database()";
    assert_eq!(scalar(&server, settings).await, "C UTF8");
    server.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let dir = open_dir();
    start(&options(dir.path())).await.expect("started").stop().await;
    let cluster = dir.path().join("postgres/cluster");
    let version = std::fs::read_to_string(cluster.join("PG_VERSION")).expect("readable");

    std::fs::write(cluster.join("PG_VERSION"), "14\n").expect("written");
    let error = start(&options(dir.path())).await.expect_err("made by another version").to_string();
    assert!(error.contains("made by Postgres 14") && error.contains("postgresql-14"), "{error}");
    std::fs::write(cluster.join("PG_VERSION"), &version).expect("written");

    let config = cluster.join("postgresql.auto.conf");
    std::fs::write(&config, "no_such_setting = 1\n").expect("written");
    let error = start(&options(dir.path())).await.expect_err("a broken configuration").to_string();
    assert!(error.contains("no_such_setting"), "the log's last lines: {error}");
    std::fs::write(&config, "").expect("written");

    let socket = dir.path().join("postgres/socket");
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o755)).expect("mode");
    let error = start(&options(dir.path())).await.expect_err("open to others").to_string();
    assert!(error.contains("remove it"), "{error}");
    std::fs::remove_dir_all(&socket).expect("removed");
    start(&options(dir.path())).await.expect("mended").stop().await;
}
