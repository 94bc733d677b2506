//! What was typed with a slip: words that are meant instead.

use std::collections::{BTreeSet, HashMap};

use indexer::search::text::{Folded, START_MAX, slips};
use sqlx::PgConnection;

use crate::error::Error;

/// Words of a question in which slips are looked for.
const WORDS_MAX: usize = 6;
/// Words that each may mean.
const MEANT_MAX: usize = 12;
/// Names that a question may mean as a whole.
const PHRASES_MAX: usize = 64;
/// Shorter words are not taken apart.
const SPLIT_MIN: usize = 4;

/// What a question may mean.
#[derive(Debug, Default)]
pub(super) struct Meant {
    /// For each word that may mean something, what.
    pub words: Vec<Vec<String>>,
    /// The same, but words that are known mean themselves: what has all of a question's common words in some form may be much.
    pub likely: Vec<Vec<String>>,
    /// Whether one of the words is not known.
    pub has_slip: bool,
    /// Beginnings of names.
    pub phrases: Vec<String>,
}

/// What the words may mean that were typed.
pub(super) async fn meant(db: &mut PgConnection, typed: &Folded) -> Result<Meant, Error> {
    let mut words = typed.words();
    words.truncate(WORDS_MAX);
    // What was typed apart may be one word.
    words.extend(typed.joined());
    let known = alike(db, &words).await?;
    let mut meant: Vec<Vec<String>> = words
        .iter()
        .enumerate()
        .map(|(at, word)| nearest(word, known.get(&at).into_iter().flatten()))
        .collect();
    let mut phrases = split(db, &typed.letters).await?;
    if typed.joined().is_some() {
        phrases.extend(meant.pop().into_iter().flatten());
    }
    phrases.extend(together(&meant));
    let has_slip = words.iter().zip(&meant).any(|(word, any)| !any.contains(word));
    let likely = words.iter().zip(&meant).map(|(word, any)| match any.contains(word) {
        true => vec![word.clone()],
        false => any.clone(),
    });
    let likely = likely.filter(|any| !any.is_empty()).collect();
    Ok(Meant { likely, has_slip, words: meant.into_iter().filter(|any| !any.is_empty()).collect(), phrases })
}

/// Known words that are one slip away from these, share much with them, or have them inside; by position.
async fn alike(db: &mut PgConnection, words: &[String]) -> Result<HashMap<usize, BTreeSet<String>>, Error> {
    let (mut forms, mut of) = (Vec::new(), Vec::new());
    for (at, word) in (0i64..).zip(words) {
        for form in slips(word) {
            forms.push(form);
            of.push(at);
        }
    }
    let rows = sqlx::query!(
        r#"(select f.n as "n!", s.word as "word!"
              from unnest($1::text[], $2::bigint[]) as f (form, n)
             cross join lateral (select word from search_slip s where s.form = f.form collate "C" limit 200) as s)
           union
           (select w.n - 1, near.word from unnest($3::text[], $4::text[], $5::boolean[]) with ordinality as w (word, pattern, has_letters, n)
             cross join lateral (
               (select word from search_word k where k.word = w.word collate "C")
               union all
               (select word from search_word k where char_length(w.word) > 3 and w.has_letters and k.word % w.word
                   and not exists (select from search_word same where same.word = w.word collate "C")
                 order by similarity(k.word, w.word) desc, k.word limit 20)
               union all
               (select word from search_word k where w.has_letters and k.word like '%' || w.pattern || '%'
                 order by char_length(k.word), k.word limit 20)) as near)"#,
        &forms,
        &of,
        words,
        &words.iter().map(|word| literally(word)).collect::<Vec<String>>(),
        &words.iter().map(|word| has_trigram(word)).collect::<Vec<bool>>()
    )
    .fetch_all(db)
    .await?;
    let mut alike: HashMap<usize, BTreeSet<String>> = HashMap::new();
    for row in rows {
        alike.entry(usize::try_from(row.n).unwrap_or(0)).or_default().insert(row.word);
    }
    Ok(alike)
}

