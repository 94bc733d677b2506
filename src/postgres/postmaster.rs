//! The running server as a process: is it there, is it ours, and how it is stopped.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::layout::Layout;
use super::{Error, lock};

/// How long a fast shutdown may take before it becomes an immediate one.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Whether our Postgres lives, down to its last child process.
pub(super) fn is_running(layout: &Layout) -> bool {
    lock::is_held_alone(&layout.running_lock())
}

/// Removes what a dead postmaster left behind. Our own cannot be alive here, as its lock is free; but somebody may have
/// started one by hand, and its process id may have been given to any other process since.
pub(super) fn clear_stale_files(layout: &Layout) -> Result<(), Error> {
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
pub(super) fn recorded_pid(layout: &Layout) -> Option<i32> {
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
