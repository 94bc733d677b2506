//! Streams of the network's events: events in, [`Input`](crate::change::Input)s through the door, cursor saved with the
//! data.
//!
//! ```text
//! socket ─► filter ─► lane of its DID (verify, in order) ─► shard of its DID (batch, apply) ─► cursor
//! ```
//!
//! A lane waits for nobody else's DID document; a shard applies whatever its lanes have verified. How much may be in flight
//! is bounded in bytes: a slow database slows the socket. The saved cursor is the highest finished event with nothing
//! unfinished before it in the order received.
//!
//! Several upstreams run side by side and know nothing of each other: each has lanes and a cursor of its own, and what two
//! of them bring is one record by the rules of the door.

mod again;
mod backlog;
pub mod blind;
mod health;
pub mod jetstream;
mod lanes;
mod repos;
mod socket;
mod told;
mod verify;
mod watermark;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use rand::Rng;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use url::Url;

use crate::memory::{Forgotten, Memory};
use crate::{Indexer, source};
pub(crate) use again::read as again;
use health::Health;
use lanes::Lanes;

/// What an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// com.atproto.sync.subscribeRepos, of a relay or a PDS: signed commits.
    Repos,
    /// Jetstream's older dialect, whose cursor is a time.
    Jetstream1,
    /// Jetstream's newer dialect, whose cursor is a number of that instance.
    Jetstream2,
}

impl Kind {
    /// The word before the `+` of an upstream's scheme.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Repos => "repos",
            Kind::Jetstream1 => "jetstream1",
            Kind::Jetstream2 => "jetstream2",
        }
    }

    /// Reads that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Kind::Repos, Kind::Jetstream1, Kind::Jetstream2].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A stream of repo events.
#[derive(Debug, Clone)]
pub struct Upstream {
    /// What its cursor is stored under: the scheme and host as configured.
    pub key: Arc<str>,
    /// What it speaks.
    pub kind: Kind,
    /// `wss://host`, where the stream is.
    pub ws_url: Url,
    /// The same host for questions.
    pub http_url: Url,
}

/// What reading one upstream takes.
struct Reader {
    indexer: Indexer,
    upstream: Upstream,
    lanes: Lanes,
    health: Arc<Health>,
}

/// The host refuses what we ask for, and would again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// Consumes an upstream until told to stop: reconnects for ever, with jittered pauses, from the saved cursor.
pub async fn run(indexer: Indexer, upstream: Upstream, stop: CancellationToken) -> anyhow::Result<()> {
    let backfill = (upstream.kind == Kind::Repos)
        .then(|| tokio::spawn(backlog::keep_backfilled(indexer.clone(), upstream.clone(), stop.clone())));
    let health = Arc::new(Health::new(&upstream.key));
    let watch = tokio::spawn(health.clone().keep(indexer.door.pool.clone()));
    let (begun, ended) = loop {
        let memory = tokio::select! {
            memory = begin(&indexer.door.pool) => memory,
            _ = stop.cancelled() => break (None, Ok(())),
        };
        let lanes = Lanes::start(indexer.clone(), upstream.key.clone(), memory.clone());
        let reader =
            Reader { indexer: indexer.clone(), upstream: upstream.clone(), lanes, health: health.clone() };
        match read(&reader, &stop).await {
            Ok(End::Forgotten) => {
                tracing::error!(
                    source = &*reader.upstream.key,
                    "{Forgotten}; reading again from the saved cursor"
                );
                metrics::counter!("plyr_source_forgotten_total", "source" => reader.upstream.key.to_string())
                    .increment(1);
                reader.health.disconnected();
                reader.lanes.abandon().await;
            }
            ended => break (Some((reader, memory)), ended.map(drop)),
        }
    };
    watch.abort();
    health.disconnected();
    if let Some((reader, memory)) = begun {
        reader.lanes.finish().await;
        memory.end(&indexer.door.pool).await.ok();
    }
    // Said last: where it is not said, the end was no orderly one, and some of what was seen may be lost.
    health.save(&indexer.door.pool).await;
    if let Some(backfill) = backfill {
        backfill.await.context("backfill")?;
    }
    ended
}

/// Tries until the database is there.
async fn begin(pool: &PgPool) -> Memory {
    loop {
        match Memory::begin(pool).await {
            Ok(memory) => return memory,
            Err(error) => {
                warn!(%error, "the database is away; trying again");
                tokio::time::sleep(PAUSE_MIN).await;
            }
        }
    }
}

