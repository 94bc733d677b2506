//! Artists: what `actor/http.rs` and `/discover/network` answer.

use super::operation::{Operation, operation};
use super::schema::{Schema, boolean, did, integer, list, named, object, text, time, unknown, url};

const TAG: &str = "artists";

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let artist = object(
        "An artist. Whoever is known is one, with the name they have elsewhere until they say otherwise.",
        [
            ("did", did("Who they are.")),
            ("handle", text("What they are called; `handle.invalid` where that is not known.")),
            ("display_name", text("Their display name, or their handle.")),
            ("bio", text("What they say of themselves.").or_null()),
            ("avatar_url", url("A picture of them.").or_null()),
            ("created_at", time("When their profile was made, or when they were first seen here.")),
            ("updated_at", time("When it changed last.")),
            ("show_liked_on_profile", boolean("Whether their page shows what they like. Always false here.")),
            ("support_url", unknown("string", "Where they can be supported.")),
        ],
    );
    let analytics = object(
        "An artist's numbers.",
        [
            ("total_plays", integer("How often their tracks were heard.")),
            ("total_items", integer("How many tracks they have.")),
            ("top_item", named("TopItem").about("The most heard.").or_null()),
            (
                "top_liked",
                named("TopItem").about("The most liked; `play_count` is how many people like it.").or_null(),
            ),
        ],
    );
    let top = object(
        "A track with a number.",
        [
            ("id", integer("The track's number here.").or_null()),
            ("title", text("What it is called.")),
            ("play_count", integer("The number.")),
        ],
    );
    vec![("Artist", artist), ("Analytics", analytics), ("TopItem", top)]
}

fn missing(operation: Operation) -> Operation {
    operation.answers_cached(named("Artist")).refuses(404, "Nobody is called so here.")
}

/// `GET /artists/{did}`.
pub(crate) fn by_did() -> Operation {
    missing(operation("getArtist", TAG, "One artist").path("did", did("Who it is.")))
}

/// `GET /artists/by-handle/{handle}`.
pub(crate) fn by_handle() -> Operation {
    let operation = operation("getArtistByHandle", TAG, "One artist, by handle");
    missing(operation.path("handle", text("What they are called.").example("alice.example")))
}

/// `GET /artists/me`.
pub(crate) fn me() -> Operation {
    operation("getMyArtist", TAG, "The viewer as an artist")
        .needs_session()
        .answers(named("Artist"))
        .refuses(404, "The viewer's account is hidden.")
}

/// `GET /artists/{did}/analytics`.
pub(crate) fn analytics_of() -> Operation {
    operation("getAnalytics", TAG, "An artist's numbers")
        .about("Noughts for who is unknown.")
        .path("did", did("Who it is; a handle is taken as well."))
        .answers_cached(named("Analytics"))
}

/// `GET /artists/me/analytics`.
pub(crate) fn my_analytics() -> Operation {
    operation("getMyAnalytics", TAG, "The viewer's numbers").needs_session().answers(named("Analytics"))
}

/// `GET /discover/network`.
pub(crate) fn network() -> Operation {
    let artist = object(
        "An artist whom the viewer follows.",
        [
            ("did", did("Who they are.")),
            ("handle", text("What they are called.")),
            ("display_name", text("Their display name, or their handle.")),
            ("avatar_url", url("A picture of them.").or_null()),
            ("track_count", integer("How many tracks they have.")),
        ],
    );
    operation("network", "discovery", "Artists whom the viewer follows on Bluesky")
        .needs_session()
        .answers(list(artist, "Those first whom they have followed longest; at most 200."))
}
