//! The table of contents: every path this server answers.
//!
//! The paths of the HTTP API stand here with what is said of each (`openapi.rs`); XRPC methods are told by their lexicons.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::routing::{any, get as page, get as query, post as procedure};
use axum::{Extension, Router, middleware};
use tower_http::compression::CompressionLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::detail::Detail;
use crate::error::Error;
use crate::openapi::operation::Family;
use crate::openapi::routes::{Routes, delete, get, patch, post};
use crate::openapi::{self as told, Document, Published};
use crate::{
    App, activity, actor, album, audio, auth, cache, chart, comment, embed, feed, generator, headers, health,
    like, link, list, live, media, now_playing, observe, oembed, own, play, reception, repo, search, service,
    sitemap, stats, sync, tag, teal, timeline, track, upload, web, xrpc,
};

/// What a form of ours needs; uploads have a limit of their own.
const BODY_MAX_BYTES: usize = 64 * 1024;

/// All routes with their layers.
pub fn router(app: App) -> Router {
    let mut document = Document::default();
    Router::new()
        .merge(xrpc(&app))
        .merge(api(&app, &mut document))
        .merge(links(&app, &mut document))
        .merge(machines(&app, &mut document))
        .merge(client(&mut document))
        .merge(bytes(&mut document))
        .merge(uploads(&app, &mut document))
        .merge(watchers(&mut document))
        .merge(description(&app, document))
        .merge(pages(&app))
        .merge(nothing(&app))
        .layer(headers::no_sniffing())
        .layer(headers::no_referrer())
        .layer(headers::no_page())
        .layer(DefaultBodyLimit::max(BODY_MAX_BYTES))
        .with_state(app)
}

