//! The pool that readers share.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// How long a request waits for a connection before it is answered 503: a queue of waiters helps nobody.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1500);

/// A pool whose sessions can only read and whose statements end after five seconds. Connects when first used.
pub fn read_only(database: PgConnectOptions, connections_max: u32) -> PgPool {
    let session = database.application_name("plyr serve").options([
        ("default_transaction_read_only", "on"),
        ("statement_timeout", "5s"),
        ("idle_in_transaction_session_timeout", "10s"),
        // Compiling a plan costs more than any of our queries takes.
        ("jit", "off"),
    ]);
    PgPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_secs(300))
        .connect_lazy_with(session)
}
