//! How a record becomes rows: the write side of plyr.
//!
//! ```text
//! relay / PDS ─► firehose ─┐
//! CAR of a repo ─► resync ─┼─► apply ══► Postgres
//! one record ─► proof ─────┘
//! ```
//!
//! [`apply`] is the one door; everything else reads the network, verifies it and hands over [`change::Input`]s.

pub mod album;
pub mod apply;
pub mod audit;
pub mod backfill;
pub mod change;
pub mod chart;
pub mod compare;
pub mod copy;
pub mod dag;
pub mod due;
pub mod firehose;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod identity;
pub mod job;
pub mod jobs;
pub mod lexicon;
pub mod link;
pub mod memory;
pub mod net;
pub mod pds;
pub mod pool;
pub mod problem;
pub mod proto;
pub mod record;
mod rests;
pub mod sabotage;
pub mod search;
pub mod source;
pub mod syntax;

use std::sync::Arc;

/// The migrations that make the schema; the folder is embedded.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations");

/// What every part of the write side works with. Clones share everything.
#[derive(Debug, Clone)]
pub struct Indexer {
    /// The one way into the database.
    pub door: Arc<apply::Door>,
    /// Who is who.
    pub identity: identity::Identity,
    /// The guarded way out to the network.
    pub net: net::Net,
    /// A service that knows who links to what, asked who liked a post before we knew of it.
    pub backlinks: Option<url::Url>,
    /// Whose identity nobody could tell a moment ago.
    hopeless: rests::Rests,
    /// Whose repos took so long to read that others come first.
    slow: rests::Rests,
    /// Whose repos were found to be large.
    large: rests::Rests,
}

impl Indexer {
    /// Puts the parts together.
    pub fn new(door: Arc<apply::Door>, identity: identity::Identity, net: net::Net) -> Self {
        let (hopeless, slow, large) = Default::default();
        Indexer { door, identity, net, backlinks: None, hopeless, slow, large }
    }

    /// With a service that knows who links to what.
    pub fn with_backlinks(mut self, service: Option<url::Url>) -> Self {
        self.backlinks = service;
        self
    }
}
