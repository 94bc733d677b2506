//! `chart_due`: what is to be counted anew.

use std::collections::BTreeSet;

use sqlx::{PgConnection, PgPool};

use crate::copy::{self, Rows, Target};

/// One thing to count anew.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// What somebody heard in an hour.
    Heard(String, i32),
    /// Whether somebody likes a track.
    Liked(String, String),
    /// All that somebody heard and liked.
    Person(String),
    /// What a track counts for.
    Track(String),
}

/// The columns of `chart_due`.
pub const DUES: Target = copy::into!(chart_due: did, subject_uri, hour);

/// Notes them, in the transaction that makes them so.
pub(crate) async fn write(db: &mut PgConnection, dues: &BTreeSet<Due>) -> sqlx::Result<()> {
    let none = None::<&str>;
    let mut rows = Rows::into(DUES);
    for due in dues {
        match due {
            Due::Heard(did, hour) => rows.row().field(did).field(none).field(*hour),
            Due::Liked(did, subject) => rows.row().field(did).field(subject).field(None::<i32>),
            Due::Person(did) => rows.row().field(did).field(none).field(None::<i32>),
            Due::Track(uri) => rows.row().field(none).field(uri).field(None::<i32>),
        };
    }
    rows.write(db).await
}

/// Takes up to `limit` of them: each once, however often it was noted.
pub(super) async fn take(db: &mut PgConnection, limit: i64) -> sqlx::Result<BTreeSet<Due>> {
    let rows = sqlx::query!(
        "delete from chart_due where ctid = any(array(select ctid from chart_due limit $1))
         returning did, subject_uri, hour",
        limit
    )
    .fetch_all(db)
    .await?;
    let dues = rows.into_iter().filter_map(|row| match (row.did, row.subject_uri, row.hour) {
        (Some(did), None, Some(hour)) => Some(Due::Heard(did, hour)),
        (Some(did), Some(subject), None) => Some(Due::Liked(did, subject)),
        (Some(did), None, None) => Some(Due::Person(did)),
        (None, Some(uri), None) => Some(Due::Track(uri)),
        _ => None,
    });
    Ok(dues.collect())
}

/// Notes each hour and each like of these people by itself: what is there, and what has been counted.
pub(super) async fn spread(db: &mut PgConnection, dids: &[String]) -> sqlx::Result<()> {
    sqlx::query!(
        r#"insert into chart_due (did, hour)
           select w.did, h.hour from unnest($1::text[]) as w (did) cross join lateral (
             select floor(extract(epoch from played_at) / 3600)::integer as hour from play where play.did = w.did collate "C"
             union
             select floor(extract(epoch from played_at) / 3600)::integer from play_event e
              where e.listener = w.did collate "C"
             union
             select distinct heard.hour from heard
              where listener_id = (select id from chart_listener where name = w.did collate "C")
           ) as h"#,
        dids
    )
    .execute(&mut *db)
    .await?;
    sqlx::query!(
        r#"insert into chart_due (did, subject_uri)
           select w.did, l.uri from unnest($1::text[]) as w (did) cross join lateral (
             select r.subject_uri as uri from reaction r
              where r.uri > ('at://' || w.did || '/') collate "C" and r.uri < ('at://' || w.did || '0') collate "C"
                and r.verb = 'like' and r.subject_uri ~ '^at://[^/]+/[^/]+\.track/'
             union
             select s.key from liked join chart_subject s on s.id = liked.subject_id
              where listener_id = (select id from chart_listener where name = w.did collate "C")
           ) as l"#,
        dids
    )
    .execute(db)
    .await?;
    Ok(())
}

/// Has everything counted anew, as after a rebuild: nothing of what was counted is believed.
pub async fn all(pool: &PgPool) -> sqlx::Result<()> {
    let mut tx = pool.begin().await?;
    sqlx::query!("select pg_advisory_xact_lock($1)", super::worker::TURN).execute(&mut *tx).await?;
    sqlx::query!("truncate heard, liked, chart_member, chart_audience, chart_part, chart, chart_due")
        .execute(&mut *tx)
        .await?;
    // Which of our own plays a record tells of as well.
    sqlx::query!(
        "update play_event e set covered = not covered where covered is distinct from coalesce((
           select true from play p where p.did = e.listener and p.subject_uri = e.subject_uri
              and p.played_at between e.played_at - make_interval(secs => e.window_s)
                                  and e.played_at + make_interval(secs => e.window_s) limit 1), false)"
    )
    .execute(&mut *tx)
    .await?;
    sqlx::query!(
        "insert into chart_due (did, subject_uri)
         select null, uri from track
         union all
         select did, null from (select did from play union select did from reaction where verb = 'like'
                                union select listener from play_event where not crowded) as people"
    )
    .execute(&mut *tx)
    .await?;
    tx.commit().await
}
