//! What a subscriber asked for.

use std::collections::HashSet;

use super::{Body, Event};

const DIDS_MAX: usize = 10_000;
const COLLECTIONS_MAX: usize = 100;
const KINDS: [&str; 4] = ["commit", "identity", "account", "sync"];

/// What is delivered. Empty sets let everything through.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    kinds: HashSet<String>,
    dids: HashSet<String>,
    collections: HashSet<String>,
    prefixes: Vec<String>,
    max_message_bytes: usize,
}

/// Query parameters as they came.
pub(super) type Query = Vec<(String, String)>;

/// All values of a parameter.
pub(super) fn all<'a>(query: &'a Query, name: &str) -> Vec<&'a str> {
    query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
}

/// The first value of a parameter, none when it is empty.
pub(super) fn one<'a>(query: &'a Query, name: &str) -> Option<&'a str> {
    all(query, name).first().copied().filter(|value| !value.is_empty())
}

impl Filter {
    /// The parameters of the dialect that counts.
    pub fn v2(query: &Query) -> Result<Self, String> {
        for (legacy, modern) in [
            ("wantedDids", "use dids"),
            ("wantedCollections", "use collections"),
            ("requireHello", "server-push only"),
        ] {
            if query.iter().any(|(key, _)| key == legacy) {
                return Err(format!("{legacy} is not a parameter of this endpoint: {modern}"));
            }
        }
        let kinds = all(query, "kinds");
        if let Some(kind) = kinds.iter().find(|kind| !KINDS.contains(kind)) {
            return Err(format!("unknown kind {kind:?}"));
        }
        let mut filter = Filter::of(&all(query, "dids"), &all(query, "collections"))?;
        filter.kinds = kinds.into_iter().map(str::to_owned).collect();
        let has_collections = !filter.collections.is_empty() || !filter.prefixes.is_empty();
        if has_collections && !filter.kinds.is_empty() && !filter.kinds.contains("commit") {
            return Err("collections can never apply: kinds excludes commit".into());
        }
        filter.max_message_bytes = bytes(query)?;
        Ok(filter)
    }

    /// The parameters of the dialect of times.
    pub fn v1(query: &Query) -> Result<Self, String> {
        let mut filter = Filter::of(&all(query, "wantedDids"), &all(query, "wantedCollections"))?;
        filter.max_message_bytes = bytes(query)?;
        Ok(filter)
    }

    /// `options_update` of the dialect of times.
    pub fn update(text: &str) -> Result<Self, String> {
        let message: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if message["type"] != "options_update" {
            return Err(format!("not a message to send: {}", message["type"]));
        }
        let payload = &message["payload"];
        let list = |name: &str| -> Vec<&str> {
            payload[name].as_array().into_iter().flatten().filter_map(|item| item.as_str()).collect()
        };
        let mut filter = Filter::of(&list("wantedDids"), &list("wantedCollections"))?;
        let bytes = payload["maxMessageSizeBytes"].as_u64().unwrap_or_default();
        filter.max_message_bytes = usize::try_from(bytes).unwrap_or_default();
        Ok(filter)
    }

    fn of(dids: &[&str], collections: &[&str]) -> Result<Self, String> {
        if dids.len() > DIDS_MAX {
            return Err(format!("too many wanted DIDs: {} > {DIDS_MAX}", dids.len()));
        }
        if collections.len() > COLLECTIONS_MAX {
            return Err(format!("too many wanted collections: {} > {COLLECTIONS_MAX}", collections.len()));
        }
        if let Some(did) = dids.iter().find(|did| !did.starts_with("did:")) {
            return Err(format!("invalid DID: {did}"));
        }
        let mut filter =
            Filter { dids: dids.iter().map(|did| (*did).to_owned()).collect(), ..Filter::default() };
        for collection in collections {
            let is_nsid = |text: &str| {
                text.contains('.') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
            };
            match collection.strip_suffix(".*") {
                Some(prefix) if is_nsid(prefix) => filter.prefixes.push(format!("{prefix}.")),
                None if is_nsid(collection) => {
                    filter.collections.insert((*collection).to_owned());
                }
                _ => return Err(format!("invalid collection: {collection}")),
            }
        }
        Ok(filter)
    }

    /// Whether an event is delivered. In the dialect of times, accounts and identities always are.
    pub fn wants(&self, event: &Event) -> bool {
        let (kind, collection) = match &event.body {
            Body::Commit(commit) => ("commit", Some(commit.collection.as_str())),
            Body::Identity(_) => ("identity", None),
            Body::Account(_) => ("account", None),
            Body::Sync(_) => ("sync", None),
        };
        let wants_all = self.collections.is_empty() && self.prefixes.is_empty();
        (self.kinds.is_empty() || self.kinds.contains(kind))
            && (self.dids.is_empty() || self.dids.contains(&event.did))
            && (wants_all || collection.is_none_or(|nsid| self.matches(nsid)))
    }

    fn matches(&self, nsid: &str) -> bool {
        self.collections.contains(nsid)
            || self.prefixes.iter().any(|prefix| nsid.starts_with(prefix.as_str()))
    }

    /// Whether a message is short enough.
    pub fn fits(&self, message: &str) -> bool {
        self.max_message_bytes == 0 || message.len() <= self.max_message_bytes
    }
}

fn bytes(query: &Query) -> Result<usize, String> {
    let text = one(query, "maxMessageSizeBytes").unwrap_or("0");
    text.parse().map_err(|_| format!("invalid maxMessageSizeBytes: {text}"))
}
