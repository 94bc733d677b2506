//! Planted bugs and points of death, to find out whether the tests would notice.
//!
//! `PLYR_SABOTAGE` names what is switched on, separated by commas: one of [`BUGS`] or [`TWISTS`], or `die:POINT:N`, which
//! ends the process as SIGKILL would when it comes through that one of [`POINTS`] for the Nth time. Only builds with debug
//! assertions have any of it; in a release it compiles to nothing.

#[cfg(debug_assertions)]
use std::collections::HashMap;
#[cfg(debug_assertions)]
use std::sync::{LazyLock, Mutex, PoisonError};

/// Every planted bug, and what goes wrong with it.
pub const BUGS: &[(&str, &str)] = &[
    ("older-rev-wins", "a change at an older rev takes the place of a newer record"),
    ("equal-rev-overwrites", "of two proven records at one rev the later to arrive is kept"),
    ("report-beats-proof", "what a source says without proof replaces what was proven at the same rev"),
    ("old-proof-wins", "a snapshot replaces what a later commit proved"),
    ("late-report-refuted", "a proof refutes what was reported after it was asked for"),
    ("passed-stretch-forgotten", "a change that a resync has passed already is applied once more"),
    ("ignore-since", "a commit that does not follow on the one before counts as if it did"),
    ("ignore-prev-data", "a commit that was made on another tree counts as if it were on ours"),
    ("ignore-jumps", "a commit that passes over a state that was proven counts as its successor"),
    ("no-seen-rev", "the newest rev that anything proved is not remembered"),
    ("no-trail", "the commits of a repo that is not whole are not remembered"),
    ("no-epoch", "a repo restored from a backup is taken for a slow mirror"),
    ("any-old-snapshot", "a repo as it was before the stream went on is taken for its present"),
    ("stretch-gap-accepted", "a stretch of a repo need not begin where the one before it ended"),
    ("synced-rev-too-early", "a repo counts as read up to its rev after the first stretch"),
    ("doubt-forgotten", "a repo that lost something while it was read is whole at the end of the reading"),
    ("resync-without-deletes", "what a whole repo does not hold stays"),
    ("proof-of-another-epoch", "an answer from before a restore is believed"),
    ("sync-ignored", "an announcement of a new state does nothing"),
    ("reports-count-as-proven", "what was only reported is marked as proven"),
    ("report-moves-rev", "a report moves the head of the chain"),
    ("reports-never-proven", "nobody asks for the proof of what was reported"),
    ("account-ignored", "events about an account's standing do nothing"),
    ("missed-forgotten", "an event that could not be verified does not have its repo read"),
    ("no-tombstone", "a deletion leaves nothing that would defend it against a repetition"),
    ("like-counted-per-record", "two likes of one person are two"),
    ("links-counted-per-record", "two records of one person that name a thing are two people"),
    ("shares-bring-no-likes", "who likes a post does not like what it shares"),
    (
        "gone-share-keeps-likes",
        "when a post goes or its author is hidden, its likes still count for what it shared",
    ),
    ("early-likes-forgotten", "a like that is seen before the post that it is of counts for nothing"),
    ("no-turns", "a like and the coming or going of the share that it is of may not see each other"),
    ("play-counted-per-record", "one play in two namespaces is two"),
    ("handles-mean-now", "what was named by a handle moves to whoever has the handle now"),
    ("chart-ignores-status", "what hidden people hear goes on making charts"),
    ("chart-without-hour-limit", "a thousand plays within an hour are a thousand"),
    ("chart-takes-bursts", "accounts of one host make a chart by themselves"),
    ("chart-vouches-for-all", "who is new or anonymous counts as if others vouched for them"),
    ("counts-ignore-status", "what hidden people write is counted"),
    ("ignore-future-rev", "a rev that no clock has reached is believed"),
    ("busy-database-drops", "what a database that is away does not take is dropped"),
    ("refused-batch-dropped", "a batch that the database refuses is dropped as a whole"),
    ("cursor-past-the-unfinished", "the cursor is saved past events that are not applied"),
    ("accept-high-s", "of a signature's two forms both are taken"),
    ("accept-any-signature", "nobody looks at the signature"),
    ("did-not-compared", "a commit of another account will do"),
    ("rev-not-compared", "the rev of an event need not be that of its commit"),
    ("skip-inversion", "a commit may keep quiet about a change"),
    ("skip-mst-membership", "a created record need not stand in the tree"),
    ("fold-first-op-wins", "of two changes of a record in one commit the first counts"),
    ("skip-block-hash", "bytes need not be what their CID names"),
    ("no-key-refresh", "a signature is judged by the key that was known before"),
    ("identity-ignored", "events about handles and keys do nothing"),
    ("crash-unnoticed", "what a crash of the database took back is counted as applied"),
    ("connection-out-of-step", "a connection whose user went away serves others as it is"),
    ("cursor-before-data", "the cursor is saved before what it accounts for"),
    ("full-lane-forgotten", "what does not fit into memory is dropped without a word"),
    ("gap-ignored", "missing numbers of a stream mean nothing"),
    ("report-cid-not-checked", "a reported record may be other than its CID names"),
    ("jetstream-sync-ignored", "a Jetstream's announcement of a new state does nothing"),
    ("account-believed-unconfirmed", "any host's word about an account is believed"),
    ("unknown-is-gone", "an account whose PDS does not answer counts as deleted"),
    ("deleted-not-erased", "a deleted account's records stay"),
    ("status-moves-no-counts", "who is hidden goes on being counted"),
    ("handle-one-way", "a handle need not resolve to who claims it"),
    ("compare-finds-nothing", "repos that stand elsewhere at their PDS count as the same"),
];

