//! Locks on files that end with the process that holds them.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Error, doing};

/// Opens a lock file. Never through a symbolic link, as we may be root in a directory that we share.
pub(super) fn open(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    doing(path.display(), options.open(path))
}

/// Takes the lock alone, waiting for others up to a limit.
pub(super) async fn exclusive(path: &Path, limit: Duration) -> Result<File, Error> {
    let file = open(path)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < limit => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(TryLockError::WouldBlock) => return Err(Error::Locked(path.to_owned())),
            Err(TryLockError::Error(error)) => return Err(Error::Io(path.display().to_string(), error)),
        }
    }
}

/// Takes the lock together with others. Meant for files that are locked alone only for moments, under another lock.
pub(super) fn shared(path: &Path) -> Result<File, Error> {
    let file = open(path)?;
    doing(path.display(), file.lock_shared())?;
    Ok(file)
}

/// Whether any process holds the lock, shared or alone. Only an answer under the lock that guards the change.
pub(super) fn is_held(path: &Path) -> bool {
    open(path).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Whether a process holds the lock alone; does not disturb others who ask the same.
pub(super) fn is_held_alone(path: &Path) -> bool {
    open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}
