//! How far a long command is: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Lines in a log file are for reading later.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Progress {
    noun: &'static str,
    bar: Option<ProgressBar>,
    lines: Mutex<Lines>,
}

/// When the last line was said, and from where on the rate is counted: what an earlier process did took it no time.
struct Lines {
    said_at: Instant,
    began: Option<(Instant, u64)>,
}

impl Progress {
    pub fn new(noun: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} [{per_sec}, {eta} left]");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Progress { noun, bar, lines: Mutex::new(Lines { said_at: Instant::now(), began: None }) }
    }

    pub fn at(&self, done: u64, all: Option<u64>, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(all.unwrap_or(done));
            bar.set_position(done);
            bar.set_message(format!("{} {note}", self.noun));
            return;
        }
        let Ok(mut lines) = self.lines.lock() else { return };
        let (began, done_before) = *lines.began.get_or_insert((Instant::now(), done));
        if lines.said_at.elapsed() < LINE_EVERY {
            return;
        }
        lines.said_at = Instant::now();
        let rate = (done - done_before.min(done)) as f64 / began.elapsed().as_secs_f64().max(0.001);
        let left = all.map_or(String::new(), |all| time_left(all.saturating_sub(done), rate));
        let all = all.map_or(String::new(), |all| format!(" of {all}"));
        eprintln!("{done}{all} {} {note} [{rate:.1}/s{left}]", self.noun);
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}

fn time_left(left: u64, rate: f64) -> String {
    if rate <= 0.0 {
        return String::new();
    }
    let seconds = (left as f64 / rate).min(1e9) as u64;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!(", {seconds} s left"),
        (0, minutes) => format!(", {minutes} min left"),
        (hours, minutes) => format!(", {hours} h {minutes} min left"),
    }
}
