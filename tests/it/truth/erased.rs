//! Deleted means erased, everywhere and soon.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use tokio_tungstenite::connect_async;

use super::{Voice, standing};
use crate::media::png;
use crate::world::network::Network;
use crate::world::{Account, Person, Plyr, eventually, pds, run, same};

/// All that the PDS has said of an account so far.
async fn frames(net: &Network, did: &str) -> Vec<Vec<u8>> {
    let url = format!("ws://127.0.0.1:{}/xrpc/com.atproto.sync.subscribeRepos?cursor=0", net.pds_port);
    let (mut stream, _) = connect_async(url).await.expect("the PDS");
    let mut found = Vec::new();
    while let Ok(Some(Ok(frame))) = tokio::time::timeout(Duration::from_secs(1), stream.next()).await {
        let bytes = frame.into_data().to_vec();
        if bytes.windows(did.len()).any(|window| window == did.as_bytes()) {
            found.push(bytes);
        }
    }
    found
}

/// The tables in which a DID stands in any column, in words or inside of bytes.
async fn tables_naming(plyr: &Plyr, did: &str) -> Vec<String> {
    let tables: Vec<String> = plyr
        .db
        .texts(
            "select table_name::text from information_schema.tables where table_schema = 'public' order by 1",
        )
        .await;
    let mut naming = Vec::new();
    let hex: String = did.bytes().map(|byte| format!("{byte:02x}")).collect();
    for table in tables {
        let sql = format!(
            "select count(*) from \"{table}\" as t where strpos(t::text, $1) > 0 or strpos(t::text, $2) > 0"
        );
        let count: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(did)
            .bind(&hex)
            .fetch_one(&plyr.db.pool)
            .await
            .expect("a number");
        if count > 0 {
            naming.push(table);
        }
    }
    naming
}

#[test]
fn nothing_is_left_and_nothing_comes_back() {
    run(async {
        let net = Network::start(&[]);
        let voice = Voice::start().await;
        let plyr = Plyr::up_with(&net, &[("PLYR_UPSTREAMS", &voice.beside(&net.upstream()))]).await;
        let [artist, friend, leaver] = [
            Account::create(&net, "artist").await,
            Account::create(&net, "friend").await,
            Account::create(&net, "leaver").await,
        ];
        let theirs = artist.create_track("stays").await;
        let audio = leaver.upload("audio/wav", pds::wav(7, 1)).await;
        let mut record = pds::track("goes", &audio);
        record["image"] = leaver.upload("image/png", png(7)).await;
        let track = leaver.create_record("fm.plyr.track", record).await;
        let when = pds::now();
        leaver.like(&theirs).await;
        leaver.create_record("fm.plyr.comment", pds::comment(&theirs, "farewell", 1)).await;
        let item = json!({"subject": {"uri": theirs.0, "cid": theirs.1}});
        let list = json!({"$type": "fm.plyr.list", "name": "mine", "listType": "playlist", "items": [item], "createdAt": when});
        leaver.create_record("fm.plyr.list", list).await;
        let profile = json!({"$type": "fm.plyr.actor.profile", "bio": "here", "createdAt": when});
        leaver.put_record("fm.plyr.actor.profile", "self", profile).await;
        let play = json!({"$type": "fm.teal.feed.play", "trackName": "stays", "artists": [{"artistName": "x"}],
            "originUri": theirs.0, "playedTime": when});
        leaver.create_record("fm.teal.feed.play", play).await;
        leaver.create_record("fm.plyr.like", json!({"$type": "fm.plyr.like", "subject": 7})).await;
        plyr.await_counts(&theirs.0, Some([1, 1, 1])).await;
        // What only we know of them: a session, a wish fulfilled, something kept aside.
        let person = Person::sign_in(&plyr, &leaver).await;
        let id = plyr.track_id(&theirs.0).await;
        let words = json!({"text": "by hand", "timestamp_ms": 5});
        person.post_json(&format!("/tracks/{id}/comments"), &words).await.good();
        eventually("all of it", || async {
            let shown = plyr.track(&track.0).await.ok_or("not shown")?;
            same(shown["audio"].is_string() && shown["cover"].is_string(), true)
        })
        .await;
        let friends = friend.like(&track).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        let shown = plyr.track(&track.0).await.expect("the track");
        let media: Vec<String> = ["audio", "cover"]
            .iter()
            .map(|key| shown[key].as_str().expect("a URL").replace(&plyr.public_url, ""))
            .collect();
        for path in &media {
            assert_eq!(plyr.get(path).await.status(), 200, "{path}");
        }
        sqlx::query("insert into problem (kind, did, detail, bytes) values ('BadSignature', $1, 'x', 'y')")
            .bind(&leaver.did)
            .execute(&plyr.db.pool)
            .await
            .expect("a row");
        plyr.await_quiet().await;
        let before = tables_naming(&plyr, &leaver.did).await;
        for table in [
            "record", "track", "reaction", "link", "comment", "list", "profile", "play", "session", "intent",
            "problem",
        ] {
            assert!(before.iter().any(|name| name == table), "{table}: {before:?}");
        }
        let old = frames(&net, &leaver.did).await;
        assert!(old.len() > 6, "{}", old.len());

        let started = Instant::now();
        leaver.delete_account(&net).await;
        eventually("the end", || async { same(standing(&plyr, &leaver.did).await.0.as_str(), "deleted") })
            .await;
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
        plyr.await_counts(&track.0, None).await;
        plyr.await_counts(&theirs.0, Some([0, 0, 0])).await;
        for path in &media {
            assert_eq!(plyr.get(path).await.status(), 404, "{path}");
        }
        assert!(person.get("/auth/me").await.status == 401, "still signed in");
        // The marker; and the friend's like with its count, which is the friend's. Announcements are swept each hour.
        let friends_own = [
            "actor",
            "chart_subject",
            "link",
            "link_count",
            "live_change",
            "live_event",
            "reaction",
            "record",
            "repo",
            "subject_count",
        ];
        let gone = async || {
            plyr.await_quiet().await;
            for due in ["select count(*) from chart_due", "select count(*) from search_due"] {
                eventually("nothing to be due", || async { same(plyr.db.number(due).await, 0) }).await;
            }
            assert_eq!(tables_naming(&plyr, &leaver.did).await, friends_own);
            let left: Vec<String> = sqlx::query_scalar(
                "select uri from record where strpos(encode(value, 'escape'), $1) > 0 or did = $1",
            )
            .bind(&leaver.did)
            .fetch_all(&plyr.db.pool)
            .await
            .expect("rows");
            assert_eq!(left, std::slice::from_ref(&friends.0));
            let (handle, pds): (Option<String>, Option<String>) =
                sqlx::query_as("select handle, pds from actor where did = $1")
                    .bind(&leaver.did)
                    .fetch_one(&plyr.db.pool)
                    .await
                    .expect("the marker");
            assert_eq!((handle, pds), (None, None));
        };
        gone().await;

        // A slow host tells it all once more, and that they are there.
        for frame in old {
            voice.say(frame);
        }
        voice.identity(&leaver.did);
        voice.account(&leaver.did, "active");
        let last_seq = voice.last_seq();
        eventually("all to be heard", || async {
            same(plyr.db.number("select coalesce(max(cursor), 0) from source").await, last_seq)
        })
        .await;
        eventually("the claim to be settled", || async {
            same(standing(&plyr, &leaver.did).await, ("deleted".into(), None))
        })
        .await;
        gone().await;
        plyr.await_counts(&track.0, None).await;
        // The bytes stay for a month, unserved.
        assert!(plyr.db.number("select count(*) from blob").await >= 3);
    });
}
