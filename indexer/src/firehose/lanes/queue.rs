//! The queue of one DID's events.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::firehose::told::Told;

/// An event on its way, with the room it takes.
pub(super) struct Event {
    pub place: u64,
    pub seq: i64,
    /// None when the lane was full: the event is not looked at, and its repo read as a whole instead.
    pub told: Option<Told>,
    pub message: Bytes,
    pub _room: OwnedSemaphorePermit,
}

/// What waits of one DID.
pub(super) struct Queue {
    pub events: VecDeque<Event>,
    /// Of their messages.
    pub bytes: usize,
}

impl Queue {
    pub fn of(event: Event) -> Self {
        Queue { bytes: event.message.len(), events: VecDeque::from([event]) }
    }

    pub fn push(&mut self, event: Event) {
        self.bytes += event.message.len();
        self.events.push_back(event);
    }

    pub fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= event.message.len();
        Some(event)
    }
}
