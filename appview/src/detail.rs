//! What a caller of the HTTP API is told when a request fails: a status and `{"detail": …}`.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::{is_passing, log_cause};

/// A failed request of the HTTP API. What went wrong on our side goes to the log, never to the caller.
#[derive(Debug)]
pub struct Detail {
    status: StatusCode,
    body: Value,
    retry_after_s: Option<u64>,
    cause: Option<anyhow::Error>,
}

impl Detail {
    /// `{"detail": text}`.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self::of(status, Value::String(text.into()))
    }

    /// `{"detail": {"error": code, "message": text}}`, for what a program has to tell apart.
    pub fn coded(status: StatusCode, code: &str, text: impl Into<String>) -> Self {
        Self::of(status, json!({"error": code, "message": text.into()}))
    }

    fn of(status: StatusCode, detail: Value) -> Self {
        Detail { status, body: json!({"detail": detail}), retry_after_s: None, cause: None }
    }

    /// 401: there is no session, or none any more.
    pub fn unauthorized(text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, text)
    }

    /// 403.
    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// 404.
    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    /// 400.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 422 for one field, in the list form that clients of the API know: `place` is `body`, `path` or `query`.
    pub fn invalid(place: &str, field: &str, text: impl Into<String>) -> Self {
        let problem =
            json!([{"type": "value_error", "loc": [place, field], "msg": text.into(), "input": null}]);
        Self::of(StatusCode::UNPROCESSABLE_ENTITY, problem)
    }

    /// 429 with `Retry-After`. Its key is `error`, as clients of the API expect.
    pub fn too_many(text: impl Into<String>, retry_after_s: u64) -> Self {
        Detail {
            body: json!({"error": text.into()}),
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "")
        }
    }

    /// 502: somebody we asked on the caller's behalf gave no usable answer.
    pub fn upstream(text: impl Into<String>, cause: impl Into<anyhow::Error>) -> Self {
        Detail { cause: Some(cause.into()), ..Self::new(StatusCode::BAD_GATEWAY, text) }
    }

    /// 503 with `Retry-After`.
    pub fn unavailable(text: impl Into<String>) -> Self {
        Detail { retry_after_s: Some(2), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, text) }
    }

    /// 500: our fault.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        let told = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal server error");
        Detail { cause: Some(cause.into()), ..told }
    }

    /// 503 for a database that is busy or away, else 500.
    pub(crate) fn from_cause(cause: anyhow::Error) -> Self {
        match cause.downcast::<sqlx::Error>() {
            Ok(error) => error.into(),
            Err(cause) => Detail::internal(cause),
        }
    }

    /// With `Retry-After`.
    pub fn later(self, seconds: u64) -> Self {
        Detail { retry_after_s: Some(seconds), ..self }
    }

    /// The HTTP status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// What a query says; 422 where that cannot be read. Parameters that nobody knows say nothing.
pub(crate) fn query<Q: DeserializeOwned>(text: Option<String>) -> Result<Q, Detail> {
    let text = text.unwrap_or_default();
    if text.contains("%00") {
        return Err(Detail::invalid("query", "query", "holds a character that nothing has"));
    }
    serde_html_form::from_str(&text).map_err(|error| Detail::invalid("query", "query", error.to_string()))
}

/// Parts of a path, as text; 422 where one is not UTF-8, or holds what nothing is called by.
#[derive(Debug)]
pub(crate) struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Detail;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Detail> {
        let refused = || Detail::invalid("path", "path", "holds what nothing is called by");
        if parts.uri.path().contains("%00") {
            return Err(refused());
        }
        let names = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        names.map(|axum::extract::Path(names)| Named(names)).map_err(|_| refused())
    }
}

/// A number of the query, where it is given; 422 where it is none of `range`.
pub(crate) fn number(
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

/// The same, where what lies outside of the range is taken for its end.
pub(crate) fn clamped(
    field: &str,
    text: Option<&str>,
    default: i64,
    range: std::ops::RangeInclusive<i64>,
) -> Result<i64, Detail> {
    match text.map(str::parse::<i64>) {
        None => Ok(default),
        Some(Ok(number)) => Ok(number.clamp(*range.start(), *range.end())),
        Some(Err(_)) => Err(Detail::invalid("query", field, "Input should be a valid integer")),
    }
}

impl From<crate::error::Error> for Detail {
    fn from(error: crate::error::Error) -> Self {
        let (status, message, retry_after_s, cause) = error.into_parts();
        Detail { retry_after_s, cause, ..Detail::new(status, message) }
    }
}

impl From<sqlx::Error> for Detail {
    fn from(error: sqlx::Error) -> Self {
        if is_passing(&error) {
            return Detail {
                cause: Some(error.into()),
                ..Detail::unavailable("the database is busy or away")
            };
        }
        Detail::internal(error)
    }
}

impl IntoResponse for Detail {
    fn into_response(self) -> Response {
        log_cause(self.status, self.cause.as_ref());
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
