//! Lists of tracks, tags, lists and albums, page by page.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::pds::{self, now};
use crate::world::{Account, Plyr, eventually, network, run, same};

type Query<'a> = &'a [(&'a str, &'a str)];

fn uris(values: &Value) -> Vec<String> {
    let values = values.as_array().expect("a list").iter();
    values.map(|value| value["uri"].as_str().expect("a uri").to_owned()).collect()
}

/// All of a list, page by page. Between two pages something `happens`.
async fn walk(
    plyr: &Plyr,
    (method, query, name): (&str, Query<'_>, &str),
    limit: &str,
    mut happens: impl AsyncFnMut(usize),
) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), None::<String>);
    for page in 0.. {
        let mut asked = query.to_vec();
        asked.push(("limit", limit));
        asked.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let answer = plyr.query(method, &asked).await;
        all.extend(answer[name].as_array().expect("a list").iter().cloned());
        match answer["cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return all,
        }
        happens(page).await;
    }
    unreachable!("it ends")
}

fn album(name: &str, items: &[&(String, String)]) -> Value {
    let items: Vec<Value> =
        items.iter().map(|(uri, cid)| json!({"subject": {"uri": uri, "cid": cid}})).collect();
    json!({"listType": "album", "name": name, "items": items, "createdAt": now()})
}

