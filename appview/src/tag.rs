//! Tags: which there are, and how many tracks have each.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use indexer::chart::{Kind, Period};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::App;
use crate::cursor::Cursor;
use crate::error::Error;
use crate::xrpc::Params;

/// `fm.plyr.feed.defs#tagView`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TagView {
    /// As tracks have it: normalised.
    pub tag: String,
    /// How many do; those of active people count.
    pub track_count: i64,
}

/// How many tracks, and the tag.
type TagCursor = Cursor<b'g', String>;

#[derive(Debug, Deserialize)]
pub(crate) struct GetTags {
    #[serde(default)]
    q: String,
    limit: u8,
    cursor: Option<TagCursor>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Tags {
    tags: Vec<TagView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<TagCursor>,
}

/// `fm.plyr.feed.getTags`: the most used first, those that are used as often by name.
pub(crate) async fn get_tags(State(app): State<App>, params: Params<GetTags>) -> Result<Json<Tags>, Error> {
    let GetTags { q, limit, cursor } = params.0;
    if q.contains('\0') {
        return Err(Error::invalid_request("q: holds a character that no tag has"));
    }
    let limit = usize::from(limit);
    let mut db = app.pool.acquire().await?;
    let mut tags = list(&mut db, &q, cursor, limit as i64 + 1).await?;
    let more = tags.len() > limit;
    tags.truncate(limit);
    let last = tags.last().filter(|_| more);
    let cursor = last.map(|last| Cursor::at(last.track_count, last.tag.clone()));
    Ok(Json(Tags { tags, cursor }))
}

/// Tags that begin with `q`, whatever its case and spaces.
pub(crate) async fn list(
    db: &mut PgConnection,
    q: &str,
    cursor: Option<TagCursor>,
    limit: i64,
) -> Result<Vec<TagView>, Error> {
    let words: Vec<&str> = q.split_whitespace().collect();
    let begin = words.join(" ").to_lowercase();
    let begin = begin.trim_start_matches(['-', ' ']);
    let (above, tag) =
        cursor.map_or((i64::MAX, String::new()), |cursor| (cursor.key(), cursor.name().clone()));
    // What begins with a text sorts between it and it with the last character there is.
    let rows = sqlx::query_as!(
        TagView,
        r#"select tag, tracks as track_count
             from tag_count
            where tracks > 0 and (-tracks, tag) > ($1::bigint, $2) and tag >= $3 and tag < $3 || chr(1114111)
            order by -tracks, tag
            limit $4"#,
        above.saturating_neg(),
        tag,
        begin,
        limit
    );
    Ok(rows.fetch_all(db).await?)
}

/// These tags, where any track has them.
pub(crate) async fn several(db: &mut PgConnection, tags: &[&str]) -> Result<HashMap<String, TagView>, Error> {
    let rows = sqlx::query_as!(
        TagView,
        "select tag, tracks as track_count from tag_count where tag = any($1) and tracks > 0",
        tags as &[&str]
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|view| (view.tag.clone(), view)).collect())
}

/// How often tracks with these tags were played, as the charts of all time count it.
pub(crate) async fn plays(db: &mut PgConnection, tags: &[TagView]) -> Result<HashMap<String, i64>, Error> {
    let tags: Vec<&str> = tags.iter().map(|tag| tag.tag.as_str()).collect();
    let rows = sqlx::query!(
        r#"select s.key, c.plays + c.excess as "plays!" from chart_subject s
             join chart c on c.subject_id = s.id and c.period = $2
            where s.kind = $3 and s.key = any($1)"#,
        &tags as &[&str],
        Period::All as i16,
        Kind::Tag as i16
    );
    Ok(rows.fetch_all(db).await?.into_iter().map(|row| (row.key, row.plays)).collect())
}
