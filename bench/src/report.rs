//! The table that a run prints, and `BENCHMARKS.md` keeps.

use std::time::Duration;

use anyhow::Context;

/// One line: what was measured, how much, and what it is held against.
#[derive(Debug, Clone)]
pub struct Line {
    /// What, e.g. `verified decode`.
    pub what: String,
    /// How much, with its unit, e.g. `0.041 core per 1,000 commits/s`.
    pub measured: String,
    /// What the same run measured as the limit or the peer, e.g. `1.3 × its hashes and signature check`.
    pub against: String,
    /// What is promised, e.g. `≤ 0.06 core, ≤ 1.6 ×`.
    pub goal: String,
    /// Whether the promise is kept.
    pub is_met: bool,
}

/// Collects lines.
#[derive(Debug)]
pub struct Report {
    only: Vec<String>,
    lines: Vec<Line>,
}

impl Report {
    /// Of these benches; of all, when none is named.
    pub fn new(only: Vec<String>) -> Self {
        Report { only, lines: Vec::new() }
    }

    /// Whether a bench was asked for.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// Adds a line, and says it at once.
    pub fn add(&mut self, line: Line) {
        eprintln!("{}: {} ({}); goal {}", line.what, line.measured, line.against, line.goal);
        self.lines.push(line);
    }

    /// Prints the table in Markdown, with the machine and the date.
    pub fn print(&self) {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        println!("{}, {cores} cores of {}\n", chrono::Utc::now().format("%Y-%m-%d"), processor());
        println!("| what | measured | against | goal | |\n|---|---|---|---|---|");
        for line in &self.lines {
            let verdict = if line.is_met { "met" } else { "**missed**" };
            println!("| {} | {} | {} | {} | {verdict} |", line.what, line.measured, line.against, line.goal);
        }
    }
}

/// A number that the environment names for a shorter or longer run, e.g. `BENCH_SECONDS`.
pub fn wanted(name: &str, usual: usize) -> anyhow::Result<usize> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}: {text:?} is no number")),
        Err(_) => Ok(usual),
    }
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("an unknown processor", |(_, name)| name).to_owned()
}

/// Processor time that this process has used so far, all threads, kernel included.
pub fn processor_time() -> Duration {
    processor_time_of("self")
}

/// The same of another process, by its id.
pub fn processor_time_of(process: &str) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // After the name in parentheses: fields 14 and 15 are user and system time, in ticks of 10 ms.
    // Some of them are negative: they keep their places.
    let fields: Vec<i64> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    let ticks: i64 = fields.iter().skip(10).take(2).sum();
    Duration::from_millis(ticks.unsigned_abs() * 10)
}

/// How durations are spread.
#[derive(Debug)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// Half of them are shorter.
    pub p50: Duration,
    /// All but one of a hundred.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
}

impl Spread {
    /// Of these.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: f64| {
            let rank = (times.len() as f64 * share).ceil() as usize;
            times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Spread { count: times.len(), p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, max] = [self.p50, self.p99, self.max].map(ms);
        write!(f, "p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms")
    }
}

/// In milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