/// For any client: each path is an NSID with its lexicon under `lexicons/`.
fn xrpc(app: &App) -> Router<App> {
    Router::new()
        .route("/xrpc/_health", query(health::version))
        .route("/xrpc/app.bsky.feed.describeFeedGenerator", query(generator::describe))
        .route("/xrpc/app.bsky.feed.getFeedSkeleton", query(generator::get_feed_skeleton))
        .route("/xrpc/blue.microcosm.links.getBacklinkDids", query(link::get_backlink_dids))
        .route("/xrpc/blue.microcosm.links.getBacklinks", query(link::get_backlinks))
        .route("/xrpc/blue.microcosm.links.getBacklinksCount", query(link::get_backlinks_count))
        .route("/xrpc/com.atproto.identity.resolveHandle", query(repo::resolve_handle))
        .route("/xrpc/com.atproto.repo.getRecord", query(repo::get_record))
        .route("/xrpc/com.atproto.repo.listRecords", query(repo::list_records))
        .route("/xrpc/fm.plyr.actor.getNowPlaying", query(now_playing::get_now_playing))
        .route("/xrpc/fm.plyr.actor.getProfile", query(actor::get_profile))
        .route("/xrpc/fm.plyr.actor.getProfileAnalytics", query(actor::analytics::get_profile_analytics))
        .route("/xrpc/fm.plyr.actor.getProfiles", query(actor::get_profiles))
        .route("/xrpc/fm.plyr.actor.searchActors", query(search::search_actors))
        .route("/xrpc/fm.plyr.feed.getActivity", query(activity::get_activity))
        .route("/xrpc/fm.plyr.feed.getActorLikes", query(feed::get_actor_likes))
        .route("/xrpc/fm.plyr.feed.getActorTracks", query(feed::get_actor_tracks))
        .route("/xrpc/fm.plyr.feed.getComments", query(comment::get_comments))
        .route("/xrpc/fm.plyr.feed.getLatest", query(feed::get_latest))
        .route("/xrpc/fm.plyr.feed.getLikes", query(like::get_likes))
        .route("/xrpc/fm.plyr.feed.getTagTracks", query(feed::get_tag_tracks))
        .route("/xrpc/fm.plyr.feed.getTags", query(tag::get_tags))
        .route("/xrpc/fm.plyr.feed.getTimeline", query(timeline::get_timeline))
        .route("/xrpc/fm.plyr.feed.getTop", query(chart::get_top))
        .route("/xrpc/fm.plyr.feed.getTrack", query(track::get_track))
        .route("/xrpc/fm.plyr.feed.getTracks", query(track::get_tracks))
        .route("/xrpc/fm.plyr.feed.recordPlay", procedure(play::record_play))
        .route("/xrpc/fm.plyr.list.getAlbum", query(album::get_album))
        .route("/xrpc/fm.plyr.list.getList", query(list::get_list))
        .route("/xrpc/fm.plyr.list.getLists", query(list::get_lists))
        .route("/xrpc/fm.plyr.search.query", query(search::query))
        .route("/xrpc/fm.plyr.search.searchTracks", query(search::search_tracks))
        .route("/xrpc/fm.plyr.stats.getStats", query(stats::get_stats))
        .route("/xrpc/fm.plyr.sync.getRepoStatus", query(sync::get_repo_status))
        .route("/xrpc/fm.plyr.sync.getStatus", query(sync::get_status))
        .route("/xrpc/fm.teal.actor.getProfile", query(teal::profile::get_profile))
        .route("/xrpc/fm.teal.actor.getProfiles", query(teal::profile::get_profiles))
        .route("/xrpc/fm.teal.actor.getStatus", query(teal::status::get_status))
        .route("/xrpc/fm.teal.actor.searchActors", query(teal::profile::search_actors))
        .route("/xrpc/fm.teal.feed.getActorFeed", query(teal::feed::get_actor_feed))
        .route("/xrpc/fm.teal.feed.getPlay", query(teal::feed::get_play))
        .route("/xrpc/fm.teal.stats.getLatest", query(teal::feed::get_latest))
        .route("/xrpc/fm.teal.stats.getRepoTopReleases", query(teal::stats::get_repo_top_releases))
        .route("/xrpc/fm.teal.stats.getTopArtists", query(teal::stats::get_top_artists))
        .route("/xrpc/fm.teal.stats.getTopReleases", query(teal::stats::get_top_releases))
        .route("/xrpc/fm.teal.stats.getUserTopArtists", query(teal::stats::get_user_top_artists))
        .route("/xrpc/fm.teal.stats.getUserTopRecordings", query(teal::stats::get_user_top_recordings))
        .route("/xrpc/fm.teal.stats.getUserTopReleases", query(teal::stats::get_user_top_releases))
        .route("/xrpc/parts.page.mention.search", query(search::mention::search))
        .route("/xrpc", any(xrpc::unknown_method))
        .route("/xrpc/", any(xrpc::unknown_method))
        .route("/xrpc/{*method}", any(xrpc::unknown_method))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(app.clone(), cache::layer))
        .layer(middleware::from_fn_with_state(app.clone(), reception::xrpc))
        .layer(middleware::from_fn(observe::request))
        // What one sees of oneself is nobody else's.
        .layer(SetResponseHeaderLayer::if_not_present(
            CACHE_CONTROL,
            HeaderValue::from_static("private, no-cache"),
        ))
        .layer(middleware::from_fn_with_state(app.clone(), cache::kept))
        .layer(headers::open_cors())
}

