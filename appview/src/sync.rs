//! What this server holds of the network, and how it keeps up: proof on demand.

mod alarm;
mod repo;
mod status;

use std::sync::Arc;
use std::time::Duration;

use indexer::syntax::Did;
use moka::future::Cache;
use url::Url;

pub(crate) use repo::get_repo_status;
pub(crate) use status::get_status;

/// How old an answer about everything may be: however many ask, the numbers are counted this often.
const STATUS_TTL: Duration = Duration::from_secs(2);
/// The same for one repo. The records of a large one take a tenth of a second to count.
const REPO_TTL: Duration = Duration::from_secs(1);

/// The answers of the last moment. Those who ask at once share one.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    status: Cache<(), Arc<status::Status>>,
    repos: Cache<Did, Option<Arc<repo::RepoStatus>>>,
}

impl Default for Answers {
    fn default() -> Self {
        Answers {
            status: Cache::builder().max_capacity(1).time_to_live(STATUS_TTL).build(),
            repos: Cache::builder().max_capacity(1000).time_to_live(REPO_TTL).build(),
        }
    }
}

/// A source's key as strangers may see it: scheme, host and port. Credentials in it are ours alone.
fn public_key(key: &str) -> String {
    let (scheme, rest) = key.split_once("://").unwrap_or(("", key));
    // The URL parser knows hosts of its own schemes only.
    match Url::parse(&format!("https://{rest}")) {
        Ok(url) if !scheme.is_empty() => {
            let port = url.port().map_or(String::new(), |port| format!(":{port}"));
            format!("{scheme}://{}{port}", url.host_str().unwrap_or_default())
        }
        _ => "unreadable".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_no_secrets() {
        for (key, shown) in [
            ("repos+wss://bsky.network", "repos+wss://bsky.network"),
            ("repos+ws://127.0.0.1:2583", "repos+ws://127.0.0.1:2583"),
            ("jetstream2+wss://[::1]:6008", "jetstream2+wss://[::1]:6008"),
            ("repos+wss://user:swordfish@relay.example:8443", "repos+wss://relay.example:8443"),
            (
                "jetstream1+wss://token@relay.example/swordfish?key=swordfish#x",
                "jetstream1+wss://relay.example",
            ),
            ("swordfish", "unreadable"),
            ("repos+wss://", "unreadable"),
            ("repos+wss://a b:swordfish", "unreadable"),
        ] {
            assert_eq!(public_key(key), shown, "{key}");
        }
    }
}
