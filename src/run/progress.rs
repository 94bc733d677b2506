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
    said_at: Mutex<Instant>,
}

impl Progress {
    pub fn new(noun: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg} [{per_sec}, {eta} left]");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Progress { noun, bar, said_at: Mutex::new(Instant::now()) }
    }

    pub fn at(&self, done: u64, all: Option<u64>, note: &str) {
        if let Some(bar) = &self.bar {
            bar.set_length(all.unwrap_or(done));
            bar.set_position(done);
            bar.set_message(format!("{} {note}", self.noun));
            return;
        }
        let Ok(mut said_at) = self.said_at.lock() else { return };
        if said_at.elapsed() >= LINE_EVERY {
            *said_at = Instant::now();
            let all = all.map_or(String::new(), |all| format!(" of {all}"));
            eprintln!("{done}{all} {} {note}", self.noun);
        }
    }

    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}
