//! Everything that a server describes, asked for in lawful and unlawful ways: by `/openapi.json`, and by the lexicons. No answer may be a
//! failure of ours, late, of a status or of a shape that is not described; and each operation must be answered well at least once, so that
//! what is described is what there is.
//!
//! `PLYR_FUZZ_REQUESTS` (120) says how many requests of each operation are made, `PLYR_FUZZ_SEED` (1) which, and `PLYR_FUZZ_ONLY` of which.

mod answer;
mod operations;
mod people;
mod values;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;

use crate::world::{Person, Plyr, network, run};
use answer::Seen;
use operations::{Body, Operation};
use values::{Known, Request, Who};

/// Requests under way at once.
const AT_ONCE: usize = 8;
/// Longer is a hang: everything is answered within ten seconds, but for what asks somebody's PDS.
const PATIENCE: Duration = Duration::from_secs(80);
/// Requests that are lawful in everything, before any other.
const LAWFUL: usize = 8;
/// Of operations of which few are made.
const FEW: usize = 24;
/// Problems that are told of one operation.
const TOLD: usize = 4;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn every_answer_is_one_that_is_described() {
    run(async {
        let many = "1000000/minute";
        let rates = [("PLYR_RATE_READ", many), ("PLYR_RATE_WRITE", many), ("PLYR_RATE_UPLOAD", many)];
        let plyr = Plyr::up_with(network(), &rates).await;
        let (person, mut known) = people::settle(network(), &plyr).await;
        let document: serde_json::Value = plyr.get("/openapi.json").await.json().await.expect("a document");
        let mut all = operations::described(&document);
        all.extend(operations::of_lexicons());
        // What takes something away comes last, and signing out after it.
        all.sort_by_key(|operation| (order(operation), operation.name.clone()));
        let shown = plyr.get("/docs").await.text().await.expect("a page");
        let only = std::env::var("PLYR_FUZZ_ONLY").unwrap_or_default();
        all.retain(|operation| operation.name.contains(&only));
        assert!(all.len() > 100 || !only.is_empty(), "{} operations", all.len());
        for operation in &all {
            assert_eq!(
                shown.matches(&format!("id=\"{}\"", operation.id)).count(),
                1,
                "{} in /docs",
                operation.name
            );
        }
        let mut rng = StdRng::seed_from_u64(number("PLYR_FUZZ_SEED", 1));
        let (mut problems, mut unanswered) = (Vec::new(), BTreeSet::new());
        let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
        for operation in &all {
            let mut found = fuzz(&plyr, &person, operation, &mut known, &mut rng, &mut statuses).await;
            if !found.was_good && !operation.may_stay_unanswered() {
                unanswered.insert(operation.name.clone());
            }
            found.problems.truncate(TOLD);
            problems.append(&mut found.problems);
        }
        eprintln!("{} operations; answers by status: {statuses:?}", all.len());
        assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
        assert!(unanswered.is_empty(), "never answered well: {unanswered:?}");
        let log = plyr.read_log();
        assert!(!log.contains("panicked"), "a panic in the log");
    });
}

/// Reads before writes before deletions.
fn order(operation: &Operation) -> u8 {
    match operation.method {
        _ if operation.id == "signOut" => 9,
        Method::GET => 0,
        Method::POST => 1,
        Method::PATCH => 2,
        // The tracks that comments and likes are of go after these.
        _ if operation.id == "deleteTrack" => 4,
        _ => 3,
    }
}

struct Found {
    problems: Vec<String>,
    was_good: bool,
}

async fn fuzz(
    plyr: &Plyr,
    person: &Person,
    operation: &Operation,
    known: &mut Known,
    rng: &mut StdRng,
    statuses: &mut BTreeMap<u16, usize>,
) -> Found {
    let wished = number("PLYR_FUZZ_REQUESTS", 120) as usize;
    let count = if operation.is_costly() { wished.min(FEW) } else { wished };
    let requests: Vec<Request> = (0..count.max(LAWFUL))
        .map(|at| values::request(operation, known, at < LAWFUL, rng))
        .map(|request| spare(operation, request))
        .collect();
    let seen: Vec<(Request, Result<Seen, String>)> = futures_util::stream::iter(requests)
        .map(|request| async {
            let seen = send(plyr, person, operation, &request).await;
            (request, seen)
        })
        // Of one person few uploads are taken at once.
        .buffered(if operation.id == "uploadTrack" { 1 } else { AT_ONCE })
        .collect()
        .await;
    let mut found = Found { problems: Vec::new(), was_good: false };
    for (request, seen) in seen {
        let judged = seen.and_then(|seen| {
            *statuses.entry(seen.status).or_default() += 1;
            found.was_good |= seen.status < 400 && seen.status != 304;
            known.learn(&seen);
            operation.judge.judge(&seen, request.is_head).map_err(|why| format!("{why}; answered {seen}"))
        });
        if let Err(why) = judged {
            found.problems.push(format!("{}: {request}\n    {why}", operation.name));
        }
    }
    found
}

/// The session is needed until the end.
fn spare(operation: &Operation, mut request: Request) -> Request {
    if operation.id == "signOut" && matches!(request.who, Who::Cookie | Who::Bearer) {
        request.who = Who::BadBearer;
    }
    request
}

async fn send(
    plyr: &Plyr,
    person: &Person,
    operation: &Operation,
    request: &Request,
) -> Result<Seen, String> {
    let method = if request.is_head { Method::HEAD } else { operation.method.clone() };
    let url = format!("{}{}", plyr.url, request.target);
    let session = person.session().expect("signed in");
    let mut outgoing = person.agent.http.request(method, &url).timeout(PATIENCE);
    outgoing = match request.who {
        Who::Nobody => outgoing,
        Who::Cookie => {
            outgoing.header("cookie", format!("session_id={session}")).header("origin", &person.origin)
        }
        Who::Foreign => outgoing
            .header("cookie", format!("session_id={session}"))
            .header("origin", "https://evil.example"),
        Who::Bearer => outgoing.bearer_auth(&session),
        Who::BadBearer => outgoing.bearer_auth("A".repeat(43)),
        Who::BadJwt => outgoing.bearer_auth("e30.e30.e30"),
    };
    outgoing = match &request.body {
        Body::None => outgoing,
        Body::Raw(kind, bytes) => outgoing.header("content-type", kind).body(bytes.clone()),
        Body::Form(fields) => outgoing.multipart_of(fields),
    };
    Seen::of(outgoing).await.map_err(|error| format!("no answer: {error}"))
}

/// Forms, by hand: the client that the tests share has none.
trait MultipartOf {
    fn multipart_of(self, fields: &[(String, bool, Vec<u8>)]) -> Self;
}

impl MultipartOf for reqwest::RequestBuilder {
    fn multipart_of(self, fields: &[(String, bool, Vec<u8>)]) -> Self {
        let boundary = format!("plyr{:016x}", rand::rng().random::<u64>());
        let mut body = Vec::new();
        for (name, is_file, bytes) in fields {
            let file = if *is_file { "; filename=\"a.wav\"" } else { "" };
            let head =
                format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        self.header("content-type", format!("multipart/form-data; boundary={boundary}")).body(body)
    }
}
