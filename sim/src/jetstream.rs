//! A Jetstream: what happened in the world as JSON, one event per record, in both dialects that are spoken today.
//!
//! [`Jetstream::push`] is all that feeds it. What it says on the wire (names and order of fields, cursors, filters,
//! dictionaries, refusals) follows the two servers of the network.

/// One thing that happened, as the relay that feeds a Jetstream tells it.
#[derive(Debug, Clone)]
pub struct Event {
    /// Whose.
    pub did: String,
    /// When the Jetstream saw it, in microseconds since 1970: the cursor of the older dialect. Events are pushed in the
    /// order of these; two may share one.
    pub time_us: i64,
    /// What.
    pub body: Body,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Body {
    /// One record changed.
    Commit(Commit),
    /// The event of subscribeRepos as JSON: `{did, handle?, seq, time}`.
    Identity(serde_json::Value),
    /// The event of subscribeRepos as JSON: `{active, did, seq, status?, time}`.
    Account(serde_json::Value),
    /// The event of subscribeRepos as JSON: `{blocks: {$bytes}, did, rev, seq, time}`. Only the newer dialect shows it.
    Sync(serde_json::Value),
}

/// One record changed.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The commit that did it.
    pub rev: String,
    /// How.
    pub operation: Operation,
    /// NSID of the collection.
    pub collection: String,
    /// Key within it.
    pub rkey: String,
    /// CID of the record; none when it was deleted.
    pub cid: Option<String>,
    /// The record in the JSON form of the data model; none when it was deleted.
    pub record: Option<serde_json::Value>,
    /// It follows a `#sync`, standing for a record that the repo holds now. Only the newer dialect shows it.
    pub is_replacement: bool,
}

/// How a record changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Create,
    /// It was replaced.
    Update,
    /// It is gone.
    Delete,
}
