//! The cluster's files and its postmaster.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, Connection};

use super::account::{self, Account};
use super::install::{self, Install};
use super::{Error, NAME, Options, PORT, connect_options, doing, lock};

/// A socket's path has room for 107 bytes and a NUL; this is what follows its directory.
const SOCKET_DIR_MAX_BYTES: usize = 107 - "/.s.PGSQL.5432".len();
/// How long crash recovery may take.
const RECOVERY_LIMIT: Duration = Duration::from_secs(10 * 60);
/// How long a fast shutdown may take before it becomes an immediate one.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// A log larger than this is put aside at the next start.
const LOG_ROTATE_BYTES: u64 = 16 * 1024 * 1024;
/// How much of the log an error shows.
const TAIL_LINES: usize = 12;

/// Where everything is.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) data_dir: PathBuf,
    root: PathBuf,
    pub(super) socket_dir: PathBuf,
    /// Whom to become; None when we are not root.
    account: Option<Account>,
}

impl Layout {
    /// Creates what must exist before the first lock.
    pub(super) fn create(data_dir: &Path) -> Result<Self, Error> {
        account::make_dir(data_dir)?;
        let data_dir = doing(data_dir.display(), data_dir.canonicalize())?;
        if data_dir.to_str().is_none() {
            return Err(Error::Directory(data_dir, "the path of the data directory must be UTF-8".into()));
        }
        let root = data_dir.join("postgres");
        account::make_dir(&root)?;
        let cluster = root.join("cluster");
        let account = if account::is_root() { Some(Account::for_cluster(&cluster)?) } else { None };
        let owner = account.as_ref().map_or_else(account::own_uid, |account| account.uid);
        if let Ok(metadata) = cluster.metadata()
            && metadata.uid() != owner
        {
            let why = format!("belongs to user {}, and plyr runs as user {owner}", metadata.uid());
            return Err(Error::Directory(cluster, why));
        }
        Ok(Layout { socket_dir: socket_dir(&root, owner), data_dir, root, account })
    }

    pub(super) fn start_lock(&self) -> PathBuf {
        self.root.join("start.lock")
    }

    pub(super) fn users_lock(&self) -> PathBuf {
        self.root.join("users.lock")
    }

    pub(super) fn running_lock(&self) -> PathBuf {
        self.root.join("running.lock")
    }

    pub(super) fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// A directory for the cluster's account alone. One that is already there must be just that: in `/tmp` anybody could
    /// have made it.
    fn private_dir(&self, dir: &Path) -> Result<(), Error> {
        match std::fs::DirBuilder::new().mode(0o700).create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::Io(dir.display().to_string(), error));
            }
            Ok(()) => {
                if let Some(account) = &self.account {
                    doing(
                        dir.display(),
                        std::os::unix::fs::lchown(dir, Some(account.uid), Some(account.gid)),
                    )?;
                }
            }
            Err(_) => {}
        }
        let metadata = doing(dir.display(), dir.symlink_metadata())?;
        let owner = self.account.as_ref().map_or_else(account::own_uid, |account| account.uid);
        if !metadata.is_dir() || metadata.uid() != owner || metadata.permissions().mode() & 0o077 != 0 {
            let why = format!("is not a directory that user {owner} alone may enter: remove it");
            return Err(Error::Directory(dir.to_owned(), why));
        }
        Ok(())
    }
}

/// Inside the data directory where the socket's path fits, else in a short place under a name of its own.
fn socket_dir(root: &Path, owner: u32) -> PathBuf {
    let inside = root.join("socket");
    if inside.as_os_str().len() <= SOCKET_DIR_MAX_BYTES {
        return inside;
    }
    let id = account::fnv(root.as_os_str().as_encoded_bytes());
    // Only root can make names in /run, so there nobody else can be in the way.
    let place = if account::is_root() && Path::new("/run").is_dir() { "/run" } else { "/tmp" };
    Path::new(place).join(format!("plyr-{owner}-{id:016x}"))
}

/// Whether our Postgres lives, down to its last child process.
pub(super) fn is_running(layout: &Layout) -> bool {
    lock::is_held_alone(&layout.running_lock())
}

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

/// Removes what a dead postmaster left behind. Our own cannot be alive here, as its lock is free; but somebody may have
/// started one by hand, and its process id may have been given to any other process since.
fn clear_stale_files(layout: &Layout) -> Result<(), Error> {
    if let Some(pid) = recorded_pid(layout) {
        if is_postmaster_of(layout, pid) {
            return Err(Error::Foreign { pid, dir: layout.cluster() });
        }
        let _ = std::fs::remove_file(layout.cluster().join("postmaster.pid"));
    }
    for name in [".s.PGSQL.5432", ".s.PGSQL.5432.lock"] {
        let _ = std::fs::remove_file(layout.socket_dir.join(name));
    }
    Ok(())
}

/// The first line of `postmaster.pid`.
fn recorded_pid(layout: &Layout) -> Option<i32> {
    let text = std::fs::read_to_string(layout.cluster().join("postmaster.pid")).ok()?;
    text.lines().next()?.trim().parse().ok().filter(|&pid| pid > 1)
}

/// Whether a process is a postmaster of this very directory: that is where a postmaster works, and what its command line
/// names. Where neither can be read, it is not known to be one.
fn is_postmaster_of(layout: &Layout, pid: i32) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
    let works_here = identity(Path::new(&format!("/proc/{pid}/cwd")))
        .is_some_and(|at| identity(&layout.cluster()).is_some_and(|cluster| cluster == at));
    let command_line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut arguments = command_line.split(|&byte| byte == 0);
    let is_postgres = arguments.next().is_some_and(|program| {
        Path::new(&*String::from_utf8_lossy(program))
            .file_name()
            .is_some_and(|name| name == "postgres" || name == "postmaster")
    });
    let cluster = layout.cluster();
    let names_it = arguments.any(|argument| argument == cluster.as_os_str().as_encoded_bytes());
    is_postgres && (works_here || names_it)
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

fn settings(layout: &Layout, options: &Options) -> Vec<String> {
    // In this list a directory may be quoted, so that it can hold any character.
    let socket_dir = layout.socket_dir.to_string_lossy().replace('"', "\"\"");
    let mut settings = vec![
        "listen_addresses=".into(),
        format!("unix_socket_directories=\"{socket_dir}\""),
        "unix_socket_permissions=0700".into(),
        format!("port={PORT}"),
        format!("cluster_name={NAME}"),
        "max_connections=100".into(),
        "shared_buffers=128MB".into(),
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

/// Stops the postmaster: fast, then at once, then by force. Returns when the last of its processes is gone.
pub(super) async fn stop(layout: &Layout, patience: Duration) -> Result<(), Error> {
    for (signal, limit) in [
        (libc::SIGINT, STOP_LIMIT.min(patience)),
        (libc::SIGQUIT, Duration::from_secs(10).min(patience)),
        (libc::SIGKILL, Duration::from_secs(10)),
    ] {
        let began = Instant::now();
        if let Some(pid) = recorded_pid(layout).filter(|&pid| is_postmaster_of(layout, pid)) {
            // SAFETY: kill has no memory preconditions; the process was just seen to be our postmaster.
            unsafe { libc::kill(pid, signal) };
        }
        while began.elapsed() < limit {
            if !is_running(layout) {
                // A directory elsewhere is not left behind; one of ours is there for the next start.
                if !layout.socket_dir.starts_with(&layout.root) {
                    let _ = std::fs::remove_dir(&layout.socket_dir);
                }
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        tracing::warn!(signal, "Postgres has not stopped");
    }
    Err(Error::Locked(layout.running_lock()))
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
