//! What a caller is told when a request fails: a status and `{error, message}`.

use std::sync::Arc;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A failed request. The cause of an [`Error::internal`] goes to the log, never to the caller.
#[derive(Debug)]
pub struct Error {
    status: StatusCode,
    name: &'static str,
    message: String,
    retry_after_s: Option<u64>,
    /// What to come back with, of a 401.
    challenge: Option<&'static str>,
    cause: Option<anyhow::Error>,
}

impl Error {
    fn new(status: StatusCode, name: &'static str, message: impl Into<String>) -> Self {
        Error { status, name, message: message.into(), retry_after_s: None, challenge: None, cause: None }
    }

    /// 400 `InvalidRequest`. The message names the parameter.
    pub fn invalid_request(message: impl Into<String>) -> Self {
        Error::new(StatusCode::BAD_REQUEST, "InvalidRequest", message)
    }

    /// An error that the method's lexicon declares. XRPC sends all of those with status 400, `NotFound` too.
    pub fn declared(name: &'static str, message: impl Into<String>) -> Self {
        Error::new(StatusCode::BAD_REQUEST, name, message)
    }

    /// 404 `NotFound`, outside XRPC.
    pub fn not_found(message: impl Into<String>) -> Self {
        Error::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// 401 `AuthMissing`: only for who is signed in.
    pub fn auth_missing(message: impl Into<String>) -> Self {
        let challenge = Some(r#"Bearer realm="plyr""#);
        Error { challenge, ..Error::new(StatusCode::UNAUTHORIZED, "AuthMissing", message) }
    }

    /// 401 for a service token that is not accepted, under one of the names that the protocol's services use.
    pub(crate) fn bad_token(name: &'static str, message: impl Into<String>) -> Self {
        let challenge = Some(r#"Bearer realm="plyr", error="invalid_token""#);
        Error { challenge, ..Error::new(StatusCode::UNAUTHORIZED, name, message) }
    }

    /// 403 `Forbidden`.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Error::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// 429 `RateLimitExceeded` with `Retry-After`.
    pub(crate) fn rate_limited(message: impl Into<String>, retry_after_s: u64) -> Self {
        let refused = Error::new(StatusCode::TOO_MANY_REQUESTS, "RateLimitExceeded", message);
        Error { retry_after_s: Some(retry_after_s), ..refused }
    }

    /// 405: the path exists, the method does not.
    pub fn method_not_allowed() -> Self {
        Error::new(StatusCode::METHOD_NOT_ALLOWED, "InvalidRequest", "nothing is done here with this method")
    }

    /// 501 `MethodNotImplemented`: no such XRPC method here.
    pub fn method_not_implemented() -> Self {
        Error::new(StatusCode::NOT_IMPLEMENTED, "MethodNotImplemented", "this server has no such method")
    }

    /// 503 with `Retry-After`: too much is asked of us now.
    pub fn overloaded(message: impl Into<String>) -> Self {
        let busy = Error::new(StatusCode::SERVICE_UNAVAILABLE, "NotEnoughResources", message);
        Error { retry_after_s: Some(2), ..busy }
    }

    /// 503 with `Retry-After`: somebody whom we have to ask first gives no answer now.
    pub(crate) fn unreachable(message: impl Into<String>, cause: impl Into<anyhow::Error>) -> Self {
        Error { cause: Some(cause.into()), ..Error::overloaded(message) }
    }

    /// 500: our fault. Logged when the answer is made, inside the request's span.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Error {
            cause: Some(cause.into()),
            ..Error::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "internal server error")
        }
    }

    /// For the HTTP API, whose errors have another form.
    pub(crate) fn into_parts(self) -> (StatusCode, String, Option<u64>, Option<anyhow::Error>) {
        (self.status, self.message, self.retry_after_s, self.cause)
    }

    /// The same failure for one of several who asked at once. The cause stays behind, so it goes to the log now.
    pub(crate) fn again(&self) -> Self {
        log_cause(self.status, self.cause.as_ref());
        let (retry_after_s, challenge) = (self.retry_after_s, self.challenge);
        Error { retry_after_s, challenge, ..Error::new(self.status, self.name, self.message.clone()) }
    }

    /// What the caller is told it is called.
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The HTTP status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

/// The failure of a question that several may have asked at once: each is told.
pub(crate) fn shared(error: Arc<Error>) -> Error {
    Arc::try_unwrap(error).unwrap_or_else(|error| error.again())
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if is_passing(&error) {
            let busy = Error::overloaded("the database is busy or away");
            return Error { cause: Some(error.into()), ..busy };
        }
        Error::internal(error)
    }
}

/// Whether the same statement may well succeed in a moment.
pub(crate) fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => true,
        // 53: out of resources. 57: cancelled by the statement timeout, or the server stops. 08: connection.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| ["53", "57", "08"].iter().any(|class| code.starts_with(class)))
        }
        _ => false,
    }
}

/// What the caller is not told.
pub(crate) fn log_cause(status: StatusCode, cause: Option<&anyhow::Error>) {
    match cause {
        Some(cause) if status == StatusCode::INTERNAL_SERVER_ERROR => {
            tracing::error!(error = format!("{cause:#}"), "request failed");
        }
        Some(cause) => tracing::warn!(error = format!("{cause:#}"), "request refused"),
        None => {}
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        log_cause(self.status, self.cause.as_ref());
        let body = Json(json!({"error": self.name, "message": self.message}));
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        // A cache would go on refusing what is there a moment later.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        response
    }
}

/// Text from our own database, parsed into the type it was stored from. A failure is our corruption.
pub(crate) fn stored<T>(text: &str) -> Result<T, Error>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn body(error: Error) -> (StatusCode, String) {
        let response = error.into_response();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 4096).await.expect("a small body");
        (status, String::from_utf8(bytes.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn causes_stay_with_us() {
        let (status, text) = body(Error::internal(anyhow::anyhow!("password is swordfish"))).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(text, r#"{"error":"InternalServerError","message":"internal server error"}"#);
        let (status, text) = body(sqlx::Error::PoolTimedOut.into()).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("NotEnoughResources"), "{text}");
        let (status, _) = body(sqlx::Error::RowNotFound.into()).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
