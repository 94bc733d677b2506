//! Charts, likes and backlinks at the size of a network, and clients that wait for what happens.

pub mod plans;
mod seed;
mod targets;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use indexer::chart::{self, Origins};
use sqlx::Executor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::caller::Caller;
use crate::host::Host;
use crate::process::Process;
use crate::reads::open_loop;
use crate::report::{Line, Report, Spread, ms, wanted};
use crate::server::Server;
use seed::{LISTENERS, Size};

const PLAYS: usize = 10_000_000;
const LIKES: usize = 1_000_000;
const FANS: usize = 100_000;
const RATE: usize = 200;
const SECONDS: usize = 30;
/// Plays that are counted, and pages of a target that are turned.
const COUNTED: usize = 4_000;
const PAGES: usize = 500;
const FOLLOWERS: usize = 5_000;

/// Measures.
pub async fn measure(report: &mut Report) -> anyhow::Result<()> {
    let size = Size { plays: wanted("BENCH_PLAYS", PLAYS)?, likes: LIKES, fans: FANS };
    let host = Host::start().await?;
    let server = Server::start(&[]).await?;
    let ground = server.ground("plyr_bench_charts").await?;
    let began = Instant::now();
    seed::seed(&ground.pool, size).await?;
    eprintln!("charts: seeded in {:.0} s", began.elapsed().as_secs_f64());
    counting(report, &server, &ground.pool, size.plays).await?;
    targets::measure(report, &ground).await?;
    let plyr = Process::over(&server, "plyr_bench_charts", &host).await?;
    pages(report, plyr.address).await?;
    for (what, first, cursor) in [
        ("getLikes", "fm.plyr.feed.getLikes?limit=50&uri=", "cursor"),
        (
            "getBacklinks",
            "blue.microcosm.links.getBacklinks?source=fm.plyr.like:subject.uri&limit=50&subject=",
            "cursor",
        ),
    ] {
        target(report, plyr.address, what, first, cursor, &ground.pool).await?;
    }
    followers(report, &plyr).await?;
    drop(plyr);
    plans::measure(report, &server, "plyr_bench_charts", &host).await?;
    ground.pool.close().await;
    server.stop().await;
    Ok(())
}

/// What a play costs the charts, in time of the database.
async fn counting(
    report: &mut Report,
    server: &Server,
    pool: &sqlx::PgPool,
    plays_before: usize,
) -> anyhow::Result<()> {
    let origins = Origins::default();
    let plays = |from: usize| {
        format!(
            "insert into play (uri, did, play_key, track_name, artist_names, subject_uri, played_at)
             select 'at://' || bench_did(l) || '/fm.teal.feed.play/3' || n, bench_did(l), 'key' || n, 'a track', array['somebody'],
                    bench_track(1 + floor(power(random(), 3) * 50000)::bigint), now() - random() * interval '20 minutes'
               from (select n, (1 + floor(power(random(), 2) * {LISTENERS}))::bigint as l
                       from generate_series({from}, {from} + {COUNTED} - 1) as t (n)) as t"
        )
    };
    let mut spent = Vec::new();
    for round in 0..2 {
        let mut db = pool.acquire().await?;
        db.execute(sqlx::AssertSqlSafe(plays(round * COUNTED))).await?;
        db.execute(sqlx::AssertSqlSafe(format!(
            "insert into chart_due (did, hour) select did, floor(extract(epoch from played_at) / 3600)::integer from play
              where substr(play_key, 4)::bigint >= {}; analyze play",
            round * COUNTED
        )))
        .await?;
        drop(db);
        let (began, worked) = (Instant::now(), server.processor_time());
        while chart::settle(pool, &origins).await? {}
        spent.push((began.elapsed(), server.processor_time() - worked));
    }
    // The first met artists and recordings that nobody had named.
    let (took, worked) = spent[1];
    let each = |time: Duration| ms(time) / COUNTED as f64;
    report.add(Line {
        what: "a play, counted for all charts it moves".to_owned(),
        measured: format!("{:.2} ms of Postgres' processor time", each(worked)),
        against: format!(
            "{:.2} ms of the clock, {COUNTED} plays in batches; {plays_before} before",
            each(took)
        ),
        goal: "≤ 1 ms of database time".to_owned(),
        is_met: each(worked) <= 1.0,
    });
    Ok(())
}

