//! The connections that readers share.
//!
//! A backend of Postgres that has just answered has what it needs at hand: its caches of tables and plans, and its memory in the
//! processor's. So the connection that came back last goes out first, and as few are kept busy as there is to do at once. A queue, as sqlx's own
//! pool is, lets all take turns: the same page then costs a fifth more of Postgres' time.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Error};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::error::is_passing;

/// How long a request waits for a connection before it is answered 503: a queue of waiters helps nobody.
const ACQUIRE_TIMEOUT: Duration = Duration::from_millis(1500);
/// How soon a database is tried again that takes no connection now.
const CONNECT_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// What a connection is given up after that answers nothing once its request is gone: it is still busy with what nobody waits for.
const RELEASE_PATIENCE: Duration = Duration::from_millis(250);
/// A connection that did nothing for so long is asked whether it still stands, before a request has it.
const DOUBT_AFTER: Duration = Duration::from_secs(1);
/// A connection that nobody needed for so long is closed.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// What a backend remembers only grows, so none lives longer.
const LIFE_MAX: Duration = Duration::from_secs(1800);

/// The readers' connections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    session: PgConnectOptions,
    connections_max: u32,
    /// One place for each connection that may be out.
    places: Arc<Semaphore>,
    /// The last is the one that came back last.
    idle: Mutex<Vec<Held>>,
}

#[derive(Debug)]
struct Held {
    connection: PgConnection,
    born: Instant,
    idle_since: Instant,
}

/// A connection of a reader, who gives it back by dropping it.
#[derive(Debug)]
pub(crate) struct Lent {
    /// Only a drop takes it.
    held: Option<(Held, OwnedSemaphorePermit)>,
    pool: Pool,
}

impl Pool {
    /// A pool whose sessions can only read and whose statements end after five seconds, or soon after whoever asked has gone. Connects
    /// when first used.
    pub fn read_only(database: PgConnectOptions, connections_max: u32) -> Self {
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
        let places = Arc::new(Semaphore::new(connections_max as usize));
        Pool(Arc::new(Inner { session, connections_max, places, idle: Mutex::default() }))
    }

    /// The connection that came back last, or a new one.
    pub async fn acquire(&self) -> sqlx::Result<Lent> {
        let held = async {
            let place = self.0.places.clone().acquire_owned().await.map_err(|_| Error::PoolClosed)?;
            Ok(Lent { held: Some((self.find().await?, place)), pool: self.clone() })
        };
        timeout(ACQUIRE_TIMEOUT, held).await.map_err(|_| Error::PoolTimedOut)?
    }

    async fn find(&self) -> sqlx::Result<Held> {
        loop {
            let Some(mut held) = self.idle().pop() else { break };
            if held.idle_since.elapsed() <= DOUBT_AFTER || held.connection.ping().await.is_ok() {
                return Ok(held);
            }
        }
        loop {
            match PgConnection::connect_with(&self.0.session).await {
                Ok(connection) => {
                    let now = Instant::now();
                    return Ok(Held { connection, born: now, idle_since: now });
                }
                Err(error) if is_passing(&error) => sleep(CONNECT_AGAIN_AFTER).await,
                Err(error) => return Err(error),
            }
        }
    }

    /// Closes what nobody needed for long.
    pub fn tidy(&self) {
        self.idle().retain(|held| held.idle_since.elapsed() < IDLE_MAX);
    }

    /// How many connections wait, and how many are out.
    pub fn idle_and_busy(&self) -> (usize, usize) {
        (self.idle().len(), self.0.connections_max as usize - self.0.places.available_permits())
    }

    /// Waits for all that are out, and closes all.
    pub async fn close(&self) {
        let _all = self.0.places.acquire_many(self.0.connections_max).await;
        self.0.places.close();
        let idle = std::mem::take(&mut *self.idle());
        for held in idle {
            let _ = held.connection.close().await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Held>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.held.as_ref().expect("only a drop takes it").0.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.held.as_mut().expect("only a drop takes it").0.connection
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some((mut held, place)) = self.held.take() else { return };
        let pool = self.pool.clone();
        tokio::spawn(async move {
            // Also ends what was begun and not committed.
            let pong = timeout(RELEASE_PATIENCE, held.connection.ping()).await;
            if matches!(pong, Ok(Ok(()))) && held.born.elapsed() < LIFE_MAX {
                held.idle_since = Instant::now();
                pool.idle().push(held);
            }
            drop(place);
        });
    }
}
