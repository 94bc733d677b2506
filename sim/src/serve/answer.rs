//! Answers over HTTP.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// An answer, before anything happens to it on its way.
#[derive(Debug)]
pub(super) enum Answer {
    /// JSON, with a status.
    Json(StatusCode, Value),
    /// A CAR file.
    Car(Vec<u8>),
    /// Ask there.
    Elsewhere(String),
}

/// All is well.
pub(super) fn json_of(value: Value) -> Answer {
    Answer::Json(StatusCode::OK, value)
}

/// 400 with the name of an error.
pub(super) fn refuse(error: &str, message: &str) -> Answer {
    Answer::Json(StatusCode::BAD_REQUEST, json!({"error": error, "message": message}))
}

impl Answer {
    /// As HTTP has it.
    pub(super) fn into_response(self) -> Response {
        match self {
            Answer::Json(status, value) => (status, axum::Json(value)).into_response(),
            Answer::Car(bytes) => {
                ([(header::CONTENT_TYPE, "application/vnd.ipld.car")], bytes).into_response()
            }
            Answer::Elsewhere(url) => (StatusCode::FOUND, [(header::LOCATION, url)]).into_response(),
        }
    }
}
