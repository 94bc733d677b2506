use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use url::Url;

use super::*;
use crate::net::NetOptions;
use crate::net::testing::{Answer, Http, dns, net, short_limits};

const ALICE: &str = "did:plc:ewvi7nxzyoun6zhxrhs64oiz";

fn did(text: &str) -> Did {
    text.parse().expect(text)
}

fn document(did: &str, handle: &str) -> String {
    serde_json::json!({"id": did, "alsoKnownAs": [format!("at://{handle}")]}).to_string()
}

/// A PLC directory whose answer can be changed, and the path of every request to it.
struct Plc {
    http: Http,
    answer: Arc<Mutex<Answer>>,
}

impl Plc {
    async fn new() -> Self {
        let answer = Arc::new(Mutex::new(Answer::json(document(ALICE, "first.test"))));
        let shared = answer.clone();
        let http = Http::serve(move |_, _| shared.lock().expect("not poisoned").clone()).await;
        Plc { http, answer }
    }

    fn says(&self, answer: Answer) {
        *self.answer.lock().expect("not poisoned") = answer;
    }

    fn asked(&self) -> usize {
        self.http.paths().len()
    }

    fn identity(&self, change: impl FnOnce(&mut IdentityOptions)) -> Identity {
        let mut options = IdentityOptions::new(self.http.url("/"));
        options.fetch_interval = Duration::from_millis(1);
        change(&mut options);
        Identity::new(net(&[&self.http]), options)
    }
}

fn handle_of(document: &DidDocument) -> &str {
    document.handles.first().map_or("none", Handle::as_str)
}

#[tokio::test]
async fn a_document_is_fetched_once_and_expires_however_often_it_is_read() {
    let plc = Plc::new().await;
    let identity = plc.identity(|options| options.ttl = Duration::from_millis(400));
    let alice = did(ALICE);
    assert!(identity.cached(&alice).await.is_none());
    let all = futures_util::future::join_all((0..50).map(|_| identity.document(&alice))).await;
    assert!(
        all.iter().all(|answer| answer.as_ref().is_ok_and(|document| handle_of(document) == "first.test"))
    );
    let cached = identity.cached(&alice).await.expect("an answer").expect("a document");
    assert_eq!(handle_of(&cached), "first.test");
    assert_eq!(plc.http.paths(), [format!("/{ALICE}")]);
    plc.says(Answer::json(document(ALICE, "second.test")));
    let began = Instant::now();
    while handle_of(&identity.document(&alice).await.expect("a document")) == "first.test" {
        assert!(began.elapsed() < Duration::from_secs(10), "reading kept it alive");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() > Duration::from_millis(200), "it was cached");
    assert_eq!(plc.asked(), 2);
}

#[tokio::test]
async fn gone_and_unknown_are_told_apart() {
    let plc = Plc::new().await;
    let identity = plc.identity(|options| {
        options.missing_ttl = Duration::from_millis(400);
        options.unreachable_ttl = Duration::from_millis(400);
    });
    let alice = did(ALICE);
    for (answer, is_expected) in [
        (Answer::status(404), (|e| matches!(e, IdentityError::NotFound)) as fn(&IdentityError) -> bool),
        (Answer::status(410), |e| matches!(e, IdentityError::Tombstoned)),
        (Answer::status(500), |e| matches!(e, IdentityError::Unreachable(_))),
        (Answer::status(403), |e| matches!(e, IdentityError::Unreachable(_))),
        (Answer::Hang, |e| matches!(e, IdentityError::Unreachable(NetError::Timeout))),
        (Answer::json("<html>"), |e| matches!(e, IdentityError::Unusable(_))),
        (Answer::json(document("did:plc:z72i7hdynmk6r22z27h6tvur", "x.test")), |e| {
            matches!(e, IdentityError::Unusable(_))
        }),
        (Answer::json("x".repeat(70_000)), |e| matches!(e, IdentityError::Unusable(_))),
    ] {
        plc.says(answer);
        let before = plc.asked();
        for _ in 0..3 {
            let error = identity.document(&alice).await.expect_err("an error");
            assert!(is_expected(&error), "{error:?}");
        }
        assert_eq!(plc.asked(), before + 1, "errors are remembered for a moment");
        tokio::time::sleep(Duration::from_millis(450)).await;
    }
    plc.says(Answer::json(document(ALICE, "first.test")));
    assert!(identity.document(&alice).await.is_ok(), "and only for a moment");
}

