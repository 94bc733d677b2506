//! The oracle: what plyr's tables must hold once it has seen all of a simulated world.
//!
//! An independent reading of the rules. It looks at the world's last state alone and at nothing of the indexer's, so that the
//! two can only agree where both are right. Rows are JSON, times in it microseconds since 1970.

mod check;
mod project;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::truth::{Account, Record, Repo, Standing, Truth};
use project::{Count, Projected};

/// Rows by key.
pub type Table = BTreeMap<String, Value>;
/// Tables by name.
pub type Tables = BTreeMap<&'static str, Table>;

/// Every table that is told of, whether or not it has a row.
pub const TABLES: [&str; 14] = [
    "actor",
    "actor_status",
    "bsky_profile",
    "comment",
    "list",
    "list_item",
    "play",
    "plyr_like",
    "profile",
    "record",
    "record_problem",
    "repo",
    "subject_count",
    "track",
];

/// What the tables must hold.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    people: BTreeMap<String, Person>,
    /// Numbers of each subject: distinct likers, comments, distinct plays.
    counts: BTreeMap<String, [u64; 3]>,
}

/// What there must be of one account, if it is known at all.
#[derive(Debug, Clone)]
struct Person {
    standing: Standing,
    /// It has records of ours, or somebody's track features it: it must be known.
    must: bool,
    /// It has records of ours: its repo must be followed.
    tracked: bool,
    actor: Value,
    repo: Option<Value>,
    rows: Vec<(&'static str, String, Value)>,
}

/// What is known of an account in the tables that are judged: the oracle cannot tell whom a bygone record has made known.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Everybody in `actor`.
    pub actors: BTreeSet<String>,
    /// Whose repos are followed: any state but `unknown`.
    pub followed: BTreeSet<String>,
    /// Of whose repos any rev was ever proven.
    pub seen: BTreeSet<String>,
    /// Nothing was lost without a word. Otherwise what people have whose repos are not followed is as old as what was seen
    /// of them.
    pub nothing_lost: bool,
}

impl Expected {
    /// Folds a world. `namespace` is the first part of our collections' names, `public_url` the origin of our track pages.
    pub fn of(truth: &Truth, namespace: &str, public_url: &str) -> Self {
        let reader = project::Reader::new(namespace, public_url);
        let mut expected = Expected::default();
        let mut featured = BTreeSet::new();
        let mut counted = BTreeSet::new();
        let mut comments = BTreeMap::<String, u64>::new();
        for (did, account) in &truth.accounts {
            let mut person = Person::new(account);
            if let Some(repo) = account.repo.as_ref().filter(|_| account.standing != Standing::Deleted) {
                for (path, record) in &repo.records {
                    let Some(projected) = person.hold(&reader, did, path, record) else { continue };
                    if account.standing != Standing::Active {
                        continue;
                    }
                    featured.extend(projected.features);
                    match projected.count {
                        Some(Count::Comment(subject)) => *comments.entry(subject).or_default() += 1,
                        // Once, however often it stands there.
                        Some(count) => drop(counted.insert((did.clone(), count))),
                        None => {}
                    }
                }
            }
            expected.people.insert(did.clone(), person);
        }
        for (_, count) in counted {
            let (subject, place) = match count {
                Count::Like(subject) => (subject, 0),
                Count::Play { subject, .. } => (subject, 2),
                Count::Comment(_) => continue,
            };
            expected.counts.entry(subject).or_default()[place] += 1;
        }
        for (subject, number) in comments {
            expected.counts.entry(subject).or_default()[1] = number;
        }
        for did in &featured {
            if let Some(person) = expected.people.get_mut(did) {
                person.must |= person.standing == Standing::Active;
            }
        }
        expected
    }

