//! Where the bytes of blobs lie: a folder of files named after their SHA-256.
//!
//! New bytes are written under `staging/` and moved to `blobs/aa/bb/<digest>` once they are proven to be what
//! they should be, so a reader never meets half a file and a discarded download can never be somebody's
//! published bytes.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;

/// The local store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct BlobStore {
    root: PathBuf,
}

/// Where a blob lies, relative to the root. Made from a digest, or read back from `blob.storage_key` and
/// checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageKey(String);

/// Text that cannot be a key: it could lead out of the store, or into its staging area.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not a storage key: {0:?}")]
pub struct StorageKeyError(String);

/// Why bytes were not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// They are other bytes than were asked for.
    #[error("the bytes hash to {found}, not to {expected}")]
    Mismatch {
        /// Hex of the SHA-256 that was asked for.
        expected: String,
        /// Hex of the SHA-256 of what came.
        found: String,
    },
    /// The disk did not take them.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl StorageKey {
    /// The digest that it was made of; none for a name that no digest gives.
    pub fn digest(&self) -> Option<[u8; 32]> {
        let digest = hex::decode(self.0.rsplit('/').next()?).ok()?.try_into().ok()?;
        (StorageKey::of_digest(&digest) == *self).then_some(digest)
    }

    /// The one place where keys are made.
    pub fn of_digest(sha256: &[u8; 32]) -> Self {
        let name = hex::encode(sha256);
        StorageKey(format!("blobs/{}/{}/{name}", &name[..2], &name[2..4]))
    }

    /// The key as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for StorageKey {
    type Err = StorageKeyError;
    fn from_str(text: &str) -> Result<Self, StorageKeyError> {
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let lawful = text.len() <= 256 && text.starts_with("blobs/") && text.split('/').all(plain);
        if lawful { Ok(StorageKey(text.to_owned())) } else { Err(StorageKeyError(text.to_owned())) }
    }
}

