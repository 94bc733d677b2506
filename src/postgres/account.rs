//! Under which account Postgres runs, and where that account can go.
//!
//! Postgres refuses to run as root. Started by root, plyr gives it an unprivileged account: the one that owns the
//! cluster, else `postgres`, else `nobody`. The latter is what there is on a machine where Postgres came without an
//! account; its cluster is still private to that account and root.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::{Error, doing};

/// Where the data directory moves when the wanted one is closed to Postgres.
const MOVED_TO: &str = "/var/lib/plyr";
/// In a moved data directory: the path that was wanted.
const MOVED_FROM: &str = "moved-from";

/// A user of the system, and the groups it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: libc::uid_t,
    pub(super) gid: libc::gid_t,
    pub(super) groups: Vec<libc::gid_t>,
}

/// Whether we are root, and so must not run Postgres as ourselves.
pub(super) fn is_root() -> bool {
    own_uid() == 0
}

/// Our effective user id.
pub(super) fn own_uid() -> libc::uid_t {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}

impl Account {
    /// The account for the cluster in this directory (which may not exist yet), when we are root.
    pub(super) fn for_cluster(cluster: &Path) -> Result<Self, Error> {
        let owner = cluster.metadata().ok().map(|metadata| metadata.uid()).filter(|&uid| uid != 0);
        let account = match owner {
            Some(uid) => Self::lookup(Key::Uid(uid)),
            None => Self::lookup(Key::Name(c"postgres")).or_else(|| Self::lookup(Key::Name(c"nobody"))),
        };
        let missing =
            || Error::Directory(cluster.to_owned(), "no unprivileged account to run Postgres as".into());
        account.filter(|account| account.uid != 0).ok_or_else(missing)
    }

    fn lookup(key: Key) -> Option<Self> {
        let mut buffer = vec![0; 16 * 1024];
        // SAFETY: passwd is plain data; all zeroes is a valid value to be overwritten.
        let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
        let mut found = std::ptr::null_mut();
        let (at, length) = (buffer.as_mut_ptr(), buffer.len());
        // SAFETY: the pointers are to live locals, and the length is that of the buffer.
        let code = unsafe {
            match key {
                Key::Name(name) => libc::getpwnam_r(name.as_ptr(), &mut entry, at, length, &mut found),
                Key::Uid(uid) => libc::getpwuid_r(uid, &mut entry, at, length, &mut found),
            }
        };
        if code != 0 || found.is_null() {
            return None;
        }
        // SAFETY: on success pw_name points to a string inside the buffer, which is still alive.
        let name = unsafe { CStr::from_ptr(entry.pw_name) };
        let groups = groups(name, entry.pw_gid);
        Some(Account {
            name: name.to_string_lossy().into_owned(),
            uid: entry.pw_uid,
            gid: entry.pw_gid,
            groups,
        })
    }

    /// Whether the mode bits let this account pass through a directory.
    fn can_enter(&self, metadata: &std::fs::Metadata) -> bool {
        let mode = metadata.permissions().mode();
        let bit = match metadata {
            _ if metadata.uid() == self.uid => 0o100,
            _ if metadata.gid() == self.gid || self.groups.contains(&metadata.gid()) => 0o010,
            _ => 0o001,
        };
        mode & bit != 0
    }

    /// The first directory on the way to a path that this account cannot enter. What does not exist yet, we shall make.
    fn first_closed<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        way.into_iter().find(|dir| dir.metadata().is_ok_and(|metadata| !self.can_enter(&metadata)))
    }
}

enum Key {
    Name(&'static CStr),
    Uid(libc::uid_t),
}

/// All groups of a user. Read here because between fork and exec no memory may be allocated.
fn groups(name: &CStr, gid: libc::gid_t) -> Vec<libc::gid_t> {
    let mut groups = vec![0; 256];
    let mut count = groups.len() as libc::c_int;
    let name = CString::from(name);
    // SAFETY: the buffer has room for `count` entries; the name ends in NUL.
    let code = unsafe { libc::getgrouplist(name.as_ptr(), gid, groups.as_mut_ptr(), &mut count) };
    groups.truncate(if code < 0 { 0 } else { count as usize });
    if groups.is_empty() { vec![gid] } else { groups }
}

/// A path without links as far as it exists, whether or not all of it does.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let path = doing(path.display(), std::path::absolute(path))?;
    for ancestor in path.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return Ok(if rest.as_os_str().is_empty() { real } else { real.join(rest) });
        }
    }
    Ok(path)
}

