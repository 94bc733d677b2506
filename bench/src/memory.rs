//! What the binary occupies while five million events pass by, and while Postgres does not answer.
//!
//! Of a hundred events one is ours, a signed commit that continues its chain; the others are those of people whom nobody
//! knows, each under another name. Then Postgres is stopped where it stands, and the stream goes on as fast as the socket
//! takes it: at first as before, so that little of ours must wait among much that passes by, and then with nothing but
//! ours, until it has to wait itself.

mod others;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sim::wire::Frame;
use tokio::sync::oneshot;

use crate::host::{Host, Stream};
use crate::process::Process;
use crate::report::{Line, Report, wanted};
use crate::server::{Server, Stalled};
use others::Others;
use watch::Watch;

const EVENTS: usize = 5_000_000;
/// One of so many is ours.
const OURS: usize = 100;
const ACCOUNTS: usize = 2_000;
/// More of ours than may be in flight, and than fit into the buffers of a socket.
const PUSHED: usize = 60_000;
const STALL: Duration = Duration::from_secs(30);
/// Of the stall, how long the stream goes on as before.
const MIXED: Duration = Duration::from_secs(10);
/// And the time in its end in which nothing may be taken any more.
const STILL: Duration = Duration::from_secs(10);
const LIMIT_MIB: f64 = 256.0;
/// What the last quarter of the events may occupy more than the second: what may be in flight at any moment.
const GROWTH_MIB: f64 = 40.0;
/// And the end of the stall more than the moment in which nothing was taken any more.
const GROWTH: f64 = 1.1;
const PATIENCE: Duration = Duration::from_secs(600);
const FLUSH_EVERY: usize = 64;

/// Measures.
pub async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let events = wanted("BENCH_EVENTS", EVENTS)?;
    let mut host = Host::start().await?;
    let mut recorder = host.recorder(ACCOUNTS);
    let ours = recorder.commits(events / OURS);
    let pushed = recorder.commits(PUSHED);
    let server = Server::start_own(recorder.accounts()).await?;
    let mut plyr = Process::up(&server, "plyr_bench_memory", &host).await?;
    let stream = host.reader().await?;
    let told = Arc::new(Told::default());

    let ready = plyr.memory()?;
    let (go_on, goes_on) = oneshot::channel();
    let (began, worked) = (Instant::now(), plyr.processor_time());
    let telling = tokio::spawn(tell(stream, Others::new(), ours, events, pushed, told.clone(), goes_on));
    let mut watch = Watch::default();
    while told.events() < events as u64 {
        anyhow::ensure!(!telling.is_finished(), "the stream ended after {} events", told.events());
        watch.look(&plyr, &told)?;
        tokio::time::sleep(watch::EVERY).await;
    }
    plyr.applied(events as i64, PATIENCE).await?;
    let (took, worked) = (began.elapsed(), plyr.processor_time() - worked);
    watch.look(&plyr, &told)?;
    plyr.check(events / OURS).await?;
    let end = plyr.memory()?;
    let (second, last) = (watch.mean(events, 1), watch.mean(events, 3));
    report.add(Line {
        what: format!(
            "memory through {events} events, 1 % ours, {:.0} bytes an event",
            told.bytes() as f64 / events as f64
        ),
        measured: format!(
            "at most {:.0} MiB, {:.0} MiB in the end; {:.0} events/s",
            mib(end.peak),
            mib(end.now),
            events as f64 / took.as_secs_f64()
        ),
        against: format!(
            "{:.1} × the {:.0} MiB when it is ready; {last:.0} MiB in the last quarter, {second:.0} in the second; {:.1} µs of processor time an event",
            end.peak as f64 / ready.now as f64,
            mib(ready.now),
            worked.as_secs_f64() * 1e6 / events as f64
        ),
        goal: format!("flat, ≤ {LIMIT_MIB:.0} MiB"),
        is_met: mib(end.peak) <= LIMIT_MIB && last <= second + GROWTH_MIB,
    });

    let before = plyr.memory()?;
    let stalled = server.stall()?;
    go_on.send(()).ok();
    let stall = stand_still(&plyr, &told, stalled).await?;
    let _stream = telling.await??;
    plyr.applied(told.events() as i64, PATIENCE).await?;
    plyr.check(events / OURS + PUSHED).await?;
    let after = plyr.memory()?;
    report.add(Line {
        what: format!("memory while Postgres stands still for {} s and the stream pushes", STALL.as_secs()),
        measured: format!(
            "{:.0} MiB before, {:.0} when it stopped reading, {:.0} in the end, at most {:.0} and then {:.0}",
            mib(before.now),
            mib(stall.at_halt),
            mib(stall.in_the_end),
            mib(after.peak),
            mib(after.now)
        ),
        against: format!(
            "the socket took {:.1} MiB within {:.1} s, then nothing for {:.1} s; all of it is applied afterwards",
            stall.bytes as f64 / f64::from(1 << 20),
            stall.took.as_secs_f64(),
            (STALL - stall.took).as_secs_f64()
        ),
        goal: format!("waits, ≤ {LIMIT_MIB:.0} MiB"),
        is_met: mib(after.peak) <= LIMIT_MIB
            && STALL - stall.took >= STILL
            && stall.in_the_end as f64 <= stall.at_halt as f64 * GROWTH,
    });
    drop(plyr);
    server.stop().await;
    Ok(())
}