#[tokio::test]
async fn an_outage_does_not_silence_known_accounts() {
    let plc = Plc::new().await;
    let identity = plc.identity(|options| {
        options.ttl = Duration::from_millis(50);
        options.unreachable_ttl = Duration::from_millis(50);
    });
    let alice = did(ALICE);
    identity.document(&alice).await.expect("a document");
    plc.says(Answer::status(503));
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(handle_of(&identity.document(&alice).await.expect("the last one")), "first.test");
    assert!(
        matches!(identity.refresh(&alice).await, Err(IdentityError::Unreachable(_))),
        "a refresh is honest"
    );
    identity.invalidate(&alice).await;
    assert!(identity.document(&alice).await.is_err(), "what is known to be old is not used");
    plc.says(Answer::status(410));
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert!(matches!(identity.document(&alice).await, Err(IdentityError::Tombstoned)));
}

#[tokio::test]
async fn invalidation_outruns_a_request_on_its_way() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    // The first answer is old and slow.
    let http = Http::serve(move |_, _| match counter.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::Late(Duration::from_millis(200), Box::new(Answer::json(document(ALICE, "old.test")))),
        _ => Answer::json(document(ALICE, "new.test")),
    })
    .await;
    let mut options = IdentityOptions::new(http.url("/"));
    options.fetch_interval = Duration::from_millis(1);
    let identity = Identity::new(net(&[&http]), options);
    let alice = did(ALICE);
    let early = tokio::spawn({
        let (identity, alice) = (identity.clone(), alice.clone());
        async move { identity.document(&alice).await }
    });
    while asked.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    identity.invalidate(&alice).await;
    assert!(identity.cached(&alice).await.is_none());
    let late = identity.document(&alice).await.expect("a document");
    assert_eq!(handle_of(&late), "new.test");
    assert!(early.await.expect("joined").is_ok());
    assert_eq!(handle_of(&identity.document(&alice).await.expect("a document")), "new.test");
}

#[tokio::test]
async fn refreshes_and_invalidations_come_in_storms_but_requests_do_not() {
    let plc = Plc::new().await;
    let identity = plc.identity(|options| {
        options.refresh_interval = Duration::from_secs(30);
        options.fetch_interval = Duration::from_millis(100);
    });
    let alice = did(ALICE);
    identity.document(&alice).await.expect("a document");
    plc.says(Answer::json(document(ALICE, "second.test")));
    for _ in 0..100 {
        let fresh = identity.refresh(&alice).await.expect("a document");
        assert_eq!(handle_of(&fresh), "second.test");
        assert_eq!(handle_of(&identity.document(&alice).await.expect("replaced")), "second.test");
    }
    assert_eq!(plc.asked(), 2);
    let (began, before) = (Instant::now(), plc.asked());
    for _ in 0..5 {
        identity.invalidate(&alice).await;
        identity.document(&alice).await.expect("a document");
    }
    assert_eq!(plc.asked(), before + 5);
    assert!(began.elapsed() >= Duration::from_millis(400), "fetches keep their distance");
}

#[tokio::test]
async fn only_dids_of_the_network_are_asked_for() {
    let plc = Plc::new().await;
    let identity = plc.identity(|_| {});
    for odd in [
        "did:plc:x",
        "did:plc:..%2F..%2Fadmin",
        "did:plc:EWVI7NXZYOUN6ZHXRHS64OIZ",
        "did:key:zQ3sh",
        "did:web:a:b",
        "did:web:a%2Fb",
        "did:web:a%40b",
        "did:web:a%3Fb",
        "did:web:a%23b",
        "did:web:a%252Fb",
        "did:web:a%20b",
        "did:web:127.0.0.1",
        "did:web:localhost",
        "did:web:localhost%3A5432",
        "did:web:%5B%3A%3A1%5D",
    ] {
        let error = identity.document(&did(odd)).await.expect_err(odd);
        assert!(matches!(error, IdentityError::Unusable(_)), "{odd}: {error:?}");
    }
    assert_eq!(plc.asked(), 0);
}

