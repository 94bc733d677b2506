//! Tracks: what `track/http.rs`, `own.rs` and `play.rs` answer.

use super::operation::{Operation, operation};
use super::schema::{
    Schema, anything, at_uri, boolean, did, integer, list, named, object, text, time, unknown, url, uuid,
    word,
};
use crate::{own, track::http};

const TAG: &str = "tracks";

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    vec![
        ("Track", track()),
        ("TrackAlbum", album()),
        ("Person", person()),
        ("TrackPage", page()),
        ("Tracks", object("Tracks, all at once.", [("tracks", list(named("Track"), "In order."))])),
        ("Tag", tag()),
    ]
}

fn track() -> Schema {
    let base = object(
        "A track. What this server does not know yet is null, false or empty.",
        [
            ("id", integer("Its number here.").example(42)),
            ("title", text("What it is called.")),
            ("artist", text("The display name of its artist, or their handle.")),
            ("artist_did", did("Who its artist is.")),
            ("artist_handle", text("What its artist is called; `handle.invalid` where that is not known.")),
            ("artist_avatar_url", url("A picture of its artist.").or_null()),
            (
                "file_id",
                text(
                    "What `/audio/` calls its sound, 16 hex digits: of the SHA-256 of its bytes, or made of its address where it has \
                     only that. Empty where it is not to be heard.",
                ),
            ),
            ("file_type", text("The extension of its file, without a dot.").example("mp3")),
            ("features", list(named("Person"), "Who else takes part.")),
            ("r2_url", url("Where it can be heard. Null while its bytes are not here.").or_null()),
            ("atproto_record_uri", at_uri("The record.")),
            ("atproto_record_cid", text("The version of the record.")),
            ("atproto_record_url", url("Where the record can be read, at its artist's PDS.").or_null()),
            ("play_count", integer("How often it was heard.")),
            ("created_at", time("When it was published, as its artist says.")),
            ("image_url", url("Its cover: our copy, or else the address that its record gives.").or_null()),
            ("thumbnail_url", url("The cover, small.").or_null()),
            ("is_liked", boolean("Whether the viewer likes it. False for who is not signed in.")),
            ("like_count", integer("How many people like it, here or elsewhere.")),
            ("comment_count", integer("How many comments it has.")),
            ("album", named("TrackAlbum").about("What it is on.").or_null()),
            ("tags", list(text("A tag."), "What it is tagged with.")),
            ("description", text("What its artist says of it.").or_null()),
            ("duration", integer("Its length in seconds, as its record says.").or_null()),
            ("support_gate", anything("The condition under which it may be heard.").or_null()),
            (
                "audio_storage",
                word(
                    &["r2", "pds", "both"],
                    "Whether its sound is held by us alone, at the artist's PDS, or at both.",
                ),
            ),
            ("pds_blob_cid", text("The blob at the artist's PDS.").or_null()),
        ],
    );
    with_unknown(base)
}

/// What clients read and nothing here says yet.
fn with_unknown(base: Schema) -> Schema {
    let about = "A track. What this server does not know yet is null, false or empty.";
    let labels = |whose: &str| list(text("The value of a label."), whose);
    super::schema::extended(
        base,
        about,
        [
            ("copyright_flagged", unknown("boolean", "Whether somebody else's work was recognised in it.")),
            ("copyright_match", unknown("string", "Whose.")),
            ("copyright_song_uri", unknown("string", "A record of rights in the song.")),
            ("copyright_recording_uri", unknown("string", "A record of rights in the recording.")),
            ("gated", boolean("Whether the viewer may not hear it. Always false here.")),
            ("downloadable", boolean("Whether it may be downloaded. Always false here.")),
            ("download_policy", unknown("string", "Who may.")),
            ("artist_support_url", unknown("string", "Where its artist can be supported.")),
            ("original_file_id", unknown("string", "The file it was made from.")),
            ("original_file_type", unknown("string", "The extension of that file.")),
            ("is_optimizing", boolean("Whether a smaller file of it is being made. Always false here.")),
            ("visibility", word(&["public"], "Who can see it. Every track is public here.")),
            ("unlisted", boolean("Whether feeds leave it out. Always false here.")),
            ("self_labels", labels("What its artist says of its content.")),
            ("operator_labels", labels("What this server's operator says. Always empty here.")),
            ("labels", labels("Both.")),
        ],
    )
}

