//! What somebody hears now, told to those who follow.

use serde_json::{Value, json};

use super::{Follower, await_listening};
use crate::world::{Account, Person, Plyr, network, run};

#[test]
fn what_somebody_hears_is_told_as_it_changes() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan) = (Account::create(net, "artist").await, Account::create(net, "fan").await);
        let (one, other) = (artist.create_track("one").await.0, artist.create_track("other").await.0);
        plyr.await_counts(&one, Some([0, 0, 0])).await;
        plyr.await_counts(&other, Some([0, 0, 0])).await;
        let ids = [plyr.track_id(&one).await, plyr.track_id(&other).await];
        let person = Person::sign_in(&plyr, &fan).await;
        let say = async |track: usize, progress_ms: i64, is_playing: bool| {
            let name = ["one", "other"][track];
            let told = json!({
                "track_id": ids[track], "track_name": name, "artist_name": "artist",
                "duration_ms": 600_000, "progress_ms": progress_ms, "is_playing": is_playing,
            });
            person.post_json("/now-playing/", &told).await.good();
        };
        // Whichever process they ask.
        let twin = plyr.twin().await;
        await_listening(&twin).await;
        let query = format!("kinds=status&actor={}", fan.did);
        let mut here = Follower::new(&plyr, &query, None).await;
        let mut there = Follower::new(&twin, &query, None).await;
        let mut of_other = Follower::new(&plyr, &format!("kinds=status&track={other}"), None).await;

        say(0, 0, true).await;
        for follower in [&mut here, &mut there] {
            let (kind, _, data) = follower.next().await;
            assert_eq!((kind.as_str(), &data["did"]), ("status", &json!(fan.did)));
            assert_eq!((&data["uri"], &data["subject"]), (&Value::Null, &json!(one)));
            let playing = &data["nowPlaying"];
            assert_eq!((&playing["source"], &playing["trackName"]), (&json!("player"), &json!("one")));
            let expires_at =
                playing["expiresAt"].as_str().expect("a time").parse::<chrono::DateTime<chrono::Utc>>();
            assert!(expires_at.expect("a time") > chrono::Utc::now(), "{playing}");
        }
        // How far it has come is no news; that it rests is.
        for progress_ms in [10_000, 20_000, 30_000] {
            say(0, progress_ms, true).await;
        }
        say(0, 30_000, false).await;
        let rests = here.next().await.2;
        assert_eq!((rests.get("nowPlaying"), &rests["subject"]), (Some(&Value::Null), &json!(one)));
        say(0, 30_000, false).await;
        say(0, 30_000, true).await;
        assert_eq!(here.next().await.2["nowPlaying"]["trackName"], "one");
        // What plays on is told again before what was told is worth nothing.
        plyr.db.run("update player_state set told_at = told_at - interval '3 minutes'").await;
        say(0, 180_000, true).await;
        assert_eq!(here.next().await.2["nowPlaying"]["progressMs"], 180_000);
        say(1, 0, true).await;
        assert_eq!(here.next().await.2["subject"], other);
        person.delete("/now-playing/").await.good();
        person.delete("/now-playing/").await.good();
        let ended = here.next().await.2;
        assert_eq!((ended.get("nowPlaying"), &ended["subject"]), (Some(&Value::Null), &json!(other)));
        for playing in [json!("other"), Value::Null] {
            assert_eq!(of_other.next().await.2["nowPlaying"]["trackName"], playing);
        }

        // The same of records: one that is written, and one that is gone.
        let status = json!({
            "time": crate::world::pds::now(), "item": {"trackName": "by record", "artists": [], "originUri": one},
        });
        let status = fan.put_record("fm.teal.actor.status", "self", status).await.0;
        let (_, _, data) = here.next().await;
        assert_eq!((&data["uri"], &data["nowPlaying"]["source"]), (&json!(status), &json!("teal")));
        assert_eq!(data["nowPlaying"]["trackName"], "by record");
        fan.delete_record(&status).await;
        let (_, _, data) = here.next().await;
        assert_eq!((&data["uri"], data.get("nowPlaying")), (&json!(status), Some(&Value::Null)));
        assert_eq!(data["subject"], one);
    });
}
