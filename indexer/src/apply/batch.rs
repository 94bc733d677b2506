//! Applying a batch come what may: a database that is away is waited for, and a change that it refuses is kept aside
//! alone, so that it costs no other change its place.

use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use tracing::warn;

use super::{Door, apply};
use crate::change::{Cursor, Input, Problem};

/// Applies inputs in order and then saves the cursor. Returns only when all is applied or kept aside; dropping the future
/// leaves whole transactions behind.
pub async fn apply_all(door: &Door, inputs: Vec<Input>, cursor: Option<&Cursor>) {
    let mut parts = vec![inputs];
    while let Some(part) = parts.pop() {
        // The cursor accounts for every part, so it goes with the last.
        let cursor = cursor.filter(|_| parts.is_empty());
        match persist(door, &part, cursor).await {
            Ok(()) => {}
            Err(error) if part.len() > 1 => {
                warn!(%error, inputs = part.len(), "a batch was refused; halving it");
                let (first, second) = part.split_at(part.len() / 2);
                let (first, second) = (first.to_vec(), second.to_vec());
                parts.push(second);
                parts.push(first);
            }
            Err(error) => {
                let aside: Vec<Input> =
                    part.iter().map(|input| Input::Problem(refused(input, &error))).collect();
                if let Err(error) = persist(door, &aside, cursor).await {
                    // Its own note is refused: the log is the last place left.
                    tracing::error!(%error, ?aside, "cannot keep aside what the database refused");
                }
            }
        }
    }
}

/// Tries until the database takes the inputs or refuses them for what they are.
async fn persist(door: &Door, inputs: &[Input], cursor: Option<&Cursor>) -> Result<(), sqlx::Error> {
    let mut pause = Duration::from_millis(50);
    loop {
        match apply(door, inputs, cursor).await {
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

/// Whether the same inputs may be taken later. Refused for what they are: data exceptions (class 22), violated
/// constraints (23) and program limits (54) of the SQL standard's error classes, and values that cannot be encoded.
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            !error.code().is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
        }
        sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => false,
        _ => true,
    }
}

fn refused(input: &Input, error: &sqlx::Error) -> Problem {
    let detail = format!("the database refused it: {error}");
    let (uri, bytes) = match input {
        Input::Commit(commit) => (None, Bytes::from(format!("{commit:?}"))),
        Input::Proof(proof) => (Some(proof.uri.clone()), Bytes::from(format!("{proof:?}"))),
        _ => (None, Bytes::new()),
    };
    Problem { kind: "Refused", did: input.did().cloned(), uri, detail, bytes, ..Problem::default() }
}
