//! Playlists, albums and numbers as the web app and the SDK read them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{get, good, titles};
use crate::world::network::Network;
use crate::world::{Account, Person, Plyr, eventually, pds, run, same};

/// Of a playlist, by whoever answers; with its tracks where one is asked for.
const PLAYLIST: [&str; 11] = [
    "id",
    "name",
    "owner_did",
    "owner_handle",
    "track_count",
    "image_url",
    "show_on_profile",
    "atproto_record_uri",
    "is_private",
    "created_at",
    "preview_thumbnails",
];

#[test]
fn playlists_and_what_there_is_have_the_shape_they_know() {
    run(async {
        // One of its own, as everything is counted.
        let net = Network::start(&[]);
        let plyr = Plyr::up(&net).await;
        let (artist, curator) =
            (Account::create(&net, "listed").await, Account::create(&net, "curator").await);
        let cover = artist.upload("image/png", crate::upload::sound::picture("64x64", "png")).await;
        let blob = artist.upload("audio/wav", pds::wav(440, 3)).await;
        let mut tracks = Vec::new();
        for title in ["one", "two"] {
            let mut record = pds::track(title, &blob);
            (record["image"], record["duration"]) = (cover.clone(), json!(3));
            tracks.push(artist.create_record("fm.plyr.track", record).await);
        }
        let list = |name: &str, kind: &str, items: &[&(String, String)]| {
            let items = items.iter().map(|(uri, cid)| json!({"subject": {"uri": uri, "cid": cid}}));
            json!({"listType": kind, "name": name, "items": items.collect::<Vec<Value>>(), "createdAt": "2021-01-02T03:04:05Z"})
        };
        let gone = ("at://did:plc:nobody/fm.plyr.track/1".to_owned(), tracks[0].1.clone());
        let items = [&tracks[1], &gone, &tracks[0]];
        let playlist = curator.create_record("fm.plyr.list", list("for later", "playlist", &items)).await;
        let mut newer = list("empty", "playlist", &[]);
        newer["createdAt"] = json!("2021-01-03T00:00:00Z");
        curator.create_record("fm.plyr.list", newer).await;
        let album = curator.create_record("fm.plyr.list", list("Zum Tee", "album", &[&tracks[0]])).await;
        artist.create_record("fm.plyr.list", list("a record", "album", &[&tracks[0]])).await;
        let liked = curator.create_record("fm.plyr.list", list("liked", "liked", &[])).await;
        curator.like(&tracks[0]).await;
        plyr.await_counts(&tracks[0].0, Some([1, 0, 0])).await;
        let of_curator = format!("/lists/playlists/by-artist/{}", curator.did);
        let lists = eventually("the playlists, with a picture", || async {
            let lists = good(&plyr, &of_curator).await;
            let is_whole =
                lists[1]["image_url"].is_string() && lists[1]["owner_handle"] == curator.handle.as_str();
            same(is_whole, true).map(|()| lists)
        })
        .await;
        let keys = |value: &Value| -> BTreeSet<String> {
            value.as_object().expect("an object").keys().cloned().collect()
        };
        let names: Vec<&Value> = lists.as_array().expect("bare").iter().map(|list| &list["name"]).collect();
        assert_eq!(names, ["empty", "for later"]);
        let one = &lists[1];
        assert_eq!(keys(one), PLAYLIST.map(str::to_owned).into());
        let expected = json!({
            "owner_did": curator.did, "owner_handle": curator.handle, "track_count": 3, "atproto_record_uri": playlist.0,
            "is_private": false, "show_on_profile": true, "created_at": "2021-01-02T03:04:05.000000+00:00",
        });
        for (field, wanted) in expected.as_object().expect("an object") {
            assert_eq!(&one[field], wanted, "{field}");
        }
        assert_eq!(one["preview_thumbnails"], json!([one["image_url"]]), "one picture is shown once");
        let id = one["id"].as_str().filter(|id| id.len() == 36).expect("a UUID");
        let reader = Person::sign_in(&plyr, &curator).await;
        for path in ["/lists/playlists", "/lists/playlists/"] {
            assert_eq!(reader.get(path).await.good(), lists, "{path}");
            assert_eq!(get(&plyr, path).await.0, 401, "{path}");
        }
        let whole = good(&plyr, &format!("/lists/playlists/{id}")).await;
        assert_eq!(titles(&whole["tracks"]), ["two", "one"], "in order, without what is not there");
        assert_eq!(good(&plyr, &format!("/lists/playlists/{id}/")).await, whole);
        assert_eq!(good(&plyr, &format!("/lists/playlists/by-uri?uri={}", playlist.0)).await, whole);
        assert_eq!(good(&plyr, &format!("/lists/playlists/{id}/meta")).await, *one);
        let number = plyr.track_id(&tracks[1].0).await;
        assert_eq!(whole["tracks"][0], good(&plyr, &format!("/tracks/{number}")).await);
        let liked_by = reader.get(&format!("/lists/playlists/{id}")).await.good();
        assert_eq!(
            (&liked_by["tracks"][0]["is_liked"], &liked_by["tracks"][1]["is_liked"]),
            (&json!(false), &json!(true))
        );
        assert_eq!(good(&plyr, "/lists/playlists/by-artist/did:plc:nobody").await, json!([]));

        let resolved = |uri: &str| format!("/lists/by-uri?uri={uri}");
        let expected = json!({"type": "playlist", "id": id, "handle": null, "slug": null});
        assert_eq!(good(&plyr, &resolved(&playlist.0)).await, expected);
        let found = good(&plyr, &resolved(&album.0)).await;
        assert_eq!(
            (&found["type"], &found["handle"], &found["slug"]),
            (&json!("album"), &json!(curator.handle), &json!("zum-tee"))
        );
        let metadata = good(&plyr, &format!("/albums/{}/zum-tee", curator.handle)).await;
        assert_eq!(found["id"], metadata["metadata"]["id"]);

        // Who shares its page shares the playlist, by whichever of its names.
        let path = playlist.0.replace("at://", "/playlist/").replace("/fm.plyr.list/", "/");
        for path in [path.as_str(), &format!("/playlist/{id}")] {
            let external =
                json!({"uri": format!("{}{path}", plyr.public_url), "title": "a list", "description": ""});
            let embed = json!({"$type": "app.bsky.embed.external", "external": external});
            let post = json!({"text": "listen", "createdAt": pds::now(), "embed": embed});
            artist.create_record("app.bsky.feed.post", post).await;
        }
        eventually("both shares", || async {
            let shared = plyr.db.texts("select subject_uri from shared_post").await;
            same(shared, vec![playlist.0.clone(), playlist.0.clone()])
        })
        .await;

        // All albums, by title whatever its case.
        let albums = good(&plyr, "/albums/").await;
        assert_eq!(good(&plyr, "/albums").await, albums);
        let shown: Vec<(&Value, &Value, &Value)> = albums["albums"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|album| (&album["title"], &album["artist_handle"], &album["track_count"]))
            .collect();
        let (one, two) = (json!(artist.handle), json!(curator.handle));
        assert_eq!(shown, [(&json!("a record"), &one, &json!(1)), (&json!("Zum Tee"), &two, &json!(1))]);

        let numbers =
            json!({"total_plays": 0, "total_tracks": 2, "total_artists": 1, "total_duration_seconds": 6});
        for path in ["/stats", "/stats/"] {
            assert_eq!(good(&plyr, path).await, numbers, "{path}");
        }
        let stats = plyr.query("fm.plyr.stats.getStats", &[]).await;
        let counts = [
            "trackCount",
            "artistCount",
            "albumCount",
            "playlistCount",
            "durationS",
            "playCount",
            "likeCount",
            "commentCount",
        ];
        assert_eq!(counts.map(|name| stats[name].as_i64().expect("a number")), [2, 1, 2, 2, 6, 0, 1, 0]);
        for path in ["/health", "/health/"] {
            assert_eq!(good(&plyr, path).await, json!({"status": "ok"}));
        }
        let answer = plyr.get("/moderation/sensitive-images").await;
        assert_eq!(answer.headers()["cache-control"], "public, s-maxage=300, max-age=60");
        assert_eq!(answer.json::<Value>().await.expect("JSON"), json!({"image_ids": [], "urls": []}));
        let config = good(&plyr, "/config").await;
        for field in [
            "max_upload_size_mb",
            "default_hidden_tags",
            "browser_observability",
            "contact_email",
            "terms_last_updated",
        ] {
            assert!(config.get(field).is_some(), "{field}: {config}");
        }

        for (path, detail) in [
            ("/lists/playlists/x", "playlist not found"),
            ("/lists/playlists/00000000-0000-0000-0000-000000000000/meta", "playlist not found"),
            (&format!("/lists/playlists/by-uri?uri={}", album.0), "playlist not found"),
            (&format!("/lists/playlists/by-uri?uri={}", tracks[0].0), "playlist not found"),
            (&resolved(&liked.0), "list not found"),
            (&resolved("nonsense"), "list not found"),
        ] {
            let (status, body) = get(&plyr, path).await;
            assert_eq!((status, &body["detail"]), (404, &json!(detail)), "{path}");
        }
        assert_eq!(get(&plyr, "/lists/by-uri").await.0, 422);
        curator.deactivate().await;
        for path in [format!("/lists/playlists/{id}"), resolved(&album.0)] {
            eventually(&path, || async { same(get(&plyr, &path).await.0, 404) }).await;
        }
        assert_eq!(good(&plyr, &of_curator).await, json!([]));
    });
}
