//! Feeds: lists of tracks, each a walk down one index from where the last page ended.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use indexer::record::normalize_tags;
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::App;
use crate::actor::{self, AtIdentifier};
use crate::cursor::Cursor;
use crate::error::{Error, stored};
use crate::session::Viewer;
use crate::track::{self, TrackView};
use crate::xrpc::Params;

/// Likes that one page of a person's looks at: some may be of what cannot be shown, or the second of the same.
const WINDOW: i64 = 500;

/// Where a page of tracks ended: the moment by which they are ordered, and the track.
type FeedCursor = Cursor<b't'>;
/// The same, where that moment is of a like.
type LikedCursor = Cursor<b'k'>;

/// A track, and the moment by which it is ordered.
#[derive(Debug)]
pub(crate) struct Place {
    pub track: AtUri,
    pub time: DateTime<Utc>,
}

/// Where a page begins; before the first row when both are absent. A missing cursor becomes the upper end of the order, not an
/// "or": either way the index is entered at one place.
#[derive(Debug, Default)]
pub(crate) struct Position {
    pub time: Option<DateTime<Utc>>,
    pub uri: Option<String>,
}

/// Which tracks of a feed are wanted.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// Any of these tags, if there are any.
    pub tags: Vec<String>,
    /// None of these.
    pub hidden: Vec<String>,
}

impl Position {
    pub(crate) fn after<const TAG: u8>(cursor: Option<Cursor<TAG>>) -> Result<Self, Error> {
        let time = cursor.as_ref().map(Cursor::time).transpose()?;
        Ok(Position { time, uri: cursor.map(|cursor| cursor.uri().to_string()) })
    }
}

/// A page of tracks, and where it ends if more follow.
#[derive(Debug, Serialize)]
pub(crate) struct Page<const TAG: u8> {
    tracks: Vec<TrackView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Cursor<TAG>>,
}

/// Makes a page of at most `limit` tracks from a skeleton of one more. `end` is where to go on from a page that is not full.
pub(crate) async fn page<const TAG: u8>(
    app: &App,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    mut skeleton: Vec<Place>,
    limit: usize,
    end: Option<Cursor<TAG>>,
) -> Result<Page<TAG>, Error> {
    let more = skeleton.len() > limit;
    skeleton.truncate(limit);
    let uris: Vec<AtUri> = skeleton.iter().map(|place| place.track.clone()).collect();
    let (tracks, covered) = track::views(&app.options, db, viewer, &uris).await?;
    let cut = covered < uris.len();
    let last = skeleton.into_iter().take(covered).next_back().filter(|_| more || cut);
    let cursor = last.map(|Place { track, time }| Cursor::at_time(time, track));
    Ok(Page { tracks, cursor: cursor.or(end) })
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetLatest {
    limit: u8,
    cursor: Option<FeedCursor>,
}

/// `fm.plyr.feed.getLatest`: all tracks, newest first.
pub(crate) async fn get_latest(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: Params<GetLatest>,
) -> Result<Json<Page<b't'>>, Error> {
    let GetLatest { limit, cursor } = params.0;
    let mut db = app.pool.acquire().await?;
    let from = Position::after(cursor)?;
    let skeleton = latest(&mut db, &from, &Wanted::default(), i64::from(limit) + 1).await?;
    page(&app, &mut db, viewer.as_ref(), skeleton, limit.into(), None).await.map(Json)
}

/// Tracks by feed order, newest first. Those of some tags are walked to tag by tag.
pub(crate) async fn latest(
    db: &mut PgConnection,
    from: &Position,
    wanted: &Wanted,
    limit: i64,
) -> Result<Vec<Place>, Error> {
    if !wanted.tags.is_empty() {
        return tagged(db, from, wanted, limit).await;
    }
    let rows = sqlx::query!(
        "select track.uri, track.sort_at
           from track
           join actor on actor.did = track.did and actor.active
          where (track.sort_at, track.uri) < (coalesce($1, 'infinity'::timestamptz), coalesce($2, ''))
            and not (track.tags && $3)
          order by track.sort_at desc, track.uri desc
          limit $4",
        from.time,
        from.uri,
        &wanted.hidden,
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| place(&row.uri, row.sort_at)).collect()
}

async fn tagged(
    db: &mut PgConnection,
    from: &Position,
    wanted: &Wanted,
    limit: i64,
) -> Result<Vec<Place>, Error> {
    let rows = sqlx::query!(
        r#"select distinct newest.sort_at as "sort_at!", newest.uri as "uri!"
             from unnest($1::text[]) as wanted (tag),
                  lateral (select track_tag.uri, track_tag.sort_at
                             from track_tag
                             join actor on actor.did = split_part(track_tag.uri, '/', 3) and actor.active
                            where tag = wanted.tag collate "C"
                              and (sort_at, uri) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
                              and not exists (select from track_tag other
                                               where other.uri = track_tag.uri and other.tag = any($4))
                            order by sort_at desc, uri desc
                            limit $5) as newest
            order by 1 desc, 2 desc
            limit $5"#,
        &wanted.tags,
        from.time,
        from.uri,
        &wanted.hidden,
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| place(&row.uri, row.sort_at)).collect()
}

fn place(uri: &str, time: DateTime<Utc>) -> Result<Place, Error> {
    Ok(Place { track: stored(uri)?, time })
}

#[derive(Debug, Deserialize)]
pub(crate) struct OfActor<const TAG: u8> {
    actor: AtIdentifier,
    limit: u8,
    cursor: Option<Cursor<TAG>>,
}

/// `fm.plyr.feed.getActorTracks`: what somebody published, newest first.
pub(crate) async fn get_actor_tracks(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: Params<OfActor<b't'>>,
) -> Result<Json<Page<b't'>>, Error> {
    let OfActor { actor, limit, cursor } = params.0;
    let mut db = app.pool.acquire().await?;
    let did = actor::visible(&mut db, actor).await?;
    let from = Position::after(cursor)?;
    let skeleton = of_actor(&mut db, &did, &from, &Wanted::default(), i64::from(limit) + 1).await?;
    page(&app, &mut db, viewer.as_ref(), skeleton, limit.into(), None).await.map(Json)
}

/// What somebody published, newest first.
pub(crate) async fn of_actor(
    db: &mut PgConnection,
    did: &Did,
    from: &Position,
    wanted: &Wanted,
    limit: i64,
) -> Result<Vec<Place>, Error> {
    let rows = sqlx::query!(
        "select uri, sort_at
           from track
          where did = $1 and (sort_at, uri) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
            and not (tags && $4) and (cardinality($5::text[]) = 0 or tags && $5)
          order by sort_at desc, uri desc
          limit $6",
        did.as_str(),
        from.time,
        from.uri,
        &wanted.hidden,
        &wanted.tags,
        limit
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| place(&row.uri, row.sort_at)).collect()
}

/// `fm.plyr.feed.getActorLikes`: the tracks that somebody likes, each once, by the like that stands for them: their oldest.
pub(crate) async fn get_actor_likes(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: Params<OfActor<b'k'>>,
) -> Result<Json<Page<b'k'>>, Error> {
    let OfActor { actor, limit, cursor } = params.0;
    let mut db = app.pool.acquire().await?;
    let did = actor::visible(&mut db, actor).await?;
    let from = Position::after(cursor)?;
    let skeleton = liked(&mut db, &did, &from, Likes::All, i64::from(limit) + 1).await?;
    let end = match skeleton.len() > usize::from(limit) {
        true => None,
        false => end_of_window(&mut db, &did, &from).await?,
    };
    page(&app, &mut db, viewer.as_ref(), skeleton, limit.into(), end).await.map(Json)
}

/// Which likes of somebody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Likes {
    /// Of any kind.
    All,
    /// By `fm.plyr.like`.
    Plyr,
}