/// Twelve tracks of one moment, tagged; somebody likes all of them at one moment, some of them twice; they are all in one list. Each way
/// through them finds each once, whatever comes and goes on the way.
#[test]
fn every_way_through_tracks_finds_each_once() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan) = (Account::create(net, "feeder").await, Account::create(net, "feedfan").await);
        let blob = artist.upload("audio/wav", pds::wav(440, 1)).await;
        const MOMENT: &str = "2020-03-03T03:03:03Z";
        let create = async |title: &str| {
            let mut record = pds::track(title, &blob);
            record["createdAt"] = json!(MOMENT);
            record["tags"] = json!(["Feeder  Tag", format!("feeder only {title}")]);
            artist.create_record("fm.plyr.track", record).await
        };
        let like = async |track: &(String, String), nsid: &str| {
            let record = json!({"subject": {"uri": track.0, "cid": track.1}, "createdAt": MOMENT});
            fan.create_record(nsid, record).await
        };
        let mut tracks = Vec::new();
        for number in 0..12 {
            tracks.push(create(&number.to_string()).await);
        }
        for (number, track) in tracks.iter().enumerate() {
            like(track, "fm.plyr.like").await;
            if number % 3 == 0 {
                like(track, "app.bsky.feed.like").await;
            }
        }
        let list = artist
            .create_record("fm.plyr.list", album("feeder list", &tracks.iter().collect::<Vec<_>>()))
            .await;
        let by_tag = [("tag", " feeder TAG-")];
        eventually("all of them", || async {
            // Nobody is known of whom nothing came yet.
            let asked = [("actor", fan.handle.as_str()), ("limit", "100")];
            let (_, liked) = plyr.xrpc("fm.plyr.feed.getActorLikes", &asked).await;
            let tagged = plyr.query("fm.plyr.feed.getTagTracks", &by_tag).await;
            let (found, _) = plyr.xrpc("fm.plyr.list.getList", &[("uri", &list.0)]).await;
            let liked = liked["tracks"].as_array().map_or(0, Vec::len);
            same((liked, tagged["trackCount"].as_u64(), found), (12, Some(12), 200))
        })
        .await;
        let stable: BTreeSet<String> = tracks.iter().map(|(uri, _)| uri.clone()).collect();
        let of_artist = [("actor", artist.did.as_str())];
        let of_fan = [("actor", fan.handle.as_str())];
        let in_album = [("actor", artist.handle.as_str()), ("slug", "feeder-list")];
        let ways: [(&str, Query, &str); 5] = [
            ("fm.plyr.feed.getActorTracks", &of_artist, "tracks"),
            ("fm.plyr.feed.getActorLikes", &of_fan, "tracks"),
            ("fm.plyr.feed.getTagTracks", &by_tag, "tracks"),
            ("fm.plyr.list.getAlbum", &in_album, "tracks"),
            ("fm.plyr.list.getList", &[("uri", list.0.as_str())], "items"),
        ];
        for way in ways {
            for limit in ["1", "5", "100"] {
                let mut passing = Vec::<(String, String)>::new();
                // One comes and goes at the same moment, with each page.
                let found = walk(&plyr, way, limit, async |page| {
                    if limit != "5" {
                        return;
                    }
                    let track = create(&format!("passing {page}")).await;
                    like(&track, "fm.plyr.like").await;
                    plyr.await_counts(&track.0, Some([1, 0, 0])).await;
                    if let Some((earlier, _)) = passing.pop() {
                        artist.delete_record(&earlier).await;
                        eventually("it is gone", || async { same(plyr.track(&earlier).await, None) }).await;
                    }
                    passing.push(track);
                })
                .await;
                for (uri, _) in passing {
                    artist.delete_record(&uri).await;
                    eventually("it is gone", || async { same(plyr.track(&uri).await, None) }).await;
                }
                let found = uris(&Value::Array(found));
                let once: BTreeSet<String> = found.iter().cloned().collect();
                assert_eq!(once.len(), found.len(), "{} {limit} repeats", way.0);
                assert!(once.is_superset(&stable), "{} {limit} misses {:?}", way.0, stable.difference(&once));
                assert!(limit == "5" || once == stable, "{} {limit}: {once:?}", way.0);
            }
        }
        // Tags by how many have them, then by name; and by how they begin.
        let tags =
            walk(&plyr, ("fm.plyr.feed.getTags", &[("q", " Feeder")], "tags"), "5", async |_| {}).await;
        let tags: Vec<(&str, u64)> = tags
            .iter()
            .map(|tag| (tag["tag"].as_str().expect("text"), tag["trackCount"].as_u64().expect("a number")))
            .collect();
        let mut wanted: Vec<String> = (0..12).map(|number| format!("feeder only {number}")).collect();
        wanted.sort();
        let mut all = vec![("feeder tag", 12)];
        all.extend(wanted.iter().map(|tag| (tag.as_str(), 1)));
        assert_eq!(tags, all);

        // Whoever is hidden takes their tracks along, and brings them back.
        artist.deactivate().await;
        let counted = async || {
            let answer = plyr.query("fm.plyr.feed.getTagTracks", &by_tag).await;
            let liked = plyr.query("fm.plyr.feed.getActorLikes", &of_fan).await;
            let (status, _) = plyr.xrpc("fm.plyr.list.getList", &[("uri", &list.0)]).await;
            let shown =
                [&answer["tracks"], &liked["tracks"]].map(|tracks| tracks.as_array().map_or(0, Vec::len));
            (answer["trackCount"].as_u64(), shown, status)
        };
        eventually("nothing", || async { same(counted().await, (Some(0), [0, 0], 400)) }).await;
        let (status, body) = plyr.xrpc("fm.plyr.feed.getActorTracks", &of_artist).await;
        assert_eq!((status, &body["error"]), (400, &json!("NotFound")));
        artist.activate().await;
        eventually("all again", || async { same(counted().await, (Some(12), [12, 12], 200)) }).await;
        let output = plyr.command(&["audit", "counts"]).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    });
}

#[test]
fn a_track_comes_with_what_is_said_of_it() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "spokenof").await;
        let track = artist.create_track("spoken of").await;
        for moment in [3000, 1000, 2000] {
            artist.create_record("fm.plyr.comment", pds::comment(&track, &moment.to_string(), moment)).await;
        }
        plyr.await_counts(&track.0, Some([0, 3, 0])).await;
        let way = ("fm.plyr.feed.getTrack", &[("uri", track.0.as_str())][..], "comments");
        let comments = walk(&plyr, way, "2", async |_| {}).await;
        let texts: Vec<&str> = comments.iter().filter_map(|comment| comment["text"].as_str()).collect();
        assert_eq!(texts, ["1000", "2000", "3000"]);
        let answer = plyr.query(way.0, way.1).await;
        assert_eq!((&answer["track"]["uri"], &answer["track"]["commentCount"]), (&json!(track.0), &json!(3)));
        let (status, body) = plyr.xrpc(way.0, &[("uri", &format!("{}x", track.0))]).await;
        assert_eq!((status, &body["error"]), (400, &json!("NotFound")));
    });
}

