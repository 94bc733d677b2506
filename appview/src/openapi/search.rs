//! Search: what `search/http.rs` answers.

use super::operation::{Operation, operation};
use super::schema::{Schema, any_of, did, integer, list, named, number, object, text, url, uuid, word};
use crate::search::http;

/// The shapes that have a name.
pub(super) fn shapes() -> Vec<(&'static str, Schema)> {
    let kind = |name: &str| word(&[name], "Which kind.");
    let relevance = || number("How well it fits: 1 is what is called exactly so.");
    let artist = || ("artist_handle", text("What its artist is called."));
    let name = || ("artist_display_name", text("Its artist's display name, or their handle."));
    let cover = || ("image_url", url("Its cover.").or_null());
    let track = object(
        "A track that was found.",
        [
            ("type", kind("track")),
            ("id", integer("Its number here.")),
            ("title", text("What it is called.")),
            artist(),
            name(),
            cover(),
            ("relevance", relevance()),
        ],
    );
    let person = object(
        "An artist who was found.",
        [
            ("type", kind("artist")),
            ("did", did("Who they are.")),
            ("handle", text("What they are called.")),
            ("display_name", text("Their display name, or their handle.")),
            ("avatar_url", url("A picture of them.").or_null()),
            ("relevance", relevance()),
        ],
    );
    let album = object(
        "An album that was found.",
        [
            ("type", kind("album")),
            ("id", uuid("What the API calls it.")),
            ("title", text("What it is called.")),
            ("slug", text("What its address calls it.")),
            artist(),
            name(),
            cover(),
            ("relevance", relevance()),
        ],
    );
    let playlist = object(
        "A playlist that was found.",
        [
            ("type", kind("playlist")),
            ("id", uuid("What the API calls it.")),
            ("name", text("What it is called; words of ours where its owner gave it no name.")),
            ("owner_handle", text("What its owner is called.")),
            ("owner_display_name", text("Their display name, or their handle.")),
            cover(),
            ("track_count", integer("Items of the record.")),
            ("relevance", relevance()),
        ],
    );
    let tag = object(
        "A tag that was found.",
        [
            ("type", kind("tag")),
            ("id", integer("A number made of its name.")),
            ("name", text("The tag itself.")),
            ("track_count", integer("How many tracks have it.")),
            ("relevance", relevance()),
        ],
    );
    let result = any_of(["FoundTrack", "FoundArtist", "FoundAlbum", "FoundPlaylist", "FoundTag"].map(named));
    vec![
        ("FoundTrack", track),
        ("FoundArtist", person),
        ("FoundAlbum", album),
        ("FoundPlaylist", playlist),
        ("FoundTag", tag),
        ("SearchResult", result.about("Something that was found: `type` says what.")),
    ]
}

/// `GET /search/`.
pub(crate) fn search() -> Operation {
    let count = |what: &str| integer(&format!("How many {what} are in the answer."));
    let counts = object(
        "What is in the answer.",
        [
            ("tracks", count("tracks")),
            ("artists", count("artists")),
            ("albums", count("albums")),
            ("playlists", count("playlists")),
            ("tags", count("tags")),
        ],
    );
    let answer = object(
        "What was found.",
        [("results", list(named("SearchResult"), "The best first.")), ("counts", counts)],
    );
    let kinds = "Only these kinds, with commas between them: `tracks`, `artists`, `albums`, `playlists`, `tags`. Others find nothing.";
    operation("search", "discovery", "Tracks, artists, albums, playlists and tags by what they are called")
        .asked(
            "q",
            text("What is looked for: two characters or more, or one that is a word by itself.")
                .at_most(http::Q_MAX),
        )
        .query("type", text(kinds))
        .query(
            "limit",
            integer("How many of each kind.").default(http::RESULTS).within(1..=http::RESULTS_MAX),
        )
        .invalid()
        .answers_cached(answer)
}
