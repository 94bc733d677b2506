//! Charts: `fm.plyr.feed.getTop`.

pub(crate) mod place;

use axum::Json;
use axum::extract::State;
use indexer::chart::{Kind, Period};
use indexer::syntax::{AtUri, Did};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::actor::{self, AtIdentifier, ProfileViewBasic};
use crate::error::{Error, stored};
use crate::session::Viewer;
use crate::track::{self, TrackView};
use crate::{App, hydrate};
use place::Place;

/// What is listed.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Of {
    Tracks,
    Artists,
    Tags,
}

/// By which number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    Plays,
    Listeners,
    Likes,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Within {
    Day,
    Week,
    Month,
    All,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GetTop {
    of: Of,
    by: By,
    period: Within,
    actor: Option<AtIdentifier>,
    limit: u8,
    cursor: Option<Place>,
}

impl GetTop {
    fn kind(&self) -> Kind {
        match self.of {
            Of::Tracks => Kind::Track,
            Of::Artists => Kind::Artist,
            Of::Tags => Kind::Tag,
        }
    }

    fn period(&self) -> Period {
        match self.period {
            Within::Day => Period::Day,
            Within::Week => Period::Week,
            Within::Month => Period::Month,
            Within::All => Period::All,
        }
    }
}

/// One row of a chart.
pub(crate) struct Row {
    subject_id: i32,
    pub key: String,
    plays: i64,
    listeners: i64,
    likes: i64,
    score: i64,
}

/// `fm.plyr.feed.defs#topEntry`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TopEntry {
    /// The track, in a chart of tracks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track: Option<TrackView>,
    /// Who published them, in a chart of artists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artist: Option<ProfileViewBasic>,
    /// The tag, in a chart of tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Plays within the period, all of them.
    pub play_count: i64,
    /// People who played it.
    pub listener_count: i64,
    /// People who began to like it.
    pub like_count: i64,
    /// What decides the order.
    pub score: i64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Top {
    entries: Vec<TopEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<Place>,
}

/// `fm.plyr.feed.getTop`: a walk down one index, from where the last page ended. What cannot be shown is left out.
pub(crate) async fn get_top(
    State(app): State<App>,
    viewer: Option<Viewer>,
    params: crate::xrpc::Params<GetTop>,
) -> Result<Json<Top>, Error> {
    let (kind, period) = (params.0.kind(), params.0.period());
    let GetTop { by, actor, limit, cursor, .. } = params.0;
    let limit = usize::from(limit);
    let mut db = app.pool.acquire().await?;
    let after = cursor.unwrap_or(Place::TOP);
    let mut rows = match actor {
        None => everybodys(&mut db, kind, period, by, after, limit as i64 + 1).await?,
        Some(_) if by == By::Listeners => {
            return Err(Error::invalid_request("by: a person's own chart has no listeners beside them"));
        }
        Some(actor) => {
            let did = actor::visible(&mut db, actor).await?;
            // Some of what they heard, nobody but they and we know of.
            let theirs = "what somebody hears most is theirs to see";
            let viewer = viewer.as_ref().ok_or_else(|| Error::auth_missing(theirs))?;
            if viewer.did != did {
                return Err(Error::declared("NotYours", theirs));
            }
            viewer.confide(&app).await?;
            own(&mut db, &did, kind, period, by, after, limit as i64 + 1).await?
        }
    };
    let more = rows.len() > limit;
    rows.truncate(limit);
    let places: Vec<Place> = rows.iter().map(|row| Place { score: row.score, id: row.subject_id }).collect();
    let (entries, covered) = entries(&app, &mut db, viewer.as_ref(), kind, rows).await?;
    let end = places[..covered].last().copied().filter(|_| more || covered < places.len());
    Ok(Json(Top { entries, cursor: end }))
}

pub(crate) async fn everybodys(
    db: &mut PgConnection,
    kind: Kind,
    period: Period,
    by: By,
    after: Place,
    limit: i64,
) -> Result<Vec<Row>, Error> {
    macro_rules! walk {
        ($score:literal) => {
            sqlx::query_as!(
                Row,
                r#"select c.subject_id, s.key, c.plays + c.excess as "plays!", c.listeners, c.likes, c."#
                    + $score
                    + " as score
                   from chart c join chart_subject s on s.id = c.subject_id
                  where c.period = $1 and c.kind = $2 and c."
                    + $score
                    + " > 0 and (c."
                    + $score
                    + ", c.subject_id) < ($3, $4)
                  order by c."
                    + $score
                    + " desc, c.subject_id desc limit $5",
                period as i16,
                kind as i16,
                after.score,
                after.id,
                limit
            )
            .fetch_all(db)
            .await
        };
    }
    Ok(match by {
        By::Plays => walk!("play_score"),
        By::Listeners => walk!("listener_score"),
        By::Likes => walk!("like_score"),
    }?)
}

async fn own(
    db: &mut PgConnection,
    did: &Did,
    kind: Kind,
    period: Period,
    by: By,
    after: Place,
    limit: i64,
) -> Result<Vec<Row>, Error> {
    macro_rules! walk {
        ($number:literal) => {
            sqlx::query_as!(
                Row,
                r#"select a.subject_id, s.key, a.plays::bigint as "plays!", (a.plays > 0)::integer::bigint as "listeners!",
                          a.likes::bigint as "likes!", a."# + $number + r#"::bigint as "score!"
                   from chart_audience a join chart_subject s on s.id = a.subject_id
                  where a.listener_id = (select id from chart_listener where name = $1) and a.period = $2 and a.kind = $3
                    and a."# + $number + " > 0 and (a." + $number + ", a.subject_id) < ($4, $5)
                  order by a." + $number + " desc, a.subject_id desc limit $6",
                did.as_str(),
                period as i16,
                kind as i16,
                i32::try_from(after.score).unwrap_or(i32::MAX),
                after.id,
                limit
            )
            .fetch_all(db)
            .await
        };
    }
    Ok(match by {
        By::Plays | By::Listeners => walk!("plays"),
        By::Likes => walk!("likes"),
    }?)
}

/// The rows as they are shown, and how many of them that covers.
async fn entries(
    app: &App,
    db: &mut PgConnection,
    viewer: Option<&Viewer>,
    kind: Kind,
    rows: Vec<Row>,
) -> Result<(Vec<TopEntry>, usize), Error> {
    let entry = |row: &Row| TopEntry {
        track: None,
        artist: None,
        tag: None,
        play_count: row.plays,
        listener_count: row.listeners,
        like_count: row.likes,
        score: row.score,
    };
    let mut covered = rows.len();
    let entries = match kind {
        Kind::Track => {
            let uris = rows.iter().map(|row| stored(&row.key)).collect::<Result<Vec<AtUri>, Error>>()?;
            let (mut views, shown) = track::views(&app.options, db, viewer, &uris).await?;
            covered = shown;
            let mut views = views.drain(..).peekable();
            let shown = rows[..covered].iter().zip(&uris).filter_map(|(row, uri)| {
                let track = Some(views.next_if(|view| view.uri == *uri)?);
                Some(TopEntry { track, ..entry(row) })
            });
            shown.collect()
        }
        Kind::Artist => {
            let dids = rows.iter().map(|row| stored(&row.key)).collect::<Result<Vec<Did>, Error>>()?;
            let people = hydrate::people(&app.options, db, &dids).await?;
            let shown = rows.iter().zip(&dids).filter_map(|(row, did)| {
                let artist = Some(people.get(did)?.clone());
                Some(TopEntry { artist, ..entry(row) })
            });
            shown.collect()
        }
        _ => rows.iter().map(|row| TopEntry { tag: Some(row.key.clone()), ..entry(row) }).collect(),
    };
    Ok((entries, covered))
}
