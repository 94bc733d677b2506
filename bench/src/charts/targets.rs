//! What is known of the network's links, read anew when a process starts.

use std::time::{Duration, Instant};

use indexer::apply::Door;
use indexer::record::Registry;
use sqlx::Executor;

use crate::ground::Ground;
use crate::report::{Line, Report};

const TARGETS: usize = 1_000_000;

/// Fills `shared_post`, opens a door on it, and looks how long that takes and what it occupies.
pub async fn measure(report: &mut Report, ground: &Ground) -> anyhow::Result<()> {
    ground
        .pool
        .execute(sqlx::AssertSqlSafe(format!(
            "insert into shared_post (post_uri, subject_uri, did, created_at)
             select 'at://' || bench_did(n) || '/app.bsky.feed.post/3' || n, bench_track(1), bench_did(n), now()
               from generate_series(1, {TARGETS}) as t (n)"
        )))
        .await?;
    let (before, began) = (resident()?, Instant::now());
    let registry = Registry::new("fm.plyr", "https://plyr.example".parse()?);
    let door = Door::open(ground.pool.clone(), registry).await?;
    let took = began.elapsed();
    let each = resident()?.saturating_sub(before) as f64 / TARGETS as f64;
    drop(door);
    ground.run("truncate shared_post").await?;
    report.add(Line {
        what: format!("{TARGETS} shared posts and everybody who is known, read when a process starts"),
        measured: format!("{:.1} s, {each:.0} bytes a post", took.as_secs_f64()),
        against: "all that the process has grown by, what it read included".to_owned(),
        goal: "≤ 5 s, ≤ 64 bytes".to_owned(),
        is_met: took <= Duration::from_secs(5) && each <= 64.0,
    });
    Ok(())
}

/// Bytes that this process occupies.
fn resident() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}
