//! What is not taken, and that nothing of it stays.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{BOUNDARY, Form, artist_at, files, follow, form_request, head, records, sound};
use crate::media::png;
use crate::world::agent::Agent;
use crate::world::consent::Wish;
use crate::world::network::Network;
use crate::world::{Account, Gate, Person, Plyr, eventually, pds, run, same};

#[test]
fn what_is_refused_leaves_nothing() {
    run(async {
        let net = Network::start(&[]);
        let settings = [("PLYR_MAX_UPLOAD_MB", "1"), ("PLYR_RATE_UPLOAD", "1000/minute")];
        let plyr = Plyr::up_with(&net, &settings).await;
        let artist = artist_at(&net, &plyr).await;
        refusals_say_why(&plyr, &artist).await;
        who_sends_first_and_listens_then_hears_it(&plyr, &artist).await;
        a_client_hangs_up(&plyr, &artist).await;
        what_cannot_be_heard_fails(&plyr, &artist).await;
    });
}

async fn refusals_say_why(plyr: &Plyr, artist: &Person) {
    let wav = sound::wav();
    let cases = [
        (400, "supported: mp3, m4a, wav", Form::new("t", b"plain text".to_vec())),
        (400, "supported: mp3, m4a, wav", Form::new("t", sound::sound(&["-c:a", "flac"], "flac"))),
        (400, "supported: jpg", Form::new("t", wav.clone()).file("image", "i", b"<svg/>".to_vec())),
        (400, "tags", Form::new("t", wav.clone()).text("tags", "[1, 2]")),
        (422, "title", Form::default().file("file", "f", wav.clone())),
        (422, "title", Form::new(&"x".repeat(257), wav.clone())),
        (422, "file", Form::default().text("title", "t")),
        (413, "at most 1 MB", Form::new("t", [wav.clone(), vec![0; 1 << 20]].concat())),
    ];
    for (status, words, form) in cases {
        let answer = form.send(artist).await;
        assert_eq!(answer.status, status, "{answer}");
        assert!(answer.json()["detail"].to_string().contains(words), "{words}: {answer}");
    }
    // Announced as too large: refused before anything is read.
    let announced = form_request(artist).header("content-length", 1u64 << 40);
    let endless =
        reqwest::Body::wrap_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let answer = artist.agent.send(announced.body(endless)).await;
    assert_eq!(answer.status, 413, "{answer}");
    // A stranger; a page of elsewhere.
    let stranger =
        pds::http().post(format!("{}/tracks/", plyr.url)).body(Form::new("t", wav[..100].to_vec()).encode());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let answer = stranger.header("content-type", &kind).send().await.expect("an answer");
    assert_eq!(answer.status(), 401);
    assert!(files(plyr).is_empty(), "{:?}", files(plyr));
    assert_eq!(plyr.db.number("select count(*) from upload").await, 0);
}

/// As browsers do: all is sent before the answer is looked at.
async fn who_sends_first_and_listens_then_hears_it(plyr: &Plyr, artist: &Person) {
    let body = Form::new("t", vec![0; 30 << 20]).encode();
    let own = artist.agent.dressed(form_request(artist));
    let header = |name: &str| own.headers().get(name).map(|value| value.to_str().expect("ASCII").to_owned());
    let own: Vec<String> = ["cookie", "origin", "authorization"]
        .into_iter()
        .filter_map(|name| Some(format!("{name}: {}\r\n", header(name)?)))
        .collect();
    let foreign = own.concat().replace(&plyr.url, "https://elsewhere.example");
    let cases = [("", "401"), (foreign.as_str(), "403"), (&own.concat(), "413")];
    for (credentials, status) in cases {
        let kind = format!("content-type: multipart/form-data; boundary={BOUNDARY}");
        let head = format!(
            "POST /tracks/ HTTP/1.1\r\nhost: plyr\r\n{kind}\r\n{credentials}content-length: {}\r\n\r\n",
            body.len()
        );
        let address = plyr.url.strip_prefix("http://").expect("http");
        let mut stream = TcpStream::connect(address).await.expect("plyr answers");
        stream.write_all(head.as_bytes()).await.expect("taken");
        stream.write_all(&body).await.unwrap_or_else(|error| panic!("{status}: {error}"));
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap_or_else(|error| panic!("{status}: {error}"));
        assert_eq!(String::from_utf8_lossy(&answer), format!("HTTP/1.1 {status}"));
    }
}

