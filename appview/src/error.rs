//! What a caller is told when a request fails: a status and `{error, message}`.

use std::sync::Arc;

use axum::Json;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// A failed request. The cause of an [`Error::internal`] goes to the log, never to the caller.
#[derive(Debug)]
pub struct Error {
    status: StatusCode,
    name: &'static str,
    message: String,
    cause: Option<anyhow::Error>,
}

impl Error {
    fn new(status: StatusCode, name: &'static str, message: impl Into<String>) -> Self {
        Error { status, name, message: message.into(), cause: None }
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

    /// 405: the path exists, the method does not.
    pub fn method_not_allowed() -> Self {
        Error::new(StatusCode::METHOD_NOT_ALLOWED, "InvalidRequest", "this path answers GET and HEAD only")
    }

    /// 501 `MethodNotImplemented`: no such XRPC method here.
    pub fn method_not_implemented() -> Self {
        Error::new(StatusCode::NOT_IMPLEMENTED, "MethodNotImplemented", "this server has no such method")
    }

    /// 503 with `Retry-After`: too much is asked of us now.
    pub fn overloaded(message: impl Into<String>) -> Self {
        Error::new(StatusCode::SERVICE_UNAVAILABLE, "NotEnoughResources", message)
    }

    /// 500: our fault. Logged when the answer is made, inside the request's span.
    pub fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Error {
            cause: Some(cause.into()),
            ..Error::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "internal server error")
        }
    }

    /// For the HTTP API, whose errors have another form.
    pub(crate) fn into_parts(self) -> (StatusCode, String, Option<anyhow::Error>) {
        (self.status, self.message, self.cause)
    }

    /// The same failure for one of several who asked at once. The cause stays behind, so it goes to the log now.
    pub(crate) fn again(&self) -> Self {
        log_cause(self.status, self.cause.as_ref());
        Error::new(self.status, self.name, self.message.clone())
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
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("2"));
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
