//! Who is at it in this process: nobody takes all places.

use std::sync::{Arc, Mutex, PoisonError};

/// Uploads that one person may have on their way at once, and that this process takes in all.
const UPLOADS_EACH: usize = 4;
const UPLOADS_MAX: usize = 32;
/// Pages of one address that may listen to progress at once, and all pages.
const LISTENERS_EACH: usize = 10;
const LISTENERS_MAX: usize = 200;

/// The places of a process.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// By DID.
    pub(super) uploads: Row,
    /// By caller, or by upload where no address is known.
    pub(super) listeners: Row,
}

impl Default for Places {
    fn default() -> Self {
        Places {
            uploads: Row::new(UPLOADS_EACH, UPLOADS_MAX),
            listeners: Row::new(LISTENERS_EACH, LISTENERS_MAX),
        }
    }
}

/// Places of one kind.
#[derive(Debug, Clone)]
pub(super) struct Row {
    taken: Arc<Mutex<Vec<String>>>,
    each: usize,
    max: usize,
}

/// Held until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    taken: Arc<Mutex<Vec<String>>>,
    whose: String,
}

impl Row {
    fn new(each: usize, max: usize) -> Self {
        Row { taken: Arc::default(), each, max }
    }

    /// A place, if there is one and `whose` has not got all of theirs.
    pub fn take(&self, whose: &str) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let own = taken.iter().filter(|other| *other == whose).count();
        if own >= self.each || taken.len() >= self.max {
            return None;
        }
        taken.push(whose.to_owned());
        Some(Place { taken: Arc::clone(&self.taken), whose: whose.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = taken.iter().position(|other| *other == self.whose) {
            taken.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_places() {
        let row = Row::new(4, 32);
        let mut taken: Vec<Place> = (0..4).map(|_| row.take("a").expect("free")).collect();
        assert!(row.take("a").is_none());
        taken.extend((4..32).map(|number| row.take(&number.to_string()).expect("free")));
        assert!(row.take("b").is_none());
        taken.remove(0);
        drop(row.take("a").expect("free again"));
        assert!(row.take("b").is_some());
    }
}