#[test]
fn a_day_and_the_disk_have_an_end() {
    run(async {
        let net = Network::start(&[]);
        let mut plyr = Plyr::up_with(&net, &[("PLYR_UPLOAD_DAY_MB", "1")]).await;
        let (artist, other) = (artist_at(&net, &plyr).await, artist_at(&net, &plyr).await);
        let sound = || [sound::wav(), vec![0; 500 << 10]].concat();
        super::completed(&plyr, &Form::new("first", sound()).accepted(&artist).await).await;
        let answer = Form::new("second", sound()).send(&artist).await;
        assert_eq!(answer.status, 429, "{answer}");
        let wait_s: u64 = answer.headers["retry-after"].to_str().expect("a time").parse().expect("seconds");
        assert!((80_000..=86_400).contains(&wait_s), "{wait_s}");
        assert!(answer.json()["error"].to_string().contains("at most 1 MB"), "{answer}");
        super::completed(&plyr, &Form::new("another's", sound()).accepted(&other).await).await;
        // Yesterday's do not count.
        let passed = "update upload set created_at = created_at - interval '25 hours'";
        sqlx::query(passed).execute(&plyr.db.pool).await.expect("time passes");
        super::completed(&plyr, &Form::new("next day", sound()).accepted(&artist).await).await;
        // A disk that has less than shall stay free.
        plyr.kill();
        let kept = files(&plyr);
        plyr.set("PLYR_FREE_MIN_MB", "1000000000");
        plyr.start().await;
        let answer = Form::new("no room", sound::mp3()).send(&other).await;
        assert_eq!(answer.status, 503, "{answer}");
        assert!(answer.json()["detail"].to_string().contains("no room"), "{answer}");
        assert_eq!(files(&plyr), kept);
        // What is no upload is told at once, and keeps nobody's place.
        for id in ["%00", "%FF", "x", "00000000-0000-4000-8000-000000000000"] {
            for _ in 0..12 {
                let response = plyr.get(&format!("/tracks/uploads/{id}/progress")).await;
                assert_eq!(response.status(), 200, "{id}");
                let text = response.text().await.expect("a stream that ends");
                assert!(text.contains("upload job not found") && text.contains("job lost"), "{id}: {text}");
            }
        }
        for path in ["/tracks/me?q=%00", "/tracks/me?q=a&q=b"] {
            let answer = artist.get(path).await;
            assert_eq!(answer.status, 422, "{answer}");
            assert!(answer.json()["detail"].is_array(), "{answer}");
        }
        // Ten pages of one address.
        let waiting = "update upload set status = 'processing', completed_at = null returning id";
        let id: String = sqlx::query_scalar(waiting).fetch_one(&plyr.db.pool).await.expect("an upload");
        let path = format!("/tracks/uploads/{id}/progress");
        let mut pages = Vec::new();
        for _ in 0..10 {
            pages.push(plyr.get(&path).await);
        }
        assert!(pages.iter().all(|page| page.status() == 200));
        assert_eq!(plyr.get(&path).await.status(), 503);
    });
}

async fn a_client_hangs_up(plyr: &Plyr, artist: &Person) {
    let begun = [
        head("image", Some("i")).into_bytes(),
        png(7),
        b"\r\n".to_vec(),
        head("file", Some("f")).into_bytes(),
        vec![7; 300_000],
    ];
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Result<Vec<u8>, std::io::Error>>();
    sender.send(Ok(begun.concat())).expect("somebody listens");
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|piece| (piece, receiver))
    });
    let request = artist.agent.dressed(form_request(artist).body(reqwest::Body::wrap_stream(pieces)));
    let asked = tokio::spawn(artist.agent.http.execute(request));
    eventually("the staging files", || async { same(files(plyr).len(), 2) }).await;
    sender.send(Err(std::io::Error::other("the train is in a tunnel"))).expect("somebody listens");
    asked.await.expect("it ends").expect_err("cut");
    eventually("the staging files to go", || async { same(files(plyr).len(), 0) }).await;
}

async fn what_cannot_be_heard_fails(plyr: &Plyr, artist: &Person) {
    let film = sound::silent_film();
    let cut = sound::wav()[..30].to_vec();
    for bytes in [film, cut, b"ID3\x04\0\0\0\0\0\0nothing to hear here".to_vec()] {
        let upload_id = Form::new("silence", bytes).accepted(artist).await;
        let last = follow(plyr, &upload_id).await.pop().expect("a message");
        assert_eq!(
            (&last["status"], &last["message"]),
            (&json!("failed"), &json!("upload failed")),
            "{last}"
        );
        let error = last["error"].as_str().expect("words");
        assert!(error.starts_with("the audio cannot be read: "), "{error}");
    }
    assert!(records(&artist.account).await.is_empty());
    super::collector::collect_now(plyr).await;
    assert!(files(plyr).is_empty());
    super::await_still(plyr).await;
}

#[test]
fn signed_out_before_the_work_begins() {
    run(async {
        let (net, gate) = Gate::network(&[]).await;
        let plyr = Plyr::up(&net).await;
        let account = Account::create(&net, "artist").await;
        let artist = Person::sign_in(&plyr, &account).await;
        let other = Person::sign_in(&plyr, &account).await;
        // Another session of the same person takes over …
        let held = gate.hold_request(&["uploadBlob"]);
        let upload_id = Form::new("orphaned", sound::mp3()).accepted(&artist).await;
        held.arrived().await;
        artist.post("/auth/logout").await.good();
        held.release();
        super::completed(&plyr, &upload_id).await;
        // … and without any, the person is told.
        let held = gate.hold_request(&["uploadBlob"]);
        let upload_id = Form::new("orphaned too", sound::mp3()).accepted(&other).await;
        held.arrived().await;
        other.post("/auth/logout").await.good();
        held.release();
        let last = follow(&plyr, &upload_id).await.pop().expect("a message");
        assert!(last["error"].as_str().expect("words").starts_with("session_expired"), "{last}");
        // A grant that does not reach so far: told before anything is sent.
        for scope in ["atproto repo:fm.plyr.like blob:*/*", "atproto repo:fm.plyr.track"] {
            let wish = Wish::GrantOnly(scope);
            let (person, _) = Person::sign_in_at(Agent::new(), &plyr.url, &account, wish).await;
            let answer = Form::new("not allowed", vec![0; 100]).send(&person).await;
            assert_eq!((answer.status, &answer.json()["detail"]), (403, &json!("scope_upgrade_required")));
        }
    });
}
