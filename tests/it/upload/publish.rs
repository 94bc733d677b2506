//! What becomes of an upload when all goes well, and of the track when it is deleted.

use serde_json::{Value, json};

use super::{Form, artist_at, assert_in_step, cid_of, completed, files, follow, records, rkey, sound};
use crate::world::{Person, Plyr, network, pds, run};

#[test]
fn three_kinds_of_sound_become_exact_records() {
    run(async {
        let plyr = Plyr::up(network()).await;
        let artist = artist_at(network(), &plyr).await;
        let kinds = [
            ("mp3", "audio/mpeg", sound::mp3()),
            ("m4a", "audio/", sound::m4a()),
            ("wav", "audio/", sound::wav()),
        ];
        for (kind, mime, bytes) in &kinds {
            let upload_id = Form::new(&format!("song as {kind}"), bytes.clone()).accepted(&artist).await;
            let last = completed(&plyr, &upload_id).await;
            assert_eq!(last["warnings"], json!([]), "{last}");
            let record = records(&artist.account).await.remove(0);
            let value = &record["value"];
            assert_eq!(
                (record["uri"].clone(), record["cid"].clone()),
                (last["atproto_uri"].clone(), last["atproto_cid"].clone())
            );
            let blob = &value["audioBlob"];
            assert!(blob["mimeType"].as_str().expect("a type").starts_with(mime), "{blob}");
            let cid = cid_of(bytes);
            let expected = json!({
                "$type": "fm.plyr.track",
                "title": format!("song as {kind}"),
                "artist": artist.account.handle,
                "fileType": kind,
                "createdAt": value["createdAt"],
                "audioUrl": value["audioUrl"],
                "audioBlob": {"$type": "blob", "ref": {"$link": cid}, "mimeType": blob["mimeType"], "size": bytes.len()},
                "duration": 3,
            });
            assert_eq!(value, &expected);
            let url = value["audioUrl"].as_str().expect("a URL");
            assert!(url.starts_with(&format!("{}/audio/", plyr.url)), "{url}");
            let track = plyr.track(record["uri"].as_str().expect("a uri")).await.expect("it is shown");
            assert_eq!(
                (&track["audio"], track["id"].as_i64()),
                (&value["audioUrl"], last["track_id"].as_i64())
            );
            let heard = pds::http().get(url).send().await.expect("an answer").bytes().await.expect("bytes");
            assert_eq!(&heard[..], &bytes[..], "{kind}");
        }
        assert_eq!(records(&artist.account).await.len(), 3);
        super::await_still(&plyr).await;
        assert_in_step(&plyr).await;
    });
}

#[test]
fn a_cover_comes_in_two_sizes() {
    run(async {
        let plyr = Plyr::up(network()).await;
        let (artist, friend) = (artist_at(network(), &plyr).await, artist_at(network(), &plyr).await);
        let form = Form::default()
            .file("image", "c.png", sound::picture("1600x800", "png"))
            .text("tags", "Deep  House")
            .text("tags", "-dub-")
            .text("features", &format!("[\"{}\", \"nobody.test\"]", friend.account.handle))
            .file("file", "x", sound::wav())
            .text("album", "Nights")
            .text("description", "two lines\nof notes")
            .text("title", "with a cover");
        let last = completed(&plyr, &form.accepted(&artist).await).await;
        assert_eq!(last["warnings"], json!([]), "{last}");
        let record = records(&artist.account).await.remove(0);
        let value = &record["value"];
        for (key, wanted) in [
            ("tags", json!(["deep house", "dub"])),
            ("features", json!([{"did": friend.account.did}])),
            ("album", json!("Nights")),
            ("description", json!("two lines\nof notes")),
        ] {
            assert_eq!(value[key], wanted, "{key}");
        }
        assert_eq!(value["image"]["mimeType"], "image/jpeg");
        let track = plyr.track(record["uri"].as_str().expect("a uri")).await.expect("it is shown");
        assert_eq!(track["cover"], value["imageUrl"]);
        let http = pds::http();
        let get = |url: &Value| http.get(url.as_str().unwrap_or_else(|| panic!("no URL: {track}"))).send();
        let cover = get(&track["cover"]).await.expect("an answer");
        assert_eq!(cover.headers()["content-type"], "image/jpeg");
        let cover = cover.bytes().await.expect("bytes");
        assert_eq!(value["image"]["ref"]["$link"], cid_of(&cover));
        let thumbnail = get(&track["thumbnail"]).await.expect("an answer").bytes().await.expect("bytes");
        assert!(thumbnail.len() < 20_000 && thumbnail.len() < cover.len(), "{}", thumbnail.len());
        // What was given, larger than what is shown, is nobody's business.
        let given = cid_of(&sound::picture("1600x800", "png"));
        assert_eq!(plyr.get(&format!("/media/{given}")).await.status(), 404);
        let broken =
            Form::new("odd cover", sound::wav()).file("image", "c.png", b"\x89PNG\r\n\x1a\nnothing".to_vec());
        let last = completed(&plyr, &broken.accepted(&artist).await).await;
        assert!(
            last["warnings"][0].as_str().expect("a warning").contains("the cover was left out"),
            "{last}"
        );
    });
}

