//! How text is taken apart for search: without case, accents and punctuation, into words, beginnings and slips.

use std::collections::BTreeSet;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of a name that are looked at: no record's title is longer than some 250.
const NAME_MAX: usize = 300;
/// Characters of one beginning.
pub const START_MAX: usize = 32;
/// Beginnings of one name.
const STARTS_MAX: usize = 24;
/// Characters of one word.
const WORD_MAX: usize = 32;
/// Words of one thing.
const WORDS_MAX: usize = 64;
/// Words in which a slip is looked for have as many characters.
const SLIP_CHARS: std::ops::RangeInclusive<usize> = 1..=20;

/// A name taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded {
    /// Words with single spaces between them; what is neither letter nor digit separates.
    pub letters: String,
    /// The rest: runs of characters such as `%` or `!!!`.
    pub symbols: Vec<String>,
}

impl Folded {
    /// Takes text apart: compatibility forms become plain ones, accents and points go, case goes, apostrophes join.
    pub fn of(text: &str) -> Self {
        let (mut letters, mut symbols) = (String::new(), Vec::new());
        let (mut symbol, mut is_apart, mut after_letter) = (String::new(), false, false);
        let characters: Vec<char> = plain(text).collect();
        for (at, c) in characters.iter().copied().enumerate() {
            let is_letter = c.is_alphanumeric() || after_letter && is_combining_mark(c);
            after_letter = is_letter;
            if is_letter {
                if is_apart && !letters.is_empty() {
                    letters.push(' ');
                }
                is_apart = false;
                letters.push(c);
            } else if is_apostrophe(c) || c == '.' && is_initial(&characters, at) {
                continue;
            } else {
                is_apart = true;
            }
            if is_letter || c.is_whitespace() {
                take(&mut symbol, &mut symbols);
            } else if !c.is_control() {
                symbol.push(c);
            }
        }
        take(&mut symbol, &mut symbols);
        Folded { letters: letters.nfc().collect(), symbols }
    }

    /// Whether there is nothing to look for.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty() && self.symbols.is_empty()
    }

    /// The name in one text, by which two are the same: its letters, or, if it has none, its symbols.
    pub fn name(&self) -> String {
        if self.letters.is_empty() { self.symbols.join(" ") } else { self.letters.clone() }
    }

    /// Its words, each once, in order: those of scripts that put no spaces between words are their characters.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut add = |word: &str| {
            let word: String = word.chars().take(WORD_MAX).collect();
            if !word.is_empty() && words.len() < WORDS_MAX && !words.contains(&word) {
                words.push(word);
            }
        };
        for word in self.letters.split(' ') {
            let mut from = 0;
            for (at, c) in word.char_indices() {
                if is_word_by_itself(c) {
                    add(&word[from..at]);
                    from = at + c.len_utf8();
                    add(&word[at..from]);
                }
            }
            add(&word[from..]);
        }
        self.symbols.iter().for_each(|symbol| add(symbol));
        words
    }

    /// Where words begin, with what follows, and whether that is where the name begins. Each text once.
    pub fn starts(&self) -> Vec<(String, bool)> {
        let mut starts: Vec<(String, bool)> = Vec::new();
        let mut add = |text: &str, is_first: bool| {
            let start: String = text.chars().take(START_MAX).collect();
            if !start.is_empty()
                && starts.len() < STARTS_MAX
                && !starts.iter().any(|(known, _)| *known == start)
            {
                starts.push((start, is_first));
            }
        };
        let mut before = ' ';
        for (at, c) in self.letters.char_indices() {
            let begins = before == ' ' || is_word_by_itself(c) || is_word_by_itself(before);
            if begins && c != ' ' {
                add(&self.letters[at..], at == 0);
            }
            before = c;
        }
        for symbol in &self.symbols {
            add(symbol, self.letters.is_empty());
        }
        starts
    }

    /// The name without its spaces, where it has some.
    pub fn joined(&self) -> Option<String> {
        let is_apart = self.letters.contains(' ');
        is_apart.then(|| self.letters.chars().filter(|c| *c != ' ').take(START_MAX).collect())
    }
}

/// One form for what differs only in looks.
fn plain(text: &str) -> impl Iterator<Item = char> + '_ {
    text.nfkd()
        .take(2 * NAME_MAX)
        .filter(|c| !is_accent(*c))
        .nfkc()
        .flat_map(char::to_lowercase)
        .flat_map(|c| spelt_out(c).chars().chain(Some(c).filter(|_| spelt_out(c).is_empty())))
        .filter(|c| !is_accent(*c))
        .take(NAME_MAX)
}

/// Marks that people leave out when they type: accents, the points of Hebrew and Arabic, what has no width.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}'
        | '\u{591}'..='\u{5bd}' | '\u{5bf}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{2018}' | '\u{2bc}' | '`' | '\u{b4}' | '\u{2032}')
}

/// Whether a point stands between two letters that stand alone, as in `C.R.E.A.M.`: that is a word.
fn is_initial(characters: &[char], at: usize) -> bool {
    let is_letter =
        |at: Option<usize>| at.and_then(|at| characters.get(at)).is_some_and(|c| c.is_alphanumeric());
    let alone = |at: Option<usize>, beyond: Option<usize>| is_letter(at) && !is_letter(beyond);
    alone(at.checked_sub(1), at.checked_sub(2)) && alone(Some(at + 1), Some(at + 2))
}