#[tokio::test]
async fn did_web_is_read_from_a_listed_host() {
    let port = Arc::new(AtomicU16::new(0));
    let known = port.clone();
    let http = Http::serve(move |path, _| match path {
        "/.well-known/did.json" => {
            let did = format!("did:web:127.0.0.1%3A{}", known.load(Ordering::SeqCst));
            Answer::json(document(&did, "web.test"))
        }
        _ => Answer::status(404),
    })
    .await;
    port.store(http.port, Ordering::SeqCst);
    let identity = Identity::new(net(&[&http]), IdentityOptions::new(http.url("/")));
    let document =
        identity.document(&did(&format!("did:web:127.0.0.1%3A{}", http.port))).await.expect("a document");
    assert_eq!(handle_of(&document), "web.test");
}

async fn by_dns(records: &[(&str, &str)]) -> Identity {
    let name_server = Some(dns(records).await);
    let options = NetOptions { name_server, limits: short_limits(), ..NetOptions::default() };
    let plc: Url = "http://127.0.0.1:1".parse().expect("a URL");
    Identity::new(Net::new(options).expect("a client"), IdentityOptions::new(plc))
}

fn handle(text: &str) -> Handle {
    text.parse().expect(text)
}

#[tokio::test]
async fn handles_resolve_by_dns() {
    let other = "did:plc:z72i7hdynmk6r22z27h6tvur";
    let (alice_txt, other_txt) = (format!("did={ALICE}"), format!("did={other}"));
    let identity = by_dns(&[
        ("_atproto.alice.test", "v=spf1"),
        ("_atproto.alice.test", &alice_txt),
        ("_atproto.both.test", &alice_txt),
        ("_atproto.both.test", &other_txt),
        ("_atproto.broken.test", "did=nonsense"),
        ("_atproto.inside.test", "other"),
        ("inside.test", "10.0.0.1"),
    ])
    .await;
    assert_eq!(identity.resolve_handle(&handle("alice.test")).await.expect("answered"), Some(did(ALICE)));
    for none in ["both.test", "broken.test", "inside.test", "nowhere.test", "handle.invalid", "a.localhost"] {
        assert_eq!(identity.resolve_handle(&handle(none)).await.expect(none), None, "{none}");
    }
    let claims =
        |did: &str, handle: &str| DidDocument::parse(&self::did(did), document(did, handle).as_bytes());
    for (claimed, expected) in [
        (claims(ALICE, "alice.test"), Some(handle("alice.test"))),
        (claims(other, "alice.test"), None),
        (claims(ALICE, "nowhere.test"), None),
        (claims(ALICE, "not a handle"), None),
    ] {
        let claimed = claimed.expect("a document");
        assert_eq!(identity.verified_handle(&claimed).await.expect("answered"), expected);
    }
}

#[tokio::test]
async fn silent_dns_is_unknown_and_not_none() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let name_server = socket.local_addr().ok();
    let options = NetOptions { name_server, limits: short_limits(), ..NetOptions::default() };
    let plc: Url = "http://127.0.0.1:1".parse().expect("a URL");
    let identity = Identity::new(Net::new(options).expect("a client"), IdentityOptions::new(plc));
    let error = identity.resolve_handle(&handle("alice.test")).await.expect_err("nobody answers");
    assert!(error.is_transient(), "{error:?}");
}

