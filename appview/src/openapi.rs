//! `/openapi.json`: the HTTP API, described for programs (OpenAPI 3.1); `/docs`: the same for people.
//!
//! Nothing is served that is not described: the router is built of [`routes::Routes`], whose entries carry both the handler and
//! what is said of it, and the document is what the router was built of. Limits and defaults are the handlers' own constants.
//! That answers have the shapes that are described, the tests hold against a running server. XRPC methods are not in it: each has its lexicon.

pub(crate) mod activity;
pub(crate) mod album;
pub(crate) mod artist;
pub(crate) mod auth;
pub(crate) mod comment;
pub(crate) mod like;
pub(crate) mod links;
pub(crate) mod list;
pub(crate) mod machines;
pub(crate) mod media;
pub(crate) mod now_playing;
pub(crate) mod operation;
mod page;
pub(crate) mod routes;
pub(crate) mod schema;
pub(crate) mod search;
pub(crate) mod server;
pub(crate) mod track;
pub(crate) mod upload;

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use self::operation::{Family, Operation, operation};
use self::schema::{Schema, list, object, text, word};
use crate::web::{html, is_held, weak_etag};
use crate::{App, Options};

/// What the operations belong to, in the order of the page.
const TAGS: [(&str, &str); 11] = [
    ("tracks", "What artists published, and what listeners make of it."),
    (
        "albums",
        "What an artist calls by one name: a list of theirs, or what their tracks say they belong to.",
    ),
    ("artists", "People, and their numbers."),
    ("playlists", "Lists of tracks in somebody's repo. All of them are public."),
    ("discovery", "Search, tags, charts, and what happened."),
    ("now playing", "What a player says, and what others are told."),
    ("sign-in", "Sessions, and tokens for programs."),
    ("uploads", "From an artist's hand to their PDS."),
    ("links", "What in the network names a thing of ours, by the paths of the older backlink service."),
    ("bytes", "Sound, images, and events as they happen."),
    ("server", "About this server, for programs that look after it or at its pages."),
];

/// The API as it is described so far.
#[derive(Debug, Default)]
pub(crate) struct Document {
    paths: Map<String, Value>,
}

impl Document {
    fn add(
        &mut self,
        path: &str,
        with_slash: bool,
        family: Family,
        operations: Vec<(&'static str, Operation)>,
    ) {
        let item = self.paths.entry(path.replace("{*", "{")).or_insert_with(|| json!({}));
        if with_slash {
            item["x-also"] = json!([format!("{path}/")]);
        }
        for (method, operation) in operations {
            item[method] = operation.finish(family, method);
        }
    }

    /// The whole document of a server.
    pub(crate) fn finish(self, options: &Options) -> Value {
        let url = options.public_url.as_str().trim_end_matches('/');
        let tags: Vec<Value> =
            TAGS.iter().map(|(name, about)| json!({"name": name, "description": about})).collect();
        let cookie = json!({"type": "apiKey", "in": "cookie", "name": crate::session::COOKIE_NAME,
            "description": "As browsers have it after signing in. What changes something has to come from a page of this server or of \
                            a web app that its operator listed."});
        let bearer = json!({"type": "http", "scheme": "bearer",
            "description": "The token of a session, or a developer token, as a program sends it."});
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "plyr",
                "version": env!("CARGO_PKG_VERSION"),
                "summary": "Music on ATProto.",
                "description": ABOUT,
                "license": {"name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE")},
            },
            "servers": [{"url": url}],
            "externalDocs": {"description": "The same for people, with the XRPC methods", "url": format!("{url}/docs")},
            "tags": tags,
            "paths": self.paths,
            "components": {
                "schemas": components(),
                "securitySchemes": {"cookie": cookie, "bearer": bearer},
            },
        })
    }
}

