//! Reading records anew that had no projection, after what reads them was mended; and those that named something by what meant
//! nothing then.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::Door;
use super::effects::Effects;
use crate::link::names::{self, Names};
use crate::record::{self, KINDS, Kind, RecordProblem, Row};
use crate::syntax::{AtUri, Did};

/// Reads these records of one repo anew, as far as they have a problem or a name in them meant nothing. Returns those that
/// still have a problem.
///
/// What becomes visible counts, is told to open pages, and its bytes are fetched, as if it had just arrived.
pub async fn reread(door: &Door, did: &Did, uris: &[String]) -> sqlx::Result<Vec<(AtUri, RecordProblem)>> {
    let mut tx = door.pool.begin().await?;
    sqlx::query!("select did from repo where did = $1 for update", did.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let active = sqlx::query_scalar!(r#"select active as "active!" from actor where did = $1"#, did.as_str())
        .fetch_optional(&mut *tx)
        .await?;
    let inactive = if active == Some(true) { None } else { Some(did.to_string()) };
    let mut effects = Effects::new(inactive.into_iter().collect());
    let rows = sqlx::query!(
        r#"select uri, value as "value!", first_seen_at from record
           where uri = any($1) and did = $2 and value is not null
             and (problem is not null
                  or exists (select from record_name n where n.uri = record.uri and n.meaning is null))"#,
        uris,
        did.as_str()
    )
    .fetch_all(&mut *tx)
    .await?;
    let records: Vec<(AtUri, Vec<u8>, DateTime<Utc>)> = rows
        .into_iter()
        .filter_map(|row| Some((row.uri.parse().ok()?, row.value, row.first_seen_at)))
        .collect();
    let found: Vec<&str> = records.iter().map(|(uri, ..)| uri.as_str()).collect();
    let mut names = Names::written(&mut tx, &found).await?;
    let held: Vec<_> = records
        .iter()
        .map(|(uri, value, first_seen_at)| names::Held { uri, value, first_seen_at: *first_seen_at })
        .collect();
    let rows = names.read_all(&mut tx, &door.registry, &held, true).await?;
    names.write(&mut tx, &found).await?;
    let (mut mended, mut still) = (Vec::new(), Vec::new());
    let mut projections: BTreeMap<Kind, (Vec<String>, Vec<Row>)> = BTreeMap::new();
    let mut shares = Vec::new();
    for ((uri, ..), read) in records.into_iter().zip(rows) {
        if let Ok(Row::Post(post)) = &read
            && post.shared().next().is_some()
        {
            shares.push(post.uri.clone());
        }
        match (read, door.registry.get(uri.collection())) {
            (Ok(projection), Some(collection)) => {
                let (uris, rows) = projections.entry(collection.kind).or_default();
                uris.push(uri.to_string());
                rows.push(projection);
                mended.push(uri.to_string());
            }
            (Err(problem), _) => still.push((uri, problem)),
            (Ok(_), None) => {}
        }
    }
    sqlx::query!("update record set problem = null, problem_detail = null where uri = any($1)", &mended)
        .execute(&mut *tx)
        .await?;
    for (uri, problem) in &still {
        sqlx::query!(
            "update record set problem = $2, problem_detail = $3 where uri = $1",
            uri.as_str(),
            problem.name,
            problem.detail
        )
        .execute(&mut *tx)
        .await?;
    }
    let turns = projections.iter().map(|(kind, (uris, rows))| (*kind, &**uris, &**rows));
    record::take_turns(&mut tx, turns, std::iter::empty()).await?;
    for kind in KINDS {
        if let Some((uris, rows)) = projections.remove(&kind) {
            record::project(&mut tx, kind, &uris, rows, &mut effects).await?;
        }
    }
    effects.carry_out(&mut tx).await?;
    if !shares.is_empty() {
        door.tell_others(&mut tx).await?;
    }
    tx.commit().await?;
    door.concerns.add_posts(shares.iter());
    Ok(still)
}
