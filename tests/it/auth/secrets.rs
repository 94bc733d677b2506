//! A thief of the database, or of the logs, can sign in as nobody.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::APP;
use crate::hand::Stage;
use crate::world::agent::{Agent, parameter};
use crate::world::consent::{self, Wish};
use crate::world::{Gate, Person, Plyr, run};

/// Something that must not be found, in every form in which it could stand there.
pub struct Needle {
    what: &'static str,
    forms: Vec<String>,
}

impl Needle {
    fn new(what: &'static str, secret: &str) -> Needle {
        assert!(secret.len() >= 16, "{what} is too short to be looked for: {secret:?}");
        // As bytes, and, where it is the base64 of bytes, as those.
        let decoded = URL_SAFE_NO_PAD.decode(secret).ok();
        let forms = [Some(secret.as_bytes().to_vec()), decoded].into_iter().flatten();
        let forms = forms.flat_map(|bytes| forms_of(&bytes)).chain([secret.to_owned()]);
        Needle { what, forms: forms.collect() }
    }

    pub fn found_in(&self, hay: &str) -> bool {
        self.forms.iter().any(|form| hay.contains(form))
    }
}

fn forms_of(bytes: &[u8]) -> Vec<String> {
    let mut forms = vec![hex(bytes)];
    // Inside longer base64 it begins at one of three places; what touches its neighbours is left out.
    for skip in 0..3 {
        let aligned = &bytes[skip..bytes.len() - (bytes.len() - skip) % 3];
        forms.extend([STANDARD.encode(aligned), URL_SAFE_NO_PAD.encode(aligned)]);
    }
    forms
}

