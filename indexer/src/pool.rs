//! Connections that come back in order, or not at all.

use rand::Rng;
use sqlx::postgres::{PgPoolOptions, PgRow};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use crate::sabotage;

/// The options of a pool that a [`Door`](crate::apply::Door) works with.
///
/// A future that is dropped in the middle of a statement can leave its connection in a transaction that nobody knows of, or,
/// in the middle of a COPY, an answer behind: the next to have it would write into nothing, or take another's answers for
/// theirs. So whoever gives one back ends what may be open, and asks a question that has one answer.
pub fn options() -> PgPoolOptions {
    PgPoolOptions::new().after_release(|connection, _| Box::pin(is_in_step(connection)))
}

async fn is_in_step(connection: &mut PgConnection) -> sqlx::Result<bool> {
    if sabotage::is_on("connection-out-of-step") {
        return connection.execute("begin; rollback").await.map(|_| true);
    }
    let word: i64 = rand::rng().random();
    // Nearly always there is none to roll back. A bare rollback would be worth a line in Postgres's log, each time.
    let question = AssertSqlSafe(format!("begin; rollback; select '{word}'::bigint"));
    let answer: Vec<PgRow> = sqlx::raw_sql(question).fetch_all(connection).await?;
    Ok(matches!(answer.as_slice(), [row] if row.try_get::<i64, _>(0)? == word))
}
