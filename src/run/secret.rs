//! The key that seals sessions: the operator's, or in development one that is made and kept beside the data.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context;
use appview::session::SecretKey;

use crate::config::Config;

const FILE: &str = "secret.key";

/// The configured key. Without one, a server on https does not start: what it seals must outlive its disk.
pub(super) fn key(config: &Config) -> anyhow::Result<SecretKey> {
    match &config.secret_key {
        Some(key) => Ok(key.clone()),
        None if config.public_url.scheme() == "https" => anyhow::bail!(
            "PLYR_SECRET_KEY: not set, and a server on https needs it to seal people's sessions. Make one with \
             `openssl rand -base64 32`, keep it as a secret, and give the same to all processes; whoever loses it signs \
             everybody out"
        ),
        None => kept(&config.data_dir).with_context(|| {
            let file = config.data_dir.join(FILE);
            format!("the key that seals sessions, in {}; PLYR_SECRET_KEY may hold it instead", file.display())
        }),
    }
}

/// The key in a directory, made when first asked for. Processes that start together agree on one.
fn kept(dir: &Path) -> anyhow::Result<SecretKey> {
    let path = dir.join(FILE);
    if let Some(key) = read(&path)? {
        return Ok(key);
    }
    fs::create_dir_all(dir)?;
    // Written in full under another name, then linked: whoever is second finds a whole file.
    let draft = dir.join(format!("{FILE}.{}.{:016x}", std::process::id(), rand::random::<u64>()));
    let linked = write(&draft).and_then(|()| fs::hard_link(&draft, &path));
    fs::remove_file(&draft).ok();
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    read(&path)?.context("it vanished as soon as it was made")
}

fn read(path: &Path) -> anyhow::Result<Option<SecretKey>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.parse()?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn write(draft: &Path) -> std::io::Result<()> {
    let mut file = File::create_new(draft)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(format!("{}\n", SecretKey::random().to_hex()).as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_start_together_get_the_same_key() {
        let dir = tempfile::tempdir().expect("a folder");
        let dir = dir.path().join("data");
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let dir = dir.clone();
                std::thread::spawn(move || kept(&dir).expect("a key"))
            })
            .collect();
        let keys: Vec<SecretKey> =
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        assert!(keys.iter().all(|key| *key == keys[0]));
        assert_eq!(kept(&dir).expect("a key"), keys[0]);
        let file = dir.join(FILE);
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&dir).expect("a folder").count(), 1, "no draft is left");
        fs::write(&file, "half").expect("written");
        assert!(kept(&dir).is_err(), "a broken key is not replaced");
    }
}
