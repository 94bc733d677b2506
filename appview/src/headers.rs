//! What browsers are told about answers: who may read them, and what a page may do.

use std::time::Duration;

use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, ETAG, REFERRER_POLICY,
    RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowCredentials, AllowHeaders, AllowOrigin, Any, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;
use url::Url;

use crate::Options;

/// What a page may read of any answer, beside its body. Each by name: `*` says nothing where credentials come along.
fn exposed() -> [HeaderName; 10] {
    [
        RETRY_AFTER,
        ETAG,
        WWW_AUTHENTICATE,
        HeaderName::from_static("atproto-content-labelers"),
        HeaderName::from_static("atproto-repo-rev"),
        HeaderName::from_static("ratelimit-limit"),
        HeaderName::from_static("ratelimit-policy"),
        HeaderName::from_static("ratelimit-remaining"),
        HeaderName::from_static("ratelimit-reset"),
        HeaderName::from_static("x-request-id"),
    ]
}

/// Any page may read what is public, and call procedures; none may send cookies along.
pub(crate) fn open_cors() -> CorsLayer {
    let bytes = [ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE];
    let exposed: Vec<_> = exposed().into_iter().chain(bytes).collect();
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed)
        .max_age(Duration::from_secs(7200))
}

/// Pages of listed web apps may act with credentials. All others may read and, with a token of their own, act; no browser shows them an
/// answer to a request that carried the cookie, as they are not told that credentials are allowed. Refusals can be read like all else.
pub(crate) fn app_cors(options: &Options) -> CorsLayer {
    let origin = |url: &Url| HeaderValue::from_str(&url.origin().ascii_serialization()).ok();
    let origins = [&options.public_url].into_iter().chain(&options.web_origins).filter_map(origin);
    let listed: Vec<HeaderValue> = origins.collect();
    CorsLayer::new()
        // By name, not `*`, which means nothing to who sends credentials; caches are told that it varies.
        .allow_origin(AllowOrigin::mirror_request())
        .allow_credentials(AllowCredentials::predicate(move |origin, _| listed.contains(origin)))
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed())
        .max_age(Duration::from_secs(7200))
}

/// Content is what its type says.
pub(crate) fn no_sniffing() -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::overriding(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
}

/// Other hosts do not learn what somebody listens to, unless the answer says otherwise itself.
pub(crate) fn no_referrer() -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(REFERRER_POLICY, HeaderValue::from_static("same-origin"))
}

/// What is not a page may do nothing as one, unless it says otherwise itself.
pub(crate) fn no_page() -> SetResponseHeaderLayer<HeaderValue> {
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    SetResponseHeaderLayer::if_not_present(CONTENT_SECURITY_POLICY, policy)
}

/// The player's policy: its own code, our images, sound from any encrypted host.
pub(crate) fn page_policy(options: &Options) -> String {
    let origin = |url: &Url| url.origin().ascii_serialization();
    let ours = [Some(&options.public_url), options.media_url.as_ref()];
    // The page may have been opened by another name than the public one, which 'self' then is not.
    let ours: Vec<String> = ours.into_iter().flatten().map(origin).collect();
    let ours = ours.join(" ");
    format!(
        "default-src 'self'; img-src 'self' data: {ours}; media-src 'self' https: {ours}; \
         style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_policy_names_our_hosts_only() {
        let mut options = Options::new("https://plyr.example/".parse().expect("a URL"));
        let policy = page_policy(&options);
        assert!(policy.contains("img-src 'self' data: https://plyr.example;"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        options.media_url = Some("https://media.example:8443/x".parse().expect("a URL"));
        let policy = page_policy(&options);
        let sources = "https: https://plyr.example https://media.example:8443; ";
        assert!(policy.contains(&format!("media-src 'self' {sources}")), "{policy}");
        assert!(!policy.contains("unsafe-eval") && !policy.contains("script-src"), "{policy}");
    }
}
