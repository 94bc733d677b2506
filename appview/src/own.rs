//! One's own tracks: what has been published, and taking it back.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use indexer::syntax::AtUri;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::detail::{Detail, number};
use crate::session::{SignedIn, Viewer};
use crate::track::response::{self, WithTracks};
use crate::{App, public_id};

/// Tracks of one page, unless asked for fewer or more, and at most.
pub(crate) const PAGE: i64 = 50;
pub(crate) const PAGE_MAX: i64 = 100;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Mine {
    limit: Option<String>,
    offset: Option<String>,
    #[serde(default)]
    q: String,
    sort: Option<String>,
}

/// `GET /tracks/me`.
pub(crate) async fn mine(
    State(app): State<App>,
    viewer: Viewer,
    asked: Result<Query<Mine>, QueryRejection>,
) -> Result<Json<WithTracks>, Detail> {
    let Query(asked) = asked.map_err(|_| Detail::invalid("query", "q", "the query cannot be read"))?;
    if asked.q.contains('\0') {
        return Err(Detail::invalid("query", "q", "holds a character that no title has"));
    }
    let limit = number("limit", asked.limit.as_deref(), PAGE, 1..=PAGE_MAX)?;
    let offset = number("offset", asked.offset.as_deref(), 0, 0..=i64::from(i32::MAX))?;
    let sort = asked.sort.as_deref().unwrap_or("recent");
    if !["recent", "title", "plays"].contains(&sort) {
        return Err(Detail::invalid("query", "sort", "one of recent, title, plays"));
    }
    let like = format!("%{}%", asked.q.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"));
    let mut db = app.pool.acquire().await?;
    let rows = sqlx::query_scalar!(
        r#"select track.uri
             from track
             left join subject_count on subject_count.uri = track.uri
            where did = $1 and title ilike $2
            order by case when $3 = 'title' then lower(title) end,
                     case when $3 = 'plays' then coalesce(play_count, 0) end desc,
                     sort_at desc, track.uri desc
            limit $4 offset $5"#,
        viewer.did.as_str(),
        like,
        sort,
        limit,
        offset
    )
    .fetch_all(&mut *db)
    .await?;
    let counts = sqlx::query!(
        r#"select count(*) as "total!", count(*) filter (where audio_cid is null) as "savable!"
             from track where did = $1 and title ilike $2"#,
        viewer.did.as_str(),
        like
    )
    .fetch_one(&mut *db)
    .await?;
    let counted = offset + (rows.len() as i64);
    let mut listed = Vec::with_capacity(rows.len());
    for row in rows {
        listed.push(row.parse::<AtUri>().map_err(Detail::internal)?);
    }
    let (tracks, covered) = response::of(&app.options, &mut db, Some(&viewer), &listed).await?;
    let beside = json!({
        "total": counts.total,
        "has_more": counted < counts.total || covered < listed.len(),
        "pds_savable_count": counts.savable,
    });
    Ok(Json(WithTracks { tracks, beside }))
}

/// `DELETE /tracks/{id}`: the record, and with it all that came of it. Its bytes are the collector's.
pub(crate) async fn delete(
    State(app): State<App>,
    viewer: SignedIn,
    id: public_id::Id,
) -> Result<Json<Value>, Detail> {
    app.limits.write.check(viewer.did.as_str())?;
    let missing = || Detail::not_found("track not found");
    let uri = {
        let mut db = app.pool.acquire().await?;
        let uri = public_id::find(&mut db, "track", id).await?.ok_or_else(missing)?;
        sqlx::query_scalar!("select uri from track where uri = $1", uri.as_str())
            .fetch_optional(&mut *db)
            .await?
            .ok_or_else(missing)?;
        uri
    };
    if uri.did() != viewer.did {
        return Err(Detail::forbidden("you can only delete your own tracks"));
    }
    app.publisher.delete(&viewer, &uri).await?;
    Ok(Json(json!({"message": "track deleted successfully"})))
}
