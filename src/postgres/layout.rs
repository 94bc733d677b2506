//! Where the cluster's files are, and whose.

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::account::{self, Account};
use super::{Error, doing};

/// A socket's path has room for 107 bytes and a NUL; this is what follows its directory.
const SOCKET_DIR_MAX_BYTES: usize = 107 - "/.s.PGSQL.5432".len();
/// Where everything is.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) data_dir: PathBuf,
    pub(super) root: PathBuf,
    pub(super) socket_dir: PathBuf,
    /// Whom to become; None when we are not root.
    pub(super) account: Option<Account>,
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
    pub(super) fn private_dir(&self, dir: &Path) -> Result<(), Error> {
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
