//! What happens, page by page.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::list;
use crate::world::network::Network;
use crate::world::{Account, Plyr, eventually, pds, run, same};

const MOMENT: &str = "2020-03-03T03:03:03Z";

fn at(mut record: Value) -> Value {
    record["createdAt"] = json!(MOMENT);
    record
}

/// Two dozen events of one moment and six kinds, while others come at the same moment: each page by page once.
#[test]
fn every_event_is_told_once_whatever_comes_meanwhile() {
    run(async {
        // One of its own, as what happens anywhere is told.
        let net = Network::start(&[]);
        let plyr = Plyr::up(&net).await;
        let (artist, fan) = (Account::create(&net, "active").await, Account::create(&net, "activefan").await);
        let blob = artist.upload("audio/wav", pds::wav(440, 1)).await;
        let mut expected = BTreeMap::new();
        let mut tracks = Vec::new();
        for n in 0..7 {
            let record = at(pds::track(&format!("happened {n}"), &blob));
            let track = artist.create_record("fm.plyr.track", record).await;
            expected.insert(track.0.clone(), "trackPublished");
            let like = fan.create_record("fm.plyr.like", at(pds::like(&track))).await;
            expected.insert(like.0, "trackLiked");
            let comment = fan.create_record("fm.plyr.comment", at(pds::comment(&track, "here", 5))).await;
            expected.insert(comment.0, "trackCommented");
            tracks.push(track);
        }
        for (kind, name) in [("album", "albumReleased"), ("playlist", "playlistCreated"), ("liked", "")] {
            let made = artist.create_record("fm.plyr.list", at(list(kind, kind, &tracks))).await;
            if !name.is_empty() {
                expected.insert(made.0, name);
            }
        }
        for person in [&artist, &fan] {
            let profile = json!({"$type": "fm.plyr.actor.profile", "createdAt": MOMENT});
            let profile = person.put_record("fm.plyr.actor.profile", "self", profile).await;
            expected.insert(profile.0, "personJoined");
        }
        // Told of when it is time.
        let future = json!({"subject": {"uri": tracks[0].0, "cid": tracks[0].1}, "text": "not yet", "timestampMs": 0,
                            "createdAt": "2090-01-01T00:00:00Z"});
        fan.create_record("fm.plyr.comment", future).await;
        // Liked again, and elsewhere: no news. The first like is the one before it.
        let again =
            json!({"subject": {"uri": tracks[0].0, "cid": tracks[0].1}, "createdAt": "2021-01-01T00:00:00Z"});
        for nsid in ["fm.plyr.like", "app.bsky.feed.like"] {
            fan.create_record(nsid, again.clone()).await;
        }
        plyr.await_counts(&tracks[0].0, Some([1, 2, 0])).await;
        let ask = async |limit: &str, cursor: Option<&str>| {
            let mut query = vec![("limit", limit)];
            query.extend(cursor.map(|cursor| ("cursor", cursor)));
            plyr.query("fm.plyr.feed.getActivity", &query).await
        };
        eventually("all of them", || async {
            let all = ask("100", None).await;
            same(all["events"].as_array().map(Vec::len), Some(expected.len()))
        })
        .await;

        for (limit, disturbed) in [("100", false), ("1", false), ("5", true), ("2", true)] {
            let (mut found, mut cursor, mut pages) = (BTreeMap::new(), None::<String>, 0);
            loop {
                let page = ask(limit, cursor.as_deref()).await;
                for event in page["events"].as_array().expect("a list") {
                    let kind =
                        event["$type"].as_str().and_then(|kind| kind.split('#').nth(1)).expect("a kind");
                    let uri = event["uri"].as_str().expect("a uri").to_owned();
                    if event["track"]["record"]["title"]
                        .as_str()
                        .is_some_and(|title| title.starts_with("passing"))
                    {
                        continue;
                    }
                    assert_eq!(found.insert(uri.clone(), kind.to_owned()), None, "{uri} twice");
                }
                let Some(next) = page["cursor"].as_str() else { break };
                cursor = Some(next.to_owned());
                pages += 1;
                if disturbed && pages <= 3 {
                    let record = at(pds::track(&format!("passing {pages}"), &blob));
                    let track = artist.create_record("fm.plyr.track", record).await;
                    fan.create_record("fm.plyr.like", at(pds::like(&track))).await;
                    plyr.await_counts(&track.0, Some([1, 0, 0])).await;
                }
            }
            let found: BTreeMap<&str, &str> = found.iter().map(|(uri, kind)| (&**uri, &**kind)).collect();
            let wanted: BTreeMap<&str, &str> = expected.iter().map(|(uri, kind)| (&**uri, *kind)).collect();
            assert_eq!(found, wanted, "{limit} a page");
        }

        // The same by the HTTP API.
        let get = async |path: &str| {
            let answer = plyr.get(path).await;
            (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
        };
        let (_, all) = get("/activity/?limit=1000").await;
        assert_eq!((&all["has_more"], &all["next_cursor"]), (&json!(false), &Value::Null), "{all}");
        let events = all["events"].as_array().expect("a list").clone();
        let of = |kind: &str| {
            let found = events
                .iter()
                .find(|event| event["type"] == kind)
                .unwrap_or_else(|| panic!("{kind} in {all}"));
            found.clone()
        };
        for kind in ["like", "track", "comment", "join", "playlist_create", "album_release"] {
            let event = of(kind);
            assert_eq!(event["created_at"], "2020-03-03T03:03:03.000000+00:00", "{event}");
            assert!(
                event["actor"]["handle"].is_string() && event["actor"]["display_name"].is_string(),
                "{event}"
            );
            assert_eq!(
                event["track"]["id"].is_i64(),
                ["like", "track", "comment"].contains(&kind),
                "{event}"
            );
        }
        assert_eq!(of("comment")["comment_text"], "here");
        assert_eq!(of("track")["track"]["artist_handle"], artist.handle.as_str());
        let album = &of("album_release")["collection"];
        assert_eq!(
            (&album["type"], &album["name"], &album["slug"]),
            (&json!("album"), &json!("album"), &json!("album"))
        );
        let id = of("playlist_create")["collection"]["id"].as_str().expect("an id").to_owned();
        assert_eq!(get(&format!("/lists/playlists/{id}")).await.0, 200);
        let (_, page) = get("/activity?limit=3").await;
        let cursor = page["next_cursor"].as_str().expect("a cursor");
        let told = page["events"].as_array().map_or(0, Vec::len);
        assert_eq!(told, 2, "the like of what was liked before has a place, but is not told");
        assert_eq!(get(&format!("/activity/?limit=1&cursor={cursor}")).await.1["events"][0], events[told]);
        let before = get("/activity/?cursor=2020-03-03T03:03:03%2B00:00").await.1;
        assert_eq!(before["events"], json!([]), "nothing is older");
        assert_eq!(get("/activity/?cursor=x").await, (400, json!({"detail": "invalid cursor format"})));
        for bad in ["/activity/?limit=few", "/activity/histogram?days=0", "/activity/histogram?days=31"] {
            assert_eq!(get(bad).await.0, 422, "{bad}");
        }

        // What happens today is in today's number; who hides is in none and nowhere.
        let today = pds::track("happened today", &blob);
        let today = artist.create_record("fm.plyr.track", today).await;
        plyr.await_counts(&today.0, Some([0, 0, 0])).await;
        let (_, days) = get("/activity/histogram?days=30").await;
        let days = days["buckets"].as_array().expect("a list").clone();
        assert_eq!((days.len(), &days[29]["count"]), (30, &json!(1)), "{days:?}");
        assert_eq!(days[29]["date"], chrono::Utc::now().date_naive().to_string());
        assert_eq!(get("/activity/histogram").await.1["buckets"].as_array().map(Vec::len), Some(7));
        fan.deactivate().await;
        eventually("the fan to be gone", || async {
            let (_, page) = get("/activity/?limit=100").await;
            let events = page["events"].as_array().expect("a list").iter();
            same(events.filter(|event| event["actor"]["did"] == fan.did.as_str()).count(), 0)
        })
        .await;
        artist.deactivate().await;
        eventually("nobody is left", || async {
            same(get("/activity/").await.1["events"].clone(), json!([]))
        })
        .await;
    });
}
