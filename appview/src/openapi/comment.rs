//! Comments: what `comment/http.rs` answers.

use super::operation::{Operation, operation};
use super::schema::{Schema, at_uri, boolean, did, integer, list, named, object, text, time, url};
use crate::comment::http;

const TAG: &str = "tracks";

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let comment = object(
        "A comment at a moment of a track.",
        [
            ("id", integer("Its number here.")),
            ("user_did", did("Who wrote it.")),
            ("user_handle", text("What they are called; `handle.invalid` where that is not known.")),
            ("user_display_name", text("Their display name.").or_null()),
            ("user_avatar_url", url("A picture of them.").or_null()),
            ("text", text("What they say.")),
            ("timestamp_ms", integer("The moment of the track, in milliseconds.")),
            ("created_at", time("When it was written, as its author says.")),
            ("updated_at", time("When it was changed.").or_null()),
            ("atproto_uri", at_uri("The record.")),
        ],
    );
    vec![("Comment", comment)]
}

fn words() -> Schema {
    text("What it says, without blanks at its ends; at most 1000 bytes of UTF-8.")
        .at_least(1)
        .at_most(http::TEXT_MAX_CHARS)
}

fn comment_id(operation: Operation) -> Operation {
    operation.path("id", integer("The number of a comment.")).refuses(404, "There is no such comment.")
}

/// `GET /tracks/{id}/comments`.
pub(crate) fn list_all() -> Operation {
    let comments = object(
        "The comments of a track.",
        [
            ("comments", list(named("Comment"), "In the order of the track's moments.")),
            ("count", integer("How many are listed.")),
            ("comments_enabled", boolean("Whether its artist takes comments. Always true here.")),
        ],
    );
    super::track::number_of(operation("listComments", TAG, "The comments of a track"))
        .about("At most 1000; `fm.plyr.feed.getComments` has pages.")
        .answers_cached(comments)
        .refuses(404, "There is no such track.")
}

/// `POST /tracks/{id}/comments`.
pub(crate) fn create() -> Operation {
    let moment = integer("The moment of the track, in milliseconds.").within(0..=http::MOMENT_MAX_MS);
    let body = object("A comment.", [("text", words()), ("timestamp_ms", moment)]);
    super::track::number_of(operation("createComment", TAG, "Comment on a moment of a track"))
        .about("The same words at the same moment are one comment, however often they are sent.")
        .takes(body)
        .publishes()
        .answers(named("Comment"))
        .refuses(404, "There is no such track.")
}

/// `PATCH /tracks/comments/{id}`.
pub(crate) fn edit() -> Operation {
    comment_id(operation("editComment", TAG, "Change a comment of one's own"))
        .takes(object("The change.", [("text", words())]))
        .publishes()
        .answers(named("Comment"))
}

/// `DELETE /tracks/comments/{id}`.
pub(crate) fn delete() -> Operation {
    comment_id(operation("deleteComment", TAG, "Take a comment of one's own back"))
        .publishes()
        .answers(object("It is gone.", [("deleted", boolean("Always true."))]))
}
