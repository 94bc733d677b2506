//! `plyr rebuild`: from the records alone, the same rows.

use serde_json::Value;

use crate::oddities;
use crate::world::{Account, Plyr, eventually, network::Network, pds, run, same};

/// Every projection, as text in a fixed order.
async fn projections(plyr: &Plyr) -> Vec<String> {
    let mut rows = Vec::new();
    for sql in [
        "select track::text from track order by uri",
        "select reaction::text from reaction order by uri, subject_uri",
        "select link::text from link order by uri, path, target",
        "select link_count::text from link_count where records <> 0 order by target, collection, path",
        "select comment::text from comment order by uri",
        "select list::text from list order by uri",
        "select list_item::text from list_item order by list_uri, position",
        "select profile::text from profile order by uri",
        "select bsky_profile::text from bsky_profile order by uri",
        "select play::text from play order by uri",
        "select actor_status::text from actor_status order by uri",
        "select blob_ref::text from blob_ref order by uri, cid, role",
        // A row of zeros says as much as none.
        "select subject_count::text from subject_count where (like_count, comment_count, play_count) <> (0, 0, 0) order by uri",
        "select record::text from record order by uri",
    ] {
        let found = plyr.db.texts(sql).await;
        assert!(!found.is_empty(), "nothing to compare: {sql}");
        rows.extend(found);
    }
    rows
}

/// What addresses have of a track: its number, and those of what is said of it.
async fn numbers(plyr: &Plyr, id: i64) -> [Value; 2] {
    let get = async |path: String| -> Value { plyr.get(&path).await.json().await.expect("JSON") };
    let track = get(format!("/tracks/{id}")).await;
    let comments = get(format!("/tracks/{id}/comments")).await;
    let id = &comments["comments"][0]["id"];
    assert!(id.is_number() && track["atproto_record_uri"].is_string(), "{comments} {track}");
    [track["atproto_record_uri"].clone(), id.clone()]
}

#[test]
fn rebuild_ends_in_the_same_rows() {
    run(async {
        let net = &Network::start(&[]);
        let plyr = Plyr::up(net).await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let track = artist.create_track("again").await;
        fan.like(&track).await;
        fan.create_record("fm.plyr.comment", pds::comment(&track, "again", 9)).await;
        let items = serde_json::json!({"$type": "fm.plyr.list", "name": "ours", "listType": "playlist",
            "items": [{"subject": {"uri": track.0, "cid": track.1}}], "createdAt": pds::now()});
        fan.create_record("fm.plyr.list", items).await;
        let status = serde_json::json!({"$type": "fm.teal.actor.status", "time": pds::now(), "item": {
            "trackName": "again", "artists": [{"artistName": "the testers"}], "originUri": track.0}});
        fan.put_record("fm.teal.actor.status", "self", status).await;
        let play = serde_json::json!({"$type": "fm.teal.feed.play", "trackName": "again", "originUri": track.0,
            "artists": [{"artistName": "the testers"}, {"artistName": "others"}], "playedTime": pds::now()});
        fan.create_record("fm.teal.feed.play", play).await;
        let alpha = serde_json::json!({"$type": "fm.teal.alpha.feed.play", "trackName": "elsewhere", "artistNames": ["x"]});
        fan.create_record("fm.teal.alpha.feed.play", alpha).await;
        let avatar = artist.upload("image/png", crate::media::png(3)).await;
        let face =
            serde_json::json!({"$type": "app.bsky.actor.profile", "displayName": "Artist", "avatar": avatar});
        artist.put_record("app.bsky.actor.profile", "self", face).await;
        let bio =
            serde_json::json!({"$type": "fm.plyr.actor.profile", "bio": "again", "createdAt": pds::now()});
        artist.put_record("fm.plyr.actor.profile", "self", bio).await;
        oddities::write_all(&artist).await;
        // Somebody who is switched off counts for nothing, before and after.
        let quiet = Account::create(net, "quiet").await;
        quiet.like(&track).await;
        plyr.await_counts(&track.0, Some([2, 1, 1])).await;
        quiet.deactivate().await;
        plyr.await_counts(&track.0, Some([1, 1, 1])).await;
        eventually("the last record", || async {
            same(
                plyr.db
                    .number(
                        "select count(*) from comment where uri like '%/3jzfcijpj2z2a' and body = 'after'",
                    )
                    .await,
                1,
            )
        })
        .await;
        plyr.await_quiet().await;
        let before = projections(&plyr).await;
        assert!(before.len() > 15, "{before:#?}");
        let id = plyr.track_id(&track.0).await;
        let numbers = numbers(&plyr, id).await;
        let output = plyr.command(&["rebuild"]).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(projections(&plyr).await, before);
        assert_eq!((plyr.track_id(&track.0).await, self::numbers(&plyr, id).await), (id, numbers.clone()));
        // And it mends what is broken.
        for sql in [
            "delete from reaction where uri <> (select min(uri) from reaction)",
            "update track set title = 'wrong'",
            "update subject_count set like_count = 99",
            "insert into comment select 'at://' || did || '/fm.plyr.comment/x', did, 'at://x', 'c', 'ghost', 0, now(), null from actor limit 1",
        ] {
            sqlx::query(sql).execute(&plyr.db.pool).await.expect(sql);
        }
        assert_ne!(projections(&plyr).await, before);
        let audited = plyr.command(&["audit", "counts"]).output().expect("it runs");
        let said = String::from_utf8_lossy(&audited.stdout);
        assert_eq!(audited.status.code(), Some(1), "{said}");
        assert!(said.contains("likes: 99, and the records say"), "{said}");
        assert!(plyr.command(&["rebuild"]).output().expect("it runs").status.success());
        assert_eq!(projections(&plyr).await, before);
        assert_eq!((plyr.track_id(&track.0).await, self::numbers(&plyr, id).await), (id, numbers));
        let audited = plyr.command(&["audit", "counts"]).output().expect("it runs");
        assert!(audited.status.success(), "{}", String::from_utf8_lossy(&audited.stdout));
    });
}
