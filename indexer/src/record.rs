//! The registry: which collections are ours, and how each becomes rows.
//!
//! Adding a record type: its lexicon, its migration, a file here with `Row`, `read` and `project`, its lines below, and its tables in
//! [`copy::TARGETS`](crate::copy::TARGETS).

mod actor_status;
mod blob_ref;
mod bsky_profile;
mod checked;
mod comment;
mod follow;
mod like;
mod list;
mod play;
pub(crate) mod post;
mod profile;
mod public_id;
mod reaction;
pub(crate) mod tag;
mod teal_profile;
mod track;

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use url::Url;

use crate::apply::effects::Effects;
use crate::link::names::Names;
use crate::link::page::{PageHosts, Shown};
use crate::link::reference::Reference;
use crate::link::turns::Turns;
use crate::link::{self, Link, Links};
use crate::syntax::AtUri;
use crate::{dag, lexicon};
pub use actor_status::STATUSES;
pub use bsky_profile::BSKY_PROFILES;
pub use checked::URI_MAX_BYTES;
use checked::{BlobRef, Checked, StrongRef, datetime, duration_s};
pub use comment::COMMENTS;
pub use follow::FOLLOWS;
pub use list::{LIST_ITEMS, LISTS};
pub use play::{PLAYS, mbid};
pub use post::SHARED_POSTS;
pub use profile::PROFILES;
pub use reaction::REACTIONS;
pub use tag::{TRACK_TAGS, forget_unused as forget_tags};
pub use teal_profile::TEAL_PROFILES;
pub use track::{TRACKS, normalize_tags};

/// A record value larger than this gets no projection: the largest lawful `fm.plyr.list` is near 80 KB.
pub const VALUE_MAX_BYTES: usize = 256 * 1024;

/// One record, read: what its projection will say.
#[derive(Debug)]
pub enum Row {
    /// `fm.plyr.track`
    Track(track::Row),
    /// `fm.plyr.like`, `app.bsky.feed.like`, `app.bsky.feed.repost`
    Like(like::Row),
    /// `app.bsky.feed.post`
    Post(post::Row),
    /// `fm.plyr.comment`
    Comment(comment::Row),
    /// `fm.plyr.list`
    List(list::Row),
    /// `fm.plyr.actor.profile`
    Profile(profile::Row),
    /// `fm.teal.feed.play`, both namespaces
    Play(play::Row),
    /// `fm.teal.actor.status`, both namespaces
    ActorStatus(actor_status::Row),
    /// `app.bsky.actor.profile`
    BskyProfile(bsky_profile::Row),
    /// `fm.teal.actor.profile`, both namespaces
    TealProfile(teal_profile::Row),
    /// `app.bsky.graph.follow`
    Follow(follow::Row),
}

/// The projections, one for each kind of [`Row`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `track`
    Track,
    /// `shared_post`
    Post,
    /// `reaction`
    Like,
    /// `comment`
    Comment,
    /// `list`, `list_item`
    List,
    /// `profile`
    Profile,
    /// `play`
    Play,
    /// `actor_status`
    ActorStatus,
    /// `bsky_profile`
    BskyProfile,
    /// `teal_profile`
    TealProfile,
    /// `follow`
    Follow,
}

/// Every kind, in the order in which projections are written: shares before what is liked by way of them.
pub const KINDS: [Kind; 11] = [
    Kind::Track,
    Kind::Post,
    Kind::Like,
    Kind::Comment,
    Kind::List,
    Kind::Profile,
    Kind::Play,
    Kind::ActorStatus,
    Kind::BskyProfile,
    Kind::TealProfile,
    Kind::Follow,
];

/// A collection that is indexed.
#[derive(Debug, Clone)]
pub struct Collection {
    /// Its NSID on the network.
    pub nsid: String,
    /// NSID of the lexicon that its records are held against; differs when the namespace is renamed.
    pub schema: &'static str,
    /// Where its records go.
    pub kind: Kind,
    /// Having such a record makes a repo tracked: its chain is followed. False where only single records concern us.
    pub tracks: bool,
    /// Of all its records only some concern us: those that name something of ours, or are of people who have signed in.
    pub refers: bool,
}

