//! Questions about accounts and repos, as a PDS or a relay answers them.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::{json_of, refuse};
use super::{Answer, Params, Source};
use crate::network::Shared;
use crate::truth::Standing;
use crate::wire::{Cid, car};
use crate::world::{Account, Home, Known, Repo, World};

/// Answers an XRPC query.
pub(super) fn answer(shared: &Shared, source: Source, method: &str, params: &Params) -> Answer {
    let world = shared.world();
    match (method, source) {
        ("com.atproto.identity.resolveHandle", _) => resolve(&world, params),
        ("com.atproto.server.describeServer", Source::Host(host)) => json_of(
            json!({"did": format!("did:web:host{host}.sim.test"), "availableUserDomains": [".sim.test"]}),
        ),
        ("_health", _) => json_of(json!({"version": "sim"})),
        ("com.atproto.sync.getRepo" | "com.atproto.sync.getRecord", Source::Host(host)) => {
            let found = find(&world, host, params)
                .and_then(|(account, home)| Ok((account.did.clone(), standing(home)?)));
            // The rest takes time and needs no world.
            drop(world);
            match (found, method) {
                (Err(refusal), _) => refusal,
                (Ok((_, repo)), "com.atproto.sync.getRepo") => Answer::Car(repo_car(&repo, host % 2 == 1)),
                (Ok((_, repo)), _) => record_car(&repo, params),
            }
        }
        ("com.atproto.sync.getRepo", Source::Relay(_)) => match world.account(param(params, "did")) {
            Some(account) => Answer::Elsewhere(format!(
                "{}/xrpc/com.atproto.sync.getRepo?did={}",
                shared.addresses.hosts.get(account.host).map_or("", String::as_str),
                account.did.replace('%', "%25")
            )),
            None => refuse("RepoNotFound", "no such repo"),
        },
        ("com.atproto.sync.getLatestCommit", Source::Host(host)) => {
            match find(&world, host, params).and_then(|(_, home)| standing(home)) {
                Ok(repo) => json_of(json!({"cid": repo.commit.cid.to_string(), "rev": repo.commit.rev})),
                Err(refusal) => refusal,
            }
        }
        ("com.atproto.sync.getRepoStatus", Source::Host(host)) => match find(&world, host, params) {
            Ok((account, home)) if home.standing != Standing::Deleted => json_of(status(&account.did, home)),
            Ok(_) => refuse("RepoNotFound", "no such repo"),
            Err(refusal) => refusal,
        },
        ("com.atproto.sync.getLatestCommit" | "com.atproto.sync.getRepoStatus", Source::Relay(relay)) => {
            known(&world, relay, method, params)
        }
        ("com.atproto.sync.listRepos", Source::Host(host)) => list_of_host(&world, host, params),
        ("com.atproto.sync.listRepos", Source::Relay(relay)) => list_of_relay(&world, relay, params),
        ("com.atproto.sync.listReposByCollection", Source::Relay(relay)) => {
            list_by_collection(&world, relay, params)
        }
        ("com.atproto.repo.describeRepo", Source::Host(host)) => describe(&world, host, params),
        ("com.atproto.sync.getBlob", Source::Host(_)) => refuse("BlobNotFound", "no such blob"),
        _ => Answer::Json(
            StatusCode::NOT_IMPLEMENTED,
            json!({"error": "MethodNotImplemented", "message": "Method Not Implemented"}),
        ),
    }
}

fn param<'a>(params: &'a Params, name: &str) -> &'a str {
    params.get(name).map_or("", String::as_str)
}

pub(super) fn resolve(world: &World, params: &Params) -> Answer {
    match world.resolve(&param(params, "handle").to_ascii_lowercase()) {
        Some(did) => json_of(json!({"did": did})),
        None => refuse("HandleNotFound", "Unable to resolve handle"),
    }
}

/// What a host has of the account that is asked for.
fn find<'w>(world: &'w World, host: usize, params: &Params) -> Result<(&'w Account, &'w Home), Answer> {
    let did = params.get("did").or_else(|| params.get("repo")).map_or("", String::as_str);
    let account = world.account(did);
    let home = account.and_then(|account| Some((account, account.homes.get(&host)?)));
    home.ok_or_else(|| refuse("RepoNotFound", "no such repo"))
}

/// The repo, if the host shows it.
fn standing(home: &Home) -> Result<Repo, Answer> {
    let (name, message) = match home.standing {
        Standing::Active => ("RepoNotFound", "no repo yet"),
        Standing::Deactivated => ("RepoDeactivated", "the account is deactivated"),
        Standing::Suspended => ("RepoSuspended", "the account is suspended"),
        Standing::Takendown => ("RepoTakendown", "the account is taken down"),
        Standing::Deleted => ("RepoNotFound", "no such repo"),
    };
    let repo = home.repo.clone().filter(|_| home.standing == Standing::Active);
    repo.ok_or_else(|| refuse(name, message))
}

/// A whole repo; in the order of the tree, or in none.
fn repo_car(repo: &Repo, is_shuffled: bool) -> Vec<u8> {
    let mut blocks = repo.tree.nodes();
    let mut records: Vec<_> = repo.tree.leaves().iter().map(|leaf| (leaf.cid, leaf.bytes.clone())).collect();
    records.sort_by_key(|(cid, _)| *cid);
    records.dedup_by_key(|(cid, _)| *cid);
    if !is_shuffled {
        // As the tree has them, each once.
        let mut seen = BTreeSet::new();
        records = repo.tree.leaves().iter().map(|leaf| (leaf.cid, leaf.bytes.clone())).collect();
        records.retain(|(cid, _)| seen.insert(*cid));
    }
    blocks.extend(records);
    if is_shuffled {
        blocks.sort_by_key(|(cid, _)| *cid);
    }
    blocks.insert(0, (repo.commit.cid, repo.commit.block.clone()));
    car(&repo.commit.cid, &blocks)
}

