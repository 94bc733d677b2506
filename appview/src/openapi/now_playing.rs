//! What plays: what `now_playing/http.rs` answers.

use super::operation::{Operation, operation};
use super::schema::{Schema, boolean, did, integer, named, object, text, url, word};
use crate::now_playing::http;

const TAG: &str = "now playing";

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let playing = object(
        "What somebody hears.",
        [
            ("track_name", text("What it is called.")),
            ("artist_name", text("Whose it is.")),
            ("album_name", text("What it is on.").or_null()),
            ("duration_ms", integer("Its length, in milliseconds; 0 where nobody said.")),
            ("progress_ms", integer("How far it was heard when that was told.")),
            ("is_playing", boolean("Always true: of what does not play nothing is told.")),
            ("track_id", integer("Its number, if it is a track that is shown here.").or_null()),
            ("file_id", text("What `/audio/` calls its sound, if it can be had there.").or_null()),
            ("track_url", text("Its page. Null of a track that cannot be seen any more.").or_null()),
            ("image_url", text("Its cover. Null of a track that cannot be seen any more.").or_null()),
            ("service_base_url", text("The host of this server, by which who gathers plays knows it.")),
        ],
    );
    vec![
        ("NowPlaying", playing),
        ("Done", object("It is done.", [("status", word(&["ok"], "Always the same."))])),
    ]
}

/// `POST /now-playing/`.
pub(crate) fn tell() -> Operation {
    let name = |about: &str| text(about).at_most(http::NAME_MAX_CHARS);
    let moment = |about: &str| integer(about).within(0..=http::TIME_MAX_MS);
    let body = object(
        "What a player says of itself.",
        [
            ("track_id", integer("The number of the track.").or_null().optional()),
            ("file_id", text("Its sound.").pattern("^[0-9a-fA-F]{0,64}$").or_null().optional()),
            ("track_name", name("What it is called.")),
            ("artist_name", name("Whose it is.")),
            ("album_name", name("What it is on.").or_null().optional()),
            ("duration_ms", moment("Its length, in milliseconds.")),
            ("progress_ms", moment("How far it is, in milliseconds.")),
            ("is_playing", boolean("Whether it plays or rests.")),
            (
                "image_url",
                url("Its cover, by http or https.").at_most(http::URL_MAX_BYTES).or_null().optional(),
            ),
        ],
    );
    operation("tellNowPlaying", TAG, "Tell what plays").takes(body).acts().limited().answers(named("Done"))
}

/// `DELETE /now-playing/`.
pub(crate) fn clear() -> Operation {
    operation("clearNowPlaying", TAG, "Tell that nothing plays").acts().limited().answers(named("Done"))
}

fn shown(operation: Operation) -> Operation {
    operation.answers(named("NowPlaying")).answers_empty(204, "Nothing plays, or nobody here is meant.")
}

/// `GET /now-playing/{did}`.
pub(crate) fn of() -> Operation {
    shown(operation("getNowPlaying", TAG, "What somebody hears").path("did", did("Who it is.")))
}

/// `GET /now-playing/by-did/{did}`.
pub(crate) fn by_did() -> Operation {
    shown(operation("getNowPlayingByDid", TAG, "The same").path("did", did("Who it is.")))
}

/// `GET /now-playing/by-handle/{handle}`.
pub(crate) fn by_handle() -> Operation {
    shown(operation("getNowPlayingByHandle", TAG, "What somebody hears, by handle"))
        .path("handle", text("What they are called.").example("alice.example"))
        .refuses(404, "Nobody is called so here.")
}