/// What is no bug, but rarer outside than the tests want it.
pub const TWISTS: &[(&str, &str)] = &[("short-stretches", "whole repos come in stretches of three records")];

/// Every point of death.
pub const POINTS: &[&str] = &[
    "apply-after-commit",
    "apply-before-commit",
    "backfill-listed",
    "backfill-read",
    "chart-before-commit",
    "cursor-saved",
    "job-claimed",
    "stretch-applied",
];
#[cfg(debug_assertions)]
static WORDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    // Read here and not with the settings: it is none, and unit tests have no settings.
    let words = std::env::var("PLYR_SABOTAGE").unwrap_or_default();
    words.split(',').map(|word| word.trim().to_owned()).filter(|word| !word.is_empty()).collect()
});

/// Whether this planted bug is switched on.
#[cfg(debug_assertions)]
pub fn is_on(bug: &str) -> bool {
    !WORDS.is_empty() && WORDS.iter().any(|word| word == bug)
}

/// Whether this planted bug is switched on: never, in a release.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn is_on(_: &str) -> bool {
    false
}

/// A named point at which the process may be told to die, without a word and without unwinding.
#[cfg(debug_assertions)]
pub fn point(name: &str) {
    static PASSED: LazyLock<Mutex<HashMap<String, u64>>> = LazyLock::new(Mutex::default);
    let wanted =
        WORDS.iter().find_map(|word| word.strip_prefix("die:")?.strip_prefix(name)?.strip_prefix(':'));
    let Some(wanted) = wanted.and_then(|count| count.parse::<u64>().ok()) else { return };
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    let passed = passed.entry(name.to_owned()).or_default();
    *passed += 1;
    if *passed == wanted {
        // SAFETY: a signal to ourselves, with no memory involved.
        unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        std::thread::park();
    }
}

/// A named point at which the process may be told to die: never, in a release.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_: &str) {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    /// All that is said to `sabotage::WORD("…")` in the sources below a folder.
    fn said(folder: &Path, word: &str, names: &mut BTreeSet<String>) {
        let call = format!("sabotage::{word}(\"");
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
        {
            if entry.is_dir() {
                said(&entry, word, names);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&entry).expect("a source");
                let calls = text.split(&call).skip(1);
                names.extend(calls.filter_map(|rest| Some(rest.split_once("\")")?.0.to_owned())));
            }
        }
    }

    #[test]
    fn what_is_planted_is_listed_and_what_is_listed_is_planted() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout");
        let all = |word: &str| {
            let mut names = BTreeSet::new();
            ["indexer/src", "appview/src", "src"]
                .iter()
                .for_each(|folder| said(&root.join(folder), word, &mut names));
            names
        };
        let listed = super::BUGS.iter().chain(super::TWISTS);
        let bugs: BTreeSet<String> = listed.clone().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(all("is_on"), bugs);
        assert_eq!(bugs.len(), listed.count(), "a name is listed twice");
        // `make mutants` reads them here.
        super::BUGS.iter().for_each(|(name, what)| println!("planted\t{name}\t{what}"));
        assert_eq!(all("point"), super::POINTS.iter().map(|name| (*name).to_owned()).collect());
    }
}
