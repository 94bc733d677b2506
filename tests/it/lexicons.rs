//! Lexicons told and published: the real binary writes them, the real PDS reads them.

use std::io::Write;
use std::process::{Command, Stdio};

use reqwest::Url;
use serde_json::json;

use crate::world::agent::Agent;
use crate::world::network::{Network, node};
use crate::world::plyr::binary;
use crate::world::{Account, checkout, run};

const SCHEMA: &str = "com.atproto.lexicon.schema";
const SET: &str = "fm.plyr.authFullApp";

/// What came of a command: whether it was good, and what it said.
fn outcome(mut command: Command, input: &str) -> (bool, String) {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it runs");
    // Nobody may be reading.
    child.stdin.take().expect("piped").write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
    assert!(!text.contains("panicked"), "{text}");
    (output.status.success(), text)
}

fn lexicons(arguments: &[&str]) -> (bool, String) {
    let mut command = binary();
    command.arg("lexicons").args(arguments);
    outcome(command, "")
}

struct Publisher<'a> {
    net: &'a Network,
    account: Account,
}

impl Publisher<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = binary();
        let loopback = format!("http://127.0.0.1:{}", self.net.pds_port);
        command.args(["lexicons", "publish"]).args(arguments).envs([
            ("PLYR_PLC_URL", self.net.plc.as_str()),
            ("PLYR_PRIVATE_HOSTS", &format!("localhost:{}", self.net.pds_port)),
            ("PLYR_HANDLE_RESOLVER_URL", &loopback),
        ]);
        command
    }

    /// Publishes by handle, with the password in the environment.
    fn publish(&self, arguments: &[&str]) -> String {
        let mut command = self.command(&[&["--handle", &self.account.handle], arguments].concat());
        command.env("PLYR_APP_PASSWORD", &self.account.password);
        let (good, text) = outcome(command, "");
        assert!(good, "{text}");
        assert!(!text.contains(&self.account.password), "{text}");
        text
    }

    async fn published(&self) -> Vec<String> {
        let records = self.account.list_records(SCHEMA).await;
        let mut names: Vec<_> =
            records.iter().map(|(uri, _)| uri.rsplit('/').next().expect("a key").to_owned()).collect();
        names.sort();
        names
    }

    fn uri(&self, nsid: &str) -> String {
        format!("at://{}/{SCHEMA}/{nsid}", self.account.did)
    }
}

fn ours() -> Vec<indexer::lexicon::Source> {
    indexer::lexicon::sources().filter(|source| source.nsid.starts_with("fm.plyr.")).collect()
}

#[test]
fn they_are_told_as_they_are() {
    let (good, text) = lexicons(&["list"]);
    assert!(good, "{text}");
    let named: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(named, ours().iter().map(|source| source.nsid.as_str()).collect::<Vec<_>>());
    let (good, all) = lexicons(&["list", "--all"]);
    assert!(good && all.lines().count() > named.len() && all.contains("\nfm.teal.feed.play "), "{all}");
    let (good, text) = lexicons(&["show", "fm.plyr.feed.getTop"]);
    let file = std::fs::read_to_string(checkout().join("lexicons/fm/plyr/feed/getTop.json")).expect("a file");
    assert!(good && text == file, "{text}");
    for (arguments, hint) in [
        (&["show", "fm.plyr.nothing"][..], "plyr lexicons list --all"),
        (&["show", "no name"], "fm.plyr.track"),
        (&["publish"], "--handle"),
        (&["publish", "--did", "nobody"], "--did"),
        (&["publish", "--handle", "a.test", "--did", "did:plc:ewvi7nxzyoun6zhxrhs64oiz"], "--did"),
        (&["publish", "--handle", "a.test", "--pds", "ftp://x"], "--pds"),
    ] {
        let (good, text) = lexicons(arguments);
        assert!(!good && text.contains(hint), "{arguments:?}: {text}");
    }
    let (good, help) = lexicons(&["publish", "--help"]);
    assert!(good && help.contains("PLYR_APP_PASSWORD") && !help.contains("DATABASE_URL"), "{help}");
}