    /// The tables, rows of those people whose content can be told: nobody hidden, for what is stored of them is as old as
    /// what was seen of them, and a stranger only where they must be known.
    pub fn tables(&self, known: &Known) -> Tables {
        let mut tables: Tables = TABLES.into_iter().map(|name| (name, Table::new())).collect();
        let mut put = |table: &'static str, key: &str, row: Value| {
            tables.entry(table).or_default().insert(key.to_owned(), row);
        };
        for (did, person) in &self.people {
            if !person.must && !known.actors.contains(did) {
                continue;
            }
            if person.standing != Standing::Deleted || known.seen.contains(did) {
                put("actor", did, person.actor.clone());
            }
            if !self.judges(did, known) || person.standing == Standing::Deleted {
                continue;
            }
            if let Some(repo) =
                person.repo.as_ref().filter(|_| person.tracked || known.followed.contains(did))
            {
                put("repo", did, repo.clone());
            }
            for (table, key, row) in &person.rows {
                put(table, key, row.clone());
            }
        }
        for (subject, [likes, comments, plays]) in &self.counts {
            put("subject_count", subject, json!({"likes": likes, "comments": comments, "plays": plays}));
        }
        tables
    }

    /// Whether rows of this account are judged. Those of hidden people are not; a deleted one's must be gone.
    pub fn judges(&self, did: &str, known: &Known) -> bool {
        self.people.get(did).is_none_or(|person| match person.standing {
            Standing::Active => person.tracked || known.nothing_lost || known.followed.contains(did),
            Standing::Deleted => true,
            _ => false,
        })
    }

    /// Whether the `actor` row of this account is judged: a deleted one of whom nothing was ever seen may be taken for
    /// somebody who has nothing.
    pub fn judges_actor(&self, did: &str, known: &Known) -> bool {
        let is_deleted = self.people.get(did).is_some_and(|person| person.standing == Standing::Deleted);
        !is_deleted || known.seen.contains(did)
    }
}

impl Person {
    fn new(account: &Account) -> Self {
        let status = match account.standing {
            Standing::Active => "active",
            Standing::Deactivated => "deactivated",
            Standing::Suspended => "suspended",
            Standing::Takendown => "takendown",
            Standing::Deleted => "deleted",
        };
        let actor = match account.standing {
            Standing::Active => json!({"status": status, "handle": account.handle, "pds": account.pds}),
            _ => json!({"status": status}),
        };
        let repo = account
            .repo
            .as_ref()
            .map(|Repo { rev, root, .. }| json!({"state": "synchronized", "rev": rev, "data_root": root}));
        Person { standing: account.standing, must: false, tracked: false, actor, repo, rows: Vec::new() }
    }

    /// Takes a record of theirs, if it is one that is indexed, and says what follows from it for others.
    fn hold(
        &mut self,
        reader: &project::Reader,
        did: &str,
        path: &str,
        record: &Record,
    ) -> Option<Projected> {
        let (collection, rkey) = path.split_once('/')?;
        let kind = reader.kind(collection)?;
        let uri = format!("at://{did}/{path}");
        let is_ours = kind != project::Kind::BskyProfile;
        self.tracked |= is_ours;
        self.must |= is_ours && self.standing == Standing::Active;
        let value: String = record.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let row = json!({"cid": record.cid, "value": value, "proven": true});
        self.rows.push(("record", uri.clone(), row));
        let read =
            check::check(kind, collection, rkey, record).and_then(|()| reader.read(kind, did, path, record));
        match read {
            Ok(projected) => {
                self.rows.extend(projected.rows.iter().cloned());
                Some(projected)
            }
            Err(why) => {
                tracing::trace!(uri, why, "breaks its lexicon");
                self.rows.push(("record_problem", uri, json!({})));
                None
            }
        }
    }
}

/// The differences of two sets of tables, a line each: table, key, what was expected, what was found.
pub fn differences(expected: &Tables, found: &Tables) -> Vec<String> {
    let mut lines = Vec::new();
    let empty = Table::new();
    for name in TABLES {
        let (expected, found) = (expected.get(name).unwrap_or(&empty), found.get(name).unwrap_or(&empty));
        let keys: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
        for key in keys {
            match (expected.get(key), found.get(key)) {
                (expected, found) if expected == found => {}
                (Some(expected), Some(found)) => {
                    lines.push(format!("{name} {key}: {}", fields(expected, found)))
                }
                (Some(expected), None) => {
                    lines.push(format!("{name} {key}: missing; expected {}", short(expected)))
                }
                (None, Some(found)) => {
                    lines.push(format!("{name} {key}: found, and nothing expected: {}", short(found)))
                }
                (None, None) => {}
            }
        }
    }
    lines
}

/// Only the fields that differ.
fn fields(expected: &Value, found: &Value) -> String {
    let names: BTreeSet<&String> =
        [expected, found].into_iter().filter_map(Value::as_object).flat_map(|row| row.keys()).collect();
    let differing = names.into_iter().filter(|name| expected.get(name) != found.get(name));
    let shown = |row: &Value, name: &String| row.get(name).map_or("nothing".to_owned(), short);
    let parts = differing
        .map(|name| format!("{name} expected {}, found {}", shown(expected, name), shown(found, name)));
    parts.collect::<Vec<_>>().join("; ")
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
