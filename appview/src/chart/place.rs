//! Where a page of a chart ended.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A place in a chart: a score, and among equals a number. Things that do not move meanwhile are neither skipped nor repeated.
/// Opaque to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Place {
    pub score: i64,
    pub id: i32,
}

impl Place {
    /// Above all.
    pub const TOP: Place = Place { score: i64::MAX, id: i32::MAX };
}

/// Text that no page of a chart ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub(crate) struct PlaceError;

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:x}", self.score, self.id)
    }
}

impl FromStr for Place {
    type Err = PlaceError;
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let (score, id) = text.split_once('.').ok_or(PlaceError)?;
        let score = i64::from_str_radix(score, 16).map_err(|_| PlaceError)?;
        let id = i32::from_str_radix(id, 16).map_err(|_| PlaceError)?;
        if score < 0 || id < 0 { Err(PlaceError) } else { Ok(Place { score, id }) }
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;
    fn try_from(text: String) -> Result<Self, PlaceError> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> String {
        place.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_comes_back_as_it_went(score in 0..i64::MAX, id in 0..i32::MAX) {
            let place = Place { score, id };
            prop_assert_eq!(place.to_string().parse(), Ok(place));
        }

        #[test]
        fn any_text_is_a_place_or_refused(text in ".*") {
            let _ = text.parse::<Place>();
        }
    }
}