/// The HTTP API: for the player, for web apps of listed origins with credentials, and for programs with a bearer token.
fn api(app: &App, document: &mut Document) -> Router<App> {
    Routes::new(Family::Api, document)
        .both("/config", get(upload::config, told::upload::config))
        .both("/stats", get(stats::http, told::server::stats))
        .both("/activity", get(activity::http::list, told::activity::list_all))
        .both("/activity/histogram", get(activity::http::histogram, told::activity::histogram))
        .both("/moderation/sensitive-images", get(media::sensitive, told::media::sensitive))
        .route("/lists/by-uri", get(list::http::resolve, told::list::resolve))
        .both("/lists/playlists", get(list::http::own, told::list::own))
        .route("/lists/playlists/by-artist/{did}", get(list::http::by_artist, told::list::by_artist))
        .route("/lists/playlists/by-uri", get(list::http::by_uri, told::list::by_uri))
        .both("/lists/playlists/{id}", get(list::http::one, told::list::one))
        .route("/lists/playlists/{id}/meta", get(list::http::meta, told::list::meta))
        .both("/tracks/me", get(own::mine, told::track::mine))
        .both("/tracks/liked", get(track::http::liked, told::track::liked))
        .route("/tracks/by-uri", get(track::http::by_uri, told::track::by_uri))
        .route("/tracks/top", get(track::http::top, told::track::top))
        .both("/tracks/tags", get(track::http::tags, told::track::tags))
        .route("/tracks/tags/{*tag}", get(track::http::tagged, told::track::tagged))
        .both(
            "/tracks/{id}",
            get(track::http::one, told::track::one).and(delete(own::delete, told::track::delete)),
        )
        .route("/discover/network", get(timeline::network, told::artist::network))
        .both("/search", get(search::http::search, told::search::search))
        .route("/users/{handle}/likes", get(track::http::liked_by, told::track::liked_by))
        .both("/albums", get(album::http::all, told::album::all))
        .both("/albums/{handle}", get(album::http::of_artist, told::album::of_artist))
        .route("/albums/{handle}/{slug}", get(album::http::one, told::album::one))
        .route("/artists/me", get(actor::http::me, told::artist::me))
        .route("/artists/me/analytics", get(actor::http::my_analytics, told::artist::my_analytics))
        .route("/artists/by-handle/{handle}", get(actor::http::by_handle, told::artist::by_handle))
        .route("/artists/{did}", get(actor::http::by_did, told::artist::by_did))
        .route("/artists/{did}/analytics", get(actor::http::analytics_of, told::artist::analytics_of))
        .route("/auth/start", get(auth::start, told::auth::start))
        .route("/auth/callback", get(auth::callback, told::auth::callback))
        .route("/auth/exchange", post(auth::exchange, told::auth::exchange))
        .route("/auth/logout", post(auth::logout, told::auth::logout))
        .route("/auth/me", get(auth::me, told::auth::me))
        .route(
            "/auth/developer-token/start",
            post(auth::start_developer_token, told::auth::start_developer_token),
        )
        .route("/auth/developer-tokens", get(auth::developer_tokens, told::auth::developer_tokens))
        .route(
            "/auth/developer-tokens/{token_prefix}",
            delete(auth::revoke_developer_token, told::auth::revoke_developer_token),
        )
        .both(
            "/now-playing",
            post(now_playing::http::tell, told::now_playing::tell)
                .and(delete(now_playing::http::clear, told::now_playing::clear)),
        )
        .route("/now-playing/{did}", get(now_playing::http::by_did, told::now_playing::of))
        .route("/now-playing/by-did/{did}", get(now_playing::http::by_did, told::now_playing::by_did))
        .route(
            "/now-playing/by-handle/{handle}",
            get(now_playing::http::by_handle, told::now_playing::by_handle),
        )
        .route(
            "/tracks/{id}/like",
            post(like::http::like, told::like::like).and(delete(like::http::unlike, told::like::unlike)),
        )
        .route("/tracks/{id}/likes", get(like::http::likers, told::like::likers))
        .route("/tracks/{id}/play", post(play::play, told::track::play))
        .route(
            "/tracks/{id}/comments",
            get(comment::http::list, told::comment::list_all)
                .and(post(comment::http::create, told::comment::create)),
        )
        .route(
            "/tracks/comments/{id}",
            patch(comment::http::edit, told::comment::edit)
                .and(delete(comment::http::delete, told::comment::delete)),
        )
        .done()
        .method_not_allowed_fallback(api_method_not_allowed)
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(app.clone(), cache::layer))
        .layer(middleware::from_fn_with_state(app.clone(), reception::api))
        .layer(middleware::from_fn(observe::action))
        .layer(SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(middleware::from_fn_with_state(app.clone(), cache::kept))
        .layer(headers::app_cors(&app.options))
}

