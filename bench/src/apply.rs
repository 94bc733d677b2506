//! Frames recorded beforehand, to every projection, index and count in Postgres.
//!
//! Postgres runs on the same cores, with the settings of the embedded one: durable, with fsync. (What a stream brings does
//! not wait for it, here as everywhere.) What the door wrote is then copied, table by table, into empty tables with the same
//! indexes: that is the limit it is held against.

mod copy;
mod told;

use std::time::{Duration, Instant};

use bytes::Bytes;
use indexer::firehose::{self, Kind, Upstream};
use sim::recording::{Plan, Recorder};

use crate::decode;
use crate::ground::Ground;
use crate::report::{Line, Report, processor_time};
use crate::server::Server;

const ACCOUNTS: usize = 2_000;
const COMMITS: usize = 200_000;
const ROUNDS: usize = 3;
/// Applied before the clock starts, on the same tables: plans are made, pages are in memory.
const WARM_UP: usize = 20_000;

/// How long something took, by the clock and by the processors.
#[derive(Debug, Clone, Copy)]
struct Took {
    wall: Duration,
    ours: Duration,
    postgres: Duration,
}

impl Took {
    fn per_second(&self, count: usize) -> f64 {
        count as f64 / self.wall.as_secs_f64()
    }
}

/// Measures.
pub async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let mut recorder =
        Recorder::new(Plan { accounts: ACCOUNTS, p256_percent: 5, delete_percent: 3, ..Plan::default() });
    let frames = recorder.frames(WARM_UP + COMMITS);
    let bare_us = decode::bare_us(&recorder, &frames)?;
    let events = told::as_jetstream(&frames)?;
    let server = Server::start(recorder.accounts()).await?;

    let bare = Duration::from_secs_f64(bare_us * COMMITS as f64 / 1e6);
    let (took, copied) = beside_copy(&server, "commits", Kind::Repos, &frames).await?;
    add(report, "verified commits of one record each → Postgres", took, copied, Some(bare), 5_000.0);
    let (took, copied) = beside_copy(&server, "reports", Kind::Jetstream2, &events).await?;
    add(report, "reported records → Postgres", took, copied, None, 15_000.0);
    server.stop().await;
    Ok(())
}

/// Applies the messages and then copies what they came to, three times over. Answers with the round of the middling ratio:
/// the disk and the neighbours of a machine are not the same from one second to the next.
async fn beside_copy(
    server: &Server,
    name: &str,
    kind: Kind,
    messages: &[Bytes],
) -> anyhow::Result<(Took, Took)> {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let ground = server.ground(name).await?;
        let took = apply(server, &ground, kind, messages).await?;
        let records = ground.number("select count(*) from record").await?;
        let copied = copy::again(server, &ground).await?;
        tell(&ground, name, records, took, copied).await?;
        ground.check(kind == Kind::Repos).await?;
        rounds.push((took, copied));
    }
    rounds.sort_by(|(a, a_copy), (b, b_copy)| {
        let ratio = |copied: &Took, took: &Took| copied.wall.as_secs_f64() / took.wall.as_secs_f64();
        ratio(a_copy, a).total_cmp(&ratio(b_copy, b))
    });
    Ok(rounds[ROUNDS / 2])
}

async fn apply(server: &Server, ground: &Ground, kind: Kind, messages: &[Bytes]) -> anyhow::Result<Took> {
    let host = "127.0.0.1:1".to_owned();
    let upstream = Upstream {
        key: format!("{}+ws://{host}", kind.as_str()).into(),
        kind,
        ws_url: format!("ws://{host}").parse()?,
        http_url: format!("http://{host}").parse()?,
    };
    let (first, rest) = messages.split_at(WARM_UP);
    firehose::replay(ground.indexer.clone(), upstream.clone(), first.iter().cloned()).await?;
    ground.run("analyze").await?;
    let began = (Instant::now(), processor_time(), server.processor_time());
    firehose::replay(ground.indexer.clone(), upstream, rest.iter().cloned()).await?;
    let (wall, ours) = (began.0.elapsed(), processor_time() - began.1);
    Ok(Took { wall, ours, postgres: server.processor_time().saturating_sub(began.2) })
}

/// Held against COPY. Where signatures are checked it is also told what it is of COPY and `bare` together: the time that one
/// core spends on hashes and signatures alone, which here is spread over all.
fn add(report: &mut Report, what: &str, took: Took, copied: Took, bare: Option<Duration>, goal: f64) {
    let copy_s = copied.wall.as_secs_f64() * COMMITS as f64 / (COMMITS + WARM_UP) as f64;
    let share = |limit_s: f64| limit_s / took.wall.as_secs_f64();
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let beside = bare.map(|bare| {
        let limit = share(copy_s + bare.as_secs_f64() / cores);
        format!(", {:.0} % of COPY and the bare check of their signatures", limit * 100.0)
    });
    report.add(Line {
        what: what.into(),
        measured: format!("{:.0}/s", took.per_second(COMMITS)),
        against: format!(
            "{:.0} % of COPY of the same rows{}",
            share(copy_s) * 100.0,
            beside.unwrap_or_default()
        ),
        goal: format!("≥ {goal:.0}/s, ≥ 40 %"),
        is_met: took.per_second(COMMITS) >= goal && share(copy_s) >= 0.4,
    });
}

async fn tell(ground: &Ground, what: &str, records: i64, took: Took, copied: Took) -> anyhow::Result<()> {
    let per = |time: Duration| time.as_secs_f64() * 1e6 / COMMITS as f64;
    eprintln!(
        "{what}: {records} records; {:.2} s, of processors {:.0} µs each ours and {:.0} µs each Postgres'; COPY {:.2} s, {:.0} µs each",
        took.wall.as_secs_f64(),
        per(took.ours),
        per(took.postgres),
        copied.wall.as_secs_f64(),
        per(copied.ours + copied.postgres),
    );
    for (table, rows) in ground.sizes().await? {
        eprintln!("  {table}: {rows}");
    }
    Ok(())
}
