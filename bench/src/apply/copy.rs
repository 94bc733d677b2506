//! The limit: COPY of the same rows into empty tables with the same indexes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt;
use sqlx::postgres::PgPoolCopyExt;

use super::Took;
use crate::ground::Ground;
use crate::report::processor_time;
use crate::server::Server;

/// Copies all that one database holds into another, and says how long the way in took.
pub async fn again(server: &Server, from: &Ground) -> anyhow::Result<Took> {
    let into = server.ground("copied").await?;
    // Migrations leave rows of their own.
    let (mut wall, mut ours, mut postgres) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for (table, columns) in from.tables().await? {
        let sql = format!("copy {table} ({columns}) to stdout (format binary)");
        let rows: Vec<Bytes> = from.pool.copy_out_raw(&sql).await?.try_collect().await?;
        into.truncate(&table).await?;
        let began = (Instant::now(), processor_time(), server.processor_time());
        let sql = format!("copy {table} ({columns}) from stdin (format binary)");
        let mut copy = into.pool.copy_in_raw(&sql).await?;
        let mut chunk = Vec::with_capacity(1 << 20);
        for row in rows {
            chunk.extend_from_slice(&row);
            if chunk.len() >= 1 << 19 {
                copy.send(chunk.as_slice()).await?;
                chunk.clear();
            }
        }
        copy.send(chunk.as_slice()).await?;
        copy.finish().await?;
        wall += began.0.elapsed();
        ours += processor_time() - began.1;
        postgres += server.processor_time().saturating_sub(began.2);
    }
    Ok(Took { wall, ours, postgres })
}
