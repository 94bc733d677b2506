//! Who speaks of what, and what follows from it for everybody's numbers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Expected, Known, Linking, Need, Tables};
use crate::truth::Standing;

const POST: &str = "app.bsky.feed.post";

/// A record's link, as it counts.
struct Said<'a> {
    uri: &'a str,
    did: &'a str,
    collection: &'a str,
    path: &'a str,
    target: &'a str,
    created_at: i64,
    is_judged: bool,
}

/// Somebody likes or reposts something in the end.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Done<'a> {
    subject: &'a str,
    verb: &'static str,
    source: &'static str,
    did: &'a str,
}

impl Expected {
    /// Whether a record must be held, as far as that depends on what others wrote.
    pub(super) fn needs(&self, linking: &Linking, known: &Known) -> bool {
        match &linking.need {
            Need::Must => true,
            Need::Post(post) => {
                let author = self.people.get(did_of(post));
                let is_judged = self.judges(did_of(post), known)
                    && author.is_some_and(|author| author.standing == Standing::Active);
                known.held.contains(&linking.uri) || is_judged && known.shared.contains(post)
            }
            Need::May => known.held.contains(&linking.uri),
        }
    }

    /// Everything that follows from what names what.
    pub(super) fn link(&self, known: &Known, tables: &mut Tables) {
        let mut said: Vec<Said> = Vec::new();
        for (did, person) in &self.people {
            let is_judged = self.judges(did, known) && person.standing == Standing::Active;
            for linking in person.linking.iter().filter(|linking| is_judged && self.needs(linking, known)) {
                for (table, key, row) in &linking.rows {
                    tables.entry(table).or_default().insert(key.clone(), row.clone());
                }
                let collection = collection_of(&linking.uri);
                said.extend(linking.links.iter().map(|(path, target)| Said {
                    uri: &linking.uri,
                    did,
                    collection,
                    path,
                    target,
                    created_at: linking.created_at,
                    is_judged,
                }));
            }
        }
        // Of those who are not judged and not hidden, what is held counts as it is.
        let held = known.links.iter().filter(|(uri, ..)| {
            let did = did_of(uri);
            let is_seen = self.people.get(did).is_none_or(|person| person.standing == Standing::Active);
            is_seen && !self.judges(did, known)
        });
        said.extend(held.map(|(uri, path, target)| Said {
            uri,
            did: did_of(uri),
            collection: collection_of(uri),
            path,
            target,
            created_at: 0,
            is_judged: false,
        }));
        let mut put = |table: &'static str, key: String, row: Value| {
            tables.entry(table).or_default().insert(key, row);
        };

        let mut numbers: BTreeMap<(&str, &str, &str), (u64, BTreeSet<&str>)> = BTreeMap::new();
        let mut shares: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for said in &said {
            let (records, people) = numbers.entry((said.target, said.collection, said.path)).or_default();
            *records += 1;
            people.insert(said.did);
            if said.is_judged {
                let key = format!("{} {} {}", said.uri, said.path, said.target);
                put("link", key, json!({"did": said.did, "collection": said.collection}));
            }
            if said.collection == POST && collection_of(said.target) != POST {
                shares.entry(said.uri).or_default().insert(said.target);
                if said.is_judged {
                    let row = json!({"did": said.did, "created_at": said.created_at});
                    put("shared_post", format!("{} {}", said.uri, said.target), row);
                }
            }
        }
        for ((target, collection, path), (records, people)) in numbers {
            let row = json!({"records": records, "people": people.len()});
            put("link_count", format!("{target} {collection} {path}"), row);
        }

        let mut done: BTreeSet<Done> = BTreeSet::new();
        for said in &said {
            let (verb, source) = match said.collection {
                "app.bsky.feed.like" => ("like", "bluesky"),
                "app.bsky.feed.repost" => ("repost", "bluesky"),
                POST => continue,
                nsid if nsid.ends_with(".like") => ("like", "plyr"),
                _ => continue,
            };
            let is_of_post = source == "bluesky" && collection_of(said.target) == POST;
            let direct = (!is_of_post).then_some(said.target);
            let shared = shares.get(said.target).filter(|_| is_of_post).into_iter().flatten().copied();
            for subject in direct.into_iter().chain(shared) {
                let source = if is_of_post { "share" } else { source };
                done.insert(Done { subject, verb, source, did: said.did });
                if said.is_judged {
                    let via = is_of_post.then_some(said.target);
                    let row = json!({
                        "did": said.did, "verb": verb, "source": source, "via": via, "created_at": said.created_at,
                    });
                    put("reaction", format!("{} {subject}", said.uri), row);
                }
            }
        }
        let mut counts: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
        for (verb, source, name) in [
            ("like", None, "likes"),
            ("like", Some("plyr"), "plyr"),
            ("like", Some("bluesky"), "bluesky"),
            ("like", Some("share"), "by_shares"),
            ("repost", None, "reposts"),
        ] {
            let people: BTreeSet<(&str, &str)> = done
                .iter()
                .filter(|done| done.verb == verb && source.is_none_or(|source| source == done.source))
                .map(|done| (done.subject, done.did))
                .collect();
            for (subject, _) in people {
                *counts.entry(subject).or_default().entry(name).or_default() += 1;
            }
        }
        for subjects in shares.values() {
            for subject in subjects {
                *counts.entry(subject).or_default().entry("shares").or_default() += 1;
            }
        }
        for (subject, [comments, plays]) in &self.counts {
            let of_subject = counts.entry(subject).or_default();
            for (name, number) in [("comments", comments), ("plays", plays), ("recorded", plays)] {
                if *number > 0 {
                    of_subject.insert(name, *number);
                }
            }
        }
        for (subject, counts) in counts {
            put("subject_count", subject.to_owned(), json!(counts));
        }
    }
}

fn did_of(uri: &str) -> &str {
    uri.split('/').nth(2).unwrap_or_default()
}

fn collection_of(uri: &str) -> &str {
    uri.split('/').nth(3).unwrap_or_default()
}