#[test]
fn progress_is_told_as_clients_know_it() {
    run(async {
        let plyr = Plyr::up(network()).await;
        let artist = artist_at(network(), &plyr).await;
        let upload_id = Form::new("how far", sound::wav()).accepted(&artist).await;
        let messages = follow(&plyr, &upload_id).await;
        let keys = [
            "upload_id",
            "status",
            "message",
            "error",
            "phase",
            "server_progress_pct",
            "created_at",
            "completed_at",
            "warnings",
            "pds_blob_failed",
        ];
        let mut percent = 0.0;
        for message in &messages {
            let object = message.as_object().expect("an object");
            assert!(keys.iter().all(|key| object.contains_key(*key)), "{message}");
            assert_eq!(
                (message["upload_id"].as_str(), &message["error"]),
                (Some(upload_id.as_str()), &Value::Null)
            );
            let now = message["server_progress_pct"].as_f64().expect("a number");
            assert!(now >= percent, "{messages:#?}");
            percent = now;
        }
        let last = messages.last().expect("a message");
        assert_eq!((percent, &last["status"]), (100.0, &json!("completed")));
        assert!(last["track_id"].is_i64() && last["completed_at"].is_string(), "{last}");
        assert_eq!(follow(&plyr, &upload_id).await.len(), 1, "it has ended");
        let unknown = follow(&plyr, "00000000-0000-4000-8000-000000000000").await;
        let text = (&unknown[0]["status"], &unknown[0]["message"], &unknown[0]["error"]);
        assert_eq!(text, (&json!("failed"), &json!("upload job not found"), &json!("job lost")));
    });
}

#[test]
fn the_same_sound_is_the_same_track() {
    run(async {
        let plyr = Plyr::up(network()).await;
        let (artist, other) = (artist_at(network(), &plyr).await, artist_at(network(), &plyr).await);
        let bytes = sound::mp3();
        // Both at once: one of them is the track.
        let form = Form::new("twice", bytes.clone());
        let (first, second) = futures_util::join!(form.accepted(&artist), form.accepted(&artist));
        let last: Vec<Value> = [follow(&plyr, &first).await, follow(&plyr, &second).await]
            .map(|mut messages| messages.pop().expect("a message"))
            .into();
        let (done, failed): (Vec<&Value>, Vec<&Value>) =
            last.iter().partition(|last| last["status"] == "completed");
        assert_eq!((done.len(), failed.len()), (1, 1), "{last:#?}");
        let wanted = format!("duplicate upload: track already exists (id: {})", done[0]["track_id"]);
        assert_eq!(failed[0]["error"], wanted);
        assert_eq!(records(&artist.account).await.len(), 1);
        // Another person may have it too, and keeps it when the first lets go.
        let theirs = completed(&plyr, &form.accepted(&other).await).await;
        artist.delete(&format!("/tracks/{}", done[0]["track_id"])).await.good();
        super::collector::collect_now(&plyr).await;
        let track = plyr.track(theirs["atproto_uri"].as_str().expect("a uri")).await.expect("it is shown");
        let heard = pds::http().get(track["audio"].as_str().expect("a URL")).send().await.expect("an answer");
        assert_eq!(&heard.bytes().await.expect("bytes")[..], &bytes[..]);
        // And who has let go may publish it again.
        completed(&plyr, &form.accepted(&artist).await).await;
    });
}

