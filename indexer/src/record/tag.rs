//! Tags of tracks → `track_tag`, and how many tracks have each.

use sqlx::{PgConnection, PgPool};

use super::track;
use crate::apply::effects::Effects;
use crate::copy::{self, Rows, Target};

/// The columns of `track_tag`.
pub const TRACK_TAGS: Target = copy::into!(track_tag: uri, tag, sort_at);

/// These tracks have no tags any more.
pub(super) async fn remove(
    db: &mut PgConnection,
    tracks: &[String],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let gone = sqlx::query!(
        r#"delete from track_tag where uri = any($1) returning split_part(uri, '/', 3) as "did!", tag"#,
        tracks
    )
    .fetch_all(db)
    .await?;
    gone.iter().for_each(|gone| effects.count_tag(&gone.did, &gone.tag, -1));
    Ok(())
}

/// And these have those of theirs.
pub(super) async fn add(
    db: &mut PgConnection,
    tracks: &[track::Row],
    effects: &mut Effects,
) -> sqlx::Result<()> {
    let mut rows = Rows::into(TRACK_TAGS);
    for track in tracks {
        for tag in &track.tags {
            rows.row().field(&track.uri).field(tag).field(track.sort_at);
            effects.count_tag(&track.did, tag, 1);
        }
    }
    rows.write(db).await
}

/// The tags of somebody's tracks, and of how many.
pub(crate) async fn of_person(
    db: &mut PgConnection,
    from: &str,
    upto: &str,
) -> sqlx::Result<Vec<(String, i64)>> {
    let rows = sqlx::query!(
        r#"select tag, count(*) as "tracks!" from track_tag where uri > $1 and uri < $2 group by tag"#,
        from,
        upto
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.tag, row.tracks)).collect())
}

/// Forgets tags that no track has any more.
pub async fn forget_unused(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query!("delete from tag_count where tracks = 0").execute(pool).await?;
    Ok(())
}
