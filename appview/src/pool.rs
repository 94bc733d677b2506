//! The pool that readers share.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgPool};
use tokio::time::timeout;

/// How long a request waits for a connection before it is answered 503: a queue of waiters helps nobody.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1500);

/// What a connection is given up after that answers nothing once its request is gone: it is still busy with what nobody waits for.
const RELEASE_PATIENCE: Duration = Duration::from_millis(250);
/// A connection that did nothing for so long is asked whether it still stands, before a request has it.
const DOUBT_AFTER: Duration = Duration::from_secs(1);

/// A pool whose sessions can only read and whose statements end after five seconds, or soon after whoever asked has gone. Connects
/// when first used.
pub fn read_only(database: PgConnectOptions, connections_max: u32) -> PgPool {
    let session = database.application_name("plyr serve").options([
        ("default_transaction_read_only", "on"),
        ("statement_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "10s"),
        // Compiling a plan costs more than any of our queries takes.
        ("jit", "off"),
        // To plan one of ours anew takes longer than to run it, and each enters its tables by keys, whatever is asked for.
        ("plan_cache_mode", "force_generic_plan"),
        // Looks, while a statement runs, whether anybody is still there to hear of it.
        ("client_connection_check_interval", "250ms"),
    ]);
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_secs(300))
        .test_before_acquire(false)
        .before_acquire(|connection, of| {
            Box::pin(async move { Ok(of.idle_for <= DOUBT_AFTER || connection.ping().await.is_ok()) })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                Ok(timeout(RELEASE_PATIENCE, connection.ping()).await.is_ok_and(|ping| ping.is_ok()))
            })
        })
        .connect_lazy_with(session)
}
