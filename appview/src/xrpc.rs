//! How XRPC queries come in: parameters checked by the method's lexicon, then given their Rust types.

use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use indexer::lexicon::parse_params;
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