/// The data directory to use where this one is wanted and Postgres is embedded: the same, as an absolute path, unless we
/// are root and the unprivileged account of Postgres cannot enter it. Then it is `/var/lib/plyr`, and the log says so.
/// The answer is the same at every start.
pub fn usable_data_dir(wanted: &Path) -> Result<PathBuf, Error> {
    let wanted = absolute(wanted)?;
    if !is_root() {
        return Ok(wanted);
    }
    let account = Account::for_cluster(&wanted.join("postgres/cluster"))?;
    let Some(closed) = account.first_closed(&wanted) else { return Ok(wanted) };
    let moved = moved(Path::new(MOVED_TO), &wanted)?;
    tracing::warn!(
        wanted = %wanted.display(), used = %moved.display(), closed = %closed.display(), account = account.name,
        "Postgres cannot enter the data directory, as plyr runs as root and Postgres must not: another one is used"
    );
    Ok(moved)
}

/// `base`, or where that already serves another wanted path (or stands by itself), a sibling named after the path.
fn moved(base: &Path, wanted: &Path) -> Result<PathBuf, Error> {
    use std::os::unix::ffi::OsStrExt;
    let sibling = format!("{}-{:08x}", base.display(), fnv(wanted.as_os_str().as_bytes()) as u32);
    for candidate in [base.to_owned(), PathBuf::from(sibling)] {
        let from = std::fs::read(candidate.join(MOVED_FROM)).ok();
        let is_ours = from.as_deref() == Some(wanted.as_os_str().as_bytes());
        let is_empty = std::fs::read_dir(&candidate).map_or(true, |mut entries| entries.next().is_none());
        if !is_ours && !is_empty {
            continue;
        }
        make_dir(&candidate)?;
        doing(
            candidate.display(),
            std::fs::write(candidate.join(MOVED_FROM), wanted.as_os_str().as_bytes()),
        )?;
        return Ok(candidate);
    }
    Err(Error::Directory(
        wanted.to_owned(),
        "Postgres cannot enter it; set PLYR_DATA_DIR to a directory it can".into(),
    ))
}

/// Creates a directory and its parents, open to pass through but not to read: whatever the umask, those we make must let
/// Postgres reach its own.
pub(super) fn make_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_dir(parent)?;
    }
    match std::fs::create_dir(dir) {
        Ok(()) => doing(dir.display(), std::fs::set_permissions(dir, PermissionsExt::from_mode(0o711))),
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(Error::Io(dir.display().to_string(), error)),
    }
}

/// FNV-1a: a name for a path that every build agrees on.
pub(super) fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_directories_are_found_by_their_modes() {
        let dir = tempfile::tempdir().expect("a directory");
        let wanted = dir.path().join("a/b/data");
        std::fs::create_dir_all(wanted.parent().expect("a parent")).expect("created");
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("mode")
        };
        let stranger = Account { name: "x".into(), uid: 4_000_000, gid: 4_000_000, groups: vec![4_000_000] };
        mode(dir.path(), 0o711);
        mode(&dir.path().join("a"), 0o755);
        mode(&dir.path().join("a/b"), 0o755);
        assert_eq!(stranger.first_closed(&wanted), None);
        mode(&dir.path().join("a"), 0o750);
        assert_eq!(stranger.first_closed(&wanted), Some(&*dir.path().join("a")));
        let gid = dir.path().metadata().expect("exists").gid();
        let member = Account { groups: vec![gid], ..stranger };
        assert_eq!(member.first_closed(&wanted), None);
        mode(&dir.path().join("a"), 0o701);
        assert_eq!(
            member.first_closed(&wanted),
            Some(&*dir.path().join("a")),
            "the group's bits decide for members"
        );
    }

    #[test]
    fn each_wanted_directory_moves_to_its_own_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let base = dir.path().join("lib/plyr");
        let first = moved(&base, Path::new("/root/a/data")).expect("moved");
        assert_eq!(first, base);
        let second = moved(&base, Path::new("/root/b/data")).expect("moved");
        assert_ne!(second, first);
        for _ in 0..2 {
            assert_eq!(moved(&base, Path::new("/root/a/data")).expect("moved"), first);
            assert_eq!(moved(&base, Path::new("/root/b/data")).expect("moved"), second);
        }
        std::fs::write(second.join(MOVED_FROM), "/something/else").expect("written");
        assert!(moved(&base, Path::new("/root/b/data")).is_err(), "never into another's directory");
    }

    #[test]
    fn paths_become_absolute_before_they_exist() {
        let dir = tempfile::tempdir().expect("a directory");
        let real = dir.path().canonicalize().expect("exists");
        std::os::unix::fs::symlink(&real, dir.path().join("link")).expect("linked");
        assert_eq!(absolute(&dir.path().join("link/x/y")).expect("absolute"), real.join("x/y"));
        assert_eq!(absolute(&dir.path().join("link")).expect("absolute"), real);
        assert!(absolute(Path::new("data")).expect("absolute").is_absolute());
    }
}
