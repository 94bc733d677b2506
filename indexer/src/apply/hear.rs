//! Plays that we are told of: by a player of ours, or by another client.
//!
//! They are no records and stand nowhere but here, so each is kept by itself (`play_event`). A listener's next play of a track
//! counts once the track could have come to its end. Where the listener writes a play record of it as well, the record counts
//! and the event does not.

use sqlx::{PgConnection, PgPool};

use super::Door;
use super::effects::{Count, Effects};
use crate::syntax::{AtUri, Did};

/// A track is taken to be at least and at most so long, and so long if nobody knows.
pub const WINDOW_MIN_S: i32 = 30;
/// See [`WINDOW_MIN_S`].
pub const WINDOW_MAX_S: i32 = 3600;
/// See [`WINDOW_MIN_S`].
pub const WINDOW_UNKNOWN_S: i32 = 180;

/// So many anonymous listeners of one track may one network have a day: their cookies are theirs to make.
pub const NETWORK_MAX: i64 = 10;

/// Who heard it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listener {
    /// Somebody who is signed in.
    Person(Did),
    /// A browser, by a hash of its cookie.
    Anonymous([u8; 16]),
}

impl Listener {
    /// As `play_event` names them.
    pub fn name(&self) -> String {
        match self {
            Listener::Person(did) => did.to_string(),
            Listener::Anonymous(hash) => format!("anonymous:{}", hex::encode(hash)),
        }
    }
}

/// A play, as told.
#[derive(Debug, Clone)]
pub struct Told {
    /// Who heard it.
    pub listener: Listener,
    /// What: a track.
    pub subject: AtUri,
    /// How long the track is, where that is known.
    pub duration_s: Option<i32>,
    /// Which program says so.
    pub client: Option<String>,
    /// A keyed hash of the network it came from.
    pub network: [u8; 16],
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It is one more.
    Counted,
    /// It is the same that was told before, still.
    Again,
    /// Its network has had its share for today.
    Crowded,
}

/// Notes that somebody heard a track, now.
pub async fn hear(door: &Door, told: &Told) -> sqlx::Result<Heard> {
    let mut tx = door.pool.begin().await?;
    let heard = within(&mut tx, told).await?;
    tx.commit().await?;
    metrics::counter!("plyr_plays_told_total", "outcome" => match heard {
        Heard::Counted => "counted",
        Heard::Again => "again",
        Heard::Crowded => "crowded",
    })
    .increment(1);
    Ok(heard)
}

async fn within(db: &mut PgConnection, told: &Told) -> sqlx::Result<Heard> {
    let (listener, subject) = (told.listener.name(), told.subject.as_str());
    let mut network = None;
    match &told.listener {
        Listener::Person(did) => {
            sqlx::query!("select did from repo where did = $1 for update", did.as_str())
                .fetch_optional(&mut *db)
                .await?;
            let is_active =
                sqlx::query_scalar!(r#"select active as "active!" from actor where did = $1"#, did.as_str())
                    .fetch_optional(&mut *db)
                    .await?;
            // Of who is hidden or gone nothing is begun.
            if is_active != Some(true) {
                return Ok(Heard::Again);
            }
        }
        // Two tabs at once are one listener; and of one network one comes after another.
        Listener::Anonymous(_) => {
            network = Some(&told.network[..]);
            sqlx::query!(
                "select pg_advisory_xact_lock(hashtextextended(encode($1, 'hex'), 0))",
                &told.network
            )
            .execute(&mut *db)
            .await?;
        }
    }
    let window_s = told.duration_s.unwrap_or(WINDOW_UNKNOWN_S).clamp(WINDOW_MIN_S, WINDOW_MAX_S);
    let is_same = sqlx::query_scalar!(
        r#"select exists (select from play_event where listener = $1 and subject_uri = $2
                           and played_at > now() - make_interval(secs => $3)) as "is!""#,
        listener,
        subject,
        f64::from(window_s)
    )
    .fetch_one(&mut *db)
    .await?;
    if is_same {
        return Ok(Heard::Again);
    }
    if let Listener::Anonymous(_) = &told.listener {
        let others = sqlx::query_scalar!(
            r#"select count(distinct listener) as "count!" from play_event
                where network = $1 and subject_uri = $2 and listener <> $3 and listener like 'anonymous:%'"#,
            &told.network,
            subject,
            listener
        )
        .fetch_one(&mut *db)
        .await?;
        if others >= NETWORK_MAX {
            return Ok(Heard::Crowded);
        }
    }
    let added = sqlx::query!(
        r#"insert into play_event (listener, subject_uri, window_s, client, network, covered)
           values ($1, $2, $3, $4, $5, coalesce((
             select true from play where did = $1 and subject_uri = $2
                and played_at between now() - make_interval(secs => $6) and now() + make_interval(secs => $6)
              limit 1), false))
           returning covered, played_at"#,
        listener,
        subject,
        window_s,
        told.client,
        network,
        f64::from(window_s)
    )
    .fetch_one(&mut *db)
    .await?;
    let mut effects = Effects::default();
    effects.count(&listener, subject, Count::PlyrPlays, 1);
    if !added.covered {
        effects.count(&listener, subject, Count::Plays, 1);
    }
    effects.heard(&listener, added.played_at);
    effects.touch(subject, false);
    effects.hear(subject);
    effects.carry_out(db).await?;
    Ok(Heard::Counted)
}

/// Forgets from which networks plays came, once their day is over.
pub async fn forget_networks(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!(
        "update play_event set network = null where network is not null and played_at < now() - interval '1 day'"
    )
    .execute(pool)
    .await?;
    Ok(())
}
