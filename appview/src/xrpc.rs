//! How XRPC queries come in: parameters checked by the method's lexicon, then given their Rust types.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use indexer::lexicon::{check_input, parse_params};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;

/// The parameters of the XRPC method whose route matched (`/xrpc/<nsid>`).
///
/// The lexicon refuses what is unlawful and fills in what has a default; `P` then only gives types. Both
/// refusals are 400 `InvalidRequest` with the parameter's name in front.
#[derive(Debug)]
pub struct Params<P>(pub P);

impl<S: Send + Sync, P: DeserializeOwned> FromRequestParts<S> for Params<P> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let nsid = route.strip_prefix("/xrpc/").unwrap_or(route);
        read(nsid, parts.uri.query().unwrap_or_default()).map(Params)
    }
}

/// The body of the XRPC procedure whose route matched: JSON, checked by its lexicon.
#[derive(Debug)]
pub struct Input<I>(pub I);

impl<S: Send + Sync, I: DeserializeOwned> FromRequest<S> for Input<I> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let (mut parts, body) = request.into_parts();
        let route = MatchedPath::from_request_parts(&mut parts, state).await;
        let route = route.as_ref().map_or("", MatchedPath::as_str);
        let nsid = route.strip_prefix("/xrpc/").unwrap_or(route).to_owned();
        let body = Bytes::from_request(Request::from_parts(parts, body), state).await;
        let body = body.map_err(|error| Error::invalid_request(format!("body: {error}")))?;
        let body: Value = serde_json::from_slice(&body)
            .map_err(|error| Error::invalid_request(format!("body: {error}")))?;
        check_input(&nsid, &body).map_err(|violation| Error::invalid_request(violation.to_string()))?;
        serde_path_to_error::deserialize(body)
            .map(Input)
            .map_err(|error| Error::invalid_request(format!("{}: {}", error.path(), error.inner())))
    }
}

fn read<P: DeserializeOwned>(nsid: &str, query: &str) -> Result<P, Error> {
    let params =
        parse_params(nsid, query).map_err(|violation| Error::invalid_request(violation.to_string()))?;
    serde_path_to_error::deserialize(Value::Object(params))
        .map_err(|error| Error::invalid_request(format!("{}: {}", error.path(), error.inner())))
}

/// `/xrpc/<anything else>`.
pub(crate) async fn unknown_method() -> Error {
    Error::method_not_implemented()
}
