//! Who never signed in here is known by what their PDS signs for them.

mod limits;
mod proof;

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::world::gate::Act;
use crate::world::network::Network;
use crate::world::{Account, Gate, Holder, Plyr, eventually, network, pds, run, same};

const LATEST: &str = "fm.plyr.feed.getLatest";
const PLAY: &str = "fm.plyr.feed.recordPlay";
const TOP: &str = "fm.plyr.feed.getTop";

/// What came of a call with a token: the status, and the error's name if there is one.
async fn outcome(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.expect("plyr answers");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let body = answer.text().await.expect("a body");
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {status} {body}"));
    let name = body["error"].as_str().unwrap_or_default().to_owned();
    assert_eq!(name.is_empty(), status == 200, "{status} {body}");
    assert_eq!(headers["access-control-allow-origin"], "*", "any page may read it: {body}");
    if status == 401 {
        assert!(body["message"].is_string(), "{body}");
        let challenge = headers.get("www-authenticate").and_then(|it| it.to_str().ok()).unwrap_or_default();
        assert!(challenge.starts_with("Bearer"), "{body}: {challenge:?}");
    }
    (status, name)
}

fn get(plyr: &Plyr, method: &str, token: &str) -> RequestBuilder {
    plyr.http().get(format!("{}/xrpc/{method}", plyr.url)).bearer_auth(token)
}

fn play(plyr: &Plyr, track: &str, token: &str) -> RequestBuilder {
    plyr.http().post(format!("{}/xrpc/{PLAY}", plyr.url)).bearer_auth(token).json(&json!({"uri": track}))
}

fn good() -> (u16, String) {
    (200, String::new())
}

fn refused(name: &str) -> (u16, String) {
    (401, name.to_owned())
}

/// A call of ours that goes by way of the person's PDS.
fn forwarded(plyr: &Plyr, person: &Account, method: Method, nsid: &str) -> RequestBuilder {
    person.request(method, nsid).header("atproto-proxy", format!("{}#plyr_appview", plyr.did()))
}

#[test]
fn a_pds_forwards_what_its_people_ask() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let document: Value = plyr.get("/.well-known/did.json").await.json().await.expect("JSON");
        let service = json!([{"id": "#plyr_appview", "type": "PlyrAppView", "serviceEndpoint": plyr.public_url},
                   {"id": "#bsky_fg", "type": "BskyFeedGenerator", "serviceEndpoint": plyr.public_url},
                   {"id": "#mention_search", "type": "MentionSearchService", "serviceEndpoint": plyr.public_url}]);
        assert_eq!((&document["id"], &document["service"]), (&json!(plyr.did()), &service));

        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let track = artist.create_track("forwarded").await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        let like = fan.like(&track).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;

        let ask = |person: &Account| {
            let request = forwarded(&plyr, person, Method::GET, "fm.plyr.feed.getTracks");
            request.query(&[("uris", &track.0)]).header("atproto-accept-labelers", "did:plc:;;;nonsense, \"")
        };
        let answer = ask(&fan).send().await.expect("the PDS answers");
        assert!(!answer.headers().contains_key("atproto-content-labelers"), "no labeler was heard");
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["tracks"][0]["viewer"], json!({"like": like.0}), "{body}");
        let body: Value = ask(&artist).send().await.expect("the PDS answers").json().await.expect("JSON");
        assert_eq!(body["tracks"][0]["viewer"], json!({}), "who did not like it is known all the same");
        // Without a proxy nobody is known, and nothing is told of anybody's repo.
        let answer = plyr.get(&format!("/xrpc/fm.plyr.feed.getTracks?uris={}", track.0)).await;
        assert!(!answer.headers().contains_key("atproto-repo-rev"));
        assert!(answer.json::<Value>().await.expect("JSON")["tracks"][0]["viewer"].is_null());

        // All they wrote is here, once their repo was read; and what they write next, when it is.
        let here = async || {
            let answer = ask(&fan).send().await.expect("the PDS answers");
            let rev =
                answer.headers().get("atproto-repo-rev").map(|rev| rev.to_str().expect("ASCII").to_owned());
            same(rev, Some(fan.latest_rev().await))
        };
        eventually("their rev", here).await;
        fan.create_record("fm.plyr.comment", pds::comment(&track, "more", 1)).await;
        fan.create_record(
            "app.bsky.feed.post",
            json!({"text": "of no concern here", "createdAt": pds::now()}),
        )
        .await;
        eventually("their newest rev", here).await;

        // They are known for what they do, too, and to themselves.
        let heard = forwarded(&plyr, &fan, Method::POST, PLAY).json(&json!({"uri": track.0}));
        let heard: Value = heard.send().await.expect("the PDS answers").json().await.expect("JSON");
        assert_eq!(heard["counted"], true, "{heard}");
        assert_eq!(plyr.db.texts("select listener from play_event").await, [fan.did.as_str()]);
        eventually("their own chart", || async {
            let own = forwarded(&plyr, &fan, Method::GET, TOP).query(&[("actor", &fan.did)]);
            let own: Value = own.send().await.expect("the PDS answers").json().await.expect("JSON");
            same(own["entries"][0]["track"]["uri"].as_str().map(str::to_owned), Some(track.0.clone()))
        })
        .await;
        let others = forwarded(&plyr, &fan, Method::GET, TOP).query(&[("actor", &artist.did)]);
        let others: Value = others.send().await.expect("the PDS answers").json().await.expect("JSON");
        assert_eq!(others["error"], "NotYours");
    });
}

