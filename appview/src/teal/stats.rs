//! `fm.teal.stats.getTop…`: which artists, releases and recordings play records name most.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::chart::{Kind, Period};
use indexer::syntax::Did;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::App;
use crate::actor::{AtIdentifier, visible};
use crate::chart::place::Place;
use crate::error::Error;
use crate::xrpc::Params;

/// Everybody's periods.
#[derive(Debug, Clone, Copy, Deserialize)]
enum Within {
    #[serde(rename = "all")]
    All,
    #[serde(rename = "30days")]
    Month,
    #[serde(rename = "7days")]
    Week,
}

/// A person's own.
#[derive(Debug, Clone, Copy, Deserialize)]
enum OwnWithin {
    #[serde(rename = "7days")]
    Week,
    #[serde(rename = "30days")]
    Month,
    #[serde(rename = "90days")]
    Quarter,
    #[serde(rename = "180days")]
    Half,
    #[serde(rename = "365days")]
    Year,
    #[serde(rename = "all")]
    All,
}

impl OwnWithin {
    fn days(self) -> Option<i32> {
        match self {
            OwnWithin::Week => Some(7),
            OwnWithin::Month => Some(30),
            OwnWithin::Quarter => Some(90),
            OwnWithin::Half => Some(180),
            OwnWithin::Year => Some(365),
            OwnWithin::All => None,
        }
    }
}

/// `fm.teal.stats.defs#artistView`, `#releaseView`, `#recordingView`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct View {
    #[serde(skip_serializing_if = "Option::is_none")]
    mbid: Option<String>,
    name: String,
    play_count: i64,
}

struct Row {
    subject_id: i32,
    key: String,
    name: Option<String>,
    plays: i64,
    score: i64,
}

/// A page of views, and where it ended if more follow.
fn page(mut rows: Vec<Row>, limit: u8) -> (Vec<View>, Option<Place>) {
    let limit = usize::from(limit);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let end = rows.last().filter(|_| more).map(|row| Place { score: row.score, id: row.subject_id });
    let views = rows.into_iter().map(|row| View {
        mbid: Some(row.key).filter(|key| key.starts_with("mbid:")),
        name: row.name.unwrap_or_default(),
        play_count: row.plays,
    });
    (views.collect(), end)
}

async fn everybodys(db: &mut PgConnection, kind: Kind, asked: &GetTop) -> Result<Vec<Row>, Error> {
    let after = asked.cursor.unwrap_or(Place::TOP);
    let period = match asked.period {
        Within::All => Period::All,
        Within::Month => Period::Month,
        Within::Week => Period::Week,
    };
    Ok(sqlx::query_as!(
        Row,
        r#"select c.subject_id, s.key, s.name, c.plays + c.excess as "plays!", c.play_score as score
           from chart c join chart_subject s on s.id = c.subject_id
          where c.period = $1 and c.kind = $2 and c.play_score > 0 and (c.play_score, c.subject_id) < ($3, $4)
          order by c.play_score desc, c.subject_id desc limit $5"#,
        period as i16,
        kind as i16,
        after.score,
        after.id,
        i64::from(asked.limit) + 1
    )
    .fetch_all(db)
    .await?)
}

