//! A frame of the upstream, until a client sees through XRPC what it says.
//!
//! The binary reads a stream that goes on at its own pace, whatever comes of it: an open loop. One client asks
//! `fm.plyr.feed.getTracks` for the tracks that should have changed and have not yet, a few hundred times a second, so
//! what it finds is late by up to one of its rounds. Stream, client, binary and Postgres share the machine.

mod client;
mod sign;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sqlx::Executor;

use crate::caller::Caller;
use crate::host::{Host, Stream};
use crate::process::Process;
use crate::report::{Line, Report, Spread, ms, wanted};
use crate::server::Server;
use client::{Awaited, Board, Client};
use sign::Signs;

const ACCOUNTS: usize = 500;
/// Applied before the clock starts: everybody is known, plans are made, pages are in memory.
const WARM_UP: usize = 5_000;
const RATE: usize = 200;
const SECONDS: usize = 20;
const GOAL: Duration = Duration::from_millis(100);
/// How long the warm-up, and then the last of the stream, may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// For what the warm-up left to do.
const REST: Duration = Duration::from_secs(3);
/// Bare commits and bare queries.
const BARE: usize = 400;

/// Measures.
pub async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let seconds = wanted("BENCH_SECONDS", SECONDS)?;
    let mut host = Host::start().await?;
    let mut recorder = host.recorder(ACCOUNTS);
    let frames = recorder.frames(WARM_UP + RATE * seconds);
    let mut signs = Signs::default();
    let signs = frames.iter().map(|frame| signs.of(frame)).collect::<anyhow::Result<Vec<_>>>()?;
    let server = Server::start(recorder.accounts()).await?;
    let mut plyr = Process::up(&server, "plyr_bench_latency", &host).await?;
    let mut stream = host.reader().await?;

    for frame in &frames[..WARM_UP] {
        stream.feed(frame.clone()).await?;
    }
    stream.flush().await?;
    plyr.applied(WARM_UP as i64, PATIENCE).await?;
    plyr.pool.execute("analyze").await?;
    tokio::time::sleep(REST).await;
    let bare = bare(&plyr, &signs).await?;

    let board = Arc::new(Board::default());
    let client = Client::start(Caller::connect(plyr.address).await?, board.clone());
    let worked = (plyr.processor_time(), server.processor_time());
    let late = play(&mut stream, &frames[WARM_UP..], signs.into_iter().skip(WARM_UP), &board).await?;
    let seen = client.finish(PATIENCE).await?;
    let worked = (plyr.processor_time() - worked.0, server.processor_time() - worked.1);
    plyr.applied(frames.len() as i64, PATIENCE).await?;
    plyr.check(frames.len()).await?;

    let (commit, query) = (Spread::of(bare.commits), Spread::of(bare.queries));
    let (visible, round) = (Spread::of(seen.took), Spread::of(seen.rounds));
    let share = |time: Duration| time.as_secs_f64() / seconds as f64 * 100.0;
    eprintln!(
        "latency: {} of {} frames looked for; sent at most {:.1} ms late; {:.0} % of a core ours, {:.0} % Postgres'; the client's rounds: {round}",
        visible.count,
        RATE * seconds,
        ms(late),
        share(worked.0),
        share(worked.1),
    );
    report.add(Line {
        what: format!("upstream frame → visible through XRPC, at {RATE} commits/s for {seconds} s"),
        measured: visible.to_string(),
        against: format!(
            "by p50 {:.1} × a bare commit in Postgres ({commit}) and a bare query ({query}) one after the other; looked at every {:.1} ms",
            visible.p50.as_secs_f64() / (commit.p50 + query.p50).as_secs_f64(),
            ms(round.p50),
        ),
        goal: format!("p99 ≤ {} ms", GOAL.as_millis()),
        is_met: visible.p99 <= GOAL,
    });
    drop(plyr);
    server.stop().await;
    Ok(())
}

/// Sends each frame when its time has come, and says how late the latest was.
async fn play(
    stream: &mut Stream,
    frames: &[Bytes],
    signs: impl Iterator<Item = Option<sign::Sign>>,
    board: &Board,
) -> anyhow::Result<Duration> {
    let (began, mut late) = (Instant::now(), Duration::ZERO);
    for (nth, (frame, sign)) in frames.iter().zip(signs).enumerate() {
        let due = began + Duration::from_secs(nth as u64) / RATE as u32;
        tokio::time::sleep_until(due.into()).await;
        let sent = Instant::now();
        late = late.max(sent - due);
        if let Some(sign) = sign {
            board.add(Awaited { sign, sent });
        }
        stream.send(frame.clone()).await?;
    }
    Ok(late)
}

struct Bare {
    commits: Vec<Duration>,
    queries: Vec<Duration>,
}

/// What no way from a frame to an answer can do without: one row committed, and one question answered. Nothing else runs.
async fn bare(plyr: &Process, signs: &[Option<sign::Sign>]) -> anyhow::Result<Bare> {
    let mut db = plyr.pool.acquire().await?;
    db.execute("create table bench (n int)").await?;
    let (mut commits, mut queries) = (Vec::new(), Vec::new());
    let mut caller = Caller::connect(plyr.address).await?;
    for sign in signs.iter().flatten().take(BARE) {
        let began = Instant::now();
        sqlx::query("insert into bench values (1)").execute(&mut *db).await?;
        commits.push(began.elapsed());
        let began = Instant::now();
        caller.get(&client::question(&[&sign.uri])).await?;
        queries.push(began.elapsed());
    }
    db.execute("drop table bench").await?;
    Ok(Bare { commits, queries })
}
