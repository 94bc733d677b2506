//! What a request passes before its handler: who sends it is found out once, and whether they ask too much.
//!
//! Reads are counted per person, and per address where nobody is known, as pages do not know anybody; what changes something has limits of its own besides
//! (`limit.rs`). Bytes of sound and images, the player's files and the stream of events are not counted here.

use axum::extract::{Request, State};
use axum::http::header::HeaderValue;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use indexer::syntax::Did;

use crate::App;
use crate::detail::Detail;
use crate::error::Error;
use crate::limit::{self, Limited};
use crate::session::{self, Met, Nobody, Viewer};
use crate::web;

/// Says how far the caller's own repo has come here: what they wrote up to that commit, the answer knows of.
/// <https://atproto.com/guides/read-after-write>
const REPO_REV: &str = "atproto-repo-rev";

/// The layer of XRPC.
pub(crate) async fn xrpc(State(app): State<App>, request: Request, next: Next) -> Response {
    limit::telling(async { called(&app, request, next).await.unwrap_or_else(IntoResponse::into_response) })
        .await
}

/// The layer of the HTTP API. Where it cannot be known who asks, handlers that need it say so themselves.
pub(crate) async fn api(State(app): State<App>, request: Request, next: Next) -> Response {
    limit::telling(async {
        let (mut parts, body) = request.into_parts();
        let met = session::meet(&parts, &app).await.ok();
        let viewer = met.as_ref().and_then(|met| met.as_ref().ok());
        if parts.method.is_safe()
            && let Err(limited) = count(&app, &parts, viewer)
        {
            return Detail::from(limited).into_response();
        }
        if let Some(met) = met {
            parts.extensions.insert(Met(met));
        }
        next.run(Request::from_parts(parts, body)).await
    })
    .await
}

/// The layer of what knows nobody.
pub(crate) async fn anonymous(State(app): State<App>, request: Request, next: Next) -> Response {
    limit::telling(async {
        let (parts, body) = request.into_parts();
        match count(&app, &parts, None) {
            Ok(()) => next.run(Request::from_parts(parts, body)).await,
            Err(limited) => Error::from(limited).into_response(),
        }
    })
    .await
}

/// The layer of pages: each looks something up for whoever unfolds its link.
pub(crate) async fn page(State(app): State<App>, request: Request, next: Next) -> Response {
    limit::telling(async {
        let (parts, body) = request.into_parts();
        match count(&app, &parts, None) {
            Ok(()) => next.run(Request::from_parts(parts, body)).await,
            Err(limited) => web::refused(&app, &parts, limited.into()),
        }
    })
    .await
}

async fn called(app: &App, request: Request, next: Next) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    let met = session::meet(&parts, app).await;
    // Also who shows a bad token: it costs more to look at than most that is asked.
    count(app, &parts, met.as_ref().ok().and_then(|met| met.as_ref().ok()))?;
    let mut met = met?;
    let mut rev = None;
    if let Ok(viewer) = &met {
        // Before the handler reads: an answer may know of more than this says, and never of less.
        let standing = standing(app, &viewer.did).await?;
        let changes = !parts.method.is_safe();
        if viewer.is_forwarded() && standing.active == Some(false) {
            if changes {
                return Err(Nobody::Inactive.into());
            }
            met = Err(Nobody::Inactive);
        } else {
            if changes {
                viewer.confide(app).await?;
            }
            rev = standing.rev;
        }
    }
    parts.extensions.insert(Met(met));
    let mut response = next.run(Request::from_parts(parts, body)).await;
    if let Some(rev) = rev.and_then(|rev| HeaderValue::try_from(rev).ok()) {
        response.headers_mut().insert(REPO_REV, rev);
    }
    Ok(response)
}

pub(crate) fn count(app: &App, parts: &Parts, viewer: Option<&Viewer>) -> Result<(), Limited> {
    let person = viewer.map(|viewer| viewer.did.to_string());
    match person.or_else(|| limit::stranger(parts, &app.options)) {
        Some(key) => app.limits.read.check(key),
        None => Ok(()),
    }
}

/// What is known of somebody.
struct Standing {
    /// None of whom nothing is known.
    active: Option<bool>,
    /// Up to where all of their repo is here; none while something of it is missing.
    rev: Option<String>,
}

async fn standing(app: &App, did: &Did) -> sqlx::Result<Standing> {
    sqlx::query_as!(
        Standing,
        r#"select (select active from actor where did = $1) as active,
                  (select rev from repo where did = $1 and state = 'synchronized') as rev"#,
        did.as_str()
    )
    .fetch_one(&mut *app.pool.acquire().await?)
    .await
}