/// Of a person's own plays: summed up from the hours of the period, an index scan.
async fn own(
    db: &mut PgConnection,
    did: &Did,
    kind: Kind,
    days: Option<i32>,
    after: Place,
    limit: i64,
) -> Result<Vec<Row>, Error> {
    let now = i32::try_from(Utc::now().timestamp() / 3600).map_err(Error::internal)?;
    let since = days.map_or(i32::MIN, |days| now - days * 24);
    Ok(sqlx::query_as!(
        Row,
        r#"select subject_id, s.key, s.name, plays as "plays!", plays as "score!"
             from (select subject_id, sum(plays) as plays from heard
                    where listener_id = (select id from chart_listener where name = $1) and kind = $2 and hour > $3
                    group by subject_id) as h
             join chart_subject s on s.id = h.subject_id
            where (plays, subject_id) < ($4, $5)
            order by plays desc, subject_id desc limit $6"#,
        did.as_str(),
        kind as i16,
        since,
        after.score,
        after.id,
        limit
    )
    .fetch_all(db)
    .await?)
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetTop {
    period: Within,
    limit: u8,
    cursor: Option<Place>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetUserTop {
    actor: AtIdentifier,
    period: OwnWithin,
    limit: u8,
    cursor: Option<Place>,
}

async fn user(
    db: &mut PgConnection,
    kind: Kind,
    asked: GetUserTop,
) -> Result<(Vec<View>, Option<Place>), Error> {
    let GetUserTop { actor, period, limit, cursor } = asked;
    let did = visible(db, actor).await?;
    let after = cursor.unwrap_or(Place::TOP);
    Ok(page(own(db, &did, kind, period.days(), after, i64::from(limit) + 1).await?, limit))
}

#[derive(Debug, Serialize)]
pub(crate) struct Artists {
    artists: Vec<View>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Place>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Releases {
    releases: Vec<View>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Place>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Recordings {
    recordings: Vec<View>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Place>,
}

/// `fm.teal.stats.getTopArtists`.
pub(crate) async fn get_top_artists(
    State(app): State<App>,
    params: Params<GetTop>,
) -> Result<Json<Artists>, Error> {
    let rows = everybodys(&mut *app.pool.acquire().await?, Kind::PlayedArtist, &params.0).await?;
    let (artists, cursor) = page(rows, params.0.limit);
    Ok(Json(Artists { artists, cursor }))
}

/// `fm.teal.stats.getTopReleases`.
pub(crate) async fn get_top_releases(
    State(app): State<App>,
    params: Params<GetTop>,
) -> Result<Json<Releases>, Error> {
    let rows = everybodys(&mut *app.pool.acquire().await?, Kind::PlayedRelease, &params.0).await?;
    let (releases, cursor) = page(rows, params.0.limit);
    Ok(Json(Releases { releases, cursor }))
}

/// `fm.teal.stats.getUserTopArtists`.
pub(crate) async fn get_user_top_artists(
    State(app): State<App>,
    params: Params<GetUserTop>,
) -> Result<Json<Artists>, Error> {
    let (artists, cursor) = user(&mut *app.pool.acquire().await?, Kind::PlayedArtist, params.0).await?;
    Ok(Json(Artists { artists, cursor }))
}

/// `fm.teal.stats.getUserTopReleases`.
pub(crate) async fn get_user_top_releases(
    State(app): State<App>,
    params: Params<GetUserTop>,
) -> Result<Json<Releases>, Error> {
    let (releases, cursor) = user(&mut *app.pool.acquire().await?, Kind::PlayedRelease, params.0).await?;
    Ok(Json(Releases { releases, cursor }))
}

/// `fm.teal.stats.getUserTopRecordings`.
pub(crate) async fn get_user_top_recordings(
    State(app): State<App>,
    params: Params<GetUserTop>,
) -> Result<Json<Recordings>, Error> {
    let (recordings, cursor) = user(&mut *app.pool.acquire().await?, Kind::PlayedRecording, params.0).await?;
    Ok(Json(Recordings { recordings, cursor }))
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetRepoTop {
    actor: AtIdentifier,
    period: OwnWithin,
    limit: u8,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RepoTop {
    releases: Vec<View>,
    source_count: i64,
    album_play_count: i64,
    fetched_at: DateTime<Utc>,
}

/// `fm.teal.stats.getRepoTopReleases`: the same for what we hold of a repo, which is all of it and follows it.
pub(crate) async fn get_repo_top_releases(
    State(app): State<App>,
    params: Params<GetRepoTop>,
) -> Result<Json<RepoTop>, Error> {
    let GetRepoTop { actor, period, limit } = params.0;
    let mut db = app.pool.acquire().await?;
    let did = visible(&mut db, actor).await?;
    let rows = own(&mut db, &did, Kind::PlayedRelease, period.days(), Place::TOP, limit.into()).await?;
    let (releases, _) = page(rows, limit);
    let now = i32::try_from(Utc::now().timestamp() / 3600).map_err(Error::internal)?;
    let since = period.days().map_or(i32::MIN, |days| now - days * 24);
    let sums = sqlx::query!(
        r#"select coalesce(sum(plays) filter (where kind = 6), 0) as "plays!",
                  coalesce(sum(plays) filter (where kind = 5), 0) as "of_releases!",
                  coalesce((select verified_at from repo where did = $1), now()) as "at!"
             from heard where listener_id = (select id from chart_listener where name = $1)
              and kind = any(array[5, 6]::smallint[]) and hour > $2"#,
        did.as_str(),
        since
    )
    .fetch_one(&mut *db)
    .await?;
    Ok(Json(RepoTop {
        releases,
        source_count: sums.plays,
        album_play_count: sums.of_releases,
        fetched_at: sums.at,
    }))
}
