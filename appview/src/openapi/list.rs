//! Playlists: what `list/http.rs` answers.

use super::operation::{Operation, operation};
use super::schema::{
    Schema, at_uri, boolean, did, extended, integer, list, named, object, text, time, url, uuid, word,
};

const TAG: &str = "playlists";

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let tracks = list(named("Track"), "In its order, at most 500; `fm.plyr.list.getList` has pages.");
    let about = "A playlist with its tracks.";
    vec![("Playlist", playlist()), ("PlaylistWithTracks", extended(playlist(), about, [("tracks", tracks)]))]
}

fn playlist() -> Schema {
    object(
        "A playlist.",
        [
            ("id", uuid("What the API calls it.")),
            ("name", text("What it is called.")),
            ("owner_did", did("Whose it is.")),
            ("owner_handle", text("What they are called, or their DID.")),
            ("track_count", integer("Items of the record, whether they can be seen or not.")),
            ("image_url", url("The cover of its first track that has one.").or_null()),
            ("show_on_profile", boolean("Whether its owner's page shows it. Always true here.")),
            ("atproto_record_uri", at_uri("The record.")),
            ("is_private", boolean("Whether only its owner sees it. Always false here.")),
            ("created_at", time("When it was made, as its owner says.")),
            (
                "preview_thumbnails",
                list(url("A cover."), "Covers of its first tracks, each once.").at_most(4),
            ),
        ],
    )
}

fn id(operation: Operation) -> Operation {
    operation
        .path("id", text("What the API calls it, or another server did."))
        .refuses(404, "There is no such playlist.")
}

/// `GET /lists/playlists`.
pub(crate) fn own() -> Operation {
    operation("myPlaylists", TAG, "The viewer's own playlists, newest first")
        .about("At most 200; `fm.plyr.list.getLists` has pages.")
        .needs_session()
        .answers(list(named("Playlist"), "The newest first."))
}

/// `GET /lists/playlists/by-artist/{did}`.
pub(crate) fn by_artist() -> Operation {
    operation("listPlaylistsOfArtist", TAG, "Somebody's playlists, newest first")
        .about("At most 200; none for who is unknown.")
        .path("did", did("Whose; a handle is taken as well."))
        .answers_cached(list(named("Playlist"), "The newest first."))
}

/// `GET /lists/playlists/{id}`.
pub(crate) fn one() -> Operation {
    id(operation("getPlaylist", TAG, "One playlist with its tracks"))
        .knows_viewer()
        .answers_cached(named("PlaylistWithTracks"))
}

/// `GET /lists/playlists/{id}/meta`.
pub(crate) fn meta() -> Operation {
    id(operation("getPlaylistMeta", TAG, "One playlist without its tracks")).answers_cached(named("Playlist"))
}

/// `GET /lists/playlists/by-uri`.
pub(crate) fn by_uri() -> Operation {
    operation("getPlaylistByUri", TAG, "One playlist with its tracks, by the name of its record")
        .asked("uri", at_uri("The record; the address of its page will do."))
        .knows_viewer()
        .invalid()
        .answers_cached(named("PlaylistWithTracks"))
        .refuses(404, "There is no such playlist.")
}

/// `GET /lists/by-uri`.
pub(crate) fn resolve() -> Operation {
    let found = object(
        "What a list is.",
        [
            ("type", word(&["album", "playlist"], "Which kind.")),
            ("id", uuid("What the API calls it.")),
            ("handle", text("Of an album: what its artist is called, or their DID.").or_null()),
            ("slug", text("Of an album: what its address calls it.").or_null()),
        ],
    );
    operation("resolveList", TAG, "Whether a list is an album or a playlist, and what its page is called")
        .asked("uri", at_uri("The record; the address of its page will do."))
        .invalid()
        .answers_cached(found)
        .refuses(404, "There is no such list.")
}