/// Why a record has no projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordProblem {
    /// Stable name: `InvalidRecord`, `TooLarge`, `NulCharacter` …
    pub name: &'static str,
    /// For an operator: which field, and what is wrong with it.
    pub detail: String,
}

/// The indexed collections, and what their records are read by.
#[derive(Debug, Clone)]
pub struct Registry {
    collections: HashMap<String, Collection>,
    namespace: String,
    track_collection: String,
    list_collection: String,
    page_hosts: PageHosts,
}

impl Registry {
    /// The collections under `namespace` (normally `fm.plyr`) and those of others that we read. `public_url` is where our
    /// track pages live: plays and posts name them.
    pub fn new(namespace: &str, public_url: Url) -> Self {
        let ours = |name: &str| format!("{namespace}.{name}");
        let entries = [
            (ours("track"), "fm.plyr.track", Kind::Track, true),
            (ours("like"), "fm.plyr.like", Kind::Like, true),
            (ours("comment"), "fm.plyr.comment", Kind::Comment, true),
            (ours("list"), "fm.plyr.list", Kind::List, true),
            (ours("actor.profile"), "fm.plyr.actor.profile", Kind::Profile, true),
            ("fm.teal.feed.play".into(), "fm.teal.feed.play", Kind::Play, true),
            ("fm.teal.alpha.feed.play".into(), "fm.teal.alpha.feed.play", Kind::Play, true),
            ("fm.teal.actor.status".into(), "fm.teal.actor.status", Kind::ActorStatus, true),
            ("fm.teal.alpha.actor.status".into(), "fm.teal.alpha.actor.status", Kind::ActorStatus, true),
            ("fm.teal.actor.profile".into(), "fm.teal.actor.profile", Kind::TealProfile, true),
            ("fm.teal.alpha.actor.profile".into(), "fm.teal.alpha.actor.profile", Kind::TealProfile, true),
            (BSKY_PROFILE.into(), BSKY_PROFILE, Kind::BskyProfile, false),
            (link::LIKE.into(), link::LIKE, Kind::Like, false),
            (link::REPOST.into(), link::REPOST, Kind::Like, false),
            (link::POST.into(), link::POST, Kind::Post, false),
            (FOLLOW.into(), FOLLOW, Kind::Follow, false),
        ];
        let collections = entries
            .into_iter()
            .map(|(nsid, schema, kind, tracks)| {
                let refers = [link::LIKE, link::REPOST, link::POST, FOLLOW].contains(&schema);
                (nsid.clone(), Collection { nsid, schema, kind, tracks, refers })
            })
            .collect();
        let page_hosts = PageHosts::own(&public_url);
        Registry {
            collections,
            namespace: namespace.to_owned(),
            track_collection: ours("track"),
            list_collection: ours("list"),
            page_hosts,
        }
    }