/// For clients of the older backlink service.
fn links(app: &App, document: &mut Document) -> Router<App> {
    use link::older;
    Routes::new(Family::Anonymous, document)
        .route("/links", get(older::links, told::links::records))
        .route("/links/distinct-dids", get(older::distinct_dids, told::links::distinct_dids))
        .route("/links/count", get(older::count, told::links::count))
        .route(
            "/links/count/distinct-dids",
            get(older::count_distinct_dids, told::links::count_distinct_dids),
        )
        .route("/links/all", get(older::all, told::links::all))
        .route("/links/all/count", get(older::all_count, told::links::all_count))
        .done()
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), reception::anonymous))
        .layer(middleware::from_fn(observe::request))
        .layer(CompressionLayer::new())
        .layer(headers::open_cors())
}

/// For programs that look at pages: link previews, search engines.
fn machines(app: &App, document: &mut Document) -> Router<App> {
    Routes::new(Family::Anonymous, document)
        .both("/oembed", get(oembed::oembed, told::machines::embed))
        .route("/sitemap.xml", get(sitemap::index, told::machines::sitemap))
        .route("/sitemap/{kind}/{page}", get(sitemap::page, told::machines::sitemap_page))
        .route("/sitemap-data", get(sitemap::data, told::machines::sitemap_data))
        .done()
        .method_not_allowed_fallback(api_method_not_allowed)
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(app.clone(), cache::layer))
        .layer(middleware::from_fn_with_state(app.clone(), reception::anonymous))
        .layer(middleware::from_fn(observe::request))
        .layer(middleware::from_fn_with_state(app.clone(), cache::kept))
        .layer(headers::open_cors())
}

/// Who we are: for authorization servers, and for who forwards requests to us.
fn client(document: &mut Document) -> Router<App> {
    Routes::new(Family::Plain, document)
        .route("/oauth-client-metadata.json", get(auth::client_metadata, told::server::client_metadata))
        .route("/.well-known/jwks.json", get(auth::jwks, told::server::jwks))
        .route("/.well-known/did.json", get(service::document, told::server::did))
        .done()
        .method_not_allowed_fallback(api_method_not_allowed)
        .layer(middleware::from_fn(observe::request))
        .layer(headers::open_cors())
}

/// What is not compressed: sound and images are already, events must leave at once.
fn bytes(document: &mut Document) -> Router<App> {
    // Its clients know the HTTP API's refusals.
    let sound = Routes::new(Family::Plain, document)
        .route("/audio/{file_id}", get(audio::audio, told::media::audio))
        .done()
        .method_not_allowed_fallback(api_method_not_allowed);
    Routes::new(Family::Plain, document)
        .route("/media/{cid}", get(media::image, told::media::image))
        .route("/live", get(live::stream, told::media::live))
        .done()
        .method_not_allowed_fallback(method_not_allowed)
        .merge(sound)
        .layer(middleware::from_fn(observe::request))
        .layer(headers::open_cors())
}

