//! How the cluster comes to be and to run.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, Connection};

use super::install::{self, Install};
use super::layout::Layout;
use super::postmaster::{clear_stale_files, is_running, recorded_pid, stop};
use super::{Error, NAME, Options, PORT, connect_options, doing, lock};

/// How long crash recovery may take.
const RECOVERY_LIMIT: Duration = Duration::from_secs(10 * 60);
/// A log larger than this is put aside at the next start.
const LOG_ROTATE_BYTES: u64 = 16 * 1024 * 1024;
/// How much of the log an error shows.
const TAIL_LINES: usize = 12;

/// Adopts the cluster if it runs, else starts it, creating it if there is none. The caller holds `start.lock`.
pub(super) async fn ensure_running(layout: &Layout, options: &Options) -> Result<(), Error> {
    layout.private_dir(&layout.socket_dir)?;
    if is_running(layout) {
        match wait_ready(layout, options.patience, 0).await {
            Ok(()) => {
                tracing::info!(pid = recorded_pid(layout), "using the Postgres that runs already");
                return Ok(());
            }
            Err(Error::Silent { .. }) => {
                tracing::warn!(
                    pid = recorded_pid(layout),
                    "the Postgres that runs gives no answer: replacing it"
                );
                stop(layout, options.patience).await?;
                layout.private_dir(&layout.socket_dir)?;
            }
            // It ended while we waited; another start is the answer.
            Err(Error::Program { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    clear_stale_files(layout)?;
    let install = installation(layout, options)?;
    if !layout.cluster().exists() {
        create(layout, options, &install).await?;
    }
    let log_start = launch(layout, options, &install).await?;
    wait_ready(layout, options.patience, log_start).await
}

fn installation(layout: &Layout, options: &Options) -> Result<Install, Error> {
    let cluster = layout.cluster();
    if !cluster.exists() {
        return install::find(options, None);
    }
    let made_by = std::fs::read_to_string(cluster.join("PG_VERSION")).map_err(|_| {
        Error::Directory(cluster.clone(), "holds no Postgres cluster: remove it or move it away".into())
    })?;
    install::find(options, Some((&cluster, made_by.trim())))
}

/// Makes a new cluster beside its place and moves it there when it is whole, so that a crash leaves nothing half made.
async fn create(layout: &Layout, options: &Options, install: &Install) -> Result<(), Error> {
    tracing::info!(dir = %layout.cluster().display(), version = install.major, "creating a Postgres cluster");
    let new = layout.root.join("new");
    // C.UTF-8 sorts as bytes do and still knows letters beyond ASCII. Not every C library has it.
    let mut output = String::new();
    for locale in ["C.UTF-8", "C"] {
        if new.symlink_metadata().is_ok() {
            doing(new.display(), std::fs::remove_dir_all(&new))?;
        }
        layout.private_dir(&new)?;
        let mut command = Command::new(install.bin_dir.join("initdb"));
        command.arg("-D").arg(&new).args(["--encoding=UTF8", "--auth-local=trust", "--auth-host=reject"]);
        command.args([format!("--locale={locale}"), format!("--username={NAME}")]);
        command.args(["--data-checksums", "--no-instructions"]);
        if !options.durable {
            command.arg("--no-sync");
        }
        let held = take_running_lock(layout).await?;
        unprivileged(&mut command, layout, &held);
        let run = move || (command.stdin(Stdio::null()).output(), held).0;
        let result = tokio::task::spawn_blocking(run).await;
        let result = doing("initdb", result.map_err(io::Error::other).flatten())?;
        if result.status.success() {
            doing(layout.root.display(), std::fs::rename(&new, layout.cluster()))?;
            // Else a power failure could bring the old name back, under which it would be thrown away.
            return doing(layout.root.display(), File::open(&layout.root).and_then(|root| root.sync_all()));
        }
        let text = [result.stdout, result.stderr].concat();
        output = last_lines(&String::from_utf8_lossy(&text));
        if !output.contains("invalid locale") {
            break;
        }
        tracing::warn!(locale, "initdb does not know the locale");
    }
    Err(Error::Program { program: "initdb", output })
}

/// Starts the postmaster in a session of its own, so that a Ctrl-C meant for us does not reach it. Gives the length of
/// the log before its first line, in bytes.
async fn launch(layout: &Layout, options: &Options, install: &Install) -> Result<u64, Error> {
    let log = layout.log();
    if log.metadata().is_ok_and(|metadata| metadata.len() > LOG_ROTATE_BYTES) {
        let _ = std::fs::rename(&log, log.with_extension("log.1"));
    }
    let output =
        OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(&log);
    let output = doing(log.display(), output)?;
    let errors = doing(log.display(), output.try_clone())?;
    let log_start = doing(log.display(), output.metadata())?.len();
    let mut command = Command::new(install.bin_dir.join("postgres"));
    command.arg("-D").arg(layout.cluster());
    for setting in settings(layout, options) {
        command.arg("-c").arg(setting);
    }
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let held = take_running_lock(layout).await?;
    unprivileged(&mut command, layout, &held);
    let mut child = doing(install.bin_dir.join("postgres").display(), command.spawn())?;
    // Ours is closed now; the postmaster keeps its own, and every process that it makes.
    drop(held);
    tracing::info!(pid = child.id(), version = install.major, log = %log.display(), "started Postgres");
    let reap = move || match child.wait() {
        Ok(status) => tracing::debug!(%status, "Postgres ended"),
        Err(error) => tracing::debug!(%error, "Postgres ended"),
    };
    let thread = std::thread::Builder::new().name("postgres".into()).spawn(reap);
    doing("a thread", thread)?;
    Ok(log_start)
}

/// What Postgres keeps of its tables by itself: an eighth of the machine's memory, within these bounds.
const BUFFERS_MIN_MB: u64 = 128;
const BUFFERS_MAX_MB: u64 = 1024;

fn buffers_mb(memory_mb: u64) -> u64 {
    (memory_mb / 8).clamp(BUFFERS_MIN_MB, BUFFERS_MAX_MB)
}

/// Memory of the machine or of our container, whichever is less; nothing where neither can be read.
fn memory_mb() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    });
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse::<u64>().ok());
    [machine.map(|kb| kb / 1024), container.map(|bytes| bytes >> 20)].into_iter().flatten().min().unwrap_or(0)
}

