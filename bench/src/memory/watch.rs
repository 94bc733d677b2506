//! What a process occupies, looked at again and again.

use std::time::Duration;

use super::{Told, mib};
use crate::process::Process;

/// How often.
pub const EVERY: Duration = Duration::from_millis(100);

/// What was seen: events told until then, and MiB.
#[derive(Debug, Default)]
pub struct Watch(Vec<(u64, f64)>);

impl Watch {
    /// Looks once.
    pub fn look(&mut self, plyr: &Process, told: &Told) -> anyhow::Result<()> {
        self.0.push((told.events(), mib(plyr.memory()?.now)));
        Ok(())
    }

    /// On average in one quarter of the events, the first being 0.
    pub fn mean(&self, events: usize, quarter: u64) -> f64 {
        let events = events as u64;
        let within = events * quarter / 4..=events * (quarter + 1) / 4;
        let seen: Vec<f64> =
            self.0.iter().filter(|(told, _)| within.contains(told)).map(|(_, mib)| *mib).collect();
        seen.iter().sum::<f64>() / seen.len() as f64
    }
}