#[tokio::test]
async fn handles_resolve_at_a_resolver() {
    let http = Http::serve(|path, _| match path {
        "/xrpc/com.atproto.identity.resolveHandle?handle=alice.test" => {
            Answer::json(format!(r#"{{"did":"{ALICE}"}}"#))
        }
        "/xrpc/com.atproto.identity.resolveHandle?handle=broken.test" => Answer::status(502),
        "/xrpc/com.atproto.identity.resolveHandle?handle=odd.test" => Answer::json(r#"{"did":"x"}"#),
        _ => {
            let body = br#"{"error":"InvalidRequest","message":"Unable to resolve handle"}"#;
            Answer::Reply(400, String::new(), body.to_vec())
        }
    })
    .await;
    let mut options = IdentityOptions::new(http.url("/"));
    options.handle_resolver_url = Some(http.url("/"));
    let identity = Identity::new(net(&[&http]), options);
    for _ in 0..3 {
        assert_eq!(identity.resolve_handle(&handle("alice.test")).await.expect("answered"), Some(did(ALICE)));
    }
    assert_eq!(http.paths().len(), 1, "remembered");
    assert_eq!(identity.resolve_handle(&handle("nobody.test")).await.expect("answered"), None);
    for broken in ["broken.test", "odd.test"] {
        assert!(
            identity.resolve_handle(&handle(broken)).await.is_err_and(|error| error.is_transient()),
            "{broken}"
        );
    }
    let claimed =
        DidDocument::parse(&did(ALICE), document(ALICE, "alice.test").as_bytes()).expect("a document");
    let before = http.paths().len();
    assert_eq!(identity.verified_handle(&claimed).await.expect("answered"), Some(handle("alice.test")));
    assert_eq!(http.paths().len(), before + 1, "verification asks anew");
}

/// A decision that cannot be taken back is made by what is true now, however fresh the answer in memory.
#[tokio::test]
async fn what_was_asked_for_a_moment_ago_is_not_from_now_on() {
    let plc = Plc::new().await;
    let identity = plc.identity(|options| options.refresh_interval = Duration::from_secs(30));
    let alice = did(ALICE);
    assert_eq!(handle_of(&identity.refresh(&alice).await.expect("a document")), "first.test");
    plc.says(Answer::json(document(ALICE, "second.test")));
    assert_eq!(handle_of(&identity.refresh(&alice).await.expect("a document")), "first.test");
    assert_eq!(handle_of(&identity.renew(&alice).await.expect("a document")), "second.test");
    assert_eq!(handle_of(&identity.document(&alice).await.expect("a document")), "second.test");
    assert_eq!(plc.asked(), 2);
    // Without an answer there is none; everybody else goes on with the last one.
    plc.says(Answer::status(503));
    assert!(identity.renew(&alice).await.is_err_and(|error| error.is_transient()));
    assert_eq!(handle_of(&identity.document(&alice).await.expect("the last one")), "second.test");
}

#[tokio::test]
async fn odd_documents_and_dids_have_names() {
    let plc = Plc::new().await;
    let identity = plc.identity(|options| options.missing_ttl = Duration::from_millis(1));
    let alice = did(ALICE);
    let service = |endpoint: &str| serde_json::json!({"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": endpoint});
    let twice = serde_json::json!({"id": ALICE, "service": [service("https://one.example"), service("https://two.example")]});
    plc.says(Answer::json(twice.to_string()));
    let document = identity.renew(&alice).await.expect("a document");
    assert_eq!(document.pds.as_ref().map(Url::as_str), Some("https://one.example/"), "the first counts");
    let deep = format!(r#"{{"id":"{ALICE}","service":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    let doubled = format!(r#"{{"id":"{ALICE}","id":"{ALICE}"}}"#);
    let many =
        serde_json::json!({"id": ALICE, "service": vec![service("https://x.example"); 1000]}).to_string();
    for (odd, named) in [(deep, "recursion"), (doubled, "duplicate"), (many, "larger than 65536 bytes")] {
        plc.says(Answer::json(odd));
        match identity.renew(&alice).await {
            Err(IdentityError::Unusable(why)) => assert!(why.contains(named), "{why}"),
            other => panic!("{named}: {other:?}"),
        }
    }
    for (odd, named) in [
        ("did:web:host.example:user:alice", "did:web"),
        ("did:web:host.example%2Fuser", "did:web"),
        ("did:web:host.example%3A99999", "port"),
        ("did:web:%FF", "utf-8"),
        ("did:key:zQ3sh", "neither did:plc nor did:web"),
    ] {
        match identity.renew(&did(odd)).await {
            Err(IdentityError::Unusable(why)) => assert!(why.contains(named), "{odd}: {why}"),
            other => panic!("{odd}: {other:?}"),
        }
    }
}