/// What somebody likes, what they came to like last first; their oldest like of it stands for it. Each condition is a look into an
/// index for each row, and a page costs no more the more often somebody likes the same, or what is not shown: it ends where the
/// window does.
pub(crate) async fn liked(
    db: &mut PgConnection,
    did: &Did,
    from: &Position,
    likes: Likes,
    limit: i64,
) -> Result<Vec<Place>, Error> {
    let rows = sqlx::query!(
        r#"select subject_uri, sort_at
             from (select distinct sort_at, subject_uri
                     from reaction
                    where did = $1 and verb = 'like' and (not $6 or source = 'plyr')
                      and (sort_at, subject_uri) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
                    order by sort_at desc, subject_uri desc
                    limit $5) as newest
            where (select true
                     from reaction as older
                    where older.subject_uri = newest.subject_uri and older.did = $1 and older.verb = 'like'
                      and (not $6 or older.source = 'plyr') and older.sort_at < newest.sort_at
                    limit 1) is null
              and (select actor.active from track join actor on actor.did = track.did
                    where track.uri = newest.subject_uri)
            order by sort_at desc, subject_uri desc
            limit $4"#,
        did.as_str(),
        from.time,
        from.uri.as_deref(),
        limit,
        WINDOW,
        likes == Likes::Plyr
    )
    .fetch_all(db)
    .await?;
    rows.into_iter().map(|row| place(&row.subject_uri, row.sort_at)).collect()
}

/// The last like that a page from here looked at, if more follow.
async fn end_of_window(
    db: &mut PgConnection,
    did: &Did,
    from: &Position,
) -> Result<Option<LikedCursor>, Error> {
    let last = sqlx::query!(
        "select distinct sort_at, subject_uri
           from reaction
          where did = $1 and verb = 'like'
            and (sort_at, subject_uri) < (coalesce($2, 'infinity'::timestamptz), coalesce($3, ''))
          order by sort_at desc, subject_uri desc
         offset $4
          limit 1",
        did.as_str(),
        from.time,
        from.uri.as_deref(),
        WINDOW - 1
    )
    .fetch_optional(db)
    .await?;
    last.map(|row| Ok(Cursor::at_time(row.sort_at, stored(&row.subject_uri)?))).transpose()
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetTagTracks {
    tag: String,
    limit: u8,
    cursor: Option<FeedCursor>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TagTracks {
    tag: String,
    track_count: i64,
    #[serde(flatten)]
    page: Page<b't'>,
}

/// `fm.plyr.feed.getTagTracks`: the tracks that have a tag, newest first. A tag that nothing has is one of no tracks.
pub(crate) async fn get_tag_tracks(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: Params<GetTagTracks>,
) -> Result<Json<TagTracks>, Error> {
    let GetTagTracks { tag, limit, cursor } = params.0;
    if tag.contains('\0') {
        return Err(Error::invalid_request("tag: holds a character that no tag has"));
    }
    let tag = normalize_tags(vec![tag]).pop().unwrap_or_default();
    let mut db = app.pool.acquire().await?;
    let track_count = sqlx::query_scalar!("select tracks from tag_count where tag = $1", tag)
        .fetch_optional(&mut *db)
        .await?
        .unwrap_or_default();
    let from = Position::after(cursor)?;
    let wanted = Wanted { tags: vec![tag], hidden: Vec::new() };
    let skeleton = latest(&mut db, &from, &wanted, i64::from(limit) + 1).await?;
    let page = page(&app, &mut db, viewer.as_ref(), skeleton, limit.into(), None).await?;
    let tag = wanted.tags.concat();
    Ok(Json(TagTracks { tag, track_count, page }))
}
