//! Bytes: what `audio.rs`, `media.rs` and `live.rs` answer.

use super::operation::{Operation, operation};
use super::schema::{at_uri, did, integer, list, object, text};

const TAG: &str = "bytes";

fn bytes(operation: Operation, kind: &str) -> Operation {
    operation
        .header("Range", text("Which part.").example("bytes=0-1023"))
        .header("If-None-Match", text("The `ETag` of what is at hand."))
        .answers_type(200, "All of it.", kind)
        .answers_type(206, "The part that `Range` asks for.", kind)
        .answers_empty(304, "Still what `If-None-Match` names.")
        .answers_empty(416, "There is no such part.")
}

/// `GET /audio/{file_id}`.
pub(crate) fn audio() -> Operation {
    let id = text("`file_id` of a track.").pattern("^[0-9a-f]{16}$").example("0123456789abcdef");
    bytes(operation("getAudio", TAG, "What a track sounds like").part("file_id", id), "audio/*")
        .leads(
            307,
            "To the host of sound and images, where the operator named one; or to the address that the track gives, where that is all \
             it has.",
        )
        .refuses(404, "There is no such sound, or nobody who can be seen names it.")
}

/// `GET /media/{cid}`.
pub(crate) fn image() -> Operation {
    bytes(
        operation("getImage", TAG, "A cover or an avatar").part("cid", text("The CID of the picture.")),
        "image/*",
    )
    .leads(307, "To the host of sound and images, where the operator named one.")
    .fails(404, "There is no such picture, or nobody who can be seen names it.")
}

/// `GET /live`.
pub(crate) fn live() -> Operation {
    operation("live", TAG, "What moves, as events")
        .about(
            "Server-sent events. Without parameters: `changed`, with the names of tracks that show something else now, and `reset`, when \
             everything is to be asked for anew. With any: what happens, one by one, each event named by its kind. A `status` tells what \
             somebody hears now (`nowPlaying`, null for nothing); it holds until `expiresAt`, unless another comes before. `reset` says that \
             something may have been missed.",
        )
        .query("kinds", text("Only these, with commas between them: like, comment, play, status, track."))
        .query("actor", did("Only what they do."))
        .query("track", at_uri("Only what happens to it."))
        .header("Last-Event-ID", integer("The number of the last event that was heard: what was missed in the last hour is told."))
        .answers_type(200, "Events.", "text/event-stream")
        .fails(400, "A parameter is not lawful: `message` names it.")
}

/// `GET /moderation/sensitive-images`.
pub(crate) fn sensitive() -> Operation {
    let none = object(
        "Pictures.",
        [
            ("image_ids", list(text("An id."), "Always empty here.")),
            ("urls", list(text("An address."), "Always empty here.")),
        ],
    );
    operation("sensitiveImages", "server", "Pictures that are shown to nobody who did not ask for such")
        .about("None is known to be one: nobody judges pictures here yet.")
        .answers(none)
}
