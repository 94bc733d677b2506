//! Down the whole river: a record written to a PDS by another program, to what a client and a page see.

use serde_json::json;

use crate::world::{self, Account, Plyr, eventually, network, pds, run, same};

#[test]
fn a_track_arrives_whole() {
    run(async {
        let net = &world::network::Network::start(&[]);
        let artist = Account::create(net, "aria").await;
        let avatar = artist.upload("image/png", crate::media::png(7)).await;
        let profile =
            json!({"$type": "app.bsky.actor.profile", "displayName": "Aria 葉子", "avatar": avatar});
        artist.put_record("app.bsky.actor.profile", "self", profile).await;
        let bio =
            json!({"$type": "fm.plyr.actor.profile", "bio": "songs for two cores", "createdAt": pds::now()});
        artist.put_record("fm.plyr.actor.profile", "self", bio).await;
        let plyr = Plyr::up(net).await;
        let (uri, cid) = artist.create_track("down the river").await;
        let track = eventually("the track with its sound", || async {
            let track = plyr.track(&uri).await.ok_or("no track")?;
            let author = &track["author"];
            let whole = track["audio"].is_string()
                && author["avatar"].is_string()
                && author["handle"] == artist.handle;
            if whole { Ok(track) } else { Err(track.to_string()) }
        })
        .await;
        assert_eq!(track["cid"], cid);
        assert_eq!(track["record"]["title"], "down the river");
        assert_eq!(track["author"]["did"], artist.did);
        assert_eq!(track["author"]["displayName"], "Aria 葉子");
        let by_handle = plyr.query("fm.plyr.actor.getProfile", &[("actor", &artist.handle)]).await;
        assert_eq!(by_handle, plyr.query("fm.plyr.actor.getProfile", &[("actor", &artist.did)]).await);
        assert_eq!(by_handle["bio"], "songs for two cores");
        assert_eq!(by_handle["trackCount"], 1);
        let latest = plyr.query("fm.plyr.feed.getLatest", &[("limit", "1")]).await;
        assert_eq!(latest["tracks"][0]["uri"], uri.as_str());
    });
}

#[test]
fn what_people_say_of_themselves_is_told() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let person = Account::create(net, "labelled").await;
        person.create_track("by somebody labelled").await;
        let values = json!([{"val": "!no-unauthenticated"}, {"val": "bot"}]);
        let labels = json!({"$type": "com.atproto.label.defs#selfLabels", "values": values});
        let (at, kind) = ("2024-05-06T07:08:09Z", "app.bsky.actor.profile");
        let profile = json!({"$type": kind, "displayName": "Labelled", "labels": labels, "createdAt": at});
        let (uri, cid) = person.put_record(kind, "self", profile).await;
        let told = eventually("the labels", || async {
            let (_, told) = plyr.xrpc("fm.plyr.actor.getProfile", &[("actor", &person.did)]).await;
            if told["labels"].is_array() { Ok(told) } else { Err(told.to_string()) }
        })
        .await;
        let label = |val: &str| json!({"src": person.did, "uri": uri, "cid": cid, "val": val, "cts": at});
        assert_eq!(told["labels"], json!([label("!no-unauthenticated"), label("bot")]));
        let both = plyr.query("fm.plyr.actor.getProfiles", &[("actors", &person.did)]).await;
        assert_eq!(both["profiles"][0], told);
        // They hide nothing, and go when they are taken back.
        assert_eq!((&told["displayName"], &told["trackCount"]), (&json!("Labelled"), &json!(1)));
        person.put_record(kind, "self", json!({"$type": kind, "displayName": "Labelled"})).await;
        eventually("no labels", || async {
            let told = plyr.query("fm.plyr.actor.getProfile", &[("actor", &person.did)]).await;
            same(told.get("labels").cloned(), None)
        })
        .await;
    });
}

#[test]
fn likes_and_comments_come_and_go() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let track = artist.create_track("likeable").await;
        // A like may come before anybody knows the track; here it comes twice from one person, who is one person.
        let like = fan.like(&track).await;
        let again = fan.like(&track).await;
        let comment = fan.create_record("fm.plyr.comment", pds::comment(&track, "this moment", 400)).await;
        plyr.await_counts(&track.0, Some([1, 1, 0])).await;
        let likes = plyr.query("fm.plyr.feed.getLikes", &[("uri", &track.0)]).await;
        assert_eq!(likes["likes"].as_array().map(Vec::len), Some(1), "{likes}");
        assert_eq!(likes["likes"][0]["uri"], like.0.as_str());
        assert_eq!(likes["likes"][0]["author"]["did"], fan.did);
        let comments = plyr.query("fm.plyr.feed.getComments", &[("uri", &track.0)]).await;
        assert_eq!(comments["comments"][0]["text"], "this moment");
        assert_eq!(comments["comments"][0]["timestampMs"], 400);
        fan.delete_record(&like.0).await;
        fan.delete_record(&comment.0).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        fan.delete_record(&again.0).await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        artist.delete_record(&track.0).await;
        plyr.await_counts(&track.0, None).await;
    });
}

