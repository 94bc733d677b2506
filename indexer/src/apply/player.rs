//! What a player of ours says that somebody hears now: kept for a few minutes, and told to those who follow when it changes.
//!
//! Players say it every few seconds. Who follows is told when what plays changes, when it rests or ends; and of what plays on,
//! again before the word they have is worth nothing any more.

use sqlx::PgConnection;

use super::Door;
use super::effects::Effects;
use crate::syntax::Did;

/// For so long a player's word holds.
pub const LIFE_S: i64 = 300;
/// What plays on is told again after this.
const AGAIN_S: i64 = 120;

/// A player's word.
#[derive(Debug, Clone)]
pub struct State {
    /// Whose player it is.
    pub did: Did,
    /// The number of the track, as the player names it.
    pub track_id: Option<i64>,
    /// Its sound, likewise.
    pub file_id: Option<String>,
    /// What it is called.
    pub track_name: String,
    /// Whose it is.
    pub artist_name: String,
    /// What it is on.
    pub album_name: Option<String>,
    /// How long it is.
    pub duration_ms: i64,
    /// How far it has come.
    pub progress_ms: i64,
    /// Whether it plays or rests.
    pub is_playing: bool,
    /// Its cover.
    pub image_url: Option<String>,
}

/// Keeps a player's word in place of the one before.
pub async fn tell(door: &Door, state: &State) -> sqlx::Result<()> {
    let mut tx = door.pool.begin().await?;
    let is_news = sqlx::query_scalar!(
        r#"insert into player_state as p (did, track_id, file_id, track_name, artist_name, album_name, duration_ms,
                                          progress_ms, is_playing, image_url, told_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, now())
           on conflict (did) do update set
             told_at = case
               when p.updated_at > now() - make_interval(secs => $11)
                and (not p.is_playing or p.told_at > now() - make_interval(secs => $12))
                and (p.track_id, p.file_id, p.track_name, p.artist_name, p.album_name, p.is_playing)
                    is not distinct from (excluded.track_id, excluded.file_id, excluded.track_name,
                                          excluded.artist_name, excluded.album_name, excluded.is_playing)
               then p.told_at else now() end,
             track_id = excluded.track_id, file_id = excluded.file_id, track_name = excluded.track_name,
             artist_name = excluded.artist_name, album_name = excluded.album_name, duration_ms = excluded.duration_ms,
             progress_ms = excluded.progress_ms, is_playing = excluded.is_playing, image_url = excluded.image_url,
             updated_at = now()
           returning told_at = now() as "is_news!""#,
        state.did.as_str(),
        state.track_id,
        state.file_id,
        state.track_name,
        state.artist_name,
        state.album_name,
        state.duration_ms,
        state.progress_ms,
        state.is_playing,
        state.image_url,
        LIFE_S as f64,
        AGAIN_S as f64
    )
    .fetch_one(&mut *tx)
    .await?;
    if is_news {
        announce(&mut tx, &state.did, state.track_id).await?;
    }
    tx.commit().await
}

/// Forgets what a player said.
pub async fn clear(door: &Door, did: &Did) -> sqlx::Result<()> {
    let mut tx = door.pool.begin().await?;
    let gone = sqlx::query!(
        r#"delete from player_state where did = $1
           returning track_id, updated_at > now() - make_interval(secs => $2) as "held!""#,
        did.as_str(),
        LIFE_S as f64
    )
    .fetch_optional(&mut *tx)
    .await?;
    if let Some(gone) = gone.filter(|gone| gone.held) {
        announce(&mut tx, did, gone.track_id).await?;
    }
    tx.commit().await
}

/// Tells that what somebody hears changed, about this track if it is one; not of who is hidden.
async fn announce(db: &mut PgConnection, did: &Did, track_id: Option<i64>) -> sqlx::Result<()> {
    let found = sqlx::query!(
        r#"select (select active from actor where did = $1) as active,
                  (select uri from public_id where id = $2 and kind = 'track') as subject"#,
        did.as_str(),
        track_id
    )
    .fetch_one(&mut *db)
    .await?;
    if found.active != Some(true) {
        return Ok(());
    }
    let mut effects = Effects::default();
    effects.hears(None, did.as_str(), found.subject.as_deref());
    effects.carry_out(db).await
}
