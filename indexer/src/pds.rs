//! Questions to an account's current PDS, each answer verified where it can be.
//!
//! <https://docs.bsky.app/docs/api/com-atproto-sync-get-repo> and its neighbours.

mod whole;

use bytes::Bytes;
use chrono::{SubsecRound, Utc};
use rand::Rng;
use serde::Deserialize;
use std::time::Duration;
use url::Url;

use crate::Indexer;
use crate::change::{Asked, Op, Proof, Status};
use crate::identity::{DidDocument, IdentityError};
use crate::net::NetError;
use crate::proto::commit::rev_is_in_future;
use crate::proto::key::PublicKey;
use crate::proto::repo_file::RepoFileError;
use crate::proto::verify::{self, CommitProblem};
use crate::syntax::{AtUri, Did, Nsid, Rkey, Tid};
pub use whole::{WholeRepo, open_repo};

/// A record and the path to it.
const RECORD_BYTES_MAX: u64 = 8 << 20;
/// Before a large repo asks again for a place.
const CROWDED_REST: Duration = Duration::from_secs(10);
/// Answers in JSON.
const JSON_BYTES_MAX: u64 = 2 << 20;

/// Why a question to a PDS has no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum PdsError {
    /// Who it is could not be found out.
    #[error("identity: {0}")]
    Identity(#[from] IdentityError),
    /// The DID document names no usable PDS or signing key.
    #[error("the DID document has no usable {0}")]
    Document(&'static str),
    /// The PDS did not answer, or refused.
    #[error("PDS: {0}")]
    Net(#[from] NetError),
    /// The answer is not what the account signed.
    #[error("{name}: {0}", name = .0.name())]
    Unproven(#[from] CommitProblem),
    /// The answer's rev lies in the future.
    #[error("FutureRev: rev {0} is more than five minutes ahead")]
    FutureRev(Tid),
    /// The database refused some of it; each is kept aside.
    #[error("{0} of its records were refused by the database and kept aside")]
    Refused(usize),
    /// It is large, and as many large ones as may be are being read.
    #[error("it is large, and others that are large are being read")]
    Crowded,
    /// There is no room to put the repo down.
    #[error("spool: {0}")]
    Spool(std::io::Error),
    /// What we know already could not be read.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
}

impl From<RepoFileError> for PdsError {
    fn from(error: RepoFileError) -> Self {
        match error {
            RepoFileError::Unproven(problem) => PdsError::Unproven(problem),
            RepoFileError::Spool(error) => PdsError::Spool(error),
        }
    }
}

impl PdsError {
    /// Whether the same question may have an answer later: time ran out, somebody was away, busy or broken.
    pub fn is_transient(&self) -> bool {
        match self {
            PdsError::Identity(error) => error.is_transient(),
            PdsError::Net(error) => error.is_transient(),
            PdsError::Database(_) | PdsError::Spool(_) | PdsError::Crowded => true,
            PdsError::Document(_) | PdsError::Unproven(_) | PdsError::FutureRev(_) | PdsError::Refused(_) => {
                false
            }
        }
    }

    /// Whether there was an answer that says nothing: its bytes may have been damaged on their way.
    pub fn is_doubtful(&self) -> bool {
        matches!(self, PdsError::Unproven(_) | PdsError::Net(NetError::Malformed(_)))
    }

    /// How long whoever was asked wants to be left alone, if they said so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            PdsError::Net(error) | PdsError::Identity(IdentityError::Unreachable(error)) => {
                error.retry_after()
            }
            PdsError::Crowded => Some(CROWDED_REST),
            _ => None,
        }
    }

    /// Whether it is for others of ours to go first, and the PDS has refused nothing.
    pub fn is_of_ours(&self) -> bool {
        matches!(self, PdsError::Crowded | PdsError::Net(NetError::Resting(_)))
    }

    /// A name that stays, for grouping: `RepoDeactivated`, `BadSignature`, `Unreachable`.
    pub fn name(&self) -> String {
        match self {
            PdsError::Identity(IdentityError::NotFound) => "NoSuchDid",
            PdsError::Identity(IdentityError::Tombstoned) => "Tombstoned",
            PdsError::Identity(IdentityError::Unusable(_)) => "UnusableIdentity",
            PdsError::Identity(IdentityError::Unreachable(_)) => "IdentityUnreachable",
            PdsError::Document(_) => "UnusableIdentity",
            PdsError::Unproven(problem) => problem.name(),
            PdsError::FutureRev(_) => "FutureRev",
            PdsError::Refused(_) => "Refused",
            PdsError::Spool(_) => "Spool",
            PdsError::Crowded => "Busy",
            PdsError::Database(_) => "Database",
            PdsError::Net(NetError::Status(status)) => {
                // A host may answer with anything.
                let is_name = |text: &&String| {
                    text.len() <= 60 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
                };
                let named = status.error.as_ref().filter(is_name).filter(|text| !text.is_empty());
                return named.cloned().unwrap_or_else(|| format!("Status{}", status.code));
            }
            PdsError::Net(NetError::Timeout) => "Timeout",
            PdsError::Net(NetError::TooLarge { .. }) => "TooLarge",
            PdsError::Net(NetError::Refused(_)) => "AddressRefused",
            PdsError::Net(NetError::Malformed(_)) => "UnreadableAnswer",
            PdsError::Net(NetError::Resting(_)) => "Busy",
            PdsError::Net(NetError::Io(_) | NetError::NoSuchName(_)) => "Unreachable",
        }
        .to_owned()
    }

    /// The standing of the account, where the PDS refused because of it, or there is no such account any more.
    pub fn status(&self) -> Option<Status> {
        let error = match self {
            PdsError::Net(error) => error,
            PdsError::Identity(IdentityError::Tombstoned) => return Some(Status::Deleted),
            _ => return None,
        };
        match error.status()?.error.as_deref()? {
            "RepoNotFound" => Some(Status::Deleted),
            "RepoTakendown" => Some(Status::Takendown),
            "RepoSuspended" => Some(Status::Suspended),
            "RepoDeactivated" => Some(Status::Deactivated),
            _ => None,
        }
    }
}

