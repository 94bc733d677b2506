//! Uploads: a track from its artist's hand to their PDS.
//!
//! The request ends when the bytes are in the store and a job stands beside the row that tells what to do with them. The
//! job looks into the file, makes the cover's sizes, brings the blobs to the artist's PDS and puts the record under the key
//! that was reserved for it; it may die anywhere and go on from there.

mod accept;
mod budget;
mod form;
mod multipart;
mod pds;
mod places;
mod progress;
mod record;
mod row;
mod work;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;
use indexer::Indexer;
use serde_json::{Value, json};

use self::accept::Accepted;
use crate::detail::Detail;
use crate::publish::Publisher;
use crate::session::{Sessions, SignedIn};
use crate::store::BlobStore;
use crate::{App, Options};

pub(crate) use places::Places;
pub(crate) use progress::stream as progress;
pub use row::sweep;
pub use work::handler;

/// What the job works with.
#[derive(Debug, Clone)]
pub struct Workshop {
    indexer: Indexer,
    store: BlobStore,
    sessions: Sessions,
    publisher: Publisher,
    options: Arc<Options>,
}

impl Workshop {
    /// Bytes lie in `store`, `sessions` are the grants by which it acts, and `options` say how we are called.
    pub fn new(store: BlobStore, sessions: Sessions, options: Options) -> Self {
        Workshop {
            indexer: sessions.indexer().clone(),
            store,
            publisher: Publisher::new(sessions.clone()),
            sessions,
            options: Arc::new(options),
        }
    }
}

/// How long, and how much, somebody whose upload is refused may go on sending until they hear of it.
const DRAIN_MAX: Duration = Duration::from_secs(20);
const DRAIN_MAX_BYTES: u64 = 512 << 20;
/// What the fields beside the files may add to a form.
const FORM_SLACK_BYTES: u64 = 1 << 20;

/// `POST /tracks/`.
pub(crate) async fn create(
    State(app): State<App>,
    viewer: Result<SignedIn, Detail>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Detail> {
    let mut body = body.into_data_stream();
    let (taken, has_begun) = match admit(&app, viewer, &headers).await {
        // Its place is free again before the rest is drained.
        Ok(admitted) => (take(&app, &admitted, &headers, &mut body).await, true),
        Err(refused) => (Err(refused), false),
    };
    if taken.is_err() && (has_begun || !waits_for_leave(&headers)) {
        tokio::spawn(drain(body));
    }
    let accepted = taken?;
    Ok(Json(json!({
        "upload_id": accepted.id,
        "status": "pending",
        "message": "upload queued for processing",
        "atproto_uri": accepted.uri,
    })))
}

/// Somebody whose form will be read.
struct Admitted {
    viewer: SignedIn,
    max_bytes: u64,
    _place: places::Place,
}

/// Refuses before the first byte what can be refused by then.
async fn admit(app: &App, viewer: Result<SignedIn, Detail>, headers: &HeaderMap) -> Result<Admitted, Detail> {
    let viewer = viewer?;
    app.limits.upload.check(viewer.did.as_str())?;
    let options = &app.options;
    let max_bytes = ((options.upload_max_mb + form::IMAGE_MAX_MB) << 20) + FORM_SLACK_BYTES;
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let announced_bytes = announced.unwrap_or(0);
    if announced_bytes > max_bytes {
        return Err(form::too_large("file", options.upload_max_mb));
    }
    let place = app.upload_places.uploads.take(viewer.did.as_str());
    let _place = place.ok_or_else(|| Detail::unavailable("too many uploads at once"))?;
    require_scope(app, &viewer).await?;
    let mut db = app.pool.acquire().await?;
    budget::check(&mut db, &viewer.did, announced_bytes, options.upload_day_mb).await?;
    budget::require_room(&app.store, announced_bytes, options.free_min_mb).await?;
    Ok(Admitted { viewer, max_bytes, _place })
}

async fn take(
    app: &App,
    admitted: &Admitted,
    headers: &HeaderMap,
    body: &mut BodyDataStream,
) -> Result<Accepted, Detail> {
    let options = &app.options;
    let multipart = multipart::Multipart::new(headers, body, admitted.max_bytes)?;
    // Somebody slow keeps their place for no longer than staged files are kept.
    let room = form::Room { audio_max_mb: options.upload_max_mb, free_min_mb: options.free_min_mb };
    let reading = form::read(multipart, &app.store, room);
    let Ok(form) = tokio::time::timeout(crate::mirror::STAGING_AGE / 2, reading).await else {
        return Err(Detail::new(StatusCode::REQUEST_TIMEOUT, "took too long"));
    };
    accept::accept(app, &admitted.viewer, form?).await
}

/// Whether the body comes only if we ask for it: then a refusal is heard without.
fn waits_for_leave(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Reads on and forgets while the answer is on its way: browsers look at it once all is sent, and a connection that is
/// closed on them takes it along.
async fn drain(mut body: BodyDataStream) {
    let draining = async {
        let mut left_bytes = DRAIN_MAX_BYTES;
        while let Some(Ok(piece)) = body.next().await {
            match left_bytes.checked_sub(piece.len() as u64) {
                Some(left) => left_bytes = left,
                None => break,
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_MAX, draining).await;
}

/// Refuses before the first byte what the grant would not allow after the last.
async fn require_scope(app: &App, viewer: &SignedIn) -> Result<(), Detail> {
    let record = format!("repo:{}", app.sessions.indexer().door.registry.track_collection());
    let missing = app.sessions.scope_missing(&viewer.session).await?;
    if missing.iter().any(|scope| *scope == record || scope.starts_with("blob:")) {
        return Err(Detail::forbidden("scope_upgrade_required"));
    }
    Ok(())
}

/// `GET /config`: what a page should know before it offers to upload. Whom to write to is empty where no operator says so here; no
/// browser reports to us, and nothing is adorned.
pub(crate) async fn config(State(app): State<App>) -> Json<Value> {
    Json(json!({
        "max_upload_size_mb": app.options.upload_max_mb,
        "max_image_size_mb": form::IMAGE_MAX_MB,
        "default_hidden_tags": ["ai"],
        "browser_observability": false,
        "bufo_exclude_patterns": [],
        "bufo_include_patterns": [],
        "contact_email": "",
        "privacy_email": "",
        "dmca_email": "",
        "dmca_registration_number": "",
        "terms_last_updated": "",
    }))
}