#[test]
fn what_authors_say_of_their_tracks_is_shown_and_hides_nothing() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "artist").await;
        let mut record = pds::track("labelled", &artist.upload("audio/wav", pds::wav(7, 1)).await);
        record["labels"] = json!({
            "$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "sexual"}, {"val": "!takedown"}],
        });
        let created_at = record["createdAt"].clone();
        let (uri, cid) = artist.create_record("fm.plyr.track", record).await;
        plyr.await_counts(&uri, Some([0, 0, 0])).await;
        let track = plyr.track(&uri).await.expect("it is shown");
        let labels = track["labels"].as_array().expect("labels");
        let said: Vec<_> = labels.iter().map(|label| label["val"].as_str().expect("a value")).collect();
        assert_eq!(said, ["sexual", "!takedown"]);
        for label in labels {
            let parts = ["src", "uri", "cid"].map(|key| label[key].as_str().expect("text"));
            assert_eq!(parts, [artist.did.as_str(), &uri, &cid]);
            let times = [&label["cts"], &created_at]
                .map(|time| time.as_str().expect("a time").parse().expect("a time"));
            let [said_at, wanted]: [chrono::DateTime<chrono::Utc>; 2] = times;
            assert_eq!(said_at, wanted);
        }
        let plain = artist.create_track("plain").await.0;
        plyr.await_counts(&plain, Some([0, 0, 0])).await;
        assert!(plyr.track(&plain).await.expect("it is shown").get("labels").is_none());
    });
}

#[test]
fn who_is_switched_off_is_nobody() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let track = artist.create_track("still heard").await;
        fan.like(&track).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        let token = async |method| fan.service_token(&plyr.did(), Some(method)).await;
        let (reads, plays, own) =
            (token("fm.plyr.feed.getTracks").await, token(PLAY).await, token(TOP).await);
        let seen = async || {
            let request = get(&plyr, "fm.plyr.feed.getTracks", &reads).query(&[("uris", &track.0)]);
            let answer = request.send().await.expect("plyr answers");
            let has_rev = answer.headers().contains_key("atproto-repo-rev");
            let body: Value = answer.json().await.expect("JSON");
            (body["tracks"][0]["viewer"]["like"].is_string(), has_rev)
        };
        eventually("their repo to be read", || async { same(seen().await, (true, true)) }).await;
        fan.deactivate().await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        assert_eq!(seen().await, (false, false), "they may read, as anybody may");
        assert_eq!(outcome(play(&plyr, &track.0, &plays)).await, refused("AuthMissing"));
        let request = get(&plyr, TOP, &own).query(&[("actor", &artist.did)]);
        assert_eq!(outcome(request).await, refused("AuthMissing"));
        assert_eq!(plyr.db.number("select count(*) from play_event").await, 0);

        // Whom nothing is known of has nothing here, and is somebody.
        let stranger = Holder::k256(net).await;
        let token = stranger.sign(&stranger.claims(&plyr.did(), "fm.plyr.feed.getTracks"));
        let request = get(&plyr, "fm.plyr.feed.getTracks", &token).query(&[("uris", &track.0)]);
        let body: Value = request.send().await.expect("plyr answers").json().await.expect("JSON");
        assert_eq!(body["tracks"][0]["viewer"], json!({}), "{body}");
    });
}