/// The key that signs the repo of a DID document.
pub fn signing_key(document: &DidDocument) -> Result<PublicKey, PdsError> {
    let key = document.signing_key.as_ref().and_then(|key| key.key.clone());
    key.ok_or(PdsError::Document("signing key"))
}

fn endpoint(document: &DidDocument, method: &str, query: &[(&str, &str)]) -> Result<Url, PdsError> {
    let pds = document.pds.as_ref().ok_or(PdsError::Document("PDS"))?;
    xrpc(pds, method, query).ok_or(PdsError::Document("PDS"))
}

/// The URL of an XRPC query at a host.
pub fn xrpc(host: &Url, method: &str, query: &[(&str, &str)]) -> Option<Url> {
    let mut url = host.join(&format!("/xrpc/{method}")).ok()?;
    url.query_pairs_mut().extend_pairs(query);
    Some(url)
}

/// How often [`patiently`] asks.
const ATTEMPTS: u32 = 3;
/// What it waits at most before it asks again.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again, a few times, where a host was away or wanted to be left alone for a moment.
pub async fn patiently<T, F: Future<Output = Result<T, PdsError>>>(
    mut ask: impl FnMut() -> F,
) -> Result<T, PdsError> {
    let mut attempt = 0;
    loop {
        attempt += 1;
        match ask().await {
            Err(error) if error.is_transient() && attempt < ATTEMPTS => {
                let pause = Duration::from_secs(1 << attempt).mul_f64(rand::rng().random_range(0.5..1.0));
                let pause = pause.max(error.retry_after().unwrap_or_default());
                if pause > PATIENCE {
                    return Err(error);
                }
                tokio::time::sleep(pause).await;
            }
            answer => return answer,
        }
    }
}

/// What we hold of a repo now, to be compared when the answer arrives.
async fn asked(indexer: &Indexer, did: &Did) -> sqlx::Result<Asked> {
    // Before the request is sent: whatever changes while it is on its way is newer.
    let at = Utc::now().trunc_subsecs(6);
    let row = sqlx::query!("select epoch, seen_rev from repo where did = $1", did.as_str())
        .fetch_optional(&indexer.door.pool)
        .await?;
    let (epoch, seen_rev) = row.map_or((0, None), |row| (row.epoch, row.seen_rev));
    Ok(Asked { epoch, seen_rev: seen_rev.and_then(|rev| rev.parse().ok()), at })
}

/// Fetches the bytes of an answer signed by the account and verifies them, with the key looked up anew if the known one
/// does not fit.
async fn verified<T>(
    indexer: &Indexer,
    did: &Did,
    (method, query, cap_bytes): (&str, &[(&str, &str)], u64),
    verify: impl Fn(&[u8], &PublicKey) -> Result<T, CommitProblem>,
) -> Result<T, PdsError> {
    let document = indexer.identity.document(did).await?;
    let url = endpoint(&document, method, query)?;
    let bytes = {
        let _turn = indexer.net.turn(&url).await?;
        indexer.net.get_bytes(&url, cap_bytes).await?
    };
    match verify(&bytes, &signing_key(&document)?) {
        Err(CommitProblem::BadSignature(_)) => {
            let document = indexer.identity.refresh(did).await?;
            Ok(verify(&bytes, &signing_key(&document)?)?)
        }
        other => Ok(other?),
    }
}

/// Proves one record, or that there is none.
pub async fn get_record(
    indexer: &Indexer,
    did: &Did,
    collection: &Nsid,
    rkey: &Rkey,
) -> Result<Proof, PdsError> {
    let asked = asked(indexer, did).await?;
    let query = [("did", did.as_str()), ("collection", collection.as_str()), ("rkey", rkey.as_str())];
    let question = ("com.atproto.sync.getRecord", query.as_slice(), RECORD_BYTES_MAX);
    let record =
        verified(indexer, did, question, |car, key| verify::verify_record(car, did, key, collection, rkey))
            .await?;
    if rev_is_in_future(&record.rev, Utc::now()) {
        return Err(PdsError::FutureRev(record.rev));
    }
    let op = match record.value {
        Some((cid, bytes)) => Op::Put { cid, value: Bytes::from(bytes) },
        None => Op::Delete,
    };
    Ok(Proof { uri: AtUri::new(did, collection, rkey), rev: record.rev, op, asked })
}

