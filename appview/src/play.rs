//! Plays that players tell us of: `fm.plyr.feed.recordPlay`, and `POST /tracks/{id}/play` of the HTTP API.
//!
//! Whoever is signed in is known; anybody else by a random cookie of ours, of which only a hash is kept. An address alone is
//! nobody: many listen behind one.

mod newcomer;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use chrono::Utc;
use indexer::apply::hear::{self, Heard, Listener, Told};
use indexer::syntax::AtUri;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::detail::Detail;
use crate::error::Error;
use crate::limit::Caller;
use crate::oauth::secret::Secret;
use crate::public_id::{self, Id};
use crate::session::{Viewer, cookie};
use crate::xrpc::Input;
use crate::{App, hydrate};

/// Names a browser that nobody is signed in with; 180 days.
const COOKIE_NAME: &str = "plyr_play_id";
const COOKIE_LIFE_S: i64 = 180 * 24 * 3600;
/// What makes a play, whichever comes first.
const HEARD_MS: i64 = 30_000;
const HEARD_PERCENT: i64 = 30;

/// Who tells of a play, and the cookie that they are given if they had none.
#[derive(Debug)]
pub(crate) struct Teller {
    listener: Listener,
    network: [u8; 16],
    cookie: Option<HeaderValue>,
    /// Whose rate it is.
    key: String,
    /// Where it comes from, if that says anything.
    caller: Option<String>,
}

impl FromRequestParts<App> for Teller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let Ok(Caller(caller)) = Caller::from_request_parts(parts, app).await;
        // Another one each day: what came from where is nothing that we remember.
        let today = Utc::now().date_naive().to_string();
        let place = caller.as_deref().unwrap_or("unknown").as_bytes();
        let network = app.sessions.fingerprint("network of a play", &[today.as_bytes(), place]);
        let viewer = <Option<Viewer> as FromRequestParts<App>>::from_request_parts(parts, app).await?;
        if let Some(Viewer { did, .. }) = viewer {
            let key = did.to_string();
            return Ok(Teller { listener: Listener::Person(did), network, cookie: None, key, caller });
        }
        let known = cookie(&parts.headers, COOKIE_NAME).and_then(Secret::read);
        let is_new = known.is_none();
        let secret = known.unwrap_or_else(Secret::random);
        let listener =
            Listener::Anonymous(app.sessions.fingerprint("listener", &[secret.as_str().as_bytes()]));
        let key = caller.clone().unwrap_or_else(|| listener.name());
        let cookie = is_new.then(|| set_cookie(app, &secret)).transpose();
        let cookie = cookie.map_err(|error| Error::internal(error).into_response())?;
        Ok(Teller { listener, network, cookie, key, caller })
    }
}

fn set_cookie(app: &App, secret: &Secret) -> anyhow::Result<HeaderValue> {
    let secure = if app.options.public_url.scheme() == "https" { "; Secure" } else { "" };
    let life = format!("Path=/; Max-Age={COOKIE_LIFE_S}; HttpOnly; SameSite=Lax{secure}");
    let mut value = HeaderValue::try_from(format!("{COOKIE_NAME}={}; {life}", secret.as_str()))?;
    value.set_sensitive(true);
    Ok(value)
}

impl Teller {
    async fn tell(
        &self,
        app: &App,
        subject: AtUri,
        duration_s: Option<i32>,
        client: Option<String>,
    ) -> Result<Heard, Error> {
        let (listener, network) = (self.listener.clone(), self.network);
        let told = Told { listener, subject, duration_s, client, network };
        let door = &app.sessions.indexer().door;
        match (hear::hear(door, &told).await?, &self.listener) {
            (Heard::Unknown, Listener::Person(did)) => {
                newcomer::admit(app, did, self.caller.as_deref()).await?;
                Ok(hear::hear(door, &told).await?)
            }
            (heard, _) => Ok(heard),
        }
    }

    fn headers(self) -> HeaderMap {
        self.cookie.into_iter().map(|cookie| (SET_COOKIE, cookie)).collect()
    }
}

/// How long a track is that may be shown; none where there is no such track.
async fn duration(app: &App, uri: &AtUri) -> sqlx::Result<Option<Option<i32>>> {
    sqlx::query_scalar!(
        "select duration_s from track join actor on actor.did = track.did and actor.active where uri = $1",
        uri.as_str()
    )
    .fetch_optional(&mut *app.pool.acquire().await?)
    .await
}

async fn play_count(app: &App, uri: &AtUri) -> Result<i64, Error> {
    let mut db = app.pool.acquire().await?;
    let counts = hydrate::counts(&mut db, &[uri.to_string()]).await?;
    Ok(counts.get(uri.as_str()).map_or(0, |counts| counts.plays))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RecordPlay {
    uri: AtUri,
    heard_ms: Option<i64>,
    client: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Recorded {
    uri: AtUri,
    counted: bool,
    play_count: i64,
}

/// `fm.plyr.feed.recordPlay`.
pub(crate) async fn record_play(
    State(app): State<App>,
    teller: Teller,
    input: Input<RecordPlay>,
) -> Result<Response, Error> {
    let answer = recorded(&app, &teller, input.0).await?;
    Ok((teller.headers(), Json(answer)).into_response())
}

async fn recorded(app: &App, teller: &Teller, told: RecordPlay) -> Result<Recorded, Error> {
    app.limits.play.check(teller.key.as_str())?;
    let found = duration(app, &told.uri).await?;
    let duration_s = found.ok_or_else(|| Error::declared("NotFound", "no such track"))?;
    let enough_ms = duration_s.map_or(HEARD_MS, |s| HEARD_MS.min(i64::from(s) * 10 * HEARD_PERCENT));
    if told.heard_ms.is_some_and(|heard_ms| heard_ms < enough_ms) {
        let problem = format!("heardMs: of this track {enough_ms} ms make a play");
        return Err(Error::declared("NotHeard", problem));
    }
    let client = told.client.map(|client| client.replace('\0', ""));
    let heard = teller.tell(app, told.uri.clone(), duration_s, client).await?;
    let play_count = play_count(app, &told.uri).await?;
    let counted = matches!(heard, Heard::Counted | Heard::Crowded);
    Ok(Recorded { uri: told.uri, counted, play_count })
}

/// `POST /tracks/{id}/play`. Its body, if there is one, says from which link somebody came, and is not read.
pub(crate) async fn play(State(app): State<App>, teller: Teller, id: Id) -> Result<Response, Detail> {
    app.limits.play.check(teller.key.as_str())?;
    let missing = || Detail::not_found("track not found");
    let uri = public_id::find(&mut *app.pool.acquire().await?, "track", id).await?.ok_or_else(missing)?;
    let duration_s = duration(&app, &uri).await?.ok_or_else(missing)?;
    teller.tell(&app, uri.clone(), duration_s, None).await?;
    let play_count = play_count(&app, &uri).await?;
    Ok((teller.headers(), Json(json!({"play_count": play_count}))).into_response())
}
