//! What one host or relay has told, and can tell again.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::wire::Frame;

/// Frames by sequence number; there may be holes.
#[derive(Debug, Default)]
pub struct Log {
    entries: VecDeque<(i64, Frame)>,
    last: i64,
    window: usize,
}

impl Log {
    /// An empty log that keeps so many frames.
    pub fn new(window: usize) -> Self {
        Log { entries: VecDeque::new(), last: 0, window: window.max(1) }
    }

    /// Adds a frame under the next number; none is one that got lost.
    pub(super) fn push(&mut self, frame: Option<Frame>) {
        self.last += 1;
        let Some(frame) = frame else { return };
        if self.entries.len() == self.window {
            self.entries.pop_front();
        }
        self.entries.push_back((self.last, frame));
    }

    /// The highest number given.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// The lowest number that can still be replayed; the next, when there is none.
    pub fn first(&self) -> i64 {
        self.entries.front().map_or(self.last + 1, |(seq, _)| *seq)
    }

    /// Up to `most` frames after a number, with the number of each.
    pub fn after(&self, seq: i64, most: usize) -> Vec<(i64, Bytes)> {
        let from = self.entries.partition_point(|(held, _)| *held <= seq);
        self.entries.range(from..).take(most).map(|(seq, frame)| (*seq, frame.at(*seq))).collect()
    }
}