#[test]
fn a_track_is_listed_and_deleted_by_its_owner() {
    run(async {
        let plyr = Plyr::up(network()).await;
        let (artist, stranger) = (artist_at(network(), &plyr).await, artist_at(network(), &plyr).await);
        let mut ids = Vec::new();
        for title in ["b side", "a side", "100% c"] {
            let last = completed(&plyr, &Form::new(title, sound::mp3()).accepted(&artist).await).await;
            ids.push(last["track_id"].as_i64().expect("an id"));
        }
        let page = artist.get("/tracks/me?limit=2").await.good();
        let titles = |page: &Value| -> Vec<String> {
            let tracks = page["tracks"].as_array().expect("tracks").iter();
            tracks.map(|track| track["title"].as_str().expect("a title").to_owned()).collect()
        };
        assert_eq!(
            (titles(&page), &page["total"], &page["has_more"]),
            (vec!["100% c".into(), "a side".into()], &json!(3), &json!(true))
        );
        let track = &page["tracks"][0];
        assert_eq!((track["id"].as_i64(), &track["artist_did"]), (Some(ids[2]), &json!(artist.account.did)));
        assert_eq!(
            (&track["audio_storage"], &track["album"], &track["is_liked"]),
            (&json!("both"), &Value::Null, &json!(false))
        );
        assert!(
            plyr.get(&format!("/audio/{}", track["file_id"].as_str().expect("an id")))
                .await
                .status()
                .is_success()
        );
        let direct: Value = pds::http()
            .get(track["atproto_record_url"].as_str().expect("a URL"))
            .send()
            .await
            .expect("the PDS answers")
            .json()
            .await
            .expect("JSON");
        assert_eq!(direct["cid"], track["atproto_record_cid"]);
        assert_eq!(titles(&artist.get("/tracks/me?limit=2&offset=2").await.good()), ["b side"]);
        assert_eq!(titles(&artist.get("/tracks/me/?sort=title&q=SIDE").await.good()), ["a side", "b side"]);
        assert_eq!(titles(&artist.get("/tracks/me?q=0%25").await.good()), ["100% c"]);
        assert!(titles(&stranger.get("/tracks/me").await.good()).is_empty());
        for bad in ["limit=0", "limit=x", "offset=-1", "sort=size"] {
            assert_eq!(artist.get(&format!("/tracks/me?{bad}")).await.status, 422, "{bad}");
        }
        assert_eq!(plyr.get("/tracks/me").await.status(), 401);
        let config: Value = plyr.get("/config").await.json().await.expect("JSON");
        let limits =
            [&config["max_upload_size_mb"], &config["max_image_size_mb"], &config["default_hidden_tags"]];
        assert_eq!(limits, [&json!(1536), &json!(20), &json!(["ai"])]);
        delete(&plyr, &artist, &stranger, ids[0]).await;
    });
}

async fn delete(plyr: &Plyr, artist: &Person, stranger: &Person, id: i64) {
    let path = format!("/tracks/{id}");
    let refused = stranger.delete(&path).await;
    assert_eq!(
        (refused.status, &refused.json()["detail"]),
        (403, &json!("you can only delete your own tracks"))
    );
    let unknown = artist.delete("/tracks/999999").await;
    assert_eq!((unknown.status, &unknown.json()["detail"]), (404, &json!("track not found")));
    assert_eq!(artist.delete("/tracks/x").await.status, 422);
    let before = artist.get("/tracks/me?q=b").await.good();
    let track = &before["tracks"][0];
    let (uri, file_id) =
        (track["atproto_record_uri"].as_str().expect("a uri"), track["file_id"].as_str().expect("an id"));
    let answer = artist.delete(&path).await.good();
    assert_eq!(answer, json!({"message": "track deleted successfully"}));
    assert!(plyr.track(uri).await.is_none());
    assert_eq!(plyr.get(&format!("/audio/{file_id}")).await.status(), 404);
    let left: Vec<String> = records(&artist.account)
        .await
        .iter()
        .map(|record| rkey(record["uri"].as_str().expect("a uri")))
        .collect();
    assert!(left.len() == 2 && !left.contains(&rkey(uri)), "{left:?}");
    assert_eq!(artist.delete(&path).await.status, 404);
    // The echo changes nothing, and the bytes go when nobody needs them.
    super::await_still(plyr).await;
    assert!(plyr.track(uri).await.is_none());
    let key =
        plyr.db.texts("select storage_key from blob").await.into_iter().find(|key| key.contains(file_id));
    assert!(files(plyr).contains(key.as_ref().expect("it is held until then")));
    super::collector::collect_now(plyr).await;
    assert!(!files(plyr).contains(key.as_ref().expect("as before")));
}
