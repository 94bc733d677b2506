//! One's own tracks: what has been published, and taking it back.

use std::collections::HashMap;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono::{DateTime, SecondsFormat, Utc};
use indexer::dag::parse_cid;
use indexer::syntax::AtUri;
use serde::Deserialize;
use serde_json::{Value, json};
use sqlx::PgConnection;
use url::Url;

use crate::detail::Detail;
use crate::session::Viewer;
use crate::track::{self, TrackView};
use crate::{App, Options, blob, public_id};

/// Tracks of one page, unless asked for fewer or more, and at most.
const PAGE: i64 = 50;
const PAGE_MAX: i64 = 100;

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
) -> Result<Json<Value>, Detail> {
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
    let rows = sqlx::query!(
        r#"select track.uri, created_at
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
        listed.push((row.uri.parse::<AtUri>().map_err(Detail::internal)?, row.created_at));
    }
    let (tracks, covered) = page(&app.options, &mut db, &viewer, &listed).await?;
    Ok(Json(json!({
        "tracks": tracks,
        "total": counts.total,
        "has_more": counted < counts.total || covered < listed.len(),
        "pds_savable_count": counts.savable,
    })))
}

/// As many of these as one answer holds, and how many that covers.
async fn page(
    options: &Options,
    db: &mut PgConnection,
    viewer: &Viewer,
    listed: &[(AtUri, DateTime<Utc>)],
) -> Result<(Vec<Value>, usize), Detail> {
    let uris: Vec<AtUri> = listed.iter().map(|(uri, _)| uri.clone()).collect();
    let (views, covered) = track::views(options, db, Some(viewer), &uris).await?;
    let pds = sqlx::query_scalar!("select pds from actor where did = $1", viewer.did.as_str())
        .fetch_optional(db)
        .await?
        .flatten();
    let times: HashMap<&AtUri, &DateTime<Utc>> = listed.iter().map(|(uri, time)| (uri, time)).collect();
    let tracks = views.iter().filter_map(|view| {
        let created_at = times.get(&view.uri)?;
        Some(response(options, view, created_at, pds.as_deref()))
    });
    Ok((tracks.collect(), covered))
}

/// A track as the HTTP API shows it. What this server does not know yet is null, false or empty.
fn response(options: &Options, view: &TrackView, created_at: &DateTime<Utc>, pds: Option<&str>) -> Value {
    let record: Value = serde_json::from_str(view.record.get()).unwrap_or_default();
    let blob_cid = record["audioBlob"]["ref"]["$link"].as_str();
    let ours = record["audioUrl"].as_str().and_then(|url| options.file_id_in(&Url::parse(url).ok()?));
    let by_blob = blob_cid.and_then(|cid| Some(blob::file_id(&blob::digest_of(&parse_cid(cid)?).ok()?)));
    let features: Vec<Value> = view
        .features
        .iter()
        .map(|person| {
            json!({"did": person.did, "handle": person.handle, "display_name": name(person),
                   "avatar_url": person.avatar})
        })
        .collect();
    let storage = match (&ours, blob_cid) {
        (Some(_), Some(_)) => "both",
        (None, Some(_)) => "pds",
        _ => "r2",
    };
    let mut track = json!({
        "id": view.id,
        "title": record["title"],
        "artist": name(&view.author),
        "artist_did": view.author.did,
        "artist_handle": view.author.handle,
        "artist_avatar_url": view.author.avatar,
        "file_id": by_blob.or(ours).unwrap_or_default(),
        "file_type": record["fileType"],
        "features": features,
        "r2_url": view.audio,
        "atproto_record_uri": view.uri,
        "atproto_record_cid": view.cid,
        "atproto_record_url": pds.map(|pds| record_url(pds, &view.uri)),
        "play_count": view.play_count,
        "created_at": created_at.to_rfc3339_opts(SecondsFormat::Micros, false),
        "image_url": view.cover,
        "thumbnail_url": view.thumbnail,
        "is_liked": view.viewer.as_ref().is_some_and(|viewer| viewer.like.is_some()),
        "like_count": view.like_count,
        "comment_count": view.comment_count,
        "album": null,
        "tags": view.tags,
        "description": record["description"],
        "duration": record["duration"],
        "support_gate": record["supportGate"],
        "audio_storage": storage,
        "pds_blob_cid": blob_cid,
    });
    if let (Some(track), Value::Object(unknown)) = (track.as_object_mut(), not_known_yet()) {
        track.extend(unknown);
    }
    track
}

/// What clients read and nothing here says yet.
fn not_known_yet() -> Value {
    json!({
        "copyright_flagged": null,
        "copyright_match": null,
        "copyright_song_uri": null,
        "copyright_recording_uri": null,
        "gated": false,
        "downloadable": false,
        "download_policy": null,
        "artist_support_url": null,
        "original_file_id": null,
        "original_file_type": null,
        "is_optimizing": false,
        "visibility": "public",
        "unlisted": false,
        "self_labels": [],
        "operator_labels": [],
        "labels": [],
    })
}

fn name(person: &crate::ProfileViewBasic) -> &str {
    person.display_name.as_deref().unwrap_or(&person.handle)
}

fn record_url(pds: &str, uri: &AtUri) -> Option<String> {
    let did = uri.did();
    let query = [("repo", did.as_str()), ("collection", uri.collection()), ("rkey", uri.rkey())];
    indexer::pds::xrpc(&Url::parse(pds).ok()?, "com.atproto.repo.getRecord", &query).map(String::from)
}

fn number(
    field: &str,
    text: Option<&str>,
    default: i64,
    range: std::ops::RangeInclusive<i64>,
) -> Result<i64, Detail> {
    let Some(text) = text else { return Ok(default) };
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        Detail::invalid("query", field, format!("a number from {} to {}", range.start(), range.end()))
    })
}

/// `DELETE /tracks/{id}`: the record, and with it all that came of it. Its bytes are the collector's.
pub(crate) async fn delete(
    State(app): State<App>,
    viewer: Viewer,
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
