//! The oracle: what plyr's tables must hold once it has seen all of a simulated world.
//!
//! An independent reading of the rules. It looks at the world's last state alone and at nothing of the indexer's, so that the
//! two can only agree where both are right. Rows are JSON, times in it microseconds since 1970.

mod chart;
mod check;
mod link;
mod project;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::truth::{Account, Record, Repo, Standing, Truth};
use project::{Count, Projected};

/// Rows by key.
pub type Table = BTreeMap<String, Value>;
/// Tables by name.
pub type Tables = BTreeMap<&'static str, Table>;

const POST: &str = "app.bsky.feed.post";

/// Every table that is told of, whether or not it has a row.
const TABLES: [&str; 21] = [
    "actor",
    "actor_status",
    "bsky_profile",
    "chart_member",
    "comment",
    "heard",
    "liked",
    "link",
    "link_count",
    "list",
    "list_item",
    "play",
    "profile",
    "reaction",
    "record",
    "record_problem",
    "repo",
    "shared_post",
    "subject_count",
    "teal_profile",
    "track",
];

/// What the tables must hold.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    people: BTreeMap<String, Person>,
    /// Comments and distinct plays of each subject.
    counts: BTreeMap<String, [u64; 2]>,
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
    /// What names something.
    linking: Vec<Linking>,
}

/// A record that names something.
#[derive(Debug, Clone)]
struct Linking {
    uri: String,
    need: Need,
    /// Of a collection of Bluesky's.
    is_others: bool,
    /// Of tables that depend on nobody else.
    rows: Vec<(&'static str, String, Value)>,
    links: Vec<(&'static str, String)>,
    created_at: i64,
}

/// Whether a record must be held.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Need {
    Must,
    /// Where this post is known to share something.
    Post(String),
    /// Who holds it is not wrong.
    May,
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
    /// Who is hidden, but not as deleted.
    pub hidden: BTreeSet<String>,
    /// Hosts were read each by itself: a deletion may have come before anything made the account known, and been no news
    /// then. So it may be hidden for another reason.
    pub unordered: bool,
    /// Nothing was lost without a word. Otherwise what people have whose repos are not followed is as old as what was seen
    /// of them.
    pub nothing_lost: bool,
    /// Nothing came mangled or was false, either: what a stranger wrote is known as it is.
    pub nothing_false: bool,
    /// Who is followed, so that what comes mangled of them is read again.
    pub follows: BTreeSet<String>,
    /// Records that are held.
    pub held: BTreeSet<String>,
    /// Posts that are known to share something.
    pub shared: BTreeSet<String>,
    /// What records name, as it is held: URI, path, target. What is held of those who are not judged must at least be counted
    /// as it is.
    pub links: Vec<(String, String, String)>,
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
            let Count::Play { subject, .. } = count else { continue };
            expected.counts.entry(subject).or_default()[1] += 1;
        }
        for (subject, number) in comments {
            expected.counts.entry(subject).or_default()[0] = number;
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
            let is_judged = person.standing == Standing::Active && self.judges(did, known);
            let mut others = person.linking.iter().filter(|linking| linking.is_others);
            let must = person.must || is_judged && others.any(|linking| self.needs(linking, known));
            if !must && !known.actors.contains(did) {
                continue;
            }
            if self.judges_actor(did, known) {
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
        self.link(known, &mut tables);
        chart::chart(&mut tables);
        tables
    }

    /// Whether rows of this account are judged. Those of hidden people are not; a deleted one's must be gone.
    pub fn judges(&self, did: &str, known: &Known) -> bool {
        self.people.get(did).is_none_or(|person| match person.standing {
            Standing::Active => {
                let is_known = known.nothing_false || known.follows.contains(did);
                person.tracked || known.nothing_lost && is_known || known.followed.contains(did)
            }
            Standing::Deleted => !(known.unordered && known.hidden.contains(did)),
            _ => false,
        })
    }

    /// Whether the `actor` row of this account is judged: a deleted one of whom nothing was ever seen may be taken for
    /// somebody who has nothing.
    pub fn judges_actor(&self, did: &str, known: &Known) -> bool {
        let is_deleted = self.people.get(did).is_some_and(|person| person.standing == Standing::Deleted);
        !is_deleted || known.seen.contains(did) && self.judges(did, known)
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
        let (rows, linking) = Default::default();
        Person { standing: account.standing, must: false, tracked: false, actor, repo, rows, linking }
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
        let refers = matches!(kind, project::Kind::Liked | project::Kind::Post);
        let is_ours = kind != project::Kind::BskyProfile && !refers;
        self.tracked |= is_ours;
        self.must |= is_ours && self.standing == Standing::Active;
        let digest = Sha256::digest(&record.bytes);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut row = json!({"cid": record.cid, "value_sha256": digest});
        if !refers {
            row["proven"] = true.into();
        }
        let mut rows = vec![("record", uri.clone(), row)];
        let read =
            check::check(kind, collection, rkey, record).and_then(|()| reader.read(kind, did, path, record));
        let projected = match read {
            Ok(projected) => {
                rows.extend(projected.rows.iter().cloned());
                projected
            }
            Err(why) => {
                tracing::trace!(uri, why, "breaks its lexicon");
                rows.push(("record_problem", uri.clone(), json!({})));
                project::Projected { broken: true, ..Default::default() }
            }
        };
        let links: Vec<_> = projected.links.iter().cloned().collect();
        let collection_of = |uri: &str| uri.split('/').nth(3).unwrap_or_default().to_owned();
        let need = match (kind, links.first()) {
            _ if !refers => Need::Must,
            (project::Kind::Post, Some(_)) if links.iter().any(|(_, uri)| collection_of(uri) != POST) => {
                Need::Must
            }
            (project::Kind::Post, Some((_, quoted))) => Need::Post(quoted.clone()),
            (project::Kind::Liked, Some((_, subject))) => match collection_of(subject) {
                nsid if reader.is_ours(&nsid) => Need::Must,
                nsid if nsid == POST => Need::Post(subject.clone()),
                _ => Need::May,
            },
            _ => Need::May,
        };
        let created_at = projected.created_at;
        if refers {
            self.linking.push(Linking { uri, need, is_others: true, rows, links, created_at });
        } else {
            self.rows.extend(rows);
            self.linking.push(Linking { uri, need, is_others: false, rows: Vec::new(), links, created_at });
        }
        Some(projected).filter(|projected| !projected.broken)
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
