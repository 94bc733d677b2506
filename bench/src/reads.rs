//! What an AppView answers: from its cache beside a handler that does nothing else, anew beside the database alone, and at a steady
//! rate, with search at two sizes.

mod bare;
mod kinds;
mod limit;
mod seed;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};

use crate::caller::Caller;
use crate::host::Host;
use crate::process::Process;
use crate::report::{Line, Report, Spread, wanted};
use crate::server::Server;
pub use bare::serve;
use kinds::{KINDS, escaped, latest};
use seed::{Dice, Size};

const SIZE: Size = Size { artists: 1_000, tracks: 50_000, likes: 500_000, comments: 100_000, albums: 5_000 };
const MANY: usize = 1_000_000;
const RATE: usize = 200;
const SECONDS: usize = 15;
/// Connections that ask as fast as they are answered, and that ask at a steady rate.
const BUSY: usize = 16;
const CALLERS: usize = 32;
const DATABASE: &str = "plyr_bench_reads";

/// Measures.
pub async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let host = Host::start().await?;
    let server = Server::start(&[]).await?;
    let ground = server.ground(DATABASE).await?;
    let began = Instant::now();
    seed::seed(&ground.pool, SIZE).await?;
    eprintln!("reads: seeded in {:.0} s", began.elapsed().as_secs_f64());
    let plyr = Process::over(&server, DATABASE, &host).await?;
    kept(report, plyr.address).await?;
    anew(report, &server, plyr.address).await?;
    steady(report, plyr.address).await?;
    searches(report, plyr.address, SIZE.tracks, Duration::from_millis(25)).await?;
    let peak = plyr.memory()?.peak as f64 / 1024.0;
    report.add(Line {
        what: "memory of plyr, after all of that".to_owned(),
        measured: format!("{peak:.0} MiB at most"),
        against: "indexer, AppView and player in one process".to_owned(),
        goal: "≤ 150 MB".to_owned(),
        is_met: peak < 143.0,
    });
    drop(plyr);
    let many = wanted("BENCH_TRACKS", MANY)?;
    let began = Instant::now();
    seed::tracks(&ground.pool, SIZE.tracks..many, SIZE.artists).await?;
    seed::findable(&ground.pool).await?;
    eprintln!("reads: {many} tracks after {:.0} s more", began.elapsed().as_secs_f64());
    let plyr = Process::over(&server, DATABASE, &host).await?;
    searches(report, plyr.address, many, Duration::from_millis(60)).await?;
    drop(plyr);
    ground.pool.close().await;
    server.stop().await;
    Ok(())
}

/// As many answers as can be had within a time, over several connections.
async fn rate(
    address: SocketAddr,
    seconds: usize,
    question: impl Fn(usize) -> String + Send + Sync + Clone + 'static,
) -> anyhow::Result<f64> {
    let mut callers = tokio::task::JoinSet::new();
    let began = Instant::now();
    for nth in 0..BUSY {
        let (mut caller, question) = (Caller::connect(address).await?, question.clone());
        callers.spawn(async move {
            let mut answers = 0usize;
            while began.elapsed().as_secs_f64() < seconds as f64 {
                caller.get(&question(answers * BUSY + nth)).await?;
                answers += 1;
            }
            anyhow::Ok(answers)
        });
    }
    let mut answers = 0;
    while let Some(done) = callers.join_next().await {
        answers += done??;
    }
    Ok(answers as f64 / began.elapsed().as_secs_f64())
}

/// The same answer again and again, beside a handler of the same framework that has nothing but these bytes.
async fn kept(report: &mut Report, address: SocketAddr) -> anyhow::Result<()> {
    for (name, path) in [
        ("a track", format!("/xrpc/fm.plyr.feed.getTracks?uris={}", escaped(&seed::track(7, SIZE.artists)))),
        ("the latest 50", "/xrpc/fm.plyr.feed.getLatest?limit=50".to_owned()),
    ] {
        let bytes = Caller::connect(address).await?.get(&path).await?;
        let size = bytes.len();
        let bare = bare::Bare::start(&bytes).await?;
        // In turns, so that neither has the quieter machine.
        let (mut ours, mut theirs) = (0.0, 0.0);
        for _ in 0..3 {
            let path = path.clone();
            ours += rate(address, 3, move |_| path.clone()).await? / 3.0;
            theirs += rate(bare.address, 3, |_| "/".to_owned()).await? / 3.0;
        }
        let share = ours / theirs;
        report.add(Line {
            what: format!("{name}, kept ({size} bytes)"),
            measured: format!("{ours:.0}/s"),
            against: format!("{:.0} % of a bare handler's {theirs:.0}/s", share * 100.0),
            goal: "≥ 50 %".to_owned(),
            is_met: share >= 0.5,
        });
    }
    Ok(())
}