impl BlobStore {
    /// The store under `root`, which is made when the first bytes come.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        BlobStore { root: root.into() }
    }

    /// A file that stands, and its length in bytes.
    pub async fn open(&self, key: &StorageKey) -> io::Result<(File, u64)> {
        let file = File::open(self.root.join(key.as_str())).await?;
        let metadata = file.metadata().await?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a file"));
        }
        Ok((file, metadata.len()))
    }

    /// Where a file lies, for those who read it by themselves.
    pub fn path(&self, key: &StorageKey) -> PathBuf {
        self.root.join(key.as_str())
    }

    /// Bytes that the store's file system still has for us.
    pub async fn free_bytes(&self) -> io::Result<u64> {
        let root = self.root.clone();
        let asked = tokio::task::spawn_blocking(move || {
            // Before the first bytes come, only the folder above it is there.
            let standing = root.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
            let found = rustix::fs::statvfs(standing)?;
            Ok(found.f_bavail.saturating_mul(found.f_frsize))
        });
        asked.await.map_err(io::Error::other)?
    }

    /// Removes a file. One that is gone already is removed.
    pub async fn remove(&self, key: &StorageKey) -> io::Result<()> {
        match fs::remove_file(self.path(key)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Files untouched for `age` whose digests begin with this byte. All 256 make the whole store.
    pub async fn keys(&self, first_byte: u8, age: Duration) -> io::Result<Vec<StorageKey>> {
        let mut keys = Vec::new();
        let name = format!("blobs/{first_byte:02x}");
        let Some(mut folders) = entries(&self.root.join(&name)).await? else { return Ok(keys) };
        while let Some(folder) = folders.next_entry().await? {
            let Some(mut files) = entries(&folder.path()).await? else { continue };
            while let Some(file) = files.next_entry().await? {
                let text = format!(
                    "{name}/{}/{}",
                    folder.file_name().to_string_lossy(),
                    file.file_name().to_string_lossy()
                );
                if let (Ok(key), true) = (text.parse(), is_old(&file, age).await) {
                    keys.push(key);
                }
            }
        }
        Ok(keys)
    }

    /// An empty file to write to, gone again when dropped unpublished.
    pub async fn staging(&self) -> io::Result<StagingFile> {
        let folder = self.staging_folder();
        fs::create_dir_all(&folder).await?;
        let path = folder.join(format!("{:032x}", rand::random::<u128>()));
        let file = fs::OpenOptions::new().write(true).create_new(true).open(&path).await?;
        let path = Some(path);
        Ok(StagingFile { root: self.root.clone(), path, file, hash: Sha256::new(), size_bytes: 0 })
    }

    /// Removes what crashes left behind: staging files untouched for `age`. Returns how many.
    pub async fn sweep_staging(&self, age: Duration) -> io::Result<usize> {
        let Some(mut entries) = entries(&self.staging_folder()).await? else { return Ok(0) };
        let mut removed = 0;
        while let Some(entry) = entries.next_entry().await? {
            // Another process may have published it between the two calls.
            if is_old(&entry, age).await && fs::remove_file(entry.path()).await.is_ok() {
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn staging_folder(&self) -> PathBuf {
        self.root.join("staging")
    }
}

/// What a folder holds; nothing where there is no such folder.
async fn entries(folder: &Path) -> io::Result<Option<fs::ReadDir>> {
    match fs::read_dir(folder).await {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(None)
        }
        entries => entries.map(Some),
    }
}

async fn is_old(entry: &fs::DirEntry, age: Duration) -> bool {
    let modified = entry.metadata().await.and_then(|metadata| metadata.modified());
    modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|idle| idle > age))
}

/// Bytes on their way in, hashed as they are written.
#[derive(Debug)]
pub struct StagingFile {
    root: PathBuf,
    path: Option<PathBuf>,
    file: File,
    hash: Sha256,
    size_bytes: u64,
}

impl StagingFile {
    /// Appends. The caller limits the sum.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await?;
        self.hash.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Bytes written so far.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// SHA-256 of the bytes written so far.
    pub fn digest(&self) -> [u8; 32] {
        self.hash.clone().finalize().into()
    }

    /// Where the bytes lie until they are published, for a look inside. Write no more after
    /// [`StagingFile::flush`].
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Makes what was written readable at [`StagingFile::path`].
    pub async fn flush(&mut self) -> io::Result<()> {
        self.file.flush().await
    }

    /// Waits until the disk has all of it, so that [`StagingFile::publish`] is quick.
    pub async fn sync(&mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await
    }

    /// Moves the bytes to where they are served from, if they are the ones that hash to `sha256`. Durable on
    /// return, so that a row naming the key may be committed next. The same bytes published twice are one
    /// file.
    pub async fn publish(mut self, sha256: &[u8; 32]) -> Result<StorageKey, PublishError> {
        let found = self.digest();
        if found != *sha256 {
            return Err(PublishError::Mismatch { expected: hex::encode(sha256), found: hex::encode(found) });
        }
        self.file.flush().await?;
        self.file.sync_all().await?;
        let key = StorageKey::of_digest(sha256);
        let target = self.root.join(key.as_str());
        let folder = target.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&folder).await?;
        if let Some(path) = self.path.as_deref() {
            fs::rename(path, &target).await?;
            self.path = None;
        }
        // A rename is durable once its folder is, and a new folder once the one above it is.
        for folder in folder.ancestors().take_while(|folder| folder.starts_with(&self.root)) {
            File::open(folder).await?.sync_all().await?;
        }
        Ok(key)
    }
}