#[test]
fn who_was_never_known_is_heard() {
    run(async {
        let (net, gate) = &Gate::network(&[]).await;
        let plyr = Plyr::up_with(net, &[("PLYR_CLIENT_ADDRESS_HEADER", "x-caller")]).await;
        let artist = Account::create(net, "artist").await;
        let track = artist.create_track("heard by a stranger").await.0;
        plyr.await_counts(&track, Some([0, 0, 0])).await;
        // An account that wrote nothing of ours: no event of theirs makes them known.
        let fan = Account::create(net, "stranger").await;
        let known = async |did: &str| {
            let known = sqlx::query_scalar("select count(*) from actor where did = $1").bind(did);
            known.fetch_one(&plyr.db.pool).await.map(|number: i64| number).expect("a number")
        };
        assert_eq!(known(&fan.did).await, 0);
        let heard = async || {
            let heard = forwarded(&plyr, &fan, Method::POST, PLAY).json(&json!({"uri": track}));
            heard.send().await.expect("the PDS answers").json::<Value>().await.expect("JSON")
        };
        // Whether they have an account cannot be asked for now: that is not the end of it.
        gate.rule(1, &["getRepoStatus"], Act::Answer(502, json!({})));
        assert_eq!(heard().await["error"], "NotEnoughResources");
        assert_eq!(known(&fan.did).await, 0);
        assert_eq!(heard().await, json!({"uri": track, "counted": true, "playCount": 1}));
        assert_eq!(heard().await, json!({"uri": track, "counted": false, "playCount": 1}), "the same play");
        assert_eq!(plyr.db.texts("select listener from play_event").await, [fan.did.as_str()]);
        eventually("who they are", || async {
            let profile = plyr.xrpc("fm.plyr.actor.getProfile", &[("actor", &fan.did)]).await.1;
            same(profile["handle"].as_str().map(str::to_owned), Some(fan.handle.clone()))
        })
        .await;

        // Whose account is switched off is told so, and nothing is kept of them.
        let away = Account::create(net, "away").await;
        let token = away.service_token(&plyr.did(), Some(PLAY)).await;
        away.deactivate().await;
        assert_eq!(outcome(play(&plyr, &track, &token)).await, refused("AuthMissing"));
        assert_eq!(known(&away.did).await, 0);
        plyr.await_counts(&track, Some([0, 0, 1])).await;

        // Names are cheap, and each is a question to a host: from one address not too many are asked.
        let come = async |caller: &'static str| {
            let holder = Holder::k256(net).await;
            let token = holder.sign(&holder.claims(&plyr.did(), PLAY));
            outcome(play(&plyr, &track, &token).header("x-caller", caller)).await
        };
        let mut admitted = 0;
        loop {
            let outcomes = join_all((0..20).map(|_| come("9.9.9.9"))).await;
            let (here, late): (Vec<_>, Vec<_>) =
                outcomes.into_iter().partition(|outcome| *outcome == refused("AuthMissing"));
            admitted += here.len();
            if let Some(late) = late.first() {
                assert_eq!(*late, (503, "NotEnoughResources".to_owned()));
                break;
            }
            assert!(admitted < 300, "nothing limits how many strangers come");
        }
        // Of those who may come, a machine that is busy turns some away.
        assert!(admitted >= 40, "{admitted}");
        assert_eq!(come("8.8.8.8").await, refused("AuthMissing"), "elsewhere one may come");
        assert_eq!(plyr.db.number("select count(*) from play_event").await, 1);
    });
}

async fn holders(net: &Network) -> [Holder; 2] {
    [Holder::k256(net).await, Holder::p256(net).await]
}
