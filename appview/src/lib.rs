//! How rows become something you can see, hear and act on: the read side of plyr.
//!
//! Every read has the same four steps, in the file of its noun: a skeleton (which URIs, in what order),
//! hydration (one query per kind of thing), rules (what may be seen), a view. [`router`](mod@router) is the
//! table of contents; [`serve`] runs it.

mod actor;
mod audio;
mod comment;
mod cursor;
mod error;
mod headers;
mod health;
mod hydrate;
mod like;
mod live;
mod media;
pub mod mirror;
mod observe;
mod options;
mod pool;
mod range;
pub mod router;
mod server;
pub mod store;
mod track;
mod web;
mod xrpc;

use std::sync::Arc;

use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

pub use actor::{ProfileView, ProfileViewBasic};
pub use comment::CommentView;
pub use error::Error;
pub use like::LikeView;
pub use observe::describe_metrics;
pub use options::Options;
pub use pool::read_only;
pub use server::serve;
pub use track::TrackView;

/// What handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    options: Arc<Options>,
    database: PgConnectOptions,
    pool: PgPool,
    store: store::BlobStore,
    live: live::Live,
    stop: CancellationToken,
}

impl App {
    /// Connects to nothing yet: a server answers, if only 503, while its database is away.
    pub fn new(options: Options, database: PgConnectOptions, store: store::BlobStore) -> Self {
        App {
            pool: pool::read_only(database.clone(), options.pool_connections_max),
            live: live::Live::new(options.live_streams_max),
            options: Arc::new(options),
            database,
            store,
            stop: CancellationToken::new(),
        }
    }
}
