//! Signing in and out over HTTP.

mod cookies;
mod developer;
mod landing;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::header::{LOCATION, ORIGIN, REFERRER_POLICY, SET_COOKIE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use indexer::syntax::Did;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::App;
use crate::detail::Detail;
use crate::limit::Caller;
use crate::oauth::client;
use crate::oauth::secret::Secret;
use crate::session::{
    COOKIE_NAME, Callback, Developer, Flow, SessionId, SignInError, SignedIn, cookie, is_own_origin,
};
pub(crate) use developer::{
    DAYS_DEFAULT, DAYS_MAX, NAME_MAX_CHARS, developer_tokens, revoke_developer_token, start_developer_token,
};
use landing::Landing;
pub(crate) use landing::RETURN_TO_MAX_BYTES;

/// Several hosts are asked, one after the other; a request is answered within ten seconds in any case.
const PATIENCE: Duration = Duration::from_secs(9);

#[derive(Debug, Deserialize)]
pub(crate) struct Start {
    handle: Option<String>,
    return_to: Option<String>,
}

/// `GET /auth/start`: to the authorization server of an account, or to the question whether that was meant.
pub(crate) async fn start(
    State(app): State<App>,
    uri: Uri,
    query: Result<Query<Start>, QueryRejection>,
    Caller(caller): Caller,
    headers: HeaderMap,
) -> Result<Response, Detail> {
    if let Some(Err(limited)) = caller.map(|caller| app.limits.auth.check(caller)) {
        if !landing::wants_page(&headers) {
            return Err(limited.into());
        }
        let mut home = app.options.public_url.clone();
        home.query_pairs_mut().append_pair("auth_error", "rate_limited");
        return Ok(to(&home));
    }
    let unreadable = |error: QueryRejection| Detail::invalid("query", "handle", error.body_text());
    let Query(Start { handle, return_to }) = query.map_err(unreadable)?;
    if landing::is_foreign(&app.options, &headers) {
        return Ok(to(&landing::question(&app.options, handle.as_deref().unwrap_or_default())));
    }
    if let Some(there) = landing::by_address(&app.options, &headers, &uri) {
        // The address is another site than the name: it must hear that the page which asks is ours.
        let headers = [(LOCATION, location(&there)), (REFERRER_POLICY, HeaderValue::from_static("origin"))];
        return Ok((StatusCode::TEMPORARY_REDIRECT, headers).into_response());
    }
    let landing = Landing::choose(&app.options, return_to.as_deref(), &headers)?;
    let Some(handle) = handle else {
        return Err(Detail::invalid("query", "handle", "a handle such as alice.example, or a DID"));
    };
    let browser = cookies::browser(&headers).unwrap_or_else(Secret::random);
    match begin(&app, &handle, &browser, landing.return_to.clone(), None).await {
        Ok(url) => {
            let cookie = cookies::keep_browser(&app, &browser).map_err(Detail::internal)?;
            let headers = [(LOCATION, location(&url)), (SET_COOKIE, cookie)];
            Ok((StatusCode::TEMPORARY_REDIRECT, headers, cookies::NO_STORE).into_response())
        }
        Err(error) if landing::wants_page(&headers) => {
            told(&error);
            Ok(to(&landing::failed(&landing.return_to, &error)))
        }
        Err(error) => Err(not_started(error)),
    }
}

/// The same, within the time that a request has.
async fn begin(
    app: &App,
    account: &str,
    browser: &Secret,
    return_to: Url,
    developer: Option<Developer>,
) -> Result<Url, SignInError> {
    let started = app.sessions.start(account, browser, return_to, developer);
    let late = |_| SignInError::ServerUnreachable(anyhow::anyhow!("no answer in time"));
    tokio::time::timeout(PATIENCE, started).await.map_err(late)?
}

fn not_started(error: SignInError) -> Detail {
    match error {
        SignInError::Internal(error) => Detail::from_cause(error),
        error => {
            told(&error);
            Detail::bad_request(format!("failed to start OAuth flow: {error}"))
        }
    }
}

/// `GET /auth/callback`: back from the authorization server. Always ends on a page.
pub(crate) async fn callback(
    State(app): State<App>,
    callback: Result<Query<Callback>, QueryRejection>,
    headers: HeaderMap,
) -> Response {
    let failed = |at: &Url, error: SignInError| {
        told(&error);
        to(&landing::failed(at, &error))
    };
    let home = &app.options.public_url;
    let Ok(Query(callback)) = callback else { return failed(home, SignInError::FlowExpired) };
    let flow = match app.sessions.take_flow(&callback).await {
        Ok(flow) => Arc::new(flow),
        Err(error) => return failed(home, error),
    };
    match arrive(&app, &flow, callback, &headers).await {
        Ok(response) => response,
        Err(error) => failed(&flow.return_to, error),
    }
}

/// To the page where the sign-in was to end, with the session or what it can be had for.
async fn arrive(
    app: &App,
    flow: &Arc<Flow>,
    callback: Callback,
    headers: &HeaderMap,
) -> Result<Response, SignInError> {
    // A task of its own: a code is for one use, and what it is worth must not get lost with a browser that hangs up.
    let (sessions, its_flow, browser) = (app.sessions.clone(), Arc::clone(flow), cookies::browser(headers));
    let finishing =
        app.sessions.spawn(async move { sessions.finish(&its_flow, callback, browser.as_ref()).await });
    let late = |_| SignInError::ServerUnreachable(anyhow::anyhow!("no answer in time"));
    let finished = tokio::time::timeout(PATIENCE, finishing).await.map_err(late)?;
    let session = finished.map_err(anyhow::Error::from)??;
    if flow.developer.is_none() && flow.return_to.origin() == app.options.public_url.origin() {
        let mut response = to(&flow.return_to);
        cookies::sign_in(app, session.token(), response.headers_mut())?;
        end_earlier(app, headers, &flow.did);
        session.claim();
        return Ok(response);
    }
    let exchange = app.sessions.offer(&flow.did, session.token()).await?;
    session.claim();
    let mut url = flow.return_to.clone();
    url.query_pairs_mut().append_pair("exchange_token", exchange.as_str());
    if flow.developer.is_some() {
        url.query_pairs_mut().append_pair("dev_token", "true");
    }
    Ok(to(&url))
}

/// The session that the new cookie pushes out of this browser: nobody will hold it any more.
fn end_earlier(app: &App, headers: &HeaderMap, did: &Did) {
    if let Some(earlier) = cookie(headers, COOKIE_NAME).and_then(Secret::read) {
        app.sessions.end_earlier(SessionId::of(&earlier), did.clone());
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct Exchange {
    exchange_token: Secret,
}

/// `POST /auth/exchange`: the session that a web app was sent away with.
pub(crate) async fn exchange(
    State(app): State<App>,
    Caller(caller): Caller,
    headers: HeaderMap,
    body: Result<Json<Exchange>, JsonRejection>,
) -> Result<Response, Detail> {
    caller.map_or(Ok(()), |caller| app.limits.auth.check(caller))?;
    // A page of somebody else must not sign a browser in as somebody else.
    if headers
        .get(ORIGIN)
        .is_some_and(|origin| !origin.to_str().is_ok_and(|it| is_own_origin(it, &app.options)))
    {
        return Err(Detail::forbidden("this request does not come from a page of ours"));
    }
    let Ok(Json(Exchange { exchange_token })) = body else {
        return Err(Detail::invalid("body", "exchange_token", "a JSON object with an exchange_token"));
    };
    let sessions = app.sessions.clone();
    let exchanged = app.sessions.spawn(async move { sessions.exchange(&exchange_token).await });
    let Some(exchanged) = exchanged.await.map_err(Detail::internal)?? else {
        return Err(Detail::unauthorized("invalid, expired, or already used exchange token"));
    };
    let session = exchanged.session;
    let body = Json(json!({"session_id": session.token().as_str()}));
    let mut response = (cookies::NO_STORE, body).into_response();
    if !exchanged.is_developer && is_browser(&headers) {
        cookies::sign_in(&app, session.token(), response.headers_mut()).map_err(Detail::internal)?;
        end_earlier(&app, &headers, &exchanged.did);
    }
    session.claim();
    Ok(response)
}

/// Programs get no cookie.
fn is_browser(headers: &HeaderMap) -> bool {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let agent = agent.to_ascii_lowercase();
    ["mozilla", "chrome", "safari", "firefox", "edge", "opera"].iter().any(|name| agent.contains(name))
}

/// `POST /auth/logout`: ends this session and the grant behind it.
pub(crate) async fn logout(
    State(app): State<App>,
    viewer: Result<SignedIn, Detail>,
    headers: HeaderMap,
) -> Result<Response, Detail> {
    let mut response = match viewer {
        Ok(viewer) => {
            app.sessions.sign_out(&viewer.session).await?;
            Json(json!({"message": "logged out successfully"})).into_response()
        }
        // A cookie of a session that is no more shall go too.
        Err(detail) if detail.status() == StatusCode::UNAUTHORIZED => detail.into_response(),
        Err(detail) => return Err(detail),
    };
    // A form of a foreign page comes without cookies, and must not take them away either.
    if cookie(&headers, COOKIE_NAME).is_some() {
        cookies::sign_out(&app, response.headers_mut()).map_err(Detail::internal)?;
    }
    Ok(response)
}

/// `GET /auth/me`: who is signed in.
pub(crate) async fn me(State(app): State<App>, viewer: SignedIn) -> Result<Response, Detail> {
    let person = sqlx::query!(
        r#"select handle as "handle?", display_name as "display_name?", blob.cid as "avatar_cid?"
             from actor
             left join bsky_profile on bsky_profile.did = actor.did
             left join blob on blob.cid = bsky_profile.avatar_cid and blob.mime like 'image/%'
            where actor.did = $1"#,
        viewer.did.as_str()
    )
    .fetch_optional(&mut *app.pool.acquire().await?)
    .await?;
    let (handle, display_name, avatar_cid) =
        person.map_or((None, None, None), |row| (row.handle, row.display_name, row.avatar_cid));
    let scope_missing = app.sessions.scope_missing(&viewer.session).await?;
    let me = json!({
        "did": viewer.did,
        "handle": handle.unwrap_or_else(|| "handle.invalid".to_owned()),
        "display_name": display_name.filter(|name| !name.is_empty()),
        "avatar_url": avatar_cid.map(|cid| app.options.image_url(&cid)),
        "scope_missing": scope_missing,
        "linked_accounts": [],
        "enabled_flags": [],
    });
    Ok((cookies::NO_STORE, Json(me)).into_response())
}

/// `GET /oauth-client-metadata.json`: who we are to authorization servers, where we are somebody.
pub(crate) async fn client_metadata(State(app): State<App>) -> Result<Json<Value>, Detail> {
    let metadata = app.sessions.oauth().and_then(|oauth| oauth.client.metadata());
    metadata.map(Json).ok_or_else(|| Detail::not_found("this server is a public client"))
}

/// `GET /.well-known/jwks.json`: the keys by which we prove it.
pub(crate) async fn jwks(State(app): State<App>) -> Result<Json<Value>, Detail> {
    Ok(Json(client::jwks(app.sessions.client_keys().await?.iter())))
}

/// 303, for the browser alone.
fn to(url: &Url) -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, location(url))], cookies::NO_STORE).into_response()
}

fn location(url: &Url) -> HeaderValue {
    // A parsed URL is printable ASCII: the front page is never needed.
    HeaderValue::from_str(url.as_str()).unwrap_or(HeaderValue::from_static("/"))
}

/// For the operator: what keeps people from signing in.
fn told(error: &SignInError) {
    match error {
        SignInError::Internal(cause) => tracing::error!(error = format!("{cause:#}"), "a sign-in failed"),
        error => tracing::info!(code = error.code(), %error, "a sign-in ended without a session"),
    }
}
