//! The table of contents: every path this server answers.

use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::http::header::CACHE_CONTROL;
use axum::routing::{any, get};
use axum::{Router, middleware};
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::error::Error;
use crate::{App, actor, audio, comment, headers, health, like, live, media, observe, track, web, xrpc};

/// No method here takes a body; nobody shall send us a long one.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// All routes with their layers.
pub fn router(app: App) -> Router {
    Router::new()
        .merge(xrpc())
        .merge(bytes())
        .merge(pages())
        .layer(headers::no_sniffing())
        .layer(headers::no_referrer())
        .layer(headers::no_page())
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(app)
}

/// For any client: each path is an NSID with its lexicon under `lexicons/`.
fn xrpc() -> Router<App> {
    Router::new()
        .route("/xrpc/_health", get(health::version))
        .route("/xrpc/fm.plyr.actor.getProfile", get(actor::get_profile))
        .route("/xrpc/fm.plyr.feed.getComments", get(comment::get_comments))
        .route("/xrpc/fm.plyr.feed.getLatest", get(track::get_latest))
        .route("/xrpc/fm.plyr.feed.getLikes", get(like::get_likes))
        .route("/xrpc/fm.plyr.feed.getTracks", get(track::get_tracks))
        .route("/xrpc/{*method}", any(xrpc::unknown_method))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(observe::request))
        // A like must show at once, so nobody may keep an answer.
        .layer(SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .layer(CompressionLayer::new())
        .layer(headers::open_cors())
}

/// What is not compressed: sound and images are already, events must leave at once.
fn bytes() -> Router<App> {
    Router::new()
        .route("/audio/{file_id}", get(audio::audio))
        .route("/media/{cid}", get(media::image))
        .route("/live", get(live::stream))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(observe::request))
        .layer(headers::open_cors())
}

/// For people and their browsers, and for whoever watches over the process.
fn pages() -> Router<App> {
    Router::new()
        .route("/", get(web::index))
        .route("/track/{did}/{rkey}", get(web::track))
        .route("/assets/{*path}", get(web::asset))
        .route("/robots.txt", get(health::robots))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .fallback(web::other)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(observe::request))
        .layer(CompressionLayer::new())
}

async fn method_not_allowed() -> Error {
    Error::method_not_allowed()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, Response, StatusCode};
    use sqlx::postgres::PgConnectOptions;
    use tower::ServiceExt;

    use super::*;
    use crate::Options;
    use crate::store::BlobStore;

    /// Asks a server whose database nobody needs to reach.
    async fn ask(method: &str, path: &str, accept: &str) -> (Response<()>, String) {
        let options = Options::new("https://plyr.example".parse().expect("a URL"));
        let database = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(1);
        let app = App::new(options, database, BlobStore::new("/nonexistent"));
        let request = Request::builder().method(method).uri(path).header("accept", accept);
        let request = request.header("origin", "https://elsewhere.example").body(Body::empty());
        let answer = router(app).oneshot(request.expect("a request")).await.expect("infallible");
        let (head, body) = answer.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.expect("a short body");
        (Response::from_parts(head, ()), String::from_utf8(bytes.to_vec()).expect("text"))
    }

    fn header<'a>(response: &'a Response<()>, name: &str) -> &'a str {
        response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[tokio::test]
    async fn every_declared_query_is_routed() {
        let mut methods: Vec<&str> = indexer::lexicon::methods().collect();
        methods.push("fm.plyr.feed.getNothing");
        for nsid in methods {
            // What no lexicon allows, so that nothing is read.
            let path = format!("/xrpc/{nsid}?limit=0&actor=!&uri=!&uris=!");
            let (response, body) = ask("GET", &path, "*/*").await;
            let expected = if nsid.ends_with("getNothing") { 501 } else { 400 };
            assert_eq!(response.status().as_u16(), expected, "{nsid}: {body}");
        }
    }

    #[tokio::test]
    async fn refusals_have_the_envelope_and_can_be_read_by_any_page() {
        let refused = [
            ("GET", "/xrpc/com.example.nothing", 501, "MethodNotImplemented"),
            ("POST", "/xrpc/com.example.nothing", 501, "MethodNotImplemented"),
            ("GET", "/xrpc/a/b", 501, "MethodNotImplemented"),
            ("POST", "/xrpc/fm.plyr.feed.getLatest", 405, "InvalidRequest"),
            ("GET", "/xrpc/fm.plyr.feed.getLatest?cursor=x", 400, "InvalidRequest"),
            ("GET", "/audio/nothing", 404, "NotFound"),
            ("GET", "/media/%FF", 404, "NotFound"),
            ("POST", "/audio/0123456789abcdef", 405, "InvalidRequest"),
        ];
        for (method, path, status, name) in refused {
            let (response, body) = ask(method, path, "text/html").await;
            assert_eq!(response.status().as_u16(), status, "{method} {path}: {body}");
            let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(body["error"], name, "{method} {path}");
            assert!(body["message"].is_string(), "{method} {path}");
            assert_eq!(header(&response, "access-control-allow-origin"), "*", "{method} {path}");
            assert_eq!(header(&response, "access-control-allow-credentials"), "", "{method} {path}");
            assert!(header(&response, "access-control-expose-headers").contains("retry-after"), "{path}");
        }
        let (_, body) = ask("GET", "/xrpc/fm.plyr.feed.getLatest?limit=101", "*/*").await;
        assert!(body.contains("limit"), "the parameter is named: {body}");
    }

    #[tokio::test]
    async fn pages_and_files_carry_their_headers() {
        let (response, _) = ask("GET", "/", "text/html").await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(header(&response, "cache-control"), "no-cache");
        assert!(header(&response, "content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(header(&response, "x-content-type-options"), "nosniff");
        assert_eq!(header(&response, "referrer-policy"), "same-origin");
        assert_eq!(header(&response, "access-control-allow-origin"), "");
        assert_eq!(header(&response, "x-request-id").len(), 16);

        let (response, body) = ask("HEAD", "/health/live", "*/*").await;
        assert_eq!((response.status(), body.as_str()), (StatusCode::OK, ""));
        for path in ["/nowhere", "/assets/none.js", "/track/x/y", "/track/%FF/y", "/index.html"] {
            let (response, body) = ask("GET", path, "text/html").await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert!(body.contains("<h1>"), "{path}: {body}");
            let (response, body) = ask("GET", path, "application/json").await;
            assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
            assert!(body.starts_with('{'), "{path}: {body}");
        }
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_said_so() {
        for path in ["/xrpc/_health", "/health/ready", "/xrpc/fm.plyr.feed.getLatest"] {
            let (response, body) = ask("GET", path, "*/*").await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}: {body}");
            assert_eq!(header(&response, "retry-after"), "2", "{path}");
            assert!(!body.contains("127.0.0.1"), "{path}: {body}");
        }
    }
}
