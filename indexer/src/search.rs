//! Search: how everything that can be found is called, kept so that it can be found by whatever is typed of it.
//!
//! Whoever changes what something is called notes it in the same transaction ([`due`]). One worker ([`Search`]) reads anew what it is
//! called, takes that apart ([`text`]) and keeps the parts in tables of which every question reads a short stretch:
//!
//! | what was typed | where it is found |
//! |---|---|
//! | a name, or its beginning, or any words of it from one on | `search_start`, a range |
//! | one to three characters, the beginning of very much | the same, the best first |
//! | several words in any order, the artist's or the album's among them | `search_entry.words` |
//! | a word with one slip | `search_slip`, words that share a form |
//! | part of a word, or a word that only resembles it | `search_word`, by trigrams |
//!
//! What is found is ordered by who asks.

pub mod due;
pub mod entry;
pub mod text;
mod worker;

pub use worker::{SLIPS, STARTS, Search, audit, rerank, settle};

/// What can be found. The numbers are those of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i16)]
pub enum Kind {
    /// Tracks, by URI.
    Track = 1,
    /// People who published a track or have a profile here, by DID.
    Artist = 2,
    /// Albums, by UUID.
    Album = 3,
    /// Playlists, by URI.
    Playlist = 4,
    /// Tags.
    Tag = 5,
}

/// All of them, in the order in which equals are shown.
pub const KINDS: [Kind; 5] = [Kind::Track, Kind::Artist, Kind::Album, Kind::Playlist, Kind::Tag];

impl Kind {
    /// The kind of a number in the tables.
    pub fn of_number(number: i16) -> Option<Self> {
        KINDS.into_iter().find(|kind| *kind as i16 == number)
    }
}
