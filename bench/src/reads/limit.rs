//! The limit of an answer that is made anew: the same queries, asked by pgbench.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::server::Server;

/// Pages of fifty tracks a second, asked for by so many clients.
pub async fn pages(server: &Server, database: &str, clients: usize) -> anyhow::Result<f64> {
    let skeleton = saved(
        "from track\n           join actor on actor.did = track.did and actor.active\n          where (track.sort_at, track.uri) <",
    )?;
    let tracks = saved("page.audio_cid is not null as")?;
    let skeleton = skeleton
        .replace("$1", "(timestamptz '2025-01-01' + :n * interval '400 seconds')")
        .replace("$2", "''::text")
        .replace("$3", "array[]::text[]")
        .replace("$4", "51");
    let tracks = tracks
        .replace("$1", ":uris::text[]")
        .replace("$2", "2031616")
        .replace("$3", "null")
        .replace("$4", "96");
    let script = format!(
        "\\set n random(1, 50000)\nselect array_agg(uri) as uris from ({}) as page \\gset\n{};\n",
        one_line(&skeleton),
        one_line(&tracks)
    );
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), script)?;
    // It does not know all that sqlx says there.
    let mut url = sqlx::ConnectOptions::to_url_lossy(&server.options(database));
    let host = url.query_pairs().find(|(name, _)| name == "host").map(|(_, host)| host.into_owned());
    url.set_query(host.map(|host| format!("host={host}")).as_deref());
    let output = tokio::process::Command::new(program()?)
        .args(["-n", "-M", "prepared", "-T", "5", "-j", "2", "-c", &clients.to_string(), "-f"])
        .arg(file.path())
        .arg(url.as_str())
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    rate.with_context(|| format!("pgbench: {text}\n{}", String::from_utf8_lossy(&output.stderr)))
}

fn one_line(sql: &str) -> String {
    let lines = sql.lines().map(|line| line.split("--").next().unwrap_or(line).trim());
    lines.collect::<Vec<_>>().join(" ")
}

/// The query that the binary was compiled with and that has this in it.
fn saved(part: &str) -> anyhow::Result<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.sqlx");
    for file in std::fs::read_dir(&folder)? {
        let saved: Value = serde_json::from_slice(&std::fs::read(file?.path())?)?;
        if let Some(query) = saved["query"].as_str().filter(|query| query.contains(part)) {
            return Ok(query.to_owned());
        }
    }
    anyhow::bail!("no saved query has {part:?} in it")
}

/// pgbench, wherever Debian puts it.
fn program() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").context("pgbench: no Postgres is installed")?;
    let found =
        versions.flatten().map(|version| version.path().join("bin/pgbench")).find(|path| path.is_file());
    found.context("pgbench is missing")
}