#[test]
fn a_repo_holds_what_the_files_say() {
    run(async {
        let net = &Network::start(&[]);
        let mut account = Account::create(net, "authority").await;
        let app = account.post("com.atproto.server.createAppPassword", &json!({"name": "lexicons"})).await;
        account.password = app["password"].as_str().expect("a password").to_owned();
        let publisher = &Publisher { net, account };
        let all = ours();

        // What would be done is told to anybody, and not done.
        let (good, text) = outcome(publisher.command(&["--did", &publisher.account.did, "--dry-run"]), "");
        assert!(good && text.contains(&format!("{} created, 0 updated", all.len())), "{text}");
        assert_eq!(publisher.published().await, Vec::<String>::new());

        let text = publisher.publish(&[]);
        assert!(
            text.contains(&format!("\n{} created, 0 updated, 0 unchanged, 0 removed", all.len())),
            "{text}"
        );
        for domain in ["plyr.fm", "feed.plyr.fm", "actor.plyr.fm", "list.plyr.fm", "search.plyr.fm"] {
            let line =
                text.lines().find(|line| line.trim_start().starts_with(&format!("_lexicon.{domain} ")));
            let line = line.unwrap_or_else(|| panic!("no {domain} in {text}"));
            assert!(line.ends_with(&format!("TXT \"did={}\"", publisher.account.did)), "{line}");
        }
        assert_eq!(publisher.published().await, all.iter().map(|s| s.nsid.clone()).collect::<Vec<_>>());
        for source in &all {
            let mut record = publisher.account.record(&publisher.uri(&source.nsid)).await;
            let kind = record.as_object_mut().and_then(|record| record.remove("$type"));
            assert_eq!((kind, &record), (Some(json!(SCHEMA)), &source.json), "{}", source.nsid);
        }

        // Nothing to do: no commit, and no password asked for.
        let rev = publisher.account.latest_rev().await;
        let (good, text) = outcome(publisher.command(&["--handle", &publisher.account.handle]), "");
        assert!(good && text.contains(&format!("0 created, 0 updated, {} unchanged", all.len())), "{text}");
        assert_eq!(publisher.account.latest_rev().await, rev);

        what_changed_is_put_right(publisher, all.len()).await;
        who_may_not_is_told_what_to_do(publisher);
        people_are_asked_for_it_in_our_words(publisher).await;
    });
}

async fn what_changed_is_put_right(publisher: &Publisher<'_>, count: usize) {
    let account = &publisher.account;
    let mut by_hand = account.record(&publisher.uri("fm.plyr.like")).await;
    by_hand["description"] = json!("Changed by hand.");
    account.put_record(SCHEMA, "fm.plyr.like", by_hand).await;
    account.delete_record(&publisher.uri("fm.plyr.track")).await;
    for nsid in ["fm.plyr.gone", "com.example.theirs"] {
        let lexicon = json!({"$type": SCHEMA, "lexicon": 1, "id": nsid, "defs": {}});
        account.put_record(SCHEMA, nsid, lexicon).await;
    }
    let rest = count - 2;
    let text = publisher.publish(&["--dry-run", "--prune"]);
    assert!(text.contains(&format!("1 created, 1 updated, {rest} unchanged, 1 removed")), "{text}");
    // From the standard input, and at the PDS that is named.
    let named = ["--handle", &account.handle, "--pds", &publisher.net.pds];
    let (good, text) = outcome(publisher.command(&named), &format!("{}\n", account.password));
    assert!(good && text.contains(&format!("1 created, 1 updated, {rest} unchanged, 0 removed")), "{text}");
    assert!(text.contains("not ours any more; --prune removes it"), "{text}");
    for nsid in ["fm.plyr.like", "fm.plyr.track"] {
        let mut record = account.record(&publisher.uri(nsid)).await;
        record.as_object_mut().expect("an object").remove("$type");
        assert_eq!(record, indexer::lexicon::source(nsid).expect("a lexicon").json);
    }
    let text = publisher.publish(&["--prune"]);
    assert!(text.contains(&format!("0 created, 0 updated, {count} unchanged, 1 removed")), "{text}");
    let published = publisher.published().await;
    assert!(!published.iter().any(|nsid| nsid == "fm.plyr.gone"));
    assert!(published.iter().any(|nsid| nsid == "com.example.theirs"), "theirs is left alone");
    account.delete_record(&publisher.uri("fm.plyr.stats.getStats")).await;
}