/// Uploads. A form is as long as its music, and what reads it limits itself; events must leave at once.
fn uploads(app: &App, document: &mut Document) -> Router<App> {
    let create = post(upload::create, told::upload::create)
        .layered(|router| router.layer(DefaultBodyLimit::disable()));
    let list = get(track::http::list, told::track::list_all).layered(|router| {
        let cached = middleware::from_fn_with_state(app.clone(), cache::layer);
        router.layer(CompressionLayer::new()).layer(cached)
    });
    Routes::new(Family::Api, document)
        .both("/tracks", create.and(list))
        .route("/tracks/uploads/{upload_id}/progress", get(upload::progress, told::upload::progress))
        .done()
        .method_not_allowed_fallback(api_method_not_allowed)
        .layer(middleware::from_fn_with_state(app.clone(), reception::api))
        .layer(middleware::from_fn(observe::action))
        .layer(SetResponseHeaderLayer::if_not_present(CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(middleware::from_fn_with_state(app.clone(), cache::kept))
        .layer(headers::app_cors(&app.options))
}

/// For whoever watches over the process, and for crawlers.
fn watchers(document: &mut Document) -> Router<App> {
    Routes::new(Family::Plain, document)
        .route("/robots.txt", get(health::robots, told::server::robots))
        .both("/health", get(health::ok, told::server::health))
        .route("/health/live", get(health::live, told::server::live))
        .route("/health/ready", get(health::ready, told::server::ready))
        .done()
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(observe::request))
        .layer(CompressionLayer::new())
        .layer(headers::open_cors())
}

/// The description of all these, finished with its own, and the page that is made of it.
fn description(app: &App, mut document: Document) -> Router<App> {
    let routes = Routes::new(Family::Plain, &mut document)
        .route("/openapi.json", get(told::serve, told::document))
        .done()
        .layer(headers::open_cors());
    let published = Published::new(&document.finish(&app.options));
    routes
        .route("/docs", page(told::docs))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(Extension(Arc::new(published)))
        .layer(middleware::from_fn(observe::request))
        .layer(CompressionLayer::new())
}

/// For people and their browsers.
fn pages(app: &App) -> Router<App> {
    Router::new()
        .route("/track/{number}", page(web::called))
        .route("/track/{artist}/{rkey}", page(web::track))
        .route("/playlist/{id}", page(web::called))
        .route("/playlist/{owner}/{rkey}", page(web::playlist))
        .route("/u/{artist}", page(web::artist))
        .route("/u/{artist}/album/{slug}", page(web::album))
        .route("/tag/{*tag}", page(web::tag))
        .route("/embed/track/{id}", page(embed::track))
        .route("/embed/album/{artist}/{slug}", page(embed::album))
        .route("/embed/playlist/{id}", page(embed::numbered_playlist))
        .route("/embed/playlist/{owner}/{rkey}", page(embed::playlist))
        .route("/embed/u/{artist}", page(embed::artist))
        .route_layer(middleware::from_fn_with_state(app.clone(), reception::page))
        .route("/", page(web::index))
        .route("/upload", page(web::index))
        .route("/portal", page(web::index))
        .route("/assets/{*path}", page(web::asset))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(observe::request))
        .layer(CompressionLayer::new())
}

/// Everything else. A web app of another origin may read that there is nothing.
fn nothing(app: &App) -> Router<App> {
    Router::new()
        .fallback(web::other)
        .layer(middleware::from_fn(observe::request))
        .layer(CompressionLayer::new())
        .layer(headers::app_cors(&app.options))
}

async fn method_not_allowed() -> Error {
    Error::method_not_allowed()
}

