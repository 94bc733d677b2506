//! Moments, in microseconds since 1970.

use chrono::{DateTime, SecondsFormat};

/// The beginning of every world that is told no other: 2026-01-01.
pub const START_US: i64 = 1_767_225_600_000_000;

/// A moment as the network writes it.
pub fn rfc3339(timestamp_us: i64) -> String {
    let time = DateTime::from_timestamp_micros(timestamp_us).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
