//! What became of somebody's tracks: `fm.plyr.actor.getProfileAnalytics`.

use axum::Json;
use axum::extract::State;
use indexer::syntax::{AtUri, Did};
use serde::Serialize;
use sqlx::PgConnection;

use super::GetProfile;
use crate::App;
use crate::error::{Error, stored};
use crate::session::Viewer;
use crate::track::{self, TrackView};
use crate::xrpc::Params;

/// The track of which there is most.
#[derive(Debug)]
pub(crate) struct Top {
    pub uri: String,
    pub title: String,
    pub number: i64,
}

/// Numbers of all tracks of one person.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub tracks: i64,
    pub plays: i64,
    pub likes: i64,
    pub top_played: Option<Top>,
    pub top_liked: Option<Top>,
}

/// One walk over their tracks.
pub(crate) async fn of(db: &mut PgConnection, did: &Did) -> Result<Numbers, Error> {
    let row = sqlx::query!(
        r#"with own as materialized (
             select track.uri, title, coalesce(play_count, 0) as plays, coalesce(like_count, 0) as likes
               from track left join subject_count on subject_count.uri = track.uri where did = $1)
           select (select count(*) from own) as "tracks!", (select coalesce(sum(plays), 0)::bigint from own) as "plays!",
                  (select coalesce(sum(likes), 0)::bigint from own) as "likes!",
                  p.uri as "played_uri?", p.title as "played_title?", p.plays as "played?",
                  l.uri as "liked_uri?", l.title as "liked_title?", l.likes as "liked?"
             from (select) as one
             left join (select * from own where plays > 0 order by plays desc, uri limit 1) as p on true
             left join (select * from own where likes > 0 order by likes desc, uri limit 1) as l on true"#,
        did.as_str()
    )
    .fetch_one(db)
    .await?;
    let top = |uri: Option<String>, title: Option<String>, number: Option<i64>| {
        Some(Top { uri: uri?, title: title?, number: number? })
    };
    Ok(Numbers {
        tracks: row.tracks,
        plays: row.plays,
        likes: row.likes,
        top_played: top(row.played_uri, row.played_title, row.played),
        top_liked: top(row.liked_uri, row.liked_title, row.liked),
    })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Analytics {
    total_plays: i64,
    total_likes: i64,
    track_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_played: Option<TrackView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_liked: Option<TrackView>,
}

/// The handler.
pub(crate) async fn get_profile_analytics(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: Params<GetProfile>,
) -> Result<Json<Analytics>, Error> {
    let mut db = app.pool.acquire().await?;
    let did = super::visible(&mut db, params.0.actor).await?;
    let numbers = of(&mut db, &did).await?;
    let tops = [&numbers.top_played, &numbers.top_liked];
    let uris =
        tops.into_iter().flatten().map(|top| stored(&top.uri)).collect::<Result<Vec<AtUri>, Error>>()?;
    let (views, _) = track::views(&app.options, &mut db, viewer.as_ref(), &uris).await?;
    let view = |top: &Option<Top>| {
        let uri = top.as_ref().map(|top| top.uri.as_str())?;
        views.iter().find(|view| view.uri.as_str() == uri).cloned()
    };
    Ok(Json(Analytics {
        total_plays: numbers.plays,
        total_likes: numbers.likes,
        track_count: numbers.tracks,
        top_played: view(&numbers.top_played),
        top_liked: view(&numbers.top_liked),
    }))
}
