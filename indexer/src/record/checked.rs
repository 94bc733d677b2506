//! What `read` functions are given: a record that was held against its lexicon, and what its fields mean.

use chrono::{DateTime, Utc};
use cid::Cid;
use ipld_core::ipld::Ipld;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Registry;
use crate::lexicon;
use crate::link::names::Names;
use crate::link::reference::Reference;
use crate::syntax::AtUri;

/// A record as `read` functions see it: checked against its lexicon.
pub(crate) struct Checked<'a> {
    pub uri: &'a AtUri,
    pub value: Ipld,
    /// When we first held anything at this URI: nothing is older than the record claims, nor newer than this.
    pub first_seen_at: DateTime<Utc>,
    pub registry: &'a Registry,
    pub names: &'a mut Names,
}

/// A blob as records name it.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct BlobRef {
    #[serde(rename = "ref")]
    pub cid: Cid,
}

/// `com.atproto.repo.strongRef` to a record, its authority a DID or a handle; one that names no record is refused.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StrongRef {
    #[serde(deserialize_with = "of_record")]
    pub uri: String,
    pub cid: String,
}

fn of_record<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    use serde::de::Error;
    let text = String::deserialize(deserializer)?;
    if text.len() > URI_MAX_BYTES {
        return Err(D::Error::custom(format!("a URI of more than {URI_MAX_BYTES} bytes")));
    }
    match Reference::at(&text) {
        Some(_) => Ok(text),
        None => text.parse::<AtUri>().map(String::from).map_err(D::Error::custom),
    }
}

/// A URI longer than this names nothing of ours, and no index could hold it.
pub const URI_MAX_BYTES: usize = 1024;

impl Checked<'_> {
    /// The value as a typed record. Its lexicon has been checked, so a failure here is a difference between the two.
    pub(super) fn typed<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let value = std::mem::replace(&mut self.value, Ipld::Null);
        ipld_core::serde::from_ipld(value).map_err(|error| error.to_string())
    }

    /// What of ours a text names, as far as that is known.
    pub(super) fn target(&mut self, text: &str) -> Option<AtUri> {
        let reference = self.registry.reference(text)?;
        self.names.resolve(self.uri, &reference).ok().flatten()
    }

    /// The track of ours that a text names.
    pub(super) fn track(&mut self, text: &str) -> Option<AtUri> {
        self.target(text).filter(|uri| uri.collection() == self.registry.track_collection())
    }

    /// The record that a field names, its authority a DID.
    pub(super) fn named(&mut self, field: &str, named: &StrongRef) -> Result<String, String> {
        let reference =
            Reference::at(&named.uri).ok_or_else(|| format!("{field}: names no record: {:?}", named.uri))?;
        match self.names.resolve(self.uri, &reference) {
            Ok(Some(uri)) => Ok(uri.into()),
            Ok(None) => Err(format!("{field}: a URI of more than {URI_MAX_BYTES} bytes")),
            Err(name) => Err(format!("{field}: {name}")),
        }
    }

    /// The order of feeds: what the record claims, but never later than we saw it.
    pub(super) fn sort_at(&self, claimed: DateTime<Utc>) -> DateTime<Utc> {
        claimed.min(self.first_seen_at)
    }
}

/// A datetime field of a checked record.
pub(super) fn datetime(field: &str, text: &str) -> Result<DateTime<Utc>, String> {
    lexicon::parse_datetime(text).ok_or_else(|| format!("{field}: not a datetime: {text:?}"))
}

/// A duration; the column is narrower than the data model, and old scrobbles hold negative ones.
pub(super) fn duration_s(value: Option<i64>) -> Option<i32> {
    value.filter(|seconds| *seconds >= 0).map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX))
}
