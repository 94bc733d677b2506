//! Chance that is the same in every run, on every machine and in every version of our dependencies.

use sha2::{Digest, Sha256};

/// A source of chance: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// The chance of this seed for this purpose: what is thrown for one purpose does not move what is thrown for another.
    pub fn new(seed: u64, purpose: &str) -> Self {
        Dice(hash(&[&seed.to_le_bytes(), purpose.as_bytes()]))
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 up to, without, `end`; 0 when there is none.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.roll()) * end as u128) >> 64) as usize
    }

    /// A number from `start` up to, without, `end`.
    pub fn between(&mut self, start: usize, end: usize) -> usize {
        start + self.below(end.saturating_sub(start))
    }

    /// True with this probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        // Always thrown, so that a probability of nothing moves nothing else.
        let thrown = (self.roll() >> 11) as f64 / (1u64 << 53) as f64;
        thrown < probability
    }

    /// One of them; none of none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let at = self.below(of.len());
        of.get(at)
    }

    /// The index of a weight, as often as it weighs.
    pub fn weighed(&mut self, weights: &[f64]) -> usize {
        let mut thrown = (self.roll() >> 11) as f64 / (1u64 << 53) as f64 * weights.iter().sum::<f64>();
        weights
            .iter()
            .position(|weight| {
                thrown -= weight;
                thrown < 0.0
            })
            .unwrap_or(0)
    }
}

/// 64 bits out of these words.
pub fn hash(words: &[&[u8]]) -> u64 {
    u64::from_le_bytes(digest(words)[..8].try_into().unwrap_or_default())
}

/// 32 bytes out of these words.
pub fn digest(words: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for word in words {
        hasher.update((word.len() as u64).to_le_bytes());
        hasher.update(word);
    }
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_repeats_itself() {
        let throw = |seed, purpose| {
            let mut dice = Dice::new(seed, purpose);
            [dice.roll(), dice.roll(), dice.below(10) as u64]
        };
        assert_eq!(throw(7, "a"), throw(7, "a"));
        assert_ne!(throw(7, "a"), throw(7, "b"));
        assert_ne!(throw(7, "a"), throw(8, "a"));
    }

    #[test]
    fn numbers_are_spread_and_bounded() {
        let mut dice = Dice::new(1, "spread");
        let mut seen = [0; 5];
        (0..5000).for_each(|_| seen[dice.below(5)] += 1);
        assert!(seen.iter().all(|count| (850..1150).contains(count)), "{seen:?}");
        assert_eq!((dice.below(0), dice.between(3, 4)), (0, 3));
        assert!(!(0..1000).any(|_| dice.chance(0.0)) && (0..1000).all(|_| dice.chance(1.0)));
        let heavy = (0..1000).filter(|_| dice.weighed(&[1.0, 9.0]) == 1).count();
        assert!((850..950).contains(&heavy), "{heavy}");
    }
}
