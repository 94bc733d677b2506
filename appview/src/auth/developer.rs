//! Tokens for programs: sessions of their own, made by signing in once more.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header::{ORIGIN, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use serde::Deserialize;
use serde_json::{Value, json};

use super::landing::Landing;
use super::{begin, cookies, not_started};
use crate::App;
use crate::detail::{Detail, Named};
use crate::oauth::secret::Secret;
use crate::session::{Developer, SignedIn};

pub(crate) const DAYS_MAX: u32 = 365;
pub(crate) const DAYS_DEFAULT: u32 = 90;
pub(crate) const NAME_MAX_CHARS: usize = 100;

#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    name: Option<String>,
    expires_in_days: Option<u32>,
}

/// `POST /auth/developer-token/start`: where to sign in for one. Who does must be who asked.
pub(crate) async fn start_developer_token(
    State(app): State<App>,
    viewer: SignedIn,
    headers: HeaderMap,
    body: Result<Json<Wish>, JsonRejection>,
) -> Result<Response, Detail> {
    app.limits.auth.check(viewer.did.as_str())?;
    let Ok(Json(wish)) = body else {
        return Err(Detail::invalid("body", "name", "a JSON object with name and expires_in_days"));
    };
    let expires_in_days = match wish.expires_in_days.unwrap_or(DAYS_DEFAULT) {
        0 => None,
        days @ 1..=DAYS_MAX => Some(days),
        _ => return Err(Detail::bad_request(format!("expires_in_days cannot exceed {DAYS_MAX}"))),
    };
    let name = wish.name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    if name.as_ref().is_some_and(|name| name.chars().count() > NAME_MAX_CHARS || name.contains('\0')) {
        return Err(Detail::invalid("body", "name", format!("at most {NAME_MAX_CHARS} characters")));
    }
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let landing = Landing::of_developer(&app.options, origin);
    let browser = cookies::browser(&headers).unwrap_or_else(Secret::random);
    let developer = Some(Developer { name, expires_in_days });
    let url = begin(&app, viewer.did.as_str(), &browser, landing.return_to, developer)
        .await
        .map_err(not_started)?;
    let cookie = cookies::keep_browser(&app, &browser).map_err(Detail::internal)?;
    let body = Json(json!({"auth_url": url.as_str()}));
    Ok(([(SET_COOKIE, cookie)], cookies::NO_STORE, body).into_response())
}

/// `GET /auth/developer-tokens`: those that are alive.
pub(crate) async fn developer_tokens(
    State(app): State<App>,
    viewer: SignedIn,
) -> Result<Json<Value>, Detail> {
    let tokens = app.sessions.developer_tokens(&viewer.did).await?;
    let tokens = tokens.into_iter().map(|token| {
        json!({
            "session_id": token.prefix,
            "name": token.name,
            "created_at": token.created_at.to_rfc3339_opts(SecondsFormat::Micros, false),
            "expires_at": token.expires_at.to_rfc3339_opts(SecondsFormat::Micros, false),
        })
    });
    Ok(Json(json!({"tokens": tokens.collect::<Vec<_>>()})))
}

/// `DELETE /auth/developer-tokens/{token_prefix}`.
pub(crate) async fn revoke_developer_token(
    State(app): State<App>,
    viewer: SignedIn,
    Named(prefix): Named<String>,
) -> Result<Json<Value>, Detail> {
    let is_prefix = (4..=64).contains(&prefix.len()) && prefix.bytes().all(|byte| byte.is_ascii_hexdigit());
    let found = match is_prefix {
        true => app.sessions.developer_tokens_like(&viewer.did, &prefix.to_ascii_lowercase()).await?,
        false => Vec::new(),
    };
    match &found[..] {
        [] => Err(Detail::new(StatusCode::NOT_FOUND, "token not found")),
        [token] => {
            app.sessions.sign_out(token).await?;
            Ok(Json(json!({"message": "token revoked successfully"})))
        }
        _ => Err(Detail::bad_request("ambiguous prefix - provide more characters")),
    }
}