fn album() -> Schema {
    object(
        "The album that a track is on.",
        [
            ("id", uuid("What the API calls it.")),
            ("title", text("What it is called.")),
            ("slug", text("What its address calls it.")),
            ("image_url", url("The cover of its first track that has one.").or_null()),
            ("thumbnail_url", unknown("string", "The cover, small.")),
        ],
    )
}

fn person() -> Schema {
    object(
        "Somebody, in short.",
        [
            ("did", did("Who they are.")),
            ("handle", text("What they are called; `handle.invalid` where that is not known.")),
            ("display_name", text("Their display name, or their handle.")),
            ("avatar_url", url("A picture of them.").or_null()),
        ],
    )
}

fn page() -> Schema {
    object(
        "Tracks of one page.",
        [
            ("tracks", list(named("Track"), "In order.")),
            ("next_cursor", text("Where the next page begins; null where there is none.").or_null()),
            ("has_more", boolean("Whether there is a next page.")),
        ],
    )
}

fn tag() -> Schema {
    object(
        "A tag.",
        [
            ("name", text("The tag itself.")),
            ("track_count", integer("How many tracks have it.")),
            ("total_plays", integer("How often those were heard.")),
        ],
    )
}

/// The number of a track in a path.
pub(super) fn number_of(operation: Operation) -> Operation {
    operation.path("id", integer("The number of a track.").example(42))
}

/// `GET /tracks/`.
pub(crate) fn list_all() -> Operation {
    operation("listTracks", TAG, "Tracks, newest first")
        .about("Tracks with the tag `ai` are left out, unless `filter_hidden_tags` says otherwise; an artist's own list has all of theirs.")
        .query("limit", integer("How many; what lies outside of 1 to 100 is taken for its end.").default(http::PAGE))
        .query("cursor", text("`next_cursor` of the page before, or a moment."))
        .query("artist_did", did("Only those of one artist. Nobody has none."))
        .query("filter_hidden_tags", boolean("Whether hidden tags are left out."))
        .query("tags", list(text("A tag."), "Only those that have one of these.").at_most(http::WANTED_MAX))
        .knows_viewer()
        .invalid()
        .answers_cached(named("TrackPage"))
        .refuses(400, "The cursor is none of ours.")
}

/// `GET /tracks/{id}`.
pub(crate) fn one() -> Operation {
    number_of(operation("getTrack", TAG, "One track"))
        .knows_viewer()
        .answers_cached(named("Track"))
        .refuses(404, "There is no such track, or it cannot be seen.")
}

/// `GET /tracks/by-uri`.
pub(crate) fn by_uri() -> Operation {
    operation("getTrackByUri", TAG, "One track, by the name of its record")
        .asked("uri", at_uri("The record; the address of its page will do."))
        .knows_viewer()
        .invalid()
        .answers_cached(named("Track"))
        .refuses(404, "There is no such track, or it cannot be seen.")
}

/// `GET /tracks/top`.
pub(crate) fn top() -> Operation {
    operation("topTracks", "discovery", "Tracks by how many people began to like them")
        .query(
            "period",
            word(&["all_time", "all", "month", "week", "day"], "Since when.").default("all_time"),
        )
        .query("limit", integer("How many.").default(http::TOP).within(1..=http::TOP_MAX))
        .knows_viewer()
        .invalid()
        .answers_cached(list(named("Track"), "The most liked first."))
}