/// A record, or the proof that there is none.
fn record_car(repo: &Repo, params: &Params) -> Answer {
    let path = format!("{}/{}", param(params, "collection"), param(params, "rkey"));
    let mut blocks = vec![(repo.commit.cid, repo.commit.block.clone())];
    blocks.extend(repo.tree.nodes_towards([path.as_str()]));
    blocks.extend(repo.tree.get(&path).map(|leaf| (leaf.cid, leaf.bytes.clone())));
    Answer::Car(car(&repo.commit.cid, &blocks))
}

fn status(did: &str, home: &Home) -> Value {
    let mut status = json!({"did": did, "active": home.standing == Standing::Active});
    match (home.standing.word(), &home.repo) {
        (Some(word), _) => status["status"] = word.into(),
        (None, Some(repo)) => status["rev"] = repo.commit.rev.clone().into(),
        (None, None) => {}
    }
    status
}

fn known(world: &World, relay: usize, method: &str, params: &Params) -> Answer {
    let did = param(params, "did");
    let Some(known) = world.relays().get(relay).and_then(|relay| relay.known.get(did)) else {
        return refuse("RepoNotFound", "no such repo");
    };
    match (method, known.standing.word(), &known.head) {
        ("com.atproto.sync.getRepoStatus", None, _) => json_of(json!({"did": did, "active": true})),
        ("com.atproto.sync.getRepoStatus", Some(word), _) => {
            json_of(json!({"did": did, "active": false, "status": word}))
        }
        (_, None, Some((rev, cid))) => json_of(json!({"cid": cid.to_string(), "rev": rev})),
        _ => refuse("RepoNotFound", "no repo to show"),
    }
}

/// A page of something: where it begins, how long it is.
fn page(params: &Params, most: usize) -> (usize, usize) {
    let limit = param(params, "limit").parse().unwrap_or(500).clamp(1, most);
    (param(params, "cursor").parse().unwrap_or(0), limit)
}

fn paged(from: usize, limit: usize, repos: Vec<Value>) -> Answer {
    let more = repos.len() == limit;
    let mut answer = json!({"repos": repos});
    if more {
        answer["cursor"] = (from + limit).to_string().into();
    }
    json_of(answer)
}

fn list_of_host(world: &World, host: usize, params: &Params) -> Answer {
    let (from, limit) = page(params, 1000);
    let Some(of_host) = world.hosts().get(host) else { return paged(from, limit, Vec::new()) };
    let lines = of_host.accounts.iter().filter_map(|who| {
        let account = world.accounts().get(*who)?;
        let home = account.homes.get(&host)?;
        let repo = home.repo.as_ref()?;
        Some(line(&account.did, &repo.commit.rev, repo.commit.cid, home.standing))
    });
    paged(from, limit, lines.skip(from).take(limit).collect())
}

fn list_of_relay(world: &World, relay: usize, params: &Params) -> Answer {
    let (from, limit) = page(params, 1000);
    let Some(relay) = world.relays().get(relay) else { return paged(from, limit, Vec::new()) };
    let lines = relay.known.iter().filter_map(|(did, Known { head, standing })| {
        let (rev, cid) = head.as_ref()?;
        Some(line(did, rev, *cid, *standing))
    });
    paged(from, limit, lines.skip(from).take(limit).collect())
}

fn line(did: &str, rev: &str, head: Cid, standing: Standing) -> Value {
    let mut line =
        json!({"did": did, "head": head.to_string(), "rev": rev, "active": standing == Standing::Active});
    if let Some(word) = standing.word() {
        line["status"] = word.into();
    }
    line
}

fn list_by_collection(world: &World, relay: usize, params: &Params) -> Answer {
    let (from, limit) = page(params, 2000);
    let prefix = format!("{}/", param(params, "collection"));
    let Some(relay) = world.relays().get(relay) else { return paged(from, limit, Vec::new()) };
    let has = |did: &String| {
        let repo = world.account(did).and_then(Account::home).and_then(|home| home.repo.as_ref());
        repo.and_then(|repo| repo.tree.first_from(&prefix)).is_some_and(|leaf| leaf.path.starts_with(&prefix))
    };
    let shown = relay.known.iter().filter(|(_, known)| known.standing == Standing::Active);
    let lines = shown.map(|(did, _)| did).filter(|did| has(did)).map(|did| json!({"did": did}));
    paged(from, limit, lines.skip(from).take(limit).collect())
}

fn describe(world: &World, host: usize, params: &Params) -> Answer {
    let found = find(world, host, params).and_then(|(account, home)| Ok((account, standing(home)?)));
    let (account, repo) = match found {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let leaves = repo.tree.leaves();
    let collections: BTreeSet<&str> =
        leaves.iter().filter_map(|leaf| Some(leaf.path.split_once('/')?.0)).collect();
    json_of(json!({
        "handle": account.handle,
        "did": account.did,
        "didDoc": world.document(&account.did),
        "collections": collections,
        "handleIsCorrect": world.resolve(&account.handle) == Some(&account.did)
    }))
}
