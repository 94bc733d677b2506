//! Tracks whose record gives only addresses for its sound and its picture, as the first service of this network writes them.

use reqwest::Method;
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use crate::world::{Account, Plyr, eventually, network, pds, run, same};

const SOUND: &str = "https://sound.example/audio/far%20away.mp3?of=1";
/// The artist who gives the other is switched off meanwhile.
const AIR: &str = "https://sound.example/painted.mp3";

/// A track that gives these addresses.
fn track(title: &str, audio: &str, image: Option<&str>) -> Value {
    let mut record = pds::track(title, &Value::Null);
    record.as_object_mut().expect("an object").remove("audioBlob");
    record["audioUrl"] = audio.into();
    if let Some(image) = image {
        record["imageUrl"] = image.into();
    }
    record
}

async fn create(artist: &Account, record: Value) -> String {
    artist.create_record("fm.plyr.track", record).await.0
}

/// The track as the HTTP API shows it.
async fn shown(plyr: &Plyr, uri: &str) -> Value {
    let answer = plyr.get(&format!("/tracks/by-uri?uri={uri}")).await;
    assert_eq!(answer.status(), 200, "{uri}");
    answer.json().await.expect("JSON")
}

fn file_id(track: &Value) -> String {
    track["file_id"].as_str().expect("text").to_owned()
}

/// The status, where it leads, and the body.
async fn ask(plyr: &Plyr, method: Method, file_id: &str) -> (u16, Option<String>, String) {
    pds::rustls_provider();
    let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().expect("a client");
    let request = http.request(method, format!("{}/audio/{file_id}", plyr.url));
    let answer = request.send().await.expect("plyr answers");
    let location = answer.headers().get("location").map(|to| to.to_str().expect("ASCII").to_owned());
    (answer.status().as_u16(), location, answer.text().await.expect("text"))
}

#[test]
fn a_sound_elsewhere_can_be_asked_for_here() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "afar").await;
        let other = Account::create(net, "near").await;
        let far = create(&artist, track("far away", SOUND, None)).await;
        let farther = create(&artist, track("farther", "https://sound.example/2.mp3", None)).await;
        let plain = create(&artist, track("in the clear", "http://sound.example/a.mp3", None)).await;
        let mut gated = track("for friends", "https://sound.example/gated.mp3", None);
        gated["supportGate"] = json!({"type": "any"});
        let gated = create(&artist, gated).await;
        let held = other.create_track("at hand").await.0;
        for uri in [&far, &farther, &plain, &gated] {
            plyr.await_counts(uri, Some([0, 0, 0])).await;
        }
        let track = shown(&plyr, &far).await;
        let id = file_id(&track);
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{track}");
        assert_eq!(track["r2_url"], SOUND);
        assert_ne!(file_id(&shown(&plyr, &farther).await), id, "each has its own");
        assert_eq!(file_id(&shown(&plyr, &far).await), id, "and keeps it");
        for method in [Method::GET, Method::HEAD] {
            let (status, location, _) = ask(&plyr, method, &id).await;
            assert_eq!((status, location.as_deref()), (307, Some(SOUND)));
        }
        let missing = (404, None, r#"{"detail":"audio file not found"}"#.to_owned());
        let unplayable = file_id(&shown(&plyr, &plain).await);
        for nothing in ["0000000000000000", "nothing", unplayable.as_str()] {
            assert_eq!(ask(&plyr, Method::GET, nothing).await, missing, "{nothing}");
        }
        assert_eq!(file_id(&shown(&plyr, &gated).await), "", "it cannot be asked for");

        // Should bytes be called the same, they are meant.
        eventually("the sound", || async {
            let track = plyr.track(&held).await.ok_or("no track")?;
            if track["audio"].is_string() { Ok(()) } else { Err(track.to_string()) }
        })
        .await;
        let bytes = file_id(&shown(&plyr, &held).await);
        let rename = sqlx::query("update blob set file_id = $1 where file_id = $2");
        rename.bind(&id).bind(&bytes).execute(&plyr.db.pool).await.expect("renamed");
        assert_eq!(ask(&plyr, Method::HEAD, &id).await.0, 200);
        let rename = sqlx::query("update blob set file_id = $2 where file_id = $1");
        rename.bind(&id).bind(&bytes).execute(&plyr.db.pool).await.expect("renamed");
        assert_eq!(ask(&plyr, Method::HEAD, &id).await.0, 307);

        // Who hears it says so.
        let item =
            json!({"trackName": "far away", "artists": [{"artistName": "the testers"}], "originUri": far});
        let until = chrono::Utc::now() + chrono::TimeDelta::hours(1);
        let status = json!({"time": pds::now(), "expiry": until.to_rfc3339(), "item": item});
        other.put_record("fm.teal.actor.status", "self", status).await;
        let path = format!("/now-playing/{}", other.did);
        eventually("what plays", || async {
            let playing: Value = plyr.get(&path).await.json().await.unwrap_or_default();
            same(playing["file_id"].as_str().map(str::to_owned), Some(id.clone()))
        })
        .await;

        artist.deactivate().await;
        eventually("the address to be gone", || async {
            same(ask(&plyr, Method::GET, &id).await, missing.clone())
        })
        .await;
        assert_eq!(ask(&plyr, Method::HEAD, &id).await.0, 404);
    });
}

