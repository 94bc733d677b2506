//! Whom and what processes meet: each keeps in memory of whom something is held and which posts share something, and hears what the
//! others came to know.

use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::{Stream, TryStreamExt};
use sqlx::PgConnection;
use sqlx::postgres::PgListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Door;
use crate::link::POST;
use crate::syntax::Did;

/// Where processes tell each other that they met somebody or found a share.
const CHANNEL: &str = "plyr_met";
/// How old our knowledge of whom other processes met may be.
pub(crate) const REFRESH_EVERY: Duration = Duration::from_secs(30);

/// Between two readings of what others met, however often they say that they did; and so much longer than the last one took.
const REFRESH_PAUSE: Duration = Duration::from_millis(250);
const REFRESH_SHARE: u32 = 10;

/// When it was last read what other processes met.
#[derive(Debug)]
pub(super) struct Refreshed {
    at: tokio::time::Instant,
    /// By the database's clock; none before the first time.
    upto: Option<DateTime<Utc>>,
}

impl Refreshed {
    pub(super) fn never() -> tokio::sync::Mutex<Self> {
        Refreshed { at: Instant::now(), upto: None }.into()
    }
}

/// Whom and what a transaction made known.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) followed: Vec<Did>,
    pub(super) others: Vec<Did>,
    pub(super) posts: Vec<String>,
}

impl Met {
    /// Whether this process did not know of all of them.
    pub(super) fn is_news(&self, door: &Door) -> bool {
        self.posts.iter().any(|post| !door.concerns.knows_post(post))
            || self.followed.iter().any(|did| !door.is_tracked(did))
            || self.others.iter().any(|did| !door.concerns.knows(did.as_str()))
    }

    /// Has this process look out for them.
    pub(super) fn tell(&self, door: &Door) {
        door.track(self.followed.iter());
        for did in self.others.iter().filter(|did| !door.concerns.knows(did.as_str())) {
            door.concerns.add_people(std::iter::once(did));
        }
        if !self.posts.is_empty() {
            door.concerns.add_posts(self.posts.iter());
        }
    }
}

impl Door {
    /// Reads whom other processes have met and which posts they have found to share something.
    pub async fn refresh_tracked(&self) -> sqlx::Result<()> {
        let mut refreshed = self.refreshed.lock().await;
        self.refresh(&mut refreshed).await
    }

    /// The same, unless it was done within the last half minute.
    pub async fn refresh_tracked_if_old(&self) -> sqlx::Result<()> {
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.at.elapsed() > REFRESH_EVERY {
            self.refresh(&mut refreshed).await?;
        }
        Ok(())
    }

    async fn refresh(&self, refreshed: &mut Refreshed) -> sqlx::Result<()> {
        let at = tokio::time::Instant::now();
        // Rows carry the time at which their transaction began, which may have taken long.
        let upto = sqlx::query_scalar!(r#"select now() - interval '10 minutes' as "upto!""#)
            .fetch_one(&self.pool)
            .await?;
        let since = refreshed.upto;
        // Added, never replaced: some are expected whose first record is still on its way here. Row by row: of millions only
        // hashes are kept.
        let mut db = self.pool.acquire().await?;
        let mut followed = sqlx::query_scalar!(
            "select did from actor where followed_at > coalesce($1, '-infinity'::timestamptz)",
            since
        )
        .fetch(&mut *db);
        while let Some(did) = followed.try_next().await? {
            if let Ok(did) = did.parse::<Did>() {
                self.track(std::iter::once(&did));
            }
        }
        drop(followed);
        let people = sqlx::query_scalar!(
            "select did from actor
             where first_seen_at > coalesce($1, '-infinity'::timestamptz) and followed_at is null",
            since
        );
        each_some(people.fetch(&mut *db), |people| self.concerns.add_people(people.iter())).await?;
        let posts = sqlx::query_scalar!(
            r#"select post_uri as "uri!" from shared_post where found_at > coalesce($1, '-infinity'::timestamptz)
               union all
               select uri from record_name
                where meaning is null and noted_at > coalesce($1, '-infinity'::timestamptz) and split_part(uri, '/', 4) = $2"#,
            since,
            POST
        );
        each_some(posts.fetch(&mut *db), |posts| self.concerns.add_posts(posts.iter())).await?;
        *refreshed = Refreshed { at, upto: Some(upto) };
        Ok(())
    }

    /// Whether this process reads the network's stream itself.
    pub(crate) fn hears(&self) -> bool {
        self.hears.load(Ordering::Relaxed)
    }

    /// Tells other processes, when the transaction commits, that somebody was met or a share found.
    pub(super) async fn tell_others(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query!("select pg_notify($1, $2)", CHANNEL, self.id.to_string()).execute(db).await?;
        Ok(())
    }

    /// This process reads the network's stream.
    pub fn hear_all(&self) {
        self.hears.store(true, Ordering::Relaxed);
    }

    /// Learns at once whom other processes meet and what they find, until told to stop. What it is not told, a process that reads the
    /// network's stream learns every half minute.
    pub async fn follow_others(&self, stop: CancellationToken) -> anyhow::Result<()> {
        let own = self.id.to_string();
        let mut bell = PgListener::connect_with(&self.pool).await?;
        bell.listen(CHANNEL).await?;
        loop {
            let told = tokio::select! {
                told = bell.try_recv() => told,
                _ = stop.cancelled() => return Ok(()),
            };
            match told {
                Ok(Some(told)) if told.payload() == own => continue,
                // None where the connection was lost: what was told meanwhile is nowhere to be heard.
                Ok(_) => {
                    let began = Instant::now();
                    if let Err(error) = self.refresh_tracked().await {
                        tracing::warn!(%error, "cannot learn whom other processes have met");
                    }
                    tokio::time::sleep(REFRESH_PAUSE.max(began.elapsed() * REFRESH_SHARE)).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot hear whom other processes meet");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// Hands over texts as they come, some thousands at a time.
async fn each_some(
    mut texts: impl Stream<Item = sqlx::Result<String>> + Unpin,
    mut take: impl FnMut(&[String]),
) -> sqlx::Result<()> {
    const SOME: usize = 4096;
    let mut some = Vec::with_capacity(SOME);
    while let Some(text) = texts.try_next().await? {
        some.push(text);
        if some.len() == SOME {
            take(&some);
            some.clear();
        }
    }
    take(&some);
    Ok(())
}
