//! What makes charts: what people heard in which hour, what they like, and what tracks count for.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Table, Tables};

/// Adds the tables of charts to those that are there.
pub(super) fn chart(tables: &mut Tables) {
    let heard = tables.get("play").map(heard).unwrap_or_default();
    let liked = tables.get("reaction").map(liked).unwrap_or_default();
    let members = tables.get("track").map(members).unwrap_or_default();
    tables.insert("heard", heard);
    tables.insert("liked", liked);
    tables.insert("chart_member", members);
}

fn text<'a>(row: &'a Value, field: &str) -> &'a str {
    row[field].as_str().unwrap_or_default()
}

fn folded(text: &str) -> String {
    text.trim().to_lowercase()
}

/// What two records of one play have in common.
type Moment = (String, i64, String, String);

fn heard(plays: &Table) -> Table {
    let first = |row: &Value| row["artist_names"][0].as_str().unwrap_or_default().to_owned();
    let mut moments: BTreeMap<Moment, Vec<(&String, &Value)>> = BTreeMap::new();
    for (uri, row) in plays {
        let second = row["played_at"].as_i64().unwrap_or_default().div_euclid(1_000_000);
        let moment =
            (text(row, "did").to_owned(), second, folded(text(row, "track_name")), folded(&first(row)));
        moments.entry(moment).or_default().push((uri, row));
    }
    // (person, kind, hour, key) → plays
    let mut counts: BTreeMap<(String, u8, i64, String), usize> = BTreeMap::new();
    for ((did, second, ..), records) in &moments {
        let hour = second.div_euclid(3600);
        let mut count = |kind: u8, key: String| {
            *counts.entry((did.clone(), kind, hour, key)).or_default() += 1;
        };
        let subjects: BTreeSet<&str> =
            records.iter().filter_map(|(_, row)| row["subject_uri"].as_str()).collect();
        subjects.into_iter().for_each(|subject| count(1, subject.to_owned()));
        // The newer namespace's record speaks for both.
        let Some((_, row)) = records.iter().max_by_key(|(uri, _)| *uri) else { continue };
        let names: Vec<&str> =
            row["artist_names"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let ids: Vec<&str> =
            row["artist_mbids"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let artists: BTreeSet<String> = names
            .iter()
            .enumerate()
            .map(|(at, name)| match ids.get(at).copied().unwrap_or_default() {
                "" => format!("name:{}", folded(name)),
                id => id.to_owned(),
            })
            .collect();
        artists.into_iter().for_each(|artist| count(4, artist));
        let by = folded(names.first().copied().unwrap_or_default());
        let thing = |id: &str, name: &str| match identifier(text(row, id)) {
            Some(id) => id,
            None => format!("name:{by}\u{1f}{}", folded(name)),
        };
        if !text(row, "release_name").trim().is_empty() {
            count(5, thing("release_mbid", text(row, "release_name")));
        }
        count(6, thing("recording_mbid", text(row, "track_name")));
    }
    let line = |((did, kind, hour, key), plays): ((String, u8, i64, String), usize)| {
        (format!("{did} {kind} {hour} {key}"), json!({"plays": plays}))
    };
    counts.into_iter().map(line).collect()
}

/// `mbid:` and a UUID in small letters, of either form.
pub(super) fn identifier(text: &str) -> Option<String> {
    let uuid = text.trim_start_matches("mbid:").to_ascii_lowercase();
    let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
    let is_hex = uuid.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    (lengths == [8, 4, 4, 4, 12] && is_hex).then(|| format!("mbid:{uuid}"))
}

fn liked(reactions: &Table) -> Table {
    let likes = reactions.iter().filter(|(_, row)| text(row, "verb") == "like");
    let likes = likes.filter_map(|(key, row)| {
        let (_, subject) = key.split_once(' ')?;
        let is_track = subject.split('/').nth(3).is_some_and(|nsid| nsid.ends_with(".track"));
        is_track.then(|| (format!("{} {subject}", text(row, "did")), json!({})))
    });
    likes.collect()
}

fn members(tracks: &Table) -> Table {
    let mut members = Table::new();
    for (uri, row) in tracks {
        members.insert(format!("{uri} 2 {}", text(row, "did")), json!({}));
        for tag in row["tags"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            members.insert(format!("{uri} 3 {tag}"), json!({}));
        }
    }
    members
}