#[test]
fn a_picture_elsewhere_is_shown_where_none_is_here() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "painted").await;
        let blob = artist.upload("image/png", crate::media::png(41)).await;
        let far = "https://images.example/a-cover.png".to_owned();
        let mut first = track("first", AIR, Some(&far));
        first["album"] = json!("Elsewhere");
        let first = artist.create_record("fm.plyr.track", first).await;
        let mut both = track("both", AIR, Some(&far));
        both["image"] = blob.clone();
        let both = create(&artist, both).await;
        let plain = create(&artist, track("plain", AIR, Some("http://images.example/a.png"))).await;
        let secret = create(&artist, track("secret", AIR, Some("https://me:x@images.example/a.png"))).await;
        let long = format!("https://images.example/{}", "a".repeat(2048));
        let long = create(&artist, track("long", AIR, Some(&long))).await;
        let unheld =
            format!("{}/media/bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", plyr.url);
        let unheld = create(&artist, track("unheld", AIR, Some(&unheld))).await;
        let item = json!({"subject": {"uri": first.0, "cid": first.1}});
        let playlist =
            json!({"listType": "playlist", "name": "pictures", "items": [item], "createdAt": pds::now()});
        let playlist = artist.create_record("fm.plyr.list", playlist).await.0;
        let ours = eventually("our copy", || async {
            let track = plyr.track(&both).await.ok_or("no track")?;
            let cover = track["cover"].as_str().filter(|cover| cover.starts_with(&plyr.url));
            cover.map(str::to_owned).ok_or(track.to_string())
        })
        .await;
        let held = create(&artist, track("held", AIR, Some(&ours))).await;
        let cover = async |uri: &str| {
            plyr.await_counts(uri, Some([0, 0, 0])).await;
            plyr.track(uri).await.expect("it is shown")["cover"].clone()
        };
        assert_eq!(cover(&first.0).await, far.as_str());
        assert_eq!(cover(&held).await, ours.as_str());
        for refused in [&plain, &secret, &long, &unheld] {
            assert_eq!(cover(refused).await, Value::Null, "{refused}");
        }
        let track = shown(&plyr, &first.0).await;
        assert_eq!((&track["image_url"], &track["thumbnail_url"]), (&json!(far), &Value::Null));
        assert_eq!(track["album"]["image_url"], far.as_str());

        // So are the album and the playlist that it begins.
        let query = [("actor", artist.did.as_str()), ("slug", "elsewhere")];
        assert_eq!(plyr.query("fm.plyr.list.getAlbum", &query).await["album"]["cover"], far.as_str());
        let albums: Value = plyr.get(&format!("/albums/{}", artist.did)).await.json().await.expect("JSON");
        assert_eq!(albums["albums"][0]["image_url"], far.as_str());
        let list = eventually("the playlist", || async {
            let (status, list) = plyr.xrpc("fm.plyr.list.getList", &[("uri", &playlist)]).await;
            if status == 200 { Ok(list) } else { Err(list.to_string()) }
        })
        .await;
        assert_eq!(list["list"]["cover"], far.as_str());
        let path = format!("/lists/playlists/by-artist/{}", artist.did);
        let lists: Value = plyr.get(&path).await.json().await.expect("JSON");
        assert_eq!((&lists[0]["image_url"], &lists[0]["preview_thumbnails"]), (&json!(far), &json!([far])));

        // Whoever unfolds a link is told of it; our own pages do not fetch it.
        let rkey = first.0.rsplit('/').next().expect("a key");
        let page = plyr.get(&format!("/track/{}/{rkey}", artist.did)).await;
        let policy = page.headers()["content-security-policy"].to_str().expect("ASCII").to_owned();
        assert!(policy.contains("img-src 'self' data: http"), "{policy}");
        assert!(!policy.contains("img-src 'self' data: https:"), "{policy}");
        let page = page.text().await.expect("a page");
        assert!(page.contains(&format!(r#"<meta property="og:image" content="{far}" />"#)), "{page}");
        assert!(page.contains(&format!(r#""image":"{far}""#)), "{page}");
        let id = plyr.track_id(&first.0).await;
        let embed = plyr.get(&format!("/embed/track/{id}")).await.text().await.expect("a page");
        assert!(embed.contains("<audio") && !embed.contains("images.example"), "{embed}");
    });
}