/// An album is one, whether a list has its name or its tracks do.
#[test]
fn an_album_is_its_list_and_what_its_tracks_say() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, other) = (Account::create(net, "recorder").await, Account::create(net, "guest").await);
        let blob = artist.upload("audio/wav", pds::wav(440, 1)).await;
        let create = async |title: &str, album: &str| {
            let mut record = pds::track(title, &blob);
            record["album"] = json!(album);
            artist.create_record("fm.plyr.track", record).await
        };
        let get = async |slug: &str| {
            let (_, answer) =
                plyr.xrpc("fm.plyr.list.getAlbum", &[("actor", &artist.handle), ("slug", slug)]).await;
            answer
        };
        let titles = |answer: &Value| -> Vec<String> {
            let tracks = answer["tracks"].as_array().into_iter().flatten();
            tracks.map(|track| track["record"]["title"].as_str().expect("a title").to_owned()).collect()
        };
        let one = create("one", "Ночной Свет").await;
        create("two", "ночной свет").await;
        eventually("an album of texts", || async {
            same(titles(&get("ночной-свет").await), vec!["one".to_owned(), "two".into()])
        })
        .await;
        let texts = get("ночной-свет").await;
        assert_eq!(
            (&texts["album"]["title"], &texts["album"]["trackCount"]),
            (&json!("Ночной Свет"), &json!(2))
        );
        assert_eq!(texts["album"]["uri"], Value::Null);

        // The list takes its place: its own order first, a guest among it, one that is nowhere, and one twice.
        let guest = other.create_track("guest").await;
        let nowhere = (format!("{}x", one.0), one.1.clone());
        let list = artist
            .create_record("fm.plyr.list", album("НОЧНОЙ СВЕТ", &[&guest, &nowhere, &one, &guest]))
            .await;
        eventually("the list's order", || async {
            same(titles(&get("ночной-свет").await), ["guest", "one", "two"].map(String::from).to_vec())
        })
        .await;
        let listed = get("ночной-свет").await;
        assert_eq!(listed["album"]["id"], texts["album"]["id"], "still the same");
        assert_eq!((&listed["album"]["uri"], &listed["album"]["trackCount"]), (&json!(list.0), &json!(3)));
        let answer = plyr.query("fm.plyr.list.getList", &[("uri", &list.0)]).await;
        assert_eq!(uris(&answer["items"]), [&guest, &nowhere, &one, &guest].map(|item| item.0.clone()));
        let shown: Vec<bool> =
            answer["items"].as_array().expect("items").iter().map(|item| item["track"].is_object()).collect();
        assert_eq!(shown, [true, false, true, true]);
        assert_eq!(
            (&answer["list"]["itemCount"], &answer["list"]["slug"]),
            (&json!(4), &json!("ночной-свет"))
        );
        assert!(answer["list"]["record"].get("items").is_none(), "{}", answer["list"]);

        // Renamed, it is found by both names, with all its tracks.
        artist
            .put_record("fm.plyr.list", list.0.rsplit('/').next().expect("a key"), album("Day", &[&guest]))
            .await;
        eventually("the new name", || async { same(titles(&get("day").await).len(), 3) }).await;
        assert_eq!(get("ночной-свет").await["album"], get("day").await["album"]);
        assert_eq!(get("day").await["album"]["title"], "Day");

        let mut playlist = album("mine", &[&one]);
        playlist["listType"] = json!("playlist");
        playlist["mood"] = json!("calm");
        let playlist = artist.create_record("fm.plyr.list", playlist).await;
        let of_artist = [("actor", artist.did.as_str())];
        let all = async |kind: Option<&str>| {
            let mut query = of_artist.to_vec();
            query.extend(kind.map(|kind| ("listType", kind)));
            uris(&Value::Array(
                walk(&plyr, ("fm.plyr.list.getLists", &query, "lists"), "1", async |_| {}).await,
            ))
        };
        eventually("both lists", || async {
            same(all(None).await, vec![playlist.0.clone(), list.0.clone()])
        })
        .await;
        assert_eq!(all(Some("album")).await, [&*list.0]);
        assert!(all(Some("liked")).await.is_empty());
        let lists = plyr.query("fm.plyr.list.getLists", &of_artist).await;
        assert_eq!(lists["lists"][0]["record"]["mood"], "calm", "fields of others stay");
        let (status, body) =
            plyr.xrpc("fm.plyr.list.getAlbum", &[("actor", &artist.did), ("slug", "nothing")]).await;
        assert_eq!((status, &body["error"]), (400, &json!("NotFound")));
    });
}