fn settings(layout: &Layout, options: &Options) -> Vec<String> {
    // In this list a directory may be quoted, so that it can hold any character.
    let socket_dir = layout.socket_dir.to_string_lossy().replace('"', "\"\"");
    let mut settings = vec![
        "listen_addresses=".into(),
        format!("unix_socket_directories=\"{socket_dir}\""),
        "unix_socket_permissions=0700".into(),
        format!("port={PORT}"),
        format!("cluster_name={NAME}"),
        format!("max_connections={}", options.connections_max),
        format!(
            "shared_buffers={}MB",
            if options.durable { buffers_mb(memory_mb()) } else { BUFFERS_MIN_MB }
        ),
        "timezone=UTC".into(),
        "log_timezone=UTC".into(),
        "log_line_prefix=%m [%p] ".into(),
        "log_checkpoints=off".into(),
        "logging_collector=off".into(),
        "log_destination=stderr".into(),
    ];
    if !options.durable {
        settings.extend(["fsync=off", "synchronous_commit=off", "full_page_writes=off"].map(String::from));
    }
    settings
}

/// The lock that the next child inherits. Others only glance at it, so it is free at once or soon.
async fn take_running_lock(layout: &Layout) -> Result<File, Error> {
    lock::exclusive(&layout.running_lock(), Duration::from_secs(10)).await
}

/// Prepares a command to run as the cluster's account, with the lock and without our environment.
fn unprivileged(command: &mut Command, layout: &Layout, held: &File) {
    command.env_clear().env("LC_ALL", "C").current_dir("/");
    let (account, lock) = (layout.account.clone(), held.as_raw_fd());
    let check = |code: libc::c_int| if code == -1 { Err(io::Error::last_os_error()) } else { Ok(()) };
    let become_it = move || {
        // SAFETY: only system calls that are safe after fork, on values made before it. `held` outlives the spawn.
        unsafe {
            check(libc::fcntl(lock, libc::F_SETFD, 0))?;
            check(libc::setsid())?;
            libc::umask(0o077);
            let Some(account) = &account else { return Ok(()) };
            check(libc::setgroups(account.groups.len() as _, account.groups.as_ptr()))?;
            check(libc::setgid(account.gid))?;
            check(libc::setuid(account.uid))
        }
    };
    // SAFETY: the closure neither allocates nor locks.
    unsafe { command.pre_exec(become_it) };
}

/// Waits until connections are accepted. Fails when the postmaster ends, or says nothing at all for `patience`.
/// `log_start` is where its messages begin in the log.
async fn wait_ready(layout: &Layout, patience: Duration, log_start: u64) -> Result<(), Error> {
    let (began, mut heard_at) = (Instant::now(), Instant::now());
    let mut pause = Duration::from_millis(10);
    loop {
        match tokio::time::timeout(Duration::from_secs(2), connect_options(layout, "postgres").connect())
            .await
        {
            Ok(Ok(connection)) => {
                let _ = connection.close().await;
                return Ok(());
            }
            Ok(Err(sqlx::Error::Database(error))) => match error.code().as_deref() {
                // Starting up, in recovery, shutting down; too many connections: it lives.
                Some("57P03" | "53300") => heard_at = Instant::now(),
                _ => return Err(sqlx::Error::Database(error).into()),
            },
            _ => {}
        }
        if !is_running(layout) {
            return Err(Error::Program { program: "postgres", output: log_tail(layout, log_start) });
        }
        if heard_at.elapsed() > patience || began.elapsed() > RECOVERY_LIMIT {
            return Err(Error::Silent { log: layout.log(), tail: log_tail(layout, log_start) });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(500));
    }
}

/// The end of the log, of what was written since it had `start_bytes`.
fn log_tail(layout: &Layout, start_bytes: u64) -> String {
    let mut text = Vec::new();
    let read = File::open(layout.log()).and_then(|mut log| {
        let end = log.seek(SeekFrom::End(0))?;
        log.seek(SeekFrom::Start(start_bytes.max(end.saturating_sub(16 * 1024))))?;
        log.read_to_end(&mut text)
    });
    match read {
        Ok(_) => last_lines(&String::from_utf8_lossy(&text)),
        Err(error) => format!("({}: {error})", layout.log().display()),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}