/// Whether there are three letters or digits in a row, which the index of parts of words goes by: without, it would be read whole.
fn has_trigram(word: &str) -> bool {
    word.split(|c: char| !c.is_alphanumeric()).any(|part| part.chars().count() >= 3)
}

/// As a pattern in which every character means itself.
fn literally(word: &str) -> String {
    word.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Those of them that `word` may well mean, the likeliest first.
fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a String>) -> Vec<String> {
    let length = word.chars().count();
    let mut near: Vec<(usize, &String)> = known
        .filter_map(|other| {
            let distance = strsim::osa_distance(word, other);
            let may_be = distance <= 1 || distance <= 2 && length >= 6 || distance <= 3 && length >= 10;
            // What has it inside comes after what is a slip away.
            let distance = if may_be { distance } else { 10 + distance };
            (may_be || other.contains(word)).then_some((distance, other))
        })
        .collect();
    near.sort();
    near.into_iter().take(MEANT_MAX).map(|(_, other)| other.clone()).collect()
}

/// All ways to put one of each together, those that change least first.
fn together(meant: &[Vec<String>]) -> Vec<String> {
    let mut phrases = vec![String::new()];
    for any in meant.iter().filter(|any| !any.is_empty()) {
        let each = any.iter().take(1.max(PHRASES_MAX / phrases.len()));
        phrases = each
            .flat_map(|word| {
                phrases
                    .iter()
                    .map(move |begun| if begun.is_empty() { word.clone() } else { format!("{begun} {word}") })
            })
            .take(PHRASES_MAX)
            .collect();
    }
    phrases.retain(|phrase| !phrase.is_empty());
    phrases.into_iter().map(|phrase| phrase.chars().take(START_MAX).collect()).collect()
}

/// Two words that stand together, or with another character in the place of the space.
async fn split(db: &mut PgConnection, letters: &str) -> Result<Vec<String>, Error> {
    let words: Vec<&str> = letters.split(' ').take(WORDS_MAX).collect();
    let mut ways = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let characters: Vec<char> = word.chars().collect();
        if characters.len() < SPLIT_MIN || characters.len() > START_MAX {
            continue;
        }
        for cut in 1..characters.len() {
            let left: String = characters[..cut].iter().collect();
            for from in [cut, cut + 1].into_iter().filter(|from| *from < characters.len()) {
                ways.push((at, left.clone(), characters[from..].iter().collect::<String>()));
            }
        }
    }
    let parts: BTreeSet<&String> = ways.iter().flat_map(|(_, left, right)| [left, right]).collect();
    let parts: Vec<&str> = parts.into_iter().map(String::as_str).collect();
    let known: BTreeSet<String> =
        sqlx::query_scalar!("select word from search_word where word = any($1)", &parts as &[&str])
            .fetch_all(db)
            .await?
            .into_iter()
            .collect();
    let meant = ways.into_iter().filter(|(_, left, right)| known.contains(left) && known.contains(right));
    let phrases = meant.take(PHRASES_MAX).map(|(at, left, right)| {
        let mut words: Vec<&str> = words.clone();
        words.splice(at..=at, [left.as_str(), right.as_str()]);
        words.join(" ").chars().take(START_MAX).collect()
    });
    Ok(phrases.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn the_nearest_word_is_meant_first() {
        let known = strings(&["gold", "golden", "glod", "marigolds", "silver", "god"]);
        assert_eq!(nearest("glod", known.iter()), ["glod", "god", "gold"]);
        assert_eq!(nearest("gold", known.iter()), ["gold", "glod", "god", "golden", "marigolds"]);
    }

    #[test]
    fn words_are_put_together_without_end() {
        let many: Vec<String> = (0..12).map(|n| format!("word{n}")).collect();
        let phrases = together(&[many.clone(), many.clone(), many.clone(), many]);
        assert!(phrases.len() <= PHRASES_MAX, "{}", phrases.len());
        assert_eq!(phrases[0], "word0 word0 word0 word0");
        assert_eq!(together(&[strings(&["a", "b"]), vec![], strings(&["c"])]), ["a c", "b c"]);
    }
}