impl Drop for StagingFile {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder).map_or(0, |entries| entries.count())
    }

    /// As if nobody had touched it for two minutes.
    fn age(path: &Path) {
        let file = std::fs::File::options().write(true).open(path).expect("a file");
        file.set_modified(SystemTime::now() - Duration::from_secs(120)).expect("its time");
    }

    #[tokio::test]
    async fn free_space_is_known_before_the_first_bytes() {
        let root = tempfile::tempdir().expect("a folder");
        let store = BlobStore::new(root.path().join("not/yet"));
        assert!(store.free_bytes().await.expect("a number") > 0);
    }

    #[tokio::test]
    async fn bytes_stand_once_they_are_proven() {
        let root = tempfile::tempdir().expect("a folder");
        let store = BlobStore::new(root.path());
        let digest: [u8; 32] = Sha256::digest(b"some sound").into();
        for _ in 0..2 {
            let mut file = store.staging().await.expect("a staging file");
            file.write(b"some ").await.expect("written");
            file.write(b"sound").await.expect("written");
            assert_eq!((file.size_bytes(), file.digest()), (10, digest));
            let key = file.publish(&digest).await.expect("published");
            assert_eq!(key, key.as_str().parse().expect("a key"));
            let (mut file, size_bytes) = store.open(&key).await.expect("there");
            let mut text = String::new();
            file.read_to_string(&mut text).await.expect("read");
            assert_eq!((text.as_str(), size_bytes), ("some sound", 10));
        }
        assert_eq!(files(&root.path().join("staging")), 0);
    }

    #[tokio::test]
    async fn other_bytes_are_not_published() {
        let root = tempfile::tempdir().expect("a folder");
        let store = BlobStore::new(root.path());
        let mut file = store.staging().await.expect("a staging file");
        file.write(b"noise").await.expect("written");
        assert!(matches!(file.publish(&[7; 32]).await, Err(PublishError::Mismatch { .. })));
        assert_eq!(files(&root.path().join("staging")), 0);
        assert!(!root.path().join("blobs").exists());
    }

    #[tokio::test]
    async fn only_old_leftovers_are_swept() {
        let root = tempfile::tempdir().expect("a folder");
        let store = BlobStore::new(root.path());
        assert_eq!(store.sweep_staging(Duration::ZERO).await.expect("swept"), 0);
        std::fs::create_dir_all(root.path().join("staging")).expect("made");
        std::fs::write(root.path().join("staging/left"), b"x").expect("written");
        assert_eq!(store.sweep_staging(Duration::from_secs(60)).await.expect("swept"), 0);
        age(&root.path().join("staging/left"));
        assert_eq!(store.sweep_staging(Duration::from_secs(60)).await.expect("swept"), 1);
    }

    #[tokio::test]
    async fn a_store_can_be_walked() {
        let root = tempfile::tempdir().expect("a folder");
        let store = BlobStore::new(root.path());
        assert!(store.keys(7, Duration::ZERO).await.expect("walked").is_empty());
        let digest: [u8; 32] = Sha256::digest(b"x").into();
        let mut file = store.staging().await.expect("a staging file");
        file.write(b"x").await.expect("written");
        let key = file.publish(&digest).await.expect("published");
        assert_eq!(key.digest(), Some(digest));
        assert!(store.keys(digest[0], Duration::from_secs(60)).await.expect("walked").is_empty());
        age(&store.path(&key));
        let found = store.keys(digest[0], Duration::from_secs(60)).await.expect("walked");
        assert_eq!(found, std::slice::from_ref(&key));
        for _ in 0..2 {
            store.remove(&key).await.expect("removed");
        }
        assert!(store.keys(digest[0], Duration::ZERO).await.expect("walked").is_empty());
    }

    #[test]
    fn keys_stay_inside() {
        let odd = "blobs/00/11/0011aa".parse::<StorageKey>().expect("lawful");
        assert_eq!(odd.digest(), None);
        let bad = [
            "",
            "/etc/passwd",
            "blobs/../../x",
            "blobs//x",
            "blobs/./x",
            "staging/x",
            "blobs/a\0",
            "blobs/a/",
        ];
        for text in bad {
            assert!(text.parse::<StorageKey>().is_err(), "{text}");
        }
    }
}
