//! How far a stream is finished when its events finish in any order.

use std::collections::VecDeque;

use crate::sabotage;

/// The events in flight, in the order received.
#[derive(Debug, Default)]
pub(super) struct Watermark {
    first: u64,
    events: VecDeque<(i64, bool)>,
    mark: Option<i64>,
    /// The event received last was of no concern, and has the last place.
    is_passing: bool,
}

impl Watermark {
    /// An event was received. Returns its place in line.
    pub fn begin(&mut self, seq: i64) -> u64 {
        self.is_passing = false;
        self.events.push_back((seq, false));
        self.first + self.events.len() as u64 - 1
    }

    /// An event was received that is finished already. However many come one after another, while something before them
    /// is not, they share a place: nearly all of a network's events are of no concern.
    pub fn pass(&mut self, seq: i64) {
        match self.events.back_mut() {
            None => self.mark = self.mark.max(Some(seq)),
            Some(last) if self.is_passing => last.0 = last.0.max(seq),
            Some(_) => {
                self.events.push_back((seq, true));
                self.is_passing = true;
            }
        }
    }

    /// Events are finished for good.
    pub fn finish(&mut self, places: impl IntoIterator<Item = u64>) {
        for place in places {
            if let Some(event) =
                place.checked_sub(self.first).and_then(|index| self.events.get_mut(index as usize))
            {
                event.1 = true;
            }
        }
        while let Some((seq, true)) = self.events.front().copied() {
            self.events.pop_front();
            self.first += 1;
            self.mark = self.mark.max(Some(seq));
        }
    }

    /// The event received last, finished or not.
    pub fn newest(&self) -> Option<i64> {
        self.events.back().map(|(seq, _)| *seq).or(self.mark)
    }

    /// The highest seq with nothing unfinished before it.
    pub fn mark(&self) -> Option<i64> {
        self.mark
    }

    /// What the mark will be once these too are finished.
    pub fn mark_with(&self, places: &[u64]) -> Option<i64> {
        let mut places = places.to_vec();
        places.sort_unstable();
        let line = self.events.iter().zip(self.first..);
        let is_done = |done: bool, place: &u64| done || places.binary_search(place).is_ok();
        let done = line.take_while(|((_, done), place)| {
            is_done(*done, place) || sabotage::is_on("cursor-past-the-unfinished")
        });
        done.map(|((seq, _), _)| *seq).fold(self.mark, |mark, seq| mark.max(Some(seq)))
    }
}

#[cfg(test)]
mod tests {
    use super::Watermark;
    use proptest::prelude::*;

    #[test]
    fn holes_hold_it_back() {
        let mut line = Watermark::default();
        let places: Vec<u64> = [10, 12, 17].into_iter().map(|seq| line.begin(seq)).collect();
        line.finish([places[1]]);
        assert_eq!((line.mark(), line.mark_with(&[places[0]])), (None, Some(12)));
        line.finish([places[0]]);
        assert_eq!((line.mark(), line.mark_with(&[places[2]])), (Some(12), Some(17)));
    }

    proptest! {
        /// Whatever order events finish in, the mark is what a look at all of them says.
        #[test]
        fn it_is_the_longest_finished_prefix(order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(), upto in 0..40usize) {
            let mut line = Watermark::default();
            let places: Vec<u64> = (0..40).map(|seq| line.begin(seq * 3)).collect();
            let done = &order[..upto];
            line.finish(done.iter().map(|index| places[*index]));
            let prefix = (0..40).take_while(|index| done.contains(index)).last();
            prop_assert_eq!(line.mark(), prefix.map(|index| index as i64 * 3));
        }

        /// Events of no concern between them are finished when they come, and take no more than a place between two.
        #[test]
        fn what_is_of_no_concern_takes_little(
            concern in prop::collection::vec(any::<bool>(), 40),
            order in Just((0..40usize).collect::<Vec<_>>()).prop_shuffle(),
            upto in 0..40usize,
        ) {
            let mut line = Watermark::default();
            let places: Vec<Option<u64>> = (0..40)
                .map(|seq| if concern[seq] { Some(line.begin(seq as i64)) } else { line.pass(seq as i64); None })
                .collect();
            let done = &order[..upto];
            let is_done = |seq: &usize| !concern[*seq] || done.contains(seq);
            let finished: Vec<u64> = done.iter().filter_map(|seq| places[*seq]).collect();
            let prefix = (0..40).take_while(is_done).last().map(|seq| seq as i64);
            prop_assert_eq!(line.mark_with(&finished), prefix);
            line.finish(finished);
            prop_assert_eq!(line.mark(), prefix);
            prop_assert!(line.events.len() <= 2 * concern.iter().filter(|is| **is).count());
        }
    }
}
