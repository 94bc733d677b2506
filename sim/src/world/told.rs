//! How what a host tells comes to those who listen, whole or not.

use std::sync::Arc;

use super::{Body, Event, World};
use crate::truth::Standing;
use crate::wire::{self, Cid, CommitBody, Frame};

/// What a listener gets of an event: each frame under a number; none is one that got lost.
type Fate = Vec<Option<Frame>>;

impl World {
    /// A host tells everybody who listens. `body` opens a commit to being tampered with.
    pub(super) fn tell(&mut self, host: usize, event: Arc<Event>, body: Option<&CommitBody>) {
        for frame in self.fate(&event, body) {
            self.hosts[host].log.push(frame);
        }
        for relay in 0..self.relays.len() {
            for frame in self.fate(&event, body) {
                self.relays[relay].expect(host, frame, event.clone());
            }
        }
        // What is false of itself no Jetstream believes; and it tells records, not frames.
        for jet in 0..self.jets.len() {
            if !event.is_lie && !self.is_lost(&event) {
                self.jets[jet].expect(host, event.clone());
            }
        }
    }

    fn is_lost(&mut self, event: &Event) -> bool {
        // Without it a deletion looks like a host that has lost its data.
        let is_deletion = matches!(event.body, Body::Account(Standing::Deleted));
        let lost = !self.is_calm && !is_deletion && self.mischief.chance(self.options.faults.drops);
        if lost
            && matches!(event.body, Body::Identity { .. })
            && let Some(who) = self.by_did.get(&event.did)
        {
            self.unannounced.insert(*who);
        }
        lost
    }

    fn fate(&mut self, event: &Event, body: Option<&CommitBody>) -> Fate {
        let frame = Some(event.frame.clone());
        if self.is_calm {
            return vec![frame];
        }
        if self.is_lost(event) {
            // Lost before it got a number, or after.
            return if self.mischief.chance(0.4) { vec![] } else { vec![None] };
        }
        let altered = body.filter(|_| !event.is_lie).and_then(|body| self.altered(body));
        if let Some(altered) = altered {
            return vec![Some(wire::commit(&altered))];
        }
        match self.mischief.chance(self.options.faults.duplicates) {
            true => vec![frame.clone(), frame],
            false => vec![frame],
        }
    }

    /// The commit as somebody on the way has damaged it, if so.
    fn altered(&mut self, body: &CommitBody) -> Option<CommitBody> {
        let faults = &self.options.faults;
        let rates = [faults.truncated_cars, faults.wrong_prev_data, faults.missing_ops, faults.wrong_bytes];
        let which = rates.iter().position(|rate| self.mischief.chance(*rate))?;
        let mut body = body.clone();
        match which {
            // Between two blocks, or in the middle of one.
            0 => match self.mischief.below(body.blocks.len()) {
                0 => body.cut_bytes = self.mischief.between(1, 200),
                kept => body.blocks.truncate(kept),
            },
            1 => body.prev_data = Some(Cid::of(b"another tree")),
            2 if !body.ops.is_empty() => {
                let at = self.mischief.below(body.ops.len());
                body.ops.remove(at);
            }
            3 => {
                // The last block is a record, where there is one.
                let (_, block) = body.blocks.last_mut()?;
                let mut bytes = block.to_vec();
                *bytes.last_mut()? ^= 1;
                *block = bytes.into();
            }
            _ => return None,
        }
        Some(body)
    }
}