/// Addresses that were made by servers which know only a to z lead to the same album as ours, unless another is called so.
#[test]
fn an_album_is_found_by_what_is_left_of_its_name_in_ascii() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let artist = Account::create(net, "accented").await;
        let blob = artist.upload("audio/wav", pds::wav(440, 1)).await;
        let create = async |title: &str, album: &str| {
            let mut record = pds::track(title, &blob);
            record["album"] = json!(album);
            artist.create_record("fm.plyr.track", record).await
        };
        // What both interfaces tell of it: what it is called, by what slug, and its tracks.
        let told = async |slug: &str| -> Result<[Value; 3], String> {
            let asked = [("actor", artist.handle.as_str()), ("slug", slug)];
            let (_, by_xrpc) = plyr.xrpc("fm.plyr.list.getAlbum", &asked).await;
            let path = format!("/albums/{}/{}", artist.handle, slug.replace(' ', "%20"));
            let by_http: Value = plyr.get(&path).await.json().await.expect("JSON");
            let title = |track: &Value| track["title"].clone();
            let of_http = [
                by_http["metadata"]["title"].clone(),
                by_http["metadata"]["slug"].clone(),
                by_http["tracks"].as_array().into_iter().flatten().map(title).collect(),
            ];
            let of_xrpc = [
                by_xrpc["album"]["title"].clone(),
                by_xrpc["album"]["slug"].clone(),
                by_xrpc["tracks"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|track| title(&track["record"]))
                    .collect(),
            ];
            same(&of_xrpc, &of_http)?;
            Ok(of_http)
        };
        let is = |title: &str, slug: &str, track: &str| Ok([json!(title), json!(slug), json!([track])]);
        create("one", "Café Olé").await;
        create("two", "夜 Night Drive").await;
        create("three", "夜行").await;
        let (coffee, night) =
            (is("Café Olé", "café-olé", "one"), is("夜 Night Drive", "夜-night-drive", "two"));
        for (slug, wanted) in [
            ("café-olé", &coffee),
            ("caf-ol", &coffee),
            ("CAF-OL", &coffee),
            ("夜-night-drive", &night),
            ("night-drive", &night),
            ("夜行", &is("夜行", "夜行", "three")),
        ] {
            eventually("the album", || async { same(told(slug).await, wanted.clone()) }).await;
        }
        create("four", "Caf Ol").await;
        eventually("its own name", || async { same(told("caf-ol").await, is("Caf Ol", "caf-ol", "four")) })
            .await;
        assert_eq!(told("café-olé").await, coffee);
        let (status, _) =
            plyr.xrpc("fm.plyr.list.getAlbum", &[("actor", &artist.did), ("slug", "night")]).await;
        assert_eq!(
            (status, plyr.get(&format!("/albums/{}/night", artist.did)).await.status().as_u16()),
            (400, 404)
        );
    });
}
