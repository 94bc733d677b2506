//! What a text names, as far as it says so itself: an at-uri, or the address of a page of ours.
//!
//! A DID is an identity; a handle is not, nor is a number that another server gave. What those mean is looked up
//! ([`names`](super::names)).

use std::fmt;

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
    /// What a page shows whose address only the server it is of can read.
    Page(Page),
}

/// The address of a page that does not say which record it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Host and path, as in `plyr.fm/track/123`.
    pub address: String,
    /// The number of the track, where the page is this server's own.
    pub own_number: Option<i64>,
}

/// What has to be looked up before a reference is known to be of a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A handle, in lower case.
    Handle(String),
    /// The address of a page, and the number in it where the page is our own.
    Page(String, Option<i64>),
}

impl Name {
    /// The text that the database knows it by. No handle has a slash, and every page has one.
    pub fn as_str(&self) -> &str {
        match self {
            Name::Handle(text) | Name::Page(text, _) => text,
        }
    }

    /// The number that we gave, where it is a page of our own.
    pub fn own_number(&self) -> Option<i64> {
        if let Name::Page(_, number) = self { *number } else { None }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Handle(handle) => write!(f, "nobody is known to have the handle {handle}"),
            Name::Page(page, _) => write!(f, "nobody told what {page} shows"),
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
            Reference::OfHandle { handle, .. } => Some(Name::Handle(handle.as_str().to_owned())),
            Reference::Page(page) => Some(Name::Page(page.address.clone(), page.own_number)),
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
        assert_eq!(by_handle.name(), Some(Name::Handle("alice.example".into())));
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
