//! For programs that look at pages: what `oembed.rs` and `sitemap.rs` answer.

use super::operation::{Operation, operation};
use super::schema::{day, integer, list, object, text, url, word};
use crate::oembed;

const TAG: &str = "server";

/// `GET /oembed`.
pub(crate) fn embed() -> Operation {
    let side = |about: &str| integer(about).or_null();
    let answer = object(
        "How to show a page, as oEmbed 1.0 says it.",
        [
            ("version", word(&["1.0"], "Of oEmbed.")),
            ("type", word(&["rich"], "What it is shown by.")),
            ("provider_name", text("Always `plyr`.")),
            ("provider_url", url("This server.")),
            ("title", text("What it is called, and whose it is.")),
            ("author_name", text("Whose it is.").or_null()),
            ("author_url", url("Their page.").or_null()),
            ("width", integer("Of the frame, in pixels.")),
            ("height", integer("Of the frame, in pixels.")),
            ("html", text("The frame.")),
            ("thumbnail_url", url("A picture.").or_null()),
            ("thumbnail_width", side("Of the picture, in pixels.")),
            ("thumbnail_height", side("Of the picture, in pixels.")),
        ],
    );
    let most = |about: &str, default: i64| integer(about).default(default).within(1..=oembed::ASKED_MAX);
    operation("oembed", TAG, "How another page shows a page of this server")
        .asked("url", url("The address of a page: of a track, an album, a playlist or an artist."))
        .query("maxwidth", most("The widest frame, in pixels.", oembed::WIDTH))
        .query("maxheight", most("The highest frame, in pixels.", oembed::LIST_HEIGHT))
        .query("format", text("`json`; there is no other.").default("json"))
        .invalid()
        .answers_cached(answer)
        .refuses(404, "There is no such page here.")
        .refuses(501, "There is no other format.")
}

/// `GET /sitemap.xml`.
pub(crate) fn sitemap() -> Operation {
    operation("sitemap", TAG, "The pages of the sitemap").answers_type(200, "XML.", "application/xml")
}

/// `GET /sitemap/{kind}/{page}`.
pub(crate) fn sitemap_page() -> Operation {
    operation("sitemapPage", TAG, "A page of the sitemap")
        .part("kind", word(&["tracks", "artists", "albums", "playlists"], "Of what."))
        .part("page", text("A number from 1, and `.xml`.").pattern("^[0-9]+\\.xml$").example("1.xml"))
        .answers_type(200, "XML.", "application/xml")
        .fails(404, "There is no such page.")
}

/// `GET /sitemap-data`.
pub(crate) fn sitemap_data() -> Operation {
    let updated = || ("updated", day("When something about it changed last."));
    let track = object("A track.", [("id", integer("Its number.")), updated()]);
    let artist = object("An artist.", [("handle", text("What they are called, or their DID.")), updated()]);
    let album = object(
        "An album.",
        [
            ("handle", text("What its artist is called, or their DID.")),
            ("slug", text("What its address calls it.")),
            updated(),
        ],
    );
    let answer = object(
        "What there is to be found.",
        [
            ("tracks", list(track, "The newest first.")),
            ("artists", list(artist, "Those who have published something.")),
            ("albums", list(album, "Those that have a track to show.")),
        ],
    );
    operation("sitemapData", TAG, "The same as JSON")
        .about("The newest 10,000 tracks, and as many artists and albums. Caches may keep it for an hour.")
        .answers(answer)
}