/// Takes messages that were recorded, as if this upstream sent them just now without compression, and returns when all of
/// them are applied. For measuring.
pub async fn replay(
    indexer: Indexer,
    upstream: Upstream,
    messages: impl IntoIterator<Item = Bytes>,
) -> anyhow::Result<()> {
    let health = Arc::new(Health::new(&upstream.key));
    let memory = Memory::begin(&indexer.door.pool).await?;
    let lanes = Lanes::start(indexer.clone(), upstream.key.clone(), memory.clone());
    let reader = Reader { indexer, upstream, lanes, health };
    let replayed = async {
        reader.open().await?;
        match reader.upstream.kind {
            Kind::Repos => {
                let mut place = repos::Place { last: None, is_first: true };
                for message in messages {
                    repos::receive(&reader, &mut place, message).await?;
                }
            }
            Kind::Jetstream1 => jetstream::replay(&reader, jetstream::Dialect::V1, messages).await?,
            Kind::Jetstream2 => jetstream::replay(&reader, jetstream::Dialect::V2, messages).await?,
        }
        reader.lanes.drain().await;
        Ok(())
    };
    let replayed = tokio::select! {
        replayed = replayed => replayed,
        _ = reader.lanes.forgotten.cancelled() => Err(Forgotten.into()),
    };
    reader.lanes.finish().await;
    memory.end(&reader.indexer.door.pool).await?;
    replayed
}

/// How long the end waits for the last word on a stream.
const SAVE_MAX: Duration = Duration::from_secs(5);
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// After a refusal that another attempt will not change.
const PAUSE_REFUSED: Duration = Duration::from_secs(600);

/// Why an upstream is read no further.
enum End {
    /// Told to stop.
    Stopped,
    /// The database has forgotten what it was told last.
    Forgotten,
}

async fn read(reader: &Reader, stop: &CancellationToken) -> anyhow::Result<End> {
    let key = &reader.upstream.key;
    let mut jetstream = jetstream::Session::default();
    let mut pause = PAUSE_MIN;
    while !stop.is_cancelled() {
        let started = tokio::time::Instant::now();
        let consume = async {
            match reader.upstream.kind {
                Kind::Repos => repos::consume(reader).await,
                Kind::Jetstream1 => jetstream.consume(reader, jetstream::Dialect::V1).await,
                Kind::Jetstream2 => jetstream.consume(reader, jetstream::Dialect::V2).await,
            }
        };
        let ended = tokio::select! {
            ended = consume => ended,
            _ = reader.lanes.broken.cancelled() => anyhow::bail!("a part of the indexer panicked; see the log"),
            _ = reader.lanes.forgotten.cancelled() => return Ok(End::Forgotten),
            _ = stop.cancelled() => break,
        };
        reader.health.disconnected();
        let is_refused = ended.as_ref().is_err_and(|error| error.is::<Refused>());
        if started.elapsed() > PAUSE_MAX {
            pause = PAUSE_MIN;
        }
        let wait = if is_refused { PAUSE_REFUSED } else { pause.mul_f64(rand::rng().random_range(0.5..1.0)) };
        let why = ended.err().map_or("the host closed it".to_owned(), |error| format!("{error:#}"));
        let wait_ms = wait.as_millis() as u64;
        if is_refused {
            metrics::counter!("plyr_source_refusals_total", "source" => key.to_string()).increment(1);
            tracing::error!(source = &**key, why, wait_ms, "the host refuses this stream");
        } else {
            warn!(source = &**key, why, wait_ms, "the stream ended; reconnecting");
        }
        metrics::counter!("plyr_source_reconnects_total", "source" => key.to_string()).increment(1);
        pause = (pause * 2).min(PAUSE_MAX);
        tokio::select! {
            _ = tokio::time::sleep(wait) => {}
            _ = reader.lanes.forgotten.cancelled() => return Ok(End::Forgotten),
            _ = stop.cancelled() => break,
        }
    }
    Ok(End::Stopped)
}

impl Reader {
    /// What is stored of the upstream, as a connection begins.
    async fn open(&self) -> anyhow::Result<source::Source> {
        let (pool, key) = (&self.indexer.door.pool, &self.upstream.key);
        let source = source::open(pool, key).await?;
        if self.health.begins() {
            source::begin(pool, key).await?;
        }
        Ok(source)
    }

    /// Something of the stream is missing: what we hold is to be compared with the network.
    async fn gap(&self, why: &str) -> anyhow::Result<()> {
        if self.health.gap() && !crate::sabotage::is_on("gap-ignored") {
            warn!(source = &*self.upstream.key, why, "a gap in the stream");
            source::owe_compare(&self.indexer.door.pool, &self.upstream.key).await?;
        }
        Ok(())
    }

    /// The numbers of the stream begin anew: the cursor means nothing any more.
    async fn forget(&self) -> anyhow::Result<()> {
        self.lanes.forget().await;
        Ok(source::forget_cursor(&self.indexer.door.pool, &self.upstream.key).await?)
    }
}
