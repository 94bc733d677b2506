//! How much there is of everything: `fm.plyr.stats.getStats`, `/stats`.
//!
//! Counted from the rows themselves, by one query a minute at most, however many ask: a counter would be a row that every transaction
//! of the door has to wait for, and would have to be counted anew to be trusted. It reads each track and its numbers once; while a
//! database has no time for that, what was counted last stands.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use moka::future::Cache;
use serde::Serialize;
use serde_json::{Value, json};

use crate::App;
use crate::detail::Detail;
use crate::error::{Error, shared};
use crate::pool::Pool;

/// How old an answer may be.
const TTL: Duration = Duration::from_secs(60);

/// The answer of `fm.plyr.stats.getStats`. What hidden people have made counts nowhere.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    pub as_of: DateTime<Utc>,
    pub track_count: i64,
    /// People who published one.
    pub artist_count: i64,
    pub album_count: i64,
    pub playlist_count: i64,
    /// Of all tracks, as they say.
    pub duration_s: i64,
    pub play_count: i64,
    pub like_count: i64,
    pub comment_count: i64,
}

/// The answer of the last moment. Those who ask at once share one.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    stats: Cache<(), Arc<Stats>>,
    /// What was counted last, however long ago.
    last: Cache<(), Arc<Stats>>,
}

impl Default for Answers {
    fn default() -> Self {
        let stats = Cache::builder().max_capacity(1).time_to_live(TTL).build();
        Answers { stats, last: Cache::new(1) }
    }
}

/// What there is.
pub(crate) async fn stats(app: &App) -> Result<Arc<Stats>, Error> {
    let count = async {
        let stats = count(&app.pool).await.map(Arc::new);
        match (stats, app.stats.last.get(&()).await) {
            (Ok(stats), _) => {
                app.stats.last.insert((), stats.clone()).await;
                Ok(stats)
            }
            (Err(error), Some(last)) => {
                drop(error.again());
                Ok(last)
            }
            (Err(error), None) => Err(error),
        }
    };
    app.stats.stats.try_get_with((), count).await.map_err(shared)
}

/// `fm.plyr.stats.getStats`.
pub(crate) async fn get_stats(State(app): State<App>) -> Result<Json<Arc<Stats>>, Error> {
    stats(&app).await.map(Json)
}

/// `GET /stats`.
pub(crate) async fn http(State(app): State<App>) -> Result<Json<Value>, Detail> {
    let stats = stats(&app).await?;
    Ok(Json(json!({
        "total_plays": stats.play_count,
        "total_tracks": stats.track_count,
        "total_artists": stats.artist_count,
        "total_duration_seconds": stats.duration_s,
    })))
}

async fn count(pool: &Pool) -> Result<Stats, Error> {
    let stats = sqlx::query_as!(
        Stats,
        r#"select now() as "as_of!", tracks as "track_count!", artists as "artist_count!", duration_s as "duration_s!",
                  plays as "play_count!", likes as "like_count!", comments as "comment_count!",
                  (select count(*) from told_album) as "album_count!",
                  (select count(*) from list join actor on actor.did = list.did and actor.active
                    where list_type = 'playlist') as "playlist_count!"
             from (select count(*) as tracks, count(distinct track.did) as artists,
                          coalesce(sum(duration_s), 0)::bigint as duration_s,
                          coalesce(sum(play_count), 0)::bigint as plays,
                          coalesce(sum(like_count), 0)::bigint as likes,
                          coalesce(sum(comment_count), 0)::bigint as comments
                     from track
                     join actor on actor.did = track.did and actor.active
                     left join subject_count on subject_count.uri = track.uri) as told"#
    );
    Ok(stats.fetch_one(&mut *pool.acquire().await?).await?)
}
