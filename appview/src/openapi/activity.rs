//! What happens: what `activity/http.rs` answers.

use super::operation::{Operation, operation};
use super::schema::{Schema, boolean, day, integer, list, named, object, text, time, url, uuid, word};
use crate::activity::{DAYS, http};

const TAG: &str = "discovery";
const KINDS: [&str; 6] = ["like", "track", "comment", "join", "playlist_create", "album_release"];

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let track = object(
        "The track that something happened to.",
        [
            ("id", integer("Its number here.")),
            ("title", text("What it is called.")),
            ("artist_handle", text("What its artist is called.")),
            ("image_url", url("Its cover.").or_null()),
            ("thumbnail_url", url("The cover, small.").or_null()),
            ("artist_avatar_url", url("A picture of its artist.").or_null()),
        ],
    );
    let collection = object(
        "The list that somebody made.",
        [
            ("type", word(&["album", "playlist"], "Which kind.")),
            ("id", uuid("What the API calls it.").or_null()),
            ("name", text("What it is called.")),
            ("image_url", url("Its cover.").or_null()),
            ("owner_handle", text("What its owner is called, or their DID.")),
            ("slug", text("Of an album: what its address calls it.").or_null()),
        ],
    );
    let event = object(
        "Something that happened.",
        [
            ("type", word(&KINDS, "What.")),
            ("actor", named("Person").about("Who did it.")),
            (
                "track",
                named("ActivityTrack").about("To which track: of likes, tracks and comments.").or_null(),
            ),
            ("comment_text", text("Of a comment: what it says.").or_null()),
            ("collection", named("ActivityCollection").about("Of lists: which.").or_null()),
            ("created_at", time("When, as whoever did it says.")),
        ],
    );
    vec![("ActivityTrack", track), ("ActivityCollection", collection), ("ActivityEvent", event)]
}

/// `GET /activity/`.
pub(crate) fn list_all() -> Operation {
    let page = object(
        "Events of one page.",
        [
            ("events", list(named("ActivityEvent"), "The last first.")),
            ("next_cursor", text("Where the next page begins; null where there is none.").or_null()),
            ("has_more", boolean("Whether there is a next page.")),
        ],
    );
    operation("listActivity", TAG, "What happened here, the last first")
        .query(
            "limit",
            integer("How many; what lies outside of 1 to 100 is taken for its end.").default(http::PAGE),
        )
        .query("cursor", text("`next_cursor` of the page before, or a moment."))
        .knows_viewer()
        .invalid()
        .answers_cached(page)
        .refuses(400, "The cursor is none of ours.")
}

/// `GET /activity/histogram`.
pub(crate) fn histogram() -> Operation {
    let bucket =
        object("A day.", [("date", day("Which, by UTC.")), ("count", integer("How much happened."))]);
    let days = list(bucket, "Today last.");
    operation("activityHistogram", TAG, "How much happened on each of the last days")
        .about("A minute old at most.")
        .query("days", integer("How many.").default(http::WEEK).within(1..=DAYS))
        .invalid()
        .answers_cached(object("Days.", [("buckets", days)]))
}
