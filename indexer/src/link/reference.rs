//! What a text names, as far as it says so itself: an at-uri, or the address of a page of ours.
//!
//! A DID is an identity; a handle is not, nor is a number that another server gave. What those mean is looked up
//! ([`names`](super::names)).

use std::fmt;

use sqlx::types::Uuid;

use crate::syntax::{AtUri, Handle, Nsid, Rkey};

/// What a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// A record.
    Record(AtUri),
    /// A record of whoever has this handle.
    OfHandle {
        /// In lower case.
        handle: Handle,
        /// Of the record.
        collection: Nsid,
        /// Of the record.
        rkey: Rkey,
    },
    /// What a page shows that does not say so in its address.
    Page(Name),
}

/// What has to be looked up before a reference is known to be of a record: a handle, in lower case; or the address of a page,
/// without the host where it is this server's own (`/track/123`) or means the same on every host of ours
/// (`/u/alice.example/album/first-light`), and else with it (`other.example/track/123`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// As the database knows it. No handle has a slash, and every page has one.
    pub fn from_text(text: impl Into<String>) -> Name {
        Name(text.into())
    }

    /// Before all others.
    pub(crate) fn first() -> Name {
        Name(String::new())
    }

    /// The text that the database knows it by.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a handle, and no page.
    pub fn is_handle(&self) -> bool {
        !self.0.contains('/')
    }

    /// The number that we gave, where it is a track's page of our own.
    pub fn own_number(&self) -> Option<i64> {
        self.0.strip_prefix("/track/")?.parse().ok()
    }

    /// The list that we call so, where it is a playlist's page of our own.
    pub fn own_list(&self) -> Option<Uuid> {
        self.0.strip_prefix("/playlist/")?.parse().ok()
    }

    /// Whose album by DID or handle, and which by its slug, where it is an album's page.
    pub fn album(&self) -> Option<(&str, &str)> {
        self.0.strip_prefix("/u/")?.split_once("/album/")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_handle() {
            true => write!(f, "nobody is known to have the handle {}", self.0),
            false => write!(f, "nobody told what {} shows", self.0),
        }
    }
}

impl Reference {
    /// Of an at-uri that names a record, its authority a DID or a handle.
    /// <https://atproto.com/specs/at-uri-scheme>
    pub fn at(text: &str) -> Option<Reference> {
        if let Ok(uri) = text.parse::<AtUri>() {
            return Some(Reference::Record(uri));
        }
        let mut parts = text.strip_prefix("at://")?.split('/');
        let (handle, collection, rkey) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next().is_none().then_some(())?;
        Some(Reference::OfHandle {
            handle: Handle::normalized(handle).ok()?,
            collection: collection.parse().ok()?,
            rkey: rkey.parse().ok()?,
        })
    }

    /// The collection of what is named, where that is certain.
    pub fn collection(&self) -> Option<&str> {
        match self {
            Reference::Record(uri) => Some(uri.collection()),
            Reference::OfHandle { collection, .. } => Some(collection.as_str()),
            Reference::Page(_) => None,
        }
    }

    /// What has to be looked up; nothing where it names a record already.
    pub fn name(&self) -> Option<Name> {
        match self {
            Reference::Record(_) => None,
            Reference::OfHandle { handle, .. } => Some(Name::from_text(handle.as_str())),
            Reference::Page(name) => Some(name.clone()),
        }
    }

    /// The record, where its name means this: the DID of a handle, the URI of what a page shows.
    pub fn meaning(&self, meaning: &str) -> Option<AtUri> {
        match self {
            Reference::Record(uri) => Some(uri.clone()),
            Reference::OfHandle { collection, rkey, .. } => {
                Some(AtUri::new(&meaning.parse().ok()?, collection, rkey))
            }
            Reference::Page(_) => meaning.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_at_uri_names_a_record_of_a_did_or_of_a_handle() {
        let by_did = Reference::at("at://did:plc:x/fm.plyr.track/3jz").expect("a record");
        assert_eq!((by_did.name(), by_did.collection()), (None, Some("fm.plyr.track")));
        let by_handle = Reference::at("at://Alice.Example/fm.plyr.track/3jz").expect("a record");
        assert_eq!(by_handle.name(), Some(Name::from_text("alice.example")));
        let meant = by_handle.meaning("did:plc:x").expect("a record");
        assert_eq!(meant.as_str(), "at://did:plc:x/fm.plyr.track/3jz");
        assert_eq!(by_handle.meaning("nobody"), None);
        for text in [
            "at://alice.example",
            "at://alice.example/fm.plyr.track",
            "at://alice.example/fm.plyr.track/3jz/more",
            "at://alice/fm.plyr.track/3jz",
            "at://alice.example/track/3jz",
            "at://alice.example/fm.plyr.track/a b",
            "https://alice.example/fm.plyr.track/3jz",
        ] {
            assert_eq!(Reference::at(text), None, "{text}");
        }
    }
}