#[test]
fn plays_of_both_namespaces_count_once() {
    run(async {
        let net = network();
        let key = "0f".repeat(32);
        let settings = [("PLYR_PUBLIC_URL", "https://music.example"), ("PLYR_SECRET_KEY", &key)];
        let plyr = Plyr::up_with(net, &settings).await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let track = artist.create_track("played").await;
        let rkey = track.0.rsplit('/').next().expect("a key");
        let page = format!("https://music.example/track/{}/{rkey}", artist.did);
        let at = pds::now();
        let stable = json!({"$type": "fm.teal.feed.play", "trackName": "Played", "artists": [{"artistName": "The Testers"}],
                            "originUri": page, "musicServiceUri": "https://music.example", "playedTime": at});
        let alpha = json!({"$type": "fm.teal.alpha.feed.play", "trackName": "played", "artistNames": ["the testers"],
                           "originUrl": track.0, "musicServiceBaseDomain": "music.example", "playedTime": at});
        let first = fan.create_record("fm.teal.feed.play", stable).await;
        let second = fan.create_record("fm.teal.alpha.feed.play", alpha).await;
        plyr.await_counts(&track.0, Some([0, 0, 1])).await;
        // Others on this network play, too.
        let held = || async {
            let held =
                sqlx::query_scalar::<_, i64>("select count(*) from play where did = $1").bind(&fan.did);
            held.fetch_one(&plyr.db.pool).await.expect("a number")
        };
        eventually("both plays", || async { same(held().await, 2) }).await;
        fan.delete_record(&first.0).await;
        eventually("one play", || async { same(held().await, 1) }).await;
        plyr.await_counts(&track.0, Some([0, 0, 1])).await;
        fan.delete_record(&second.0).await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
    });
}

#[test]
fn a_deactivated_account_is_gone_and_comes_back_exactly() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan, other) = (
            Account::create(net, "artist").await,
            Account::create(net, "fan").await,
            Account::create(net, "other").await,
        );
        let track = artist.create_track("here").await;
        fan.like(&track).await;
        other.like(&track).await;
        fan.create_record("fm.plyr.comment", pds::comment(&track, "hello", 0)).await;
        plyr.await_counts(&track.0, Some([2, 1, 0])).await;
        fan.deactivate().await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        let likes = plyr.query("fm.plyr.feed.getLikes", &[("uri", &track.0)]).await;
        assert_eq!(likes["likes"].as_array().map(Vec::len), Some(1));
        artist.deactivate().await;
        plyr.await_counts(&track.0, None).await;
        let (status, body) = plyr.xrpc("fm.plyr.feed.getLikes", &[("uri", &track.0)]).await;
        assert_eq!((status, &body["error"]), (400, &json!("NotFound")));
        fan.activate().await;
        artist.activate().await;
        plyr.await_counts(&track.0, Some([2, 1, 0])).await;
    });
}

#[test]
fn a_deleted_account_is_erased() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let track = artist.create_track("stays").await;
        fan.like(&track).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        fan.delete_account(net).await;
        plyr.await_counts(&track.0, Some([0, 0, 0])).await;
        let left = plyr
            .db
            .texts("select uri from record where did in (select did from actor where status = 'deleted')")
            .await;
        assert_eq!(left, Vec::<String>::new());
    });
}

#[test]
fn a_network_older_than_its_stream_is_read_as_a_whole() {
    run(async {
        let net = world::network::Network::start(&[("REPO_BACKFILL_LIMIT_MS", "1")]);
        let (artist, fan) = (Account::create(&net, "artist").await, Account::create(&net, "fan").await);
        let track = artist.create_track("old").await;
        fan.like(&track).await;
        let plyr = Plyr::up(&net).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        // And live from there on.
        Account::create(&net, "late").await.like(&track).await;
        plyr.await_counts(&track.0, Some([2, 0, 0])).await;
    });
}
