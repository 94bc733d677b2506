//! Accounts that are not to be bothered about for a while: their hosts take more time than others have to give.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::syntax::Did;

/// Accounts remembered. The network names accounts, and could name any number of them.
const MANY: usize = 10_000;

/// Who rests until when. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rests(Arc<Mutex<HashMap<Did, Instant>>>);

impl Rests {
    /// For so long, from now on. Nobody is remembered beyond the limit: then there are worse things to see to.
    pub fn begin(&self, did: &Did, rest: Duration) {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if until.len() >= MANY {
            until.retain(|_, at| *at > now);
        }
        if until.len() < MANY {
            until.insert(did.clone(), now + rest);
        }
    }

    /// How long it still lasts.
    pub fn left(&self, did: &Did) -> Option<Duration> {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = until.get(did)?.saturating_duration_since(Instant::now());
        Some(left).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_ends_and_the_list_of_them_does_not_grow() {
        let rests = Rests::default();
        let did = |number: usize| format!("did:web:host{number}.test").parse::<Did>().expect("a DID");
        rests.begin(&did(0), Duration::from_secs(60));
        assert!(rests.left(&did(0)).is_some_and(|left| left > Duration::from_secs(50)));
        assert_eq!(rests.left(&did(1)), None);
        (1..MANY).for_each(|number| rests.begin(&did(number), Duration::ZERO));
        assert_eq!(rests.left(&did(1)), None);
        rests.begin(&did(MANY), Duration::from_secs(60));
        assert!(rests.left(&did(MANY)).is_some() && rests.left(&did(0)).is_some());
        assert_eq!(rests.0.lock().expect("no panic inside").len(), 2);
    }
}
