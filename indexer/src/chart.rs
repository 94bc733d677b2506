//! Charts: which tracks, artists and tags are heard and liked most, by everybody and by one person.
//!
//! Whoever changes what was heard or liked notes it in the same transaction ([`due`]). One worker ([`Charts`]) counts that person's
//! hour anew from the plays themselves, compares it with what it had counted of it, and moves the sums by the difference. So a
//! chart depends on what is there and not on the order in which it came, and one that is behind catches up.
//!
//! # What makes a chart, and what does not
//!
//! Every listener has an origin: the domain of their PDS; `anonymous`, for who is not signed in.
//! **One origin gives a thing at most ten more than all others together**: what exceeds it is told in the numbers and does not
//! count in the order. So ten thousand accounts of one host bring a track as far as ten people do. Hosts that anybody may join
//! and that see to their gate themselves count in full (`PLYR_OPEN_HOSTS`).
//! **The same holds of all together whom nobody vouches for yet**: whoever has been known here for less than a week, wherever
//! they come from, and whoever is anonymous. They are counted for their origin, and once more in a part of their own
//! (`chart_part` of origin 0), which is in no sum and may be the largest. So neither accounts made yesterday on many hosts nor one machine
//! with as many cookies make a chart, and neither vouches for the other; nor do a host's new accounts for its old ones.
//! Beside that, a person's plays of a thing weigh at most [`HOUR_MAX`] times an hour, whatever is told of them, and a network
//! brings at most [`NETWORK_MAX`](crate::apply::hear::NETWORK_MAX) anonymous listeners of a track a day: what
//! more of them hear is kept and counted as plays, and is nothing here.

mod carry;
mod clock;
pub mod due;
mod member;
mod moves;
mod origin;
mod subject;
mod sums;
mod truth;
mod worker;

use chrono::{DateTime, Utc};

use crate::sabotage;
pub use origin::Origins;
pub use worker::{Charts, reopen, settle};

/// What a chart is of. The numbers are those of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i16)]
pub enum Kind {
    /// Tracks of ours, by URI.
    Track = 1,
    /// Who published them, by DID.
    Artist = 2,
    /// Their tags.
    Tag = 3,
    /// Artists as play records name them, whatever service they were heard on.
    PlayedArtist = 4,
    /// Releases, likewise.
    PlayedRelease = 5,
    /// Recordings, likewise; only people's own.
    PlayedRecording = 6,
}

/// The time that a chart is about. All but [`All`](Period::All) end now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i16)]
pub enum Period {
    /// Ever.
    All = 0,
    /// The last 30 days.
    Month = 1,
    /// The last 7 days.
    Week = 2,
    /// The last 24 hours.
    Day = 3,
}

/// All of them.
pub const PERIODS: [Period; 4] = [Period::All, Period::Month, Period::Week, Period::Day];

impl Kind {
    /// The kind of that number.
    fn of(number: i16) -> Option<Kind> {
        let all = [
            Kind::Track,
            Kind::Artist,
            Kind::Tag,
            Kind::PlayedArtist,
            Kind::PlayedRelease,
            Kind::PlayedRecording,
        ];
        all.into_iter().find(|kind| *kind as i16 == number)
    }
}

impl Period {
    /// The period of that number.
    fn of(number: i16) -> Option<Period> {
        PERIODS.into_iter().find(|period| *period as i16 == number)
    }

    /// So many hours, the present one among them; none for all time.
    pub fn hours(self) -> Option<i32> {
        match self {
            Period::All => None,
            Period::Month => Some(30 * 24),
            Period::Week => Some(7 * 24),
            Period::Day => Some(24),
        }
    }

    /// Whether an hour is in it, where the present one is `now`.
    fn holds(self, hour: i32, now: i32) -> bool {
        self.hours().is_none_or(|hours| hour > now - hours)
    }
}

/// Plays of one thing by one person in one hour that weigh in everybody's charts, at most. An index of `heard` says it as well.
pub const HOUR_MAX: i64 = 20;

/// So many of the plays of an hour weigh.
fn weight(plays: i64) -> i64 {
    if sabotage::is_on("chart-without-hour-limit") { plays } else { plays.min(HOUR_MAX) }
}

/// What one origin may give a thing beyond what all others do.
pub const ALLOWANCE: i64 = 10;

/// The hour of a moment, since 1970.
pub fn hour_of(at: DateTime<Utc>) -> i32 {
    i32::try_from(at.timestamp().div_euclid(3600)).unwrap_or(i32::MAX)
}

/// Whether there are charts of this by likes.
pub(crate) fn counts_likes_of(uri: &str) -> bool {
    uri.split('/').nth(3).is_some_and(|collection| collection.ends_with(".track"))
}
