//! `GET /tracks/uploads/{upload_id}/progress`: how far an upload has come, as server-sent events.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION};
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, Sse};
use axum::response::{AppendHeaders, IntoResponse};
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::Stream;
use serde_json::{Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::places::Place;
use crate::App;
use crate::detail::Detail;
use crate::limit::Caller;
use crate::pool::Pool;

/// How often the row is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often something is said although nothing moved.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// How long nothing may move until a page is sent away; it may come back.
const STILL_MAX: Duration = Duration::from_secs(2 * 3600);
/// Looks that may fail in a row.
const FAILED_LOOKS_MAX: u32 = 10;

/// The id is known to nobody but who was told it, so it is all that is asked for.
pub(crate) async fn stream(
    State(app): State<App>,
    Caller(caller): Caller,
    upload_id: Result<Path<String>, PathRejection>,
) -> Result<impl IntoResponse, Detail> {
    // What is no id of ours is no upload of anybody's.
    let id = upload_id.map(|Path(id)| id).unwrap_or_default();
    let headers = AppendHeaders([
        (CONNECTION, HeaderValue::from_static("keep-alive")),
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ]);
    let events = match Uuid::parse_str(&id) {
        Ok(known) => {
            // Where no address says who listens, it is whose upload it is.
            let whose = caller.unwrap_or_else(|| known.to_string());
            let place = app.upload_places.listeners.take(&whose);
            let place = place.ok_or_else(|| Detail::unavailable("too many pages are open"))?;
            Sse::new(events(app, known.to_string(), place)).into_response()
        }
        Err(_) => {
            let last = Event::default().data(lost(&id).to_string());
            Sse::new(futures_util::stream::iter([Ok::<_, Infallible>(last)])).into_response()
        }
    };
    Ok(([(CACHE_CONTROL, HeaderValue::from_static("no-cache"))], headers, events))
}

fn events(app: App, id: String, place: Place) -> impl Stream<Item = Result<Event, Infallible>> {
    async_stream::stream! {
        let _held_until_the_page_goes = place;
        let mut said = String::new();
        let (mut said_at, mut moved_at) = (Instant::now(), Instant::now());
        let mut failed_looks = 0;
        while failed_looks < FAILED_LOOKS_MAX && moved_at.elapsed() < STILL_MAX {
            match state(&app.pool, &id).await {
                Ok(state) => {
                    failed_looks = 0;
                    let text = state.to_string();
                    let has_moved = text != said;
                    if has_moved || said_at.elapsed() >= SAY_EVERY {
                        yield Ok(Event::default().data(&text));
                        (said, said_at) = (text, Instant::now());
                    }
                    if has_moved {
                        moved_at = said_at;
                    }
                    if matches!(state["status"].as_str(), Some("completed" | "failed")) {
                        break;
                    }
                }
                // Asked again in a moment; the page sees only a pause.
                Err(error) => {
                    failed_looks += 1;
                    tracing::warn!(%error, "the state of an upload cannot be read");
                }
            }
            tokio::select! {
                () = app.stop.cancelled() => break,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }
}

/// What is said of an upload that is not there.
fn lost(id: &str) -> Value {
    json!({"upload_id": id, "status": "failed", "message": "upload job not found", "error": "job lost", "phase": null,
           "server_progress_pct": 0.0})
}

/// One message.
async fn state(pool: &Pool, id: &str) -> sqlx::Result<Value> {
    let row = sqlx::query!(
        r#"select status, phase, message, error, warnings, blob_refused, uri, record_cid, sent_bytes, total_bytes,
                  image_cid, created_at, completed_at,
                  (select p.id from public_id p where p.kind = 'track' and p.uri = upload.uri) as track_id
             from upload where id = $1"#,
        id
    )
    .fetch_optional(&mut *pool.acquire().await?)
    .await?;
    let Some(row) = row else { return Ok(lost(id)) };
    let percent = percent(&row.status, row.phase.as_deref(), row.sent_bytes, row.total_bytes);
    let mut state = json!({
        "upload_id": id,
        "status": row.status,
        "message": row.message,
        "error": row.error,
        "phase": row.phase,
        "server_progress_pct": percent,
        "created_at": time(row.created_at),
        "completed_at": row.completed_at.map(time),
        "warnings": row.warnings,
        "pds_blob_failed": row.blob_refused,
    });
    if row.status == "completed" {
        state["track_id"] = row.track_id.into();
        state["atproto_uri"] = row.uri.into();
        state["atproto_cid"] = row.record_cid.into();
    }
    Ok(state)
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// Nearly all of the time goes into sending bytes, so nearly all of the way is bytes over bytes.
fn percent(status: &str, phase: Option<&str>, sent_bytes: i64, total_bytes: i64) -> f64 {
    let percent = match (status, phase) {
        ("completed", _) => 100.0,
        (_, Some("metadata")) => 1.0,
        (_, Some("image")) => 3.0,
        (_, Some("atproto")) => 5.0 + 90.0 * (sent_bytes as f64 / total_bytes.max(1) as f64).clamp(0.0, 1.0),
        (_, Some("database")) => 95.0,
        _ => 0.0,
    };
    (percent * 10.0_f64).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::percent;

    #[test]
    fn percentages_are_bytes_over_bytes() {
        assert_eq!(percent("pending", None, 0, 0), 0.0);
        assert_eq!(percent("processing", Some("atproto"), 0, 0), 5.0);
        assert_eq!(percent("processing", Some("atproto"), 50, 100), 50.0);
        assert_eq!(percent("processing", Some("atproto"), 300, 100), 95.0);
        assert_eq!(percent("processing", Some("database"), 100, 100), 95.0);
        assert_eq!(percent("failed", Some("atproto"), 1, 3), 35.0);
        assert_eq!(percent("completed", Some("database"), 0, 0), 100.0);
    }
}