/// The question of a page of some chart, another each time.
fn question(nth: usize) -> String {
    let of = ["tracks", "artists", "tags"][nth % 3];
    let by = ["plays", "listeners", "likes"][nth / 3 % 3];
    let period = ["day", "week", "month", "all"][nth / 9 % 4];
    // Half of them begin further down.
    let cursor =
        if nth.is_multiple_of(2) { format!("&cursor={:x}.7fffffff", 5 + nth % 40) } else { String::new() };
    // None is asked for again while its answer may be kept.
    let limit = 50 + nth / 36 % 50;
    format!("/xrpc/fm.plyr.feed.getTop?of={of}&by={by}&period={period}&limit={limit}{cursor}")
}

async fn pages(report: &mut Report, address: SocketAddr) -> anyhow::Result<()> {
    let seconds = wanted("BENCH_SECONDS", SECONDS)?;
    let mut bare = Vec::new();
    let mut caller = Caller::connect(address).await?;
    for nth in 0..400 {
        let began = Instant::now();
        caller.get("/xrpc/_health").await?;
        bare.push(began.elapsed());
        // Plans, and pages of the indexes.
        caller.get(&question(nth)).await?;
    }
    let times = open_loop(address, RATE * seconds, question).await?;
    let (bare, spread) = (Spread::of(bare), Spread::of(times));
    report.add(Line {
        what: format!(
            "chart pages at {PLAYS} plays and {LIKES} likes, {RATE} requests/s for {seconds} s, uncached"
        ),
        measured: spread.to_string(),
        against: format!("an empty answer: {bare}"),
        goal: "p99 ≤ 20 ms".to_owned(),
        is_met: spread.p99 <= Duration::from_millis(20),
    });
    Ok(())
}

/// Page after page of who likes or links to one thing.
async fn target(
    report: &mut Report,
    address: SocketAddr,
    what: &str,
    first: &str,
    cursor: &str,
    pool: &sqlx::PgPool,
) -> anyhow::Result<()> {
    let uri: String = sqlx::query_scalar("select bench_track(1)").fetch_one(pool).await?;
    let mut caller = Caller::connect(address).await?;
    let base = format!("/xrpc/{first}{}", uri.replace(':', "%3A").replace('/', "%2F"));
    let (mut path, mut times) = (base.clone(), Vec::new());
    for _ in 0..PAGES {
        let began = Instant::now();
        let body = caller.get(&path).await?;
        times.push(began.elapsed());
        let body: serde_json::Value = serde_json::from_slice(&body)?;
        path = match body[cursor].as_str() {
            Some(next) => format!("{base}&cursor={next}"),
            None => base.clone(),
        };
    }
    let spread = Spread::of(times);
    report.add(Line {
        what: format!("{what} of a target with {FANS} likes, {PAGES} pages of 50"),
        measured: spread.to_string(),
        against: "one after the other".to_owned(),
        goal: "p99 ≤ 10 ms".to_owned(),
        is_met: spread.p99 <= Duration::from_millis(10),
    });
    Ok(())
}

/// Clients that wait for what happens, and nothing does.
async fn followers(report: &mut Report, plyr: &Process) -> anyhow::Result<()> {
    let before = plyr.memory()?.now;
    let mut held = Vec::new();
    for _ in 0..FOLLOWERS {
        let mut stream = TcpStream::connect(plyr.address).await?;
        let request = format!("GET /live?kinds=like,play HTTP/1.1\r\nhost: {}\r\n\r\n", plyr.address);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).await?;
        anyhow::ensure!(answer.ends_with(b"200 OK"), "{}", String::from_utf8_lossy(&answer));
        held.push(stream);
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    let grown = plyr.memory()?.now.saturating_sub(before) as f64 / 1024.0;
    report.add(Line {
        what: format!("{FOLLOWERS} clients that follow /live and are told nothing"),
        measured: format!("{grown:.0} MiB more"),
        against: format!("{:.1} KiB each", grown * 1024.0 / FOLLOWERS as f64),
        goal: "< 100 MB".to_owned(),
        is_met: grown < 95.0,
    });
    Ok(())
}