    /// With more hosts whose pages show things of ours.
    pub fn with_page_hosts<'a>(mut self, urls: impl IntoIterator<Item = &'a Url>) -> Self {
        self.page_hosts = self.page_hosts.and(urls);
        self
    }

    /// The first part of our collections' names, normally `fm.plyr`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The hosts whose pages show things of ours.
    pub fn page_hosts(&self) -> &PageHosts {
        &self.page_hosts
    }

    /// The collection of this NSID, if it is indexed.
    pub fn get(&self, nsid: &str) -> Option<&Collection> {
        self.collections.get(nsid)
    }

    /// NSIDs of all indexed collections.
    pub fn nsids(&self) -> impl Iterator<Item = &str> {
        self.collections.keys().map(String::as_str)
    }

    /// NSID under which tracks are written.
    pub fn track_collection(&self) -> &str {
        &self.track_collection
    }

    /// The collection of lists: albums, playlists.
    pub fn list_collection(&self) -> &str {
        &self.list_collection
    }

    /// What of ours a text names: the at-uri of a record, or the page that shows it, by DID, handle or number.
    pub fn reference(&self, text: &str) -> Option<Reference> {
        if text.len() > URI_MAX_BYTES {
            return None;
        }
        if text.starts_with("at://") {
            let is_ours =
                |reference: &Reference| reference.collection().is_some_and(|nsid| self.is_ours(nsid));
            return Reference::at(text).filter(is_ours);
        }
        match self.page_hosts.page(text)? {
            Shown::Track { artist, rkey } => {
                Reference::at(&format!("at://{artist}/{}/{rkey}", self.track_collection))
            }
            Shown::Artist { artist } => {
                Reference::at(&format!("at://{artist}/{}.actor.profile/self", self.namespace))
            }
            Shown::Playlist { owner, rkey } => {
                Reference::at(&format!("at://{owner}/{}/{rkey}", self.list_collection))
            }
            Shown::Unsaid(name) => Some(Reference::Page(name)),
        }
    }

    /// Whether records of this collection are ours, and not teal's or Bluesky's.
    pub fn is_ours(&self, nsid: &str) -> bool {
        let within =
            |nsid: &str| nsid.strip_prefix(&self.namespace).is_some_and(|rest| rest.starts_with('.'));
        self.get(nsid).is_some_and(|collection| within(&collection.nsid))
    }

    /// Checks a record's bytes and reads them into the row of their projection. Handles and page numbers mean nothing to it.
    pub fn read(
        &self,
        uri: &AtUri,
        value: &[u8],
        first_seen_at: DateTime<Utc>,
    ) -> Result<Row, RecordProblem> {
        self.read_by(uri, value, first_seen_at, &mut Names::default())
    }

    /// The same, where it is known what `names` mean.
    pub(crate) fn read_by(
        &self,
        uri: &AtUri,
        value: &[u8],
        first_seen_at: DateTime<Utc>,
        names: &mut Names,
    ) -> Result<Row, RecordProblem> {
        // What is wrong may quote what the database cannot hold.
        let problem = |name, detail: String| RecordProblem { name, detail: detail.replace('\0', "\u{fffd}") };
        let collection = self
            .get(uri.collection())
            .ok_or_else(|| problem("UnknownCollection", format!("{} is not indexed", uri.collection())))?;
        if value.len() > VALUE_MAX_BYTES {
            return Err(problem(
                "TooLarge",
                format!("{} bytes; at most {VALUE_MAX_BYTES} are read", value.len()),
            ));
        }
        let value = dag::decode(value).map_err(|error| problem(error.name(), error.to_string()))?;
        if dag::contains_nul(&value) {
            return Err(problem("NulCharacter", "a string holds U+0000, which the database cannot".into()));
        }
        lexicon::check_record(collection.schema, &collection.nsid, uri.rkey(), &value)
            .map_err(|violation| problem("InvalidRecord", violation.to_string()))?;
        let checked = Checked { uri, value, first_seen_at, registry: self, names: &mut *names };
        let row = match collection.kind {
            Kind::Track => track::read(checked).map(Row::Track),
            Kind::Post => post::read(checked).map(Row::Post),
            Kind::Like => like::read(checked).map(Row::Like),
            Kind::Comment => comment::read(checked).map(Row::Comment),
            Kind::List => list::read(checked).map(Row::List),
            Kind::Profile => profile::read(checked).map(Row::Profile),
            Kind::Play => play::read(checked).map(Row::Play),
            Kind::ActorStatus => actor_status::read(checked).map(Row::ActorStatus),
            Kind::BskyProfile => bsky_profile::read(checked).map(Row::BskyProfile),
            Kind::TealProfile => teal_profile::read(checked).map(Row::TealProfile),
            Kind::Follow => follow::read(checked).map(Row::Follow),
        };
        row.map_err(|detail| {
            problem(if names.is_unknown_in(uri) { "UnknownHandle" } else { "InvalidRecord" }, detail)
        })
    }
}

/// NSID of Bluesky's record of who follows whom.
pub const FOLLOW: &str = "app.bsky.graph.follow";

/// NSID of Bluesky's profile record.
pub const BSKY_PROFILE: &str = "app.bsky.actor.profile";

impl Row {
    /// The track of ours that was heard, what makes two records the same play, and when it was.
    pub(crate) fn play(&self) -> Option<(&str, &str, DateTime<Utc>)> {
        let Row::Play(row) = self else { return None };
        Some((row.subject_uri.as_deref()?, &row.play_key, row.played_at))
    }

