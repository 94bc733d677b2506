//! Answers that are kept: the same bytes for everybody, and nothing of anybody's own; what changed is seen at once.

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use reqwest::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH, VARY};
use serde_json::Value;
use sqlx::{Postgres, Transaction};
use tokio::task::JoinHandle;

use crate::world::{Account, Person, Plyr, eventually, network, run, same};

/// Of a process, for those who read.
const CONNECTIONS: i64 = 16;

async fn latest(plyr: &Plyr) -> (Value, String) {
    let answer = plyr.get("/xrpc/fm.plyr.feed.getLatest?limit=100").await;
    assert_eq!(answer.headers()[CACHE_CONTROL], "public, no-cache");
    let etag = answer.headers()[ETAG].to_str().expect("text").to_owned();
    (answer.json().await.expect("JSON"), etag)
}

fn of<'a>(page: &'a Value, uri: &str) -> &'a Value {
    let tracks = page["tracks"].as_array().expect("a list");
    tracks.iter().find(|track| track["uri"] == uri).unwrap_or(&Value::Null)
}

#[test]
fn an_answer_is_kept_until_something_changes_on_every_replica() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let twin = plyr.twin().await;
        let (artist, fan) = (Account::create(net, "keeper").await, Account::create(net, "keepfan").await);
        let track = artist.create_track("kept").await;
        for server in [&plyr, &twin] {
            eventually("the track", || async {
                same(of(&latest(server).await.0, &track.0).is_null(), false)
            })
            .await;
        }
        let (_, etag) = latest(&twin).await;
        let ask = async |etag: &str| {
            let request = twin.http().get(format!("{}/xrpc/fm.plyr.feed.getLatest?limit=100", twin.url));
            request.header(IF_NONE_MATCH, etag).send().await.expect("it answers")
        };
        // Others write on the same network, so that it may be another answer by now.
        eventually("nothing new to be said", || async {
            let (_, etag) = latest(&twin).await;
            let answer = ask(&etag).await;
            let status = answer.status();
            assert!(status == StatusCode::OK || answer.text().await.expect("a body").is_empty());
            same(status, StatusCode::NOT_MODIFIED)
        })
        .await;
        fan.like(&track).await;
        eventually("the like", || async {
            let counted = plyr.db.texts("select uri from subject_count where like_count = 1").await;
            same(counted.contains(&track.0), true)
        })
        .await;
        // From here on no replica may tell of before for longer than a second; this machine may be busy with other things.
        let committed = std::time::Instant::now();
        for server in [&plyr, &twin] {
            eventually("it everywhere", || async {
                same(of(&latest(server).await.0, &track.0)["likeCount"].as_i64(), Some(1))
            })
            .await;
        }
        assert!(committed.elapsed().as_secs() < 5, "{:?}", committed.elapsed());
        let answer = ask(&etag).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_ne!(answer.headers()[ETAG], etag.as_str());
    });
}