/// Pages of fifty tracks, none twice, beside the database answering the queries of such pages and nothing else.
async fn anew(report: &mut Report, server: &Server, address: SocketAddr) -> anyhow::Result<()> {
    let (mut ours, mut limit) = (0.0, 0.0);
    for round in 0..3usize {
        ours += rate(address, 5, move |nth| latest(round * 100_000 + nth)).await? / 3.0;
        limit += limit::pages(server, DATABASE, BUSY).await? / 3.0;
    }
    let share = ours / limit;
    report.add(Line {
        what: "pages of 50 tracks, hydrated anew".to_owned(),
        measured: format!("{ours:.0}/s"),
        against: format!("{:.0} % of pgbench's {limit:.0}/s with their own queries", share * 100.0),
        goal: "≥ 50 %".to_owned(),
        is_met: share >= 0.5,
    });
    Ok(())
}

/// Every kind of page that a client turns, asked for at a steady rate.
async fn steady(report: &mut Report, address: SocketAddr) -> anyhow::Result<()> {
    let seconds = wanted("BENCH_SECONDS", SECONDS)?;
    let mut slowest: Option<(&str, Spread)> = None;
    for (name, question) in KINDS {
        let mut caller = Caller::connect(address).await?;
        for nth in 0..40 {
            caller.get(&question(1_000_000 + nth)).await?;
        }
        let spread = Spread::of(open_loop(address, RATE * seconds, question).await?);
        eprintln!("reads: {name}: {spread}");
        if slowest.as_ref().is_none_or(|(_, slow)| slow.p99 < spread.p99) {
            slowest = Some((name, spread));
        }
    }
    if let Some((name, spread)) = slowest {
        report.add(Line {
            what: format!(
                "each of {} kinds of pages, {RATE} requests/s for {seconds} s, none kept",
                KINDS.len()
            ),
            measured: format!("the slowest: {spread}"),
            against: name.to_owned(),
            goal: "p99 ≤ 10 ms".to_owned(),
            is_met: spread.p99 <= Duration::from_millis(10),
        });
    }
    Ok(())
}

/// What people type: beginnings of names, one or two words of them, words with a slip.
fn typed(nth: usize) -> String {
    let mut dice = Dice::new(nth as u64 + 12_345);
    let title = seed::title(&mut dice);
    let words: Vec<&str> = title.split(' ').collect();
    let mut text = match nth % 5 {
        0 => title.chars().take(1 + dice.pick(3, 1.0)).collect(),
        1 => title.chars().take(4 + dice.pick(6, 1.0)).collect(),
        2 => words[dice.pick(words.len(), 1.0)].to_owned(),
        _ => title.clone(),
    };
    if nth % 5 == 4 {
        let mut letters: Vec<char> = text.chars().collect();
        let at = dice.pick(letters.len(), 1.0);
        letters[at] = 'x';
        text = letters.into_iter().collect();
    }
    let q = text.trim().replace(' ', "+");
    // Otherwise the short ones would be asked for again while they are kept.
    format!("/xrpc/fm.plyr.search.query?q={q}&limit={}", 10 + nth / 7 % 40)
}

async fn searches(
    report: &mut Report,
    address: SocketAddr,
    tracks: usize,
    goal: Duration,
) -> anyhow::Result<()> {
    let seconds = wanted("BENCH_SECONDS", SECONDS)?;
    let mut caller = Caller::connect(address).await?;
    for nth in 0..2_000 {
        caller.get(&typed(10_000_000 + nth)).await?;
    }
    let spread = Spread::of(open_loop(address, RATE * seconds, typed).await?);
    report.add(Line {
        what: format!("search among {tracks} tracks, {RATE} requests/s for {seconds} s, none kept"),
        measured: spread.to_string(),
        against: "names, beginnings, words, slips in turn".to_owned(),
        goal: format!("p99 ≤ {} ms", goal.as_millis()),
        is_met: spread.p99 <= goal,
    });
    Ok(())
}

/// Asks each question when its time has come, whatever has become of those before: late answers count from that time.
pub async fn open_loop(
    address: SocketAddr,
    count: usize,
    question: fn(usize) -> String,
) -> anyhow::Result<Vec<Duration>> {
    let (send, receive) = mpsc::unbounded_channel::<(Instant, String)>();
    let receive = Arc::new(Mutex::new(receive));
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..CALLERS {
        let mut caller = Caller::connect(address).await?;
        let receive = receive.clone();
        callers.spawn(async move {
            let mut times = Vec::new();
            loop {
                let next = receive.lock().await.recv().await;
                let Some((due, path)) = next else { return anyhow::Ok(times) };
                caller.get(&path).await?;
                times.push(due.elapsed());
            }
        });
    }
    let began = Instant::now();
    for nth in 0..count {
        let due = began + Duration::from_secs(nth as u64) / RATE as u32;
        tokio::time::sleep_until(due.into()).await;
        send.send((due, question(nth)))?;
    }
    drop(send);
    let mut times = Vec::new();
    while let Some(done) = callers.join_next().await {
        times.extend(done??);
    }
    Ok(times)
}