/// Letters that no decomposition takes apart, as people type them who do not have them.
fn spelt_out(c: char) -> &'static str {
    match c {
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'ø' => "o",
        'đ' | 'ð' => "d",
        'þ' => "th",
        'ł' => "l",
        'ħ' => "h",
        'ı' => "i",
        'ŋ' => "n",
        'ς' => "σ",
        'ё' => "е",
        _ => "",
    }
}

/// Characters of scripts that write without spaces between words: any of them may be where somebody begins to type.
pub fn is_word_by_itself(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}'        // Thai, Lao
        | '\u{1000}'..='\u{109f}'      // Burmese
        | '\u{1100}'..='\u{11ff}'      // Hangul
        | '\u{1780}'..='\u{17ff}'      // Khmer
        | '\u{3040}'..='\u{30ff}'      // Hiragana, Katakana
        | '\u{3100}'..='\u{318f}'      // Bopomofo, Hangul
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3134f}'
        | '\u{ac00}'..='\u{d7ff}') // Hangul
}

fn take(symbol: &mut String, symbols: &mut Vec<String>) {
    if !symbol.is_empty() && symbols.len() < STARTS_MAX {
        symbols.push(symbol.chars().take(WORD_MAX).collect());
    }
    symbol.clear();
}

/// A word as it is, and without each of its characters: what differs from it by one slip shares one of these forms. Nothing for words
/// that are too long for slips.
pub fn slips(word: &str) -> BTreeSet<String> {
    let characters: Vec<char> = word.chars().collect();
    if !SLIP_CHARS.contains(&characters.len()) || characters.iter().any(|c| is_word_by_itself(*c)) {
        return BTreeSet::new();
    }
    let without = |out: usize| {
        let kept = characters.iter().enumerate().filter(|(at, _)| *at != out);
        kept.map(|(_, c)| *c).collect::<String>()
    };
    (0..characters.len()).map(without).chain([word.to_owned()]).filter(|form| !form.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn folded(text: &str) -> String {
        Folded::of(text).letters
    }

    #[test]
    fn looks_go_and_letters_stay() {
        for (text, expected) in [
            ("  Midnight   RAIN ", "midnight rain"),
            ("Björk – Jóga", "bjork joga"),
            ("Don’t Stop", "dont stop"),
            ("AC/DC", "ac dc"),
            ("D.A.N.C.E. Mr. N.Y. a.example", "dance mr ny a example"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("İstanbul", "istanbul"),
            ("Œuvre Øre Æ", "oeuvre ore ae"),
            ("ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
            ("ﬁne", "fine"),
            ("夜に駆ける", "夜に駆ける"),
            ("がんばれ", "がんばれ"),
            ("한국", "한국"),
            ("Ёлка", "елка"),
            ("हिन्दी", "हिन्दी"),
            ("שָׁלוֹם", "שלום"),
            ("\u{200b}a\u{200d}b", "ab"),
            ("100% _why", "100 why"),
            ("!!!", ""),
        ] {
            assert_eq!(folded(text), expected, "{text}");
        }
        assert_eq!(Folded::of("100% _why !!!").symbols, ["%", "_", "!!!"]);
        assert_eq!(Folded::of("!!!").name(), "!!!");
        assert!(Folded::of(" \u{301}\u{0}").is_empty());
    }

    #[test]
    fn every_word_is_a_beginning() {
        let starts = Folded::of("La la Rain 100%").starts();
        let starts: Vec<(&str, bool)> =
            starts.iter().map(|(start, first)| (start.as_str(), *first)).collect();
        let expected = [
            ("la la rain 100", true),
            ("la rain 100", false),
            ("rain 100", false),
            ("100", false),
            ("%", false),
        ];
        assert_eq!(starts, expected);
        let starts = Folded::of("夜にgo").starts();
        assert_eq!(
            starts.iter().map(|(start, _)| start.as_str()).collect::<Vec<_>>(),
            ["夜にgo", "にgo", "go"]
        );
        assert_eq!(Folded::of("夜にgo!").words(), ["夜", "に", "go", "!"]);
        assert_eq!(Folded::of("mid night").joined().as_deref(), Some("midnight"));
        assert_eq!(Folded::of("midnight").joined(), None);
    }

    proptest! {
        /// Folding what is folded changes nothing, and whatever is kept is bounded.
        #[test]
        fn folding_twice_is_folding_once(text in ".{0,400}") {
            let once = Folded::of(&text);
            let twice = Folded::of(&once.letters);
            prop_assert_eq!(&twice.letters, &once.letters);
            prop_assert!(once.letters.chars().count() <= NAME_MAX);
            prop_assert!(once.starts().len() <= STARTS_MAX);
            prop_assert!(once.words().len() <= WORDS_MAX);
            prop_assert!(once.starts().iter().all(|(start, _)| start.chars().count() <= START_MAX));
        }

        /// One character too many, too few, another, or two exchanged: the forms have one in common.
        #[test]
        fn a_slip_shares_a_form(word in "[a-zà-ÿ0-9]{3,18}", at in 0usize..18, slip in 0u8..4, other in "[a-z]") {
            let mut typed: Vec<char> = word.chars().collect();
            let at = at % (typed.len() - 1);
            match slip {
                0 => drop(typed.remove(at)),
                1 => typed.insert(at, other.chars().next().unwrap_or('x')),
                2 => typed[at] = other.chars().next().unwrap_or('x'),
                _ => typed.swap(at, at + 1),
            }
            let typed: String = typed.into_iter().collect();
            prop_assert!(!slips(&word).is_disjoint(&slips(&typed)), "{} {}", word, typed);
        }
    }
}
