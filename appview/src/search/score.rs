//! How well a name fits what was typed: 1 is the name itself; then come names that begin so, names of which a word does, those
//! that have all the words, those that resemble it. Within each, what is nearly typed out, and what is heard and liked.

use indexer::search::text::Folded;

/// From where each way begins, and how far it reaches.
const BEGINS: f64 = 0.8;
const WORD: f64 = 0.6;
const JOINED: f64 = 0.55;
const WORDS: f64 = 0.4;
const RESEMBLES: f64 = 0.1;
const REACH: f64 = 0.15;
const LIKENESS: f64 = 0.28;
/// A rank that nothing will have: a million times liked or heard.
const RANK_MAX: f64 = 20.0;
/// Characters of which likeness is told.
const COMPARED_MAX: usize = 64;

/// Something by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named<'a> {
    pub name: &'a str,
    /// The part of it that was found.
    pub start: &'a str,
    pub place: i16,
    pub rank: i16,
}

impl Named<'_> {
    /// From 0 to 1: how much of `whole` was typed, and how much it is heard and liked.
    fn worth(&self, typed: &str, whole: &str) -> f64 {
        let (typed, whole) = (typed.chars().count() as f64, whole.chars().count().max(1) as f64);
        0.6 * (typed / whole).min(1.0) + 0.4 * (f64::from(self.rank) / RANK_MAX).min(1.0)
    }
}

/// Of what begins so, somewhere.
pub(super) fn of_start(typed: &Folded, found: Named<'_>) -> f64 {
    let name = typed.name();
    match found.place {
        0 if found.name == name => 1.0,
        0 => BEGINS + REACH * found.worth(&name, found.name),
        2 if found.start == typed.letters => 0.97,
        1 | 2 => WORD + REACH * found.worth(&name, found.start),
        _ => JOINED + 0.05 * found.worth(&name, found.start),
    }
}

/// Of what begins so without its spaces.
pub(super) fn of_joined(joined: &str, found: Named<'_>) -> f64 {
    JOINED + 0.05 * found.worth(joined, found.start)
}

/// Of what has all the words.
pub(super) fn of_words(typed: &Folded, found: Named<'_>) -> f64 {
    WORDS
        + 0.5 * REACH * found.worth(&typed.letters, found.name)
        + 0.5 * REACH * likeness(&typed.letters, found.name)
}

/// Of what resembles it.
pub(super) fn of_likeness(typed: &Folded, found: Named<'_>) -> f64 {
    RESEMBLES + LIKENESS * likeness(&typed.letters, found.name) + 0.02 * f64::from(found.rank) / RANK_MAX
}

fn likeness(one: &str, other: &str) -> f64 {
    let cut = |text: &str| text.chars().take(COMPARED_MAX).collect::<String>();
    strsim::normalized_damerau_levenshtein(&cut(one), &cut(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_comes_before_its_beginning_before_a_word_before_likeness() {
        let typed = Folded::of("rain");
        let of = |name: &str, start: &str, place, rank| of_start(&typed, Named { name, start, place, rank });
        let exact = of("rain", "rain", 0, 0);
        let beginning = of("rain again and again and again", "rain again and again and again", 0, 0);
        let loved = of("rain again and again and again", "rain again and again and again", 0, 20);
        let word = of("rain man rain", "rain", 1, 20);
        let words = of_words(&typed, Named { name: "rain", start: "", place: 4, rank: 20 });
        let likeness = of_likeness(&typed, Named { name: "rain", start: "", place: 4, rank: 20 });
        assert!(exact > loved && loved > beginning && beginning > word && word > words && words > likeness);
        assert!(likeness <= RESEMBLES + LIKENESS + 0.02);
    }
}
