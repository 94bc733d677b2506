//! Somebody's own feed: tracks of whom they follow on Bluesky and whose tracks they like.

use axum::Json;
use axum::extract::State;
use indexer::syntax::Did;
use serde::Deserialize;
use serde_json::Value;
use sqlx::PgConnection;

use crate::App;
use crate::actor::http::short_person;
use crate::cursor::Cursor;
use crate::detail::Detail;
use crate::error::{Error, stored};
use crate::feed::{Page, Place, Position, page};
use crate::hydrate;
use crate::session::Viewer;
use crate::xrpc::Params;

/// People whom one follows that are looked at, and likes: the last ones.
const FOLLOWS_MAX: i64 = 5_000;
const LIKES_MAX: i64 = 1_000;
/// People of a list without pages.
const PEOPLE_MAX: i64 = 200;

#[derive(Debug, Deserialize)]
pub(crate) struct GetTimeline {
    limit: u8,
    cursor: Option<Cursor<b'h'>>,
}

/// `fm.plyr.feed.getTimeline`: newest first.
pub(crate) async fn get_timeline(
    State(app): State<App>,
    viewer: Viewer,
    params: Params<GetTimeline>,
) -> Result<Json<Page<b'h'>>, Error> {
    let GetTimeline { limit, cursor } = params.0;
    viewer.confide(&app).await?;
    let from = Position::after(cursor)?;
    let mut db = app.pool.acquire().await?;
    let skeleton = skeleton(&mut db, &viewer.did, &from, i64::from(limit) + 1).await?;
    page(&app, &mut db, Some(&viewer), skeleton, limit.into(), None).await.map(Json)
}

/// The newest tracks of each of these people, and of those the newest: for each of them one look into an index.
async fn skeleton(
    db: &mut PgConnection,
    did: &Did,
    from: &Position,
    limit: i64,
) -> Result<Vec<Place>, Error> {
    let rows = sqlx::query!(
        r#"with artist as materialized (
             select subject_did as did
               from (select subject_did from follow where did = $1 order by sort_at desc, subject_did limit $5) as followed
             union
             select split_part(subject_uri, '/', 3)
               from (select subject_uri from reaction where did = $1 and verb = 'like'
                      order by sort_at desc, subject_uri desc limit $6) as liked)
           select track.uri as "uri!", track.sort_at as "sort_at!"
             from artist
             join actor on actor.did = artist.did and actor.active,
                  lateral (select uri, sort_at from track
                            where track.did = artist.did
                              and (sort_at, uri) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
                            order by sort_at desc, uri desc limit $4) as track
            order by track.sort_at desc, track.uri desc
            limit $4"#,
        did.as_str(),
        from.time,
        from.uri,
        limit,
        FOLLOWS_MAX,
        LIKES_MAX
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| Ok(Place { track: stored(&row.uri)?, time: row.sort_at })).collect()
}

/// `GET /discover/network`: artists whom the viewer follows on Bluesky, a bare array, those first whom they have followed longest.
pub(crate) async fn network(State(app): State<App>, viewer: Viewer) -> Result<Json<Value>, Detail> {
    let mut db = app.pool.acquire().await?;
    let rows = sqlx::query!(
        r#"select f.did as "did!", t.tracks as "tracks!"
             from (select subject_did as did, min(sort_at) as since
                     from (select subject_did, sort_at from follow where did = $1 order by sort_at desc, subject_did limit $2) as f
                    group by subject_did) as f
             join actor on actor.did = f.did and actor.active,
                  lateral (select count(*) as tracks from track where track.did = f.did) as t
            where t.tracks > 0
            order by f.since, f.did
            limit $3"#,
        viewer.did.as_str(),
        FOLLOWS_MAX,
        PEOPLE_MAX
    )
    .fetch_all(&mut *db)
    .await?;
    let dids = rows.iter().map(|row| stored(&row.did)).collect::<Result<Vec<Did>, Error>>()?;
    let people = hydrate::people(&app.options, &mut db, &dids).await?;
    let shown = rows.iter().zip(&dids).filter_map(|(row, did)| {
        let person = people.get(did)?;
        let mut artist = short_person(person);
        artist["track_count"] = row.tracks.into();
        Some(artist)
    });
    Ok(Json(shown.collect()))
}
