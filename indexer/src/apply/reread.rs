//! Reading records anew that had no projection, after what reads them was mended.

use std::collections::BTreeMap;

use super::Door;
use super::effects::Effects;
use crate::record::{self, KINDS, Kind, RecordProblem, Row};
use crate::syntax::{AtUri, Did};

/// Reads these records of one repo anew, as far as they have a problem. Returns those that still have one.
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
           where uri = any($1) and did = $2 and problem is not null and value is not null"#,
        uris,
        did.as_str()
    )
    .fetch_all(&mut *tx)
    .await?;
    let (mut mended, mut still) = (Vec::new(), Vec::new());
    let mut projections: BTreeMap<Kind, (Vec<String>, Vec<Row>)> = BTreeMap::new();
    for row in rows {
        let Ok(uri) = row.uri.parse::<AtUri>() else { continue };
        match (door.registry.read(&uri, &row.value, row.first_seen_at), door.registry.get(uri.collection())) {
            (Ok(projection), Some(collection)) => {
                let (uris, rows) = projections.entry(collection.kind).or_default();
                uris.push(row.uri.clone());
                rows.push(projection);
                mended.push(row.uri);
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
    tx.commit().await?;
    Ok(still)
}
