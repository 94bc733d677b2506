//! Uploads: what `upload.rs` answers.

use super::operation::{Operation, operation};
use super::schema::{Schema, at_uri, boolean, file, integer, list, number, object, text, time, word};

const TAG: &str = "uploads";

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let progress = object(
        "How far an upload has come: the data of one event.",
        [
            ("upload_id", text("Which.")),
            ("status", word(&["pending", "processing", "completed", "failed"], "How it stands.")),
            ("message", text("For people.")),
            ("error", text("Why it failed.").or_null()),
            ("phase", text("What is being done.").or_null()),
            ("server_progress_pct", number("From 0 to 100.")),
            ("created_at", time("When it began.").optional()),
            ("completed_at", time("When it ended.").or_null().optional()),
            ("warnings", list(text("A warning."), "What went less than well.").optional()),
            ("pds_blob_failed", boolean("Whether the PDS did not take the sound.").optional()),
            ("track_id", integer("The number of the track, when it is done.").or_null().optional()),
            ("atproto_uri", at_uri("The record, when it is done.").optional()),
            ("atproto_cid", text("Its version.").or_null().optional()),
        ],
    );
    vec![("UploadProgress", progress)]
}

/// `POST /tracks/`.
pub(crate) fn create() -> Operation {
    let many = "A JSON array of them, or several with commas between them; the field may be repeated.";
    let form = object(
        "A form. Fields that are not known here are passed over.",
        [
            ("title", text("What it is called; at most 256 bytes of UTF-8.").at_least(1)),
            ("file", file("The sound. `/config` says how large it may be.")),
            ("album", text("What it is on; at most 256 bytes of UTF-8.").optional()),
            ("description", text("What there is to say of it; at most 5000 bytes of UTF-8.").optional()),
            ("tags", text(&format!("Tags: {many} At most 10 of 50 characters.")).optional()),
            (
                "features",
                text(&format!("Handles or DIDs of who else takes part: {many} At most 10 are taken."))
                    .optional(),
            ),
            ("visibility", word(&["", "public"], "Every track is public here.").optional()),
            (
                "image",
                file("The cover: JPEG, PNG, WebP or GIF. `/config` says how large it may be.").optional(),
            ),
        ],
    );
    let accepted = object(
        "It will be worked on.",
        [
            ("upload_id", text("By which to follow it.")),
            ("status", word(&["pending"], "How it stands.")),
            ("message", text("For people.")),
            ("atproto_uri", at_uri("The record that it becomes.")),
        ],
    );
    operation("uploadTrack", TAG, "Publish a track")
        .about("Answers when the bytes are here; `/tracks/uploads/{upload_id}/progress` tells what comes of them.")
        .takes_form(form)
        .acts()
        .limited()
        .answers(accepted)
        .refuses(400, "The form, or a file in it, is not what it should be.")
        .refuses(408, "The form did not come in time.")
        .refuses(413, "A file, or all of it, is too large.")
}

/// `GET /tracks/uploads/{upload_id}/progress`.
pub(crate) fn progress() -> Operation {
    operation("uploadProgress", TAG, "How far an upload has come, as events")
        .about("Server-sent events without names: the data of each is an `UploadProgress`. Ends when the upload has. Whoever knows the id may ask.")
        .part("upload_id", text("From the answer to the upload."))
        .answers_type(200, "Events.", "text/event-stream")
}

/// `GET /config`.
pub(crate) fn config() -> Operation {
    let address = |whose: &str| text(&format!("Whom to write to {whose}. Empty here."));
    let config = object(
        "What a page should know.",
        [
            ("max_upload_size_mb", integer("The largest sound, in MiB.")),
            ("max_image_size_mb", integer("The largest picture, in MiB.")),
            ("default_hidden_tags", list(text("A tag."), "What feeds leave out unless asked otherwise.")),
            ("browser_observability", boolean("Whether browsers report. Always false here.")),
            ("bufo_exclude_patterns", list(text("A pattern."), "Always empty here.")),
            ("bufo_include_patterns", list(text("A pattern."), "Always empty here.")),
            ("contact_email", address("about anything")),
            ("privacy_email", address("about privacy")),
            ("dmca_email", address("about rights")),
            ("dmca_registration_number", text("The number of that address. Empty here.")),
            ("terms_last_updated", text("When the terms changed last. Empty here.")),
        ],
    );
    operation("getConfig", "server", "What a page should know before it offers to upload")
        .answers_cached(config)
}