async fn api_method_not_allowed() -> Detail {
    Detail::new(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::{Body, to_bytes};
    use axum::http::{Request, Response, StatusCode};
    use indexer::Indexer;
    use indexer::apply::Door;
    use indexer::identity::{Identity, IdentityOptions};
    use indexer::net::{Net, NetOptions};
    use indexer::record::Registry;
    use sqlx::PgPool;
    use sqlx::postgres::PgConnectOptions;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;
    use crate::Options;
    use crate::session::{SecretKey, Sessions};
    use crate::store::BlobStore;

    fn sessions(options: &Options, database: PgConnectOptions) -> Sessions {
        let pool = PgPool::connect_lazy_with(database);
        let registry = Registry::new(&options.namespace, options.public_url.clone());
        let net = Net::new(NetOptions::default()).expect("a client");
        let plc = "https://plc.example".parse().expect("a URL");
        let identity = Identity::new(net.clone(), IdentityOptions::new(plc));
        let indexer = Indexer::new(Door::unopened(pool, registry).into(), identity, net);
        Sessions::new(indexer, &options.public_url, &options.namespace, &SecretKey::random())
    }

    /// Asks a server whose database nobody needs to reach.
    async fn ask(method: &str, path: &str, accept: &str) -> (Response<()>, String) {
        ask_with(method, path, &[("accept", accept), ("origin", "https://elsewhere.example")]).await
    }

    async fn ask_with(method: &str, path: &str, headers: &[(&str, &str)]) -> (Response<()>, String) {
        let options = Options::new("https://plyr.example".parse().expect("a URL"));
        let database = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(1);
        let app = App::new(
            options.clone(),
            database.clone(),
            BlobStore::new("/nonexistent"),
            sessions(&options, database),
            CancellationToken::new(),
        );
        let request = Request::builder().method(method).uri(path);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Body::empty());
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
            let path = format!("/xrpc/{nsid}?limit=0&actor=!&did=!&uri=!&uris=!&authorDID=!");
            let (response, body) = ask("GET", &path, "*/*").await;
            let expected = match nsid {
                "fm.plyr.feed.getNothing" => 501,
                // Nothing to get wrong.
                "app.bsky.feed.describeFeedGenerator" => 200,
                // Only of who is signed in.
                "fm.plyr.feed.getTimeline" => 401,
                // Nothing to get wrong; the database is away.
                "fm.plyr.stats.getStats" | "fm.plyr.sync.getStatus" => 503,
                // A procedure.
                "fm.plyr.feed.recordPlay" => 405,
                _ => 400,
            };
            assert_eq!(response.status().as_u16(), expected, "{nsid}: {body}");
        }
    }

    /// A path of the description that leads to something which ends: nothing is called so.
    fn lawful(path: &str) -> String {
        let path = path.replace("{id}", "1").replace("{kind}", "tracks").replace("{page}", "1.xml");
        let plain: String = path
            .split('{')
            .map(|part| part.split_once('}').map_or(part, |(_, rest)| rest))
            .collect::<Vec<_>>()
            .join("x");
        if plain == "/live" { "/live?kinds=nothing".to_owned() } else { plain }
    }

    #[tokio::test]
    async fn what_is_described_is_what_is_served() {
        let (response, text) = ask("GET", "/openapi.json", "*/*").await;
        assert_eq!(
            (response.status(), header(&response, "access-control-allow-origin")),
            (StatusCode::OK, "*")
        );
        let held = header(&response, "etag");
        let (again, _) = ask_with("GET", "/openapi.json", &[("if-none-match", held)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        assert!(paths.len() > 60, "{}", paths.len());
        let mut asked = Vec::new();
        for (path, item) in paths {
            let also = item["x-also"][0].as_str();
            for path in [Some(path.as_str()), also].into_iter().flatten() {
                for method in ["get", "post", "put", "patch", "delete"] {
                    asked.push(async move {
                        let (response, body) = ask(&method.to_uppercase(), &lawful(path), "*/*").await;
                        let (status, told) = (response.status().as_u16(), &item[method]["responses"]);
                        assert_eq!(status == 405, told.is_null(), "{method} {path} answered {status}");
                        let is_told = status == 405 || told[status.to_string()].is_object();
                        assert!(is_told, "{method} {path} answered {status} {body}");
                    });
                }
            }
        }
        // At once: each waits a while for a database that is away.
        futures_util::future::join_all(asked).await;
    }

    #[tokio::test]
    async fn the_description_holds_together() {
        fn each<'a>(value: &'a serde_json::Value, key: &str, found: &mut Vec<&'a serde_json::Value>) {
            let below: Vec<&serde_json::Value> = match value {
                serde_json::Value::Object(map) => map.values().collect(),
                serde_json::Value::Array(list) => list.iter().collect(),
                _ => return,
            };
            found.extend(value.get(key));
            below.into_iter().for_each(|value| each(value, key, found));
        }
        let (_, text) = ask("GET", "/openapi.json", "*/*").await;
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let mut references = Vec::new();
        each(&document, "$ref", &mut references);
        let mut named = BTreeSet::new();
        for reference in references {
            let target = reference.as_str().and_then(|target| target.strip_prefix('#')).expect("within");
            assert!(document.pointer(target).is_some(), "{target}");
            named.insert(target.rsplit('/').next().unwrap_or_default());
        }
        let shapes = document["components"]["schemas"].as_object().expect("shapes").keys();
        let unused: Vec<&String> = shapes.filter(|name| !named.contains(name.as_str())).collect();
        // What events hold, no answer does.
        assert_eq!(unused, ["UploadProgress"]);
        let tags: Vec<&str> = document["tags"]
            .as_array()
            .expect("tags")
            .iter()
            .filter_map(|tag| tag["name"].as_str())
            .collect();
        let mut ids = BTreeSet::new();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in
                item.as_object().expect("an item").iter().filter(|(key, _)| *key != "x-also")
            {
                assert!(
                    ids.insert(operation["operationId"].as_str().expect("an id")),
                    "{method} {path}: twice"
                );
                assert!(tags.contains(&operation["tags"][0].as_str().unwrap_or_default()), "{method} {path}");
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                let told: BTreeSet<&str> =
                    parameters.filter(|it| it["in"] == "path").filter_map(|it| it["name"].as_str()).collect();
                let parts = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
                assert_eq!(told, parts.collect(), "{method} {path}");
            }
        }
    }

    #[tokio::test]
    async fn refusals_have_the_envelope_and_can_be_read_by_any_page() {
        let refused = [
            ("GET", "/xrpc/com.example.nothing", 501, "MethodNotImplemented"),
            ("POST", "/xrpc/com.example.nothing", 501, "MethodNotImplemented"),
            ("GET", "/xrpc/a/b", 501, "MethodNotImplemented"),
            ("GET", "/xrpc/", 501, "MethodNotImplemented"),
            ("POST", "/xrpc/fm.plyr.feed.getLatest", 405, "InvalidRequest"),
            ("GET", "/xrpc/fm.plyr.feed.getLatest?cursor=x", 400, "InvalidRequest"),
            ("GET", "/media/%FF", 404, "NotFound"),
            ("POST", "/media/nothing", 405, "InvalidRequest"),
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
    async fn sound_is_refused_as_the_http_api_refuses() {
        for (method, path, status, text) in [
            ("GET", "/audio/nothing", 404, "audio file not found"),
            ("GET", "/audio/%FF", 404, "audio file not found"),
            ("POST", "/audio/0123456789abcdef", 405, "Method Not Allowed"),
        ] {
            let (response, body) = ask(method, path, "*/*").await;
            assert_eq!(response.status().as_u16(), status, "{method} {path}: {body}");
            assert_eq!(body, format!(r#"{{"detail":"{text}"}}"#), "{method} {path}");
            assert_eq!(header(&response, "access-control-allow-origin"), "*", "{method} {path}");
        }
    }

    #[tokio::test]
    async fn a_bad_token_is_refused_where_anybody_may_ask() {
        let token = |text: &str| format!("Bearer {text}");
        for (text, name) in
            [("a.b.c", "BadJwt"), ("e30.e30.e30", "BadJwt"), ("a.b", "BadJwt"), (".", "BadJwt")]
        {
            let token = token(text);
            let (response, body) =
                ask_with("GET", "/xrpc/fm.plyr.feed.getLatest", &[("authorization", &token)]).await;
            assert_eq!(response.status().as_u16(), 401, "{text}: {body}");
            assert!(body.contains(&format!(r#""error":"{name}""#)), "{text}: {body}");
            assert_eq!(
                header(&response, "www-authenticate"),
                r#"Bearer realm="plyr", error="invalid_token""#
            );
            assert_eq!(header(&response, "access-control-allow-origin"), "*", "{text}");
        }
        // What we do not have, and what answers everybody, asks for nothing.
        let bad = token("a.b.c");
        for (path, status) in [("/xrpc/com.example.nothing", 501), ("/xrpc/_health", 503)] {
            let (response, _) = ask_with("GET", path, &[("authorization", &bad)]).await;
            assert_eq!(response.status().as_u16(), status, "{path}");
        }
        let (response, body) = ask_with("GET", "/auth/me", &[("authorization", &bad)]).await;
        assert_eq!(response.status().as_u16(), 401);
        assert!(body.contains("invalid or expired session"), "{body}");
    }

    #[tokio::test]
    async fn a_page_may_ask_before_it_asks() {
        let wanted = "authorization,atproto-proxy,atproto-accept-labelers,content-type,if-none-match,dpop";
        let headers = [
            ("origin", "https://elsewhere.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", wanted),
        ];
        for path in ["/xrpc/fm.plyr.feed.getLatest", "/xrpc/com.example.nothing", "/.well-known/did.json"] {
            let (response, _) = ask_with("OPTIONS", path, &headers).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(header(&response, "access-control-allow-headers"), wanted, "{path}");
            assert_eq!(header(&response, "access-control-allow-origin"), "*", "{path}");
            assert!(header(&response, "access-control-allow-methods").contains("POST"), "{path}");
        }
    }

    #[tokio::test]
    async fn the_did_document_names_this_server() {
        let (response, body) = ask("GET", "/.well-known/did.json", "*/*").await;
        let body: serde_json::Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!((response.status(), &body["id"]), (StatusCode::OK, &"did:web:plyr.example".into()));
        assert_eq!(body["service"][0]["serviceEndpoint"], "https://plyr.example");
        assert_eq!(header(&response, "cache-control"), "public, max-age=300");
        assert_eq!(header(&response, "access-control-allow-origin"), "*");
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
        for path in ["/upload", "/portal"] {
            let (response, body) = ask("GET", path, "text/html").await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(body, ask("GET", "/", "text/html").await.1, "{path}");
        }

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
    async fn a_foreign_page_can_only_have_a_sign_in_asked_about() {
        let path = "/auth/start?handle=evil.example&return_to=/portal";
        for site in ["cross-site", "same-site"] {
            let headers =
                [("accept", "text/html"), ("sec-fetch-site", site), ("referer", "https://evil.example/")];
            let (response, _) = ask_with("GET", path, &headers).await;
            assert_eq!(response.status(), StatusCode::SEE_OTHER, "{site}");
            assert_eq!(header(&response, "location"), "https://plyr.example/?sign_in=evil.example");
            assert_eq!(header(&response, "set-cookie"), "", "{site}");
        }
        // Ours gets as far as looking for the account, whose host cannot be reached here.
        for site in ["same-origin", "none"] {
            let (response, _) =
                ask_with("GET", path, &[("accept", "text/html"), ("sec-fetch-site", site)]).await;
            assert!(header(&response, "location").contains("/?auth_error="), "{site}: {response:?}");
        }
    }

    #[tokio::test]
    async fn a_foreign_form_signs_nobody_out() {
        let (response, _) = ask_with("POST", "/auth/logout", &[("origin", "https://evil.example")]).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(header(&response, "set-cookie"), "");
        // A cookie of nothing goes.
        let (response, _) = ask_with("POST", "/auth/logout", &[("cookie", "session_id=stale")]).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(header(&response, "set-cookie").starts_with("session_id=;"));
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_said_so() {
        for path in ["/xrpc/_health", "/health/ready", "/xrpc/fm.plyr.feed.getLatest", "/tracks/tags"] {
            let (response, body) = ask("GET", path, "*/*").await;
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}: {body}");
            assert_eq!(header(&response, "retry-after"), "2", "{path}");
            let allowed = if path.starts_with("/tracks") { "https://elsewhere.example" } else { "*" };
            assert_eq!(header(&response, "access-control-allow-origin"), allowed, "{path}");
            assert_eq!(header(&response, "access-control-allow-credentials"), "", "{path}");
            assert!(!body.contains("127.0.0.1"), "{path}: {body}");
        }
    }
}
