//! Applying a batch come what may: a database that is away is waited for, and a record that it refuses is kept aside alone,
//! so that it costs no other record its place.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use tracing::warn;

use super::{Door, rehearse, transact};
use crate::change::{Cursor, Input, Op, Problem};
use crate::memory::Forgotten;
use crate::sabotage;
use crate::source::NO_CURSOR;
use crate::syntax::{AtUri, Did};

/// Applies inputs in order. Returns only when all is applied or kept aside, and for each that was kept aside whose it is;
/// dropping the future leaves whole transactions behind.
pub async fn apply_all(door: &Door, inputs: Vec<Input>) -> Vec<Did> {
    // Without a memory nothing is found forgotten.
    apply_from(door, inputs, None).await.unwrap_or_default()
}

/// The same, and the source's cursor is saved with the last of it. Fails where the database has crashed since the cursor's
/// memory began: then nothing is known of what was applied after the saved cursor.
pub async fn apply_from(
    door: &Door,
    inputs: Vec<Input>,
    cursor: Option<&Cursor>,
) -> Result<Vec<Did>, Forgotten> {
    let (mut parts, mut refused) = (vec![inputs], Vec::new());
    let source = cursor.map(|cursor| &cursor.source);
    // The cursor accounts for every part, so it goes with the last; each looks whether the database remembers.
    let unmoved = cursor.map(|cursor| Cursor { seq: NO_CURSOR, ..cursor.clone() });
    while let Some(part) = parts.pop() {
        let cursor = if parts.is_empty() { cursor } else { unmoved.as_ref() };
        match patiently(|| transact(door, &part, source, cursor, true)).await {
            Ok(()) => {}
            Err(error) if Forgotten::is(&error) => return Err(Forgotten),
            Err(_) if sabotage::is_on("refused-batch-dropped") => {}
            Err(error) if part.len() > 1 => {
                warn!(%error, inputs = part.len(), "a batch was refused; halving it");
                let (first, second) = part.split_at(part.len() / 2);
                let (first, second) = (first.to_vec(), second.to_vec());
                parts.push(second);
                parts.push(first);
            }
            Err(error) => {
                let rest = without_poison(door, part, source, &error).await;
                refused.extend(rest.iter().filter_map(|input| match input {
                    Input::Problem(problem) => problem.did.clone(),
                    _ => None,
                }));
                if let Err(error) = patiently(|| transact(door, &rest, source, cursor, true)).await {
                    if Forgotten::is(&error) {
                        return Err(Forgotten);
                    }
                    // Its own note is refused: the log is the last place left.
                    tracing::error!(%error, ?rest, "cannot keep aside what the database refused");
                }
            }
        }
    }
    Ok(refused)
}

/// Finds the records for which the database refuses an input. Returns the input without them, and a problem for each.
async fn without_poison(
    door: &Door,
    part: Vec<Input>,
    source: Option<&Arc<str>>,
    error: &sqlx::Error,
) -> Vec<Input> {
    let mut rest = Vec::with_capacity(part.len() + 1);
    for input in part {
        let mut poison = HashSet::new();
        let mut ranges = vec![(0, records(&input))];
        while let Some((from, to)) = ranges.pop() {
            let some = keep(&input, |index, _| (from..to).contains(&index));
            if from == to || patiently(|| rehearse(door, std::slice::from_ref(&some), source)).await.is_ok() {
                continue;
            }
            if to - from == 1 {
                poison.insert(from);
            } else {
                ranges.extend([(from, (from + to) / 2), ((from + to) / 2, to)]);
            }
        }
        if poison.is_empty() {
            rest.push(Input::Problem(refused(&input, None, error)));
            continue;
        }
        let mut found = Vec::new();
        rest.push(keep(&input, |index, record| {
            let good = !poison.contains(&index);
            if !good {
                found.push((record.0.clone(), record.1));
            }
            good
        }));
        rest.extend(found.into_iter().map(|record| Input::Problem(refused(&input, Some(record), error))));
    }
    rest
}

fn records(input: &Input) -> usize {
    match input {
        Input::Commit(commit) => commit.ops.len(),
        Input::Snapshot(snapshot) => snapshot.records.len(),
        _ => 0,
    }
}

/// The input with only some of its records.
fn keep(input: &Input, mut wanted: impl FnMut(usize, (&AtUri, Bytes)) -> bool) -> Input {
    let mut index = 0;
    let mut next = |uri: &AtUri, value: Bytes| {
        index += 1;
        wanted(index - 1, (uri, value))
    };
    let mut input = input.clone();
    match &mut input {
        Input::Commit(commit) => commit.ops.retain(|(uri, op)| {
            next(uri, if let Op::Put { value, .. } = op { value.clone() } else { Bytes::new() })
        }),
        Input::Snapshot(snapshot) => snapshot.records.retain(|(uri, _, value)| next(uri, value.clone())),
        _ => {}
    }
    input
}

/// Tries until the database takes something or refuses it for what it is.
async fn patiently<F: Future<Output = sqlx::Result<()>>>(mut attempt: impl FnMut() -> F) -> sqlx::Result<()> {
    let mut pause = Duration::from_millis(50);
    loop {
        match attempt().await {
            Err(error) if is_transient(&error) => {
                metrics::counter!("plyr_apply_retries_total").increment(1);
                warn!(%error, "the database is away or busy; trying again");
                let jitter = rand::rng().random_range(0.5..1.0);
                tokio::time::sleep(pause.mul_f64(jitter)).await;
                pause = (pause * 2).min(Duration::from_secs(10));
            }
            other => return other,
        }
    }
}

/// Whether the same inputs may be taken later. Refused for what they are: what is one but found twice (class 21), data exceptions (22), violated
/// constraints (23) and program limits (54) of the SQL standard's error classes, and values that cannot be encoded. Rows that
/// do not fit their table's columns (22P03, 22P04) are our own mistake, and cost nobody their records.
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        _ if sabotage::is_on("busy-database-drops") => false,
        sqlx::Error::Database(error) => !error.code().is_some_and(|code| {
            ["21", "22", "23", "54"].iter().any(|class| code.starts_with(class))
                && !["22P03", "22P04"].contains(&&*code)
        }),
        _ if Forgotten::is(error) => false,
        sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => false,
        _ => true,
    }
}

fn refused(input: &Input, record: Option<(AtUri, Bytes)>, error: &sqlx::Error) -> Problem {
    let detail = format!("the database refused it: {error}");
    let (uri, bytes) = record.unzip();
    let did = input.did().cloned().or_else(|| uri.as_ref().map(AtUri::did));
    Problem { kind: "Refused", did, uri, detail, bytes: bytes.unwrap_or_default(), ..Problem::default() }
}
