//! What is true of the simulated world at one moment, as plain data: what its oracle folds.

use std::collections::BTreeMap;

/// Everything there is.
#[derive(Debug, Clone, Default)]
pub struct Truth {
    /// Every account that ever was, by DID.
    pub accounts: BTreeMap<String, Account>,
}

/// One account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its DID.
    pub did: String,
    /// The handle that its document claims and that resolves to it; none when the two do not agree.
    pub handle: Option<String>,
    /// Origin of its current PDS, e.g. `http://127.0.0.1:4001`.
    pub pds: String,
    /// What its current PDS says of it.
    pub standing: Standing,
    /// What its current PDS holds; kept while it is switched off, none once it is deleted.
    pub repo: Option<Repo>,
}

/// An account's standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Visible.
    Active,
    /// Switched off by its owner.
    Deactivated,
    /// Switched off by its host for a time.
    Suspended,
    /// Switched off by its host.
    Takendown,
    /// Gone for good.
    Deleted,
}

/// A repo.
#[derive(Debug, Clone)]
pub struct Repo {
    /// Its rev.
    pub rev: String,
    /// CID of its tree's root.
    pub root: String,
    /// Its records by path, `collection/rkey`.
    pub records: BTreeMap<String, Record>,
}

/// A record.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its CID.
    pub cid: String,
    /// Its DAG-CBOR.
    pub bytes: Vec<u8>,
    /// What the bytes say, in the JSON form of the data model.
    pub json: serde_json::Value,
}
