//! teal's queries over its records: what is heard most, and who listeners are.

use serde_json::{Value, json};

use crate::world::{Account, Plyr, eventually, network, run, same};

#[test]
fn teal_clients_get_their_statistics() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (x, y) = (Account::create(net, "xavier").await, Account::create(net, "yvonne").await);
        let mbid = "mbid:2e1ab77b-1234-4cd6-9c2f-0123456789ab";
        let play = |name: &str, artist: Value, release: &str, hours_ago: i64| {
            let at = chrono::Utc::now() - chrono::TimeDelta::hours(hours_ago);
            json!({
                "trackName": name, "artists": [artist], "releaseName": release,
                "playedTime": at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            })
        };
        let known = json!({"artistName": "Known", "artistMbId": mbid});
        let named = json!({"artistName": " Only A Name"});
        for (who, value) in [
            (&x, play("s", known.clone(), "Best Of", 1)),
            (&x, play("s", known.clone(), "best of", 2)),
            (&x, play("u", named.clone(), "Best Of", 3)),
            (&y, play("s", known.clone(), "Best Of", 24 * 100)),
        ] {
            who.create_record("fm.teal.feed.play", value).await;
        }
        let ours = |answer: &Value, list: &str| {
            let all = answer[list].as_array().expect("a list").clone();
            all.into_iter()
                .map(|it| {
                    (
                        it["name"].as_str().unwrap_or_default().trim().to_lowercase(),
                        it["playCount"].as_i64(),
                        it["mbid"].clone(),
                    )
                })
                .collect::<Vec<_>>()
        };
        let wanted = vec![
            ("known".to_owned(), Some(2), json!(mbid)),
            ("only a name".to_owned(), Some(1), Value::Null),
        ];
        eventually("their artists", || async {
            let (code, answer) = plyr.xrpc("fm.teal.stats.getUserTopArtists", &[("actor", &x.did)]).await;
            if code != 200 {
                return Err(format!("{answer}"));
            }
            same(ours(&answer, "artists"), wanted.clone())
        })
        .await;
        eventually("the other's", || async {
            let query = [("actor", y.did.as_str()), ("period", "365days")];
            let (_, of_y) = plyr.xrpc("fm.teal.stats.getUserTopArtists", &query).await;
            same(of_y["artists"].clone(), json!([{"mbid": mbid, "name": "Known", "playCount": 1}]))
        })
        .await;
        let of_y = plyr.query("fm.teal.stats.getUserTopArtists", &[("actor", &y.did)]).await;
        assert_eq!(of_y["artists"], json!([]), "a hundred days ago");
        let releases =
            plyr.query("fm.teal.stats.getUserTopReleases", &[("actor", &x.did), ("limit", "1")]).await;
        assert_eq!(ours(&releases, "releases"), [("best of".to_owned(), Some(2), Value::Null)]);
        let next = releases["cursor"].as_str().expect("more");
        let query = [("actor", x.did.as_str()), ("limit", "1"), ("cursor", next)];
        let releases = plyr.query("fm.teal.stats.getUserTopReleases", &query).await;
        assert_eq!(
            ours(&releases, "releases"),
            [("best of".to_owned(), Some(1), Value::Null)],
            "of another artist"
        );
        let recordings = plyr.query("fm.teal.stats.getUserTopRecordings", &[("actor", &x.did)]).await;
        let numbers: Vec<_> = ours(&recordings, "recordings").into_iter().map(|it| (it.0, it.1)).collect();
        assert_eq!(numbers, [("s".to_owned(), Some(2)), ("u".to_owned(), Some(1))]);
        let repo = plyr.query("fm.teal.stats.getRepoTopReleases", &[("actor", &x.did)]).await;
        assert_eq!((&repo["sourceCount"], &repo["albumPlayCount"]), (&json!(3), &json!(3)));
        // Everybody's: other tests play on this network, too.
        let everybodys = |period: &'static str| {
            let plyr = &plyr;
            async move {
                let query = [("period", period), ("limit", "100")];
                let answer = plyr.query("fm.teal.stats.getTopArtists", &query).await;
                ours(&answer, "artists").into_iter().find(|it| it.2 == json!(mbid)).and_then(|it| it.1)
            }
        };
        eventually("everybody's artists", || async {
            same([everybodys("all").await, everybodys("30days").await], [Some(3), Some(2)])
        })
        .await;
    });
}

#[test]
fn listeners_are_found_by_their_names() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (one, two) =
            (Account::create(net, "listenerone").await, Account::create(net, "listenertwo").await);
        let avatar = one.upload("image/png", vec![0x89, b'P', b'N', b'G', 13, 10, 26, 10]).await;
        let profile = json!({
            "$type": "fm.teal.actor.profile", "displayName": "100% Ears", "description": "hears a lot", "avatar": avatar,
        });
        one.put_record("fm.teal.actor.profile", "self", profile).await;
        // An older one says less than the newer.
        one.put_record("fm.teal.alpha.actor.profile", "self", json!({"displayName": "old ears"})).await;
        two.put_record("fm.teal.alpha.actor.profile", "self", json!({"displayName": "All Ears"})).await;
        let found = async |q: &str| {
            let answer = plyr.query("fm.teal.actor.searchActors", &[("q", q)]).await;
            let actors = answer["actors"].as_array().expect("actors").clone();
            actors.iter().map(|actor| actor["did"].as_str().expect("a DID").to_owned()).collect::<Vec<_>>()
        };
        eventually("both", || async {
            let mut both = found("ears").await;
            both.sort();
            let mut wanted = vec![one.did.clone(), two.did.clone()];
            wanted.sort();
            same(both, wanted)
        })
        .await;
        assert_eq!(found("all E").await, [two.did.as_str()]);
        assert_eq!(found("0% e").await, [one.did.as_str()], "a percent sign is one");
        assert_eq!(found("e_rs").await, Vec::<String>::new());
        let query = [("q", "ears"), ("limit", "1")];
        let page = plyr.query("fm.teal.actor.searchActors", &query).await;
        let cursor = page["cursor"].as_str().expect("more");
        let next = plyr.query("fm.teal.actor.searchActors", &[query[0], query[1], ("cursor", cursor)]).await;
        assert_ne!(page["actors"][0]["did"], next["actors"][0]["did"]);
        assert_eq!(next["cursor"], Value::Null);

        let one_is = plyr.query("fm.teal.actor.getProfile", &[("actor", &one.did)]).await;
        assert_eq!(one_is["profile"]["displayName"], "100% Ears");
        assert_eq!(one_is["profile"]["avatar"], avatar["ref"]["$link"]);
        let query = [("actors", two.did.as_str()), ("actors", one.did.as_str()), ("actors", "nobody.test")];
        let several = plyr.query("fm.teal.actor.getProfiles", &query).await;
        let names: Vec<_> =
            several["actors"].as_array().expect("actors").iter().map(|it| &it["displayName"]).collect();
        assert_eq!(names, ["All Ears", "100% Ears"]);
        two.deactivate().await;
        eventually("the end", || async { same(found("all ears").await, Vec::new()) }).await;
    });
}