const ABOUT: &str = "The HTTP API of this server, for web apps, players and programs. Every path that has `x-also` answers with a slash at its end \
    as well. Whatever answers GET answers HEAD. Parameters that are not known here are ignored; a method that a path does not have is refused \
    with 405.\n\nMoments are in UTC, by RFC 3339. Fields that a later version adds are to be ignored.\n\nReads are counted per person, or per \
    address where nobody is signed in: `RateLimit-Limit`, `RateLimit-Remaining`, `RateLimit-Reset` and `RateLimit-Policy` tell of the limit that \
    a request was held against.\n\nThis document does not describe the XRPC methods under `/xrpc/`: each is described by its lexicon. `/docs` \
    lists them; the JSON is in the folder `lexicons/` of the source.";

/// The shapes that have a name.
fn components() -> Map<String, Value> {
    let shapes = envelopes()
        .into_iter()
        .chain(track::shapes())
        .chain(album::shapes())
        .chain(artist::shapes())
        .chain(list::shapes())
        .chain(comment::shapes())
        .chain(like::shapes())
        .chain(activity::shapes())
        .chain(search::shapes())
        .chain(now_playing::shapes())
        .chain(auth::shapes())
        .chain(upload::shapes())
        .chain(links::shapes())
        .chain(server::shapes());
    shapes.map(|(name, schema)| (name.to_owned(), schema.into_value())).collect()
}

/// How requests are refused.
fn envelopes() -> Vec<(&'static str, Schema)> {
    let coded = object(
        "What a program has to tell apart.",
        [("error", text("Which it is.")), ("message", text("For people."))],
    );
    let problem = object(
        "One thing that is wrong.",
        [
            ("type", text("Always `value_error`.")),
            ("loc", list(text(""), "Where: `path`, `query` or `body`, then the field.").at_least(2)),
            ("msg", text("What is wrong.")),
            ("input", schema::unknown("string", "What was given.")),
        ],
    );
    vec![
        ("Refusal", object("A request that failed.", [("detail", text("Why, for people."))])),
        ("CodedRefusal", object("A request that failed in a way that has a name.", [("detail", coded)])),
        (
            "Invalid",
            object(
                "A request that is not lawful.",
                [("detail", list(problem, "What is wrong.").at_least(1))],
            ),
        ),
        ("RateLimited", object("Too many requests.", [("error", text("The limit that was reached."))])),
        (
            "XrpcError",
            object(
                "A request that failed, as XRPC says it.",
                [("error", text("The name of the error.")), ("message", text("For people."))],
            ),
        ),
    ]
}

/// What is said of `/openapi.json`.
pub(crate) fn document() -> Operation {
    let schema = object(
        "An OpenAPI document.",
        [
            ("openapi", word(&["3.1.0"], "The version of OpenAPI.")),
            ("info", schema::anything("What this is.")),
            ("servers", list(schema::anything("This server."), "Where it is.")),
            ("externalDocs", schema::anything("The same for people.")),
            ("tags", list(schema::anything("A noun."), "What operations belong to.")),
            ("paths", schema::anything("All of them.")),
            ("components", schema::anything("The shapes that have a name.")),
        ],
    );
    operation("describe", "server", "This document").answers_cached(schema)
}

/// The document, as it goes out.
#[derive(Debug)]
pub(crate) struct Published {
    json: Bytes,
    etag: String,
    page: String,
}

impl Published {
    /// Of a finished document.
    pub(crate) fn new(document: &Value) -> Self {
        let json = Bytes::from(document.to_string());
        let etag = weak_etag(&Sha256::digest(&json));
        Published { json, etag, page: page::page(document) }
    }
}

/// `/openapi.json`.
pub(crate) async fn serve(Extension(published): Extension<Arc<Published>>, headers: HeaderMap) -> Response {
    let common = [(CACHE_CONTROL, "public, max-age=300"), (ETAG, published.etag.as_str())];
    if is_held(&headers, &published.etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(CONTENT_TYPE, "application/json")], published.json.clone()).into_response()
}

/// `/docs`.
pub(crate) async fn docs(
    State(app): State<App>,
    Extension(published): Extension<Arc<Published>>,
    headers: HeaderMap,
) -> Response {
    html(&app, &headers, StatusCode::OK, published.page.clone())
}
