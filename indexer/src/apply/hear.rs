//! Plays that we are told of: by a player of ours, or by another client.
//!
//! They are no records and stand nowhere but here, so each is kept by itself (`play_event`). A listener's next play of a track
//! counts once the track could have come to its end. Where the listener writes a play record of it as well, the record counts
//! and the event does not.
//!
//! Of anonymous listeners many may be behind one address, a campus or all customers of a carrier, and as many may be one machine
//! that makes cookies. So what they hear is kept and counted, and charts do not look at what is more than ten listeners of a track,
//! a network and a day (`crowded`).

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

/// So many anonymous listeners of one track and one network count in charts, a day: their cookies are theirs to make.
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
    /// A keyed hash of the network it came from; all that is not known is one.
    pub network: [u8; 16],
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It is one more.
    Counted,
    /// It is the same that was told before, still.
    Again,
    /// It is one more, of a network that has had its share of the charts for today.
    Crowded,
    /// Nobody is known by that DID: nothing was kept. Once they are, it can be told again.
    Unknown,
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
        Heard::Unknown => "unknown",
    })
    .increment(1);
    Ok(heard)
}

async fn within(db: &mut PgConnection, told: &Told) -> sqlx::Result<Heard> {
    let (listener, subject) = (told.listener.name(), told.subject.as_str());
    match &told.listener {
        Listener::Person(did) => match is_active(db, did).await? {
            Some(true) => {}
            // Of who is hidden or gone nothing is begun.
            Some(false) => return Ok(Heard::Again),
            None => return Ok(Heard::Unknown),
        },
        // Two tabs at once are one listener; and of one network one comes after another.
        Listener::Anonymous(_) => {
            sqlx::query!(
                "select pg_advisory_xact_lock(hashtextextended(encode($1, 'hex') || $2, 0))",
                &told.network,
                subject
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
    let is_anonymous = matches!(told.listener, Listener::Anonymous(_));
    let is_crowded = is_anonymous && others(db, told, &listener).await? >= NETWORK_MAX;
    let added = sqlx::query!(
        r#"insert into play_event (listener, subject_uri, window_s, client, network, crowded, covered)
           values ($1, $2, $3, $4, $5, $6, coalesce((
             select true from play where did = $1 and subject_uri = $2
                and played_at between now() - make_interval(secs => $7) and now() + make_interval(secs => $7)
              limit 1), false))
           returning covered, played_at"#,
        listener,
        subject,
        window_s,
        told.client,
        (is_anonymous && !is_crowded).then_some(&told.network[..]),
        is_crowded,
        f64::from(window_s)
    )
    .fetch_one(&mut *db)
    .await?;
    let mut effects = Effects::default();
    effects.count(&listener, subject, Count::PlyrPlays, 1);
    if !added.covered {
        effects.count(&listener, subject, Count::Plays, 1);
    }
    if !is_crowded {
        effects.heard(&listener, added.played_at);
    }
    effects.touch(subject, false);
    effects.hear(subject);
    effects.carry_out(db).await?;
    Ok(if is_crowded { Heard::Crowded } else { Heard::Counted })
}

/// Whether somebody may be seen; none where nobody is known by that DID. Their standing holds still until the transaction ends.
async fn is_active(db: &mut PgConnection, did: &Did) -> sqlx::Result<Option<bool>> {
    sqlx::query!("select did from repo where did = $1 for update", did.as_str())
        .fetch_optional(&mut *db)
        .await?;
    sqlx::query_scalar!(r#"select active as "active!" from actor where did = $1"#, did.as_str())
        .fetch_optional(db)
        .await
}

/// How many other anonymous listeners of its network that charts look at a track has had today.
async fn others(db: &mut PgConnection, told: &Told, listener: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"select count(distinct listener) as "count!" from play_event
            where network = $1 and subject_uri = $2 and listener <> $3"#,
        &told.network,
        told.subject.as_str(),
        listener
    )
    .fetch_one(db)
    .await
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