/// How much the socket took.
#[derive(Debug, Default)]
struct Told {
    events: AtomicU64,
    bytes: AtomicU64,
}

impl Told {
    fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The whole stream: the mix, and when told to go on, the rest of ours. The connection is handed back: it must outlast what
/// is in its buffers.
async fn tell(
    mut stream: Stream,
    mut others: Others,
    ours: Vec<Frame>,
    events: usize,
    pushed: Vec<Frame>,
    told: Arc<Told>,
    goes_on: oneshot::Receiver<()>,
) -> anyhow::Result<Stream> {
    let (mut ours, mut seq) = (ours.into_iter(), 0);
    let mut mixed = |seq: usize, ours: &mut std::vec::IntoIter<Frame>| {
        let own = if seq.is_multiple_of(OURS) { ours.next() } else { None };
        own.map_or_else(|| others.next(seq as i64), |own| own.at(seq as i64))
    };
    while seq < events {
        seq += 1;
        let frame = mixed(seq, &mut ours);
        push(&mut stream, frame, seq, &told).await?;
    }
    stream.flush().await?;
    goes_on.await?;
    let (began, mut pushed) = (Instant::now(), pushed.into_iter());
    while began.elapsed() < MIXED {
        seq += 1;
        let frame = mixed(seq, &mut pushed);
        push(&mut stream, frame, seq, &told).await?;
    }
    for own in pushed {
        seq += 1;
        push(&mut stream, own.at(seq as i64), seq, &told).await?;
    }
    stream.flush().await?;
    Ok(stream)
}

async fn push(stream: &mut Stream, frame: Bytes, seq: usize, told: &Told) -> anyhow::Result<()> {
    let length = frame.len() as u64;
    stream.feed(frame).await?;
    if seq.is_multiple_of(FLUSH_EVERY) {
        stream.flush().await?;
    }
    told.bytes.fetch_add(length, Ordering::Relaxed);
    told.events.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// What came of a stall. Memory in KiB.
struct Stall {
    at_halt: u64,
    in_the_end: u64,
    bytes: u64,
    /// Until nothing was taken any more.
    took: Duration,
}

async fn stand_still(plyr: &Process, told: &Told, stalled: Stalled) -> anyhow::Result<Stall> {
    let (began, bytes) = (Instant::now(), told.bytes());
    let mut stall = Stall { at_halt: plyr.memory()?.now, in_the_end: 0, bytes: 0, took: Duration::ZERO };
    while began.elapsed() < STALL {
        tokio::time::sleep(watch::EVERY).await;
        let taken = told.bytes() - bytes;
        let memory = plyr.memory()?.now;
        if taken > stall.bytes {
            (stall.bytes, stall.took, stall.at_halt) = (taken, began.elapsed().min(STALL), memory);
        }
        stall.in_the_end = memory;
    }
    drop(stalled);
    Ok(stall)
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