#[test]
fn nothing_of_anybodys_own_is_kept() {
    run(async {
        let net = network();
        let plyr = Plyr::up(net).await;
        let (artist, fan, other) = (
            Account::create(net, "privy").await,
            Account::create(net, "privyfan").await,
            Account::create(net, "privyother").await,
        );
        let track = artist.create_track("mine").await;
        let (like, _) = fan.like(&track).await;
        plyr.await_counts(&track.0, Some([1, 0, 0])).await;
        let fan = Person::sign_in(&plyr, &fan).await;
        let other = Person::sign_in(&plyr, &other).await;
        let id = plyr.track_id(&track.0).await;
        let paths = [
            format!("/xrpc/fm.plyr.feed.getTracks?uris={}", track.0),
            format!("/xrpc/fm.plyr.feed.getTrack?uri={}", track.0),
            format!("/tracks/{id}"),
        ];
        // Everybody asks for the same, again and again, in every order.
        for round in 0..6 {
            for path in &paths {
                let nobodys = async || {
                    let answer = plyr.get(path).await;
                    assert_eq!(answer.headers()[CACHE_CONTROL], "public, no-cache", "{path}");
                    let vary: Vec<&str> = answer
                        .headers()
                        .get_all(VARY)
                        .iter()
                        .filter_map(|value| value.to_str().ok())
                        .collect();
                    assert!(
                        vary.join(", ").contains("cookie") && vary.join(", ").contains("authorization"),
                        "{vary:?}"
                    );
                    let text = answer.text().await.expect("a body");
                    assert!(!text.contains(&like) && !text.contains(r#""viewer""#), "{path}: {text}");
                    assert!(!text.contains(r#""is_liked":true"#), "{path}: {text}");
                };
                let fans = async || {
                    let answer = fan.get(path).await;
                    assert_ne!(answer.headers[CACHE_CONTROL], "public, no-cache", "{path}");
                    let is_there = answer.body.contains(&like) || answer.body.contains(r#""is_liked":true"#);
                    assert!(is_there, "{path}: {}", answer.body);
                };
                let others = async || {
                    let answer = other.get(path).await;
                    assert_ne!(answer.headers[CACHE_CONTROL], "public, no-cache", "{path}");
                    assert!(!answer.body.contains(&like), "{path}: {}", answer.body);
                    assert!(!answer.body.contains(r#""is_liked":true"#), "{path}: {}", answer.body);
                };
                match round % 3 {
                    0 => (nobodys().await, fans().await, others().await, nobodys().await),
                    1 => (fans().await, nobodys().await, others().await, fans().await),
                    _ => (others().await, fans().await, others().await, nobodys().await),
                };
            }
        }
    });
}

const WAITING: &str = "select count(*) from pg_stat_activity where application_name = 'plyr serve' and datname = current_database()
                       and wait_event_type = 'Lock'";
const IDLE: &str = "select count(*) from pg_stat_activity where application_name = 'plyr serve' and datname = current_database()
                    and state = 'idle'";

/// Every connection asked for what cannot be answered while the lock is held, that is given back.
async fn rush(
    plyr: &Plyr,
) -> (Vec<JoinHandle<reqwest::Result<reqwest::Response>>>, Transaction<'static, Postgres>) {
    let mut held = plyr.db.pool.begin().await.expect("begun");
    sqlx::query("lock table tag_count in access exclusive mode").execute(&mut *held).await.expect("locked");
    let asking = (1..=CONNECTIONS).map(|limit| {
        let request = plyr.http().get(format!("{}/xrpc/fm.plyr.feed.getTags?limit={limit}", plyr.url));
        tokio::spawn(request.send())
    });
    let asking = asking.collect();
    eventually("all to be waiting", || async { same(plyr.db.number(WAITING).await, CONNECTIONS) }).await;
    (asking, held)
}

/// Whoever does not wait for an answer takes nobody's place: with every connection asked for what cannot be answered now, and all who asked
/// gone, others are answered.
#[test]
fn who_goes_away_leaves_their_place() {
    run(async {
        let plyr = Plyr::up(network()).await;
        let (asking, held) = rush(&plyr).await;
        asking.iter().for_each(JoinHandle::abort);
        // Nothing else would end them sooner than their five seconds.
        let answer = plyr.get("/xrpc/fm.plyr.feed.getLatest?limit=1").await;
        assert_eq!(answer.status(), StatusCode::OK, "{}", answer.text().await.expect("text"));
        eventually("nobody to be waiting", || async { same(plyr.db.number(WAITING).await, 0) }).await;
        held.rollback().await.expect("let go");
    });
}

/// However many connections a rush has opened: who asks after it, one after the other, is answered over those that answered last, as
/// these have at hand what an answer needs.
#[test]
fn few_connections_answer_where_few_ask() {
    run(async {
        let plyr = Plyr::up(network()).await;
        let (asking, held) = rush(&plyr).await;
        held.rollback().await.expect("let go");
        for asked in asking {
            assert_eq!(asked.await.expect("asked").expect("an answer").status(), StatusCode::OK);
        }
        eventually("all to be back", || async { same(plyr.db.number(IDLE).await, CONNECTIONS) }).await;
        let began: DateTime<Utc> =
            sqlx::query_scalar("select clock_timestamp()").fetch_one(&plyr.db.pool).await.expect("a time");
        for limit in 1..=40 {
            let answer = plyr.get(&format!("/xrpc/fm.plyr.feed.getLatest?limit={limit}")).await;
            assert_eq!(answer.status(), StatusCode::OK);
        }
        let asked: i64 = sqlx::query_scalar(
            "select count(*) from pg_stat_activity
              where application_name = 'plyr serve' and datname = current_database() and query_start > $1",
        )
        .bind(began)
        .fetch_one(&plyr.db.pool)
        .await
        .expect("a number");
        assert!((1..=4).contains(&asked), "{asked} of {CONNECTIONS} connections were asked");
    });
}
