//! What the web app and the SDK read over the HTTP API: every field that they know, in both forms of a path.

mod lists;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{Account, Person, Plyr, eventually, network, pds, run, same};

/// Of a track, by whoever answers.
const TRACK: [&str; 44] = [
    "id",
    "title",
    "artist",
    "artist_did",
    "artist_handle",
    "artist_avatar_url",
    "file_id",
    "file_type",
    "features",
    "r2_url",
    "atproto_record_uri",
    "atproto_record_cid",
    "atproto_record_url",
    "play_count",
    "created_at",
    "image_url",
    "thumbnail_url",
    "is_liked",
    "like_count",
    "comment_count",
    "album",
    "tags",
    "copyright_flagged",
    "copyright_match",
    "copyright_song_uri",
    "copyright_recording_uri",
    "support_gate",
    "gated",
    "downloadable",
    "download_policy",
    "artist_support_url",
    "original_file_id",
    "original_file_type",
    "description",
    "audio_storage",
    "pds_blob_cid",
    "is_optimizing",
    "visibility",
    "unlisted",
    "self_labels",
    "operator_labels",
    "labels",
    "duration",
    "artist_did",
];

async fn get(plyr: &Plyr, path: &str) -> (u16, Value) {
    let answer = plyr.get(path).await;
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

async fn good(plyr: &Plyr, path: &str) -> Value {
    let (status, body) = get(plyr, path).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

fn titles(tracks: &Value) -> Vec<&str> {
    let tracks = tracks.as_array().expect("a list").iter();
    tracks.map(|track| track["title"].as_str().expect("a title")).collect()
}

#[test]
fn what_clients_read_has_the_shape_they_know() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan) = (Account::create(net, "published").await, Account::create(net, "reader").await);
        let blob = artist.upload("audio/wav", pds::wav(440, 1)).await;
        let create = async |title: &str, at: &str, tags: &[&str], album: Option<&str>| {
            let mut record = pds::track(title, &blob);
            (record["createdAt"], record["tags"]) = (json!(at), json!(tags));
            if let Some(album) = album {
                record["album"] = json!(album);
            }
            artist.create_record("fm.plyr.track", record).await
        };
        let first =
            create("first", "2020-01-01T00:00:00.123456Z", &["ac/dc like", "api night"], Some("Long Player"))
                .await;
        let second = create("second", "2020-01-02T00:00:00Z", &["api night"], None).await;
        let made = create("made by nobody", "2020-01-03T00:00:00Z", &["AI", "api day"], None).await;
        for track in [&first, &second] {
            fan.like(track).await;
        }
        fan.create_record("fm.plyr.comment", pds::comment(&first, "here", 5)).await;
        plyr.await_counts(&first.0, Some([1, 1, 0])).await;
        plyr.await_counts(&second.0, Some([1, 0, 0])).await;
        eventually("the last, with its sound, of somebody who has a name", || async {
            let track = plyr.track(&made.0).await.unwrap_or_default();
            let is_named = track["author"]["handle"] == artist.handle.as_str();
            same((track["audio"].is_string(), is_named), (true, true))
        })
        .await;
        let id = plyr.track_id(&first.0).await;
        let did = artist.did.as_str();

        // One track: all that is known of it.
        let track = good(&plyr, &format!("/tracks/{id}")).await;
        let keys: BTreeSet<&str> = track.as_object().expect("an object").keys().map(String::as_str).collect();
        assert_eq!(keys, BTreeSet::from(TRACK));
        let expected = json!({
            "id": id, "title": "first", "artist": artist.handle, "artist_did": did, "artist_handle": artist.handle,
            "file_type": "wav", "features": [], "atproto_record_uri": first.0, "atproto_record_cid": first.1, "play_count": 0,
            "created_at": "2020-01-01T00:00:00.123456+00:00", "is_liked": false, "like_count": 1, "comment_count": 1,
            "tags": ["ac/dc like", "api night"], "gated": false, "visibility": "public", "duration": 1,
        });
        for (field, wanted) in expected.as_object().expect("an object") {
            assert_eq!(&track[field], wanted, "{field}");
        }
        assert_eq!(track["file_id"].as_str().map(str::len), Some(16), "{track}");
        let album = &track["album"];
        assert_eq!((&album["title"], &album["slug"]), (&json!("Long Player"), &json!("long-player")));
        assert_eq!(album["id"].as_str().map(str::len), Some(36), "a UUID");
        assert_eq!(good(&plyr, &format!("/tracks/{id}/")).await, track);
        assert_eq!(good(&plyr, &format!("/tracks/by-uri?uri={}", first.0)).await, track);
        let reader = Person::sign_in(&plyr, &fan).await;
        assert_eq!(reader.get(&format!("/tracks/{id}")).await.good()["is_liked"], true);

        // The feed, page by page; what was made by nobody is found by who asks for it.
        let of_artist = format!("/tracks/?artist_did={did}");
        let all = good(&plyr, &of_artist).await;
        assert_eq!(titles(&all["tracks"]), ["made by nobody", "second", "first"]);
        assert_eq!((&all["has_more"], &all["next_cursor"]), (&json!(false), &Value::Null));
        assert_eq!(all["tracks"][2], track);
        let page = good(&plyr, &format!("{of_artist}&limit=2")).await;
        assert_eq!((titles(&page["tracks"]).len(), &page["has_more"]), (2, &json!(true)));
        let next = page["next_cursor"].as_str().expect("a cursor");
        assert_eq!(titles(&good(&plyr, &format!("{of_artist}&cursor={next}")).await["tracks"]), ["first"]);
        let by_time = good(&plyr, &format!("{of_artist}&cursor=2020-01-02T00:00:00+00:00")).await;
        assert_eq!(titles(&by_time["tracks"]), ["first"]);
        let hidden = good(&plyr, &format!("{of_artist}&filter_hidden_tags=true")).await;
        assert_eq!(titles(&hidden["tracks"]), ["second", "first"]);
        let day = "/tracks?tags=api+day&tags=ac%2Fdc%20like";
        assert_eq!(titles(&good(&plyr, day).await["tracks"]), ["first"], "any of them, but what is hidden");
        let shown = good(&plyr, &format!("{day}&filter_hidden_tags=false")).await;
        assert_eq!(titles(&shown["tracks"]), ["made by nobody", "first"]);
        assert!(titles(&good(&plyr, "/tracks/?limit=1000000").await["tracks"]).len() <= 100);
        for nobody in ["artist_did=did:plc:nobody", "artist_did=nobody", "tags=--", "tags=no+such+tag"] {
            assert_eq!(good(&plyr, &format!("/tracks/?{nobody}")).await["tracks"], json!([]), "{nobody}");
        }

        // Tags, and one with a slash.
        let tags = good(&plyr, "/tracks/tags?q=API").await;
        let night = json!({"name": "api night", "track_count": 2, "total_plays": 0});
        let day = json!({"name": "api day", "track_count": 1, "total_plays": 0});
        assert_eq!(tags, json!([night, day]));
        let tagged = good(&plyr, "/tracks/tags/ac%2Fdc%20like").await;
        assert_eq!((titles(&tagged["tracks"]), &tagged["tag"]["track_count"]), (vec!["first"], &json!(1)));

        // Albums and artists.
        for artist in [&artist.handle, &artist.did] {
            let albums = good(&plyr, &format!("/albums/{artist}")).await;
            assert_eq!(
                (&albums["albums"][0]["id"], &albums["albums"][0]["track_count"]),
                (&album["id"], &json!(1))
            );
            let one = good(&plyr, &format!("/albums/{artist}/long-player")).await;
            assert_eq!(one["tracks"], json!([track]));
            assert_eq!(
                (&one["metadata"]["title"], &one["metadata"]["artist_did"]),
                (&json!("Long Player"), &json!(did))
            );
        }
        let known = good(&plyr, &format!("/artists/{did}")).await;
        assert_eq!(good(&plyr, &format!("/artists/by-handle/{}", artist.handle)).await, known);
        assert_eq!((&known["did"], &known["display_name"]), (&json!(did), &json!(artist.handle)));
        assert!(known["created_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{known}");
        let numbers = good(&plyr, &format!("/artists/{did}/analytics")).await;
        assert_eq!((&numbers["total_items"], &numbers["top_item"]), (&json!(3), &Value::Null));
        assert_eq!(numbers["top_liked"]["play_count"], 1, "likes, in that one's field");
        let mine = reader.get("/artists/me/analytics").await.good();
        assert_eq!((&mine["total_items"], &mine["top_liked"]), (&json!(0), &Value::Null));
        assert_eq!(reader.get("/artists/me").await.good()["did"], fan.did.as_str());

        // Likes and the chart of them.
        let likes = good(&plyr, &format!("/users/{}/likes", fan.handle)).await;
        assert_eq!((titles(&likes["tracks"]), &likes["count"]), (vec!["second", "first"], &json!(2)));
        assert_eq!(likes["user"]["did"], fan.did.as_str());
        let liked = reader.get("/tracks/liked").await.good();
        assert_eq!(titles(&liked["tracks"]), ["second", "first"]);
        assert!(liked["tracks"].as_array().expect("a list").iter().all(|track| track["is_liked"] == true));
        eventually("the chart", || async {
            let top = good(&plyr, "/tracks/top?period=all_time&limit=50").await;
            let ours = titles(&top).into_iter().filter(|title| ["first", "second"].contains(title)).count();
            same(ours, 2)
        })
        .await;

        for (path, status, detail) in [
            ("/tracks/999999999", 404, "track not found"),
            ("/tracks/by-uri?uri=at://did:plc:nobody/fm.plyr.track/1", 404, "track not found"),
            ("/tracks/tags/no%20such%20tag", 404, "tag 'no such tag' not found"),
            ("/tracks/?cursor=nonsense", 400, "invalid cursor format"),
            ("/tracks/?cursor=-100000-01-01T00:00:00Z", 400, "invalid cursor format"),
            ("/albums/nobody.test", 404, "artist not found"),
            (&format!("/albums/{did}/nothing"), 404, "album not found"),
            ("/artists/did:plc:nobody", 404, "artist not found"),
            ("/artists/by-handle/nobody.test", 404, "artist not found"),
            ("/users/nobody.test/likes", 404, "user not found"),
            ("/tracks/liked", 401, "not authenticated - login required"),
        ] {
            let (found, body) = get(&plyr, path).await;
            assert_eq!((found, &body["detail"]), (status, &json!(detail)), "{path}");
        }
        for path in [
            "/tracks/first",
            "/tracks/?limit=few",
            "/tracks/top?limit=51",
            "/tracks/top?period=year",
            "/tracks/tags?limit=0",
            "/tracks/by-uri",
            "/tracks/?filter_hidden_tags=perhaps",
            "/tracks/?tags=%00",
        ] {
            let (status, body) = get(&plyr, path).await;
            assert_eq!((status, body["detail"][0]["loc"].is_array()), (422, true), "{path}: {body}");
        }

        // Whoever is hidden is nowhere.
        artist.deactivate().await;
        for path in [
            format!("/tracks/{id}"),
            format!("/artists/{did}"),
            format!("/albums/{did}/long-player"),
            "/tracks/tags/api%20night".into(),
            format!("/tracks/by-uri?uri={}", first.0),
        ] {
            eventually(&path, || async { same(get(&plyr, &path).await.0, 404) }).await;
        }
        assert_eq!(good(&plyr, &of_artist).await["tracks"], json!([]));
        assert_eq!(good(&plyr, &format!("/users/{}/likes", fan.handle)).await["count"], 0);
    });
}
