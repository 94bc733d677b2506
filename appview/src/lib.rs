//! How rows become something you can see, hear and act on: the read side of plyr.
//!
//! Every read has the same four steps, in the file of its noun: a skeleton (which URIs, in what order),
//! hydration (one query per kind of thing), rules (what may be seen), a view. [`router`](mod@router) is the
//! table of contents; [`serve`] runs it.

mod activity;
mod actor;
mod album;
mod audio;
mod auth;
mod blob;
mod cache;
mod card;
mod chart;
pub mod collector;
mod comment;
mod cover;
mod cursor;
pub mod detail;
mod embed;
mod error;
mod feed;
mod foreign;
mod generator;
mod headers;
mod health;
mod hydrate;
mod label;
mod like;
pub mod limit;
mod link;
mod list;
mod live;
mod media;
pub mod mirror;
mod now_playing;
mod oauth;
mod observe;
mod oembed;
mod openapi;
mod options;
mod own;
mod play;
mod pool;
mod probe;
mod public_id;
pub mod publish;
mod range;
mod reception;
mod repo;
pub mod router;
mod search;
mod server;
pub mod service;
pub mod session;
mod sitemap;
mod stats;
pub mod store;
mod sync;
mod tag;
mod teal;
mod timeline;
mod track;
pub mod upload;
mod web;
mod xrpc;

use std::ops::Deref;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

pub use actor::{ProfileView, ProfileViewBasic};
pub use chart::TopEntry;
pub use comment::CommentView;
pub use error::Error;
pub use hydrate::{LikeSources, PlaySources};
pub use label::Label;
pub use like::LikeView;
pub use now_playing::NowPlayingView;
pub use observe::describe_metrics;
pub use options::Options;
pub use server::serve;
pub use track::TrackView;

/// What handlers share. Cheap to clone: each request does so in each of its layers.
#[derive(Debug, Clone)]
pub struct App {
    shared: Arc<Shared>,
}

impl Deref for App {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.shared
    }
}

/// See [`App`].
#[derive(Debug)]
pub struct Shared {
    options: Options,
    database: PgConnectOptions,
    pool: pool::Pool,
    store: store::BlobStore,
    publisher: publish::Publisher,
    limits: limit::Limits,
    sessions: session::Sessions,
    service: service::Service,
    live: live::Live,
    answers: cache::Answers,
    status: sync::Answers,
    stats: stats::Answers,
    sitemap: sitemap::Answers,
    days: activity::Days,
    upload_places: upload::Places,
    stop: CancellationToken,
}

impl App {
    /// Connects to nothing yet: a server answers, if only 503, while its database is away. It serves until `stop`.
    pub fn new(
        options: Options,
        database: PgConnectOptions,
        store: store::BlobStore,
        sessions: session::Sessions,
        stop: CancellationToken,
    ) -> Self {
        let shared = Shared {
            limits: limit::Limits::new(options.rates),
            publisher: publish::Publisher::new(sessions.clone()),
            pool: pool::Pool::read_only(database.clone(), options.pool_connections_max),
            service: service::Service::new(&options.public_url),
            live: live::Live::new(options.live_streams_max),
            answers: cache::Answers::new(),
            status: sync::Answers::default(),
            stats: stats::Answers::default(),
            sitemap: sitemap::Answers::default(),
            days: activity::Days::default(),
            upload_places: upload::Places::default(),
            options,
            database,
            store,
            sessions,
            stop,
        };
        App { shared: Arc::new(shared) }
    }

    /// What is ours, and where its pages are.
    fn registry(&self) -> &indexer::record::Registry {
        &self.sessions.indexer().door.registry
    }
}