    /// The tags of a track, normalised.
    pub(crate) fn tags(&self) -> &[String] {
        if let Row::Track(row) = self { &row.tags } else { &[] }
    }

    /// What the record names.
    pub(crate) fn links(&self) -> Option<Links<'_>> {
        const SUBJECT: &str = "subject.uri";
        fn one<'a>(path: &'static str, target: &'a str) -> BTreeSet<(&'static str, &'a str)> {
            [(path, target)].into()
        }
        Some(match self {
            Row::Like(row) => {
                let (created_at, sort_at) = (row.created_at, row.sort_at);
                Links { uri: &row.uri, created_at, sort_at, links: one(SUBJECT, &row.subject) }
            }
            Row::Comment(row) => {
                let (created_at, sort_at) = (row.created_at, row.sort_at);
                Links { uri: &row.uri, created_at, sort_at, links: one(SUBJECT, &row.subject.uri) }
            }
            Row::List(row) => Links {
                uri: &row.uri,
                created_at: row.created_at,
                sort_at: row.sort_at,
                links: row.items.iter().map(|item| ("items[].subject.uri", item.uri.as_str())).collect(),
            },
            Row::Play(row) => {
                let path = if row.uri.contains(".alpha.") { "originUrl" } else { "originUri" };
                let (created_at, sort_at) = (row.played_at, row.played_at);
                Links { uri: &row.uri, created_at, sort_at, links: one(path, row.subject_uri.as_deref()?) }
            }
            Row::Post(row) => Links {
                uri: &row.uri,
                created_at: row.created_at,
                sort_at: row.sort_at,
                links: row.links.iter().map(|Link { path, target }| (*path, target.as_str())).collect(),
            },
            Row::Track(_)
            | Row::Profile(_)
            | Row::ActorStatus(_)
            | Row::BskyProfile(_)
            | Row::TealProfile(_)
            | Row::Follow(_) => {
                return None;
            }
        })
    }
}

/// Waits for whoever moves the same numbers: to be called before anything of these is projected. Posts that are `awaited` may
/// turn out to be shares.
pub(crate) async fn take_turns<'a>(
    db: &mut PgConnection,
    changes: impl Iterator<Item = (Kind, &'a [String], &'a [Row])>,
    awaited: impl Iterator<Item = &'a str>,
) -> sqlx::Result<()> {
    let mut turns = Turns::default();
    turns.await_posts(awaited);
    changes.for_each(|(kind, gone, rows)| turns.add(kind, gone, rows));
    turns.take(db).await
}

/// Takes away the projections of `gone`, all of one kind, and then adds `rows`; what is replaced is in both.
pub(crate) async fn project(
    db: &mut PgConnection,
    kind: Kind,
    gone: &[String],
    rows: Vec<Row>,
    effects: &mut Effects,
) -> sqlx::Result<()> {
    macro_rules! rows_of {
        ($variant:ident) => {
            rows.into_iter()
                .filter_map(|row| if let Row::$variant(row) = row { Some(row) } else { None })
                .collect::<Vec<_>>()
        };
    }
    // Likes see to their links themselves.
    if matches!(kind, Kind::Post | Kind::Comment | Kind::List | Kind::Play) {
        link::project::project(db, gone, &rows, effects).await?;
    }
    match kind {
        Kind::Track => track::project(db, gone, &rows_of!(Track), effects).await,
        Kind::Post => post::project(db, gone, &rows_of!(Post), effects).await,
        Kind::Like => like::project(db, gone, &rows, effects).await,
        Kind::Comment => comment::project(db, gone, &rows_of!(Comment), effects).await,
        Kind::List => list::project(db, gone, &rows_of!(List), effects).await,
        Kind::Profile => profile::project(db, gone, &rows_of!(Profile), effects).await,
        Kind::Play => play::project(db, gone, &rows_of!(Play), effects).await,
        Kind::ActorStatus => actor_status::project(db, gone, rows_of!(ActorStatus), effects).await,
        Kind::BskyProfile => bsky_profile::project(db, gone, &rows_of!(BskyProfile), effects).await,
        Kind::TealProfile => teal_profile::project(db, gone, &rows_of!(TealProfile)).await,
        Kind::Follow => follow::project(db, gone, &rows_of!(Follow)).await,
    }
}
