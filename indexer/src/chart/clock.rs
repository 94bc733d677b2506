//! What leaves the last day, week and month as time goes on.

use sqlx::PgConnection;

use super::member::Members;
use super::moves::{Amount, Moves};
use super::origin::Home;
use super::{Kind, PERIODS, origin};

/// The hour in which periods end now.
pub(super) async fn now(db: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar!("select hour from chart_clock").fetch_one(db).await
}

/// Goes on by one hour, if it is over. Returns whether it was; then another may be over, too.
pub(super) async fn advance(db: &mut PgConnection) -> sqlx::Result<bool> {
    let row = sqlx::query!(
        r#"select hour, floor(extract(epoch from now()) / 3600)::integer as "present!" from chart_clock for update"#
    )
    .fetch_one(&mut *db)
    .await?;
    if row.present <= row.hour {
        return Ok(false);
    }
    let mut moves = Moves::default();
    for period in PERIODS {
        let Some(hours) = period.hours() else { continue };
        let leaving = row.hour + 1 - hours;
        let heard = sqlx::query!(
            "select h.listener_id, h.kind, h.subject_id, h.plays, l.origin_id, l.is_unvouched
               from heard h join chart_listener l on l.id = h.listener_id where h.hour = $1",
            leaving
        )
        .fetch_all(&mut *db)
        .await?;
        let liked = sqlx::query!(
            "select l.listener_id, l.subject_id, o.origin_id, o.is_unvouched
               from liked l join chart_listener o on o.id = l.listener_id where l.hour = $1",
            leaving
        )
        .fetch_all(&mut *db)
        .await?;
        let tracks = heard.iter().filter(|row| row.kind == Kind::Track as i16).map(|row| row.subject_id);
        let tracks = tracks.chain(liked.iter().map(|row| row.subject_id)).collect();
        let members = Members::of(db, &tracks).await?;
        let mut take = |kind, subject, who, by: Amount| {
            moves.add(period, (subject, kind), who, by);
            if kind == Kind::Track {
                members.of_track(subject).iter().for_each(|key| moves.add(period, *key, who, by));
            }
        };
        for row in heard {
            let Some(kind) = Kind::of(row.kind).filter(|kind| *kind != Kind::PlayedRecording) else {
                continue;
            };
            let home = Home { origin: row.origin_id, is_unvouched: row.is_unvouched };
            take(kind, row.subject_id, (row.listener_id, home), -Amount::heard(row.plays.into()));
        }
        for row in liked {
            let home = Home { origin: row.origin_id, is_unvouched: row.is_unvouched };
            let like = Amount { likes: 1, ..Amount::default() };
            take(Kind::Track, row.subject_id, (row.listener_id, home), -like);
        }
    }
    moves.carry_out(db).await?;
    sqlx::query!("update chart_clock set hour = hour + 1").execute(&mut *db).await?;
    origin::graduate(db).await?;
    Ok(true)
}
