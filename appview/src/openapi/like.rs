//! Likes: what `like/http.rs` answers.

use super::operation::{Operation, operation};
use super::schema::{Schema, at_uri, boolean, did, integer, list, named, object, text, time, url};

const TAG: &str = "tracks";

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let liked = object(
        "How things stand: by the last intention, which may be a later one than this.",
        [
            ("liked", boolean("Whether the viewer likes it.")),
            ("atproto_uri", at_uri("The record that says so.").optional()),
        ],
    );
    let liker = object(
        "Somebody who likes a track.",
        [
            ("did", did("Who they are.")),
            ("handle", text("What they are called; `handle.invalid` where that is not known.")),
            ("display_name", text("Their display name.").or_null()),
            ("avatar_url", url("A picture of them.").or_null()),
            ("liked_at", time("Since when, as they say.")),
        ],
    );
    vec![("Liked", liked), ("Liker", liker)]
}

/// `POST /tracks/{id}/like`.
pub(crate) fn like() -> Operation {
    super::track::number_of(operation("likeTrack", TAG, "Like a track"))
        .publishes()
        .answers(named("Liked"))
        .refuses(404, "There is no such track.")
}

/// `DELETE /tracks/{id}/like`.
pub(crate) fn unlike() -> Operation {
    super::track::number_of(operation("unlikeTrack", TAG, "Like a track no more"))
        .about("True of who never liked it as well.")
        .publishes()
        .answers(named("Liked"))
        .refuses(404, "There never was such a track.")
}

/// `GET /tracks/{id}/likes`.
pub(crate) fn likers() -> Operation {
    let likers = object(
        "Who likes a track here.",
        [
            ("users", list(named("Liker"), "The newest first; at most 500.")),
            ("count", integer("How many like it here.")),
        ],
    );
    super::track::number_of(operation("listLikers", TAG, "Who likes a track, newest first"))
        .about("`fm.plyr.feed.getLikes` has pages.")
        .answers_cached(likers)
        .refuses(404, "There is no such track.")
}
