//! About this server: what `stats.rs`, `health.rs`, `service.rs` and the client's documents answer.

use super::operation::{Operation, operation};
use super::schema::{Schema, anything, integer, list, object, text, url, word};

const TAG: &str = "server";

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let stats = object(
        "How much there is. What hidden people have made counts nowhere.",
        [
            ("total_plays", integer("How often tracks were heard.")),
            ("total_tracks", integer("How many there are.")),
            ("total_artists", integer("People who published one.")),
            ("total_duration_seconds", integer("Of all tracks, as they say.")),
        ],
    );
    vec![("Stats", stats)]
}

/// `GET /stats`.
pub(crate) fn stats() -> Operation {
    operation("getStats", TAG, "How much there is of everything")
        .about("A minute old at most.")
        .answers_cached(super::schema::named("Stats"))
}

fn status(word_: &'static str) -> Schema {
    object("How it stands.", [("status", word(&[word_], "Always the same."))])
}

/// `GET /health`.
pub(crate) fn health() -> Operation {
    operation("health", TAG, "Whether this process takes requests").answers(status("ok"))
}

/// `GET /health/live`.
pub(crate) fn live() -> Operation {
    operation("healthLive", TAG, "The same, for who watches over it").answers(status("live"))
}

/// `GET /health/ready`.
pub(crate) fn ready() -> Operation {
    operation("healthReady", TAG, "Whether the database answers and is as new as this process")
        .answers(status("ready"))
        .fails(503, "It does not, or is not.")
}

/// `GET /robots.txt`.
pub(crate) fn robots() -> Operation {
    operation("robots", TAG, "What crawlers may look at").answers_type(
        200,
        "As robots.txt says it.",
        "text/plain",
    )
}

/// `GET /oauth-client-metadata.json`.
pub(crate) fn client_metadata() -> Operation {
    let texts = |about: &str| list(text("One of them."), about);
    let metadata = object(
        "A client of OAuth, as ATProto has it.",
        [
            ("client_id", url("This document.")),
            ("client_name", text("What people are shown.")),
            ("client_uri", url("This server.")),
            ("application_type", text("What kind of client it is.")),
            ("grant_types", texts("What it asks for.")),
            ("response_types", texts("How it is answered.")),
            ("redirect_uris", texts("Where people come back to.")),
            ("scope", text("All that is ever asked for.")),
            ("dpop_bound_access_tokens", super::schema::boolean("Always true.")),
            ("token_endpoint_auth_method", text("How it proves itself.")),
            ("token_endpoint_auth_signing_alg", text("By which signature.")),
            ("jwks_uri", url("Its public keys.")),
        ],
    );
    operation("clientMetadata", TAG, "Who this server is to authorization servers")
        .answers(metadata)
        .refuses(404, "It is a public client: its public URL is not on https.")
}

/// `GET /.well-known/jwks.json`.
pub(crate) fn jwks() -> Operation {
    let keys = list(anything("A key."), "Public keys.");
    operation("jwks", TAG, "The keys by which this server proves who it is")
        .answers(object("Keys.", [("keys", keys)]))
}

/// `GET /.well-known/did.json`.
pub(crate) fn did() -> Operation {
    let service = object(
        "An entry.",
        [("id", text("Its name.")), ("type", text("What it is.")), ("serviceEndpoint", url("Where it is."))],
    );
    let document = object(
        "A DID document.",
        [
            ("@context", list(url("A context."), "How it is to be read.")),
            ("id", super::schema::did("The DID of this server.")),
            ("service", list(service, "What it offers: `#plyr_appview` is what requests are forwarded by.")),
        ],
    );
    operation("didDocument", TAG, "Who this server is to other services")
        .answers(document)
        .fails(404, "Its public URL is not on https.")
}