fn who_may_not_is_told_what_to_do(publisher: &Publisher<'_>) {
    let account = &publisher.account;
    let by_handle = ["--handle", account.handle.as_str()];
    for (arguments, input, hint) in [
        (&by_handle[..], "", "PLYR_APP_PASSWORD"),
        (&by_handle[..], "wrong\n", "make an app password"),
        (&["--handle", "nobody.test"], "x\n", "nobody.test"),
        (&["--did", "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"], "x\n", "--pds"),
        (&["--did", &account.did, "--pds", "http://127.0.0.1:1"], "x\n", "127.0.0.1:1"),
    ] {
        let (good, text) = outcome(publisher.command(arguments), input);
        assert!(!good && text.contains(hint), "{arguments:?}: {text}");
    }
    publisher.publish(&[]);
}

/// The PDS knows whose lexicons to believe, and shows a person what an app asks for in one word.
async fn people_are_asked_for_it_in_our_words(publisher: &Publisher<'_>) {
    let net = publisher.net;
    net.command_with("restart-pds", json!({"lexiconAuthority": publisher.account.did}));
    let scope = format!("atproto include:{SET}?aud=did:web:plyr.example%23plyr_appview");
    let redirect = "http://127.0.0.1:8000/";
    let mut client = Url::parse("http://localhost").expect("a URL");
    client.query_pairs_mut().append_pair("redirect_uri", redirect).append_pair("scope", &scope);
    let client = client.as_str().replace("localhost/?", "localhost?");
    // What they are digests of is asked for with the code, which nobody takes here.
    let digest = "a".repeat(43);
    let agent = Agent::new();
    let form = [
        ("client_id", client.as_str()),
        ("redirect_uri", redirect),
        ("response_type", "code"),
        ("scope", &scope),
        ("state", "s"),
        ("code_challenge", &digest),
        ("code_challenge_method", "S256"),
        ("dpop_jkt", &digest),
    ];
    let mut body = Url::parse("x:/").expect("a URL");
    body.query_pairs_mut().extend_pairs(form);
    let request = agent.http.post(format!("{}/oauth/par", net.pds));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let pushed = agent.send(request.body(body.query().expect("a form").to_owned())).await;
    assert_eq!(pushed.status, 201, "{pushed}");
    let pushed = pushed.json();
    let uri = pushed["request_uri"].as_str().expect("a uri");
    let mut page = Url::parse(&format!("{}/oauth/authorize", net.pds)).expect("a URL");
    page.query_pairs_mut().append_pair("client_id", &client).append_pair("request_uri", uri);
    let request = agent.http.get(page).header("accept", "text/html").header("sec-fetch-site", "cross-site");
    let request = request.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document");
    let page = agent.send(request).await;
    assert_eq!(page.status, 200, "{page}");
    let set = indexer::lexicon::source(SET).expect("a lexicon").json;
    let title = set["defs"]["main"]["title"].as_str().expect("a title");
    assert!(page.body.contains(title), "{}", page.body);

    // Nothing of the set is left out when it becomes scopes.
    let record = publisher.account.record(&publisher.uri(SET)).await;
    let mut command = Command::new(node());
    command
        .arg(checkout().join("testnet/scopes.mjs"))
        .arg(format!("include:{SET}?aud=did:web:plyr.example%23plyr_appview"));
    let (good, text) = outcome(command, &record.to_string());
    assert!(good, "{text}");
    let scopes: Vec<String> = serde_json::from_str(&text).expect("JSON");
    let parts: Vec<&str> = scopes.iter().flat_map(|scope| scope.split([':', '?', '&', '='])).collect();
    let named = indexer::lexicon::records().chain(indexer::lexicon::methods());
    for nsid in named.filter(|nsid| nsid.starts_with("fm.plyr.")) {
        assert!(parts.contains(&nsid), "{nsid}: {scopes:?}");
    }
}
