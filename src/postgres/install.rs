//! Which installed Postgres runs the cluster.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Error, OLDEST_MAJOR, Options};

/// Where Debian and its relatives put the programs: a directory for each major version.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// An installation: its programs and its major version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Install {
    pub(super) bin_dir: PathBuf,
    pub(super) major: u32,
}

/// The installation for a cluster: of the version that made it, or the newest for one yet to be made (`None`).
pub(super) fn find(options: &Options, cluster: Option<(&Path, &str)>) -> Result<Install, Error> {
    let found = match &options.bin_dir {
        Some(bin_dir) => {
            let install = probe(bin_dir).map_err(|why| Error::BinDir(bin_dir.clone(), why))?;
            if install.major < OLDEST_MAJOR {
                let why = format!("this is Postgres {}; {OLDEST_MAJOR} or newer is needed", install.major);
                return Err(Error::BinDir(bin_dir.clone(), why));
            }
            vec![install]
        }
        None => search(Path::new(DEBIAN_ROOT), options.search_path.as_deref()),
    };
    choose(found, cluster)
}

fn choose(found: Vec<Install>, cluster: Option<(&Path, &str)>) -> Result<Install, Error> {
    let (fit, old): (Vec<_>, Vec<_>) = found.into_iter().partition(|install| install.major >= OLDEST_MAJOR);
    if fit.is_empty() {
        let old = old.first().map_or_else(String::new, |install| {
            format!(" ({} holds Postgres {}, which is too old)", install.bin_dir.display(), install.major)
        });
        return Err(Error::NotInstalled(old));
    }
    let mut majors: Vec<String> = fit.iter().map(|install| install.major.to_string()).collect();
    let matching =
        |install: &Install| cluster.is_none_or(|(_, made_by)| install.major.to_string() == made_by);
    fit.into_iter().find(matching).ok_or_else(|| {
        majors.sort();
        majors.dedup();
        let (dir, made_by) = cluster.unwrap_or((Path::new(""), ""));
        Error::Version { dir: dir.to_owned(), cluster: made_by.to_owned(), found: majors.join(", ") }
    })
}

/// All installations: those in Debian's place, newest first, then those in the search path.
fn search(debian_root: &Path, search_path: Option<&OsStr>) -> Vec<Install> {
    let versions = std::fs::read_dir(debian_root).into_iter().flatten().flatten();
    let mut found: Vec<Install> =
        versions.filter_map(|entry| probe(&entry.path().join("bin")).ok()).collect();
    found.sort_by_key(|install| std::cmp::Reverse(install.major));
    for dir in search_path.map(std::env::split_paths).into_iter().flatten() {
        // What stands in the path is often a link; initdb is beside its target.
        let target = dir.join("postgres").canonicalize().ok();
        let install = target.as_deref().and_then(Path::parent).and_then(|bin_dir| probe(bin_dir).ok());
        found.extend(install.filter(|install| !found.iter().any(|known| known.bin_dir == install.bin_dir)));
    }
    found
}

/// What a directory with `postgres` and `initdb` holds, by asking the program itself.
fn probe(bin_dir: &Path) -> Result<Install, String> {
    let postgres = bin_dir.join("postgres");
    if !postgres.is_file() || !bin_dir.join("initdb").is_file() {
        return Err("there is no `postgres` with `initdb` beside it".into());
    }
    let output = Command::new(&postgres).arg("--version").env_clear().output();
    let output = output.map_err(|error| format!("{}: {error}", postgres.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let major =
        major_version(&text).ok_or_else(|| format!("{} does not tell its version", postgres.display()))?;
    Ok(Install { bin_dir: bin_dir.to_owned(), major })
}

/// From `postgres (PostgreSQL) 15.17 (Debian 15.17-0+deb12u1)`.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split_whitespace().nth(2)?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).map_or(version, |end| &version[..end]);
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by a shell, as a program that this process has open for writing cannot be run.
    fn fake(bin_dir: &Path, version: &str) {
        std::fs::create_dir_all(bin_dir).expect("created");
        let script = format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n");
        let write = "cd \"$1\" && for p in postgres initdb; do printf %s \"$2\" > $p && chmod 755 $p; done";
        let status = Command::new("sh").args(["-c", write, "sh"]).arg(bin_dir).arg(script).status();
        assert!(status.expect("a shell").success());
    }

    #[test]
    fn the_newest_runs_a_new_cluster_and_its_maker_an_old_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path().join("debian");
        for version in ["9.6", "15.17 (Debian)", "16.2", "18beta1"] {
            fake(&root.join(version.split(['.', ' ', 'b']).next().expect("major")).join("bin"), version);
        }
        std::fs::create_dir_all(root.join("empty/bin")).expect("created");
        let (elsewhere, linked) = (dir.path().join("elsewhere"), dir.path().join("linked"));
        fake(&elsewhere, "17.1");
        std::fs::create_dir(&linked).expect("created");
        std::os::unix::fs::symlink(elsewhere.join("postgres"), linked.join("postgres")).expect("linked");
        std::os::unix::fs::symlink("/nowhere", root.join("broken")).expect("linked");

        let found = search(&root, Some(linked.as_os_str()));
        let majors: Vec<u32> = found.iter().map(|install| install.major).collect();
        assert_eq!(majors, [18, 16, 15, 9, 17], "Debian's place first, newest first");
        let cluster = Path::new("/data/cluster");
        assert_eq!(choose(found.clone(), None).expect("one").major, 18);
        let linked = choose(found.clone(), Some((cluster, "17"))).expect("one");
        assert_eq!(linked.bin_dir, elsewhere.canonicalize().expect("exists"));
        let error = choose(found, Some((cluster, "14"))).expect_err("none").to_string();
        for part in ["/data/cluster", "Postgres 14", "15, 16, 17, 18", "postgresql-14"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn what_is_missing_is_said_in_one_sentence() {
        let dir = tempfile::tempdir().expect("a directory");
        let error = choose(search(dir.path(), None), None).expect_err("nothing").to_string();
        assert!(error.contains("apt-get install -y postgresql") && !error.contains('\n'), "{error}");
        fake(&dir.path().join("13/bin"), "13.4");
        let error = choose(search(dir.path(), None), None).expect_err("too old").to_string();
        assert!(error.contains("Postgres 13, which is too old"), "{error}");

        let options = Options { bin_dir: Some(dir.path().to_owned()), ..Options::new("x") };
        let error = find(&options, None).expect_err("not there").to_string();
        assert!(error.starts_with("PG_BIN_DIR: "), "{error}");
    }
}
