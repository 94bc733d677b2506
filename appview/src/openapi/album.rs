//! Albums: what `album/http.rs` answers.

use super::operation::{Operation, operation};
use super::schema::{Schema, at_uri, did, extended, integer, list, named, object, text, unknown, url, uuid};

const TAG: &str = "albums";

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let of_all = extended(
        summary("An album, in the list of all."),
        "An album, in the list of all.",
        [("artist", text("Its artist's display name, or their handle.")), ("artist_handle", handle())],
    );
    let metadata = extended(
        summary(""),
        "All of an album but its tracks.",
        [
            ("artist", text("Its artist's display name, or their handle.")),
            ("artist_handle", handle()),
            ("artist_did", did("Who its artist is.")),
            ("description", unknown("string", "What its artist says of it.")),
            ("list_uri", at_uri("The list that it is. Null where only tracks speak of it.").or_null()),
        ],
    );
    vec![
        ("AlbumSummary", summary("An album, in short.")),
        ("AlbumOfAll", of_all),
        ("AlbumMetadata", metadata),
        (
            "Album",
            object(
                "An album with its tracks.",
                [
                    ("metadata", named("AlbumMetadata").about("All but its tracks.")),
                    (
                        "tracks",
                        list(named("Track"), "In its order, at most 500; `fm.plyr.list.getAlbum` has pages."),
                    ),
                ],
            ),
        ),
    ]
}

fn handle() -> Schema {
    text("What its artist is called, or their DID.")
}

fn summary(about: &str) -> Schema {
    object(
        about,
        [
            ("id", uuid("What the API calls it.")),
            ("title", text("What it is called.")),
            ("slug", text("What its address calls it.")),
            ("track_count", integer("How many tracks of it can be seen.")),
            ("total_plays", integer("How often those were heard.")),
            ("image_url", url("The cover of its first track that has one.").or_null()),
        ],
    )
}

/// `GET /albums/`.
pub(crate) fn all() -> Operation {
    let albums = list(named("AlbumOfAll"), "By title.");
    operation("listAlbums", TAG, "Albums that have a track to show, by title")
        .about("At most 500, those that were named last.")
        .answers_cached(object("Albums.", [("albums", albums)]))
}

/// `GET /albums/{handle}`.
pub(crate) fn of_artist() -> Operation {
    let albums = list(named("AlbumSummary"), "The newest first.");
    operation("listAlbumsOfArtist", TAG, "An artist's albums, newest first")
        .about("At most 200.")
        .path("handle", text("A handle or a DID."))
        .answers_cached(object("Albums.", [("albums", albums)]))
        .refuses(404, "Nobody is called so here.")
}

/// `GET /albums/{handle}/{slug}`.
pub(crate) fn one() -> Operation {
    operation("getAlbum", TAG, "One album with its tracks")
        .path("handle", text("A handle or a DID."))
        .path("slug", text("What its address calls it, or ever called it."))
        .knows_viewer()
        .answers_cached(named("Album"))
        .refuses(404, "There is no such album, or it cannot be seen.")
}