/// `GET /tracks/tags`.
pub(crate) fn tags() -> Operation {
    operation("listTags", "discovery", "Tags, the most used first")
        .query("q", text("How they begin.").default(""))
        .query("limit", integer("How many.").default(http::TAGS).within(1..=http::TAGS_MAX))
        .invalid()
        .answers_cached(list(named("Tag"), "The most used first."))
}

/// `GET /tracks/tags/{tag}`.
pub(crate) fn tagged() -> Operation {
    let tag = object(
        "The tag.",
        [
            ("name", text("As records hold it.")),
            ("track_count", integer("How many tracks have it.")),
            ("created_by_handle", unknown("string", "Who used it first.")),
        ],
    );
    let tracks = list(named("Track"), "The newest first.").at_most(http::LISTED_MAX as usize);
    operation("getTag", "discovery", "The tracks with a tag, newest first")
        .about("At most 500; `fm.plyr.feed.getTagTracks` has pages.")
        .path("tag", text("The tag, slashes and all."))
        .knows_viewer()
        .answers_cached(object("A tag and its tracks.", [("tag", tag), ("tracks", tracks)]))
        .refuses(404, "No track has it.")
}

/// `GET /tracks/liked`.
pub(crate) fn liked() -> Operation {
    operation("likedTracks", TAG, "What the viewer likes here, the last first")
        .about("At most 500; `fm.plyr.feed.getActorLikes` has pages.")
        .needs_session()
        .answers(named("Tracks"))
}

/// `GET /users/{handle}/likes`.
pub(crate) fn liked_by() -> Operation {
    let likes = object(
        "What somebody likes.",
        [
            ("user", named("Person").about("Who it is.")),
            ("tracks", list(named("Track"), "The last liked first.")),
            ("count", integer("How many are listed.")),
        ],
    );
    operation("userLikes", TAG, "What somebody likes, wherever they say so")
        .about("At most 500; `fm.plyr.feed.getActorLikes` has pages.")
        .path("handle", text("A handle or a DID."))
        .knows_viewer()
        .answers_cached(likes)
        .refuses(404, "Nobody is called so here.")
}

/// `GET /tracks/me`.
pub(crate) fn mine() -> Operation {
    let page = object(
        "Tracks of the viewer's own.",
        [
            ("tracks", list(named("Track"), "In the order asked for.")),
            ("total", integer("How many there are in all.")),
            ("has_more", boolean("Whether there are more.")),
            ("pds_savable_count", integer("How many have no blob at the PDS.")),
        ],
    );
    operation("myTracks", TAG, "The viewer's own tracks")
        .query("limit", integer("How many.").default(own::PAGE).within(1..=own::PAGE_MAX))
        .query("offset", integer("How many to pass over.").default(0).within(0..=i64::from(i32::MAX)))
        .query("q", text("What titles contain.").default(""))
        .query("sort", word(&["recent", "title", "plays"], "In which order.").default("recent"))
        .needs_session()
        .invalid()
        .answers(page)
}

/// `DELETE /tracks/{id}`.
pub(crate) fn delete() -> Operation {
    let done = object("It is gone.", [("message", text("Always the same."))]);
    number_of(operation("deleteTrack", TAG, "Take a track of one's own back"))
        .about("Its record is deleted at the artist's PDS, and with it all that came of it here.")
        .publishes()
        .answers(done)
        .refuses(404, "There is no such track.")
}

/// `POST /tracks/{id}/play`.
pub(crate) fn play() -> Operation {
    let told =
        object("How often it was heard.", [("play_count", integer("This time included, if it counts."))]);
    number_of(operation("countPlay", TAG, "Tell that a track was heard"))
        .about("Once within the length of the track counts. Whoever is not signed in is given a random cookie, `plyr_play_id`.")
        .knows_viewer()
        .limited()
        .answers(told)
        .refuses(404, "There is no such track.")
}