#[derive(Deserialize)]
struct RepoStatus {
    active: bool,
    status: Option<String>,
}

/// The account's standing at its own PDS. None when the PDS uses a word that says nothing about it.
pub async fn get_repo_status(indexer: &Indexer, document: &DidDocument) -> Result<Option<Status>, PdsError> {
    let url = endpoint(document, "com.atproto.sync.getRepoStatus", &[("did", document.did.as_str())])?;
    let answer: RepoStatus = indexer.net.get_json(&url, JSON_BYTES_MAX).await?;
    Ok(Status::read(answer.active, answer.status.as_deref()))
}

#[derive(Deserialize)]
struct RepoDescription {
    collections: Vec<String>,
}

/// Whether a repo has records of collections that make it tracked.
pub async fn concerns_us(indexer: &Indexer, did: &Did) -> Result<bool, PdsError> {
    let document = indexer.identity.document(did).await?;
    let url = endpoint(&document, "com.atproto.repo.describeRepo", &[("repo", did.as_str())])?;
    let answer: RepoDescription = {
        let _turn = indexer.net.turn(&url).await?;
        indexer.net.get_json(&url, JSON_BYTES_MAX).await?
    };
    let registry = &indexer.door.registry;
    Ok(answer.collections.iter().any(|nsid| registry.get(nsid).is_some_and(|collection| collection.tracks)))
}

/// An account's newest commit as its PDS states it, without proof.
#[derive(Debug, Clone, Deserialize)]
pub struct LatestCommit {
    /// Its rev.
    pub rev: Tid,
}

/// Asks an account's PDS for its newest commit: whether it is worth reading the repo.
pub async fn latest_commit(indexer: &Indexer, did: &Did) -> Result<LatestCommit, PdsError> {
    let document = indexer.identity.document(did).await?;
    let url = endpoint(&document, "com.atproto.sync.getLatestCommit", &[("did", did.as_str())])?;
    let _turn = indexer.net.turn(&url).await?;
    Ok(indexer.net.get_json(&url, JSON_BYTES_MAX).await?)
}

/// One line of `listRepos`.
#[derive(Debug, Clone, Deserialize)]
pub struct ListedRepo {
    /// Whose.
    pub did: Did,
    /// Its rev at that host.
    pub rev: Tid,
    /// Whether that host shows it.
    #[serde(default = "yes")]
    pub active: bool,
    /// Why not.
    pub status: Option<String>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct RepoList {
    cursor: Option<String>,
    repos: Vec<serde_json::Value>,
}

/// A page of a host's repos, and where the next begins. Lines that cannot be read are counted in the third part.
pub async fn list_repos(
    indexer: &Indexer,
    host: &Url,
    cursor: Option<&str>,
) -> Result<(Vec<ListedRepo>, Option<String>, usize), PdsError> {
    let mut query = vec![("limit", "1000")];
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    let url = xrpc(host, "com.atproto.sync.listRepos", &query).ok_or(PdsError::Document("host"))?;
    let page: RepoList = indexer.net.get_json(&url, JSON_BYTES_MAX).await?;
    let lines = page.repos.len();
    let repos: Vec<ListedRepo> =
        page.repos.into_iter().filter_map(|line| serde_json::from_value(line).ok()).collect();
    let unreadable = lines - repos.len();
    Ok((repos, page.cursor.filter(|_| lines > 0), unreadable))
}

#[derive(Deserialize)]
struct DidList {
    cursor: Option<String>,
    repos: Vec<serde_json::Value>,
}

/// A page of the accounts that have records of a collection, and where the next begins; none when the host keeps no such
/// list: a bare PDS does not.
pub async fn list_repos_by_collection(
    indexer: &Indexer,
    host: &Url,
    collection: &str,
    cursor: Option<&str>,
) -> Result<Option<(Vec<Did>, Option<String>)>, PdsError> {
    let mut query = vec![("collection", collection), ("limit", "1000")];
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    let method = "com.atproto.sync.listReposByCollection";
    let url = xrpc(host, method, &query).ok_or(PdsError::Document("host"))?;
    let page: DidList = match indexer.net.get_json(&url, JSON_BYTES_MAX).await {
        Ok(page) => page,
        // Hosts say in many ways that they do not know a method: 501, 404, 400, 401 by those who would pass it on.
        Err(NetError::Status(status))
            if cursor.is_none() && (status.code == 501 || matches!(status.code, 400..=407)) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let is_empty = page.repos.is_empty();
    let did = |line: serde_json::Value| line.get("did")?.as_str()?.parse().ok();
    let dids = page.repos.into_iter().filter_map(did).collect();
    Ok(Some((dids, page.cursor.filter(|_| !is_empty))))
}