/// What stands before any private key of P-256 in PKCS #8.
pub fn private_key() -> Needle {
    let curve = [
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20,
    ];
    Needle { what: "a private key", forms: forms_of(&curve) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Everything of worth that passed the gate.
fn passed(gate: &Gate) -> Vec<Needle> {
    let mut needles = Vec::new();
    for seen in gate.seen(&["POST /oauth/token"]) {
        let answer = seen.json();
        for key in ["access_token", "refresh_token"] {
            needles.extend(answer[key].as_str().map(|token| Needle::new(key, token)));
        }
        for (key, value) in url_form(&seen.body) {
            let what = ["code", "code_verifier", "refresh_token"].into_iter().find(|what| *what == key);
            needles.extend(what.map(|what| Needle::new(what, &value)));
        }
    }
    // A DPoP key stands beside its public half, wherever it is kept.
    for proof in gate.seen(&[]).iter().filter_map(|seen| seen.headers.get("dpop")) {
        let header = proof.as_bytes().split(|byte| *byte == b'.').next().expect("a part");
        let header = URL_SAFE_NO_PAD.decode(header).expect("base64");
        let header: serde_json::Value = serde_json::from_slice(&header).expect("JSON");
        needles.push(Needle::new("DPoP key", header["jwk"]["x"].as_str().expect("a point")));
    }
    for seen in gate.seen(&["POST /oauth/par"]) {
        let fields = url_form(&seen.body);
        needles.extend(
            fields.iter().filter(|(key, _)| key == "state").map(|(_, value)| Needle::new("state", value)),
        );
    }
    needles
}

fn url_form(body: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("x:y?{body}")).expect("a URL");
    url.query_pairs().into_owned().collect()
}

/// All rows of all tables, as text: bytes in hex.
pub async fn dump(plyr: &Plyr) -> String {
    let tables = plyr
        .db
        .texts("select quote_ident(table_name) from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'")
        .await;
    assert!(tables.iter().any(|table| table == "session"), "{tables:?}");
    let mut all = String::new();
    for table in tables {
        let sql = sqlx::AssertSqlSafe(format!("select t::text from {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(&plyr.db.pool).await.expect("rows");
        all.extend(rows.iter().flat_map(|row| [table.as_str(), " ", row.as_str(), "\n"]));
    }
    all
}

async fn live_through_everything(stage: &Stage) -> Vec<Needle> {
    let plyr = &stage.plyr;
    let account = &stage.person.account;
    let mut needles = vec![Needle::new("session", &stage.person.session().expect("a cookie"))];
    stage.person.post(&stage.like_path()).await.good();
    plyr.db.run("update session set access_expires_at = now() - interval '1 second'").await;
    stage.person.delete(&stage.like_path()).await.good();
    let body = json!({"text": "said aloud", "timestamp_ms": 1});
    stage.person.post_json(&stage.comments_path(), &body).await.good();
    // Another app: one token exchanged, one left lying; and a session that ended.
    let agent = Agent::new();
    let left = Person::exchange_token(&agent, plyr, account, APP).await;
    let bearer = Person::with_bearer(plyr, account, APP).await;
    needles.push(Needle::new("bearer", &bearer.session().expect("a bearer")));
    bearer.post(&stage.like_path()).await.good();
    needles.push(Needle::new("exchange token", &left));
    let leaver = Person::sign_in(plyr, account).await;
    needles.push(Needle::new("ended session", &leaver.session().expect("a cookie")));
    leaver.post("/auth/logout").await.good();
    // A flow that was never finished, one that was refused, and one whose answer was forged.
    let agent = Agent::new();
    let started = consent::start(&agent, &plyr.url, &account.handle, Some("/")).await;
    let redirect = consent::decide(&agent, &started.location(), account, Wish::Grant).await;
    needles.push(Needle::new("code", &parameter(&redirect, "code").expect("a code")));
    for line in started.headers.get_all("set-cookie") {
        let value = line.to_str().expect("ASCII").split(['=', ';']).nth(1).expect("a value");
        needles.push(Needle::new("cookie of a flow", value));
    }
    Person::sign_in_at(Agent::new(), &plyr.url, account, Wish::Reject).await;
    let agent = Agent::new();
    let started = consent::start(&agent, &plyr.url, &account.handle, Some("/")).await;
    let redirect = consent::decide(&agent, &started.location(), account, Wish::Grant).await;
    needles.push(Needle::new("code", &parameter(&redirect, "code").expect("a code")));
    consent::come_back(&Agent::new(), &redirect).await;
    // Bearers and cookies that are wrong are near to right ones.
    let backwards: String = left.chars().rev().collect();
    for wrong in [backwards, format!("{left}x")] {
        let agent = Agent::new();
        agent.send(agent.http.get(format!("{}/auth/me", plyr.url)).bearer_auth(&wrong)).await;
        needles.push(Needle::new("a wrong bearer", &wrong));
    }
    // The grant dies.
    account.revoke_grants(&stage.net).await;
    plyr.db.run("update session set access_expires_at = now() - interval '1 second'").await;
    assert_eq!(stage.person.delete(&stage.like_path()).await.status, 401);
    needles
}

async fn nothing_leaks(level: &str) {
    let settings = [("PLYR_LOG", level), ("PLYR_WEB_ORIGINS", APP), crate::hand::NO_LIMIT];
    let stage = Stage::set_with(&settings).await;
    let mut needles = live_through_everything(&stage).await;
    needles.extend(passed(&stage.gate));
    needles.push(private_key());
    for what in ["access_token", "refresh_token", "code", "code_verifier", "state", "session", "DPoP key"] {
        assert!(needles.iter().any(|needle| needle.what == what), "no {what} was seen");
    }
    let (dump, log) = (dump(&stage.plyr).await, stage.plyr.read_log());
    // The search finds what is there.
    assert!(Needle::new("a did", &stage.person.account.did).found_in(&dump));
    assert!(log.len() > 200, "a log at {level}");
    for needle in &needles {
        assert!(!needle.found_in(&dump), "{} stands in the database: {:?}", needle.what, needle.forms[0]);
        if let Some(line) = log.lines().find(|line| needle.found_in(line)) {
            panic!("{} stands in the log at {level}: {line}", needle.what);
        }
    }
    for mark in ["PRIVATE KEY", "\"d\":", "DPoP ey", "Bearer ey"] {
        assert!(!dump.contains(mark), "{mark} stands in the database");
        assert!(!log.contains(mark), "{mark} stands in the log at {level}");
    }
}

#[test]
fn nothing_that_opens_a_door_is_kept_or_logged() {
    run(nothing_leaks("info"));
}

#[test]
fn nor_when_everything_is_logged() {
    run(nothing_leaks("trace"));
}
